//! Sending: one kind towards a viewer.

use std::time::Instant;

use media::{Codec, Kind};
use str0m::{
    Rtc,
    media::{MediaTime, Mid, Pt, Rid},
    rtp::{AbsCaptureTime, ExtensionValues, RtpWrite, Ssrc},
};

use super::{Full, REPAIR_PACKETS_MAX};
use crate::{
    error::NotSent,
    leg::{Outgoing, PAYLOAD_BYTES_MAX},
    sdp::{Active, Local},
};

/// How long a packet may be asked for again.
const REPAIR_AGE: std::time::Duration = std::time::Duration::from_secs(3);
/// Retransmissions may take this share of what is sent; str0m stops repairing at 15 % unless told otherwise.
const REPAIR_SHARE: f32 = 0.5;

#[derive(Debug)]
pub(super) struct Egress {
    pub(super) kind: Kind,
    pub(super) codec: Codec,
    pub(super) mid: Mid,
    pt: Pt,
    ssrc: Ssrc,
    rtx: Option<Ssrc>,
    /// Which of several layers it is, and its name.
    pub(super) layer: u8,
    pub(super) rid: Option<Rid>,
    declared: bool,
}

impl Egress {
    /// `None` where str0m did not accept the m= line.
    pub(super) fn new(rtc: &mut Rtc, active: &Active) -> Option<Self> {
        let mid = Mid::from(active.inner_mid.as_str());
        let pt = Pt::from(active.formats.first()?.pt);
        let mut direct = rtc.direct_api();
        let stream = direct.stream_tx_by_mid(mid, None)?;
        let (ssrc, rtx) = (stream.ssrc(), stream.rtx());
        // It is declared again with the first packet: before that str0m would report an RTP time of 0, and players
        // would put the track there.
        direct.remove_stream_tx(ssrc);
        Some(Self { kind: active.kind, codec: active.codec, mid, pt, ssrc, rtx, layer: 0, rid: None, declared: false })
    }

    /// The sending end of a layer of what we offered, with the sources that the offer names.
    pub(super) fn offered(active: &Active, local: &Local, layer: usize) -> Option<Self> {
        let (mid, pt) = (Mid::from(active.inner_mid.as_str()), Pt::from(active.formats.first()?.pt));
        let rtx = local.rtx.filter(|_| active.formats.first().is_some_and(|format| format.rtx.is_some()));
        let (ssrc, rtx) = (local.ssrc.into(), rtx.map(Into::into));
        let rid = active.layers.get(layer).map(|name| Rid::from(name.as_str()));
        let layer = u8::try_from(layer).ok()?;
        Some(Self { kind: active.kind, codec: active.codec, mid, pt, ssrc, rtx, layer, rid, declared: false })
    }

    pub(super) fn local(&self) -> Local {
        Local { kind: self.kind, ssrc: *self.ssrc, rtx: self.rtx.map(|rtx| *rtx) }
    }

    /// After an offer was accepted anew: what str0m declared by itself goes.
    pub(super) fn keep_source(&self, rtc: &mut Rtc) {
        let mut direct = rtc.direct_api();
        if let Some(other) =
            direct.stream_tx_by_mid(self.mid, None).map(|stream| stream.ssrc()).filter(|ssrc| *ssrc != self.ssrc)
        {
            direct.remove_stream_tx(other);
        }
    }

    fn declare(&mut self, rtc: &mut Rtc) {
        if !self.declared && rtc.media(self.mid).is_some() {
            let mut direct = rtc.direct_api();
            let stream = direct.declare_stream_tx(self.ssrc, self.rtx, self.mid, self.rid);
            if self.kind == Kind::Video {
                stream.set_rtx_cache(REPAIR_PACKETS_MAX, REPAIR_AGE, Some(REPAIR_SHARE));
            }
            self.declared = true;
        }
    }
}

impl Full {
    /// Sends a packet to the peer: into `out`, or with the next `poll_output`.
    ///
    /// # Errors
    /// Where the packet cannot go out: the caller counts and forgets it.
    pub(crate) fn send(&mut self, now: Instant, kind: Kind, layer: u8, packet: Outgoing<'_>) -> Result<(), NotSent> {
        if !self.is_connected() {
            return Err(NotSent::NotConnected);
        }
        let fits = |egress: &&mut Egress| egress.kind == kind && egress.codec == packet.codec && egress.layer == layer;
        let egress = self.egress.iter_mut().find(fits);
        let egress = egress.ok_or(NotSent::NotNegotiated)?;
        if packet.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(NotSent::TooLong);
        }
        egress.declare(&mut self.rtc);
        let (base_wall, base) = self.wall;
        let since = packet.wall - base_wall;
        let span = std::time::Duration::from_micros(since.unsigned_abs());
        let captured = if since < 0 { base.checked_sub(span) } else { base.checked_add(span) };
        // str0m reports nothing sensible for what is captured in the future.
        let wallclock = captured.unwrap_or(now).min(now);
        let extensions = ExtensionValues {
            audio_level: packet.audio_level.map(|level| -i8::try_from(level.min(127)).unwrap_or(127)),
            voice_activity: packet.audio_level.map(|level| level < 127),
            abs_capture_time: u64::try_from(packet.wall.0).ok().map(|micros| AbsCaptureTime {
                capture_time: std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(micros),
                clock_offset: Some(0),
            }),
            play_delay_min: self.config.playout_delay_ms.map(|(min, _)| playout_delay(min)),
            play_delay_max: self.config.playout_delay_ms.map(|(_, max)| playout_delay(max)),
            ..ExtensionValues::default()
        };
        let write = RtpWrite::new(egress.pt, packet.seq.into(), packet.time, wallclock, packet.payload.clone())
            .marker(packet.marker)
            .nackable(egress.rtx.is_some())
            .ext_vals(extensions);
        let mut direct = self.rtc.direct_api();
        direct.stream_tx(&egress.ssrc).ok_or(NotSent::NotNegotiated)?.write_rtp(write);
        self.written = Some(now);
        Ok(())
    }
}

impl Full {
    /// Whether `poll_output` has something after a `send`.
    pub(crate) fn wants_drain(&self) -> bool {
        self.written.is_some()
    }
}

/// The extension counts in 10 ms, to 40.95 s.
fn playout_delay(ms: u16) -> MediaTime {
    MediaTime::from_millis(u64::from(ms.min(40_950)))
}
