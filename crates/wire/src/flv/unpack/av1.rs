//! Pictures of AV1: temporal delimiters taken out, the sequence header looked at where a picture brings one.

use bytes::Bytes;
use media::av1::{self, Config, obu, obu_type};
use media::{Flags, Payload, TrackInfo};

use super::{UnpackError, picture::Reading};

/// Reads one temporal unit by what is known of the track.
pub(super) fn read(known: Option<&Config>, coded: &Bytes) -> Result<Reading, UnpackError> {
    let units = av1::split(coded).ok_or(UnpackError::Lengths)?;
    let payload: Payload =
        units.into_iter().filter(|unit| !matches!(obu_type(unit), obu::TEMPORAL_DELIMITER | obu::PADDING)).collect();
    let header = payload.units.iter().find(|unit| obu_type(unit) == obu::SEQUENCE_HEADER);
    let renewed = header
        .filter(|header| known.is_none_or(|known| known.header != *header))
        .and_then(|header| Config::from_header(header.clone()).ok())
        .filter(|made| known.is_none_or(|known| known.sequence != made.sequence));
    let reduced = renewed.as_ref().or(known).is_some_and(|config| config.sequence.reduced);
    let flags = Flags { key: av1::is_key(&payload.units, reduced), ..Flags::default() };
    let has_picture = payload.units.iter().any(|unit| av1::is_picture(unit));
    Ok(Reading { track: renewed.map(TrackInfo::av1), picture: has_picture.then_some((flags, payload)) })
}
