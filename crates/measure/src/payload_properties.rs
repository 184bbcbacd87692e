//! What comes from outside may be anything: documents, lines of commands, jobs in queues. Whatever it is, it is read without a
//! panic, and what comes out is a number at or above zero or a failure of bounded length.

use autoscalebot_core::{Failure, Reading, Taken};
use proptest::prelude::*;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::queue::Seen;
use crate::{bullmq, celery, exec, prometheus, rabbitmq, redis, resque, sidekiq, sql};

/// The longest that a failure may be.
const LONGEST: usize = 600;

/// Words that the readers look for, so that chance finds them.
const WORDS: [&str; 24] = [
    "value",
    "busy",
    "status",
    "success",
    "data",
    "result",
    "resultType",
    "vector",
    "scalar",
    "metric",
    "error",
    "headers",
    "eta",
    "properties",
    "published_at",
    "queue",
    "enqueued_at",
    "created_at",
    "timestamp",
    "opts",
    "delay",
    "messages_ready",
    "messages_unacknowledged",
    "latency_s",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![proptest::sample::select(&WORDS[..]).prop_map(str::to_owned), ".{0,12}"]
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word().prop_map(Value::from),
        any::<f64>().prop_map(|number| number.to_string().into()),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((word(), inner), 0..5).prop_map(|pairs| pairs.into_iter().collect::<Value>()),
        ]
    })
}

fn answer() -> impl Strategy<Value = ::redis::Value> {
    use ::redis::Value as Answer;
    let leaf = prop_oneof![
        Just(Answer::Nil),
        any::<i64>().prop_map(Answer::Int),
        any::<f64>().prop_map(Answer::Double),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Answer::BulkString),
        document().prop_map(|document| Answer::BulkString(document.to_string().into_bytes())),
        any::<f64>().prop_map(|number| Answer::BulkString(number.to_string().into_bytes())),
    ];
    leaf.prop_recursive(2, 12, 6, |inner| proptest::collection::vec(inner, 0..6).prop_map(Answer::Array))
}

fn good(taken: Result<Taken, Failure>) {
    match taken {
        Ok(Taken { reading: Reading::Value(value), detail }) => {
            let all = [Some(value), detail.busy, detail.latency_ms, detail.rate, detail.concurrency, detail.service_ms];
            assert!(all.into_iter().flatten().all(|number| number.is_finite() && number >= 0.0), "{detail:?} {value}");
        }
        Ok(Taken { reading: Reading::Failed(failure), .. }) | Err(failure) => {
            assert!(failure.to_string().len() <= LONGEST, "{failure}");
        }
    }
}

fn counted(seen: Result<Seen, Failure>) {
    match seen {
        Ok(seen) => {
            let all = [Some(seen.waiting), seen.busy, seen.oldest_ms];
            assert!(all.into_iter().flatten().all(|number| number.is_finite() && number >= 0.0), "{seen:?}");
        }
        Err(failure) => assert!(failure.to_string().len() <= LONGEST, "{failure}"),
    }
}

proptest! {
    #[test]
    fn commands_and_queries(text in "\\PC{0,200}", document in document(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        good(exec::reading(text.as_bytes(), 1.0));
        good(exec::reading(&bytes, 1.0));
        good(exec::reading(document.to_string().as_bytes(), 1.0));
        good(sql::taken(&[document.to_string()], 1.0));
        good(sql::taken(&[text], 1.0));
    }

    #[test]
    fn metrics_servers(status in 100_u16..600, document in document(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let status = StatusCode::from_u16(status).unwrap();
        let wrapped = json!({ "status": "success", "data": { "resultType": "vector", "result": document } });
        for body in [bytes, document.to_string().into_bytes(), wrapped.to_string().into_bytes()] {
            for status in [status, StatusCode::OK] {
                if let Err(failure) = prometheus::answer((status, body.clone())) {
                    prop_assert!(failure.to_string().len() <= LONGEST, "{}", failure);
                }
            }
        }
        counted(rabbitmq::judge(&document, jiff::Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn queues(answers in proptest::collection::vec(answer(), 0..10), document in document(), at in -1_000_000_000_i64..10_000_000_000) {
        let now = jiff::Timestamp::from_second(at).unwrap();
        let name = "queue".to_owned();
        let taken = [document.clone(), json!([document, "", "queue"])];
        for unacked in [celery::Unacked::Busy, celery::Unacked::Waiting] {
            counted(celery::judge(&name, &answers, Some(&taken), unacked, now));
        }
        counted(resque::judge(&name, &answers, &taken, now));
        let due: Vec<_> = answers.iter().flat_map(sidekiq::due_jobs).collect();
        counted(sidekiq::judge(&name, &answers, &due, std::slice::from_ref(&name), &[], now));
        counted(bullmq::found(&answers, now).map(|found| found.seen(answers.iter(), now)));
        for answer in &answers {
            let _ = (redis::count(answer), redis::score(answer), redis::texts(answer), redis::number(answer));
        }
    }
}
