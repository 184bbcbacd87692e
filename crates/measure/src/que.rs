//! `que`: the queues of Que 2, in PostgreSQL. <https://github.com/que-rb/que>
//!
//! A job that a worker has taken is locked by an advisory lock on its id, and by nothing else; the locks of this database are in
//! `pg_locks`, which any role may read. Each process takes some jobs ahead of those that it runs (8 unless set): those count as
//! busy too.

use crate::{MeasureEntry, postgres, queue};

/// The entry in the list of measurements.
pub const ENTRY: MeasureEntry =
    queue::entry("que", "The queues of Que, in PostgreSQL.", postgres::FIELDS, postgres::check, |values, context| {
        postgres::build(values, context, SQL)
    });

/// A lock on a `bigint` is kept in two halves; `objsubid` 1 tells it from one on two `integer`s.
const SQL: &str = "
with locked as (
    select (classid::bigint << 32) + objid::bigint as id from pg_locks
    where locktype = 'advisory' and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())
)
select queue::text, count(*) filter (where locked.id is null), count(locked.id),
    extract(epoch from now() - min(run_at) filter (where locked.id is null))::float8
from que_jobs left join locked on locked.id = que_jobs.id
where finished_at is null and expired_at is null and run_at <= now() and ($1::text[] is null or queue = any($1))
group by queue";
