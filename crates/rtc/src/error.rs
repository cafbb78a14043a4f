//! What can be wrong with an offer, a fragment or a send, in sentences for the person who has to mend it.

use media::Kind;

use crate::sdp::OFFER_BYTES_MAX;

/// Why an offer gets no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// The offer is longer than we read.
    #[error("the offer has {bytes} bytes, {OFFER_BYTES_MAX} at most are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The text is no SDP.
    #[error("this is not an SDP offer: it must begin with the line \"v=0\", but begins with \"{begins}\"")]
    NotAnOffer {
        /// The beginning of the text.
        begins: String,
    },
    /// A line cannot be read.
    #[error("line {line} of the offer is wrong: {what}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What was expected.
        what: &'static str,
    },
    /// More m= lines than we read.
    #[error("the offer has more than {limit} m= lines; one audio and one video are served")]
    TooManySections {
        /// How many are read.
        limit: usize,
    },
    /// There is no audio and no video in it.
    #[error("the offer has no m=audio and no m=video line: there is nothing to send or receive")]
    NoMedia,
    /// Something that every WebRTC offer has is missing.
    #[error("the offer has no {what} line; every WebRTC offer needs it")]
    Missing {
        /// The attribute.
        what: &'static str,
    },
    /// Several m= lines, each with its own transport.
    #[error("the offer has {sections} m= lines that are not all in one a=group:BUNDLE; this server uses one transport")]
    NotBundled {
        /// How many m= lines there are.
        sections: usize,
    },
    /// Two m= lines of the same name.
    #[error("two m= lines of the offer have the same a=mid:{mid}")]
    SameMid {
        /// The name.
        mid: String,
    },
    /// The DTLS fingerprint uses a hash that we do not know.
    #[error("the DTLS fingerprint uses {hash}; sha-256 and sha-1 are understood")]
    Fingerprint {
        /// The hash function.
        hash: String,
    },
    /// Two sides that only answer never connect.
    #[error("the offer says a=ice-lite, and so does this server: one side must be a full ICE agent")]
    BothLite,
    /// Every m= line points the other way.
    #[error("no m= line of the offer is {expected}: to {verb}, the offer needs one")]
    Direction {
        /// Which attribute is needed.
        expected: &'static str,
        /// What the peer wants to do.
        verb: &'static str,
    },
    /// The codecs do not meet.
    #[error("no common {} codec: the offer has {offered}, {wanted}", kind.name())]
    NoCommonCodec {
        /// Sound or picture.
        kind: Kind,
        /// What was offered.
        offered: String,
        /// What would have been taken.
        wanted: String,
    },
    /// The stream has no track of a kind that was offered.
    #[error("the offer asks for {offered}, but the stream has only {has}")]
    NothingToPlay {
        /// The kinds that were offered.
        offered: String,
        /// The kinds that the stream has.
        has: String,
    },
    /// The WebRTC stack refused what passed all checks above.
    #[error("the offer was refused: {0}")]
    Refused(String),
}

impl OfferError {
    /// Whether the offer is malformed (HTTP 400), and not merely one that this stream cannot serve (HTTP 406).
    pub fn is_peers_fault(&self) -> bool {
        !matches!(self, Self::NoCommonCodec { .. } | Self::NothingToPlay { .. } | Self::Direction { .. })
    }
}

/// Why an answer to our offer is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It cannot be read.
    #[error("the server's answer cannot be read: {0}")]
    Malformed(String),
    /// It accepts none of the m= lines.
    #[error("the server's answer accepts none of what was offered ({offered})")]
    NothingAccepted {
        /// The codecs that were offered.
        offered: String,
    },
    /// There is no address in it.
    #[error("the server's answer names no UDP address: candidates in the answer are needed, they are not waited for")]
    NoCandidates,
    /// The WebRTC stack refused what passed all checks above.
    #[error("the server's answer was refused: {0}")]
    Refused(String),
}

/// Why an ICE restart was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestartError {
    /// The fragment has no credentials.
    #[error("an ICE restart needs a=ice-ufrag and a=ice-pwd in the fragment (RFC 8840, RFC 9725 section 4.3.1)")]
    NoCredentials,
    /// The leg is over.
    #[error("the connection is closed, it cannot be restarted")]
    Closed,
    /// The WebRTC stack refused.
    #[error("the ICE restart was refused: {0}")]
    Refused(String),
}

/// Why a packet was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// DTLS is not done yet, or the leg is over.
    #[error("not connected")]
    NotConnected,
    /// The answer has no such kind, or another codec.
    #[error("not negotiated")]
    NotNegotiated,
    /// Longer than a datagram may be.
    #[error("too long")]
    TooLong,
    /// This number went out already, or is older than we remember: sent again it would break the encryption (RFC 3711
    /// section 9.1). Only our own leg says so.
    #[error("this number went out before")]
    Twice,
    /// Retransmissions take as much as they may already. Only our own leg says so.
    #[error("too many retransmissions")]
    TooMany,
}
