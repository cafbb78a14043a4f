//! What the samples of a track are, and their bytes as frames.
//!
//! Pictures and AAC go through the reader of FLV bodies: it already takes parameter sets out of samples and says what a
//! frame is, and codings that FLV learns are learnt here too.

use bytes::{BufMut as _, Bytes, BytesMut};
use media::{Codec, Flags, Frame, Kind, MediaTime, Payload, TrackInfo, WallTime};
use wire::flv::{TagKind, UnpackError, Unpacked, Unpacker};

use super::{
    Mp4Error, Sample,
    boxes::{Fields, child, children},
};
use crate::source::Item;

/// Bytes of a visual sample entry before the boxes in it, and of an audio one (ISO/IEC 14496-12 sections 12.1.3, 12.2.3).
const VISUAL_ENTRY_BYTES: usize = 78;
const AUDIO_ENTRY_BYTES: usize = 28;
/// More in version 1 and 2 of QuickTime's audio entries.
const QUICKTIME_BYTES: [usize; 3] = [0, 16, 36];
const PACKET_CONFIG: u8 = 0;
const PACKET_MEDIA: u8 = 1;
const DECODER_SPECIFIC: u8 = 5;

/// What the samples of a track are.
#[derive(Debug)]
pub struct Coding {
    form: Form,
    unpacker: Unpacker,
    /// Ticks a second of the track, once it is known.
    rate_hz: u32,
}

#[derive(Debug)]
enum Form {
    Avc(Bytes),
    Aac(Bytes),
    /// Enhanced RTMP's way: a name of four letters and the configuration.
    Enhanced {
        fourcc: [u8; 4],
        config: Bytes,
    },
    Opus {
        channels: u8,
    },
}

impl Coding {
    /// Reads the body of an `stsd`; or says by its name what is not known.
    pub(super) fn parse(kind: Kind, stsd: Bytes) -> Result<Result<Self, String>, Mp4Error> {
        let mut fields = Fields::new(*b"stsd", stsd);
        fields.full()?;
        fields.u32()?;
        let Some((name, entry)) = children(fields.rest())?.into_iter().next() else {
            return Ok(Err("a track without a sample description".to_owned()));
        };
        let unknown = format!("'{}'", String::from_utf8_lossy(&name).escape_default());
        let mut fields = Fields::new(name, entry);
        let channels = match kind {
            Kind::Video => {
                fields.skip(VISUAL_ENTRY_BYTES)?;
                0
            }
            Kind::Audio => {
                fields.skip(8)?;
                let version = usize::from(fields.u16()?);
                fields.skip(6)?;
                let channels = fields.u16()?;
                fields.skip(AUDIO_ENTRY_BYTES - 18 + QUICKTIME_BYTES.get(version).copied().unwrap_or(0))?;
                u8::try_from(channels).unwrap_or(2)
            }
        };
        let boxes = children(fields.rest())?;
        let enhanced =
            |fourcc: &[u8; 4], name| child(&boxes, name).map(|config| Form::Enhanced { fourcc: *fourcc, config });
        let form = match &name {
            b"avc1" | b"avc3" => child(&boxes, b"avcC").map(Form::Avc),
            b"hvc1" | b"hev1" => enhanced(b"hvc1", b"hvcC"),
            b"av01" => enhanced(b"av01", b"av1C"),
            b"vp09" => enhanced(b"vp09", b"vpcC"),
            b"mp4a" => {
                // QuickTime puts it one box deeper.
                let inner = child(&boxes, b"wave").map(children).transpose()?.unwrap_or_default();
                let esds = child(&boxes, b"esds").or_else(|| child(&inner, b"esds"));
                esds.and_then(decoder_specific).map(Form::Aac)
            }
            b"Opus" => Some(Form::Opus { channels: channels.clamp(1, 2) }),
            _ => None,
        };
        Ok(form.map(|form| Self { form, unpacker: Unpacker::new(), rate_hz: 90_000 }).ok_or(unknown))
    }

    /// What the track is; to be asked before the first sample.
    ///
    /// # Errors
    /// Where its configuration is wrong or of a coding that is not taken.
    pub fn begin(&mut self) -> Result<Vec<Item>, UnpackError> {
        let mut body = BytesMut::new();
        match &self.form {
            Form::Opus { channels } => return Ok(vec![Item::Track(TrackInfo::opus(*channels))]),
            Form::Avc(config) => {
                body.put_slice(&[0x17, PACKET_CONFIG, 0, 0, 0]);
                body.put_slice(config);
            }
            Form::Aac(config) => {
                body.put_slice(&[0xaf, PACKET_CONFIG]);
                body.put_slice(config);
            }
            Form::Enhanced { fourcc, config } => {
                body.put_u8(0x90);
                body.put_slice(fourcc);
                body.put_slice(config);
            }
        }
        self.unpack(&body.freeze(), 0)
    }

    /// The frames of a sample. Times are in microseconds on the clock that all tracks share.
    ///
    /// # Errors
    /// Where the sample is malformed.
    pub fn take(
        &mut self,
        sample: &Sample,
        dts_us: i64,
        composition_us: i64,
        bytes: &Bytes,
    ) -> Result<Vec<Item>, UnpackError> {
        let composition_ms = composition_us.div_euclid(1_000).clamp(-0x7f_ffff, 0x7f_ffff);
        let mut body = BytesMut::with_capacity(bytes.len() + 8);
        match &self.form {
            Form::Opus { .. } => {
                let time = MediaTime(dts_us).rescale(1_000_000, 48_000);
                return Ok(vec![Item::Frame(frame(Codec::Opus, time, time, true, Payload::single(bytes.clone())))]);
            }
            Form::Avc(_) => {
                body.put_slice(&[if sample.key { 0x17 } else { 0x27 }, PACKET_MEDIA]);
                body.put_int(composition_ms, 3);
            }
            Form::Aac(_) => body.put_slice(&[0xaf, PACKET_MEDIA]),
            Form::Enhanced { fourcc, .. } => {
                // Packets of type 1 are coded frames; of HEVC they begin with a composition time.
                body.put_u8(if sample.key { 0x91 } else { 0xa1 });
                body.put_slice(fourcc);
                if fourcc == b"hvc1" {
                    body.put_int(composition_ms, 3);
                }
            }
        }
        body.put_slice(bytes);
        self.unpack(&body.freeze(), dts_us)
    }

    fn unpack(&mut self, body: &Bytes, dts_us: i64) -> Result<Vec<Item>, UnpackError> {
        let kind = if matches!(self.form, Form::Aac(_)) { TagKind::Audio } else { TagKind::Video };
        let mut items = Vec::new();
        for unpacked in self.unpacker.unpack(kind, 0, body)? {
            match unpacked {
                Unpacked::Config(info) => {
                    self.rate_hz = info.clock_rate_hz;
                    items.push(Item::Track(info));
                }
                Unpacked::Frame(unit) => {
                    let rate = self.rate_hz;
                    let dts = MediaTime(dts_us).rescale(1_000_000, rate);
                    let pts = dts + MediaTime(unit.composition_ms.into()).rescale(1_000, rate).0;
                    items.push(Item::Frame(Frame {
                        flags: unit.flags,
                        ..frame(unit.codec, dts, pts, true, unit.payload)
                    }));
                }
                _ => {}
            }
        }
        Ok(items)
    }
}

fn frame(codec: Codec, dts: MediaTime, pts: MediaTime, key: bool, payload: Payload) -> Frame {
    Frame { codec, flags: Flags { key, ..Flags::default() }, dts, pts, wall: WallTime(0), payload }
}

/// The AudioSpecificConfig in an `esds` (ISO/IEC 14496-1 section 7.2.6): descriptors in descriptors.
fn decoder_specific(esds: Bytes) -> Option<Bytes> {
    let mut fields = Fields::new(*b"esds", esds);
    fields.full().ok()?;
    for _ in 0..8 {
        let tag = fields.u8().ok()?;
        let mut bytes = 0usize;
        for _ in 0..4 {
            let byte = fields.u8().ok()?;
            bytes = bytes << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        match tag {
            // ES: its number and its flags, then descriptors.
            3 => {
                fields.u16().ok()?;
                let flags = fields.u8().ok()?;
                if flags & 0x80 != 0 {
                    fields.u16().ok()?;
                }
                if flags & 0x40 != 0 {
                    let url = fields.u8().ok()?;
                    fields.skip(url.into()).ok()?;
                }
                if flags & 0x20 != 0 {
                    fields.u16().ok()?;
                }
            }
            // Decoder configuration: 13 bytes, then descriptors.
            4 => fields.skip(13).ok()?,
            DECODER_SPECIFIC => return fields.bytes(bytes).ok(),
            _ => fields.skip(bytes).ok()?,
        }
    }
    None
}
