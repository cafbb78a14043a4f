//! `stentor serve`: a server for users, from a configuration file.

use std::{net::SocketAddr, path::Path, sync::Arc};

use super::{
    Failure, ServeArgs,
    run::{self, Plan},
    tls,
};
use crate::{
    admin::Admin,
    app::Viewing,
    auth::{Application, Gate},
    config::{Config, ViewerLeg},
    door::rtmp,
    hub, logs, shard,
    signing::Signing,
    traces,
    webhooks::Hook,
};

pub(super) fn run(args: ServeArgs) -> Result<(), Failure> {
    if args.print_config {
        print!("{}", Config::sample());
        return Ok(());
    }
    let mut config = load(args.config.as_deref(), args.http, args.rtmp, args.media)?;
    if let Some(format) = args.log_format {
        config.server.log_format = format;
    }
    let plan = plan(&config)?;
    let runtime = run::runtime()?;
    let server = &config.server;
    let exporter = server.otlp_endpoint.as_deref();
    let exporter = exporter.map(|endpoint| traces::start(endpoint, &plan.counters, runtime.handle())).transpose()?;
    logs::start(&server.log, server.log_format, exporter.as_ref());
    let ended = runtime.block_on(async {
        let running = run::start(plan).await?;
        let addresses = &running.app.addresses;
        tracing::info!(http = %addresses.http, rtmp = %addresses.rtmp, media = %addresses.media, "serving");
        running.until_signalled().await
    });
    // While the runtime still runs, since spans are sent by it.
    if let Some(exporter) = exporter {
        exporter.finish();
    }
    ended
}

/// The configuration of a file, with the environment and these flags over it.
///
/// # Errors
/// One sentence naming the file, the key, and what was expected.
pub(super) fn load(
    file: Option<&Path>,
    http: Option<SocketAddr>,
    rtmp: Option<SocketAddr>,
    media: Option<SocketAddr>,
) -> Result<Config, Failure> {
    let flag = |key: &'static str, value: Option<SocketAddr>| value.map(|address| (key, address.to_string()));
    let flags = [flag("http.listen", http), flag("rtmp.listen", rtmp), flag("media.listen", media)];
    let environment =
        std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    Config::load(file, environment, flags.into_iter().flatten()).map_err(|error| Failure::Usage(error.to_string()))
}

fn plan(config: &Config) -> Result<Plan, Failure> {
    let tls = match (&config.http.tls_certificate, &config.http.tls_key) {
        (Some(certificate), Some(key)) => Some(tls::from_files(certificate, key)?),
        _ => None,
    };
    let rtmps = match (&config.rtmp.tls_certificate, &config.rtmp.tls_key) {
        (Some(certificate), Some(key)) => Some(tls::from_files(certificate, key)?),
        _ => tls.clone(),
    };
    let application = |own: &crate::config::Application| Application {
        id: own.sdk_app_id,
        keys: own.keys.clone(),
        open: own.open,
        hosts: own.hosts.clone(),
        signing: Signing::from_config(own, &config.apps),
    };
    let live = &config.live;
    let millis = |duration: std::time::Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    let mut cache = run::cache();
    cache.ring_bytes_max = config.live.gop_cache_bytes.bytes();
    cache.ring_span_ms_max = millis(live.gop_cache_span);
    Ok(Plan {
        mode: "serve",
        http: config.http.listen,
        tls,
        https: None,
        rtmp: config.rtmp.listen,
        rtmp_door: rtmp::Settings {
            connections_max: config.rtmp.connections_max as usize,
            tls: rtmp::Tls::new(rtmps.as_ref().map(tls::for_rtmp)),
            reconnect_url: config.rtmp.reconnect_url.clone(),
        },
        rtmp_idle_timeout: config.rtmp.idle_timeout,
        media: shard::Config {
            listen: config.media.listen,
            advertise: config.media.advertise.clone(),
            shards: config.media.shards as usize,
            connect_timeout: config.media.connect_timeout,
            viewer_leg: match config.media.viewer_leg {
                ViewerLeg::Own => rtc::ViewerLeg::Own,
                ViewerLeg::Str0m => rtc::ViewerLeg::Str0m,
            },
        },
        admin: Admin::new(&config.server.admin_tokens),
        metrics_open: config.http.metrics_open,
        counters: Arc::default(),
        gate: Gate::new(config.applications.iter().map(application).collect(), false),
        hub: hub::Settings {
            cache,
            takeover: live.takeover,
            publish_timeout: live.publish_timeout,
            wait_for_stream: live.wait_for_stream,
            streams_max: Plan::STREAMS_MAX,
        },
        hls: live::hls::Config {
            segment_ms: millis(config.hls.segment),
            segments: config.hls.segments as usize,
            ..live::hls::Config::default()
        },
        hls_idle_timeout: config.hls.idle_timeout,
        viewing: Viewing {
            merge_write: live.merge_write,
            lag_max: live.viewer_lag_max,
            jumps_max: live.viewer_jumps_max,
        },
        key_frame_interval: live.key_frame_interval,
        ice_servers: config.media.ice_servers.clone(),
        advertise: config.server.advertise.clone(),
        data: config.server.data.clone(),
        webhooks: config.webhooks.iter().filter_map(Hook::new).collect(),
        drain_timeout: config.server.drain_timeout,
    })
}
