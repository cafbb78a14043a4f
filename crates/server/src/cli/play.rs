//! `stentor play`: plays a URL, counts and checks what comes.

use client::{PlayOptions, PlayReport, Trust};

use super::{
    Failure, PlayArgs,
    progress::{Progress, conclude, interrupted, track},
    run::{self},
};

pub(super) fn run(args: &PlayArgs) -> Result<(), Failure> {
    let options = PlayOptions {
        duration: args.seconds,
        reconnects_max: args.common.reconnects,
        trust: if args.common.insecure { Trust::Anybody } else { Trust::Public },
    };
    run::runtime()?.block_on(async {
        let mut progress = Progress::new(args.common.json);
        let played = client::play(&args.url, &options, interrupted(), |report| progress.show(&line(report))).await;
        let summary = summary(&played.report);
        conclude(&progress, args.common.json, &played.report, &summary, played.error.as_ref())
    })
}

fn line(report: &PlayReport) -> String {
    if report.first_frame_ms.is_none() {
        return format!("{:.0} s  {}: waiting for the first frame", report.seconds, report.door);
    }
    let count = |track: &Option<client::TrackReport>| track.as_ref().map_or(0, |track| track.frames);
    let packets = report.packets.map_or_else(String::new, |packets| {
        format!(", {} packets lost, jitter {} ms", packets.lost, packets.jitter_ms)
    });
    format!(
        "{:.0} s  {}: {} kbit/s, {} fps, {} pictures, {} sounds, {} ms behind{packets}, {} reconnects",
        report.seconds,
        report.door,
        report.now_kbps,
        report.now_fps,
        count(&report.video),
        count(&report.audio),
        report.behind_ms,
        report.reconnects
    )
}

fn summary(report: &PlayReport) -> String {
    let Some(first) = report.first_frame_ms else { return String::new() };
    let key = report.first_key_frame_ms.map_or_else(String::new, |key| format!(", first key frame after {key} ms"));
    let packets = report.packets.map_or_else(String::new, |packets| {
        format!("\n  packets {}, lost {}, jitter {} ms", packets.received, packets.lost, packets.jitter_ms)
    });
    format!(
        "Played for {:.1} s by {}; first frame after {first} ms{key}.{}{}{packets}\n  {} ms behind, reconnects {}",
        report.seconds,
        report.door,
        track("video", report.video.as_ref()),
        track("audio", report.audio.as_ref()),
        report.behind_ms,
        report.reconnects
    )
}
