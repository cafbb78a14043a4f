//! Pictures of H.264: parameter sets taken out, flags from the slices.

use bytes::Bytes;
use media::h264::{self, Config, nal, nal_type};
use media::{Flags, Payload, TrackInfo, bits::BitReader};

use super::{UnpackError, picture::Reading};

/// Parameter sets of one kind that are kept, at most (ISO/IEC 14496-15 has 5 bits for the count).
pub(super) const SETS_MAX: usize = 31;

/// Reads one access unit by what is known of the track.
pub(super) fn read(known: Option<&Config>, coded: &Bytes) -> Result<Reading, UnpackError> {
    let length_size = known.map_or(4, |config| config.length_size);
    let units = h264::split_avcc(coded, length_size).ok_or(UnpackError::Lengths)?;
    let (sets, units): (Vec<_>, Vec<_>) =
        units.into_iter().partition(|unit| matches!(nal_type(unit), nal::SPS | nal::PPS));
    let payload: Payload = units.into_iter().filter(|unit| !matches!(nal_type(unit), nal::AUD | nal::FILLER)).collect();
    let has_slices = payload.units.iter().any(|unit| is_slice(unit));
    Ok(Reading {
        track: renewed(known, &sets).map(TrackInfo::h264),
        picture: has_slices.then(|| (flags(&payload), payload)),
    })
}

/// The configuration with parameter sets that came in band, where they change it. Sets that make no sense are passed
/// over: the picture may still be decodable by those that are known.
fn renewed(known: Option<&Config>, sets: &[Bytes]) -> Option<Config> {
    if sets.is_empty()
        || known.is_some_and(|known| sets.iter().all(|set| known.sps.contains(set) || known.pps.contains(set)))
    {
        return None;
    }
    let (mut sps, mut pps) = known.map(|known| (known.sps.clone(), known.pps.clone())).unwrap_or_default();
    for set in sets {
        let list = if nal_type(set) == nal::SPS { &mut sps } else { &mut pps };
        let full = list.len() >= SETS_MAX;
        match list.iter_mut().find(|old| set_id(old) == set_id(set)) {
            Some(old) => *old = set.clone(),
            None if full => return None,
            None => list.push(set.clone()),
        }
    }
    let length_size = known.map_or(4, |known| known.length_size);
    Config::from_sets(sps, pps).ok().map(|config| Config { length_size, ..config })
}

fn is_slice(unit: &[u8]) -> bool {
    (nal::SLICE..=nal::IDR).contains(&nal_type(unit))
}

fn flags(payload: &Payload) -> Flags {
    let slices = || payload.units.iter().filter(|unit| is_slice(unit));
    Flags {
        key: slices().any(|unit| nal_type(unit) == nal::IDR),
        discardable: !slices().any(|unit| h264::is_reference(unit)),
        b_frame: slices().any(|unit| h264::is_b_slice(unit)),
        discontinuity: false,
    }
}

/// The number that slices and picture parameter sets refer to a set by (ITU-T H.264 sections 7.3.2.1.1 and 7.3.2.2).
fn set_id(set: &[u8]) -> Option<u32> {
    let head = h264::unescape(set.get(1..set.len().min(SET_HEAD_BYTES)).unwrap_or_default());
    let mut bits = BitReader::new(&head);
    if nal_type(set) == nal::SPS {
        bits.skip(24)?;
    }
    bits.ue()
}

/// Bytes of a parameter set in which its number is.
const SET_HEAD_BYTES: usize = 16;
