//! [`compare`]: several contenders on one trace, beside the clairvoyant optimum in the same world.

use serde::Serialize;

use crate::outcome::Report;
use crate::parallel::{Counter, OnProgress, map};
use crate::run::{Contender, Scenario, SimulateError, run, run_schedule};

/// The runs of several contenders on one trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// One report a contender, in their order.
    pub reports: Vec<Report>,
    /// The clairvoyant optimum, simulated like the others: its own model leaves out what waits from minute to minute, so its
    /// slow share here is what its hours really buy. Under the bounds of the first contender.
    pub optimum: Report,
}

/// Runs every contender through the scenario, on all cores.
pub fn compare(
    scenario: &Scenario,
    contenders: &[Contender],
    on_progress: OnProgress<'_>,
) -> Result<Comparison, SimulateError> {
    let Some(first) = contenders.first() else {
        return Err(SimulateError::Search("there is nothing to compare: name at least one policy".to_owned()));
    };
    let counter = Counter::new(contenders.len(), on_progress);
    let reports = map(contenders, &counter, |contender| run(scenario, contender));
    let reports = reports.into_iter().collect::<Result<Vec<_>, _>>()?;
    let schedule = reports.first().map(|report| report.optimum.dynos.as_slice()).unwrap_or_default();
    let optimum = run_schedule(scenario, "clairvoyant", &first.spec, schedule)?;
    Ok(Comparison { reports, optimum })
}

impl Comparison {
    /// The contenders that no other one beats, by name: where several are left, cost is traded for speed between them.
    pub fn unbeaten(&self) -> Vec<&str> {
        let beaten = |report: &Report| self.reports.iter().any(|other| other.beats(report));
        self.reports.iter().filter(|report| !beaten(report)).map(|report| report.name.as_str()).collect()
    }
}
