//! One media segment of one fragment: `styp`, `prft`, `moof` and `mdat`, with a run of samples for each track.

use bytes::Bytes;
use media::{Codec, Payload, WallTime};
use mp4_atom::{
    Encode as _, FourCC, Mfhd, Moof, Prft, ReferenceTime as Semantics, Styp, Tfdt, Tfhd, Traf, Trun, TrunEntry,
    TrunSamples,
};

use super::Mp4Error;

/// A picture that a decoder can start at: depends on no other (ISO/IEC 14496-12 section 8.8.3.1).
const FLAGS_KEY: u32 = 0x0200_0000;
/// Any other: depends on others, and is no place to start.
const FLAGS_DELTA: u32 = 0x0101_0000;
/// No other depends on it.
const FLAGS_DISCARDABLE: u32 = 0x0080_0000;
/// Box header of `mdat`: size and name.
const MDAT_HEADER: usize = 8;
/// Bytes before each NAL unit.
const LENGTH_SIZE: usize = 4;

/// One sample of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Ticks of the track until the next sample is decoded.
    pub duration: u32,
    /// Ticks from decoding to showing; may be negative.
    pub composition_offset: i32,
    /// A decoder can start here.
    pub key: bool,
    /// No other sample depends on it.
    pub discardable: bool,
    /// The coded bytes, in the shape that [`Payload`] describes.
    pub payload: Payload,
}

/// The samples of one track in a fragment, in decoding order.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// As [`super::track_id`] gives it.
    pub track_id: u32,
    /// The coding: it says how the units of a payload are framed.
    pub codec: Codec,
    /// When the first sample is decoded, in ticks of the track.
    pub decode_time: u64,
    /// The samples; a run without any is left out.
    pub samples: Vec<Sample>,
}

/// Ties a moment of media to the wall clock (`prft`, ISO/IEC 14496-12 section 8.16.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceTime {
    /// The track whose clock `media_time` is on.
    pub track_id: u32,
    /// Showing time, in ticks of that track.
    pub media_time: u64,
    /// When that was captured.
    pub wall: WallTime,
}

/// One media segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Fragment {
    /// Rises with every fragment of a stream.
    pub sequence: u32,
    /// Where the fragment is on the wall clock, if that is known.
    pub reference: Option<ReferenceTime>,
    /// The media.
    pub runs: Vec<Run>,
}

impl Fragment {
    /// The bytes of the segment.
    ///
    /// # Errors
    /// Where it is larger than 2 GiB.
    pub fn write(&self) -> Result<Bytes, Mp4Error> {
        let runs: Vec<&Run> = self.runs.iter().filter(|run| !run.samples.is_empty()).collect();
        let media: usize = runs.iter().map(|run| run.size()).sum();
        let mut head = Vec::with_capacity(1_024);
        let brands = [b"msdh", b"msix"].map(FourCC::new).to_vec();
        Styp { major_brand: FourCC::new(b"msdh"), minor_version: 0, compatible_brands: brands }.encode(&mut head)?;
        if let Some(reference) = &self.reference {
            reference.to_box().encode(&mut head)?;
        }
        // The offsets of the runs count from the start of `moof`, and so need its size: it is written twice.
        let mut moof = Vec::new();
        self.moof(&runs, 0)?.encode(&mut moof)?;
        let size = moof.len();
        moof.clear();
        self.moof(&runs, size + MDAT_HEADER)?.encode(&mut moof)?;

        let mdat = u32::try_from(media + MDAT_HEADER).map_err(|_| Mp4Error::TooLarge)?;
        let mut out = Vec::with_capacity(head.len() + size + media + MDAT_HEADER);
        out.extend_from_slice(&head);
        out.extend_from_slice(&moof);
        out.extend_from_slice(&mdat.to_be_bytes());
        out.extend_from_slice(b"mdat");
        for run in &runs {
            for sample in &run.samples {
                put(&mut out, run.codec, &sample.payload)?;
            }
        }
        Ok(out.into())
    }

    fn moof(&self, runs: &[&Run], mut offset: usize) -> Result<Moof, Mp4Error> {
        let mut traf = Vec::with_capacity(runs.len());
        for run in runs {
            traf.push(run.traf(i32::try_from(offset).map_err(|_| Mp4Error::TooLarge)?)?);
            offset += run.size();
        }
        Ok(Moof { mfhd: Mfhd { sequence_number: self.sequence }, traf })
    }
}

impl Run {
    /// Bytes in `mdat`.
    fn size(&self) -> usize {
        self.samples.iter().map(|sample| sample.size(self.codec)).sum()
    }

    fn traf(&self, data_offset: i32) -> Result<Traf, Mp4Error> {
        let pictures = self.codec.kind() == media::Kind::Video;
        let reordered = self.samples.iter().any(|sample| sample.composition_offset != 0);
        let entry = |sample: &Sample| -> Result<TrunEntry, Mp4Error> {
            Ok(TrunEntry {
                duration: Some(sample.duration),
                size: Some(u32::try_from(sample.size(self.codec)).map_err(|_| Mp4Error::TooLarge)?),
                flags: pictures.then(|| sample.flags()),
                cts: reordered.then(|| sample.composition_offset.into()),
            })
        };
        let entries = self.samples.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        Ok(Traf {
            tfhd: Tfhd {
                track_id: self.track_id,
                default_sample_flags: Some(FLAGS_KEY),
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt { base_media_decode_time: self.decode_time }),
            trun: vec![Trun { data_offset: Some(data_offset), samples: TrunSamples::Explicit(entries) }],
            ..Traf::default()
        })
    }
}

impl Sample {
    fn size(&self, codec: Codec) -> usize {
        let prefixes = if has_lengths(codec) { self.payload.units.len() * LENGTH_SIZE } else { 0 };
        self.payload.len() + prefixes
    }

    fn flags(&self) -> u32 {
        let start = if self.key { FLAGS_KEY } else { FLAGS_DELTA };
        start | if self.discardable { FLAGS_DISCARDABLE } else { 0 }
    }
}

impl ReferenceTime {
    fn to_box(self) -> Prft {
        Prft {
            reference_track_id: self.track_id,
            ntp_timestamp: self.wall.to_ntp(),
            media_time: self.media_time,
            utc_time_semantics: Semantics::Input,
        }
    }
}

/// Whether the units of a payload carry their length (ISO/IEC 14496-15).
fn has_lengths(codec: Codec) -> bool {
    matches!(codec, Codec::H264 | Codec::H265)
}

fn put(out: &mut Vec<u8>, codec: Codec, payload: &Payload) -> Result<(), Mp4Error> {
    for unit in &payload.units {
        if has_lengths(codec) {
            let length = u32::try_from(unit.len()).map_err(|_| Mp4Error::TooLarge)?;
            out.extend_from_slice(&length.to_be_bytes());
        }
        out.extend_from_slice(unit);
    }
    Ok(())
}
