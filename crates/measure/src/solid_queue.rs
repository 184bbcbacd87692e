//! `solid_queue`: the queues of Solid Queue, in PostgreSQL. <https://github.com/rails/solid_queue>
//!
//! - Its columns are timestamps without a zone, in UTC.
//! - Jobs that are scheduled and due wait for a dispatcher to move them, within about a second: they count as waiting.
//! - Jobs that wait for a concurrency limit, and failed ones, are no work for more workers; nor is a paused queue.

use crate::{MeasureEntry, postgres, queue};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = queue::entry(
    "solid_queue",
    "The queues of Solid Queue, in PostgreSQL.",
    postgres::FIELDS,
    postgres::check,
    |values, context| postgres::build(values, context, SQL),
);

const SQL: &str = "
with due as (
    select queue_name, created_at as since from solid_queue_ready_executions
    union all
    select queue_name, scheduled_at from solid_queue_scheduled_executions
    where scheduled_at <= now() at time zone 'utc'
), waiting as (
    select queue_name, count(*) as number, min(since) as since from due
    where queue_name not in (select queue_name from solid_queue_pauses)
    group by queue_name
), working as (
    select queue_name, count(*) as number
    from solid_queue_claimed_executions join solid_queue_jobs on solid_queue_jobs.id = job_id
    group by queue_name
)
select queue_name::text, coalesce(waiting.number, 0)::int8, coalesce(working.number, 0)::int8,
    extract(epoch from (now() at time zone 'utc') - since)::float8
from waiting full join working using (queue_name)
where $1::text[] is null or queue_name = any($1)";
