//! The layers of a track: codings of one picture side by side, each with a ring of its own, and how much each of them takes.
//! A track that is sent in one coding has one.

use std::time::{Duration, Instant};

use media::{LAYERS_MAX, RtpPacket};
use smallvec::SmallVec;

use crate::ring::Ring;

/// Rates are measured this often, over so many of these times: a group of pictures, often.
const MEASURE_INTERVAL: Duration = Duration::from_millis(500);
const WINDOWS: usize = 4;
/// A layer of which nothing came for so long, while others went on, is not sent any more.
const STOPPED: Duration = Duration::from_secs(1);
/// Two layers change places once the lower takes this much more than the higher, in percent.
const OVERTAKES: u64 = 125;

/// One layer.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) ring: Ring,
    /// When its source was asked for a key frame.
    pub(crate) asked: Option<Instant>,
    /// When its newest packet came.
    newest: Option<Instant>,
    live: bool,
    rate_bps: u64,
    /// Bytes in the last times, the newest first, and how many of them there are.
    windows: [u64; WINDOWS],
    measured: usize,
}

/// The layers of a track, at least one.
#[derive(Debug)]
pub(crate) struct Layers {
    list: SmallVec<[Layer; 1]>,
    /// Their places in the list, from the lowest to the highest.
    order: SmallVec<[u8; LAYERS_MAX]>,
    measure_at: Option<Instant>,
}

/// The layers that a viewer may get, from the lowest to the highest: place in the list, and bits a second.
pub(crate) type Ranked = SmallVec<[(usize, u64); LAYERS_MAX]>;

impl Default for Layers {
    fn default() -> Self {
        let (list, order) = (SmallVec::from_iter([Layer::default()]), SmallVec::from_iter([0]));
        Self { list, order, measure_at: None }
    }
}

impl Layers {
    /// How many there are, sent or not.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn ring(&self, layer: usize) -> Option<&Ring> {
        self.list.get(layer).map(|layer| &layer.ring)
    }

    /// Whether there is a key frame of a layer to begin with, and it is about as new as others are: of a layer that stopped,
    /// or that does not cross to this shard, an old one may be left.
    pub(crate) fn has_beginning(&self, layer: usize) -> bool {
        let newest = self.list.iter().filter_map(|layer| layer.ring.last_wall()).max();
        let ring = self.ring(layer).filter(|ring| ring.key().is_some());
        let behind_us = ring.and_then(Ring::last_wall).zip(newest).map(|(own, newest)| newest - own);
        behind_us.is_some_and(|behind_us| behind_us < i64::try_from(STOPPED.as_micros()).unwrap_or(i64::MAX))
    }

    pub(crate) fn get_mut(&mut self, layer: usize) -> Option<&mut Layer> {
        self.list.get_mut(layer)
    }

    /// The layer of a packet, which comes into being with its first.
    pub(crate) fn at(&mut self, layer: usize) -> Option<&mut Layer> {
        while self.list.len() <= layer && layer < LAYERS_MAX {
            self.order.push(u8::try_from(self.list.len()).unwrap_or(0));
            self.list.push(Layer::default());
        }
        self.list.get_mut(layer)
    }

    /// A packet came.
    pub(crate) fn count(&mut self, layer: usize, bytes: usize, now: Instant) {
        let Some(layer) = self.at(layer) else { return };
        (layer.newest, layer.live) = (Some(now), true);
        let [current, ..] = &mut layer.windows;
        *current += bytes as u64;
    }

    /// Bits a second of a layer; 0 where it is not known.
    pub(crate) fn rate_bps(&self, layer: usize) -> u64 {
        self.list.get(layer).map_or(0, |layer| layer.rate_bps)
    }

    /// Measures, where it is time; true where it did.
    pub(crate) fn measure(&mut self, now: Instant) -> bool {
        if self.measure_at.is_some_and(|at| at > now) {
            return false;
        }
        let first = self.measure_at.replace(now + MEASURE_INTERVAL).is_none();
        let newest = self.list.iter().filter_map(|layer| layer.newest).max();
        for layer in &mut self.list {
            let behind = newest.zip(layer.newest).map(|(newest, own)| newest.saturating_duration_since(own));
            layer.live = behind.is_some_and(|behind| behind < STOPPED);
            if !layer.live {
                (layer.windows, layer.measured, layer.rate_bps) = ([0; WINDOWS], 0, 0);
            } else if first {
                // Since when they are counted is not known.
                layer.windows = [0; WINDOWS];
            } else {
                layer.measured = (layer.measured + 1).min(WINDOWS);
                let bytes: u64 = layer.windows.iter().sum();
                let ms = MEASURE_INTERVAL.as_millis() as u64 * layer.measured as u64;
                layer.rate_bps = bytes * 8_000 / ms.max(1);
                layer.windows.rotate_right(1);
                layer.windows[0] = 0;
            }
        }
        self.rank();
        true
    }

    /// What another shard measured: bits a second, 0 where a layer is not sent.
    pub(crate) fn measured(&mut self, rates: &[u32]) {
        for (place, rate) in rates.iter().enumerate() {
            if *rate == 0 && place >= self.list.len() {
                continue;
            }
            let Some(layer) = self.at(place) else { continue };
            (layer.live, layer.rate_bps, layer.measured) = (*rate > 0, u64::from(*rate), WINDOWS);
        }
        self.rank();
    }

    /// What is to be told another shard.
    pub(crate) fn rates(&self) -> [u32; LAYERS_MAX] {
        let mut rates = [0; LAYERS_MAX];
        for (rate, layer) in rates.iter_mut().zip(&self.list).filter(|(_, layer)| layer.live) {
            *rate = u32::try_from(layer.rate_bps).unwrap_or(u32::MAX).max(1);
        }
        rates
    }

    fn rank(&mut self) {
        let rate = |place: &u8| self.list.get(usize::from(*place)).map_or(0, |layer| layer.rate_bps);
        for _ in 1..self.order.len() {
            for lower in 1..self.order.len() {
                if let Some([low, high]) = self.order.get_mut(lower - 1..=lower)
                    && rate(high) > 0
                    && rate(low) * 100 > rate(high) * OVERTAKES
                {
                    std::mem::swap(low, high);
                }
            }
        }
    }

    /// The layers that are sent, up to the `most`th from the lowest. One that has just begun is left out until it is known
    /// what it takes, unless that is known of none.
    pub(crate) fn ranked(&self, most: u8) -> Ranked {
        let of = |known: bool| -> Ranked {
            let sent =
                self.order.iter().filter_map(|place| Some((usize::from(*place), self.list.get(usize::from(*place))?)));
            let fit = sent.filter(|(_, layer)| layer.live && (!known || layer.measured > 0));
            fit.map(|(place, layer)| (place, layer.rate_bps)).collect()
        };
        let mut ranked = of(true);
        if ranked.is_empty() {
            ranked = of(false);
        }
        ranked.truncate(usize::from(most).saturating_add(1));
        ranked
    }

    /// The highest that is sent; the first, where none is.
    pub(crate) fn highest(&self, most: u8) -> usize {
        self.ranked(most).last().map_or(0, |(place, _)| *place)
    }

    /// Whether a layer is no higher than another.
    pub(crate) fn is_within(&self, layer: usize, limit: usize) -> bool {
        let rank = |of: usize| self.order.iter().position(|place| usize::from(*place) == of);
        layer == limit || rank(layer) < rank(limit)
    }
}

/// Which layer a packet is of.
pub(crate) fn layer_of(packet: &RtpPacket) -> usize {
    usize::from(packet.layer).min(LAYERS_MAX - 1)
}

#[cfg(test)]
mod tests {
    use media::{MediaTime, SeqNo, WallTime};

    use super::*;
    use crate::ring::{Entry, Limits, Start};

    /// Half seconds of layers that take so many bytes each.
    fn run(layers: &mut Layers, now: &mut Instant, half_seconds: usize, bytes: &[usize]) {
        for _ in 0..half_seconds {
            for _ in 0..5 {
                for (place, bytes) in bytes.iter().enumerate().filter(|(_, bytes)| **bytes > 0) {
                    layers.count(place, *bytes / 5, *now);
                }
                *now += MEASURE_INTERVAL / 5;
            }
            layers.measure(*now);
        }
    }

    #[test]
    fn layers_are_measured_ordered_by_what_they_take_and_left_out_when_they_stop() {
        let (mut layers, mut now) = (Layers::default(), Instant::now());
        layers.measure(now);
        assert_eq!((layers.len(), layers.highest(u8::MAX)), (1, 0));
        run(&mut layers, &mut now, 4, &[100_000, 10_000, 30_000]);
        assert_eq!(layers.ranked(u8::MAX).as_slice(), [(1, 160_000), (2, 480_000), (0, 1_600_000)]);
        assert_eq!(layers.ranked(1).as_slice(), [(1, 160_000), (2, 480_000)], "two, counted from the lowest");
        assert_eq!((layers.highest(0), layers.highest(u8::MAX)), (1, 0));
        assert!(layers.is_within(1, 2) && layers.is_within(2, 2) && !layers.is_within(0, 2));
        run(&mut layers, &mut now, 4, &[0, 10_000, 11_000]);
        assert_eq!(
            layers.ranked(u8::MAX).iter().map(|(place, _)| *place).collect::<Vec<_>>(),
            [1, 2],
            "one has stopped"
        );
        run(&mut layers, &mut now, 4, &[0, 11_000, 10_000]);
        assert_eq!(layers.ranked(u8::MAX).iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 2], "about alike");
        run(&mut layers, &mut now, 1, &[90_000, 11_000, 10_000]);
        assert_eq!(layers.highest(u8::MAX), 0, "it is back");
    }

    #[test]
    fn a_layer_that_has_just_begun_is_not_known_yet_and_all_stop_together_or_none_does() {
        let (mut layers, mut now) = (Layers::default(), Instant::now());
        layers.count(1, 100, now);
        assert_eq!(layers.ranked(u8::MAX).as_slice(), [(1, 0)], "nothing is known of any");
        layers.measure(now);
        run(&mut layers, &mut now, 2, &[0, 1_000]);
        layers.count(2, 1_000, now);
        assert_eq!(layers.ranked(u8::MAX).as_slice(), [(1, 16_000)]);
        run(&mut layers, &mut now, 20, &[]);
        assert_eq!(layers.ranked(u8::MAX).len(), 2, "where nothing comes at all, the publisher is cut off");
        layers.count(99, 1, now);
        assert_eq!(layers.len(), 3, "bounded");
    }

    #[test]
    fn nobody_begins_with_what_is_left_of_a_layer_that_stopped() {
        let mut layers = Layers::default();
        let push = |layers: &mut Layers, layer: usize, seq: u64, ms: i64, start| {
            let entry = Entry {
                seq: SeqNo(seq),
                time: MediaTime(ms * 90),
                wall: WallTime(ms * 1_000),
                marker: true,
                audio_level: None,
                payload: [0; 10].into(),
                padding: 0,
                start,
            };
            let limits = Limits { age_max: Duration::from_secs(3), bytes_max: 1_000 };
            layers.at(layer).unwrap().ring.push(entry, 90_000, limits);
        };
        push(&mut layers, 0, 1, 0, Start::Yes);
        push(&mut layers, 1, 1, 0, Start::Yes);
        push(&mut layers, 1, 2, 900, Start::No);
        assert!(layers.has_beginning(0) && layers.has_beginning(1) && !layers.has_beginning(2));
        push(&mut layers, 1, 3, 1_000, Start::No);
        assert!(!layers.has_beginning(0) && layers.has_beginning(1), "a second behind");
    }

    #[test]
    fn another_shard_knows_the_same() {
        let (mut layers, mut other, mut now) = (Layers::default(), Layers::default(), Instant::now());
        layers.measure(now);
        run(&mut layers, &mut now, 4, &[10_000, 90_000]);
        other.measured(&layers.rates());
        assert_eq!((other.len(), other.ranked(u8::MAX)), (2, layers.ranked(u8::MAX)));
    }
}
