//! [`tune`]: the cheapest parameters of a policy on the first part of a trace, judged on the rest.
//!
//! The search tries every combination where the budget allows, else a random part of them and then one parameter at a time
//! around the best so far. What it found is compared with the settings one has on the part of the trace that it has not
//! seen, over several seeds: each seed gives both the same requests, so their difference is what the settings do.

use rand::RngExt;
use serde::Serialize;

use crate::outcome::Report;
use crate::parallel::{Counter, OnProgress, map};
use crate::run::{Contender, Scenario, SimulateError, run};
use crate::workload::{Stream, dice};

/// A parameter and the values to try, in an order in which neighbours are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name in the settings.
    pub name: String,
    /// The values; one at least.
    pub values: Vec<f64>,
}

/// What to search.
pub struct Search<'a> {
    /// The parameters.
    pub parameters: &'a [Parameter],
    /// The settings one has: a value for each parameter, tried or not.
    pub baseline: &'a [f64],
    /// Makes a contender from a value for each parameter; `Err` for a combination that cannot be, which is passed over.
    pub make: &'a (dyn Fn(&[f64]) -> Result<Contender, String> + Sync),
    /// The share of the trace that is searched on, between 0 and 1; the rest is reported on.
    pub train_share: f64,
    /// The highest slow share that is still good, 0 to 1.
    pub most_slow: f64,
    /// The most combinations that are tried, 1 or more.
    pub budget: usize,
    /// Seeds to judge by, 2 or more.
    pub seeds: u32,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuned {
    /// The best values, by parameter.
    pub best: Vec<(String, f64)>,
    /// Combinations tried.
    pub tried: usize,
    /// The best on the part that was searched.
    pub searched: Report,
    /// The best on the other part, a report a seed.
    pub best_reports: Vec<Report>,
    /// The baseline there, with the same seeds.
    pub baseline_reports: Vec<Report>,
    /// Dyno-hours that the best saves there.
    pub hours_saved: Difference,
    /// How much less the slow share is there.
    pub slow_less: Difference,
    /// What to make of it.
    pub verdict: TuneVerdict,
}

/// The mean of a difference over seeds, and half of its 95 % confidence interval (Student).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// The mean.
    pub mean: f64,
    /// The true mean lies so far from it at most, in 19 of 20 cases.
    pub half_width: f64,
}

impl Difference {
    /// 1: surely above 0; -1: surely below; 0: within noise.
    fn sign(self) -> i8 {
        if self.mean > self.half_width && self.mean > 0.0 {
            1
        } else if self.mean < -self.half_width && self.mean < 0.0 {
            -1
        } else {
            0
        }
    }
}

/// What the unseen part says of the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TuneVerdict {
    /// Cheaper at a slow share that is still good, or faster at no higher cost.
    Better,
    /// No difference that the seeds do not make by themselves.
    WithinNoise,
    /// One of cost and slow share is better and the other worse, or the cost is won by leaving the good slow share.
    Traded,
    /// Worse in one and better in none.
    Worse,
}

/// Searches on one part of the trace and reports on the other.
pub fn tune(scenario: &Scenario, search: &Search<'_>, on_progress: OnProgress<'_>) -> Result<Tuned, SimulateError> {
    check(search)?;
    let (train, test) = scenario.trace.split(search.train_share);
    if train.requests.is_empty() || test.requests.is_empty() {
        return Err(SimulateError::Search(format!(
            "a share of {} of the trace leaves nothing to search or nothing to report on: give a share between",
            search.train_share
        )));
    }
    let on_train = Scenario { trace: train, ..scenario.clone() };
    let on_test = Scenario { trace: test, ..scenario.clone() };
    let counter = Counter::new(2 * search.seeds.max(2) as usize, on_progress);
    let mut found = Found { search, scenario: &on_train, counter: &counter, tried: Vec::new(), best: None };
    found.go();
    let tried = found.tried.len();
    let Some((places, searched)) = found.best else {
        return Err(SimulateError::Search(found.failure()));
    };
    let best = search.values(&places);
    let baseline_contender = (search.make)(search.baseline).map_err(SimulateError::Search)?;
    let best_contender = (search.make)(&best).map_err(SimulateError::Search)?;
    let seeds: Vec<_> =
        (0..search.seeds.max(2)).flat_map(|n| [(&baseline_contender, n), (&best_contender, n)]).collect();
    // The seeds of the report are others than that of the search.
    let reports = map(&seeds, &counter, |(contender, n)| {
        run(&on_test.with_seed(scenario.seed.wrapping_add(1 + u64::from(*n))), contender)
    });
    let reports = reports.into_iter().collect::<Result<Vec<_>, _>>()?;
    let of = |rest: usize| reports.iter().skip(rest).step_by(2).cloned().collect::<Vec<_>>();
    let (baseline_reports, best_reports) = (of(0), of(1));
    let differences = |of: fn(&Report) -> f64| {
        let each: Vec<_> = baseline_reports.iter().zip(&best_reports).map(|(a, b)| of(a) - of(b)).collect();
        difference(&each)
    };
    let (hours_saved, slow_less) = (differences(|report| report.dyno_hours), differences(|report| report.slow_share));
    let good = |reports: &[Report]| {
        reports.iter().map(|report| report.slow_share).sum::<f64>() <= search.most_slow * reports.len() as f64
    };
    let verdict = verdict(hours_saved.sign(), slow_less.sign(), good(&best_reports), good(&baseline_reports));
    let names = search.parameters.iter().map(|parameter| parameter.name.clone());
    Ok(Tuned {
        best: names.zip(best).collect(),
        tried,
        searched,
        best_reports,
        baseline_reports,
        hours_saved,
        slow_less,
        verdict,
    })
}

fn check(search: &Search<'_>) -> Result<(), SimulateError> {
    let fault = |what: String| Err(SimulateError::Search(what));
    if search.parameters.is_empty() {
        return fault("there is no parameter to search: name one with its values".to_owned());
    }
    if let Some(empty) = search.parameters.iter().find(|parameter| parameter.values.is_empty()) {
        return fault(format!("the parameter {} has no values: give one at least", empty.name));
    }
    if search.baseline.len() != search.parameters.len() {
        let (have, want) = (search.baseline.len(), search.parameters.len());
        return fault(format!("the settings to compare with have {have} values for {want} parameters: give one each"));
    }
    Ok(())
}

/// Being good comes first, then cost; among those not good the less slow is the better. At equal cost the less slow.
fn is_better(new: &Report, old: &Report, most_slow: f64) -> bool {
    match (new.slow_share <= most_slow, old.slow_share <= most_slow) {
        (true, true) => (new.dyno_hours, new.slow_share) < (old.dyno_hours, old.slow_share),
        (false, false) => (new.slow_share, new.dyno_hours) < (old.slow_share, old.dyno_hours),
        (good, _) => good,
    }
}

/// `hours` and `slow`: 1 where the best is better, -1 where it is worse, 0 within noise.
fn verdict(hours: i8, slow: i8, best_good: bool, baseline_good: bool) -> TuneVerdict {
    match (hours, slow) {
        (0, 0) => TuneVerdict::WithinNoise,
        (1, -1) if best_good => TuneVerdict::Better,
        (-1, 1) if best_good && !baseline_good => TuneVerdict::Better,
        (1, -1) | (-1, 1) => TuneVerdict::Traded,
        (0 | 1, 0 | 1) => TuneVerdict::Better,
        _ => TuneVerdict::Worse,
    }
}

impl Search<'_> {
    fn values(&self, places: &[usize]) -> Vec<f64> {
        self.parameters.iter().zip(places).map(|(parameter, place)| parameter.values[*place]).collect()
    }

    /// How many combinations there are; the most a number can hold where there are more.
    fn combinations(&self) -> usize {
        self.parameters.iter().fold(1, |product, parameter| product.saturating_mul(parameter.values.len()))
    }

    fn combination(&self, mut number: usize) -> Vec<usize> {
        let digit = |parameter: &Parameter| {
            let place = number % parameter.values.len();
            number /= parameter.values.len();
            place
        };
        self.parameters.iter().map(digit).collect()
    }
}

/// A search under way.
struct Found<'a> {
    search: &'a Search<'a>,
    scenario: &'a Scenario,
    counter: &'a Counter<'a>,
    tried: Vec<Vec<usize>>,
    best: Option<(Vec<usize>, Report)>,
}

impl Found<'_> {
    fn go(&mut self) {
        let (all, budget) = (self.search.combinations(), self.search.budget.max(1));
        if all <= budget {
            return self.try_all((0..all).map(|number| self.search.combination(number)).collect());
        }
        let mut dice = dice(self.scenario.seed, Stream::Search);
        let first = (0..budget.div_ceil(2)).map(|_| self.search.combination(dice.random_range(0..all))).collect();
        self.try_all(first);
        while self.tried.len() < budget {
            let before = self.tried.len();
            let Some((around, _)) = self.best.clone() else { return };
            let mut next = Vec::new();
            for (index, parameter) in self.search.parameters.iter().enumerate() {
                for place in [around[index].checked_sub(1), Some(around[index] + 1)].into_iter().flatten() {
                    if place < parameter.values.len() {
                        let mut places = around.clone();
                        places[index] = place;
                        next.push(places);
                    }
                }
            }
            next.retain(|places| !self.tried.contains(places));
            next.truncate(budget - before);
            self.try_all(next);
            if self.tried.len() == before {
                return;
            }
        }
    }

    fn try_all(&mut self, mut places: Vec<Vec<usize>>) {
        places.sort_unstable();
        places.dedup();
        self.counter.expect(places.len());
        let reports = map(&places, self.counter, |places| {
            let contender = (self.search.make)(&self.search.values(places)).ok()?;
            run(self.scenario, &contender).ok()
        });
        for (places, report) in places.into_iter().zip(reports) {
            self.tried.push(places.clone());
            let Some(report) = report else { continue };
            if self.best.as_ref().is_none_or(|(_, best)| is_better(&report, best, self.search.most_slow)) {
                self.best = Some((places, report));
            }
        }
    }

    /// Why no combination ran: the fault of the first.
    fn failure(&self) -> String {
        let first = self.search.values(&vec![0; self.search.parameters.len()]);
        let why = match (self.search.make)(&first) {
            Ok(contender) => run(self.scenario, &contender).err().map(|error| error.to_string()),
            Err(why) => Some(why),
        };
        format!("none of the combinations can run: {}", why.unwrap_or_else(|| "give other values".to_owned()))
    }
}

/// Two-sided 95 % points of Student's t for 1 to 10 degrees of freedom; above that, a little too wide on purpose.
const STUDENT: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

fn difference(each: &[f64]) -> Difference {
    let count = each.len().max(1) as f64;
    let mean = each.iter().sum::<f64>() / count;
    if each.len() < 2 {
        return Difference { mean, half_width: f64::INFINITY };
    }
    let variance = each.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let student = STUDENT.get(each.len() - 2).copied().unwrap_or(2.228);
    Difference { mean, half_width: student * (variance / count).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let rows = [
            (0, 0, true, true, TuneVerdict::WithinNoise),
            (1, 0, true, true, TuneVerdict::Better),
            (0, 1, true, true, TuneVerdict::Better),
            (1, -1, true, true, TuneVerdict::Better),
            (1, -1, false, true, TuneVerdict::Traded),
            (-1, 1, true, false, TuneVerdict::Better),
            (-1, 1, true, true, TuneVerdict::Traded),
            (-1, 0, true, true, TuneVerdict::Worse),
            (0, -1, false, true, TuneVerdict::Worse),
            (-1, -1, true, true, TuneVerdict::Worse),
        ];
        for (hours, slow, best, baseline, want) in rows {
            assert_eq!(verdict(hours, slow, best, baseline), want, "{hours} {slow} {best} {baseline}");
        }
    }

    #[test]
    fn differences_know_their_noise() {
        let sure = difference(&[1.0, 1.1, 0.9, 1.0, 1.0]);
        assert!((sure.mean - 1.0).abs() < 1e-12 && sure.sign() == 1);
        assert_eq!(difference(&[1.0, -1.0, 2.0, -2.0]).sign(), 0);
        assert_eq!(difference(&[-1.0, -1.0]).sign(), -1);
        assert_eq!(difference(&[0.0, 0.0]).sign(), 0);
        assert_eq!(difference(&[5.0]).sign(), 0);
    }
}
