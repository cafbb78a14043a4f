//! The frame path: publishers send frames that carry a number, a time and a hash; viewers look at every one of them.

mod frame;
mod publisher;
mod run;
mod viewer;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{bail, ensure};
use clap::Args;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use self::{frame::Frames, publisher::Shape, run::Run};
use crate::process::Process;

/// What `stentor-load frames` is told.
#[derive(Args, Clone)]
pub(crate) struct FramesArgs {
    /// Where RTMP listens.
    #[arg(long)]
    rtmp: SocketAddr,
    /// Where HTTP listens; needed for FLV viewers.
    #[arg(long)]
    http: Option<SocketAddr>,
    /// Streams, each from its own publisher.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=2_000))]
    publishers: u64,
    /// Viewers by FLV over HTTP, spread over the streams.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=20_000))]
    flv_viewers: u64,
    /// Viewers by RTMP, spread over the streams.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=20_000))]
    rtmp_viewers: u64,
    /// Length of the window in which frames are counted.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Seconds for which publishers send before viewers come: past the length of the server's cache, so that what it
    /// holds for streams is not taken for what it holds for viewers.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    warm_up: u64,
    /// Bits of pictures in a second.
    #[arg(long, default_value_t = 2_500_000, value_parser = clap::value_parser!(u64).range(10_000..=50_000_000))]
    bitrate: u64,
    /// Pictures in a second.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=240))]
    fps: u64,
    /// Pictures from one key frame to the next.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    gop: u64,
    /// The server's process, for its CPU time and memory.
    #[arg(long)]
    server_pid: Option<u32>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Allows addresses of other machines. Only for machines that are yours.
    #[arg(long)]
    yes_elsewhere: bool,
}

/// Everybody has to be in by then.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);
/// What a server does on joining is over by then.
const SETTLE: Duration = Duration::from_secs(2);
/// Viewers come at this distance, so that the listener's queue does not overflow.
const JOIN_INTERVAL: Duration = Duration::from_millis(2);
/// After the window, viewers have so long for what is on its way.
const TAIL_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs it; false where not every frame came.
///
/// # Errors
/// Where it cannot be measured.
pub(crate) fn run(args: &FramesArgs) -> anyhow::Result<bool> {
    for address in [Some(args.rtmp), args.http].into_iter().flatten() {
        ensure!(
            args.yes_elsewhere || address.ip().is_loopback(),
            "{address} is another machine, and load on a machine that is not yours is an attack; use a loopback address, or say --yes-elsewhere"
        );
    }
    ensure!(args.flv_viewers == 0 || args.http.is_some(), "--flv-viewers needs --http, the address of the FLV door");
    ensure!(args.flv_viewers + args.rtmp_viewers > 0, "nobody watches; say --rtmp-viewers or --flv-viewers");
    // One thread: what this machine has left belongs to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (intact, figures) = runtime.block_on(measure(args))?;
    if args.json {
        println!("{figures}");
    } else if let Value::Object(figures) = &figures {
        figures.iter().for_each(|(name, value)| println!("{name:>18}  {value}"));
    }
    Ok(intact)
}

async fn measure(args: &FramesArgs) -> anyhow::Result<(bool, Value)> {
    let server = args.server_pid.map(Process);
    let run = Arc::new(Run::new());
    let (stop, stopped) = watch::channel(false);
    let publishers = publish(args, &run, &stopped)?;
    until(&run, &run.publishing, args.publishers, "publishers").await?;
    tokio::time::sleep(Duration::from_secs(args.warm_up)).await;
    let before = server.map(|server| server.memory_bytes()).transpose()?;
    let viewers = watch_all(args, &run).await;
    until(&run, &run.watching, args.flv_viewers + args.rtmp_viewers, "viewers").await?;
    tokio::time::sleep(SETTLE).await;

    let cpu = server.map(|server| server.cpu_s()).transpose()?;
    let bytes = run.bytes.load(Relaxed);
    let began = std::time::Instant::now();
    run.open_window(Duration::from_secs(args.seconds));
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let length_s = began.elapsed().as_secs_f64();
    let gbit = (run.bytes.load(Relaxed) - bytes) as f64 * 8.0 / 1e9;
    let used = server.map(|server| server.cpu_s()).transpose()?.zip(cpu).map(|(after, before)| after - before);
    let after = server.map(|server| server.memory_bytes()).transpose()?;

    if tokio::time::timeout(TAIL_TIMEOUT, viewers.join_all()).await.is_err() {
        run.fault(format!("some viewers have not got all in {TAIL_TIMEOUT:?}"));
    }
    let _ = stop.send(true);
    publishers.join_all().await;
    let viewers = args.flv_viewers + args.rtmp_viewers;
    let mut figures = run.figures();
    if let Value::Object(entries) = &mut figures {
        let own = json!({
            "publishers": args.publishers,
            "viewers": viewers,
            "seconds": length_s,
            "gbit": gbit,
            "gbitPerS": gbit / length_s,
            "serverCpuS": used,
            "serverCpuSPerGbit": used.map(|used| used / gbit),
            "serverBytes": after,
            "serverBytesPerViewer": after.zip(before).map(|(after, before)| after.saturating_sub(before) / viewers),
            "intact": run.is_intact(),
        });
        if let Value::Object(own) = own {
            entries.extend(own);
        }
    }
    Ok((run.is_intact(), figures))
}

fn publish(args: &FramesArgs, run: &Arc<Run>, stopped: &watch::Receiver<bool>) -> anyhow::Result<JoinSet<()>> {
    let frames = Arc::new(Frames::new()?);
    let shape = Shape { bitrate_bps: args.bitrate, fps: args.fps, gop: args.gop };
    let total = args.flv_viewers + args.rtmp_viewers;
    let mut publishers = JoinSet::new();
    for at in 0..args.publishers {
        let url = format!("rtmp://{}/live/load{at}", args.rtmp);
        // Apart from one another, as publishers of life are.
        let late = Duration::from_micros(1_000_000 / args.fps * at / args.publishers);
        let (frames, run, stopped) = (frames.clone(), run.clone(), stopped.clone());
        let watching = total / args.publishers + u64::from(at < total % args.publishers);
        publishers.spawn(async move {
            match publisher::run(url, shape, late, frames, run.clone(), stopped).await {
                Ok(sent) => run.sent(sent, watching),
                Err(error) => run.fault(format!("publisher {at}: {error:#}")),
            }
        });
    }
    Ok(publishers)
}

async fn watch_all(args: &FramesArgs, run: &Arc<Run>) -> JoinSet<()> {
    let mut viewers = JoinSet::new();
    for at in 0..args.rtmp_viewers + args.flv_viewers {
        let stream = at % args.publishers;
        let (run, rtmp) = (run.clone(), args.rtmp);
        let flv = args.http.filter(|_| at >= args.rtmp_viewers);
        viewers.spawn(async move {
            let watched = match flv {
                Some(http) => viewer::flv(http, format!("/live/load{stream}.flv"), run.clone()).await,
                None => viewer::rtmp(format!("rtmp://{rtmp}/live/load{stream}"), run.clone()).await,
            };
            if let Err(error) = watched {
                run.fault(format!("viewer {at}: {error:#}"));
            }
        });
        tokio::time::sleep(JOIN_INTERVAL).await;
    }
    viewers
}

async fn until(run: &Run, count: &AtomicU64, wanted: u64, what: &str) -> anyhow::Result<()> {
    let counting = async {
        while count.load(Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(JOIN_TIMEOUT, counting).await.is_err() {
        bail!("{} of {wanted} {what} came in within {JOIN_TIMEOUT:?}: {}", count.load(Relaxed), run.figures());
    }
    Ok(())
}
