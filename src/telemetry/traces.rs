//! Traces of the control path, as OpenTelemetry has them: what was done, in which steps, how long each
//! took. They are told once all of it is over.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Span, SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider};

mod transport;

use super::clock;
use transport::Transport;

/// How long a collector may take for one delivery: the thread that delivers does nothing else, and what
/// comes meanwhile waits, up to some thousand spans.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How often what waits is delivered: soon enough for whoever looks at a change that was just made.
const DELIVERY: Duration = Duration::from_secs(1);

/// What tells of the control path, if somebody is to be told. It is cheap to clone, and waits for
/// nothing: spans go to a queue, and are dropped when that is full.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Telling>>);

struct Telling {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// Something that was done, or a step of it.
#[derive(Clone, Debug)]
pub struct Step {
    name: &'static str,
    began: Instant,
    ended: Instant,
    attributes: Vec<KeyValue>,
}

/// There can be no traces.
#[derive(Debug, thiserror::Error)]
#[error("traces: {0}")]
pub struct NoTraces(String);

impl NoTraces {
    fn new(reason: impl fmt::Display) -> Self {
        NoTraces(reason.to_string())
    }
}

impl Step {
    /// A step of this name.
    pub fn new(name: &'static str, began: Instant, ended: Instant) -> Self {
        Step { name, began, ended, attributes: Vec::new() }
    }

    /// The same, of which this is known as well.
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.attributes.push(KeyValue::new(name, value.to_string()));
        self
    }
}

impl Traces {
    /// Traces to the collector at `endpoint`, a URL whose path is that of all signals, from a host of
    /// that name. They are sent by the current tokio runtime.
    ///
    /// # Errors
    ///
    /// If there can be no client for that, or no thread.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(endpoint: &str, host: String) -> Result<Traces, NoTraces> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Transport::new(endpoint, TIMEOUT).map_err(NoTraces)?)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(TIMEOUT)
            .build()
            .map_err(NoTraces::new)?;
        let resource = Resource::builder()
            .with_service_name("rhumb")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("host.name", host))
            .build();
        let batches = BatchConfigBuilder::default().with_scheduled_delay(DELIVERY).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let provider =
            SdkTracerProvider::builder().with_span_processor(processor).with_resource(resource).build();
        let tracer = provider.tracer("rhumb");
        Ok(Traces(Some(Arc::new(Telling { provider, tracer }))))
    }

    /// Tells of something that was done, and of its steps, which `done` makes if anybody is told;
    /// an error says why it has failed.
    pub fn tell(&self, done: impl FnOnce() -> (Step, Vec<Step>, Result<(), String>)) {
        let Some(telling) = &self.0 else { return };
        let (whole, steps, result) = done();
        let clock = Clock::now();
        let mut span = telling.span(&whole, &clock, &Context::new());
        if let Err(reason) = result {
            span.set_status(Status::error(reason));
        }
        let context = Context::new().with_span(span);
        for step in &steps {
            telling.span(step, &clock, &context).end_with_timestamp(clock.at(step.ended));
        }
        context.span().end_with_timestamp(clock.at(whole.ended));
    }

    /// Delivers what waits, for at most that long, and ends. It is for a thread that may wait.
    pub fn end(&self, at_most: Duration) {
        if let Some(telling) = &self.0 {
            // What cannot be delivered is lost, and the log has said so.
            let _ = telling.provider.shutdown_with_timeout(at_most);
        }
    }
}

impl Telling {
    fn span(&self, step: &Step, clock: &Clock, parent: &Context) -> opentelemetry_sdk::trace::Span {
        self.tracer
            .span_builder(step.name)
            .with_kind(SpanKind::Internal)
            .with_start_time(clock.at(step.began))
            .with_attributes(step.attributes.clone())
            .start_with_context(&self.tracer, parent)
    }
}

/// The clock of the calendar for moments of the one that never goes back.
struct Clock(Instant, SystemTime);

impl Clock {
    fn now() -> Self {
        Clock(clock::now(), clock::calendar())
    }

    fn at(&self, moment: Instant) -> SystemTime {
        self.1 - self.0.saturating_duration_since(moment)
    }
}
