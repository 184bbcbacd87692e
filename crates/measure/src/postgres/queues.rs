//! What the kinds of queues in PostgreSQL have in common. Each brings one query, whose rows are a queue's name, how many of its
//! jobs wait, how many are busy, and since how many seconds the oldest is due.
//!
//! The parameters: `$1`, the names of the queues as `text[]`, or null for all; `$2`, the field `max_run_time` in seconds, for
//! the kind that has it. The database's own clock tells the time.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use autoscalebot_core::Failure;
use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};
use jiff::SignedDuration;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Server, URL, server};
use crate::queue::{self, Backlog, Seen};
use crate::{Measure, MeasureContext, fields};

/// The settings of such a kind.
pub(crate) const FIELDS: &[Field] = &[
    URL,
    Field::optional(
        "queues",
        FieldType::Texts,
        "The names of the queues; without it, all there are.",
        "[\"default\", \"mailers\"]",
    ),
    queue::VALUE,
    queue::COMBINE,
    fields::TIMEOUT,
];

/// The check of such a kind.
pub(crate) fn check(values: &Values, every: SignedDuration) -> Result<(), FieldError> {
    server(values).and(queue::limit(values, every)).map(|_| ())
}

/// Makes the measurement of such a kind from its query.
pub(crate) fn build(
    values: &Values,
    context: MeasureContext<'_>,
    sql: &'static str,
) -> Result<Arc<dyn Measure>, FieldError> {
    let named = Some(values.texts("queues").to_vec()).filter(|queues| !queues.is_empty());
    let max_run_s = values.duration("max_run_time").map_or(0.0, |time| time.as_secs_f64());
    queue::measure(values, context.every, Queues { server: server(values)?, sql, named, max_run_s })
}

#[derive(Debug)]
struct Queues {
    server: Arc<Server>,
    sql: &'static str,
    /// `None`: all.
    named: Option<Vec<String>>,
    max_run_s: f64,
}

#[async_trait]
impl Backlog for Queues {
    async fn look(&self) -> Result<Vec<Seen>, Failure> {
        let parameters = [(&self.named as _, Type::TEXT_ARRAY), (&self.max_run_s as _, Type::FLOAT8)];
        let rows = self.server.query(self.sql, &parameters).await?;
        let seen = rows.iter().map(seen).collect::<Result<HashMap<_, _>, _>>()?;
        Ok(match &self.named {
            None => seen.into_values().collect(),
            // A queue without jobs has no row.
            Some(named) => {
                let none = Seen::new(0.0, Some(0.0), None);
                named.iter().map(|name| seen.get(name).copied().unwrap_or(none)).collect()
            }
        })
    }
}

fn seen(row: &Row) -> Result<(String, Seen), Failure> {
    let read = || -> Result<_, tokio_postgres::Error> {
        let (name, waiting, busy): (Option<String>, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let oldest_s: Option<f64> = row.try_get(3)?;
        let oldest_ms = oldest_s.map(|age_s| (age_s * 1000.0).max(0.0));
        Ok((name.unwrap_or_default(), Seen::new(waiting as f64, Some(busy as f64), oldest_ms)))
    };
    read().map_err(|_| Failure::Other("the database's answer is not understood".into()))
}
