//! `otlp`: OpenTelemetry, as Heroku's Fir generation and instrumented apps send it over OTLP/HTTP
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>): a percentile of the durations of all requests, from HTTP server spans and
//! histograms of durations, with the rate, the concurrency and the mean beside it.
//!
//! A body goes through these files: `json` and `wire` read it, `spans` and `points` find what is about requests, `attributes`
//! says whose and how they ended, `series` takes from histograms that count on and on what is new, and `streams` keeps it. What
//! is answered is in `answer`; when there is no value, in `intake::listen`.

mod answer;
mod attributes;
mod json;
mod points;
#[cfg(test)]
mod properties;
mod read;
mod series;
mod spans;
mod streams;
mod wire;

use std::io::Read;
use std::sync::Arc;

use autoscalebot_core::Secret;
use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};
use flate2::read::MultiGzDecoder;
use reqwest::header::HeaderMap;

pub(crate) use attributes::Filter;
pub(crate) use series::Series;
pub(crate) use streams::{Known, Streams};

use crate::intake::settings::{PERCENTILE, SILENT_AFTER, TOKEN, WINDOW, listen_to_telemetry};
use crate::intake::{Counters, Kept, Reply, Source, add};
use crate::told::{self, Pointing, To, Way};
use crate::{Measure, MeasureContext, MeasureEntry};
use read::{Told, read};
use series::Seen;

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = told::entry(
    "otlp",
    "A percentile of the durations of requests, from OpenTelemetry: Heroku's telemetry drains (Fir), or an app's own exporter.",
    FIELDS,
    build,
);

const FIELDS: &[Field] = &[
    TOKEN,
    PERCENTILE,
    WINDOW,
    Field::optional(
        "service",
        FieldType::Text,
        "The only `service.name` that counts; unless given, of several that tell of this process the one that tells of the most requests.",
        "\"shop-web\"",
    ),
    Field::optional(
        "process_attribute",
        FieldType::Text,
        "The attribute that says the process type or the dyno; unless given, Heroku's, and what names no dyno counts for each process.",
        "\"deployment.process\"",
    ),
    SILENT_AFTER,
];

fn build(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    let filter = Filter {
        process: context.process.into(),
        service: values.text("service").map(Into::into),
        attribute: values.text("process_attribute").map(Into::into),
    };
    listen_to_telemetry(values, context, filter, point)
}

fn point(to: To<'_>) -> Pointing {
    let url = to.url("/otlp/TOKEN");
    let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", Secret::new("http/protobuf"));
    let exporter = Way::Variables(vec![("OTEL_EXPORTER_OTLP_ENDPOINT", url.clone()), protocol]);
    let note = "telemetry drains are of Heroku's Fir generation; the variables are for the app's own exporter";
    Pointing { ways: vec![Way::TelemetryDrain(url), exporter], note: Some(note), https_only: false }
}

/// The most bytes of a body as it comes. Exporters send some hundred kilobytes at most.
pub(crate) const LIMIT: usize = 4 << 20;
/// The most bytes of a body that was compressed. Bodies are read one after another by each thread of the server, so this is
/// needed no more often than there are threads.
const INFLATED: usize = 8 << 20;

/// What a request brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    /// Taken, so that exporters of all three are content, and not looked at.
    Logs,
}

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) signal: Signal,
    /// JSON instead of Protocol Buffers.
    pub(crate) json: bool,
    gzip: bool,
}

/// The signal and the token, from what follows `/otlp/` in the path: `TOKEN/v1/traces`, or `v1/traces` with the token in
/// `Authorization: Bearer TOKEN`.
pub(crate) fn address<'a>(rest: &'a str, headers: &'a HeaderMap) -> Option<(Signal, &'a str)> {
    let (base, signal) = match rest.strip_suffix('/').unwrap_or(rest).rsplit_once("v1/")? {
        (base, "traces") => (base, Signal::Traces),
        (base, "metrics") => (base, Signal::Metrics),
        (base, "logs") => (base, Signal::Logs),
        _ => return None,
    };
    // An endpoint that ends in a slash gives two of them.
    let token = match base.trim_end_matches('/') {
        "" => {
            let bearer = headers.get("authorization").and_then(|value| value.to_str().ok());
            let bearer =
                bearer.and_then(|value| value.split_once(' ')).filter(|(how, _)| how.eq_ignore_ascii_case("bearer"));
            // Shorter than any token: refused as one that is not known.
            bearer.map_or("-", |(_, token)| token.trim())
        }
        token if base.ends_with('/') => token,
        _ => return None,
    };
    Some((signal, token))
}

impl Call {
    /// From the headers of a request; an error is what to answer.
    pub(crate) fn of(signal: Signal, headers: &HeaderMap) -> Result<Self, Reply> {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?").trim());
        let kind = header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let json = match kind.to_ascii_lowercase().as_str() {
            "application/x-protobuf" => false,
            "application/json" => true,
            _ => {
                return Err(answer::refusal(
                    true,
                    415,
                    "the content type must be application/x-protobuf or application/json",
                ));
            }
        };
        let gzip = match header("content-encoding").unwrap_or("identity") {
            "identity" => false,
            encoding if encoding.eq_ignore_ascii_case("gzip") => true,
            _ => return Err(answer::refusal(json, 415, "the content encoding must be gzip or none")),
        };
        Ok(Self { signal, json, gzip })
    }

    /// That the token is not known.
    pub(crate) fn unknown(self) -> Reply {
        answer::refusal(self.json, 403, "this token is not known: it is in no settings of this program")
    }

    /// That the body is longer than may be.
    pub(crate) fn too_large(self) -> Reply {
        answer::refusal(self.json, 413, "the body is too large: let the exporter send smaller batches")
    }

    /// That there is no room; the sender comes again.
    pub(crate) fn busy(self) -> Reply {
        answer::busy(self.json)
    }

    /// That all is well.
    pub(crate) fn good(self) -> Reply {
        answer::taken(self, 0)
    }
}

/// Takes a body to those who listen, and says what to answer.
pub(crate) fn take(call: Call, body: &[u8], source: &Source, now_ms: i64, counters: &Counters) -> Reply {
    if call.signal == Signal::Logs {
        add(&counters.requests, 1);
        return call.good();
    }
    let inflated = match call.gzip.then(|| inflate(body)).transpose() {
        Ok(inflated) => inflated,
        Err(status) => {
            add(&counters.refused, 1);
            return if status == 413 {
                call.too_large()
            } else {
                answer::refusal(call.json, status, "the body is no gzip")
            };
        }
    };
    let taps = source.taps();
    let filters: Vec<_> = taps
        .iter()
        .map(|tap| match &*tap.kept() {
            Kept::Streams(streams) => streams.filter.clone(),
            _ => Filter::default(),
        })
        .collect();
    let mut written = Vec::new();
    let Ok(told) = read(call, inflated.as_deref().unwrap_or(body), &mut written, &filters) else {
        add(&counters.refused, 1);
        return answer::refusal(call.json, 400, "the body is no such message");
    };
    source.hear(now_ms);
    let rejected = pour(&told, source, now_ms, counters);
    add(&counters.requests, 1);
    answer::taken(call, rejected)
}

/// To the windows of those who want it; how many were not taken.
fn pour(told: &Told<'_>, source: &Source, now_ms: i64, counters: &Counters) -> u64 {
    let ends = told.requests.iter().map(|request| request.what.end_ms);
    let newest = ends.chain(told.points.iter().map(|point| point.what.end_ms)).max();
    let (mut rejected, mut unwanted, mut samples) = (told.rejected, 0, 0_u64);
    let (correction, news) = {
        let mut state = source.state();
        let correction = newest.map_or(0, |newest| state.skew.correction(newest, now_ms));
        let mut new = Vec::new();
        for point in &told.points {
            match state.series.news(point, now_ms) {
                _ if point.what.taps == 0 => unwanted += 1,
                Seen::News(news) => new.push((point, news)),
                Seen::Nothing => {}
                Seen::TooMany => {
                    // What is counted is too little now.
                    source.lose(now_ms);
                    rejected += 1;
                }
            }
        }
        (correction, new)
    };
    for request in &told.requests {
        if request.what.taps == 0 { unwanted += 1 } else { samples += 1 }
    }
    for (_, news) in &news {
        samples = news.cells.iter().fold(samples, |all, (_, count)| all.saturating_add(*count));
    }
    add(&counters.samples, samples);
    add(&counters.odd, rejected);
    add(&counters.left_out, told.left_out + unwanted);
    for (at, tap) in source.taps().iter().enumerate().take(64) {
        let bit = 1 << at;
        if told.alive & bit == 0 {
            continue;
        }
        let mut late = 0;
        if let Kept::Streams(streams) = &mut *tap.kept() {
            streams.alive(now_ms);
            for request in told.requests.iter().filter(|request| request.what.taps & bit != 0) {
                late += u64::from(!streams.request(request, correction, now_ms));
            }
            for (point, news) in news.iter().filter(|(point, _)| point.what.taps & bit != 0) {
                late += u64::from(!streams.news(point, news, correction, now_ms));
            }
        }
        add(&counters.late, late);
        tap.news.notify_one();
    }
    rejected
}

/// What was compressed; an error is the status to answer.
fn inflate(body: &[u8]) -> Result<Vec<u8>, u16> {
    let mut inflated = Vec::new();
    let reader = MultiGzDecoder::new(body);
    reader.take(INFLATED as u64 + 1).read_to_end(&mut inflated).map_err(|_| 400_u16)?;
    if inflated.len() > INFLATED { Err(413) } else { Ok(inflated) }
}
