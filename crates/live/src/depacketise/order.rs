//! Packets back in the order in which they were sent. It knows numbers and times and nothing of payloads.

use std::{collections::BTreeMap, time::Instant};

use media::RtpPacket;

use super::{PACKETS_MAX, REORDER_DEADLINE};

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// The packet with the next number.
    Packet(RtpPacket),
    /// So many numbers were given up.
    Lost(u64),
}

#[derive(Debug, Default)]
pub(super) struct Order {
    /// The number that is due; `None` before the first packet.
    due: Option<u64>,
    waiting: BTreeMap<u64, (Instant, RtpPacket)>,
}

impl Order {
    /// False where the packet came twice or too late.
    pub(super) fn push(&mut self, now: Instant, packet: RtpPacket) -> bool {
        let seq = packet.seq.0;
        let due = *self.due.get_or_insert(seq);
        if seq < due || self.waiting.contains_key(&seq) {
            return false;
        }
        self.waiting.insert(seq, (now, packet));
        true
    }

    /// The next packet in order; a missing one is given up after the deadline, or when too many wait behind it.
    pub(super) fn next(&mut self, now: Instant) -> Option<Next> {
        let due = self.due?;
        let is_full = self.waiting.len() > PACKETS_MAX;
        let first = self.waiting.first_entry()?;
        let seq = *first.key();
        if seq == due {
            self.due = Some(due.saturating_add(1));
            let (_, packet) = first.remove();
            return Some(Next::Packet(packet));
        }
        let is_overdue = now.saturating_duration_since(first.get().0) >= REORDER_DEADLINE;
        if !is_overdue && !is_full {
            return None;
        }
        self.due = Some(seq);
        Some(Next::Lost(seq - due))
    }

    /// When the missing packet is given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (_, (came, _)) = self.waiting.first_key_value()?;
        Some(*came + REORDER_DEADLINE)
    }
}
