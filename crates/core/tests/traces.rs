//! The decision agrees with recorded runs of autoscalebot 2.1, tick by tick.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{
    Action, BoundTable, BoundTables, CallOutcome, MinuteOfWeek, Observation, Reading, Sample, State, decide, settle,
};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde_json::Value;

mod common;

fn table(value: &Value) -> BoundTable {
    if let Some(number) = value.as_u64() {
        return BoundTable::Fixed(number as u32);
    }
    let mut entries = Vec::new();
    for (time, dynos) in value.as_object().unwrap() {
        let (hour, minute) = time.split_once(':').unwrap();
        for day in Weekday::Monday.cycle_forward().take(7) {
            let minute = MinuteOfWeek::new(day, hour.parse().unwrap(), minute.parse().unwrap()).unwrap();
            entries.push((minute, dynos.as_u64().unwrap() as u32));
        }
    }
    BoundTable::by_time(entries, true).unwrap()
}

#[test]
fn agrees_with_recorded_runs() {
    let mut compared = 0;
    for line in include_str!("data/traces-2.1.jsonl").lines() {
        let run: Value = serde_json::from_str(line).unwrap();
        let set = &run["settings"];
        let number = |name: &str| set[name].as_u64().unwrap() as u32;
        let rule = Consecutive {
            low: f64::from(number("MIN_RESPONSE_TIME_IN_MS")),
            high: f64::from(number("MAX_RESPONSE_TIME_IN_MS")),
            fails: number("NUMBER_OF_FAILS_TO_SCALE_UP_AFTER"),
            passes: number("NUMBER_OF_PASSES_TO_SCALE_DOWN_AFTER"),
            increment: number("INCREMENT"),
            refuse_zero: true,
        };
        let mut spec = common::spec(1, 1);
        spec.bounds = BoundTables { min: table(&set["MIN_DYNOS"]), max: table(&set["MAX_DYNOS"]), zone: TimeZone::UTC };
        spec.measurements = vec![common::heartbeat("heartbeat", rule)];
        let mut dynos = run["start_dynos"].as_u64().unwrap() as u32;
        let mut state = State::default();
        for tick in run["ticks"].as_array().unwrap() {
            let at = tick["at"].as_str().unwrap().parse().unwrap();
            let measured = &tick["measurements"][0];
            let reading = match measured["value"].as_f64() {
                Some(value) => Reading::Value(value),
                None => Reading::Failed(measured["error"].as_str().unwrap().parse().unwrap()),
            };
            let samples = [Some(Sample::new(at, reading))].into_iter().collect();
            let seen = Observation { at, dynos: Ok(dynos), samples, pause: None, ..Observation::default() };
            let record = decide(&spec, &state, &seen);
            let outcome = record.without_call().unwrap_or_else(|| match (record.action, tick["scale_call"].as_str()) {
                (Action::Set(quantity), None) => CallOutcome::Ok { quantity, limit: None },
                _ => CallOutcome::Failed { error: "fails".into(), limit: None },
            });
            let record = record.conclude(&spec, &state, &outcome);
            state = settle(&spec, state, &record, &outcome);
            dynos = record.after.unwrap();
            let then = &tick["then"];
            let out = serde_json::to_value(&record).unwrap();
            let asked = |name: &Value| {
                (name == "needs_above_max" && set["NOTIFY_IF_NEEDS_EXCEED_MAX"] == true)
                    || (name == "needs_below_min" && set["NOTIFY_IF_NEEDS_BELOW_MIN"] == true)
            };
            let conditions: Vec<_> =
                out["conditions"].as_array().unwrap().iter().filter(|c| asked(c)).cloned().collect();
            let place = format!("{} {at}: {}", run["id"], out["reason"]);
            assert_eq!(out["verdict"], then["verdict"], "{place}");
            assert_eq!(u64::from(dynos), then["dynos"].as_u64().unwrap(), "{place}");
            assert_eq!(out["call"], then["call"], "{place}");
            assert_eq!(Value::Array(conditions), then["conditions"], "{place}");
            assert!(!out["reason"].as_str().unwrap().is_empty(), "{place}");
            compared += 1;
        }
    }
    assert!(compared > 1000, "only {compared} ticks were compared");
}
