//! `good_job`: the queues of GoodJob 4, in PostgreSQL. <https://github.com/bensheldon/good_job>
//!
//! - Its columns are timestamps without a zone, in UTC.
//! - A job that was begun and whose process is gone is free to be taken again: it waits.

use crate::{MeasureEntry, postgres, queue};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = queue::entry(
    "good_job",
    "The queues of GoodJob, in PostgreSQL.",
    postgres::FIELDS,
    postgres::check,
    |values, context| postgres::build(values, context, SQL),
);

const SQL: &str = "
with open as (
    select queue_name, coalesce(scheduled_at, created_at) as since,
        performed_at is not null and locked_by_id in (select id from good_job_processes) as busy
    from good_jobs
    where finished_at is null and ($1::text[] is null or queue_name = any($1))
)
select queue_name::text,
    count(*) filter (where busy is not true and since <= now() at time zone 'utc'),
    count(*) filter (where busy),
    extract(epoch from (now() at time zone 'utc')
        - min(since) filter (where busy is not true and since <= now() at time zone 'utc'))::float8
from open group by queue_name";
