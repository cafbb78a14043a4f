//! What `dev` and `serve` share: binding the doors, running them, draining.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use live::stream::{EndReason, Limits};
use store::Store;
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::TlsAcceptor;

use super::Failure;
use crate::{
    admin::Admin,
    app::{Addresses, App, Viewing},
    audio,
    auth::Gate,
    counters::Counters,
    door::{Door, hls::Hls, rtmp, webrtc},
    http,
    hub::{self, Hub},
    media::Media,
    shard,
    webhooks::{Hook, Webhooks},
};

/// At the end notices of webhooks have so long to be kept, or to be delivered where they are kept in memory only.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);

/// Everything that decides how a server runs.
pub(super) struct Plan {
    pub(super) mode: &'static str,
    pub(super) http: SocketAddr,
    pub(super) tls: Option<TlsAcceptor>,
    /// A second HTTP listener, with TLS (`dev --lan`).
    pub(super) https: Option<(SocketAddr, TlsAcceptor)>,
    pub(super) rtmp: SocketAddr,
    pub(super) rtmp_door: rtmp::Settings,
    pub(super) rtmp_idle_timeout: Duration,
    pub(super) media: shard::Config,
    pub(super) gate: Gate,
    pub(super) admin: Admin,
    pub(super) metrics_open: bool,
    pub(super) counters: Arc<Counters>,
    pub(super) hub: hub::Settings,
    pub(super) hls: live::hls::Config,
    pub(super) hls_idle_timeout: Duration,
    pub(super) viewing: Viewing,
    pub(super) key_frame_interval: Duration,
    pub(super) ice_servers: Vec<String>,
    pub(super) advertise: Option<String>,
    /// The folder for what outlasts the process.
    pub(super) data: Option<PathBuf>,
    pub(super) webhooks: Vec<Hook>,
    pub(super) drain_timeout: Duration,
}

impl Plan {
    /// The bounds that no setting changes.
    pub(super) const STREAMS_MAX: usize = 10_000;
}

/// A server whose doors are open.
pub(super) struct Running {
    pub(super) app: Arc<App>,
    stop: watch::Sender<bool>,
    drain_timeout: Duration,
    /// Held open for `--lan`.
    pub(super) https: Option<SocketAddr>,
}

/// The asynchronous side of the server. Media threads are apart from it.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    Ok(runtime.context("cannot start the server's threads")?)
}

/// Binds and opens every door.
pub(super) async fn start(plan: Plan) -> Result<Running, Failure> {
    let counters = plan.counters.clone();
    let http_listener = bind(plan.http, "HTTP", "--http or [http] listen").await?;
    let rtmp_listener = bind(plan.rtmp, "RTMP", "--rtmp or [rtmp] listen").await?;
    let https = match plan.https {
        Some((address, tls)) => Some((bind(address, "HTTPS", "--https").await?, tls)),
        None => None,
    };
    let media_address = plan.media.listen;
    let media = Media::start(plan.media, counters.clone())
        .map_err(|error| taken(media_address, "WebRTC media", "--media or [media] listen", &error))?;
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
    let audio = audio::Pool::start(threads, counters.clone()).context("cannot start the audio threads")?;
    let store = match &plan.data {
        Some(folder) => Some(Store::open(folder).await.map_err(|error| Failure::Usage(error.to_string()))?),
        None => None,
    };
    let addresses = Addresses {
        http: http_listener.local_addr().context("HTTP socket")?,
        rtmp: rtmp_listener.local_addr().context("RTMP socket")?,
        media: media.local_addr(),
        advertise: plan.advertise,
        https: plan.tls.is_some(),
    };
    let host = addresses.advertise.clone().unwrap_or_else(|| addresses.http.ip().to_string());
    let webhooks = Webhooks::start(plan.webhooks, store, host, counters.clone())
        .await
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let app = Arc::new(App {
        hub: Hub::new(plan.hub, counters.clone(), webhooks.notices()),
        gate: plan.gate,
        admin: plan.admin,
        metrics_open: plan.metrics_open,
        media,
        audio,
        sessions: Arc::default(),
        webrtc: webrtc::Sessions::default(),
        webhooks: Arc::new(webhooks),
        hls: Hls::new(plan.hls, plan.hls_idle_timeout),
        counters: counters.clone(),
        viewing: plan.viewing,
        key_frame_interval: plan.key_frame_interval,
        rtmp_idle_timeout: plan.rtmp_idle_timeout,
        ice_servers: plan.ice_servers,
        addresses,
        mode: plan.mode,
        begun: std::time::Instant::now(),
    });
    let (stop, stopped) = watch::channel(false);
    let router = http::router(app.clone());
    tokio::spawn(http::serve(http_listener, plan.tls, router.clone(), counters.clone(), stopped.clone()));
    let mut https_address = None;
    if let Some((listener, tls)) = https {
        https_address = listener.local_addr().ok();
        tokio::spawn(http::serve(listener, Some(tls), router, counters, stopped.clone()));
    }
    tokio::spawn(rtmp::serve(rtmp_listener, app.clone(), plan.rtmp_door, stopped));
    tokio::spawn(app.hub.clone().end_the_silent());
    Ok(Running { app, stop, drain_timeout: plan.drain_timeout, https: https_address })
}

impl Running {
    /// Serves until SIGINT (ends at once) or SIGTERM (drains first).
    pub(super) async fn until_signalled(self) -> Result<(), Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => self.drain(terminate).await,
        }
        self.app.hub.end_all(EndReason::Drained);
        let _ = self.stop.send(true);
        self.app.webhooks.settle(SETTLE_TIMEOUT).await;
        // Goodbyes (RTMP status, DTLS close) go out before the process does.
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(())
    }

    /// Takes nothing new, and waits until everybody has gone or the time is over; a second signal ends the wait.
    async fn drain(&self, mut again: tokio::signal::unix::Signal) {
        self.app.hub.drain();
        // Nobody waits for the demo to end.
        for stream in self.app.hub.list().iter().filter(|stream| stream.door == Door::Demo) {
            stream.end(EndReason::Drained);
        }
        tracing::info!(timeout = ?self.drain_timeout, "draining");
        let empty = async {
            while !self.app.hub.list().is_empty() || self.app.webrtc.count() > 0 {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::select! {
            () = empty => {}
            () = tokio::time::sleep(self.drain_timeout) => {}
            _ = again.recv() => {}
        }
    }
}

async fn bind(address: SocketAddr, door: &str, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| taken(address, door, setting, &error))
}

fn taken(address: SocketAddr, door: &str, setting: &str, error: &std::io::Error) -> Failure {
    let port = address.port();
    Failure::Usage(match error.kind() {
        std::io::ErrorKind::AddrInUse => format!(
            "{door} cannot listen on {address}: port {port} is taken by another program; end it (`ss -ltnup 'sport = :{port}'` names it) or choose another with {setting}"
        ),
        std::io::ErrorKind::PermissionDenied => {
            format!("{door} cannot listen on {address}: ports below 1024 want root; choose another with {setting}")
        }
        std::io::ErrorKind::AddrNotAvailable => {
            format!(
                "{door} cannot listen on {address}: this machine has no such address; choose another with {setting}"
            )
        }
        _ => format!("{door} cannot listen on {address}: {error}; choose another with {setting}"),
    })
}

/// The bounds of each stream's cache unless a configuration says otherwise.
pub(super) fn cache() -> Limits {
    // As many groups of pictures as the span holds, so that HLS begins with several segments where key frames are close.
    Limits { gops_max: 16, ..Limits::default() }
}
