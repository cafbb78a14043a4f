//! Series of the media threads' sockets.

use net::SocketStats;

use super::{
    Text,
    family::{Family, Kind},
};

/// One number of `net::SocketStats`.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// Its family. Those of one name stand together.
    pub family: Family,
    /// The value of the label `reason`, where the family has it.
    reason: Option<&'static str>,
    /// The number.
    of: fn(&SocketStats) -> f64,
}

/// All of them.
pub const SOCKETS: &[Series] = &[
    counter("stentor_socket_sent_datagrams_total", "UDP datagrams that the kernel took.", |s| s.sent_datagrams as f64),
    counter("stentor_socket_sent_bytes_total", "Bytes of these, without headers.", |s| s.sent_bytes as f64),
    counter("stentor_socket_sent_runs_total", "Runs of several datagrams that the kernel took in one call.", |s| {
        s.sent_runs as f64
    }),
    counter("stentor_socket_sent_run_datagrams_total", "Datagrams in these runs.", |s| s.sent_run_datagrams as f64),
    fallback("unable", |s| s.fallback_unable as f64),
    fallback("invalid", |s| s.fallback_invalid as f64),
    fallback("too-long", |s| s.fallback_too_long as f64),
    gauge(
        "stentor_socket_singles_destinations",
        "Destinations that are sent datagrams one by one now, because a run failed there lately.",
        |s| s.singles_destinations as f64,
    ),
    counter(
        "stentor_socket_send_waits_total",
        "Times that a media thread waited because the kernel's send buffer was full (net.core.wmem_max).",
        |s| s.send_waits as f64,
    ),
    counter("stentor_socket_send_wait_seconds_total", "Seconds of these waits.", |s| s.send_waited_us as f64 / 1e6),
    counter("stentor_socket_received_datagrams_total", "UDP datagrams that came.", |s| s.received_datagrams as f64),
    counter("stentor_socket_received_bytes_total", "Bytes of these, without headers.", |s| s.received_bytes as f64),
    counter("stentor_socket_received_runs_total", "Reads that gave several datagrams at once.", |s| {
        s.received_runs as f64
    }),
    counter("stentor_socket_receive_errors_total", "Reads that the kernel refused.", |s| s.receive_errors as f64),
    dropped("send-full", |s| s.send_full as f64),
    dropped("send-error", |s| s.send_errors as f64),
    dropped("received-too-long", |s| s.received_too_long as f64),
    dropped("tcp-peer-behind", |s| s.tcp.dropped as f64),
    gauge("stentor_socket_tcp_connections", "TCP connections for media now.", |s| s.tcp.connections as f64),
    tcp_closed("too-many", |s| s.tcp.refused as f64),
    tcp_closed("unfit", |s| s.tcp.unfit as f64),
];

/// Writes what the sockets of each media thread counted.
pub fn write(text: &mut Text, stats: &[(&str, &SocketStats)]) {
    for Series { family, reason, of } in SOCKETS {
        let samples = stats.iter().map(|(shard, stats)| ([*shard].into_iter().chain(*reason).collect(), of(stats)));
        text.family(family, samples);
    }
}

const PER_SHARD: &[&str] = &["shard"];
const PER_REASON: &[&str] = &["shard", "reason"];

const fn counter(name: &'static str, help: &'static str, of: fn(&SocketStats) -> f64) -> Series {
    Series { family: Family { name, kind: Kind::Counter, labels: PER_SHARD, help }, reason: None, of }
}

const fn gauge(name: &'static str, help: &'static str, of: fn(&SocketStats) -> f64) -> Series {
    Series { family: Family { name, kind: Kind::Gauge, labels: PER_SHARD, help }, reason: None, of }
}

const fn by_reason(
    name: &'static str,
    help: &'static str,
    reason: &'static str,
    of: fn(&SocketStats) -> f64,
) -> Series {
    Series { family: Family { name, kind: Kind::Counter, labels: PER_REASON, help }, reason: Some(reason), of }
}

const fn fallback(reason: &'static str, of: fn(&SocketStats) -> f64) -> Series {
    let help = "Runs that the kernel refused and that were sent as single datagrams.";
    by_reason("stentor_socket_fallbacks_total", help, reason, of)
}

const fn dropped(reason: &'static str, of: fn(&SocketStats) -> f64) -> Series {
    by_reason("stentor_socket_dropped_total", "Datagrams that a media thread's sockets dropped.", reason, of)
}

const fn tcp_closed(reason: &'static str, of: fn(&SocketStats) -> f64) -> Series {
    let help = "TCP connections for media that were refused or closed by the server.";
    by_reason("stentor_socket_tcp_closed_total", help, reason, of)
}

#[cfg(test)]
mod tests {
    use net::TcpStats;

    use super::*;

    #[test]
    fn every_number_of_the_sockets_is_written_once() {
        // All fields, so that one more does not compile until it stands here, and all different.
        let stats = SocketStats {
            sent_datagrams: 1,
            sent_bytes: 2,
            sent_runs: 3,
            sent_run_datagrams: 4,
            fallback_unable: 5,
            fallback_invalid: 6,
            fallback_too_long: 7,
            singles_destinations: 8,
            send_waits: 9,
            send_waited_us: 10_000_000,
            send_full: 11,
            send_errors: 12,
            received_datagrams: 13,
            received_bytes: 14,
            received_runs: 15,
            received_too_long: 16,
            receive_errors: 17,
            tcp: TcpStats { connections: 18, refused: 19, unfit: 20, dropped: 21 },
        };
        let mut numbers: Vec<u64> = SOCKETS.iter().map(|series| (series.of)(&stats) as u64).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=21).collect::<Vec<_>>());
        let mut text = Text::default();
        write(&mut text, &[("0", &stats), ("1", &SocketStats::default())]);
        let text = text.finish();
        assert!(text.contains("stentor_socket_dropped_total{shard=\"0\",reason=\"send-full\"} 11\n"), "{text}");
        assert!(text.contains("stentor_socket_sent_datagrams_total{shard=\"1\"} 0\n"), "{text}");
        assert_eq!(text.matches("# TYPE stentor_socket_fallbacks_total counter").count(), 1);
    }
}
