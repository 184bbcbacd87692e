//! Log drains of an app, and the commands of Heroku's own tool that point something of an app at this program.
//! <https://devcenter.heroku.com/articles/platform-api-reference#log-drain>

use autoscalebot_core::Secret;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;

use super::answer::Refused;
use super::wire::Call;
use super::{Heroku, path_of};
use crate::pointing::{PointTo, shell_word};

/// The command that does it, as its user types it.
pub(super) fn command(app: &str, to: PointTo<'_>) -> String {
    let app = shell_word(app);
    match to {
        PointTo::LogDrain(url) => format!("heroku drains:add {} --app {app}", shell_word(url)),
        PointTo::TelemetryDrain(url) => {
            format!("heroku telemetry:add {} --app {app} --signals traces,metrics", shell_word(url))
        }
        PointTo::Variables(all) => {
            let all: Vec<_> = all.iter().map(|(name, value)| shell_word(&format!("{name}={value}"))).collect();
            format!("heroku config:set {} --app {app}", all.join(" "))
        }
    }
}

impl Heroku {
    /// The URLs of an app's log drains. They hold tokens.
    pub(super) async fn log_drains(&self, app: &str, now: Timestamp) -> Result<Vec<Secret>, Refused> {
        #[derive(Deserialize)]
        struct Drain {
            url: Box<str>,
        }
        let started = Instant::now();
        let path = ["apps", path_of(app)?[1], "log-drains"];
        let call = Call { path: &path, ..Call::default() };
        // A page holds up to 1000.
        let answer = self.call(&call, now, started, started + self.call_budget).await?;
        let drains: Vec<Drain> = serde_json::from_slice(&answer.body)
            .map_err(|_| Refused::Broken("log drains that are not whole JSON".into()))?;
        Ok(drains.into_iter().map(|drain| Secret::new(drain.url)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_the_tool() {
        let url = "https://scale.example/drains/tok-EXAMPLE-1234";
        assert_eq!(command("shop", PointTo::LogDrain(url)), format!("heroku drains:add {url} --app shop"));
        assert_eq!(
            command("shop", PointTo::Variables(&[("A", "1"), ("B", "x y")])),
            "heroku config:set A=1 'B=x y' --app shop"
        );
    }
}
