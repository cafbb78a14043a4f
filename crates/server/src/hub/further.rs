//! The further tracks of a publication (multitrack of Enhanced RTMP): each number is a stream of its own beside the
//! first, on the same timeline. A kind that a number has no track of is the first one's: a second camera is played with
//! the sound, and a second language with the picture.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use live::stream::EndReason;
use media::{Frame, Kind, TrackInfo};

use super::LiveStream;
use crate::refusal::Refusal;

/// Numbers beside the first, at most.
const FURTHER_MAX: usize = wire::flv::TRACKS_MAX - 1;

/// The further tracks of one publication, by number.
#[derive(Debug, Default)]
pub struct Further(Mutex<BTreeMap<u8, Beside>>);

/// A stream beside the first, and which kinds it has itself.
#[derive(Debug)]
struct Beside {
    stream: Arc<LiveStream>,
    own_audio: bool,
    own_video: bool,
}

impl Beside {
    fn own(&mut self, kind: Kind) -> &mut bool {
        match kind {
            Kind::Audio => &mut self.own_audio,
            Kind::Video => &mut self.own_video,
        }
    }
}

impl Further {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u8, Beside>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces a track under a number. `first` is the stream that the numbers are beside. False where there are as
    /// many as there may be.
    pub fn announce(&self, first: &LiveStream, number: u8, info: TrackInfo) -> bool {
        let mut all = self.lock();
        if !all.contains_key(&number) && all.len() >= FURTHER_MAX {
            return false;
        }
        let beside = all.entry(number).or_insert_with(|| {
            let stream = Arc::new(first.beside(number));
            for kind in [Kind::Audio, Kind::Video] {
                if let Some(track) = first.track(kind) {
                    stream.announce(track.info.clone());
                }
            }
            Beside { stream, own_audio: false, own_video: false }
        });
        *beside.own(info.kind()) = true;
        beside.stream.announce(info);
        true
    }

    /// Takes a frame of a further track.
    pub fn push(&self, number: u8, frame: Frame) {
        let stream = self.lock().get(&number).map(|beside| beside.stream.clone());
        if let Some(stream) = stream {
            stream.push(frame);
        }
    }

    /// The first stream's track of a kind is new or has changed.
    pub(super) fn share_track(&self, info: &TrackInfo) {
        for beside in self.lock().values_mut() {
            if !*beside.own(info.kind()) {
                beside.stream.announce(info.clone());
            }
        }
    }

    /// A frame of the first stream.
    pub(super) fn share_frame(&self, frame: &Frame) {
        for beside in self.lock().values_mut() {
            if !*beside.own(frame.kind()) {
                beside.stream.push(frame.clone());
            }
        }
    }

    /// Ends all of them.
    pub(super) fn end(&self, reason: EndReason) {
        for beside in self.lock().values() {
            beside.stream.end(reason);
        }
    }

    /// Viewers of all of them now that are counted under this name.
    pub(super) fn viewers(&self, name: &str) -> usize {
        self.lock().values().map(|beside| beside.stream.viewers(name)).sum()
    }

    /// The streams by number, for the list of what is live.
    pub fn list(&self) -> Vec<Arc<LiveStream>> {
        self.lock().values().map(|beside| beside.stream.clone()).collect()
    }

    fn find(&self, number: u8) -> Option<Arc<LiveStream>> {
        self.lock().get(&number).map(|beside| beside.stream.clone())
    }
}

impl LiveStream {
    /// The stream that a viewer's `?track=` names; this one where it says nothing, or 0.
    ///
    /// # Errors
    /// Where it is no number, or there is no such track; the text names those there are.
    pub fn of_track(self: &Arc<Self>, asked: Option<&str>) -> Result<Arc<Self>, Refusal> {
        let number = track_number(asked)?;
        if number == 0 {
            return Ok(self.clone());
        }
        self.further.find(number).ok_or_else(|| {
            let further = self.further.list();
            let numbers: Vec<String> =
                std::iter::once(0).chain(further.iter().map(|stream| stream.number)).map(|n| n.to_string()).collect();
            let there = match numbers.as_slice() {
                [only] => format!("its only track is {only}"),
                _ => format!("its tracks are {}", numbers.join(", ")),
            };
            Refusal::TrackUnknown(format!("'{}' has no track {number}; {there}", self.key))
        })
    }
}

/// The number that `?track=` says; 0 where it is absent.
///
/// # Errors
/// Where it is no number of a track.
pub fn track_number(asked: Option<&str>) -> Result<u8, Refusal> {
    let Some(asked) = asked else { return Ok(0) };
    asked.parse().map_err(|_| {
        let asked: String = asked.chars().take(16).collect();
        Refusal::Malformed(format!("?track= wants the number of a track, 0 to 255, and got '{asked}'"))
    })
}
