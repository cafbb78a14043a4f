//! Every series of `/metrics`: its name, its type, its labels and what it says. Names are stable: dashboards and alerts
//! are written against them. A new counter is one line in `COUNTERS`; `docs/metrics.md` is made of these tables.

/// What a series is, in the words of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, and begins at zero with the process.
    Counter,
    /// Is what it is now.
    Gauge,
}

impl Kind {
    /// As it stands in `# TYPE`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// Series of one name.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The whole name, with its unit and, of a counter, `_total`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The keys of its labels, in the order of their values.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

/// A counter of `Counters`.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    /// What it is called in calls of `Counters::add`.
    pub call: &'static str,
    /// The series. The last label has the value that the call gives; without a label, all values count as one.
    pub family: Family,
    /// The values of the labels before the last one.
    pub fixed: &'static [&'static str],
}

/// The counters that doors, bridges and the hub add to.
pub const COUNTERS: &[Counter] = &[
    counter("refused", "stentor_refused_total", &["reason"], "Requests refused, at any door."),
    counter("http_refused", "stentor_http_refused_total", &["reason"], "HTTP connections that were not taken."),
    counter("http_closed", "stentor_http_closed_total", &["reason"], "HTTP connections that ended by a fault."),
    counter(
        "rtmp_closed",
        "stentor_rtmp_closed_total",
        &["reason"],
        "RTMP connections that ended, with or without a fault.",
    ),
    counter(
        "rtmp_reconnect_requests",
        "stentor_rtmp_reconnect_requests_total",
        &["reason"],
        "RTMP clients that were asked to connect anew.",
    ),
    counter(
        "flv_sockets_closed",
        "stentor_flv_sockets_closed_total",
        &["reason"],
        "FLV viewers over WebSocket whose connection ended.",
    ),
    counter("webhooks", "stentor_webhooks_total", &["event"], "What became of notices and questions of webhooks."),
    counter(
        "ingest_faults",
        "stentor_ingest_faults_total",
        &["fault"],
        "Faults of publishers that began, by their code (docs/health.md).",
    ),
    ended("whip_ended", &["publish"]),
    ended("whep_ended", &["play"]),
    counter(
        "ice_restarts_failed",
        "stentor_ice_restarts_failed_total",
        &["reason"],
        "ICE restarts that were asked for and not done.",
    ),
    counter(
        "streams_begun",
        "stentor_streams_begun_total",
        &["door"],
        "Streams that began, by the door of the publisher.",
    ),
    counter("streams_ended", "stentor_streams_ended_total", &["reason"], "Streams that ended."),
    counter(
        "publishers_unusable",
        "stentor_publishers_unusable_total",
        &["reason"],
        "Publishers ended because what they send cannot be served.",
    ),
    counter(
        "messages_dropped",
        "stentor_messages_dropped_total",
        &["reason"],
        "Messages of publishers that were dropped.",
    ),
    counter(
        "viewer_jumps",
        "stentor_viewer_jumps_total",
        &[],
        "Times that a viewer who was behind was moved to the newest key frame.",
    ),
    counter(
        "viewer_frames_skipped",
        "stentor_viewer_frames_skipped_total",
        &[],
        "Frames that viewers who were behind did not get.",
    ),
    counter("viewers_dropped", "stentor_viewers_dropped_total", &["reason"], "Viewers who were ended by the server."),
    counter(
        "hls_packagers",
        "stentor_hls_packagers_total",
        &["event"],
        "HLS packagers that were started and that ended.",
    ),
    counter(
        "bridges_started",
        "stentor_bridges_started_total",
        &["bridge"],
        "Bridges started: to-frames serves RTMP, FLV and HLS, to-packets WebRTC.",
    ),
    counter(
        "bridges_ended",
        "stentor_bridges_ended_total",
        &["reason"],
        "Bridges ended because the stream cannot be carried.",
    ),
    counter(
        "bridge_frames_skipped",
        "stentor_bridge_frames_skipped_total",
        &["bridge"],
        "Frames that a bridge was too slow for.",
    ),
    counter(
        "bridge_packets_dropped",
        "stentor_bridge_packets_dropped_total",
        &["reason"],
        "Packets that a bridge was too slow for.",
    ),
    counter("audio_dropped", "stentor_audio_dropped_total", &["reason"], "Packets of sound that were not transcoded."),
    counter(
        "media_commands_dropped",
        "stentor_media_commands_dropped_total",
        &["reason"],
        "Commands that a media thread did not take.",
    ),
    counter(
        "key_frames_wanted",
        "stentor_key_frames_unanswerable_total",
        &[],
        "Key frames wanted of sources of frames, which cannot be asked.",
    ),
    counter("streams_kicked", "stentor_streams_kicked_total", &[], "Streams ended by an operator."),
    counter("sessions_kicked", "stentor_sessions_kicked_total", &["door"], "Sessions ended by an operator."),
    counter(
        "traces_failed",
        "stentor_traces_failed_total",
        &["reason"],
        "Batches of spans that the collector did not take.",
    ),
];

/// What is looked up when it is asked for.
pub mod gauges {
    use super::{Family, Kind, gauge};

    /// The version that runs.
    pub const BUILD: Family = gauge("stentor_build_info", &["version"], "Always 1; the version that runs.");
    /// How long.
    pub const UPTIME: Family = gauge("stentor_uptime_seconds", &[], "Seconds since the server began to serve.");
    /// Whether it drains.
    pub const DRAINING: Family =
        gauge("stentor_draining", &[], "1 while the server takes nothing new and waits to end.");
    /// Streams.
    pub const STREAMS: Family = gauge("stentor_streams", &[], "Live streams now.");
    /// Viewers.
    pub const VIEWERS: Family = gauge("stentor_viewers", &["door"], "Viewers now, of all WebRTC doors as one.");
    /// Sessions.
    pub const SESSIONS: Family = gauge("stentor_sessions", &["door", "action"], "Sessions now.");
    /// Bytes of media.
    pub const BYTES: Family = Family {
        name: "stentor_bytes_total",
        kind: Kind::Counter,
        labels: &["door", "direction"],
        help: "Bytes of media, in from publishers and out to viewers, of all WebRTC doors as one (there, of whole datagrams).",
    };
    /// Memory.
    pub const MEMORY: Family = gauge("process_resident_memory_bytes", &[], "Resident memory of the process.");
    /// Processor time.
    pub const CPU: Family = Family {
        name: "process_cpu_seconds_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Processor time of the process, user and system.",
    };
    /// Open files.
    pub const FILES: Family = gauge("process_open_fds", &[], "File descriptors that are open.");
    /// Threads.
    pub const THREADS: Family = gauge("process_threads", &[], "Threads of the process.");

    /// All of them.
    #[cfg_attr(not(test), allow(dead_code, reason = "the page is written and compared by a test"))]
    pub const ALL: &[Family] =
        &[BUILD, UPTIME, DRAINING, STREAMS, VIEWERS, SESSIONS, BYTES, MEMORY, CPU, FILES, THREADS];
}

/// What media threads count, by its name in `sfu::ShardStats::series`.
pub const MEDIA: &[(&str, Family)] = &[
    ("datagrams_in", media("stentor_media_received_datagrams_total", "Datagrams received.")),
    ("bytes_in", media("stentor_media_received_bytes_total", "Bytes of datagrams received.")),
    ("datagrams_out", media("stentor_media_sent_datagrams_total", "Datagrams sent.")),
    ("bytes_out", media("stentor_media_sent_bytes_total", "Bytes of datagrams sent.")),
    ("packets_in", media("stentor_media_received_packets_total", "Media packets that came into tracks.")),
    ("packets_forwarded", media("stentor_media_forwarded_packets_total", "Media packets forwarded to viewers.")),
    (
        "packets_repaired",
        media("stentor_media_repaired_packets_total", "Media packets sent once more because a viewer missed them."),
    ),
    (
        "packets_crossed",
        media("stentor_media_crossed_packets_total", "Media packets told to another media thread that has viewers."),
    ),
    (
        "datagrams_crossed",
        media("stentor_media_crossed_datagrams_total", "Datagrams of a connection that another media thread has."),
    ),
    ("key_frames_requested", media("stentor_media_key_frames_requested_total", "Key frames asked of publishers.")),
    (
        "starts_from_ring",
        media("stentor_media_starts_from_ring_total", "Viewers started from a key frame that was kept."),
    ),
    ("jumps", media("stentor_media_jumps_total", "Viewers that fell behind and were moved to the newest key frame.")),
    (
        "layer_switches",
        media("stentor_media_layer_switches_total", "Viewers that went over to another layer of a picture."),
    ),
    (
        "legs_claimed",
        media("stentor_media_claimed_legs_total", "WebRTC connections that this thread was given by another."),
    ),
    (
        "flights_repeated",
        media("stentor_media_repeated_flights_total", "Flights of DTLS handshakes with viewers sent once more."),
    ),
    ("legs", shard_gauge("stentor_media_legs", "WebRTC connections now.")),
    ("legs_connected", shard_gauge("stentor_media_legs_connected", "WebRTC connections now that stand.")),
    ("tracks", shard_gauge("stentor_media_tracks", "Tracks now.")),
];

/// What media threads drop: series whose names begin with this, and whose rest is the reason.
pub const MEDIA_DROPS: (&str, Family) = (
    "drops_",
    Family {
        name: "stentor_media_dropped_total",
        kind: Kind::Counter,
        labels: &["shard", "reason"],
        help: "Datagrams, packets and commands that a media thread dropped.",
    },
);

const fn counter(
    call: &'static str,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Counter {
    Counter { call, family: Family { name, kind: Kind::Counter, labels, help }, fixed: &[] }
}

const fn ended(call: &'static str, fixed: &'static [&'static str]) -> Counter {
    let name = "stentor_webrtc_ended_total";
    let family =
        Family { name, kind: Kind::Counter, labels: &["action", "reason"], help: "WebRTC sessions that ended." };
    Counter { call, family, fixed }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels, help }
}

const fn media(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, labels: &["shard"], help }
}

const fn shard_gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels: &["shard"], help }
}
