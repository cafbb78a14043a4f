//! A decoder that knows no pictures, only which packets and which pictures each of them needs.

use std::{collections::BTreeMap, time::Duration};

use crate::{link::Moment, source::Stamp};

/// How long a player waits for what is missing before it goes on without.
pub(crate) const PATIENCE: Duration = Duration::from_millis(600);
/// A player that has no picture asks this often.
const ASK_EVERY: Duration = Duration::from_millis(400);

/// The state of a player of one stream of pictures.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    next: Option<u64>,
    waiting: BTreeMap<u64, (Stamp, Moment)>,
    /// The picture that is not whole yet, and which part comes next.
    partial: Option<(Stamp, u16)>,
    /// Track and number of the picture that was decoded last.
    last: Option<(u32, u32)>,
    broken_since: Option<Moment>,
    asked: Option<Moment>,
    pictures: u64,
    key_frames: u64,
    breaks: u64,
}

impl Decoder {
    /// Pictures decoded so far.
    pub(crate) fn pictures(&self) -> u64 {
        self.pictures
    }

    /// How often the picture was lost.
    pub(crate) fn breaks(&self) -> u64 {
        self.breaks
    }

    /// Since when there is no picture.
    pub(crate) fn broken_since(&self) -> Option<Moment> {
        self.broken_since
    }

    /// A player without a picture asks for a key frame.
    pub(crate) fn wants_key(&mut self, now: Moment) -> bool {
        let due = self.broken_since.is_some() && self.asked.is_none_or(|at| now >= at + ASK_EVERY);
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// A packet came. `first` is the number of the first that was sent.
    ///
    /// # Errors
    /// Where a picture cannot be decoded though no number is missing.
    pub(crate) fn push(&mut self, now: Moment, first: u64, number: u64, stamp: Stamp) -> Result<(), String> {
        let next = *self.next.get_or_insert(first);
        if number >= next {
            self.waiting.insert(number, (stamp, now));
        }
        self.poll(now)
    }

    /// Decodes what can be.
    ///
    /// # Errors
    /// As `push`.
    pub(crate) fn poll(&mut self, now: Moment) -> Result<(), String> {
        while let (Some(next), Some((&number, &(stamp, at)))) = (self.next, self.waiting.first_key_value()) {
            if number != next {
                if now < at + PATIENCE {
                    return Ok(());
                }
                self.lose(now);
            }
            self.waiting.pop_first();
            self.next = Some(number + 1);
            self.take(number, stamp)?;
        }
        Ok(())
    }

    fn lose(&mut self, now: Moment) {
        self.partial = None;
        if self.broken_since.is_none() {
            self.breaks += 1;
            self.broken_since = Some(now);
        }
    }

    fn take(&mut self, number: u64, stamp: Stamp) -> Result<(), String> {
        let name = format!("picture {} of track {} (part {} of {})", stamp.frame, stamp.track, stamp.part, stamp.parts);
        let begun = self.partial.take();
        if let Some((of, part)) = begun {
            let goes_on = (of.track, of.frame, part) == (stamp.track, stamp.frame, stamp.part);
            // Where the server begins anew in the middle of a picture, decoders drop what they have of it.
            let begins_anew = stamp.key && stamp.part == 0;
            if !goes_on && !begins_anew {
                let had = format!("picture {} of track {} up to part {part} of {}", of.frame, of.track, of.parts);
                return Err(format!("{name} came as number {number} behind {had}: no number is missing between them"));
            }
        } else if stamp.part > 0 {
            if self.broken_since.is_none() {
                return Err(format!("{name} came as number {number}, and its beginning never did"));
            }
            return Ok(());
        }
        let has_reference = self.last == Some((stamp.track, stamp.frame.wrapping_sub(1)));
        if !stamp.key && self.broken_since.is_some() {
            return Ok(());
        }
        if !stamp.key && !has_reference && stamp.part == 0 {
            let last = self.last;
            return Err(format!(
                "{name} came as number {number} where {last:?} was decoded last: no number is missing"
            ));
        }
        if !stamp.is_last() {
            self.partial = Some((stamp, stamp.part + 1));
            return Ok(());
        }
        self.pictures += 1;
        self.last = Some((stamp.track, stamp.frame));
        if stamp.key {
            self.key_frames += 1;
            self.broken_since = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(track: u32, frame: u32, part: u16, parts: u16, key: bool) -> Stamp {
        Stamp { track, seq: 0, frame, part, parts, key }
    }

    fn play(packets: &[(u64, Stamp)]) -> Result<u64, String> {
        let mut decoder = Decoder::default();
        for (number, stamp) in packets {
            decoder.push(Moment::ZERO, 10, *number, *stamp)?;
        }
        Ok(decoder.pictures())
    }

    #[test]
    fn decodes_what_is_whole_and_says_what_is_not() {
        let key = [(10, stamp(1, 0, 0, 2, true)), (11, stamp(1, 0, 1, 2, true))];
        let with = |more: &[(u64, Stamp)]| play(&[&key[..], more].concat());
        assert_eq!(with(&[(12, stamp(1, 1, 0, 1, false))]), Ok(2));
        assert_eq!(with(&[(13, stamp(1, 2, 0, 1, false)), (12, stamp(1, 1, 0, 1, false))]), Ok(3), "overtaken");
        assert!(with(&[(12, stamp(1, 2, 0, 1, false))]).is_err(), "its reference is missing");
        assert!(with(&[(12, stamp(2, 1, 0, 1, false))]).is_err(), "another stream");
        assert!(with(&[(12, stamp(1, 1, 0, 2, false)), (13, stamp(1, 2, 0, 1, false))]).is_err(), "cut short");
        assert!(with(&[(12, stamp(1, 1, 1, 2, false))]).is_err(), "no beginning");
        assert!(play(&[(10, stamp(1, 0, 0, 1, false))]).is_err(), "begins without a key frame");
    }

    #[test]
    fn what_the_network_lost_breaks_the_picture_until_the_next_key_frame() {
        let mut decoder = Decoder::default();
        let later = PATIENCE + Duration::from_millis(1);
        decoder.push(Moment::ZERO, 10, 10, stamp(1, 0, 0, 1, true)).unwrap();
        decoder.push(Moment::ZERO, 10, 12, stamp(1, 2, 0, 1, false)).unwrap();
        assert!(!decoder.wants_key(later));
        decoder.poll(later).unwrap();
        assert_eq!((decoder.pictures(), decoder.breaks(), decoder.broken_since()), (1, 1, Some(later)));
        assert!(decoder.wants_key(later) && !decoder.wants_key(later));
        decoder.push(later, 10, 13, stamp(1, 3, 0, 1, true)).unwrap();
        assert_eq!((decoder.pictures(), decoder.broken_since()), (2, None));
    }
}
