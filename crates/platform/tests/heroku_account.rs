//! What the Heroku platform keeps over ticks and apps: refused keys and names (A19), waits that a 429 asked for (A20), the
//! budget of calls, tags, pages.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use autoscalebot_core::Secret;
use autoscalebot_core::fields::{Value, Values};
use autoscalebot_fakes::heroku::{Fault, HerokuFake};
use autoscalebot_platform::heroku::{ENTRY, Heroku};
use autoscalebot_platform::{Change, Formation, Platform, PlatformContext, PlatformError};
use jiff::{SignedDuration, Timestamp};

fn now() -> Timestamp {
    "2026-05-04T12:00:00.2Z".parse().unwrap()
}

fn secs(secs: i64) -> Timestamp {
    now() + SignedDuration::from_secs(secs)
}

fn section(name: &str, fake: &HerokuFake, key: &str) -> Heroku {
    Heroku::new(name, &Secret::new(key), fake.url().parse().unwrap()).unwrap()
}

fn shop() -> (HerokuFake, Heroku) {
    let fake = HerokuFake::with_shop().unwrap();
    let heroku = section("heroku", &fake, HerokuFake::KEY);
    (fake, heroku)
}

fn web(quantity: u32) -> [Change; 1] {
    [Change { process: "web".into(), quantity }]
}

fn misconfigured<T: std::fmt::Debug>(result: Result<T, PlatformError>) -> String {
    match result {
        Err(PlatformError::Misconfigured(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a19_each_refusal_names_the_setting_that_is_wrong() {
    for (status, id, names) in [
        (401, "unauthorized", &["platforms.eu.api_key", "401 unauthorized", "heroku authorizations:create"][..]),
        (402, "delinquent", &["platforms.eu.api_key", "402 delinquent", "\"shop\""]),
        (403, "forbidden", &["platforms.eu.api_key", "403 forbidden", "\"shop\"", "access"]),
        (403, "suspended", &["403 suspended"]),
        (403, "two_factor", &["403 two_factor"]),
        (404, "not_found", &["apps.", "name", "\"shop\"", "platforms.eu.api_key"]),
        (406, "not_acceptable", &["406 not_acceptable"]),
    ] {
        let fake = HerokuFake::with_shop().unwrap();
        let heroku = section("eu", &fake, HerokuFake::KEY);
        fake.fault("GET", "/formation", Fault::error(status, id));
        let text = misconfigured(heroku.formation("shop", now()).await);
        for name in names {
            assert!(text.contains(name), "{status} {id}: {name} in {text}");
        }
    }
}

#[tokio::test]
async fn a19_the_pause_between_tries_grows_the_error_stays_and_it_recovers_by_itself() {
    let (fake, heroku) = shop();
    for (status, id) in [(401, "unauthorized"), (403, "forbidden"), (404, "not_found")] {
        fake.clear_requests();
        fake.fault_always("GET", "/formation", Fault::error(status, id));
        let mut texts = Vec::new();
        // Half an hour of ticks, ten seconds apart.
        for tick in 0..180 {
            texts.push(misconfigured(heroku.formation("shop", secs(tick * 10)).await));
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
        // At 0, 30, 90, 210, 450, 930 and 1530 s.
        assert_eq!(fake.reads(), 7, "{status}");
        fake.clear_faults();
        assert!(heroku.formation("shop", secs(2200)).await.is_ok(), "{status}");
        assert!(heroku.formation("shop", secs(2201)).await.is_ok(), "{status}");
    }
}

#[tokio::test]
async fn a19_a_revoked_key_stops_all_apps_and_a_renamed_app_only_itself() {
    let (fake, heroku) = shop();
    fake.add_app("other", &[("web", 1, "Standard-1X")]);
    fake.fault("GET", "/apps/shop", Fault::error(404, "not_found"));
    assert!(heroku.formation("shop", now()).await.is_err());
    assert!(heroku.formation("other", now()).await.is_ok());
    fake.set_key("another");
    fake.clear_requests();
    let text = misconfigured(heroku.formation("other", secs(1)).await);
    assert!(text.contains("platforms.heroku.api_key (401 unauthorized"), "{text}");
    let text = misconfigured(heroku.scale("shop", &web(2), &Formation::default(), secs(2)).await.remove(0));
    assert!(text.contains("platforms.heroku.api_key (401 unauthorized"), "{text}");
    assert_eq!(fake.requests().len(), 1);
    fake.set_key(HerokuFake::KEY);
    assert!(heroku.formation("other", secs(32)).await.is_ok());
}

#[tokio::test]
async fn a19_a_key_that_may_read_but_not_write_is_not_tried_at_each_tick() {
    let (fake, heroku) = shop();
    fake.fault_always("PATCH", "/formation", Fault::error(403, "forbidden"));
    let mut texts = Vec::new();
    for tick in 0..6 {
        let before = heroku.formation("shop", secs(tick * 10)).await.unwrap();
        let [web] = web(2);
        let both = [web, Change { process: "worker".into(), quantity: 3 }];
        let mut done = heroku.scale("shop", &both, &before, secs(tick * 10)).await;
        assert!(done.pop().is_some_and(|worker| misconfigured(worker).contains("may not scale worker of \"shop\"")));
        texts.extend(done.pop().map(misconfigured));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains("may not scale web of \"shop\""), "{texts:?}");
    assert_eq!((fake.reads(), fake.writes()), (6, 2));
    fake.clear_faults();
    let before = heroku.formation("shop", secs(100)).await.unwrap();
    assert!(heroku.scale("shop", &web(2), &before, secs(100)).await[0].is_ok());
}

#[tokio::test]
async fn a20_nothing_is_sent_for_any_app_of_the_account_before_the_wait_is_over() {
    let fake = HerokuFake::with_shop().unwrap();
    let heroku = section("heroku", &fake, HerokuFake::KEY);
    let same_key = section("other", &fake, &format!(" {}\n", HerokuFake::KEY));
    let other_key = section("third", &fake, "another-key");
    fake.fault("GET", "/formation", Fault::error(429, "rate_limit").header("Retry-After", "120"));
    let Err(PlatformError::RateLimited(until)) = heroku.formation("shop", now()).await else { panic!() };
    assert!(until >= secs(120) && until < secs(125), "{until}");
    fake.clear_requests();
    for at in [now(), secs(60), until - SignedDuration::from_nanos(1)] {
        assert_eq!(heroku.formation("shop", at).await, Err(PlatformError::RateLimited(until)));
        assert_eq!(same_key.formation("any", at).await, Err(PlatformError::RateLimited(until)));
        let done = heroku.scale("shop", &web(3), &Formation::default(), at).await;
        assert_eq!(done, [Err(PlatformError::RateLimited(until))]);
    }
    assert_eq!(fake.requests().len(), 0);
    misconfigured(other_key.formation("shop", now()).await);
    assert_eq!(fake.requests().len(), 1, "another account is not concerned");
    assert!(heroku.formation("shop", until).await.is_ok());
}

#[tokio::test]
async fn a20_the_wait_is_read_from_writes_too_and_a_past_date_is_the_next_tick() {
    let (fake, heroku) = shop();
    let past = Fault::error(429, "rate_limit").header("Retry-After", "Mon, 04 May 2026 11:00:00 GMT");
    fake.fault("PATCH", "/formation", past);
    let done = heroku.scale("shop", &web(3), &Formation::default(), now()).await;
    assert!(matches!(done[..], [Err(PlatformError::RateLimited(until))] if until < secs(5)), "{done:?}");
    assert!(heroku.formation("shop", secs(10)).await.is_ok());
}

#[tokio::test]
async fn reads_keep_a_reserve_of_the_budget_for_writes() {
    let (fake, heroku) = shop();
    fake.set_remaining(22);
    let before = heroku.formation("shop", now()).await.unwrap();
    heroku.formation("shop", now()).await.unwrap();
    heroku.formation("shop", now()).await.unwrap();
    // 19 are left: one below the reserve.
    let Err(PlatformError::RateLimited(until)) = heroku.formation("shop", now()).await else { panic!() };
    assert!(until > now() && until < secs(5), "{until}");
    assert!(heroku.scale("shop", &web(2), &before, now()).await[0].is_ok());
    assert_eq!((fake.reads(), fake.writes()), (3, 1));
    assert!(heroku.formation("shop", secs(60)).await.is_ok());
}

#[tokio::test]
async fn an_unchanged_formation_is_a_304_and_a_changed_one_is_seen() {
    let (fake, heroku) = shop();
    let first = heroku.formation("shop", now()).await.unwrap();
    assert_eq!(heroku.formation("shop", secs(10)).await.as_ref(), Ok(&first));
    let requests = fake.requests();
    assert_eq!(requests[0].if_none_match, None);
    assert!(requests[1].if_none_match.is_some());
    fake.set_quantity("shop", "web", 7);
    assert_eq!(heroku.formation("shop", secs(20)).await.unwrap().quantities["web"], 7);
    fake.set_quantity("shop", "web", 1);
    heroku.scale("shop", &web(2), &first, secs(20)).await;
    assert_eq!(heroku.formation("shop", secs(30)).await.unwrap().quantities["web"], 2);
}

#[tokio::test]
async fn pages_are_followed_and_their_number_is_bounded() {
    let fake = HerokuFake::start().unwrap();
    fake.add_app("many", &[("a", 1, "Eco"), ("b", 2, "Eco"), ("c", 3, "Eco"), ("d", 4, "Eco"), ("e", 5, "Eco")]);
    fake.set_page_size(2);
    let heroku = section("heroku", &fake, HerokuFake::KEY);
    for _ in 0..2 {
        let formation = heroku.formation("many", now()).await.unwrap();
        assert_eq!(formation.to_string(), "a=1 b=2 c=3 d=4 e=5");
    }
    assert_eq!(fake.reads(), 6);
    fake.clear_requests();
    fake.fault_always("GET", "/formation", Fault::body(206, "[]").header("Next-Range", "id ]x.."));
    let read = heroku.formation("many", now()).await;
    assert!(matches!(read, Err(PlatformError::Unavailable(_))), "{read:?}");
    assert_eq!(fake.reads(), 10);
}

#[tokio::test]
async fn every_call_has_the_headers_of_a_good_client() {
    let (fake, heroku) = shop();
    heroku.formation("shop", now()).await.unwrap();
    let before = Formation::default();
    let _ = heroku.scale("a b/..", &web(2), &before, now()).await;
    for request in fake.requests() {
        assert_eq!(request.accept, "application/vnd.heroku+json; version=3");
        assert_eq!(request.authorization, format!("Bearer {}", HerokuFake::KEY));
        assert!(request.user_agent.starts_with("autoscalebot/"), "{}", request.user_agent);
    }
    assert_eq!(fake.requests()[1].path, "/apps/a%20b%2F../formation");
    fake.clear_requests();
    for name in ["", ".", ".."] {
        misconfigured(heroku.formation(name, now()).await);
        misconfigured(heroku.scale(name, &web(2), &before, now()).await.remove(0));
    }
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn probing_tells_the_budget_and_sizes_that_cannot_scale_out() {
    let fake = HerokuFake::start().unwrap();
    fake.add_app("small", &[("web", 1, "BASIC"), ("worker", 1, "Standard-1X")]);
    let heroku = section("heroku", &fake, HerokuFake::KEY);
    let told = heroku.probe("small", now()).await.unwrap();
    assert!(
        told.starts_with("small: web=1 worker=1; 4499 API calls are left to the account; web runs on basic"),
        "{told}"
    );
    fake.fault("GET", "/account/rate-limits", Fault::body(503, ""));
    assert!(heroku.probe("small", now()).await.unwrap().starts_with("small: web=1 worker=1; web runs on basic"));
    misconfigured(heroku.probe("unknown", now()).await);
}

#[test]
fn settings_are_checked_with_the_field_that_is_wrong() {
    let context = PlatformContext { logs: Default::default(), keeper: None };
    let values = |key: &str, url: Option<&str>| {
        let mut values = Values::default();
        values.set("api_key", Value::Secret(Secret::new(key)));
        if let Some(url) = url {
            values.set("url", Value::Url(url.parse().unwrap()));
        }
        values
    };
    for (key, url, field) in [
        ("tok-EXAMPLE-1234", None, None),
        ("tok-EXAMPLE-1234\n", Some("http://127.0.0.1:1"), None),
        ("tok-EXAMPLE-1234", Some("http://api.heroku.com"), Some("url")),
        ("tok EXAMPLE-1234", None, Some("api_key")),
        ("", None, Some("api_key")),
    ] {
        let values = values(key, url);
        let checked = (ENTRY.kind.check)(&values).map_err(|error| error.field).err();
        assert_eq!(checked, field, "{key:?} {url:?}");
        let built = (ENTRY.build)("heroku", &values, &context);
        assert_eq!(built.as_ref().err().map(|error| error.field), field);
        assert!(!format!("{built:?}").contains("EXAMPLE"));
    }
}

#[test]
fn the_page_names_every_field() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/platforms/heroku.md")).unwrap();
    for field in ENTRY.kind.description.fields {
        assert!(page.contains(&format!("| `{}` |", field.name)), "{}", field.name);
    }
}
