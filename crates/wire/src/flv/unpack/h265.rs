//! Pictures of H.265: parameter sets taken out, flags from the slices.

use bytes::Bytes;
use media::h264::split_avcc;
use media::h265::{self, Config, nal, nal_type};
use media::{Flags, Payload, TrackInfo};

use super::{UnpackError, picture::Reading};

/// Reads one access unit by what is known of the track. Whether it is a B-frame is left open: the order in which
/// pictures are shown says it more cheaply than their slices.
pub(super) fn read(known: Option<&Config>, coded: &Bytes) -> Result<Reading, UnpackError> {
    let length_size = known.map_or(4, |config| config.length_size);
    let units = split_avcc(coded, length_size).ok_or(UnpackError::Lengths)?;
    let (sets, units): (Vec<_>, Vec<_>) = units.into_iter().partition(|unit| h265::is_parameter_set(unit));
    let renewed = renewed(known, &sets);
    let highest = renewed.as_ref().or(known).map_or(0, |config| config.picture.highest_sub_layer);
    let payload: Payload = units.into_iter().filter(|unit| !matches!(nal_type(unit), nal::AUD | nal::FILLER)).collect();
    let slices = || payload.units.iter().filter(|unit| h265::is_slice(unit));
    let flags = Flags {
        key: slices().any(|unit| h265::is_key(unit)),
        discardable: slices().all(|unit| h265::is_discardable(unit, highest)),
        ..Flags::default()
    };
    let picture = slices().next().is_some().then(|| (flags, payload.clone()));
    Ok(Reading { track: renewed.map(TrackInfo::h265), picture })
}

/// The configuration with parameter sets that came in band, where they change it. Sets that make no sense are passed
/// over: the picture may still be decodable by those that are known.
fn renewed(known: Option<&Config>, sets: &[Bytes]) -> Option<Config> {
    if sets.is_empty() || known.is_some_and(|known| sets.iter().all(|set| known.sets.contains(set))) {
        return None;
    }
    let mut all = known.map(|known| known.sets.clone()).unwrap_or_default();
    let key = |set: &[u8]| (nal_type(set), h265::set_id(set));
    for set in sets {
        match all.iter_mut().find(|old| key(old) == key(set)) {
            Some(old) => *old = set.clone(),
            None => all.push(set.clone()),
        }
    }
    let length_size = known.map_or(4, |known| known.length_size);
    Config::from_sets(&all).ok().map(|config| Config { length_size, ..config })
}
