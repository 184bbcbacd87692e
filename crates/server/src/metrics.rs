//! `/metrics`: the present and the counts since the start, for Prometheus. Names and units follow its conventions: base units,
//! `_total` for counters, what is not known is absent and never zero.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use autoscalebot_core::{Call, Event, EventKind, Reading, Record, Unit};
use autoscalebot_measure::intake::Counts as IntakeCounts;
use autoscalebot_measure::intake::logplex::RuntimeMetrics;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::past::seconds;
use crate::problem::Problem;
use crate::state::{Known, Shared};

/// What a call came to, as labels.
const CALLS: [(Call, &str); 4] =
    [(Call::None, "none"), (Call::Ok, "ok"), (Call::Failed, "failed"), (Call::DryRun, "dry_run")];

/// Heroku tells of a dyno each 20 s; after so long it is gone.
const DYNO_SILENT_AFTER: SignedDuration = SignedDuration::from_mins(2);

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<Counts>);

#[derive(Debug, Default, Clone)]
struct Counts {
    /// Decisions by app and process, in the order of [`CALLS`].
    decisions: BTreeMap<(Arc<str>, Arc<str>), [u64; 4]>,
    lost: u64,
    /// Answers by the first digit of their status.
    answers: [u64; 6],
}

impl Counters {
    /// Counts a tick.
    pub(crate) fn count(&self, event: &Event) {
        if event.kind != EventKind::Decided {
            return;
        }
        let Some(slot) = CALLS.iter().position(|(call, _)| *call == event.record.call) else { return };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.decisions.entry((Arc::clone(&event.app), Arc::clone(&event.process))).or_default()[slot] += 1;
    }

    /// Counts events that came too fast.
    pub(crate) fn lost(&self, missed: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lost += missed;
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, status: StatusCode) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.answers.get_mut(usize::from(status.as_u16() / 100)) {
            *count += 1;
        }
    }

    fn all(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers a scrape.
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(shared)));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(prometheus_text::CONTENT_TYPE))], text).into_response())
}

/// One scrape; it holds nothing but where to look.
#[derive(Debug)]
struct Scrape(Arc<Shared>);

type Newest<'a> = Vec<(&'a Known, Option<Arc<Record>>)>;

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shared = &*self.0;
        let newest: Newest<'_> = shared.processes.values().map(|known| (known, shared.newest(known))).collect();
        let out = &mut Out(&mut encoder);
        let version = env!("CARGO_PKG_VERSION");
        out.gauges("autoscalebot_build_info", "The version of this program", [(vec![("version", version)], 1.0)])?;
        let started = seconds(shared.started);
        out.gauges("process_start_time_seconds", "When this program started", [(vec![], started)])?;
        let memory = resident_bytes().map(|bytes| (vec![], bytes));
        out.gauges("process_resident_memory_bytes", "Memory that this program holds", memory)?;
        let (writable, lost) = (f64::from(u8::from(shared.store_trouble().is_none())), shared.health.borrow().lost);
        out.gauges("autoscalebot_store_writable", "1 while the store can be written", [(vec![], writable)])?;
        let about = "Records and events that were never written";
        out.counters("autoscalebot_store_lost", about, [(vec![], lost)])?;
        present(out, &newest)?;
        measurements(out, &newest)?;
        counts(out, &shared.counters.all())?;
        intake(out, &shared.intake.counts())?;
        dynos(out, &shared.intake.dynos(), shared.intake.now())
    }
}

fn present(out: &mut Out<'_, '_>, newest: &Newest<'_>) -> fmt::Result {
    let each = |read: fn(&Record) -> Option<f64>| {
        newest.iter().filter_map(move |(known, record)| Some((of(known), read(record.as_deref()?)?)))
    };
    let dynos = "Dynos after the newest tick";
    out.gauges("autoscalebot_dynos", dynos, each(|record| record.after.map(f64::from)))?;
    let desired = "Dynos that the newest tick wanted, inside the bounds";
    out.gauges("autoscalebot_desired_dynos", desired, each(|record| record.desired.map(f64::from)))?;
    let ticked = "When the newest tick was";
    out.gauges("autoscalebot_last_tick_timestamp_seconds", ticked, each(|record| Some(seconds(record.at))))?;
    let bounds = newest.iter().filter_map(|(known, record)| Some((known, record.as_ref()?.bounds.bounds())));
    let bounds = bounds.flat_map(|(known, bounds)| {
        [("min", bounds.min), ("max", bounds.max)].map(|(name, dynos)| (with(known, "bound", name), f64::from(dynos)))
    });
    out.gauges("autoscalebot_bound_dynos", "The fewest and the most dynos in force", bounds)?;
    let conditions = newest.iter().flat_map(|(known, record)| {
        let conditions = record.iter().flat_map(|record| &record.conditions);
        conditions.map(|condition| (with(known, "condition", condition.as_str()), 1.0)).collect::<Vec<_>>()
    });
    out.gauges("autoscalebot_condition", "1 for each condition that holds; absent for the others", conditions)
}

fn measurements(out: &mut Out<'_, '_>, newest: &Newest<'_>) -> fmt::Result {
    let families = [
        (Unit::Milliseconds, "autoscalebot_measurement_seconds", 1000.0),
        (Unit::RequestsPerSecond, "autoscalebot_measurement_requests_per_second", 1.0),
        (Unit::Jobs, "autoscalebot_measurement_jobs", 1.0),
        (Unit::Dynos, "autoscalebot_measurement_dynos", 1.0),
        (Unit::Count, "autoscalebot_measurement_value", 1.0),
    ];
    let all = || {
        let each = newest.iter().filter_map(|(known, record)| Some((known, record.as_ref()?)));
        each.flat_map(|(known, record)| record.measured.iter().map(move |measured| (known, measured)))
    };
    for (unit, name, divisor) in families {
        let values = all().filter(|(_, measured)| measured.unit == unit).filter_map(|(known, measured)| {
            let Reading::Value(value) = &measured.reading else { return None };
            Some((with(known, "measurement", &measured.name), value / divisor))
        });
        out.gauges(name, "The newest sample; absent while it is unknown", values)?;
    }
    let known = all().map(|(known, measured)| {
        let is = matches!(measured.reading, Reading::Value(_));
        (with(known, "measurement", &measured.name), if is { 1.0 } else { 0.0 })
    });
    out.gauges("autoscalebot_measurement_known", "1 where the newest sample has a value, 0 where it is unknown", known)
}

fn counts(out: &mut Out<'_, '_>, counts: &Counts) -> fmt::Result {
    let of =
        |(app, process): &'_ (Arc<str>, Arc<str>)| vec![("app", app.to_string()), ("process", process.to_string())];
    let ticks = counts.decisions.iter().map(|(key, calls)| (of(key), calls.iter().sum()));
    out.counters("autoscalebot_ticks", "Ticks decided", ticks)?;
    let decisions = counts.decisions.iter().flat_map(|(key, calls)| {
        CALLS.iter().zip(calls).map(move |((_, name), count)| {
            let mut labels = of(key);
            labels.push(("call", (*name).to_owned()));
            (labels, *count)
        })
    });
    out.counters("autoscalebot_decisions", "Decisions by what came of their scaling call", decisions)?;
    let answers = counts.answers.iter().enumerate().skip(1);
    let answers = answers.map(|(class, count)| (vec![("status", format!("{class}xx"))], *count));
    out.counters("autoscalebot_http_requests", "Requests that this server answered", answers)?;
    out.counters("autoscalebot_events_lost", "Events that came too fast for this server", [(vec![], counts.lost)])
}

/// What was sent to this program; new counters of the intake are told of by themselves.
fn intake(out: &mut Out<'_, '_>, counts: &IntakeCounts) -> fmt::Result {
    for (name, help, count) in counts.list() {
        // A name of a metric says what is counted; the intake's own need not.
        let what = match name {
            "refused" | "shed" | "repeated" => "requests_",
            "late" => "samples_",
            _ => "",
        };
        let name = format!("autoscalebot_intake_{what}{name}");
        // The encoder ends the sentence.
        out.counters(&name, help.trim_end_matches('.'), [(vec![], count)])?;
    }
    Ok(())
}

/// Load and memory of each dyno, as log drains tell them; absent once a dyno has not been told of for a while.
fn dynos(out: &mut Out<'_, '_>, all: &[(String, String, RuntimeMetrics, Timestamp)], now: Timestamp) -> fmt::Result {
    let each = |read: fn(&RuntimeMetrics) -> Option<f64>| {
        let alive = all.iter().filter(move |(.., at)| now.duration_since(*at) <= DYNO_SILENT_AFTER);
        alive.filter_map(move |(app, dyno, metrics, _)| {
            Some((vec![("app", app.as_str()), ("dyno", dyno.as_str())], read(metrics)?))
        })
    };
    out.gauges("autoscalebot_dyno_load1", "The load average of a dyno's last minute", each(|metrics| metrics.load_1m))?;
    let memory = "Memory that a dyno uses, swap included";
    out.gauges("autoscalebot_dyno_memory_bytes", memory, each(|metrics| metrics.memory_mb.map(bytes)))?;
    let quota = "Memory that a dyno may use";
    out.gauges("autoscalebot_dyno_memory_quota_bytes", quota, each(|metrics| metrics.quota_mb.map(bytes)))
}

/// Heroku's MB are 2^20 bytes: a dyno of 512 MB has a quota of "512.00MB".
fn bytes(megabytes: f64) -> f64 {
    megabytes * 1_048_576.0
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

fn of<'a>(known: &'a Known) -> Labels<'a> {
    vec![("app", known.app()), ("process", known.process())]
}

fn with<'a>(known: &'a Known, name: &'static str, value: &'a str) -> Labels<'a> {
    vec![("app", known.app()), ("process", known.process()), (name, value)]
}

/// What the kernel says that this process holds; `None` where it does not say.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}

struct Out<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Out<'_, '_> {
    /// A family of gauges; left out where there is nothing to say.
    fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'static str, String)>, u64)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
