//! WebRTC, whatever the signalling: one way to answer an offer, and a skin for each protocol that carries offers. A skin
//! reads its protocol's request, has it admitted, hands the offer here, and dresses the answer.

pub mod artc;
mod body;
mod leg;
mod live_url;
mod session;
pub mod srs;
pub mod trtc;
pub mod whip;

use std::{sync::Arc, time::Instant};

use media::Kind;
use rtc::{Leg, OfferError, Purpose};
use sfu::Command;

use leg::Placed;
use session::Holds;
pub use session::{Opened, Restarted, Sessions};

use crate::{
    admission::Admitted,
    app::App,
    bridge::PacketsWanted,
    hub::{PacketTrack, PacketTracks},
    refusal::Refusal,
};

/// An offer that was answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The session that stands behind it.
    pub session: Opened,
    /// The answer, with the server's candidates.
    pub sdp: String,
}

/// What a viewer wants of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// The picture.
    pub video: bool,
    /// The sound.
    pub audio: bool,
}

impl Kinds {
    /// All there is.
    pub const ALL: Self = Self { video: true, audio: true };
}

/// Answers somebody who may publish, and begins the stream.
///
/// # Errors
/// Where the offer cannot be served, the name is taken, or a limit is reached. Nothing is left behind then.
pub fn take_publisher(app: &Arc<App>, admitted: Admitted, offer: &str) -> Result<Answered, Refusal> {
    let Admitted { key, session } = admitted;
    let (mut leg, answer) =
        Leg::answer(&app.media.rtc, offer, Purpose::Publish, Instant::now()).map_err(offer_refused)?;
    // Only an offer that can be served takes the name, or takes it over.
    let publication = app.hub.publish(key.clone(), session.known().door, Some(session.known()))?;
    let track = |kind: Kind| {
        let codec = answer.codec(kind)?;
        Some(PacketTrack { id: app.media.new_track(&key), codec })
    };
    let tracks = PacketTracks { video: track(Kind::Video), audio: track(Kind::Audio) };
    publication.stream().set_packets(tracks);
    let mut placed = Placed::new(&app.media);
    for track in tracks.iter() {
        placed.add_track(track.id, track.codec)?;
    }
    leg.set_wall_clock(crate::clock::wall_now(), Instant::now());
    let (id, inbox) = placed.add_leg(leg)?;
    for track in tracks.iter() {
        app.media.send(Command::Bind { leg: id, kind: track.codec.kind(), track: track.id })?;
    }
    let opened = app.webrtc.open(app, session, id, inbox, Holds::Publication(publication))?;
    placed.keep();
    Ok(Answered { session: opened, sdp: answer.sdp })
}

/// Answers somebody who may play.
///
/// # Errors
/// Where the offer cannot be served, nothing of that name is live, or a limit is reached. Nothing is left behind then.
pub async fn take_viewer(app: &Arc<App>, admitted: Admitted, offer: &str, wants: Kinds) -> Result<Answered, Refusal> {
    let Admitted { key, session } = admitted;
    let found = app.hub.await_stream(&key).await?;
    let wanted = PacketsWanted::new(app, &found).await?;
    let tracks = wanted.tracks;
    let codec = |track: Option<PacketTrack>, wants: bool| track.filter(|_| wants).map(|track| track.codec);
    let purpose = Purpose::Play { video: codec(tracks.video, wants.video), audio: codec(tracks.audio, wants.audio) };
    let (leg, answer) = Leg::answer(&app.media.rtc, offer, purpose, Instant::now()).map_err(offer_refused)?;
    let mut placed = Placed::new(&app.media);
    let (id, inbox) = placed.add_leg(leg)?;
    for track in tracks.iter().filter(|track| answer.codec(track.codec.kind()).is_some()) {
        app.media.send(Command::Subscribe { leg: id, track: track.id })?;
    }
    let viewer = found.watch(session.known());
    let holds = Holds::Viewer { _wanted: wanted, _viewer: viewer, stream: found };
    let opened = app.webrtc.open(app, session, id, inbox, holds)?;
    placed.keep();
    Ok(Answered { session: opened, sdp: answer.sdp })
}

fn offer_refused(error: OfferError) -> Refusal {
    if error.is_peers_fault() { Refusal::Malformed(error.to_string()) } else { Refusal::CannotServe(error.to_string()) }
}
