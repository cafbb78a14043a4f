//! What `push` and `play` print while they run: one living line on a terminal, a line every few seconds elsewhere.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Map, Value};

use super::Failure;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Where progress goes.
pub(super) struct Progress {
    kind: Kind,
    printed: Option<Instant>,
}

enum Kind {
    Silent,
    Line,
    Lines,
}

impl Progress {
    pub(super) fn new(json: bool) -> Self {
        let kind = match (json, std::io::stderr().is_terminal()) {
            (true, _) => Kind::Silent,
            (false, true) => Kind::Line,
            (false, false) => Kind::Lines,
        };
        Self { kind, printed: None }
    }

    pub(super) fn show(&mut self, text: &str) {
        match self.kind {
            Kind::Silent => {}
            Kind::Line => {
                // Back to the left, and away with what is right of it.
                let _ = write!(std::io::stderr(), "\r{text}\x1b[K");
                self.printed = Some(Instant::now());
            }
            Kind::Lines if self.printed.is_none_or(|at| at.elapsed() >= LINE_EVERY) => {
                eprintln!("{text}");
                self.printed = Some(Instant::now());
            }
            Kind::Lines => {}
        }
    }

    fn end(&self) {
        if matches!(self.kind, Kind::Line) && self.printed.is_some() {
            eprintln!();
        }
    }
}

/// Prints what was counted and turns the error into an exit code. `text` is the summary for people.
pub(super) fn conclude(
    progress: &Progress,
    json: bool,
    report: &impl Serialize,
    text: &str,
    error: Option<&client::Error>,
) -> Result<(), Failure> {
    progress.end();
    if json {
        let mut object = match serde_json::to_value(report) {
            Ok(Value::Object(object)) => object,
            _ => Map::new(),
        };
        object.insert("error".into(), error.map(ToString::to_string).into());
        println!("{}", Value::Object(object));
    } else if !text.is_empty() {
        println!("{text}");
    }
    match error {
        None => Ok(()),
        Some(error) if error.is_usage() => Err(Failure::Usage(error.to_string())),
        Some(error) => Err(Failure::Failed(anyhow::anyhow!("{error}"))),
    }
}

/// A track in a sentence.
pub(super) fn track(name: &str, track: Option<&client::TrackReport>) -> String {
    let Some(track) = track else { return format!("\n  {name:8}none") };
    let shape = match (track.width, track.height, track.channels) {
        (Some(width), Some(height), _) => format!(" {width}x{height}"),
        (_, _, Some(channels)) => format!(" {channels} ch"),
        _ => String::new(),
    };
    let keys = if name == "video" { format!(", {} key", track.key_frames) } else { String::new() };
    let faults = match (track.gaps, track.backwards) {
        (0, 0) => "no gaps".to_owned(),
        (gaps, backwards) => format!("{gaps} gaps, {backwards} times backwards"),
    };
    format!(
        "\n  {name:8}{}{shape}, {} frames{keys}, {} fps, {} kbit/s, {faults}",
        track.codec, track.frames, track.fps, track.kbps
    )
}

/// Ready when the user wants it to end.
pub(super) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
