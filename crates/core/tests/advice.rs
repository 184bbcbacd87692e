//! A policy that passes on advice: what is asked, what is decided and recorded, and that the guards hold for it too.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use autoscalebot_core::fields::{Value, Values};
use autoscalebot_core::policy::{Adviser, python};
use autoscalebot_core::{
    Advice, Failure, MeasurementSpec, Observation, Reading, Record, Sample, Spec, State, Unit, decide, questions,
};
use common::{at, spec};
use jiff::SignedDuration;

fn advised() -> Spec {
    let mut values = Values::default();
    values.set("policy", Value::Text("shop.scaling.decide".into()));
    values.set("samples", Value::Whole(2));
    let queue = MeasurementSpec {
        name: "queue".into(),
        unit: Unit::Jobs,
        max_age: SignedDuration::from_secs(120),
        failures_mean_overload: false,
        shadow: false,
        policy: (python::KIND.build)(&values, Unit::Jobs).unwrap(),
    };
    Spec { measurements: vec![queue], ..spec(1, 5) }
}

fn seen(reading: Reading, advice: Option<(Option<u32>, &str)>) -> Observation {
    Observation {
        at: at(30),
        dynos: Ok(2),
        samples: [Some(Sample::new(at(30), reading))].into_iter().collect(),
        advice: [advice.map(|(desired, why)| Advice { desired, why: why.into(), expected: None })]
            .into_iter()
            .collect(),
        ..Observation::default()
    }
}

fn record(advice: Option<(Option<u32>, &str)>) -> Record {
    decide(&advised(), &State::default(), &seen(Reading::Value(70.0), advice))
}

#[test]
fn the_question_has_all_that_was_seen() {
    let asked = questions(&advised(), &State::default(), &seen(Reading::Value(70.0), None));
    assert!(matches!(&asked[0].adviser, Adviser::Function(function) if function.function == "shop.scaling.decide"));
    assert_eq!(
        serde_json::to_value(&asked[0]).unwrap(),
        serde_json::json!({
            "at": at(30), "app": "shop", "process": "web", "dynos": 2, "ready": 2, "bounds": {"min": 1, "max": 5},
            "measurement": "queue", "unit": "jobs", "samples": [{"at": at(30), "value": 70.0}],
        })
    );
}

#[test]
fn nothing_is_asked_where_no_answer_would_matter() {
    let unknown = seen(Reading::Failed(Failure::Timeout), None);
    assert!(questions(&advised(), &State::default(), &unknown).is_empty());
    let no_dynos = Observation { dynos: Err(Failure::Timeout), ..seen(Reading::Value(70.0), None) };
    assert!(questions(&advised(), &State::default(), &no_dynos).is_empty());
    assert!(questions(&spec(1, 5), &State::default(), &seen(Reading::Value(70.0), None)).is_empty());
}

#[test]
fn the_answer_is_decided_on_and_recorded() {
    let rows = [
        (Some((Some(4), "70 jobs wait")), Some(4), "queue: the function wants 4 dynos: 70 jobs wait"),
        (Some((Some(2), "")), Some(2), "queue: the function wants 2 dynos"),
        (Some((Some(9), "70 jobs wait")), Some(5), "queue: the function wants 9 dynos: 70 jobs wait"),
        (
            Some((None, "ValueError: no")),
            Some(2),
            "queue is unknown (the function wants no number of dynos: ValueError: no): nothing changes",
        ),
        (None, Some(2), "queue is unknown (the function was not asked): nothing changes"),
    ];
    for (advice, desired, reason) in rows {
        let record = record(advice);
        assert_eq!(record.desired, desired, "{advice:?}");
        assert_eq!(record.sentence().to_string(), reason);
        let written = serde_json::to_value(&record).unwrap();
        let told = advice.map(|(desired, why)| serde_json::json!({"desired": desired, "why": why}));
        assert_eq!(written["measurements"][0].get("advice").cloned(), told);
    }
}

/// Beside others a floor raises and keeps them from lowering below it; alone it never lowers; it waits for nobody.
#[test]
fn a_floor_raises_and_never_lowers() {
    use autoscalebot_core::Expected;
    use autoscalebot_core::policy::forecast;
    use autoscalebot_core::policy::target::{Per, Target};

    let mut values = Values::default();
    values.set("target", Value::Number(10.0));
    values.set("margin", Value::Number(0.0));
    values.set("learn", Value::Duration(SignedDuration::from_hours(72)));
    values.set("ahead", Value::Duration(SignedDuration::from_mins(20)));
    let measurement = |name: &str, policy| MeasurementSpec {
        name: name.into(),
        unit: Unit::RequestsPerSecond,
        max_age: SignedDuration::from_secs(120),
        failures_mean_overload: false,
        shadow: false,
        policy,
    };
    let seasons = || measurement("seasons", (forecast::KIND.build)(&values, Unit::RequestsPerSecond).unwrap());
    let rate = || measurement("rate", std::sync::Arc::new(Target { target: 10.0, tolerance: 0.0, per: Per::Total }));
    let expected = |load: f64| Advice {
        expected: Some(Expected { load, error: 1.0, error_of_none: 2.0, known_secs: 1e9 }),
        ..Advice::default()
    };
    let rows = [
        // What is expected, what the other reads (none: it fails; no row: it is not there), and what is wanted of 4 dynos.
        (80.0, Some(Some(20.0)), 8),
        (30.0, Some(Some(20.0)), 3),
        (10.0, Some(Some(20.0)), 2),
        (30.0, Some(Some(90.0)), 9),
        (30.0, Some(None), 4),
        (80.0, Some(None), 8),
        (80.0, None, 8),
        (10.0, None, 4),
    ];
    for (load, other, wanted) in rows {
        let sample = |reading| Some(Sample::new(at(30), reading));
        let mut spec = Spec { measurements: vec![seasons()], ..spec(1, 20) };
        let mut seen = Observation {
            at: at(30),
            dynos: Ok(4),
            samples: [sample(Reading::Value(25.0))].into_iter().collect(),
            advice: [Some(expected(load))].into_iter().collect(),
            ..Observation::default()
        };
        if let Some(value) = other {
            spec.measurements.push(rate());
            seen.samples.push(sample(value.map_or(Reading::Failed(Failure::Timeout), Reading::Value)));
        }
        let record = decide(&spec, &State::default(), &seen);
        assert_eq!(record.desired, Some(wanted), "{load} are expected, and {other:?} is read: {record:?}");
    }
}
