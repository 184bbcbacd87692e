//! Traffic from the store: the rates that measurements told, as samples in requests per second or as the `rate` in the detail of
//! decision records. It is read beside a daemon that writes; neither waits for the other.

use std::collections::BTreeMap;

use autoscalebot_settings::Settings;
use autoscalebot_store::{Filter, Page, ProcessKey, SampleQuery, Store};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::gaps::{self, Gap, Gaps};
use super::input::{Asked, Input, finish};
use super::tally::{Counted, Fit, MOST_STEPS};
use crate::fault::Fault;
use crate::wiring;

/// Seconds in a minute: the store keeps no finer rate for long.
const MINUTE: i64 = 60;
/// Minutes that are asked for at a time.
const AT_ONCE: i64 = 3 * 24 * 60;
/// Records that are read at a time.
const PAGE: usize = 1_000;
/// A service time is judged by so many readings at least.
const FEWEST_FITTED: usize = 10;

/// A mean that grows.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn add(&mut self, value: f64, weight: f64) {
        self.sum += value * weight;
        self.weight += weight;
    }
}

/// Rates by the number of their minute since 1970.
type Minutes = BTreeMap<i64, Mean>;

/// What one reading told beside its value.
#[derive(Debug, Clone, Copy)]
struct Told {
    rate: f64,
    per_dyno: f64,
    service_ms: f64,
}

/// What the records say.
#[derive(Debug, Default)]
struct Recorded {
    /// By measurement.
    minutes: BTreeMap<String, Minutes>,
    told: Vec<Told>,
}

/// Reads the rates of a process in the range that is asked for.
pub(crate) fn of_store(
    settings: &Settings,
    key: &ProcessKey,
    (from, to): (Timestamp, Timestamp),
    asked: &Asked<'_>,
) -> Result<Input, Fault> {
    let name = format!("{}/{}", key.app, key.process);
    let store = wiring::stored(settings)?;
    let step = whole_minutes(asked.step_secs)?;
    let recorded = records(&store, key, from, to)?;
    let (series, kinds) = series(&store, key, from, to)?;
    let kept = match series {
        Some(_) => "",
        None => {
            ". Records are kept for store.records; the rates of a measurement in rps are kept by the minute for store.minutes"
        }
    };
    let from_records = recorded.minutes.into_iter().max_by_key(|(_, minutes)| minutes.len());
    let Some((measurement, minutes)) = series.or(from_records) else {
        return Err(Fault::usage(nothing(&name, &kinds, (from, to))));
    };
    let (first, requests, bridged) = filled(&minutes, asked.gap_secs).map_err(|found| {
        let (told, enough) = gaps::told(&found);
        Fault::usage(format!(
            "{name}: no rate is known {told}: that is not zero. Take a part without it by --since and --until, or let the \
             rates around it stand for it by --gap {enough}{kept}"
        ))
    })?;
    let fit = fit(recorded.told);
    let counted = in_steps(key.process.clone(), first, &requests, step, fit)
        .ok_or_else(|| Fault::usage(format!("{name}: what is known is shorter than a --step: give a shorter one")))?;
    let mut notes = vec![format!(
        "{name}: {} minutes of the rates that {measurement} told, from {}",
        requests.len(),
        Timestamp::from_second(first * MINUTE).map_err(Fault::usage)?
    )];
    if bridged > 0 {
        notes.push(format!("in {bridged} of them no rate is known: those around them stand for them"));
    }
    let told = json!({
        "kind": "history", "process": key.process, "app": key.app, "measurement": measurement,
        "step_secs": counted.step_secs, "minutes": requests.len(), "bridged_minutes": bridged, "service": counted.fit,
    });
    finish(&name, counted, notes, told, asked.scale)
}

fn whole_minutes(step_secs: Option<u32>) -> Result<usize, Fault> {
    match step_secs {
        None => Ok(1),
        Some(secs) if secs % 60 == 0 => Ok(secs as usize / 60),
        Some(secs) => {
            Err(Fault::usage(format!("--step {secs}s: the store's history is by the minute: give whole minutes")))
        }
    }
}

/// Why there are no rates, and what would give some.
fn nothing(name: &str, kinds: &[(String, String)], (from, to): (Timestamp, Timestamp)) -> String {
    let has = match kinds {
        [] => "nothing that was measured".to_owned(),
        kinds => {
            let kinds: Vec<_> = kinds.iter().map(|(name, unit)| format!("{name} ({unit})")).collect();
            format!("{}, and none of it tells how many requests came", kinds.join(", "))
        }
    };
    format!(
        "{name}: from {from} to {to} the store has {has}. Rates are told by `router` and `otlp`, and by any measurement in \
         rps, such as `prometheus`: add one, with shadow = true where it should not decide"
    )
}

/// The measurement in requests per second with the most minutes; and all that was measured, with its unit.
#[allow(clippy::type_complexity, reason = "a name with its minutes, and names with their units")]
fn series(
    store: &Store,
    key: &ProcessKey,
    from: Timestamp,
    to: Timestamp,
) -> Result<(Option<(String, Minutes)>, Vec<(String, String)>), Fault> {
    let mut all = BTreeMap::<String, Minutes>::new();
    let mut kinds = Vec::new();
    let mut at = from;
    while at < to {
        let next = at.checked_add(SignedDuration::from_mins(AT_ONCE)).unwrap_or(to).min(to);
        let query = SampleQuery { key: key.clone(), measurement: None, from: at, to: next, buckets: AT_ONCE as usize };
        for series in store.samples(&query).map_err(Fault::failed)? {
            if !kinds.iter().any(|(name, _)| *name == series.measurement) {
                kinds.push((series.measurement.clone(), series.unit.clone()));
            }
            if series.unit != autoscalebot_core::Unit::RequestsPerSecond.as_str() {
                continue;
            }
            let minutes = all.entry(series.measurement).or_default();
            let width = (series.width.as_secs() / MINUTE).max(1);
            for bucket in series.buckets.iter().filter(|bucket| bucket.count > 0) {
                let first = bucket.at.as_second().div_euclid(MINUTE);
                for minute in first..first + width {
                    if (from.as_second().div_euclid(MINUTE)..to.as_second().div_euclid(MINUTE) + 1).contains(&minute) {
                        minutes.entry(minute).or_default().add(bucket.mean, bucket.count as f64);
                    }
                }
            }
        }
        at = next;
    }
    all.retain(|_, minutes| !minutes.is_empty());
    Ok((all.into_iter().max_by_key(|(_, minutes)| minutes.len()), kinds))
}

/// What the decision records tell of rates and service times.
fn records(store: &Store, key: &ProcessKey, from: Timestamp, to: Timestamp) -> Result<Recorded, Fault> {
    let page = Page { from: Some(from), to: Some(to), limit: PAGE, ..Page::default() };
    let mut filter = Filter { who: key.into(), page, ..Filter::default() };
    let mut found = Recorded::default();
    let mut last = BTreeMap::<String, Timestamp>::new();
    loop {
        let records = store.history_onward(&filter).map_err(Fault::failed)?;
        for record in &records {
            let line = record.line().map_err(Fault::failed)?;
            for measured in &line.measurements {
                let at = measured.sampled_at.unwrap_or(line.at);
                let Some(rate) = measured.detail.rate.filter(|rate| rate.is_finite() && *rate >= 0.0) else { continue };
                // A sample that several ticks saw counts once.
                if last.insert(measured.name.clone(), at) == Some(at) {
                    continue;
                }
                let minutes = found.minutes.entry(measured.name.clone()).or_default();
                minutes.entry(at.as_second().div_euclid(MINUTE)).or_default().add(rate, 1.0);
                if let (Some(service_ms), Some(dynos @ 1..)) = (measured.detail.service_ms, line.dynos.before)
                    && service_ms > 0.0
                    && rate > 0.0
                {
                    found.told.push(Told { rate, per_dyno: rate / f64::from(dynos), service_ms });
                }
            }
        }
        match records.last() {
            Some(last) => filter.page.before = Some(last.cursor),
            None => return Ok(found),
        }
    }
}

/// Requests of each minute from the first that is known to the last; what lies between is bridged in a straight line where it
/// is not longer than is allowed. With the number of those minutes.
fn filled(minutes: &Minutes, gap_secs: i64) -> Result<(i64, Vec<f64>, usize), Vec<Gap>> {
    let found: Vec<_> = Gaps::new(minutes.keys().map(|minute| minute * MINUTE), MINUTE, gap_secs).collect();
    if !found.is_empty() {
        return Err(found);
    }
    let first = minutes.keys().next().copied().unwrap_or_default();
    let (mut requests, mut bridged) = (Vec::new(), 0);
    let mut before: Option<(i64, f64)> = None;
    for (minute, mean) in minutes {
        let now = mean.sum / mean.weight * MINUTE as f64;
        if let Some((last, was)) = before {
            for between in last + 1..*minute {
                requests.push(was + (now - was) * (between - last) as f64 / (minute - last) as f64);
                bridged += 1;
            }
        }
        requests.push(now);
        before = Some((*minute, now));
    }
    Ok((first, requests, bridged))
}

/// Minutes as steps of so many minutes each, whole ones alone.
fn in_steps(process: String, first: i64, requests: &[f64], step: usize, fit: Option<Fit>) -> Option<Counted> {
    let minutes = i64::try_from(step).ok()?;
    // Steps begin at whole multiples of their length.
    let skip = usize::try_from((-first).rem_euclid(minutes)).ok()?;
    let steps: Vec<f64> = requests.get(skip..)?.chunks_exact(step).map(|chunk| chunk.iter().sum()).collect();
    if steps.is_empty() || steps.len() as i64 > MOST_STEPS {
        return None;
    }
    let start = (first + skip as i64) * MINUTE;
    Some(Counted { process, start, step_secs: u32::try_from(step * 60).ok()?, requests: steps, fit })
}

/// The mean service time of the tenth of the readings with the fewest requests on each dyno. How it varies is in no detail.
fn fit(mut told: Vec<Told>) -> Option<Fit> {
    if told.len() < FEWEST_FITTED {
        return None;
    }
    told.sort_by(|a, b| a.per_dyno.total_cmp(&b.per_dyno));
    let low = &told[..(told.len() / 10).max(FEWEST_FITTED)];
    let mut mean = Mean::default();
    for told in low {
        mean.add(told.service_ms, told.rate);
    }
    Some(Fit {
        mean_secs: mean.sum / mean.weight / 1000.0,
        scv: None,
        samples: low.len() as u64,
        most_per_dyno: low.last().map_or(0.0, |told| told.per_dyno),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(rates: &[(i64, f64)]) -> Minutes {
        rates.iter().map(|(minute, rate)| (*minute, Mean { sum: *rate, weight: 1.0 })).collect()
    }

    #[test]
    fn short_gaps_are_bridged_and_long_ones_told() {
        let rates = minutes(&[(5, 1.0), (6, 2.0), (9, 5.0)]);
        let (first, requests, bridged) = filled(&rates, 120).unwrap();
        assert_eq!((first, bridged), (5, 2));
        assert!(requests.iter().zip([60.0, 120.0, 180.0, 240.0, 300.0]).all(|(a, b)| (a - b).abs() < 1e-9));
        assert_eq!(filled(&rates, 119), Err(vec![Gap { from: 420, to: 540 }]));
    }

    #[test]
    fn steps_begin_at_whole_multiples() {
        let steps = |step| in_steps("web".into(), 7, &[1.0; 12], step, None).map(|steps| (steps.start, steps.requests));
        assert_eq!(steps(1), Some((420, vec![1.0; 12])));
        assert_eq!(steps(5), Some((600, vec![5.0])));
        assert_eq!(steps(60), None);
    }

    #[test]
    fn the_service_time_is_that_of_quiet_readings() {
        let told = |n: u32| Told { rate: 2.0, per_dyno: f64::from(n), service_ms: 100.0 + f64::from(n) };
        let fit = fit((0..200).map(told).collect()).unwrap();
        assert!((fit.mean_secs - 0.1095).abs() < 1e-9 && fit.samples == 20, "{fit:?}");
        assert!(super::fit((0..9).map(told).collect()).is_none());
    }
}
