//! RTCP of a viewer: what it reads of the server's, and what it says itself.

use std::time::Duration;

use media::Ssrc;
use smallvec::SmallVec;

use super::Viewer;
use crate::{
    batch::Batch,
    config::Protocol,
    light::stream::Stream,
    rtcp::{self, BLOCKS_MAX, ReportBlock, write},
};

/// Receiver reports.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Where no round trip was measured.
const RTT_GUESS: Duration = Duration::from_millis(100);
/// Bytes of a compound RTCP packet with its encryption, at most.
const RTCP_BYTES_MAX: usize = 1_280;
const CNAME: &str = "light";

impl Viewer {
    /// Takes what the server reports.
    pub(super) fn rtcp(&mut self, bytes: &mut [u8]) {
        let Some(keys) = &mut self.keys else {
            self.counts.strange += 1;
            return;
        };
        let Ok(compound) = keys.opener.open_rtcp(bytes) else { return };
        self.heard = self.now;
        for packet in rtcp::read(compound) {
            if let rtcp::Packet::SenderReport(report) = packet {
                self.counts.sender_reports += 1;
                let info = report.info;
                self.streams.iter_mut().for_each(|stream| stream.reported(info.ssrc, info.ntp, self.now));
            }
        }
    }

    /// Writes what RTCP is due.
    pub(super) fn report(&mut self, out: &mut Batch) {
        if self.keys.is_none() {
            return;
        }
        let now = self.now;
        let rtt = self.ice.rtt().unwrap_or(RTT_GUESS);
        let own = self.ssrc;
        if let Some(mut feedback) = self.feedback.take() {
            while feedback.due().is_some_and(|due| due <= now) {
                let media = Ssrc(self.streams.iter().find_map(Stream::ssrc).unwrap_or_default());
                let written = self.write_rtcp(out, |space| feedback.write(now, space, own, media));
                if !written {
                    break;
                }
            }
            self.feedback = Some(feedback);
        }
        for at in 0..self.streams.len() {
            let Some(stream) = self.streams.get_mut(at) else { continue };
            let media = Ssrc(stream.ssrc().unwrap_or_default());
            let key_frame = stream.take_key_frame_request();
            let is_due = stream.due().is_some_and(|due| due <= now);
            let numbers = if is_due { stream.take_missing(now, rtt) } else { SmallVec::new() };
            if let Some(media) = key_frame {
                self.write_rtcp(out, |space| write::pli(space, own, media));
            }
            if !numbers.is_empty() {
                self.write_rtcp(out, |space| write::nack(space, own, media, &numbers));
            }
        }
        if self.report_due.is_some_and(|due| due <= now) {
            self.report_due = Some(now + REPORT_INTERVAL);
            let blocks: SmallVec<[ReportBlock; 2]> =
                self.streams.iter_mut().filter_map(|stream| stream.report(now)).take(BLOCKS_MAX).collect();
            self.write_rtcp(out, |space| {
                let report = write::receiver_report(space, own, &blocks);
                report + write::sdes_cname(space.get_mut(report..).unwrap_or_default(), own, CNAME)
            });
        }
    }

    /// Encrypts and sends what `fill` writes; false where that is nothing.
    fn write_rtcp(&mut self, out: &mut Batch, fill: impl FnOnce(&mut [u8]) -> usize) -> bool {
        let (Some(keys), Some(to)) = (&mut self.keys, self.ice.reached()) else { return false };
        let overhead = keys.sealer.rtcp_overhead();
        let mut space = [0; RTCP_BYTES_MAX];
        // A compound packet begins with a report unless the answer says that it need not.
        let head = if self.reduced { 0 } else { write::receiver_report(&mut space, self.ssrc, &[]) };
        let body = space.get_mut(head..RTCP_BYTES_MAX - overhead).map_or(0, fill);
        let packet = space.get_mut(..head + body + overhead).filter(|_| body > 0);
        let Some(packet) = packet else { return false };
        let sealed = keys.sealer.seal_rtcp(packet);
        if sealed {
            out.push(Protocol::Udp, to, packet);
        }
        sealed
    }

    pub(super) fn leave(&mut self, out: &mut Batch) {
        self.leaving = false;
        let own = self.ssrc;
        self.write_rtcp(out, |space| {
            let report = write::receiver_report(space, own, &[]);
            report + write::bye(space.get_mut(report..).unwrap_or_default(), own)
        });
        if let (Some(dtls), Some(to)) = (&mut self.dtls, self.ice.reached()) {
            dtls.close();
            let _ = dtls.poll((Protocol::Udp, to), out);
        }
        self.dtls = None;
    }
}
