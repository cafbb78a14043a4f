//! Traces by OpenTelemetry, where a setting asks for them: one span for each session, from its admission to its end, sent
//! in batches to a collector by OTLP over HTTP. A collector that fails is counted and said once, and disturbs nobody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use axum::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::runtime::Handle;
use tracing_subscriber::{Layer, Registry};

use crate::counters::Counters;

/// A batch is given up after this.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// At the end of the process, spans that wait have so long to be sent.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a collector's answer at most.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// What the server calls itself, unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "stentor";

/// The sending end of traces.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

/// Begins to send traces to the collector at `endpoint`, such as `http://127.0.0.1:4318`.
///
/// # Errors
/// Where the endpoint is no URL.
pub fn start(endpoint: &str, counters: &Arc<Counters>, runtime: &Handle) -> anyhow::Result<Exporter> {
    let collector = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let client = Hyper { client: Client::builder(TokioExecutor::new()).build_http(), runtime: runtime.clone() };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(&collector)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .with_context(|| format!("traces cannot be sent to {collector}"))?;
    let counted = Counted { exporter, collector, counters: counters.clone(), said: AtomicBool::new(false) };
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(SERVICE);
    }
    let resource = resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
    Ok(Exporter(SdkTracerProvider::builder().with_batch_exporter(counted).with_resource(resource).build()))
}

impl Exporter {
    /// The layer that makes spans of `tracing` into those of OpenTelemetry.
    pub fn layer(&self) -> impl Layer<Registry> + Send + Sync + use<> {
        // Entering and leaving happens for each read of a socket, and is not worth two clock readings each.
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
    }

    /// Sends what waits. Called while the runtime still runs.
    pub fn finish(self) {
        // A collector that does not answer has been counted and said.
        let _ = self.0.shutdown_with_timeout(FINISH_TIMEOUT);
    }
}

/// An exporter whose failures are counted, and said once.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    collector: String,
    counters: Arc<Counters>,
    said: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        if let Err(error) = self.exporter.export(batch).await {
            self.counters.add("traces_failed", "not-taken");
            if !self.said.swap(true, Ordering::Relaxed) {
                let collector = &self.collector;
                tracing::warn!(collector, %error, "traces cannot be sent; this is said once, and counted from now on");
            }
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// HTTP by the server's own runtime: batches are made on a thread that has none.
#[derive(Debug)]
struct Hyper {
    client: Client<HttpConnector, Full<Bytes>>,
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for Hyper {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let asked = self.client.request(request.map(Full::new));
        let answered = async move {
            let (parts, body) = asked.await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(parts, body))
        };
        // The timer, too, is made where there is a runtime.
        let in_time = async move { tokio::time::timeout(EXPORT_TIMEOUT, answered).await };
        let response = self.runtime.spawn(in_time).await???;
        if !response.status().is_success() {
            return Err(format!("the collector answered {}", response.status()).into());
        }
        Ok(response)
    }
}
