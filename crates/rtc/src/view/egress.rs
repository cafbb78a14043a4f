//! Sending one kind to a viewer: header, payload and cipher go straight to where they are sent from, and nothing is kept
//! but numbers.

use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use media::{Codec, Kind, Ssrc, WallTime};
use smallvec::SmallVec;

use super::{
    header::{Block, Extensions, Fixed, Values},
    ice::Way,
    repair::{Repair, Sent},
};
use crate::{
    bandwidth::Bandwidth,
    batch::Batch,
    error::NotSent,
    leg::{Outgoing, PAYLOAD_BYTES_MAX},
    rtcp::SenderInfo,
    sdp::{Active, Local},
    srtp::Sealer,
};

/// The capture time of one frame each so often: players reckon the others by it.
const CAPTURE_INTERVAL: Duration = Duration::from_secs(1);
/// Extended sequence numbers end here, RFC 3711 section 3.3.1.
const NUMBERS_MAX: u64 = 1 << 48;

/// Bytes of padding that go out at once, at most.
const PADDING_BYTES_MAX: usize = 16 * 1_024;
/// A payload of nothing but padding, RFC 3550 section 5.1: its last byte says how long it is.
const PADDING: [u8; 240] = {
    let mut bytes = [0; 240];
    if let Some(last) = bytes.last_mut() {
        *last = 240;
    }
    bytes
};

/// One kind towards a viewer.
#[derive(Debug)]
pub(super) struct Egress {
    pub(super) kind: Kind,
    pub(super) codec: Codec,
    pub(super) ssrc: u32,
    pt: u8,
    rate_hz: u32,
    pub(super) rtx: Option<Rtx>,
    pub(super) extensions: Extensions,
    /// The receiver has reported on us, so it has bound the source to the m= line and needs no name any more.
    pub(super) bound: bool,
    pub(super) sent: Sent,
    pub(super) repair: Repair,
    /// Numbers that the viewer asked for and that nobody was told of yet.
    pub(super) wanted: SmallVec<[u16; 16]>,
    /// A key frame was asked for, and nobody was told of it yet.
    pub(super) wants_key_frame: bool,
    /// RTP time of the frame that carries its capture time, and when it left.
    captured: Option<(u32, Instant)>,
    /// What the next report is made of: RTP time and wall time of the newest packet.
    newest: Option<(u32, WallTime)>,
    packets: u32,
    octets: u32,
    /// Something was sent since the last report.
    pub(super) unreported: bool,
}

/// Retransmissions, RFC 4588: a source of their own.
#[derive(Debug)]
pub(super) struct Rtx {
    pub(super) ssrc: u32,
    pt: u8,
    /// Its next extended sequence number.
    next: u64,
}

/// What sealing and sending of one packet needs.
pub(super) struct Sending<'a> {
    pub(super) now: Instant,
    /// The same moment on the wall clock.
    pub(super) wall: WallTime,
    pub(super) sealer: &'a Sealer,
    pub(super) bandwidth: Option<&'a mut Bandwidth>,
    pub(super) way: Way,
}

/// What goes into one datagram.
struct Datagram<'a> {
    fixed: Fixed,
    index: u64,
    /// Before the payload: the original number of a retransmission.
    original: &'a [u8],
    payload: &'a [u8],
    padding: u8,
}

impl Egress {
    /// `None` where the machine gives no randomness.
    pub(super) fn new(active: &Active, playout_delay_ms: Option<(u16, u16)>, now: Instant) -> Option<Self> {
        let format = active.formats.first()?;
        let rtx = match format.rtx.filter(|_| format.nack) {
            // Below half of the range at first, RFC 3711 section 3.3.1.
            Some(pt) => Some(Rtx { ssrc: random()?, pt, next: u64::from(random()? & 0x7fff) }),
            None => None,
        };
        Some(Self {
            kind: active.kind,
            codec: active.codec,
            ssrc: random()?,
            pt: format.pt,
            rate_hz: format.rate_hz,
            rtx,
            extensions: Extensions::new(active, playout_delay_ms),
            bound: false,
            sent: Sent::default(),
            repair: Repair::new(now),
            wanted: SmallVec::new(),
            wants_key_frame: false,
            captured: None,
            newest: None,
            packets: 0,
            octets: 0,
            unreported: false,
        })
    }

    pub(super) fn local(&self) -> Local {
        Local { kind: self.kind, ssrc: self.ssrc, rtx: self.rtx.as_ref().map(|rtx| rtx.ssrc) }
    }

    pub(super) fn send(
        &mut self,
        sending: &mut Sending<'_>,
        packet: &Outgoing<'_>,
        out: &mut Batch,
    ) -> Result<(), NotSent> {
        if packet.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(NotSent::TooLong);
        }
        if packet.seq >= NUMBERS_MAX || !self.sent.note(packet.seq) {
            return Err(NotSent::Twice);
        }
        let captured = self.shows_capture_time(sending.now, packet.time);
        let values = self.values(sending, packet, captured);
        let fixed = Fixed {
            pt: self.pt,
            marker: packet.marker,
            padded: packet.padding > 0,
            seq: packet.seq as u16,
            time: packet.time,
            ssrc: self.ssrc,
        };
        let datagram =
            Datagram { fixed, index: packet.seq, original: &[], payload: packet.payload, padding: packet.padding };
        write(sending, self.extensions.block(&values), &datagram, out)?;
        self.repair.sent(sending.now, packet.payload.len());
        self.unreported = true;
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload.len() as u32);
        let newer = self.newest.is_none_or(|(time, _)| packet.time.wrapping_sub(time).cast_signed() >= 0);
        if newer {
            self.newest = Some((packet.time, packet.wall));
        }
        Ok(())
    }

    /// The packet again by the source of retransmissions. Without one there is no repair: the same number cannot be
    /// sealed again, since the header, which is authenticated, would differ.
    pub(super) fn resend(
        &mut self,
        sending: &mut Sending<'_>,
        packet: &Outgoing<'_>,
        out: &mut Batch,
    ) -> Result<(), NotSent> {
        let rtx = self.rtx.as_ref().ok_or(NotSent::NotNegotiated)?;
        if packet.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(NotSent::TooLong);
        }
        if self.sent.find(packet.seq as u16) != Some(packet.seq) || rtx.next >= NUMBERS_MAX {
            return Err(NotSent::NotNegotiated);
        }
        let (pt, ssrc, index) = (rtx.pt, rtx.ssrc, rtx.next);
        if !self.repair.take(sending.now, packet.payload.len()) {
            return Err(NotSent::TooMany);
        }
        let values = self.values(sending, packet, false);
        let fixed = Fixed { pt, marker: packet.marker, padded: false, seq: index as u16, time: packet.time, ssrc };
        let original = (packet.seq as u16).to_be_bytes();
        let datagram = Datagram { fixed, index, original: &original, payload: packet.payload, padding: 0 };
        if let Some(rtx) = &mut self.rtx {
            rtx.next += 1;
        }
        write(sending, self.extensions.block(&values), &datagram, out)
    }

    /// Sends about so many bytes that mean nothing, by the source of retransmissions as browsers do: a probe. False where
    /// there is no such source.
    pub(super) fn pad(&mut self, sending: &mut Sending<'_>, bytes: usize, out: &mut Batch) -> bool {
        let mut left = bytes.min(PADDING_BYTES_MAX);
        while left > 0 {
            let Some(rtx) = self.rtx.as_mut().filter(|rtx| rtx.next < NUMBERS_MAX) else { return false };
            let (index, ssrc, pt) = (rtx.next, rtx.ssrc, rtx.pt);
            rtx.next += 1;
            let time = self.newest.map_or(0, |(time, _)| time);
            let fixed = Fixed { pt, marker: false, padded: true, seq: index as u16, time, ssrc };
            let values = Values { sent: sending.wall, named: !self.bound, level: None, captured: None };
            let datagram = Datagram { fixed, index, original: &[], payload: &PADDING, padding: 0 };
            if write(sending, self.extensions.block(&values), &datagram, out).is_err() {
                return false;
            }
            left = left.saturating_sub(PADDING.len());
        }
        true
    }

    /// Whether a packet says when it was captured: all packets of a frame or none, so that they are equally long and leave
    /// in one run.
    fn shows_capture_time(&mut self, now: Instant, time: u32) -> bool {
        match self.captured {
            Some((known, _)) if known == time => true,
            Some((_, at)) if now.saturating_duration_since(at) < CAPTURE_INTERVAL => false,
            _ => {
                self.captured = Some((time, now));
                true
            }
        }
    }

    fn values(&self, sending: &Sending<'_>, packet: &Outgoing<'_>, captured: bool) -> Values {
        let captured = captured.then_some(packet.wall);
        Values { sent: sending.wall, named: !self.bound, level: packet.audio_level, captured }
    }

    /// The report about now, RFC 3550 section 6.4.1; `None` before the first packet, whose time nobody would know.
    pub(super) fn report(&self, wall: WallTime) -> Option<SenderInfo> {
        let (time, captured) = self.newest?;
        let since = (wall - captured).saturating_mul(i64::from(self.rate_hz));
        let ticks = since.saturating_add(500_000).div_euclid(1_000_000);
        Some(SenderInfo {
            ssrc: Ssrc(self.ssrc),
            ntp: wall.to_ntp(),
            rtp_time: time.wrapping_add(ticks as u32),
            packets: self.packets,
            octets: self.octets,
        })
    }
}

/// Writes one datagram where it is sent from, and seals it there.
fn write(sending: &mut Sending<'_>, mut block: Block, datagram: &Datagram<'_>, out: &mut Batch) -> Result<(), NotSent> {
    let header = block.header_len();
    let body = header + datagram.original.len();
    let filled = body + datagram.payload.len();
    let clear = filled + usize::from(datagram.padding);
    let length = clear + sending.sealer.overhead();
    if let Some(bandwidth) = &mut sending.bandwidth {
        block.number(bandwidth.sent(sending.now, length));
    }
    let fill = |space: &mut [u8]| {
        block.write(space, datagram.fixed)?;
        space.get_mut(header..body)?.copy_from_slice(datagram.original);
        space.get_mut(body..filled)?.copy_from_slice(datagram.payload);
        if let [.., last] = space.get_mut(filled..clear)? {
            *last = datagram.padding;
        }
        sending.sealer.seal_rtp(space, header, datagram.fixed.ssrc, datagram.index).then_some(())
    };
    let written = out.write(sending.way.0, sending.way.1, length, |space| fill(space).is_some());
    if written { Ok(()) } else { Err(NotSent::NotConnected) }
}

/// A number that is not 0.
fn random() -> Option<u32> {
    let mut bytes = [0; 4];
    rand::fill(&mut bytes).ok()?;
    Some(u32::from_be_bytes(bytes).max(1))
}
