//! Whatever an answer of the Platform API holds: nothing panics, no key is shown, no wait is unbounded, no limit is exceeded.
//! `PROPTEST_CASES` sets how many inputs are tried.

use autoscalebot_core::Secret;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::answer::{Refused, check, entries, said};
use super::limit::{Fit, LimitOf, fit, raises};
use super::wait::{WAIT_MAX, retry_after};
use super::wire::Answer;
use crate::{Change, Formation};

const KEY: &str = "tok-EXAMPLE-1234";

/// Bodies that are nearly right, cut anywhere, with the key in odd places; and bytes.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(KEY.to_owned()),
        Just(format!("Bearer {KEY}\\n{KEY}")),
        Just("cannot_run_above_limit".to_owned()),
        Just("cannot_update_above_limit".to_owned()),
        Just("web".to_owned()),
        "[a-z\\\\\"\u{0}é]{0,12}",
    ];
    let number = prop_oneof![any::<i64>().prop_map(|n| n.to_string()), any::<f64>().prop_map(|n| n.to_string())];
    let error = (word.clone(), word.clone(), number.clone())
        .prop_map(|(id, message, limit)| format!(r#"{{"id":"{id}","message":"{message}","limit":{limit}}}"#));
    let formation = proptest::collection::vec((word, number), 0..4).prop_map(|list| {
        let entry = |(process, quantity)| format!(r#"{{"type":"{process}","quantity":{quantity},"size":"{process}"}}"#);
        format!("[{}]", list.into_iter().map(entry).collect::<Vec<_>>().join(","))
    });
    let text = prop_oneof![error, formation].prop_map(String::into_bytes);
    let cut = (text.clone(), any::<prop::sample::Index>()).prop_map(|(text, at)| text[..at.index(text.len())].to_vec());
    prop_oneof![text, cut, proptest::collection::vec(any::<u8>(), 0..64)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_panics_or_shows_the_key(status in 100u16..600, body in body(), host in ".{0,20}") {
        let answer = Answer { status, body, redirect_host: Some(host), ..Answer::default() };
        let key = Secret::new(KEY);
        let now = Timestamp::UNIX_EPOCH;
        let mut shown = said(&answer, &key);
        shown += &format!("{:?}", check(&answer, &key, now));
        match entries(&answer) {
            Ok(entries) => {
                let names: std::collections::BTreeSet<&str> = entries.iter().map(|entry| entry.process.as_str()).collect();
                prop_assert_eq!(names.len(), entries.len(), "a process type twice");
            }
            Err(error) => shown += &format!("{error:?}"),
        }
        prop_assert!(!shown.contains(KEY), "{}", shown);
        prop_assert!(!shown.contains('\n'));
        let fine = check(&answer, &key, now).is_ok();
        prop_assert_eq!(fine, matches!(status, 200..=202 | 206 | 304));
        if status == 401 {
            prop_assert!(matches!(check(&answer, &key, now), Err(Refused::Key(_))));
        }
    }

    #[test]
    fn a20_every_wait_is_bounded(header in "\\PC{0,30}|[0-9.]{1,40}|-?[0-9]{1,20}", secs in -10_000_000_000i64..100_000_000_000) {
        let now = Timestamp::from_second(secs).unwrap();
        let until = retry_after(Some(&header), now);
        prop_assert!(until >= now && until.duration_since(now) <= WAIT_MAX, "{} {}", header, until);
        prop_assert!(now + SignedDuration::ZERO <= until);
    }

    #[test]
    fn a18_what_goes_out_again_fits_the_limit(
        before in proptest::collection::btree_map("[a-d]", 0u32..20, 0..4),
        wanted in proptest::collection::btree_map("[a-e]", 0u32..40, 1..5),
        limit in 0u32..60,
    ) {
        let before = Formation { quantities: before, ..Formation::default() };
        let changes: Vec<Change> = wanted.into_iter().map(|(process, quantity)| Change { process, quantity }).collect();
        for of in [LimitOf::App, LimitOf::Process] {
            let fits = fit(&changes, &before, limit, of);
            prop_assert_eq!(fits.len(), changes.len());
            let mut after = before.clone();
            let mut raised = false;
            for (change, fit) in changes.iter().zip(&fits) {
                let now = before.quantities.get(&change.process).copied().unwrap_or_default();
                let sent = match *fit {
                    Fit::Whole => Some(change.quantity),
                    Fit::Cut(room) => Some(room),
                    Fit::Full(_) => None,
                };
                if raises(change, &before) {
                    prop_assert!(sent.is_none_or(|sent| sent > now && sent <= change.quantity));
                    prop_assert!(sent.is_none_or(|sent| of == LimitOf::App || sent <= limit));
                    raised |= sent.is_some();
                } else {
                    prop_assert_eq!(sent, Some(change.quantity), "a lowering is never cut");
                }
                after.quantities.insert(change.process.clone(), sent.unwrap_or(now));
            }
            let sum: u32 = after.quantities.values().sum();
            prop_assert!(of == LimitOf::Process || !raised || sum <= limit, "{} above {}", sum, limit);
        }
    }
}
