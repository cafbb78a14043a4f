//! A leg and its tracks on their way to a media thread, taken back where something goes wrong before a session has them.

use std::sync::Arc;

use media::Codec;
use rtc::Leg;
use sfu::{Command, Expect, LegId, Pace, TrackId};

use crate::{inbox::Inbox, media::Media, refusal::Refusal};

/// What a media thread was given and no session holds yet. Dropping it takes all of it back.
pub(super) struct Placed<'a> {
    media: &'a Media,
    leg: Option<LegId>,
    tracks: Vec<TrackId>,
}

impl<'a> Placed<'a> {
    /// Nothing yet.
    pub(super) fn new(media: &'a Media) -> Self {
        Self { media, leg: None, tracks: Vec::new() }
    }

    /// Gives the thread a track.
    ///
    /// # Errors
    /// Where the thread is overloaded.
    pub(super) fn add_track(&mut self, id: TrackId, codec: Codec) -> Result<(), Refusal> {
        self.media.send(Command::AddTrack { id, codec, pace: Pace::Audience })?;
        self.tracks.push(id);
        Ok(())
    }

    /// Gives the thread the leg; its number, and where its events wait.
    ///
    /// # Errors
    /// Where the thread is overloaded.
    pub(super) fn add_leg(&mut self, leg: Leg) -> Result<(LegId, Arc<Inbox>), Refusal> {
        let (id, inbox) = self.media.new_leg();
        self.leg = Some(id);
        // Its peer's first datagram may come to any thread.
        self.media.send(Command::Expect(Expect::of(id, &leg)))?;
        self.media.send(Command::AddLeg { id, leg: Box::new(leg) })?;
        Ok((id, inbox))
    }

    /// A session holds it from now on.
    pub(super) fn keep(mut self) {
        self.leg = None;
        self.tracks.clear();
    }
}

impl Drop for Placed<'_> {
    fn drop(&mut self) {
        if let Some(leg) = self.leg {
            self.media.forget_leg(leg);
            self.media.tell(Command::RemoveLeg { id: leg });
        }
        for track in &self.tracks {
            self.media.tell(Command::RemoveTrack { id: *track });
        }
    }
}
