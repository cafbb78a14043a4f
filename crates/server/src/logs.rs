//! The log: to standard error, as text for people or as JSON for programs. What is logged where is in `STYLE.md`.

use std::io::stderr;

use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{config::LogFormat, traces::Exporter};

/// Begins to log, and to trace where there is an exporter. `RUST_LOG` overrides the level.
pub fn start(level: &str, format: LogFormat, exporter: Option<&Exporter>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => tracing_subscriber::fmt::layer().with_writer(stderr).with_target(false).boxed(),
        LogFormat::Json => {
            let json = tracing_subscriber::fmt::layer().json().flatten_event(true);
            json.with_current_span(true).with_span_list(false).with_writer(stderr).boxed()
        }
    };
    let mut layers = vec![lines.with_filter(filter).boxed()];
    if let Some(exporter) = exporter {
        // What is traced does not depend on what is logged.
        let ours = Targets::new().with_target(env!("CARGO_BIN_NAME"), tracing::Level::INFO);
        layers.push(exporter.layer().with_filter(ours).boxed());
    }
    let _ = tracing_subscriber::registry().with(layers).try_init();
}
