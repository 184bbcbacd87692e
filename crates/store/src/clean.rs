//! Keeping the store small, a bounded step at a time: samples are rolled up by the hour, what is older than allowed is
//! deleted, and the room is given back.

use jiff::{SignedDuration, Timestamp};

use crate::StoreError;
use crate::driver::{Driver, Value};
use crate::retention::Retention;
use crate::samples::{HOUR, MINUTE, encode_minutes, merge, raw};
use crate::store::Inner;

/// Series of which one step rolls up an hour.
const SERIES_AT_ONCE: i64 = 16;
/// Rows that one step deletes of each kind.
const ROWS_AT_ONCE: i64 = 1_000;
/// An hour is rolled up when it has been over for this long, so that a tick that took its time is in it.
const SETTLED_AFTER: i64 = 2 * MINUTE;

pub(crate) fn clean(inner: &mut Inner, retention: &Retention, now: Timestamp) -> Result<bool, StoreError> {
    let now = now.as_microsecond();
    let more = inner.whole(|inner| {
        let driver = &mut *inner.driver;
        let rolled = roll_up(driver, retention, now)?;
        let records = delete(driver, "decision WHERE marks = 0 AND at < $1", now - micros(retention.records))?;
        let changes = delete(driver, "decision WHERE at < $1", now - micros(retention.changes))?;
        let events = delete(driver, "event WHERE at < $1", now - micros(retention.changes))?;
        let room = make_room(driver, retention, now)?;
        Ok(rolled || records || changes || events || room)
    })?;
    inner.driver.shrink()?;
    Ok(more)
}

fn micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

/// Deletes the oldest rows before an instant; whether there may be more.
fn delete(driver: &mut dyn Driver, which: &str, before: i64) -> Result<bool, StoreError> {
    let table = which.split(' ').next().unwrap_or(which);
    let sql = format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {which} ORDER BY at LIMIT $2)");
    let gone = driver.execute(&sql, &[before.into(), ROWS_AT_ONCE.into()])?;
    Ok(i64::try_from(gone) == Ok(ROWS_AT_ONCE))
}

/// Deletes the oldest records while the store is too large: first those without a mark.
fn make_room(driver: &mut dyn Driver, retention: &Retention, now: i64) -> Result<bool, StoreError> {
    if !driver.sizes_follow_rows() || driver.used_bytes()? <= retention.max_bytes {
        return Ok(false);
    }
    let more = delete(driver, "decision WHERE marks = 0 AND at < $1", now)?;
    Ok(more || delete(driver, "decision WHERE at < $1", now)? || delete(driver, "event WHERE at < $1", now)?)
}

/// Rolls up the next hour of some series; whether there are more to do.
fn roll_up(driver: &mut dyn Driver, retention: &Retention, now: i64) -> Result<bool, StoreError> {
    let settled = now - SETTLED_AFTER;
    let end = settled - settled.rem_euclid(HOUR);
    let sql = "SELECT id, rolled_until FROM series WHERE rolled_until < $1 ORDER BY rolled_until, id LIMIT $2";
    let due = driver.query(sql, &[end.into(), SERIES_AT_ONCE.into()])?;
    for row in &due {
        roll_up_one(driver, retention, row.int(0)?, row.int(1)?, end)?;
    }
    Ok(i64::try_from(due.len()) == Ok(SERIES_AT_ONCE))
}

fn roll_up_one(
    driver: &mut dyn Driver,
    retention: &Retention,
    series: i64,
    rolled_until: i64,
    end: i64,
) -> Result<(), StoreError> {
    // Hours without a sample are passed over.
    let sql = "SELECT min(at) FROM sample WHERE series = $1 AND at >= $2 AND at < $3";
    let rows = driver.query(sql, &[series.into(), rolled_until.into(), end.into()])?;
    let first = rows.first().map(|row| row.maybe_int(0)).transpose()?.flatten();
    let until = match first {
        None => end,
        Some(first) => {
            let hour = first - first.rem_euclid(HOUR);
            let minutes = merge(raw(driver, series, hour.max(rolled_until), hour + HOUR)?, MINUTE)?;
            let bytes = encode_minutes(hour, &minutes);
            let mut sketch = Vec::new();
            for whole in merge(minutes, HOUR)?.values() {
                whole.encode(&mut sketch);
            }
            upsert(driver, "sample_minute", "sketches", [series.into(), hour.into(), bytes.into()])?;
            upsert(driver, "sample_hour", "sketch", [series.into(), hour.into(), sketch.into()])?;
            hour + HOUR
        }
    };
    driver.execute("UPDATE series SET rolled_until = $1 WHERE id = $2", &[until.into(), series.into()])?;
    for (table, column, kept) in [
        ("sample", "at", retention.records),
        ("sample_minute", "hour", retention.minutes),
        ("sample_hour", "hour", retention.hours),
    ] {
        // What is not rolled up yet stays.
        let before = (end - micros(kept)).min(until);
        driver.execute(
            &format!("DELETE FROM {table} WHERE series = $1 AND {column} < $2"),
            &[series.into(), before.into()],
        )?;
    }
    Ok(())
}

fn upsert(driver: &mut dyn Driver, table: &str, column: &str, params: [Value; 3]) -> Result<u64, StoreError> {
    driver.execute(
        &format!(
            "INSERT INTO {table} (series, hour, {column}) VALUES ($1, $2, $3)
             ON CONFLICT (series, hour) DO UPDATE SET {column} = $3"
        ),
        &params,
    )
}
