//! Samples over a range of time: from the samples themselves while they are kept, then from the sketches of their minutes,
//! then from those of their hours; gathered into buckets of one width.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::driver::{Driver, Row, Value};
use crate::sketch::{Sketch, put, take};
use crate::{Bucket, SampleQuery, Series, StoreError};

/// Microseconds in a second, a minute and an hour.
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;

/// The widths that a bucket may have, in seconds: each fits into the day, and people can read them.
const WIDTHS_SECS: &[i64] = &[
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000,
];
/// The most buckets of one answer.
const BUCKETS_MAX: usize = 5_000;

/// Sketches by the instant at which their stretch begins.
type Sketches = BTreeMap<i64, Sketch>;

struct Found {
    id: i64,
    name: String,
    unit: String,
    rolled_until: i64,
}

pub(crate) fn samples(driver: &mut dyn Driver, query: &SampleQuery) -> Result<Vec<Series>, StoreError> {
    let mut params: Vec<Value> = vec![query.key.app.as_str().into(), query.key.process.as_str().into()];
    let mut sql = "SELECT s.id, s.name, s.unit, s.rolled_until FROM series s JOIN process p ON p.id = s.process \
                   WHERE p.app = $1 AND p.process = $2"
        .to_owned();
    if let Some(name) = &query.measurement {
        params.push(name.as_str().into());
        sql.push_str(" AND s.name = $3");
    }
    sql.push_str(" ORDER BY s.id");
    let found = driver.query(&sql, &params)?;
    let found = found.iter().map(|row| {
        Ok::<_, StoreError>(Found {
            id: row.int(0)?,
            name: row.text(1)?,
            unit: row.text(2)?,
            rolled_until: row.int(3)?,
        })
    });
    let found: Vec<_> = found.collect::<Result<_, _>>()?;
    found.into_iter().map(|found| one(driver, found, query)).collect()
}

fn one(driver: &mut dyn Driver, found: Found, query: &SampleQuery) -> Result<Series, StoreError> {
    let (from, to) = (query.from.as_microsecond(), query.to.as_microsecond());
    let buckets = query.buckets.clamp(1, BUCKETS_MAX);
    let mut width = width(to.saturating_sub(from), buckets);
    let source = source(driver, found.id, from)?;
    let pieces = match source {
        Source::Samples => {
            let raw = raw(driver, found.id, from, to)?;
            if raw.len() <= buckets {
                width = 0;
            }
            raw
        }
        Source::Minutes if width < HOUR => {
            width = width.max(MINUTE);
            let mut pieces = minutes(driver, found.id, from - from.rem_euclid(MINUTE), to.min(found.rolled_until))?;
            pieces.append(&mut raw(driver, found.id, from.max(found.rolled_until), to)?);
            pieces
        }
        Source::Minutes | Source::Hours => {
            width = width.max(HOUR);
            let mut pieces = hours(driver, found.id, from - from.rem_euclid(HOUR), to.min(found.rolled_until))?;
            pieces.append(&mut raw(driver, found.id, from.max(found.rolled_until), to)?);
            pieces
        }
    };
    Ok(Series {
        measurement: found.name,
        unit: found.unit,
        width: SignedDuration::from_micros(width),
        buckets: gather(pieces, width)?,
    })
}

/// The narrowest width with which the range has at most so many buckets.
fn width(range: i64, buckets: usize) -> i64 {
    let wanted = range / buckets as i64;
    let fitting = WIDTHS_SECS.iter().map(|secs| secs * SECOND).find(|width| *width >= wanted);
    fitting.unwrap_or_else(|| wanted - wanted.rem_euclid(24 * HOUR) + 24 * HOUR)
}

/// The finest that is still kept from an instant on.
enum Source {
    Samples,
    Minutes,
    Hours,
}

fn source(driver: &mut dyn Driver, series: i64, from: i64) -> Result<Source, StoreError> {
    let mut oldest = |table: &str, column: &str| {
        let rows = driver.query(&format!("SELECT min({column}) FROM {table} WHERE series = $1"), &[series.into()])?;
        Ok::<_, StoreError>(rows.first().map(|row| row.maybe_int(0)).transpose()?.flatten())
    };
    // Nothing older is kept than the oldest hour: a range that begins before it begins there.
    let hour = oldest("sample_hour", "hour")?;
    let from = hour.map_or(from, |hour| from.max(hour));
    let covers = |oldest: Option<i64>, slack| oldest.is_some_and(|oldest| oldest - oldest.rem_euclid(slack) <= from);
    if hour.is_none() || covers(oldest("sample", "at")?, HOUR) {
        return Ok(Source::Samples);
    }
    Ok(if covers(oldest("sample_minute", "hour")?, HOUR) { Source::Minutes } else { Source::Hours })
}

/// Each sample as a sketch of its own.
pub(crate) fn raw(driver: &mut dyn Driver, series: i64, from: i64, to: i64) -> Result<Sketches, StoreError> {
    let sql = "SELECT at, value FROM sample WHERE series = $1 AND at >= $2 AND at < $3 ORDER BY at";
    let mut all = Sketches::new();
    for row in driver.query(sql, &[series.into(), from.into(), to.into()])? {
        all.entry(row.int(0)?).or_default().add(row.maybe_real(1)?);
    }
    Ok(all)
}

fn minutes(driver: &mut dyn Driver, series: i64, from: i64, to: i64) -> Result<Sketches, StoreError> {
    let sql = "SELECT hour, sketches FROM sample_minute WHERE series = $1 AND hour >= $2 AND hour < $3";
    let mut all = Sketches::new();
    for row in driver.query(sql, &[series.into(), (from - from.rem_euclid(HOUR)).into(), to.into()])? {
        let hour = row.int(0)?;
        for (minute, sketch) in decode_minutes(row.blob(1)?)? {
            let at = hour + minute * MINUTE;
            if at >= from && at < to {
                all.insert(at, sketch);
            }
        }
    }
    Ok(all)
}

fn hours(driver: &mut dyn Driver, series: i64, from: i64, to: i64) -> Result<Sketches, StoreError> {
    let sql = "SELECT hour, sketch FROM sample_hour WHERE series = $1 AND hour >= $2 AND hour < $3";
    let read = |row: &Row| Ok((row.int(0)?, Sketch::decode(&mut row.blob(1)?)?));
    driver.query(sql, &[series.into(), from.into(), to.into()])?.iter().map(read).collect()
}

/// Merges pieces into buckets; a width of zero leaves each piece a bucket.
pub(crate) fn merge(pieces: Sketches, width: i64) -> Result<Sketches, StoreError> {
    if width == 0 {
        return Ok(pieces);
    }
    let mut merged = Sketches::new();
    for (at, sketch) in pieces {
        merged.entry(at - at.rem_euclid(width)).or_default().merge(&sketch)?;
    }
    Ok(merged)
}

fn gather(pieces: Sketches, width: i64) -> Result<Vec<Bucket>, StoreError> {
    let bucket = |(at, sketch): (i64, Sketch)| {
        let (min, max, mean) = sketch.range();
        Ok(Bucket {
            at: Timestamp::from_microsecond(at).map_err(|_| StoreError::Content("an instant is out of range"))?,
            count: sketch.count(),
            unknown: sketch.unknown,
            min,
            max,
            mean,
            p50: sketch.quantile(0.5),
            p95: sketch.quantile(0.95),
            p99: sketch.quantile(0.99),
        })
    };
    merge(pieces, width)?.into_iter().map(bucket).collect()
}

/// The minutes of an hour as bytes: the number of each minute, then its sketch.
pub(crate) fn encode_minutes(hour: i64, minutes: &Sketches) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, sketch) in minutes {
        put(&mut out, ((at - hour) / MINUTE).unsigned_abs());
        sketch.encode(&mut out);
    }
    out
}

fn decode_minutes(mut bytes: &[u8]) -> Result<Vec<(i64, Sketch)>, StoreError> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let minute = i64::try_from(take(&mut bytes)?).map_err(|_| StoreError::Content("a minute is out of range"))?;
        all.push((minute, Sketch::decode(&mut bytes)?));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_ones_that_people_read() {
        for (range, buckets, secs) in [
            (15 * MINUTE, 500, 2),
            (HOUR, 500, 10),
            (24 * HOUR, 500, 300),
            (30 * 24 * HOUR, 500, 7200),
            (30 * 24 * HOUR, 5, 604_800),
            (0, 500, 1),
        ] {
            assert_eq!(width(range, buckets), secs * SECOND, "{range}");
        }
        let years = 50 * 365 * 24 * HOUR;
        assert!(years / width(years, 1) <= 1);
    }
}
