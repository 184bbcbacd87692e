//! The settings of the rule, and what is made of them.

use std::sync::Arc;

use super::ResponseTime;
use crate::Unit;
use crate::fields::{Description, Field, FieldError, FieldType, Values};
use crate::policy::{Policy, PolicyKind, count, needed, positive, span};
use crate::queueing::{Model, Routing};

/// The entry in the list of policies.
pub const KIND: PolicyKind = PolicyKind {
    description: Description {
        name: "response_time",
        doc: "The fewest dynos that keep a percentile of the response time under its objective, by a fitted queueing model.",
        fields: &[
            Field::required(
                "objective",
                FieldType::Duration(0.001, 3600.0),
                "The response time that the percentile may reach.",
                "\"500ms\"",
            ),
            Field::required(
                "at_once",
                FieldType::Whole(1, 10_000),
                "Requests that a dyno works on at once: its workers times their threads.",
                "5",
            ),
            Field::defaulting(
                "percentile",
                FieldType::Number(50.0, 99.99),
                "95",
                "So many requests of a hundred are to be within the objective.",
            ),
            Field::defaulting(
                "routing",
                FieldType::OneOf(&["shared", "random"]),
                "\"shared\"",
                "Whether requests wait in one queue for the first free dyno, or are dealt to dynos at random.",
            ),
            Field::defaulting(
                "variation",
                FieldType::Number(0.0, 1000.0),
                "1",
                "Variance over squared mean of the time to serve a request: 0 if all take equally long, 1 as exponential ones.",
            ),
            Field::defaulting(
                "headroom",
                FieldType::Number(0.0, 10.0),
                "0.08",
                "So much more load than was measured is planned for: 0.1 is a tenth.",
            ),
            Field::defaulting(
                "slack",
                FieldType::Number(0.0, 10.0),
                "0.03",
                "So much more still must fit before dynos are removed.",
            ),
            Field::defaulting(
                "lead",
                FieldType::Duration(0.0, 3600.0),
                "\"30s\"",
                "How long a new dyno takes until it serves: a rise is followed so far ahead.",
            ),
            Field::defaulting(
                "lower_after",
                FieldType::Duration(0.0, 86_400.0),
                "\"10m\"",
                "Dynos are removed down to the need of the highest load of so long.",
            ),
            Field::defaulting(
                "adapt",
                FieldType::Flag,
                "true",
                "Whether headroom and share follow the share of slow requests over the last hours, and dynos are kept for jumps.",
            ),
            Field::defaulting(
                "wait_included",
                FieldType::Flag,
                "false",
                "Whether the service time that is told holds the wait inside the dyno as well, as that of router logs does.",
            ),
        ],
        shorthand: &[],
    },
    build,
};

fn build(values: &Values, unit: Unit) -> Result<Arc<dyn Policy>, FieldError> {
    if !matches!(unit, Unit::Milliseconds | Unit::RequestsPerSecond) {
        let message =
            format!("is response_time, but the measurement counts {}: decide by target or queue", unit.as_str());
        return Err(FieldError::new("type", message));
    }
    let model = Model {
        at_once: count(values, "at_once")?,
        routing: if values.text("routing") == Some("random") { Routing::Random } else { Routing::Shared },
        variation: needed(values, "variation")?,
        objective_secs: span(values, "objective")?.as_secs_f64(),
        slow_share: 1.0 - positive(values, "percentile")? / 100.0,
    };
    Ok(Arc::new(ResponseTime {
        model,
        headroom: needed(values, "headroom")?,
        slack: needed(values, "slack")?,
        lead: span(values, "lead")?,
        lower_after: span(values, "lower_after")?,
        wait_included: values.flag("wait_included"),
        adapt: values.flag("adapt"),
        unit,
    }))
}
