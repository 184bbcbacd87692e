//! `delayed_job`: the queues of Delayed Job, in PostgreSQL. <https://github.com/collectiveidea/delayed_job>
//!
//! - Its columns are timestamps without a zone, in UTC.
//! - A job that has been locked for longer than `max_run_time` is free to be taken again: it waits.
//! - A job without a queue's name is in the queue `default`, as other autoscalers show it.

use autoscalebot_core::fields::{Field, FieldType};

use crate::{MeasureEntry, fields, postgres, queue};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = queue::entry(
    "delayed_job",
    "The queues of Delayed Job, in PostgreSQL.",
    FIELDS,
    postgres::check,
    |values, context| postgres::build(values, context, SQL),
);

const FIELDS: &[Field] = &[
    postgres::URL,
    Field::optional(
        "queues",
        FieldType::Texts,
        "The names of the queues; without it, all there are. Jobs without one are in `default`.",
        "[\"default\", \"mailers\"]",
    ),
    Field::defaulting(
        "max_run_time",
        FieldType::Duration(1.0, 30.0 * 86_400.0),
        "\"4h\"",
        "As in Delayed Job's own settings: a job that is locked for longer is free again.",
    ),
    queue::VALUE,
    queue::COMBINE,
    fields::TIMEOUT,
];

const SQL: &str = "
with due as (
    select coalesce(queue, 'default')::text as name, run_at,
        coalesce(locked_at >= (now() at time zone 'utc') - make_interval(secs => $2), false) as busy
    from delayed_jobs
    where failed_at is null and run_at <= now() at time zone 'utc'
)
select name, count(*) filter (where not busy), count(*) filter (where busy),
    extract(epoch from (now() at time zone 'utc') - min(run_at) filter (where not busy))::float8
from due
where $1::text[] is null or name = any($1)
group by name";
