//! A path of the network in one direction: delay, jitter, loss, rate, all from a seed.
//!
//! Whether a packet is lost depends on how many of its class came before and on the time, and on nothing else: what is
//! random in a handshake does not change what happens to the media.

use std::time::Duration;

use crate::random::{Random, hash};

/// What arrives twice does so within this.
const DUPLICATE_LATER: Duration = Duration::from_millis(30);

/// Times are counted from the beginning of the run.
pub type Moment = Duration;

/// How a path treats what is sent over it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// From one end to the other.
    pub delay: Duration,
    /// Up to so much longer; packets keep their order.
    pub jitter: Duration,
    /// Lost, in a million.
    pub loss_ppm: u32,
    /// Losses in bursts (Gilbert and Elliott).
    pub burst: Option<Burst>,
    /// Overtaken by others, in a million: they come `reorder_by` later.
    pub reorder_ppm: u32,
    /// How much later those come.
    pub reorder_by: Duration,
    /// Arriving twice, in a million.
    pub duplicate_ppm: u32,
    /// Bits a second, and how long the queue before it is; more is lost.
    pub rate: Option<(u64, Duration)>,
    /// Bits a second from a moment on, instead of those; the earliest first.
    pub rates: Vec<(Moment, u64)>,
    /// From when on, and for how long, nothing passes.
    pub outages: Vec<(Moment, Duration)>,
    /// Losses hit media alone that is sent for the first time: everything else passes. What is lost can be repaired then.
    pub spares_repairs: bool,
}

/// Two states that take turns; times are means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// How long the good state lasts.
    pub good: Duration,
    /// How long the bad state lasts.
    pub bad: Duration,
    /// Lost in the bad state, in a million.
    pub loss_ppm: u32,
}

impl Path {
    /// A path with nothing but a delay.
    pub fn clean(ms: u64) -> Self {
        Self { delay: Duration::from_millis(ms), ..Self::default() }
    }

    /// Whether nothing is lost, late or slow enough to be taken for a path that carries little.
    pub(crate) fn is_gentle(&self) -> bool {
        self.loss_ppm == 0
            && self.burst.is_none()
            && self.rate.is_none()
            && self.outages.is_empty()
            && self.jitter.is_zero()
            && self.reorder_ppm == 0
    }

    /// The longest that a packet is under way.
    pub fn longest(&self) -> Duration {
        let queue = self.rate.map_or(Duration::ZERO, |(_, queue)| queue);
        let late = if self.reorder_ppm > 0 { self.reorder_by } else { Duration::ZERO };
        let twice = if self.duplicate_ppm > 0 { DUPLICATE_LATER } else { Duration::ZERO };
        self.delay + self.jitter + queue + late + twice + Duration::from_millis(5)
    }
}

/// What a datagram is, as everybody on the way can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// STUN.
    Stun,
    /// DTLS.
    Dtls,
    /// RTP of media, for the first time.
    Media(Rtp),
    /// RTP of media, once more (RFC 4588).
    Repair,
    /// RTCP.
    Rtcp,
    /// None of them.
    Other,
}

/// The part of an RTP header that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rtp {
    /// Payload type.
    pub pt: u8,
    /// Sequence number.
    pub seq: u16,
    /// Source.
    pub ssrc: u32,
}

impl Class {
    /// What these bytes are (RFC 7983); `repairs` has a bit for each payload type of retransmissions.
    pub(crate) fn of(bytes: &[u8], repairs: u128) -> Self {
        match bytes {
            [0..=3, ..] => Self::Stun,
            [20..=63, ..] => Self::Dtls,
            [128..=191, 192..=223, ..] => Self::Rtcp,
            [128..=191, second, s1, s2, _, _, _, _, a, b, c, d, ..] => {
                let pt = second & 0x7f;
                if repairs & (1 << pt) != 0 {
                    return Self::Repair;
                }
                Self::Media(Rtp { pt, seq: u16::from_be_bytes([*s1, *s2]), ssrc: u32::from_be_bytes([*a, *b, *c, *d]) })
            }
            _ => Self::Other,
        }
    }

    fn place(self) -> usize {
        match self {
            Self::Stun => 0,
            Self::Dtls => 1,
            Self::Media(_) => 2,
            Self::Repair => 3,
            Self::Rtcp => 4,
            Self::Other => 5,
        }
    }

    fn is_media(self) -> bool {
        matches!(self, Self::Media(_))
    }
}

/// What became of what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams sent.
    pub sent: u64,
    /// Lost by chance or in a burst.
    pub lost: u64,
    /// Lost since the queue was full.
    pub overflowed: u64,
    /// Lost while nothing passed.
    pub cut: u64,
    /// Overtaken.
    pub reordered: u64,
    /// Arrived twice.
    pub duplicated: u64,
}

impl Counts {
    /// Those of another link, too.
    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.lost += other.lost;
        self.overflowed += other.overflowed;
        self.cut += other.cut;
        self.reordered += other.reordered;
        self.duplicated += other.duplicated;
    }
}

/// When a datagram arrives: never, once or twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrivals {
    /// The first.
    pub first: Option<Moment>,
    /// The second.
    pub second: Option<Moment>,
}

/// One direction of a path, with what happened on it.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    path: Path,
    seed: u64,
    seen: [u64; 6],
    bursts: Random,
    is_bad: bool,
    turns_at: Moment,
    busy_until: Moment,
    /// When the last one arrives that was not overtaken.
    last: Moment,
    lost_at: Option<Moment>,
    counts: Counts,
}

impl Link {
    /// A link over a path.
    pub(crate) fn new(path: Path, seed: u64) -> Self {
        Self {
            path,
            seed,
            seen: [0; 6],
            bursts: Random::new(hash(&[seed, 99])),
            is_bad: false,
            turns_at: Moment::ZERO,
            busy_until: Moment::ZERO,
            last: Moment::ZERO,
            lost_at: None,
            counts: Counts::default(),
        }
    }

    /// The path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What happened so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// When something was lost last.
    pub(crate) fn lost_at(&self) -> Option<Moment> {
        self.lost_at
    }

    /// Sends a datagram.
    pub(crate) fn send(&mut self, now: Moment, class: Class, length: usize) -> Arrivals {
        self.counts.sent += 1;
        let place = class.place();
        let number = self.seen.get_mut(place).map_or(0, |seen| {
            *seen += 1;
            *seen
        });
        let mut chance = Random::new(hash(&[self.seed, place as u64, number]));
        if self.is_lost(now, class, &mut chance) {
            self.lost_at = Some(now);
            return Arrivals::default();
        }
        // Handshakes differ by some bytes from run to run, since signatures do.
        let length = if class.is_media() { length } else { length.next_multiple_of(64) };
        let Some(left) = self.transmit(now, length) else {
            self.lost_at = Some(now);
            return Arrivals::default();
        };
        let jitter = Duration::from_micros(chance.below(self.path.jitter.as_micros() as u64 + 1));
        let mut at = left + self.path.delay + jitter;
        if chance.chance(self.path.reorder_ppm) {
            self.counts.reordered += 1;
            at += self.path.reorder_by;
        } else {
            at = at.max(self.last);
            self.last = at;
        }
        let twice = chance.chance(self.path.duplicate_ppm);
        self.counts.duplicated += u64::from(twice);
        Arrivals { first: Some(at), second: twice.then(|| at + chance.ms(0, DUPLICATE_LATER.as_millis() as u64)) }
    }

    fn is_lost(&mut self, now: Moment, class: Class, chance: &mut Random) -> bool {
        if self.path.outages.iter().any(|(from, length)| (*from..*from + *length).contains(&now)) {
            self.counts.cut += 1;
            return true;
        }
        let burst = self.burst(now);
        if self.path.spares_repairs && !class.is_media() {
            return false;
        }
        let lost = chance.chance(self.path.loss_ppm) | chance.chance(burst);
        self.counts.lost += u64::from(lost);
        lost
    }

    /// Losses in a million by the state of now.
    fn burst(&mut self, now: Moment) -> u32 {
        let Some(burst) = self.path.burst else { return 0 };
        while self.turns_at <= now {
            if self.turns_at > Moment::ZERO {
                self.is_bad = !self.is_bad;
            }
            let mean = if self.is_bad { burst.bad } else { burst.good };
            let uniform = (self.bursts.below(1 << 32) + 1) as f64 / (1_u64 << 32) as f64;
            self.turns_at += mean.mul_f64((-uniform.ln()).min(8.0)).max(Duration::from_millis(1));
        }
        if self.is_bad { burst.loss_ppm } else { 0 }
    }

    /// When the last bit has left; `None` where the queue is full.
    fn transmit(&mut self, now: Moment, length: usize) -> Option<Moment> {
        let Some((bps, queue)) = self.path.rate else { return Some(now) };
        let bps = self.path.rates.iter().rfind(|(from, _)| *from <= now).map_or(bps, |(_, bps)| *bps);
        let start = self.busy_until.max(now);
        if start - now > queue {
            self.counts.overflowed += 1;
            return None;
        }
        self.busy_until = start + Duration::from_nanos((length as u64 + 28) * 8_000_000_000 / bps.max(1));
        Some(self.busy_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEDIA: Class = Class::Media(Rtp { pt: 96, seq: 1, ssrc: 1 });

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn all(path: Path, count: u64) -> (Vec<Arrivals>, Counts) {
        let mut link = Link::new(path, 7);
        let arrivals = (0..count).map(|at| link.send(ms(at), MEDIA, 1_000)).collect();
        (arrivals, link.counts())
    }

    #[test]
    fn loses_what_it_says_and_counts_it() {
        let (arrivals, counts) = all(Path { loss_ppm: 100_000, ..Path::clean(20) }, 10_000);
        let lost = arrivals.iter().filter(|arrival| arrival.first.is_none()).count() as u64;
        assert_eq!(lost, counts.lost);
        assert!((900..1_100).contains(&lost), "{lost}");
        let burst = Burst { good: ms(900), bad: ms(100), loss_ppm: 500_000 };
        let (_, counts) = all(Path { burst: Some(burst), ..Path::clean(20) }, 100_000);
        assert!((3_500..6_500).contains(&counts.lost), "a tenth of the time, one in two: {}", counts.lost);
        let (_, counts) = all(Path { outages: vec![(ms(10), ms(5))], ..Path::clean(20) }, 100);
        assert_eq!((counts.cut, counts.lost), (5, 0));
    }

    #[test]
    fn keeps_the_order_unless_told_and_has_a_rate() {
        let in_order = |arrivals: &[Arrivals]| arrivals.is_sorted_by_key(|arrival| arrival.first);
        assert!(in_order(&all(Path { jitter: ms(40), ..Path::clean(20) }, 1_000).0));
        let late = Path { reorder_ppm: 50_000, reorder_by: ms(30), ..Path::clean(20) };
        assert!(!in_order(&all(late, 1_000).0));
        // 1,028 bytes each millisecond are 8.2 Mbit/s; half of them pass.
        let (arrivals, counts) = all(Path { rate: Some((4_112_000, ms(50))), ..Path::clean(20) }, 1_000);
        assert!((420..500).contains(&counts.overflowed), "{}", counts.overflowed);
        let longest = arrivals.iter().zip(0..).filter_map(|(arrival, at)| Some(arrival.first? - ms(at))).max();
        assert!(longest.unwrap() <= ms(20 + 50 + 2), "{longest:?}");
    }

    #[test]
    fn what_happens_to_media_does_not_depend_on_anything_else() {
        let path = Path { loss_ppm: 300_000, jitter: ms(5), ..Path::clean(20) };
        let (mut one, mut two) = (Link::new(path.clone(), 3), Link::new(path, 3));
        for at in 0..200 {
            two.send(ms(at), Class::Dtls, 900);
            let (a, b) = (one.send(ms(at), MEDIA, 500), two.send(ms(at), MEDIA, 500));
            assert_eq!(a.first.is_some(), b.first.is_some());
        }
    }

    #[test]
    fn tells_classes_apart() {
        let rtp = |pt| [0x80, pt, 1, 2, 0, 0, 0, 0, 0, 0, 0, 9];
        assert_eq!(Class::of(&rtp(0x80 | 96), 1 << 97), Class::Media(Rtp { pt: 96, seq: 258, ssrc: 9 }));
        assert_eq!(Class::of(&rtp(97), 1 << 97), Class::Repair);
        assert_eq!(Class::of(&[0x80, 200, 0, 0], 0), Class::Rtcp);
        assert_eq!(Class::of(&[22, 0], 0), Class::Dtls);
        assert_eq!(Class::of(&[0, 1], 0), Class::Stun);
        assert_eq!(Class::of(&[], 0), Class::Other);
    }
}
