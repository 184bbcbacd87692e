//! The contenders that are built in, by name: the rules of others as they come, and each policy of the core under the
//! parameters that this program recommends for it. All but Heroku's own are settings, written as a user would.

use crate::simulate::sources;
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
    settings(RECOMMENDED, "what this program recommends where requests under way are measured", |app| {
        let target = app.servers_per_dyno;
        measure(
            "concurrency",
            "15s",
            "window = \"15s\"",
            &format!(
                "type = \"concurrency\", target = {target}, utilization = 0.6, stable_window = \"120s\", panic_window = 0.125, panic_threshold = 1.2"
            ),
        )
    }),
    settings("2.1", "the rule of autoscalebot 2.1 with its defaults, on a heartbeat", |_| {
        measure(
            "probe",
            "30s",
            "timeout = \"1s\"",
            "type = \"consecutive\", low = \"200ms\", high = \"1s\", fails = 3, passes = 5, increment = 1",
        )
    }),
    settings("hpa", "Kubernetes' Horizontal Pod Autoscaler on utilisation: 70 % of the servers busy", |app| {
        let target = 0.7 * f64::from(app.servers_per_dyno);
        measure(
            "concurrency",
            "15s",
            "window = \"30s\"",
            &format!("type = \"target\", target = {target}, tolerance = 0.1"),
        )
    }),
    settings("knative", "Knative's Pod Autoscaler on requests under way, with its defaults", |app| {
        let target = app.servers_per_dyno;
        measure(
            "concurrency",
            "2s",
            "window = \"2s\"",
            &format!(
                "type = \"concurrency\", target = {target}, utilization = 0.7, stable_window = \"60s\", panic_window = 0.1"
            ),
        )
    }),
    Builtin { name: "heroku", doc: "Heroku's rule, read as a threshold on the p95 of an hour", make: Make::Heroku },
    Builtin {
        name: "heroku-fitted",
        doc: "Heroku's rule, read kindly: it knows the app's service time",
        make: Make::HerokuFitted,
    },
];

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
