//! `stentor push`: publishes a file or the test pattern.

use client::{PushOptions, PushReport, Source, Trust};

use super::{
    Failure, PushArgs,
    progress::{Progress, conclude, interrupted, track},
    run::{self},
};

pub(super) fn run(args: PushArgs) -> Result<(), Failure> {
    let source = match args.source.as_str() {
        "test" => Source::Clip(crate::demo::CLIP),
        path => Source::File(path.into()),
    };
    let options = PushOptions {
        repeat: args.repeat,
        duration: args.seconds,
        reconnects_max: args.common.reconnects,
        trust: if args.common.insecure { Trust::Anybody } else { Trust::Public },
    };
    run::runtime()?.block_on(async {
        let mut progress = Progress::new(args.common.json);
        let pushed =
            client::push(source, &args.url, &options, interrupted(), |report| progress.show(&line(report))).await;
        let summary = summary(&pushed.report);
        conclude(&progress, args.common.json, &pushed.report, &summary, pushed.error.as_ref())
    })
}

fn line(report: &PushReport) -> String {
    match report.ready_ms {
        None => format!("{:.0} s  {}: connecting", report.seconds, report.door),
        Some(_) => format!(
            "{:.0} s  {}: {} kbit/s, {} fps, {} pictures, {} ms late, {} dropped, {} reconnects",
            report.seconds,
            report.door,
            report.now_kbps,
            report.now_fps,
            report.video.as_ref().map_or(0, |video| video.frames),
            report.late_ms,
            report.frames_dropped,
            report.reconnects
        ),
    }
}

fn summary(report: &PushReport) -> String {
    let Some(ready_ms) = report.ready_ms else { return String::new() };
    format!(
        "Pushed for {:.1} s by {}; ready after {ready_ms} ms.{}{}\n  frames dropped {}, key frames asked for {}, reconnects {}",
        report.seconds,
        report.door,
        track("video", report.video.as_ref()),
        track("audio", report.audio.as_ref()),
        report.frames_dropped,
        report.key_frames_requested,
        report.reconnects
    )
}
