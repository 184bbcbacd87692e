//! `procrastinate`: the queues of Procrastinate 3, in PostgreSQL. <https://procrastinate.readthedocs.io/>
//!
//! - Of jobs that share a lock, one runs at a time, the first of them: the others are no work for more workers, and don't count.
//! - A job's row does not tell when it was deferred; its event does. Ids are given in that order, so that the event of the
//!   lowest id tells the age of the oldest, and one look-up a queue is enough.

use crate::{MeasureEntry, postgres, queue};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry = queue::entry(
    "procrastinate",
    "The queues of Procrastinate, in PostgreSQL.",
    postgres::FIELDS,
    postgres::check,
    |values, context| postgres::build(values, context, SQL),
);

const SQL: &str = "
with open as (
    select id, queue_name, scheduled_at, status = 'doing' as busy
    from procrastinate_jobs as job
    where ($1::text[] is null or queue_name = any($1))
        and (status = 'doing' or status = 'todo' and (scheduled_at is null or scheduled_at <= now())
            and (lock is null or not exists (
                select from procrastinate_jobs as earlier
                where earlier.lock = job.lock and earlier.id < job.id and earlier.status in ('todo', 'doing')
            )))
), queues as (
    select queue_name, count(*) filter (where not busy) as waiting, count(*) filter (where busy) as working,
        min(scheduled_at) filter (where not busy) as scheduled,
        min(id) filter (where not busy and scheduled_at is null) as first
    from open group by queue_name
)
select queue_name::text, waiting, working,
    extract(epoch from now() - least(scheduled, (
        select max(at) from procrastinate_events
        where job_id = first and type in ('deferred', 'deferred_for_retry')
    )))::float8
from queues";
