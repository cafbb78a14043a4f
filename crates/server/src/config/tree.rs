//! Every setting with its documentation and its default: the single source of sample, reference and errors.

use super::section::settings;
use super::value::{LogFormat, Size};
use super::{
    hooks::{Dialect, EventKind, OnFailure, Question},
    words::ViewerLeg,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use wire::sign::url::Scheme;

/// Fewer segments in a playlist make players stall (RFC 8216, 6.2.2: at least three target durations).
pub(super) const HLS_SEGMENTS_MIN: u32 = 3;

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// A port on every IPv4 address of the machine.
const fn on_port(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(ANY), port)
}

settings! {
    /// The process as a whole.
    pub struct Server["server"] {
        /// The host name or address in the URLs that the server shows. Unset: the one that a request came by.
        advertise: Option<String> = None, example "live.example.com";
        /// The application of a live URL that names none and whose host name is bound to none. Unset: the first below.
        default_application: Option<u32> = None, example "1400000000";
        /// After SIGTERM no new sessions are let in, and the process ends when the last has left or after this time.
        drain_timeout: Duration = Duration::from_secs(30);
        /// The folder for what has to outlast the process: notices of webhooks that are not delivered yet. It has to exist.
        /// Unset: they are kept in memory, and lost when the process ends.
        data: Option<PathBuf> = None, example "/var/lib/stentor";
        /// What is logged: error, warn, info, debug or trace, for all or per part ("info,stentor::door::rtmp=debug").
        log: String = "info".to_owned();
        /// How it is logged: "text" for people, "json" for programs, one object a line.
        log_format: LogFormat = LogFormat::Text;
        /// Where traces are sent: the HTTP address of an OpenTelemetry collector, without /v1/traces. Unset: nowhere.
        otlp_endpoint: Option<String> = None, example "http://127.0.0.1:4318";
        /// Who shows one of these as `Authorization: Bearer` may list, inspect and end sessions and end streams. Unset:
        /// nobody. Make one by: openssl rand -hex 32
        admin_tokens: Vec<String> = Vec::new(), example "replace me by the output of: openssl rand -hex 32";
    }

    /// Pages, REST, WHIP, WHEP, HTTP-FLV, HLS.
    pub struct Http["http"] {
        /// Address and port.
        listen: SocketAddr = on_port(8080);
        /// The certificate chain in PEM. With it and tls_key the port speaks HTTPS, which browsers demand for cameras.
        tls_certificate: Option<PathBuf> = None, example "/etc/stentor/fullchain.pem";
        /// The certificate's private key in PEM.
        tls_key: Option<PathBuf> = None, example "/etc/stentor/privkey.pem";
        /// Whether everybody may read /metrics. Otherwise the machine itself may, and who shows an admin token.
        metrics_open: bool = false;
    }

    /// RTMP.
    pub struct Rtmp["rtmp"] {
        /// Address and port.
        listen: SocketAddr = on_port(1935);
        /// A connection over which nothing has come for this long is closed.
        idle_timeout: Duration = Duration::from_secs(30);
        /// Further connections are refused.
        connections_max: u32 = 4096;
        /// The certificate chain of RTMPS in PEM; the same port speaks RTMP and RTMPS. Unset: that of [http].
        tls_certificate: Option<PathBuf> = None, example "/etc/stentor/fullchain.pem";
        /// The certificate's private key in PEM.
        tls_key: Option<PathBuf> = None, example "/etc/stentor/privkey.pem";
        /// Where publishers and players that know Enhanced RTMP are asked to connect when this server shuts down, without
        /// the stream's name. Unset: they are asked to connect anew where they are, as behind a load balancer.
        reconnect_url: Option<String> = None, example "rtmp://other.example.com/live";
    }

    /// WebRTC: one UDP port for all media, and TCP on the same number for networks without UDP.
    pub struct Media["media"] {
        /// Address and port.
        listen: SocketAddr = on_port(3478);
        /// The public addresses of this machine where they differ from its own, as behind NAT.
        advertise: Vec<IpAddr> = Vec::new(), example "203.0.113.7";
        /// STUN servers that WHIP and WHEP answers name to clients. None is needed to reach this server.
        ice_servers: Vec<String> = Vec::new(), example "stun:stun.example.com:3478";
        /// A peer that has been answered, and whose connection has not come about after this long, is let go.
        connect_timeout: Duration = Duration::from_secs(15);
        /// Media threads, each with a socket of its own on the one port; 0 is one for each core that the process may use.
        shards: u32 = 0;
        /// What WebRTC viewers are served by: "own" costs a fraction of "str0m", which is here to compare.
        viewer_leg: ViewerLeg = ViewerLeg::Own;
    }

    /// Live streams, whatever they come in and go out by.
    pub struct Live["live"] {
        /// A publisher that has sent nothing for this long is ended, and its stream with it.
        publish_timeout: Duration = Duration::from_secs(10);
        /// Whether a second publisher of a stream replaces the first. Otherwise the second is refused.
        takeover: bool = false;
        /// A viewer who comes before the publisher is kept waiting for this long; "0s" answers at once that there is none.
        wait_for_stream: Duration = Duration::ZERO;
        /// A stream keeps its newest pictures for viewers who join or are late: at most this much of them.
        gop_cache_bytes: Size = Size::mebibytes(16);
        /// And at most this long.
        gop_cache_span: Duration = Duration::from_secs(8);
        /// An RTMP or FLV viewer who is this far behind jumps to the newest key frame.
        viewer_lag_max: Duration = Duration::from_secs(5);
        /// A viewer who has jumped this often within a minute is dropped.
        viewer_jumps_max: u32 = 10;
        /// Frames are gathered for this long before they are written to RTMP and FLV viewers. Less delay costs more
        /// processor time: "0s" for the least delay, "20ms" to "50ms" for most, "350ms" for many viewers.
        merge_write: Duration = Duration::from_millis(20);
        /// A browser that publishes makes key frames only when asked; while frames are needed of it, it is asked so often.
        key_frame_interval: Duration = Duration::from_secs(2);
    }

    /// HLS.
    pub struct Hls["hls"] {
        /// Length of a segment, at least; it ends at the next key frame.
        segment: Duration = Duration::from_secs(2);
        /// Segments in the playlist, at least 3.
        segments: u32 = 6;
        /// Segments are made while somebody plays them, and for this long after.
        idle_timeout: Duration = Duration::from_secs(30);
    }

    /// An application: a tenant with a number and keys of its own. Repeat the section for more; at least one is needed.
    pub struct Application["application"] {
        /// Its number, which clients call sdkAppId.
        sdk_app_id: u32 = 0, example "1400000000";
        /// Its name, for people.
        name: String = String::new(), example "main";
        /// The secret keys that tokens are signed with: one, or two while one is exchanged for the next.
        /// Make one by: openssl rand -hex 32
        keys: Vec<String> = Vec::new(), example "replace me by the output of: openssl rand -hex 32";
        /// Whether everybody may publish and play without a token.
        open: bool = false;
        /// Host names whose live URLs belong to this application.
        hosts: Vec<String> = Vec::new(), example "live.example.com";
        /// The secret keys of signed URLs to publish by (docs/signing.md): one, or two while one is exchanged for the next.
        push_keys: Vec<String> = Vec::new(), example "replace me by the output of: openssl rand -hex 16";
        /// The secret keys of signed URLs to play by; others than the push_keys.
        play_keys: Vec<String> = Vec::new(), example "replace me by the output of: openssl rand -hex 16";
        /// How URLs may be signed: aliyun-a, aliyun-b, aliyun-c, tencent, tencent-sha256, tencent-decimal.
        url_signing: Vec<Scheme> = vec![Scheme::AliyunA, Scheme::Tencent];
        /// A signed URL is valid until the time that it names and for this long after. Alibaba calls it the validity
        /// period: set it to what its console says where your signing server writes the time of signing into URLs.
        url_validity: Duration = Duration::ZERO;
        /// Whether everybody may play without a token or a signature.
        play_open: bool = false;
    }

    /// What is otherwise for the live URLs of one AppName, their first segment. Repeat the section for more.
    pub struct App["app"] {
        /// The number of the application whose AppName it is.
        sdk_app_id: u32 = 0, example "1400000000";
        /// The AppName.
        name: String = String::new(), example "live";
        /// Instead of the application's push_keys, where there are any.
        push_keys: Vec<String> = Vec::new(), example "replace me by the output of: openssl rand -hex 16";
        /// Instead of the application's play_keys, where there are any.
        play_keys: Vec<String> = Vec::new(), example "replace me by the output of: openssl rand -hex 16";
        /// Instead of the application's play_open.
        play_open: Option<bool> = None, example "false";
    }

    /// A webhook: a URL of yours that is told what happens, and may be asked first. Repeat the section for more.
    /// docs/webhooks.md shows what is sent.
    pub struct Webhook["webhook"] {
        /// Where requests go: http:// or https://. Redirects are not followed.
        url: String = String::new(), example "https://example.com/stentor-events";
        /// The application that it is about. Unset: all of them.
        application: Option<u32> = None, example "1400000000";
        /// What requests look like: "stentor" (as TRTC's callbacks), "srs" (as SRS's HTTP hooks) or "tencent-css".
        dialect: Dialect = Dialect::Stentor;
        /// What requests are signed with, so that the receiver knows whose they are. Unset: they are not signed.
        key: Option<String> = None, example "replace me by the output of: openssl rand -hex 16";
        /// What it is told of: "stream-started", "stream-ended", "viewer-began", "viewer-ended".
        events: Vec<EventKind> = vec![EventKind::StreamStarted, EventKind::StreamEnded];
        /// What it is asked before it happens, and may refuse: "publish", "play". Not in the dialect "tencent-css".
        veto: Vec<Question> = Vec::new(), example "publish, play";
        /// What is done where it was asked and gave no valid answer: "closed" refuses, "open" allows.
        fail: OnFailure = OnFailure::Closed;
        /// A request is given up after this.
        timeout: Duration = Duration::from_secs(5);
    }
}
