//! A sender's clocks mapped to our wall clock.
//!
//! Each track starts from the arrival of its packets. Sender reports (RFC 3550 section 6.4.1) then align the tracks of
//! one sender with each other and give rate; their NTP time maps to our clock by the smallest (arrival - NTP), shared by
//! the tracks, since senders' clocks are wrong. One step within the first seconds, then only a slow slew, so that what is
//! derived from the wall time never jumps. It never waits for a report.

use media::{MediaTime, WallTime};

/// A step is allowed this long after the first packet of a track, in microseconds.
const STEP_WINDOW_US: i64 = 2_000_000;
/// Slew at most: 1/200 of the time that passed (0.5 %).
const SLEW_DIVISOR: i64 = 200;
/// The smallest difference is looked for in the current and the last window of this length, in microseconds, so that a
/// sender's clock that drifts is followed.
const WINDOW_US: i64 = 30_000_000;
/// A packet whose time and arrival disagree by more than this restarts the track's clock: the source's clock jumped.
const JUMP_US: i64 = 5_000_000;
/// A report about a time further than this from the newest packet is of another clock and is ignored.
const REPORT_REACH_US: i64 = 30_000_000;

/// The smallest value seen in the last one to two windows.
#[derive(Clone, Copy, Debug)]
struct Smallest {
    since: i64,
    current: i64,
    last: i64,
}

impl Smallest {
    fn new(value: i64, at: i64) -> Self {
        Self { since: at, current: value, last: i64::MAX }
    }

    fn add(&mut self, value: i64, at: i64) -> i64 {
        if at.saturating_sub(self.since) > WINDOW_US {
            *self = Self { since: at, current: value, last: self.current };
        }
        self.current = self.current.min(value);
        self.get()
    }

    fn get(self) -> i64 {
        self.current.min(self.last)
    }
}

/// What the tracks of one sender share: where its NTP clock is on our wall clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sender {
    offset: Option<Smallest>,
}

impl Sender {
    fn report(&mut self, ntp: WallTime, arrived: WallTime) {
        let difference = arrived - ntp;
        match &mut self.offset {
            Some(offset) => {
                offset.add(difference, arrived.0);
            }
            None => self.offset = Some(Smallest::new(difference, arrived.0)),
        }
    }
}

/// A sender report as it concerns one track.
#[derive(Clone, Copy, Debug)]
struct Report {
    /// Media time in microseconds.
    media_us: i64,
    ntp: WallTime,
}

/// The clock of one track.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    rate_hz: u32,
    state: Option<State>,
    /// A report that came before the first packet: its 32-bit RTP time, NTP time and arrival.
    early: Option<(u32, WallTime, WallTime)>,
}

#[derive(Clone, Debug)]
struct State {
    /// Arrival of the first packet.
    began: WallTime,
    /// When the offset was last moved.
    moved: WallTime,
    newest: MediaTime,
    /// Wall time minus media time now in use, in microseconds.
    offset: i64,
    by_arrival: Smallest,
    report: Option<Report>,
    stepped: bool,
}

impl Track {
    pub(crate) fn new(rate_hz: u32) -> Self {
        Self { rate_hz, state: None, early: None }
    }

    /// The wall time of a packet.
    pub(crate) fn wall(&mut self, sender: &mut Sender, time: MediaTime, arrived: WallTime) -> WallTime {
        let media_us = time.as_micros(self.rate_hz);
        let by_arrival = arrived.0.saturating_sub(media_us);
        let jumped =
            self.state.as_ref().is_some_and(|state| by_arrival.saturating_sub(state.offset).saturating_abs() > JUMP_US);
        if jumped {
            self.state = None;
        }
        let early = self.early.take();
        let state = self.state.get_or_insert_with(|| State {
            began: arrived,
            moved: arrived,
            newest: time,
            offset: by_arrival,
            by_arrival: Smallest::new(by_arrival, arrived.0),
            report: None,
            stepped: false,
        });
        state.newest = state.newest.max(time);
        if let Some((rtp, ntp, at)) = early {
            self.report(sender, rtp, ntp, at);
        }
        let Some(state) = &mut self.state else { return arrived };
        let smallest = state.by_arrival.add(by_arrival, arrived.0);
        let target = match (state.report, sender.offset) {
            (Some(report), Some(offset)) => report.ntp.0.saturating_sub(report.media_us).saturating_add(offset.get()),
            _ => smallest,
        };
        state.approach(target, arrived);
        WallTime(media_us.saturating_add(state.offset))
    }

    /// A sender report: the low 32 bits of the RTP time, and the sender's wall clock at that time.
    pub(crate) fn report(&mut self, sender: &mut Sender, rtp: u32, ntp: WallTime, arrived: WallTime) {
        let Some(state) = &mut self.state else {
            self.early = Some((rtp, ntp, arrived));
            return;
        };
        let newest = state.newest.0;
        let delta = rtp.wrapping_sub(newest.cast_unsigned() as u32).cast_signed();
        let media_us = MediaTime(newest.saturating_add(i64::from(delta))).as_micros(self.rate_hz);
        if MediaTime(i64::from(delta)).as_micros(self.rate_hz).abs() > REPORT_REACH_US {
            return;
        }
        sender.report(ntp, arrived);
        state.report = Some(Report { media_us, ntp });
    }
}

impl State {
    fn approach(&mut self, target: i64, arrived: WallTime) {
        let passed = (arrived - self.moved).max(0);
        let error = target.saturating_sub(self.offset);
        if self.report.is_some() && !self.stepped {
            self.stepped = true;
            if arrived - self.began <= STEP_WINDOW_US {
                self.offset = target;
                self.moved = arrived;
                return;
            }
        }
        let most = passed / SLEW_DIVISOR;
        if most > 0 {
            self.offset = self.offset.saturating_add(error.clamp(-most, most));
            self.moved = arrived;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: i64 = 1_700_000_000_000_000;

    fn at(us: i64) -> WallTime {
        WallTime(BASE + us)
    }

    /// One second of a track whose packets take `delay_us` to arrive; the last wall time minus the true capture time.
    fn run(
        track: &mut Track,
        sender: &mut Sender,
        rate: i64,
        from_ms: i64,
        to_ms: i64,
        delay_us: i64,
        origin: i64,
    ) -> i64 {
        let mut error = 0;
        for ms in (from_ms..to_ms).step_by(20) {
            let wall = track.wall(sender, MediaTime(origin + ms * rate / 1_000), at(ms * 1_000 + delay_us));
            error = wall - at(ms * 1_000);
        }
        error
    }

    #[test]
    fn reports_align_the_tracks_of_one_sender_whose_clock_is_wrong() {
        let (mut sender, mut video, mut audio) = (Sender::default(), Track::new(90_000), Track::new(48_000));
        run(&mut video, &mut sender, 90_000, 0, 400, 180_000, 12_345);
        run(&mut audio, &mut sender, 48_000, 0, 400, 30_000, 777);
        let ntp = |ms: i64| at(ms * 1_000 - 86_400_000_000);
        video.report(&mut sender, (12_345 + 400 * 90) as u32, ntp(400), at(400_000 + 25_000));
        audio.report(&mut sender, (777 + 400 * 48) as u32, ntp(400), at(400_000 + 25_000));
        let v = run(&mut video, &mut sender, 90_000, 420, 800, 180_000, 12_345);
        let a = run(&mut audio, &mut sender, 48_000, 420, 800, 30_000, 777);
        assert!((v - a).abs() < 100, "video {v} us, audio {a} us");
        assert!((v - 25_000).abs() < 100, "the smallest delay of a report is the offset: {v} us");
    }

    #[test]
    fn without_reports_the_fastest_packet_counts() {
        let (mut sender, mut track) = (Sender::default(), Track::new(90_000));
        assert_eq!(run(&mut track, &mut sender, 90_000, 0, 40, 100_000, 0), 100_000);
        let later = run(&mut track, &mut sender, 90_000, 40, 30_000, 10_000, 0);
        assert!(later < 15_000, "slewed to the faster packets: {later}");
    }

    #[test]
    fn after_the_first_seconds_it_slews() {
        let (mut sender, mut track) = (Sender::default(), Track::new(48_000));
        let before = run(&mut track, &mut sender, 48_000, 0, 3_000, 50_000, 0);
        track.report(&mut sender, 3_000 * 48, at(3_000_000), at(3_000_000));
        let after = run(&mut track, &mut sender, 48_000, 3_020, 4_020, 50_000, 0);
        assert!((4_000..=5_200).contains(&(before - after)), "5 ms in a second, not {} us", before - after);
    }

    #[test]
    fn a_report_of_another_clock_and_one_before_the_first_packet() {
        let (mut sender, mut track) = (Sender::default(), Track::new(90_000));
        track.report(&mut sender, 0, at(0), at(1_000));
        let origin = 4_000_000_000;
        let error = run(&mut track, &mut sender, 90_000, 0, 400, 30_000, origin);
        assert_eq!(error, 30_000, "rtp time 0 is nowhere near: ignored");
        track.report(&mut sender, (origin + 36_000) as u32, at(400_000), at(410_000));
        assert_eq!(run(&mut track, &mut sender, 90_000, 420, 600, 30_000, origin), 10_000);
    }

    #[test]
    fn a_jump_of_the_source_restarts_the_clock() {
        let (mut sender, mut track) = (Sender::default(), Track::new(90_000));
        run(&mut track, &mut sender, 90_000, 0, 400, 30_000, 0);
        assert_eq!(run(&mut track, &mut sender, 90_000, 420, 600, 30_000, 90_000 * 3_600), 30_000);
    }

    proptest! {
        #[test]
        fn never_panics(times in proptest::collection::vec((any::<i64>(), any::<i64>(), any::<u32>(), any::<i64>()), 1..20)) {
            let (mut sender, mut track) = (Sender::default(), Track::new(90_000));
            for (time, arrived, rtp, ntp) in times {
                track.wall(&mut sender, MediaTime(time), WallTime(arrived));
                track.report(&mut sender, rtp, WallTime(ntp), WallTime(arrived));
            }
        }
    }
}
