//! Which segment comes next: from a little before the end of a live playlist, then one after the other.

use std::time::Duration;

use super::{Media, Segment};

/// Segments before the end of a live playlist at which playing begins (RFC 8216 section 6.3.3).
const START_BEFORE_END: usize = 3;
/// A playlist that does not change is asked for again after half of its target, within these bounds.
const POLL_MIN: Duration = Duration::from_millis(100);
const POLL_MAX: Duration = Duration::from_secs(5);

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Fetch and play this.
    Play(Box<Segment>),
    /// Ask for the playlist again after so long.
    Wait(Duration),
    /// That was all.
    Ended,
}

/// Follows a playlist.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    media: Media,
    next: Option<u64>,
    skipped: u64,
}

impl Follower {
    /// Takes the playlist as it is now.
    pub fn update(&mut self, media: Media) {
        self.media = media;
        let (first, count) = (self.media.segments.first().map(|segment| segment.number), self.media.segments.len());
        let Some(first) = first else { return };
        let begin = if self.media.ended { 0 } else { count.saturating_sub(START_BEFORE_END) };
        let last = first.saturating_add(count as u64);
        match &mut self.next {
            // The server began anew: its numbers are lower than what was played.
            Some(next) if *next > last => self.next = Some(first),
            Some(next) if *next < first => {
                self.skipped += first - *next;
                *next = first;
            }
            Some(_) => {}
            None => self.next = Some(first + begin as u64),
        }
    }

    /// What is to be done now.
    pub fn step(&mut self) -> Step {
        let next = self.next.unwrap_or(0);
        match self.media.segments.iter().find(|segment| segment.number == next) {
            Some(segment) => {
                self.next = Some(next.saturating_add(1));
                Step::Play(Box::new(segment.clone()))
            }
            None if self.media.ended => Step::Ended,
            None => Step::Wait((self.media.target / 2).clamp(POLL_MIN, POLL_MAX)),
        }
    }

    /// Segments that were gone before they could be played.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}
