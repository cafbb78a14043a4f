//! What a viewer of a picture in layers may see: one layer at a time, times that go on, and every picture at its own.

use std::time::Duration;

use crate::{
    ledger::Ledger,
    source::Stamp,
    watch::{Got, Seen, Watch},
};

/// A layer that begins behind the one before is late for less than this.
const LATE: Duration = Duration::from_millis(1_500);
/// Clocks of layers differ by less, in ticks.
const APART: i32 = 90_000 / 8;
/// Reports of the sender have told by then, in ticks, how clocks of layers differ, though all that is known of them at first
/// is when packets came.
const KNOWN: i32 = 90_000 * 5;

impl Watch {
    /// The layer that it gets.
    pub(crate) fn layer(&self) -> Option<usize> {
        let (_, got) = self.got.last_key_value()?;
        self.layers.iter().position(|layer| *layer == got.stamp.track)
    }

    /// A packet arrived of a picture in layers.
    ///
    /// # Errors
    /// Where anything about it is not as it should be.
    pub(crate) fn received_layer(
        &mut self,
        number: u64,
        stamp: Stamp,
        seen: &Seen,
        ledger: &Ledger,
    ) -> Result<(), String> {
        if !self.layers.contains(&stamp.track) {
            return Err(format!("which is none of its layers {:?}", self.layers));
        }
        let sent = self.sent.get(&number).ok_or("was never sent")?.at;
        let layer = ledger.get(stamp.track);
        let (began, made) = layer.and_then(|track| track.made_at(stamp.seq)).ok_or("was never made")?;
        if seen.marker != stamp.is_last() {
            return Err(format!("has marker {}", seen.marker));
        }
        let newest = self.got.last_key_value();
        // Another layer, or the same from a key frame on that is not the next picture.
        let goes_on = |(newest, got): (&u64, &Got)| {
            number < *newest
                || (got.stamp.track, newest.wrapping_sub(got.stamp.seq))
                    == (stamp.track, number.wrapping_sub(stamp.seq))
        };
        if !newest.is_some_and(goes_on) {
            self.turned = sent;
            if made < KNOWN {
                self.capture = None;
            }
        }
        let shift = seen.time.wrapping_sub(made.cast_unsigned()).cast_signed();
        // What was made before is played faster, however long it takes until it has gone out.
        let at = began + Duration::from_secs(1) * made.max(0).cast_unsigned() / 90_000;
        if at > self.turned.max(self.began()) + LATE {
            let capture = *self.capture.get_or_insert(shift);
            if shift.wrapping_sub(capture).abs() > APART {
                return Err(format!("is {} ticks from its time", shift.wrapping_sub(capture)));
            }
        }
        self.first_got.get_or_insert(number);
        let own = Got { stamp, time: seen.time };
        if self.got.insert(number, own).is_some() {
            return Err("arrived twice".to_owned());
        }
        if let Some((before, got)) = self.got.range(..number).next_back() {
            in_order((*before, *got), (number, own))?;
        }
        if let Some((behind, got)) = self.got.range(number + 1..).next() {
            in_order((number, own), (*behind, *got))?;
        }
        Ok(())
    }
}

fn in_order((a, one): (u64, Got), (b, two): (u64, Got)) -> Result<(), String> {
    one.stamp.precedes(&two.stamp, b == a + 1).map_err(|error| format!("{a} and {b}, {error}"))?;
    let ahead = two.time.wrapping_sub(one.time).cast_signed();
    let same = (one.stamp.track, one.stamp.frame) == (two.stamp.track, two.stamp.frame);
    if ahead < 0 || (ahead == 0 && !same) {
        return Err(format!("{a} has time {}, and {b} behind it has {}", one.time, two.time));
    }
    Ok(())
}
