//! A source again and again, its times going on.

use media::{Frame, MediaTime, TrackInfo};

use super::{Item, Reader};
use crate::Error;

/// A frame after the last, where there is only one, in microseconds.
const STEP_DEFAULT_US: i64 = 40_000;

/// Times of one track in the round that is read.
#[derive(Clone, Debug, Default)]
struct Lane {
    info: Option<TrackInfo>,
    frames: i64,
    first_us: i64,
    last_us: i64,
}

impl Lane {
    /// Where the frame after the last would be.
    fn end_us(&self) -> i64 {
        let steps = self.frames - 1;
        let step = if steps > 0 { (self.last_us - self.first_us) / steps } else { STEP_DEFAULT_US };
        self.last_us + step
    }
}

/// Reads a source once, or for ever.
pub(super) struct Looped {
    repeat: bool,
    reader: Option<Reader>,
    lanes: [Lane; 2],
    shift_us: i64,
}

impl Looped {
    pub(super) fn new(repeat: bool) -> Self {
        Self { repeat, reader: None, lanes: [Lane::default(), Lane::default()], shift_us: 0 }
    }

    /// The next item; `None` at the end.
    pub(super) fn next(&mut self, open: impl Fn() -> Result<Reader, Error>) -> Result<Option<Item>, Error> {
        loop {
            if self.reader.is_none() {
                self.reader = Some(open()?);
            }
            let Some(reader) = &mut self.reader else { return Ok(None) };
            match reader.next()? {
                Some(Item::Track(info)) => {
                    let lane = self.lane(info.kind());
                    // The same again at the beginning of a round is nothing new.
                    if lane.info.as_ref() != Some(&info) {
                        lane.info = Some(info.clone());
                        return Ok(Some(Item::Track(info)));
                    }
                }
                Some(Item::Frame(frame)) => return Ok(Some(Item::Frame(self.shifted(frame)))),
                None if self.repeat && self.again() => {}
                None => return Ok(None),
            }
        }
    }

    fn lane(&mut self, kind: media::Kind) -> &mut Lane {
        let [audio, video] = &mut self.lanes;
        if kind == media::Kind::Audio { audio } else { video }
    }

    fn shifted(&mut self, frame: Frame) -> Frame {
        let shift_us = self.shift_us;
        let lane = self.lane(frame.kind());
        let rate = lane.info.as_ref().map_or(90_000, |info| info.clock_rate_hz);
        let at_us = frame.dts.as_micros(rate);
        if lane.frames == 0 {
            lane.first_us = at_us;
        }
        lane.frames += 1;
        lane.last_us = lane.last_us.max(at_us);
        let shift = MediaTime(shift_us).rescale(1_000_000, rate).0;
        Frame { dts: frame.dts + shift, pts: frame.pts + shift, ..frame }
    }

    /// Begins the next round; false where this one had nothing.
    fn again(&mut self) -> bool {
        let lanes = || self.lanes.iter().filter(|lane| lane.frames > 0);
        let (Some(begin), Some(end)) = (lanes().map(|lane| lane.first_us).min(), lanes().map(Lane::end_us).max())
        else {
            return false;
        };
        // Whole milliseconds, as RTMP has them.
        self.shift_us += ((end - begin).max(1_000) + 999) / 1_000 * 1_000;
        self.lanes.iter_mut().for_each(|lane| *lane = Lane { info: lane.info.take(), ..Lane::default() });
        self.reader = None;
        true
    }
}
