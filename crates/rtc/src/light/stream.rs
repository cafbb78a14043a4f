//! One kind as it is received: which numbers came, which are asked for again, and what the sender is told of it.

use std::time::{Duration, Instant};

use media::{Kind, Ssrc};
use smallvec::SmallVec;

use super::{
    Counts,
    description::{Format, Line},
};
use crate::rtcp::ReportBlock;

/// A gap may be nothing but packets out of order: so long it is waited for them.
const REORDERING: Duration = Duration::from_millis(5);
/// A number is asked for again no sooner than this, nor than the round trip.
const NACK_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// How often a number is asked for, as in Chromium.
const NACKS_MAX: u8 = 10;
/// How long a number is waited for that cannot be asked for.
const LATE_MAX: Duration = Duration::from_secs(1);
/// Numbers that are missing at once, at most.
const MISSING_MAX: usize = 512;
/// Numbers of one NACK.
const NUMBERS_MAX: usize = 128;

pub(super) struct Stream {
    line: Line,
    source: Option<Source>,
    counts: Counts,
    wants_key_frame: bool,
}

/// What is known of the source that sends now.
struct Source {
    ssrc: u32,
    base: u64,
    highest: u64,
    received: u64,
    missing: Vec<Missing>,
    jitter: Jitter,
    /// Middle bits of the last sender report's time, and when it came.
    report: Option<(u32, Instant)>,
    /// Expected and received when the last report was made.
    prior: (u64, u64),
}

struct Missing {
    seq: u64,
    asked: u8,
    /// When it is asked for next, or given up.
    at: Instant,
}

/// RFC 3550 appendix A.8.
#[derive(Default)]
struct Jitter {
    transit: Option<i64>,
    /// Sixteen times the jitter.
    scaled: i64,
}

/// A packet of a stream.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) seq: u64,
    pub(super) time: u32,
    pub(super) is_rtx: bool,
    /// Microseconds of our own clock.
    pub(super) at_us: i64,
}

impl Stream {
    pub(super) fn new(line: Line) -> Self {
        Self { line, source: None, counts: Counts::default(), wants_key_frame: false }
    }

    pub(super) fn kind(&self) -> Kind {
        self.line.kind
    }

    /// The format that packets had, or else the first that was agreed on.
    pub(super) fn format(&self) -> Option<&Format> {
        self.line.formats.first()
    }

    /// What a payload type means here: the format, and whether it is a retransmission.
    pub(super) fn payload_type(&self, pt: u8) -> Option<(Format, bool)> {
        let formats = &self.line.formats;
        let main = formats.iter().find(|format| format.pt == pt).map(|format| (*format, false));
        main.or_else(|| formats.iter().find(|format| format.rtx == Some(pt)).map(|format| (*format, true)))
    }

    /// The source that sends, or that the answer names.
    pub(super) fn ssrc(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.ssrc).or(self.line.ssrc)
    }

    /// The highest number of the source that sends now.
    pub(super) fn highest(&self) -> Option<u64> {
        self.source.as_ref().map(|source| source.highest)
    }

    pub(super) fn counts(&self) -> Counts {
        let missing = self.source.as_ref().map_or(0, |source| source.missing.len() as u64);
        Counts { missing, ..self.counts }
    }

    pub(super) fn counts_mut(&mut self) -> &mut Counts {
        &mut self.counts
    }

    /// Takes a packet; whether its number is new.
    pub(super) fn arrived(&mut self, now: Instant, ssrc: u32, format: &Format, arrival: Arrival) -> bool {
        let Some(source) = self.source.as_mut().filter(|source| arrival.is_rtx || source.ssrc == ssrc) else {
            if arrival.is_rtx {
                self.counts.duplicates += 1;
                return false;
            }
            self.counts.lost += self.source.as_ref().map_or(0, |old| old.missing.len() as u64);
            self.source = Some(Source::new(ssrc, arrival.seq));
            return true;
        };
        if !arrival.is_rtx {
            source.jitter.update(arrival, format.rate_hz);
        }
        if arrival.seq > source.highest {
            let gap_from = source.highest + 1;
            source.highest = arrival.seq;
            source.received += 1;
            self.counts.lost +=
                source.miss(gap_from, arrival.seq, now + if format.nack { REORDERING } else { LATE_MAX });
            return true;
        }
        let known = source.missing.binary_search_by_key(&arrival.seq, |missing| missing.seq);
        match known {
            Ok(at) => {
                source.missing.remove(at);
                source.received += 1;
                *(if arrival.is_rtx { &mut self.counts.repaired } else { &mut self.counts.late }) += 1;
                true
            }
            // The first packets came out of order. SRTP has seen to it that this one is new.
            Err(_) if !arrival.is_rtx && arrival.seq < source.base => {
                source.base = arrival.seq;
                source.received += 1;
                self.counts.late += 1;
                true
            }
            Err(_) => {
                self.counts.duplicates += 1;
                false
            }
        }
    }

    /// A sender report came.
    pub(super) fn reported(&mut self, ssrc: Ssrc, ntp: u64, now: Instant) {
        if let Some(source) = self.source.as_mut().filter(|source| source.ssrc == ssrc.0) {
            source.report = Some(((ntp >> 16) as u32, now));
        }
    }

    /// When a number is to be asked for or given up.
    pub(super) fn due(&self) -> Option<Instant> {
        self.source.as_ref()?.missing.iter().map(|missing| missing.at).min()
    }

    /// The numbers that are asked for now; those that were asked for often enough are given up.
    pub(super) fn take_missing(&mut self, now: Instant, rtt: Duration) -> SmallVec<[u16; 32]> {
        let Some(source) = &mut self.source else { return SmallVec::new() };
        let can_ask = self.line.formats.first().is_some_and(|format| format.nack);
        let before = source.missing.len();
        source.missing.retain(|missing| missing.at > now || can_ask && missing.asked < NACKS_MAX);
        self.counts.lost += (before - source.missing.len()) as u64;
        let mut numbers = SmallVec::new();
        for missing in source.missing.iter_mut().filter(|missing| missing.at <= now).take(NUMBERS_MAX) {
            missing.asked += 1;
            missing.at = now + rtt.max(NACK_INTERVAL_MIN);
            numbers.push(missing.seq as u16);
        }
        self.counts.nacked += numbers.len() as u64;
        numbers
    }

    /// Asks for a key frame as soon as it is known of whom.
    pub(super) fn want_key_frame(&mut self) {
        self.wants_key_frame = true;
    }

    /// The source to ask for a key frame, once for each wish.
    pub(super) fn take_key_frame_request(&mut self) -> Option<Ssrc> {
        let ssrc = self.ssrc().filter(|_| self.wants_key_frame)?;
        self.wants_key_frame = false;
        self.counts.key_frame_requests += 1;
        Some(Ssrc(ssrc))
    }

    /// What the sender is told, RFC 3550 section 6.4.1 and appendix A.3.
    pub(super) fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let source = self.source.as_mut()?;
        let expected = source.highest - source.base + 1;
        let (expected_before, received_before) = std::mem::replace(&mut source.prior, (expected, source.received));
        let of_interval = expected.saturating_sub(expected_before);
        let lost = of_interval.saturating_sub(source.received - received_before);
        let since = source.report.map(|(_, at)| now.saturating_duration_since(at));
        Some(ReportBlock {
            ssrc: Ssrc(source.ssrc),
            fraction_lost: u8::try_from((lost << 8).checked_div(of_interval).unwrap_or(0)).unwrap_or(u8::MAX),
            lost: i32::try_from(expected.saturating_sub(source.received)).unwrap_or(i32::MAX),
            highest: source.highest as u32,
            jitter: u32::try_from(source.jitter.scaled >> 4).unwrap_or(0),
            last_report: source.report.map_or(0, |(ntp, _)| ntp),
            since_last_report: since.map_or(0, |since| (since.as_micros() * 65_536 / 1_000_000) as u32),
        })
    }
}

impl Source {
    fn new(ssrc: u32, seq: u64) -> Self {
        Self {
            ssrc,
            base: seq,
            highest: seq,
            received: 1,
            missing: Vec::new(),
            jitter: Jitter::default(),
            report: None,
            prior: (0, 0),
        }
    }

    /// Remembers a gap up to `to`; returns how many numbers had to be given up for it.
    fn miss(&mut self, from: u64, to: u64, at: Instant) -> u64 {
        let new = to - from;
        let kept = new.min(MISSING_MAX as u64);
        let over = (self.missing.len() + kept as usize).saturating_sub(MISSING_MAX);
        self.missing.drain(..over.min(self.missing.len()));
        self.missing.extend((to - kept..to).map(|seq| Missing { seq, asked: 0, at }));
        new - kept + over as u64
    }
}

impl Jitter {
    fn update(&mut self, arrival: Arrival, rate_hz: u32) {
        let ticks = arrival.at_us.wrapping_mul(i64::from(rate_hz)) / 1_000_000;
        let transit = ticks.wrapping_sub(i64::from(arrival.time));
        if let Some(before) = self.transit.replace(transit) {
            // Timestamps wrap at 32 bits.
            let distance = i64::from((transit.wrapping_sub(before) as i32).unsigned_abs());
            self.scaled += distance - ((self.scaled + 8) >> 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use media::Codec;

    use super::*;

    const FORMAT: Format = Format { pt: 96, rtx: Some(97), codec: Codec::Vp8, rate_hz: 90_000, nack: true, pli: true };
    const MS: Duration = Duration::from_millis(1);

    fn stream() -> Stream {
        Stream::new(Line { section: 0, kind: Kind::Video, ssrc: Some(9), formats: SmallVec::from_slice(&[FORMAT]) })
    }

    fn take(stream: &mut Stream, now: Instant, seq: u64, is_rtx: bool) -> bool {
        stream.arrived(now, 9, &FORMAT, Arrival { seq, time: 0, is_rtx, at_us: 0 })
    }

    #[test]
    fn a_number_counts_once_however_it_comes() {
        let (mut stream, now) = (stream(), Instant::now());
        assert!(!take(&mut stream, now, 10, true), "a retransmission of what?");
        for (seq, is_rtx, is_new) in [
            (10, false, true),
            (13, false, true),
            (11, true, true),
            (11, true, false),
            (12, false, true),
            (12, true, false),
        ] {
            assert_eq!(take(&mut stream, now, seq, is_rtx), is_new, "{seq}");
        }
        assert!(take(&mut stream, now, 9, false), "before the first");
        let counts = stream.counts();
        assert_eq!((counts.repaired, counts.late, counts.duplicates, counts.missing, counts.lost), (1, 2, 3, 0, 0));
    }

    #[test]
    fn a_gap_is_asked_for_ten_times_and_then_given_up() {
        let (mut stream, start) = (stream(), Instant::now());
        take(&mut stream, start, 65_534, false);
        take(&mut stream, start, 65_537, false);
        assert_eq!(stream.due(), Some(start + REORDERING));
        let (mut now, mut asked) = (start, 0);
        while let Some(due) = stream.due() {
            now = due;
            let numbers = stream.take_missing(now, 200 * MS);
            assert!(numbers.is_empty() || numbers[..] == [65_535, 0]);
            asked += u8::from(!numbers.is_empty());
        }
        assert_eq!((asked, now), (NACKS_MAX, start + REORDERING + 10 * 200 * MS));
        assert_eq!((stream.counts().lost, stream.counts().nacked), (2, 20));
    }

    #[test]
    fn a_gap_of_any_width_is_bounded_and_nothing_is_forgotten() {
        let (mut stream, now) = (stream(), Instant::now());
        take(&mut stream, now, 0, false);
        take(&mut stream, now, 101, false);
        take(&mut stream, now, 30_000, false);
        let counts = stream.counts();
        assert_eq!((counts.missing, counts.missing + counts.lost), (MISSING_MAX as u64, 100 + 30_000 - 102));
        assert_eq!(stream.take_missing(now + REORDERING, MS).len(), NUMBERS_MAX);
    }

    #[test]
    fn a_report_says_what_was_lost_since_the_last_and_how_unsteady_it_was() {
        let (mut stream, now) = (stream(), Instant::now());
        assert!(stream.report(now).is_none(), "nothing came");
        for seq in (0..20).filter(|seq| seq % 4 != 1) {
            // Every other packet is 10 ms late.
            let arrival = Arrival {
                seq,
                time: seq as u32 * 900,
                is_rtx: false,
                at_us: seq as i64 * 10_000 + (seq as i64 & 2) * 5_000,
            };
            stream.arrived(now, 9, &FORMAT, arrival);
        }
        stream.reported(Ssrc(9), 0x0102_0304_0506_0708, now);
        stream.reported(Ssrc(8), 1, now);
        let report = stream.report(now + 500 * MS).unwrap();
        assert_eq!((report.ssrc, report.fraction_lost, report.lost, report.highest), (Ssrc(9), 64, 5, 19));
        assert_eq!((report.last_report, report.since_last_report), (0x0304_0506, 32_768));
        assert!((300..900).contains(&report.jitter), "in ticks, of 900 at most: {}", report.jitter);
        take(&mut stream, now, 20, false);
        assert_eq!(stream.report(now).map(|report| (report.fraction_lost, report.lost)), Some((0, 5)));
    }
}
