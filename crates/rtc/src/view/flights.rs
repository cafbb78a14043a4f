//! When flights of a DTLS handshake are sent again (RFC 6347 section 4.2.4).
//!
//! dimpl repeats a flight after its own time, doubled without end, and answers one repeat of the peer's in so long: whoever
//! lost our last flight a few times would wait for half a minute. So its clock is one that we turn: it stands still until
//! a flight is due by the times here. The last flight, which no timer of its repeats, is kept here as it went out.

use std::time::{Duration, Instant};

/// What an engine's clock says until a flight is repeated for the first time, about.
pub(crate) const ENGINE_RTO: Duration = Duration::from_micros(1);
/// A flight of the engine's is repeated so often at most: by the times here it would take a minute.
pub(crate) const ENGINE_REPEATS_MAX: usize = 40;
/// The engine's own patience, by its own clock: ours is `HANDSHAKE_MAX`.
pub(crate) const ENGINE_PATIENCE: Duration = Duration::from_secs(3_650 * 86_400);
/// A timer of the engine's that is farther away is that of its patience, or of nothing.
const ENGINE_FAR: Duration = Duration::from_secs(365 * 86_400);
/// A handshake may take so long.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// Content types of records (RFC 5246 section 6.2.1), the length of a record's header and of what stands before the type of
/// a message.
pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const HANDSHAKE: u8 = 22;
const HEADER: usize = 13;
const CLIENT_HELLO: u8 = 1;
/// Records of a flight that are looked at.
const RECORDS_MAX: usize = 8;

/// After so long a flight is repeated where nobody knows the round trip.
const RTO: Duration = Duration::from_millis(250);
/// Where the round trip is known, after twice as long and within these; doubled each time up to `INTERVAL_MAX`.
const RTO_MIN: Duration = Duration::from_millis(50);
const RTO_MAX: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_millis(1_600);
/// Repeats of the peer's that come within so long of our answer are not answered: they were on their way.
const ANSWER_INTERVAL: Duration = Duration::from_millis(20);
/// How often the last flight is repeated at most, unasked and asked for.
const UNASKED_MAX: u32 = 8;
const REPEATS_MAX: u32 = 64;

/// The engine's clock, and when it is turned.
pub(crate) struct Flights {
    /// What the engine believes the time to be.
    clock: Instant,
    /// What it waits for, by its clock.
    waits: Option<Instant>,
    /// When it gets that.
    due: Option<Instant>,
    rto: Duration,
    began: Option<Instant>,
    repeated: u64,
}

impl Flights {
    pub(crate) fn new(now: Instant) -> Self {
        Self { clock: now, waits: None, due: None, rto: RTO, began: None, repeated: 0 }
    }

    /// The round trip, where somebody has measured it.
    pub(crate) fn round_trip(&mut self, round_trip: Duration) {
        self.rto = (2 * round_trip).clamp(RTO_MIN, RTO_MAX);
    }

    /// The engine's time where nothing is due.
    pub(crate) fn clock(&self) -> Instant {
        self.clock
    }

    /// Flights that went out again because nothing came back.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Patience begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.began.get_or_insert(now);
    }

    /// The engine's time now: what it waits for, where that is due.
    pub(crate) fn turn(&mut self, now: Instant) -> Instant {
        self.begin(now);
        if let (Some(at), true) = (self.waits, self.due.is_some_and(|due| due <= now)) {
            self.repeated += u64::from(at > self.clock);
            self.clock = self.clock.max(at);
            (self.waits, self.due) = (None, None);
        }
        self.clock
    }

    /// Whether it has taken too long.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        self.ends().is_some_and(|at| now >= at)
    }

    /// The engine waits for a time of its clock.
    pub(crate) fn waits_for(&mut self, at: Instant, now: Instant) {
        if self.waits == Some(at) {
            return;
        }
        let wait = at.saturating_duration_since(self.clock);
        (self.waits, self.due) = (Some(at), (wait < ENGINE_FAR).then(|| now + self.real(wait)));
    }

    /// When to turn the clock, or to lose patience.
    pub(crate) fn timer(&self) -> Option<Instant> {
        self.due.into_iter().chain(self.ends()).min()
    }

    fn ends(&self) -> Option<Instant> {
        self.began.map(|at| at + HANDSHAKE_MAX)
    }

    /// The engine doubles its time and varies it a little: so do we, within bounds.
    fn real(&self, wait: Duration) -> Duration {
        let times = wait.as_secs_f64() / ENGINE_RTO.as_secs_f64();
        Duration::from_secs_f64((self.rto.as_secs_f64() * times).min(INTERVAL_MAX.as_secs_f64()))
    }
}

/// The flight that ends the handshake: the peer does not say that it has it, but by repeating its own when it has not.
/// It goes out again unasked a few times, since a peer may repeat late and seldom, and media is on its way; byte by byte
/// as it was, since whoever has it throws it away as a replay.
pub(crate) struct Last {
    bytes: Box<[u8]>,
    sent: Instant,
    due: Option<Instant>,
    interval: Duration,
    unasked: u32,
    repeated: u32,
    wanted: bool,
}

impl Last {
    pub(crate) fn new(bytes: &[u8], now: Instant) -> Self {
        let (bytes, due) = (bytes.into(), Some(now + RTO));
        Self { bytes, sent: now, due, interval: RTO, unasked: 0, repeated: 0, wanted: false }
    }

    pub(crate) fn timer(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn time_passes(&mut self, now: Instant) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.wanted = true;
        self.unasked += 1;
        self.interval = (2 * self.interval).min(INTERVAL_MAX);
        self.due = (self.unasked < UNASKED_MAX).then(|| now + self.interval);
    }

    /// The peer repeats its flight.
    pub(crate) fn asked(&mut self, now: Instant) {
        self.wanted |= now.saturating_duration_since(self.sent) >= ANSWER_INTERVAL;
    }

    /// What is to be sent again now.
    pub(crate) fn take(&mut self, now: Instant) -> Option<&[u8]> {
        if !std::mem::take(&mut self.wanted) || self.repeated >= REPEATS_MAX {
            return None;
        }
        self.repeated += 1;
        self.sent = now;
        Some(&self.bytes)
    }
}

/// Two flights that came into one datagram; the second is empty where there is one. dimpl writes a repeat of an old flight
/// and the next into one datagram, and throws all of such a datagram away whose first message it knows: the last flight
/// among it, each time.
pub(crate) fn split(bytes: &[u8], of_client: bool) -> [&[u8]; 2] {
    let mut at = 0;
    for _ in 0..RECORDS_MAX {
        let Some(header) = bytes.get(at..at + HEADER) else { break };
        let [.., high, low] = header else { break };
        let end = at + HEADER + usize::from(u16::from_be_bytes([*high, *low]));
        let content = header.first().copied();
        // A client's flights begin with ClientHello, alone, or with its certificate; the server's last with this.
        let cut = if of_client {
            (content == Some(HANDSHAKE) && bytes.get(at + HEADER) == Some(&CLIENT_HELLO)).then_some(end)
        } else {
            (content == Some(CHANGE_CIPHER_SPEC) && at > 0).then_some(at)
        };
        if let Some((first, second)) = cut.and_then(|cut| bytes.split_at_checked(cut)) {
            return [first, second];
        }
        at = end;
    }
    [bytes, &[]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_round_trip_doubled_and_bounded() {
        let start = Instant::now();
        let mut flights = Flights::new(start);
        flights.round_trip(Duration::from_millis(40));
        let (mut now, mut waits) = (start, Vec::new());
        for turn in 0..10 {
            assert_eq!(flights.turn(now), flights.clock());
            let at = flights.clock() + ENGINE_RTO * (1 << turn);
            flights.waits_for(at, now);
            let due = flights.due.unwrap();
            assert!(flights.turn(due - Duration::from_micros(1)) < at);
            flights.waits_for(at, due);
            waits.push((flights.timer().unwrap() - now).as_millis());
            now = due;
        }
        assert_eq!(waits, [80, 160, 320, 640, 1_280, 1_600, 1_600, 1_600, 1_600, 1_600]);
        assert_eq!(flights.repeated(), 9, "the last is due only now");
        assert!(!flights.is_late(start + Duration::from_secs(29)) && flights.is_late(start + HANDSHAKE_MAX));
    }

    #[test]
    fn what_the_engine_waits_for_in_years_is_nothing() {
        let now = Instant::now();
        let mut flights = Flights::new(now);
        flights.waits_for(now + ENGINE_PATIENCE, now);
        assert_eq!(flights.timer(), None);
        flights.turn(now);
        assert_eq!(flights.timer(), Some(now + HANDSHAKE_MAX));
    }

    #[test]
    fn the_last_flight_is_repeated_when_asked_for_and_a_few_times_unasked() {
        let start = Instant::now();
        let mut last = Last::new(b"bytes", start);
        let mut times = 0;
        while let Some(at) = last.timer() {
            last.time_passes(at - Duration::from_millis(1));
            assert!(last.take(at).is_none());
            last.time_passes(at);
            times += u32::from(last.take(at).is_some());
        }
        assert_eq!(times, UNASKED_MAX);
        let mut now = start + Duration::from_secs(60);
        for _ in 0..10_000 {
            now += ANSWER_INTERVAL / 4;
            last.asked(now);
            times += u32::from(last.take(now).is_some());
        }
        assert_eq!(times, REPEATS_MAX, "a stranger gets no more of it");
    }
}
