//! `sql`: a number that a query to PostgreSQL gives, for queues of one's own. <https://www.postgresql.org/docs/current/sql-select.html>
//!
//! The query runs as a part of another, which makes one JSON text of a row: numbers of any type arrive alike, with their
//! columns' names, and only what reads can be written there (one `select`, `with` or `values`).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, MeasurementKind, Values};
use autoscalebot_core::{Detail, Failure, Reading, Taken, Unit};
use jiff::SignedDuration;
use serde_json::{Map, Value};

use crate::budget::{FIVE_SECONDS, budget, within};
use crate::number::number;
use crate::postgres::{self, Server};
use crate::{Measure, MeasureContext, MeasureEntry, fields};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = MeasureEntry {
    kind: MeasurementKind {
        description: Description {
            name: "sql",
            doc: "The number that a query to PostgreSQL gives.",
            fields: FIELDS,
            shorthand: &[],
        },
        unit: Unit::Count,
        failures_mean_overload: false,
        told: false,
        default_every: "\"30s\"",
        check: |values, every| settings(values, every).map(|_| ()),
    },
    build,
};

const FIELDS: &[Field] = &[
    postgres::URL,
    Field::required(
        "query",
        FieldType::Text,
        "What to ask: one row with one number, and beside it columns named `busy` and `latency_s` where wanted.",
        "\"select count(*) from jobs where done_at is null\"",
    ),
    fields::UNIT,
    fields::FACTOR,
    fields::TIMEOUT,
];

/// Columns that are not the number.
const BESIDE: [&str; 2] = ["busy", "latency_s"];

#[derive(Debug)]
struct Sql {
    server: Arc<Server>,
    /// As it is sent.
    query: String,
    factor: f64,
    budget: Duration,
}

fn settings(values: &Values, every: SignedDuration) -> Result<Sql, FieldError> {
    let query = values.text("query").ok_or_else(|| FieldError::new("query", "is needed"))?;
    let query = query.trim().trim_end_matches(';').trim_end();
    Ok(Sql {
        server: postgres::server(values)?,
        // A row more than wanted, to tell one from several. The line end ends a comment.
        query: format!("select row_to_json(measured)::text from (\n{query}\n) as measured limit 2"),
        factor: fields::factor(values),
        budget: budget(values, every, FIVE_SECONDS)?,
    })
}

fn build(values: &Values, context: MeasureContext<'_>) -> Result<Arc<dyn Measure>, FieldError> {
    let every = SignedDuration::try_from(context.every).unwrap_or(SignedDuration::MAX);
    Ok(Arc::new(settings(values, every)?))
}

impl Sql {
    async fn ask(&self) -> Result<Taken, Failure> {
        let rows = self.server.query(&self.query, &[]).await?;
        let rows = rows.iter().map(|row| row.try_get::<_, String>(0)).collect::<Result<Vec<_>, _>>();
        taken(&rows.map_err(|_| Failure::Other("the database's answer is not understood".into()))?, self.factor)
    }
}

/// The reading of rows as JSON.
pub(crate) fn taken(rows: &[String], factor: f64) -> Result<Taken, Failure> {
    let row = match rows {
        [] => return Err(Failure::Empty),
        [row] => row,
        _ => return Err(Failure::Other("the query gives several rows: make it give one, as with sum()".into())),
    };
    let row: Map<String, Value> =
        serde_json::from_str(row).map_err(|_| Failure::Other("the database's answer is not understood".into()))?;
    let mut numbers = row.iter().filter(|(name, _)| !BESIDE.contains(&name.as_str()));
    let (Some((_, value)), None) = (numbers.next(), numbers.next()) else {
        let message = "the query gives not just one number: name other columns busy and latency_s, or leave them out";
        return Err(Failure::Other(message.into()));
    };
    // Nothing is busy, or waits, where an aggregate of no rows is null.
    let beside = |name: &str, factor: f64| {
        row.get(name).filter(|value| !value.is_null()).map(|value| number(value, factor)).transpose()
    };
    let detail = Detail { busy: beside("busy", 1.0)?, latency_ms: beside("latency_s", 1000.0)?, ..Detail::default() };
    Ok(Taken { reading: Reading::Value(number(value, factor)?), detail })
}

#[async_trait]
impl Measure for Sql {
    async fn read(&self) -> Taken {
        within(self.budget, self.ask()).await
    }

    fn budget(&self) -> Duration {
        self.budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: &[&str]) -> Result<(Reading, Detail), String> {
        let rows: Vec<_> = rows.iter().map(|row| (*row).to_owned()).collect();
        taken(&rows, 1.0).map(|taken| (taken.reading, taken.detail)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn rows_that_are_a_number_and_rows_that_are_none() {
        assert_eq!(read(&[r#"{"count":12}"#]), Ok((Reading::Value(12.0), Detail::default())));
        let detail = Detail { busy: Some(2.0), latency_ms: Some(1500.0), ..Detail::default() };
        assert_eq!(read(&[r#"{"busy":2,"n":0,"latency_s":1.5}"#]), Ok((Reading::Value(0.0), detail)));
        assert_eq!(read(&[r#"{"n":0,"busy":null}"#]), Ok((Reading::Value(0.0), Detail::default())));
        assert_eq!(read(&[]), Err("empty".into()));
        assert_eq!(read(&[r#"{"sum":null}"#]), Err("empty".into()));
        assert_eq!(read(&[r#"{"n":"NaN"}"#]), Err("invalid NaN".into()));
        assert_eq!(read(&[r#"{"n":-1}"#]), Err("invalid -1".into()));
        assert!(read(&[r#"{"n":1}"#, r#"{"n":2}"#]).unwrap_err().contains("several rows"));
        assert!(read(&[r#"{"n":1,"m":2}"#]).unwrap_err().contains("not just one number"));
        assert!(read(&[r#"{"busy":1}"#]).unwrap_err().contains("not just one number"));
    }
}
