//! What a shard counts.

use crate::shard::LegId;

/// Why something was dropped. A dropped packet is not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Drop {
    /// Neither STUN nor from an address of a leg.
    UnknownAddress,
    /// STUN that is no binding request for one of our legs.
    UnknownUser,
    /// STUN for a leg of ours with a wrong password.
    Unauthentic,
    /// A leg came from more addresses than it may.
    TooManyAddresses,
    /// A packet of a leg for a kind that is bound to no track.
    Unbound,
    /// A command about a leg or a track that is not there.
    NoSuchThing,
    /// A leg or track more than there may be.
    Full,
    /// A packet for a viewer that is not connected.
    NotConnected,
    /// A packet of another codec than the viewer negotiated.
    NotNegotiated,
    /// A packet longer than a datagram may be.
    TooLong,
    /// A late packet from before the viewer's start.
    BeforeStart,
    /// A packet that a viewer misses and that is not kept any more, or never was.
    NotRepairable,
    /// Media or DTLS for a leg that no shard has yet, more than is kept until one has.
    Unclaimed,
    /// Mail to another shard whose queue is full: a packet, or a datagram that came to the wrong shard.
    MailFull,
}

impl Drop {
    const ALL: [Self; 14] = [
        Self::UnknownAddress,
        Self::UnknownUser,
        Self::Unauthentic,
        Self::TooManyAddresses,
        Self::Unbound,
        Self::NoSuchThing,
        Self::Full,
        Self::NotConnected,
        Self::NotNegotiated,
        Self::TooLong,
        Self::BeforeStart,
        Self::NotRepairable,
        Self::Unclaimed,
        Self::MailFull,
    ];

    fn series(self) -> &'static str {
        match self {
            Self::UnknownAddress => "drops_unknown_address",
            Self::UnknownUser => "drops_unknown_user",
            Self::Unauthentic => "drops_unauthentic",
            Self::TooManyAddresses => "drops_too_many_addresses",
            Self::Unbound => "drops_unbound",
            Self::NoSuchThing => "drops_no_such_thing",
            Self::Full => "drops_full",
            Self::NotConnected => "drops_not_connected",
            Self::NotNegotiated => "drops_not_negotiated",
            Self::TooLong => "drops_too_long",
            Self::BeforeStart => "drops_before_start",
            Self::NotRepairable => "drops_not_repairable",
            Self::Unclaimed => "drops_unclaimed",
            Self::MailFull => "drops_mail_full",
        }
    }
}

/// What one leg moved since it was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegStats {
    /// Which leg.
    pub leg: LegId,
    /// Media packets received.
    pub packets_in: u64,
    /// Bytes of datagrams received.
    pub bytes_in: u64,
    /// Media packets sent, without retransmissions.
    pub packets_out: u64,
    /// Bytes of datagrams sent.
    pub bytes_out: u64,
    /// How the way to its peer is.
    pub quality: rtc::Quality,
}

/// What a shard counted since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Bytes of datagrams received.
    pub bytes_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Bytes of datagrams sent.
    pub bytes_out: u64,
    /// Media packets that came into tracks.
    pub packets_in: u64,
    /// Media packets forwarded to viewers.
    pub packets_forwarded: u64,
    /// Packets sent once more because a viewer missed them, by our own legs.
    pub packets_repaired: u64,
    /// Media packets told to another shard, once for each that has viewers.
    pub packets_crossed: u64,
    /// Datagrams that came to this shard and belong to another, or the other way round.
    pub datagrams_crossed: u64,
    /// Key frames asked of sources.
    pub key_frames_requested: u64,
    /// Viewers started from a key frame that was kept.
    pub starts_from_ring: u64,
    /// Viewers that fell behind and jumped to the newest key frame.
    pub jumps: u64,
    /// Viewers that went over to another layer of a picture.
    pub layer_switches: u64,
    /// Legs that this shard was given because their peer came to it first.
    pub legs_claimed: u64,
    /// Flights of DTLS handshakes with viewers that went out again.
    pub flights_repeated: u64,
    /// Legs now, and those that nobody has claimed yet and whose home is here.
    pub legs: u64,
    /// Legs now that are connected.
    pub legs_connected: u64,
    /// Tracks now whose home is here.
    pub tracks: u64,
    /// What each leg moved; nothing, for one that nobody has claimed yet.
    pub per_leg: Vec<LegStats>,
    drops: [u64; Drop::ALL.len()],
}

impl ShardStats {
    /// How often something was dropped for a reason.
    pub fn dropped(&self, reason: Drop) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or(0)
    }

    pub(crate) fn drop(&mut self, reason: Drop) {
        if let Some(count) = self.drops.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// Every number that is not about a single leg, with its name.
    pub fn series(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let plain = [
            ("datagrams_in", self.datagrams_in),
            ("bytes_in", self.bytes_in),
            ("datagrams_out", self.datagrams_out),
            ("bytes_out", self.bytes_out),
            ("packets_in", self.packets_in),
            ("packets_forwarded", self.packets_forwarded),
            ("packets_repaired", self.packets_repaired),
            ("packets_crossed", self.packets_crossed),
            ("datagrams_crossed", self.datagrams_crossed),
            ("key_frames_requested", self.key_frames_requested),
            ("starts_from_ring", self.starts_from_ring),
            ("jumps", self.jumps),
            ("layer_switches", self.layer_switches),
            ("legs_claimed", self.legs_claimed),
            ("flights_repeated", self.flights_repeated),
            ("legs", self.legs),
            ("legs_connected", self.legs_connected),
            ("tracks", self.tracks),
        ];
        plain.into_iter().chain(Drop::ALL.iter().map(|reason| (reason.series(), self.dropped(*reason))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_counts_in_a_place_of_its_own() {
        let mut stats = ShardStats::default();
        for reason in Drop::ALL {
            stats.drop(reason);
            assert_eq!(stats.dropped(reason), 1, "{reason:?}");
        }
        let drops: Vec<_> = stats.series().filter(|(name, _)| name.starts_with("drops_")).collect();
        assert_eq!(drops.len(), Drop::ALL.len());
        assert!(drops.iter().all(|(_, count)| *count == 1));
    }
}
