//! `stentor dev`: a server to try, without configuration and without another server.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use wire::sign;

use super::{
    DevArgs, Failure,
    run::{self, Plan, Running},
    tls,
};
use crate::{
    admin::Admin,
    app::Viewing,
    auth::{Application, Gate},
    clock::unix_now_s,
    config::ADMIN_TOKEN_BYTES_MIN,
    demo,
    door::{rtmp, stream_key},
    hub, logs, shard,
    signing::Signing,
};

/// The demo application. A number that looks like the original's, so that people see where theirs will go.
const SDK_APP_ID: u32 = 1_400_000_001;
/// The printed tokens are for a day of trying.
const TOKEN_TTL_S: u64 = 86_400;

pub(super) fn run(args: DevArgs) -> Result<(), Failure> {
    logs::start(if args.json { "warn" } else { "info" }, args.log_format, None);
    run::runtime()?.block_on(serve(args))
}

async fn serve(args: DevArgs) -> Result<(), Failure> {
    let key =
        args.key.clone().unwrap_or_else(|| format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>()));
    let token = admin_token(args.admin_token.clone())?;
    let lan = if args.lan { Some(local_address()?) } else { None };
    let running = run::start(plan(&args, (&key, &token), lan)?).await?;
    if !args.no_demo {
        let app = running.app.clone();
        let demo_key = stream_key(SDK_APP_ID, "live", "demo").map_err(|refusal| anyhow::anyhow!(refusal))?;
        tokio::spawn(async move {
            if let Err(error) = demo::run(app, demo_key).await {
                tracing::warn!(%error, "the demo stream ended");
            }
        });
    }
    let urls = Urls::new(&running, lan);
    if args.json {
        println!("{}", urls.json(&key, &token));
    } else {
        println!("{}", urls.table((&key, &token), lan.is_some()));
    }
    running.until_signalled().await
}

fn admin_token(chosen: Option<String>) -> Result<String, Failure> {
    let token = chosen.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
    if token.len() < ADMIN_TOKEN_BYTES_MIN || token.contains(char::is_whitespace) {
        return Err(Failure::Usage(format!(
            "--admin-token holds a space or is shorter than {ADMIN_TOKEN_BYTES_MIN} characters; leave it out, or make one by: openssl rand -hex 32"
        )));
    }
    Ok(token)
}

fn plan(args: &DevArgs, (key, token): (&str, &str), lan: Option<IpAddr>) -> Result<Plan, Failure> {
    let everywhere = |address: SocketAddr| {
        if lan.is_some() { SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()) } else { address }
    };
    let names: Vec<IpAddr> = lan.into_iter().chain([Ipv4Addr::LOCALHOST.into()]).collect();
    let tls = tls::self_made(&names)?;
    let rtmps = tls::for_rtmp(&tls);
    let https = lan.map(|_| (args.https, tls));
    let signing = Signing::of_one_key(key);
    let application =
        Application { id: SDK_APP_ID, keys: vec![key.to_owned()], open: false, hosts: Vec::new(), signing };
    Ok(Plan {
        mode: "dev",
        http: args.http,
        tls: None,
        https,
        rtmp: everywhere(args.rtmp),
        rtmp_door: rtmp::Settings { connections_max: 4_096, tls: rtmp::Tls::new(Some(rtmps)), reconnect_url: None },
        rtmp_idle_timeout: Duration::from_secs(30),
        media: shard::Config {
            listen: everywhere(args.media),
            advertise: lan.into_iter().collect(),
            shards: 0,
            connect_timeout: Duration::from_secs(15),
            viewer_leg: rtc::ViewerLeg::Own,
        },
        gate: Gate::new(vec![application], true),
        admin: Admin::new(&[token.to_owned()]),
        metrics_open: false,
        counters: Arc::default(),
        hub: hub::Settings {
            cache: run::cache(),
            takeover: false,
            publish_timeout: Duration::from_secs(10),
            wait_for_stream: Duration::ZERO,
            streams_max: Plan::STREAMS_MAX,
        },
        hls: live::hls::Config::default(),
        hls_idle_timeout: Duration::from_secs(30),
        viewing: Viewing { merge_write: Duration::ZERO, lag_max: Duration::from_secs(5), jumps_max: 10 },
        key_frame_interval: Duration::from_secs(2),
        ice_servers: Vec::new(),
        advertise: None,
        data: args.data.clone(),
        webhooks: Vec::new(),
        drain_timeout: Duration::from_secs(5),
    })
}

/// The address by which the local network reaches this machine: the one that packets to others would leave from.
/// Nothing is sent.
fn local_address() -> Result<IpAddr, Failure> {
    let find = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    match find() {
        Ok(address) if !address.is_unspecified() => Ok(address),
        _ => Err(Failure::Usage("--lan: this machine has no route to a network, so there is no address to listen on; leave --lan out, or connect it".into())),
    }
}

struct Urls {
    http: String,
    rtmp: String,
    media: SocketAddr,
    lan: Option<String>,
    lan_rtmp: Option<String>,
}

impl Urls {
    fn new(running: &Running, lan: Option<IpAddr>) -> Self {
        let addresses = &running.app.addresses;
        let visible = |address: SocketAddr| {
            if address.ip().is_unspecified() {
                SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port())
            } else {
                address
            }
        };
        let https_port = running.https.map_or(8443, |address| address.port());
        Self {
            http: format!("http://{}", visible(addresses.http)),
            rtmp: format!("rtmp://{}", visible(addresses.rtmp)),
            media: addresses.media,
            lan: lan.map(|ip| format!("https://{}", SocketAddr::new(ip, https_port))),
            lan_rtmp: lan.map(|ip| format!("rtmp://{}", SocketAddr::new(ip, addresses.rtmp.port()))),
        }
    }

    /// Host and port of HTTP, for schemes of their own.
    fn host(&self) -> &str {
        self.http.split_once("://").map_or(self.http.as_str(), |(_, host)| host)
    }

    fn json(&self, key: &str, token: &str) -> String {
        let (http, rtmp, host) = (&self.http, &self.rtmp, self.host());
        json!({
            "http": http,
            "rtmp": rtmp,
            "rtmps": rtmp.replacen("rtmp", "rtmps", 1),
            "media": self.media.to_string(),
            "https": self.lan,
            "sdkAppId": SDK_APP_ID,
            "secretKey": key,
            "adminToken": token,
            "demo": {
                "page": format!("{http}/"),
                "whep": format!("{http}/whep/live/demo"),
                "flv": format!("{http}/live/demo.flv"),
                "hls": format!("{http}/live/demo.m3u8"),
                "rtmp": format!("{rtmp}/live/demo"),
                "artc": format!("artc://{host}/live/demo"),
                "trtc": format!("trtc://{host}/play/demo"),
                "wsFlv": format!("ws://{host}/live/demo.flv"),
            },
        })
        .to_string()
    }

    fn table(&self, (key, token): (&str, &str), lan: bool) -> String {
        let (http, rtmp, host) = (&self.http, &self.rtmp, self.host());
        let mut out = format!(
            "\n  Stentor is ready. Open  {http}/\n\n\
             \x20 Plays already (the demo stream)\n\
             \x20   page    {http}/\n\
             \x20   WebRTC  {http}/whep/live/demo\n\
             \x20   FLV     {http}/live/demo.flv  (ws:// as well)\n\
             \x20   HLS     {http}/live/demo.m3u8\n\
             \x20   RTMP    {rtmp}/live/demo  (rtmps:// as well)\n\
             \x20   artc    artc://{host}/live/demo\n\
             \x20   trtc    trtc://{host}/play/demo\n\
             \x20   here    stentor play {http}/whep/live/demo\n\n\
             \x20 Publish your own as live/show\n\
             \x20   ffmpeg  ffmpeg -re -i FILE -c:v libx264 -bf 0 -g 60 -c:a aac -f flv {rtmp}/live/show\n\
             \x20   OBS     Server {rtmp}/live   Stream key show   (Output > Advanced > Max B-frames 0)\n\
             \x20   WHIP    {http}/whip/live/show   (OBS: service WHIP; browsers: the page above)\n\
             \x20   Two people on the mic: {http}/demo/co-anchor\n\n\
             \x20 Application {SDK_APP_ID}, secret key {key}\n\
             \x20   From this machine no token is needed. For others:  stentor token --app {SDK_APP_ID} --key {key} --user ann\n\n\
             \x20 Sessions: list, inspect, end\n\
             \x20   curl -H 'Authorization: Bearer {token}' {http}/v1/sessions\n"
        );
        if let (true, Some(https), Some(rtmp)) = (lan, &self.lan, &self.lan_rtmp) {
            let token = sign::mint(SDK_APP_ID, key, "lan", unix_now_s(), TOKEN_TTL_S);
            let query = format!("sdkappid={SDK_APP_ID}&userid=lan&usersig={token}");
            let _ = write!(
                out,
                "\n  On the local network (the certificate is self-made: accept it once; the token is good for a day)\n\
                 \x20   page    {https}/?{query}\n\
                 \x20   mic     {https}/demo/co-anchor?{query}\n\
                 \x20   OBS     Server {rtmp}/live   Stream key show?{query}\n"
            );
        }
        out.push_str("\n  Ctrl-C ends it.\n");
        out
    }
}
