//! The contenders that are built in, by name: the rules of others as they come, and each policy of the core under the
//! parameters that this program recommends for it. All but Heroku's own are settings, written as a user would.

use crate::simulate::sources;
use crate::simulate::turns::digits;
use autoscalebot_core::queueing::Routing;
use autoscalebot_core::{BoundTables, Spec};
use autoscalebot_simulate::{App, Contender, rivals};

/// A contender that is built in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Builtin {
    /// Its name on the command line and in tables.
    pub(crate) name: &'static str,
    /// One sentence for people.
    pub(crate) doc: &'static str,
    make: Make,
}

#[derive(Debug, Clone, Copy)]
enum Make {
    /// Keys of the process, and its one measurement.
    Settings(fn(&App) -> String),
    Heroku,
    HerokuFitted,
}

const fn settings(name: &'static str, doc: &'static str, text: fn(&App) -> String) -> Builtin {
    Builtin { name, doc, make: Make::Settings(text) }
}

/// The name of the one to start with.
pub(crate) const RECOMMENDED: &str = "recommended";

/// Those that take part where there are no settings and no names.
pub(crate) const WITHOUT_SETTINGS: [&str; 3] = [RECOMMENDED, "2.1", "heroku"];

/// The app and the process of the built-in settings.
pub(crate) const APP: &str = "simulated";
pub(crate) const PROCESS: &str = "web";

/// Every one, in the order of tables.
pub(crate) const BUILTINS: &[Builtin] = &[
    settings(RECOMMENDED, "what this program recommends where a router tells of each request", recommended),
    settings("forecast", "the recommended one, and a floor for the load that day and week say is coming", |app| {
        let target = digits(0.75 * app.mu() * f64::from(app.servers_per_dyno));
        let floor = format!("type = \"forecast\", target = {target}");
        format!("{}{}", recommended(app), measure("rate", "60s", "window = \"60s\"", &floor))
    }),
    settings("recommended-heartbeat", "what this program recommends where there is a heartbeat alone", |app| {
        let (objective, servers) = (ms(app.objective_secs), app.servers_per_dyno);
        let decide =
            format!("type = \"response_time\", objective = \"{objective}\", at_once = {servers}, lower_after = \"5m\"");
        format!("cooldown = {{ up = \"{}\" }}\n{}", ms(app.boot_secs), measure("probe", "10s", "", &decide))
    }),
    settings("average", "the mean of 10 heartbeats, as the app's service time and objective suggest", |app| {
        let (low, high) = (ms(1.2 * app.service.mean_secs), ms(0.5 * app.objective_secs));
        let decide = format!("type = \"average\", low = \"{low}\", high = \"{high}\", samples = 10, increment = 1");
        measure("probe", "10s", "", &decide)
    }),
    settings("consecutive", "2.1's rule with a shorter interval and more patience on the way down", |app| {
        let (low, high) = (ms(1.5 * app.service.mean_secs), ms(0.8 * app.objective_secs));
        let decide = format!("type = \"consecutive\", low = \"{low}\", high = \"{high}\", fails = 2, passes = 12");
        measure("probe", "10s", "", &decide)
    }),
    settings("steps", "heartbeats with larger steps for larger times", |app| {
        let (low, high, far) =
            (ms(1.3 * app.service.mean_secs), ms(0.8 * app.objective_secs), ms(2.0 * app.objective_secs));
        let decide = format!(
            "type = \"steps\", steps = [\"<{low}: -1\", \">{high}: +1\", \">{far}: +50%\"], fails = 2, passes = 12"
        );
        measure("probe", "10s", "", &decide)
    }),
    settings(
        "target",
        "requests in a second for each dyno, 68 % of what it can do, down to the highest need of 8 minutes",
        |app| {
            let target = digits(0.68 * app.mu() * f64::from(app.servers_per_dyno));
            let decide = format!("type = \"target\", target = {target}, tolerance = 0.0");
            format!("stabilization = \"8m\"\n{}", measure("rate", "10s", "window = \"15s\"", &decide))
        },
    ),
    settings(
        "concurrency",
        "requests under way for each dyno, 75 % of its servers, as Knative's rule decides",
        |app| {
            let decide = format!(
                "type = \"concurrency\", target = {}, utilization = 0.75, stable_window = \"60s\", panic_window = 0.25",
                app.servers_per_dyno
            );
            format!("stabilization = \"8m\"\n{}", measure("concurrency", "5s", "window = \"15s\"", &decide))
        },
    ),
    settings("queue", "workers for the requests that wait", |app| {
        let decide = format!(
            "type = \"queue\", latency = \"{}\", at_once = {}, utilization = 0.7, lower_after = \"8m\"",
            ms(0.4 * app.objective_secs),
            app.servers_per_dyno
        );
        measure("waiting", "5s", "", &decide)
    }),
    settings("2.1", "the rule of autoscalebot 2.1 with its defaults, on a heartbeat", |_| {
        let decide = "type = \"consecutive\", low = \"200ms\", high = \"1s\", fails = 3, passes = 5, increment = 1";
        measure("probe", "30s", "timeout = \"1s\"", decide)
    }),
    settings("hpa", "Kubernetes' Horizontal Pod Autoscaler with its defaults, on 70 % of the servers busy", |app| {
        let decide =
            format!("type = \"target\", target = {}, tolerance = 0.1", digits(0.7 * f64::from(app.servers_per_dyno)));
        format!("stabilization = \"5m\"\n{}", measure("concurrency", "15s", "window = \"30s\"", &decide))
    }),
    settings("knative", "Knative's Pod Autoscaler with its defaults, on requests under way", |app| {
        let decide = format!("type = \"concurrency\", target = {}, utilization = 0.7", app.servers_per_dyno);
        measure("concurrency", "2s", "window = \"2s\"", &decide)
    }),
    Builtin { name: "heroku", doc: "Heroku's rule, read as a threshold on the p95 of an hour", make: Make::Heroku },
    Builtin {
        name: "heroku-fitted",
        doc: "Heroku's rule, read kindly: it knows the app's service time",
        make: Make::HerokuFitted,
    },
];

fn recommended(app: &App) -> String {
    let (objective, servers, boot) = (ms(app.objective_secs), app.servers_per_dyno, ms(app.boot_secs));
    let (percentile, variation) = (digits(100.0 - 100.0 * app.slow_share), app.service.shape.scv());
    let routing = match app.routing {
        Routing::Shared => "shared",
        Routing::Random => "random",
    };
    let decide = format!(
        "type = \"response_time\", objective = \"{objective}\", at_once = {servers}, percentile = {percentile}, \
         routing = \"{routing}\", variation = {variation}, lead = \"{boot}\", wait_included = true"
    );
    // Of the few requests of a window a higher one tells little; a higher one than is decided by would be above the objective.
    let read = digits((100.0 - 100.0 * app.slow_share).min(95.0));
    measure("lines", "5s", &format!("window = \"4s\"\npercentile = {read}"), &decide)
}

/// Seconds as settings have them, in whole milliseconds.
fn ms(secs: f64) -> String {
    format!("{:.0}ms", (secs * 1000.0).max(1.0))
}

/// The text of one measurement with its policy.
fn measure(source: &str, every: &str, more: &str, decide: &str) -> String {
    format!(
        "[[apps.simulated.processes.web.measure]]\ntype = \"{source}\"\nevery = \"{every}\"\n{more}\ndecide = {{ {decide} }}\n"
    )
}

/// One by its name; the error says which there are.
pub(crate) fn find(name: &str) -> Result<&'static Builtin, String> {
    BUILTINS.iter().find(|builtin| builtin.name == name).ok_or_else(|| {
        let names: Vec<_> = BUILTINS.iter().map(|builtin| format!("  {}: {}", builtin.name, builtin.doc)).collect();
        format!("there is no policy {name:?} here; give one of these, or all:\n{}", names.join("\n"))
    })
}

impl Builtin {
    /// Its settings as text, whatever its bounds; `None` for the rules that are no settings.
    pub(crate) fn text(&self, app: &App) -> Option<String> {
        let Make::Settings(text) = self.make else { return None };
        Some(format!(
            "[platforms.model]\ntype = \"model\"\n[apps.{APP}]\n[apps.{APP}.processes.{PROCESS}]\n{}",
            text(app)
        ))
    }

    /// The contender for this app.
    pub(crate) fn contender(&self, app: &App, bounds: &BoundTables) -> Result<Contender, String> {
        match self.make {
            Make::Heroku => Ok(rivals::heroku(app.objective_secs, bounds.clone())),
            Make::HerokuFitted => Ok(rivals::heroku_fitted(app, bounds.clone())),
            Make::Settings(_) => from_text(self.name, &self.text(app).unwrap_or_default(), bounds),
        }
    }
}

/// The contender of a built-in text.
pub(crate) fn from_text(name: &str, text: &str, bounds: &BoundTables) -> Result<Contender, String> {
    let contender = sources::contenders(text)?.into_iter().next();
    let contender = contender.ok_or_else(|| format!("{name} has no process"))?;
    let spec = Spec { bounds: bounds.clone(), ..contender.spec };
    Ok(Contender { name: name.to_owned(), spec, ..contender })
}

#[cfg(test)]
mod tests {
    use autoscalebot_core::BoundTable;
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn every_one_is_made() {
        let bounds = BoundTables { min: BoundTable::Fixed(1), max: BoundTable::Fixed(40), zone: TimeZone::UTC };
        for builtin in BUILTINS {
            let made = builtin.contender(&App::default(), &bounds);
            assert_eq!(made.map(|contender| contender.name), Ok(builtin.name.to_owned()));
            assert!(!builtin.doc.is_empty());
        }
        assert!(find("2.1").is_ok());
        assert!(find("nobody").unwrap_err().contains("  2.1: the rule"));
    }
}
