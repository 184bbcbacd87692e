//! The suite that every platform passes, for Heroku.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use autoscalebot_core::Secret;
use autoscalebot_fakes::conformance::{Subject, platform_conformance};
use autoscalebot_fakes::heroku::HerokuFake;
use autoscalebot_platform::heroku::Heroku;

#[tokio::test]
async fn heroku_does_what_every_platform_does() {
    platform_conformance(|| async {
        let fake = HerokuFake::with_shop().unwrap();
        let url = fake.url().parse().unwrap();
        let platform = Arc::new(Heroku::new("heroku", &Secret::new(HerokuFake::KEY), url).unwrap());
        Subject {
            platform,
            app: "shop".into(),
            processes: ["web".into(), "worker".into()],
            unknown_app: Some("no-such-app".into()),
            keep: Box::new(fake),
        }
    })
    .await;
}
