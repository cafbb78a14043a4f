//! What a media thread's sockets have counted.

use crate::tcp::TcpStats;

/// What was counted about the sockets of one media thread since they were bound. Datagrams and bytes are those of UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketStats {
    /// Datagrams that the kernel took.
    pub sent_datagrams: u64,
    /// Bytes of these, without headers.
    pub sent_bytes: u64,
    /// Runs of several datagrams that the kernel took in one call.
    pub sent_runs: u64,
    /// Datagrams in these runs.
    pub sent_run_datagrams: u64,
    /// Runs sent as singles after `EIO`: the way out cannot cut them.
    pub fallback_unable: u64,
    /// Runs sent as singles after `EINVAL`.
    pub fallback_invalid: u64,
    /// Runs sent as singles after `EMSGSIZE`: a datagram of it does not fit the path in one piece.
    pub fallback_too_long: u64,
    /// Destinations that are sent singles now, because a run failed there lately.
    pub singles_destinations: u64,
    /// Times that the thread waited because the kernel's buffer was full: the interface is slower than a burst, and
    /// `net.core.wmem_max` may be too low.
    pub send_waits: u64,
    /// Microseconds of these waits.
    pub send_waited_us: u64,
    /// Datagrams dropped because the kernel's buffers were full, and stayed so.
    pub send_full: u64,
    /// Datagrams dropped because the kernel would not send them for another reason.
    pub send_errors: u64,
    /// Datagrams that came.
    pub received_datagrams: u64,
    /// Bytes of these, without headers.
    pub received_bytes: u64,
    /// Reads that gave several datagrams at once.
    pub received_runs: u64,
    /// Datagrams dropped because they were longer than any peer makes them.
    pub received_too_long: u64,
    /// Reads that the kernel refused.
    pub receive_errors: u64,
    /// TCP connections.
    pub tcp: TcpStats,
}
