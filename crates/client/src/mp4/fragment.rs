//! `moof`: the samples of one fragment.

use bytes::Bytes;

use super::{
    Mp4Error, SAMPLE_BYTES_MAX, Sample, Track,
    boxes::{Fields, child, children},
};

/// Samples of one fragment at most: ten minutes of sound and of picture.
const FRAGMENT_SAMPLES_MAX: usize = 65_536;
/// `sample_is_non_sync_sample` (ISO/IEC 14496-12 section 8.8.3.1).
const NOT_KEY: u32 = 0x1_0000;

mod tfhd {
    pub(super) const BASE_DATA_OFFSET: u32 = 0x1;
    pub(super) const DESCRIPTION: u32 = 0x2;
    pub(super) const DURATION: u32 = 0x8;
    pub(super) const SIZE: u32 = 0x10;
    pub(super) const FLAGS: u32 = 0x20;
}

mod trun {
    pub(super) const DATA_OFFSET: u32 = 0x1;
    pub(super) const FIRST_FLAGS: u32 = 0x4;
    pub(super) const DURATION: u32 = 0x100;
    pub(super) const SIZE: u32 = 0x200;
    pub(super) const FLAGS: u32 = 0x400;
    pub(super) const COMPOSITION: u32 = 0x800;
}

/// Reads the body of a `moof` of `moof_bytes` bytes in all. Samples of tracks that are not in `tracks` are left out.
/// `next_dts` has the time at which each track goes on where a fragment does not say it, and is moved on.
///
/// # Errors
/// Where a box is cut short or holds more samples than are read.
pub fn fragment(
    body: &Bytes,
    moof_at: u64,
    moof_bytes: u64,
    tracks: &[Track],
    next_dts: &mut [i64],
) -> Result<Vec<Sample>, Mp4Error> {
    let mut out = Vec::new();
    let mut follows = moof_bytes + 8;
    for (_, traf) in children(body.clone())?.iter().filter(|(name, _)| name == b"traf") {
        let boxes = children(traf.clone())?;
        let mut header = Fields::new(*b"tfhd", child(&boxes, b"tfhd").unwrap_or_default());
        let (_, flags) = header.full()?;
        let id = header.u32()?;
        let found = tracks.iter().zip(next_dts.iter_mut()).find(|(track, _)| track.id == id);
        let Some((track, next)) = found else { continue };
        // From the start of the file in old files, else from the start of this box.
        let base = if flags & tfhd::BASE_DATA_OFFSET != 0 { header.u64()?.wrapping_sub(moof_at) } else { 0 };
        if flags & tfhd::DESCRIPTION != 0 {
            header.skip(4)?;
        }
        let mut defaults = track.defaults;
        for (bit, field) in [
            (tfhd::DURATION, &mut defaults.duration),
            (tfhd::SIZE, &mut defaults.size),
            (tfhd::FLAGS, &mut defaults.flags),
        ] {
            if flags & bit != 0 {
                *field = header.u32()?;
            }
        }
        if let Some(tfdt) = child(&boxes, b"tfdt") {
            let mut fields = Fields::new(*b"tfdt", tfdt);
            let (version, _) = fields.full()?;
            *next = i64::try_from(fields.sized(version)?).unwrap_or(i64::MAX);
        }
        let runs = boxes.iter().filter(|(name, _)| name == b"trun");
        for (_, body) in runs {
            let mut run = Run { fields: Fields::new(*b"trun", body.clone()), track, defaults, base };
            run.read(next, &mut follows, &mut out)?;
        }
    }
    Ok(out)
}

struct Run<'a> {
    fields: Fields,
    track: &'a Track,
    defaults: super::Defaults,
    base: u64,
}

impl Run<'_> {
    fn read(&mut self, next: &mut i64, follows: &mut u64, out: &mut Vec<Sample>) -> Result<(), Mp4Error> {
        let (version, flags) = self.fields.full()?;
        let count = self.fields.u32()? as usize;
        if out.len() + count > FRAGMENT_SAMPLES_MAX {
            return Err(Mp4Error::Tables("a fragment has more samples than ten minutes"));
        }
        let mut offset = match flags & trun::DATA_OFFSET {
            0 => *follows,
            _ => self.base.wrapping_add_signed(i64::from(self.fields.u32()?.cast_signed())),
        };
        let first_flags = if flags & trun::FIRST_FLAGS != 0 { Some(self.fields.u32()?) } else { None };
        for index in 0..count {
            let mut get = |bit: u32, or: u32| if flags & bit != 0 { self.fields.u32() } else { Ok(or) };
            let duration = get(trun::DURATION, self.defaults.duration)?;
            let bytes = get(trun::SIZE, self.defaults.size)?;
            let own = get(trun::FLAGS, self.defaults.flags)?;
            let composition = get(trun::COMPOSITION, 0)?;
            let own = first_flags.filter(|_| index == 0).unwrap_or(own);
            if bytes > SAMPLE_BYTES_MAX {
                return Err(Mp4Error::Tables("a sample is longer than 16 MiB"));
            }
            let composition =
                if version == 0 { i32::try_from(composition).unwrap_or(0) } else { composition.cast_signed() };
            let key = self.track.kind == media::Kind::Audio || own & NOT_KEY == 0;
            out.push(Sample { track_id: self.track.id, offset, bytes, dts: *next, composition, key });
            offset = offset.wrapping_add(u64::from(bytes));
            *next = next.saturating_add(i64::from(duration));
        }
        *follows = offset;
        Ok(())
    }
}
