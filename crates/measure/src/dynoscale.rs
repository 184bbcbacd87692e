//! `dynoscale`: what Dynoscale's agent reports (<https://pypi.org/project/dynoscale/>), as CSV: `unix seconds, ms, source, metadata`,
//! where the source is `web` (the queue time of a request) or `rq:QUEUE` (the age of the oldest job).
//!
//! The agent speaks only when a request comes, and only in the first container. A negative time comes of a proxy that stamps
//! microseconds; it is not used, and counted.

use std::borrow::Cow;
use std::sync::Arc;

use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};

use crate::intake::settings::{PERCENTILE, SILENT_AFTER, TOKEN, WINDOW, listen};
use crate::intake::{Of, Report, Sender, Told, plausible_ms, seconds};
use crate::told::{self, Pointing, To, Way};
use crate::{Measure, MeasureContext, MeasureEntry};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry =
    told::entry("dynoscale", "Queue times or job latency, as Dynoscale's agent reports them.", FIELDS, build);

const FIELDS: &[Field] = &[
    TOKEN,
    Field::defaulting(
        "value",
        FieldType::OneOf(&["queue_time", "latency"]),
        "\"queue_time\"",
        "Which number: how long requests wait before the app sees them, or how long the oldest job waits.",
    ),
    PERCENTILE,
    WINDOW,
    Field::optional(
        "queues",
        FieldType::Texts,
        "The queues to look at; all unless given. The worst counts.",
        "[\"default\"]",
    ),
    SILENT_AFTER,
];

fn build(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    let of = if values.text("value") == Some("latency") { Of::Latency } else { Of::QueueTime };
    listen(values, context, Sender::Dynoscale, of, true, point)
}

fn point(to: To<'_>) -> Pointing {
    Pointing::by(Way::Variables(vec![("DYNOSCALE_URL", to.url("/dynoscale/TOKEN"))]))
}

/// Reads a body.
pub(crate) fn read(body: &[u8]) -> Option<Report<'_>> {
    let body = std::str::from_utf8(body).ok()?;
    let mut report = Report::default();
    for line in body.lines().filter(|line| !line.trim().is_empty()) {
        match told(line) {
            Some(told) => report.told.push(told),
            None => report.odd += 1,
        }
    }
    // A body of which nothing is understood is none of the agent's.
    (!report.told.is_empty() || body.trim().is_empty() || body.contains(",web,")).then_some(report)
}

fn told(line: &str) -> Option<Told<'_>> {
    let mut cells = line.split(',');
    let at_ms = seconds(cells.next()?.trim().parse().ok()?)?;
    let ms = plausible_ms(cells.next()?.trim().parse().ok()?)?;
    match cells.next()?.trim() {
        "web" => Some(Told::Waited { at_ms, ms, request: true }),
        source => {
            let (_, queue) = source.split_once(':')?;
            Some(Told::Newest { of: Of::Latency, name: Cow::Borrowed(queue), value: ms })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::fixtures::bodies;

    #[test]
    fn recorded_bodies_are_read_and_negative_times_left_out() {
        let all: Vec<_> = bodies("dynoscale.jsonl");
        let counts: Vec<_> =
            all.iter().map(|body| read(body).map(|report| (report.told.len(), report.odd)).unwrap()).collect();
        assert_eq!(counts, [(1, 0), (3, 0), (3, 1), (1, 0)]);
        assert_eq!(read(&all[0]).unwrap().told, [Told::Waited { at_ms: 1_795_590_549_000, ms: 269.0, request: true }]);
    }

    #[test]
    fn jobs_tell_their_queue_and_nonsense_is_refused() {
        let report = read(b"1795590549,1200,rq:mail,{}\r\n").unwrap();
        assert_eq!(report.told, [Told::Newest { of: Of::Latency, name: "mail".into(), value: 1200.0 }]);
        assert_eq!(read(b"hello"), None);
        assert_eq!(read(b"\xff"), None);
    }
}
