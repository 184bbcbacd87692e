//! [`run`]: the real core, tick by tick, in the simulated world.
//!
//! Each tick reads the meters, asks whom its policies ask, decides with [`decide`], waits for what a probe and the scaling call take, sets the quantity, and
//! moves the state with [`settle`], as the engine does. Ticks never stack: one that falls into a call is left out.

use autoscalebot_core::policy::Adviser;
use autoscalebot_core::{
    Action, CallOutcome, Dynos, MeasurementSpec, Observation, Reading, Record, Sample, Spec, State, Taken, Unit,
    decide, settle,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::advice::{Answers, Asked};
use crate::clairvoyant::{Schedule, Terms, optimum};
use crate::events::Exact;
use crate::fluid::Fluid;
use crate::minutes::{Minute, Times};
use crate::model::{App, Meter};
use crate::outcome::Report;
use crate::ticks::Ticks;
use crate::trace::Trace;
use crate::workload::{Dice, Stream, dice, error_factor};
use crate::world::World;

/// What happens to every contender alike: the traffic, the app, the chance.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The traffic.
    pub trace: Trace,
    /// The app and the platform.
    pub app: App,
    /// How requests are simulated.
    pub mode: Mode,
    /// The same seed gives the same requests.
    pub seed: u64,
    /// Dynos that serve at the start; `None`: as many as the optimum begins with, so that nobody pays for the beginning.
    pub initial_dynos: Option<Dynos>,
    /// What a dyno costs in an hour, in the user's money.
    pub price_per_dyno_hour: f64,
    /// The most dynos by which the optimum changes in a minute, 1 or more.
    pub optimum_step: u32,
    /// Who answers for functions outside the core; `None`: nobody, and their policies cannot be simulated.
    pub answers: Option<Answers>,
}

/// How requests are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Each request of its own: exact for the model.
    Exact,
    /// As a flow: approximate, for years of minutes.
    Fluid,
}

impl Mode {
    /// Exact where that takes seconds (up to 50 million requests), else fluid.
    pub fn for_trace(trace: &Trace) -> Self {
        if trace.total() <= 5e7 { Self::Exact } else { Self::Fluid }
    }
}

/// Settings of a process, by a name, and where their numbers come from.
#[derive(Debug, Clone)]
pub struct Contender {
    /// Its name in tables and plots.
    pub name: String,
    /// The settings.
    pub spec: Spec,
    /// What each measurement of the settings reads, in their order.
    pub meters: Vec<Meter>,
    /// Seconds from tick to tick, 0.1 or more.
    pub every_secs: f64,
    /// Whether its percentiles are told by senders, so that a rise is acted upon before the next tick.
    pub told: bool,
}

impl Contender {
    /// Settings whose measurements are simulated by what their numbers count: milliseconds by a probe with a budget of 10 s,
    /// requests per second and counts (of requests under way) over the last minute, jobs by the requests that wait.
    pub fn new(name: impl Into<String>, spec: Spec, every_secs: f64) -> Result<Self, SimulateError> {
        let name = name.into();
        let meter = |measurement: &MeasurementSpec| match measurement.unit {
            Unit::Milliseconds => Ok(Meter::Probe { budget_secs: 10.0 }),
            Unit::RequestsPerSecond => Ok(Meter::Rate { window_secs: 60.0 }),
            Unit::Count => Ok(Meter::Concurrency { window_secs: 60.0 }),
            Unit::Jobs => Ok(Meter::Waiting),
            Unit::Dynos => Err(SimulateError::Contender {
                name: name.clone(),
                what: format!(
                    "the measurement {} asks the app how many dynos it wants, which no model can tell: leave it out",
                    measurement.name
                ),
            }),
        };
        let meters = spec.measurements.iter().map(meter).collect::<Result<_, _>>()?;
        Ok(Self { name, spec, meters, every_secs, told: false })
    }
}

/// Why a simulation cannot run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SimulateError {
    /// Numbers of the app that cannot be; one message each.
    #[error("{}", .0.join("\n"))]
    App(Vec<String>),
    /// A trace without a step.
    #[error("the trace {0} has no steps: give at least one row of requests")]
    EmptyTrace(String),
    /// Settings and meters that do not fit.
    #[error("{name}: {what}")]
    Contender {
        /// The contender's name.
        name: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// A chart that cannot be drawn.
    #[error("{0}")]
    Plot(String),
    /// A search that has nothing to do.
    #[error("{0}")]
    Search(String),
}

impl Scenario {
    /// A trace with the default app, simulated as [`Mode::for_trace`] says, seed 1, a price of 0.
    pub fn new(trace: Trace) -> Self {
        Self {
            mode: Mode::for_trace(&trace),
            trace,
            app: App::default(),
            seed: 1,
            initial_dynos: None,
            price_per_dyno_hour: 0.0,
            optimum_step: 5,
            answers: None,
        }
    }

    /// The same with another seed.
    pub fn with_seed(&self, seed: u64) -> Self {
        Self { seed, ..self.clone() }
    }

    /// The terms of the clairvoyant optimum here. Boot and call are rounded up to whole minutes, so that its schedule can be
    /// carried out.
    pub fn terms(&self) -> Terms {
        Terms {
            mu: self.app.mu(),
            servers_per_dyno: self.app.servers_per_dyno,
            routing: self.app.routing,
            objective_secs: self.app.objective_secs,
            slow_share: self.app.slow_share,
            boot_minutes: ((self.app.boot_secs + self.app.call_secs) / 60.0).ceil() as u32,
            most_per_minute: self.optimum_step.max(1),
            change_fee: 0.0,
        }
    }

    /// The clairvoyant optimum under the bounds of these settings.
    pub fn optimum(&self, spec: &Spec) -> Schedule {
        let range = |minute: usize| {
            let bounds = spec.bounds.in_force(self.instant(minute as f64 * 60.0)).bounds();
            (bounds.min, bounds.max)
        };
        optimum(&self.trace.minute_rates(), range, &self.terms())
    }

    /// The instant so many seconds after the start.
    pub(crate) fn instant(&self, secs: f64) -> Timestamp {
        let since = SignedDuration::from_millis((secs * 1000.0).round() as i64);
        self.trace.start.checked_add(since).unwrap_or(self.trace.start)
    }

    fn check(&self, contender: &Contender) -> Result<(), SimulateError> {
        let faults = self.app.faults();
        if !faults.is_empty() {
            return Err(SimulateError::App(faults));
        }
        if self.trace.requests.is_empty() {
            return Err(SimulateError::EmptyTrace(self.trace.name.clone()));
        }
        let fault = |what: String| Err(SimulateError::Contender { name: contender.name.clone(), what });
        let (measurements, meters) = (contender.spec.measurements.len(), contender.meters.len());
        if measurements != meters {
            return fault(format!(
                "{measurements} measurements have {meters} meters: give one meter for each measurement"
            ));
        }
        if !(0.1..=86_400.0).contains(&contender.every_secs) {
            return fault(format!("a tick every {} s cannot be: give 0.1 to 86400", contender.every_secs));
        }
        for (measurement, meter) in contender.spec.measurements.iter().zip(&contender.meters) {
            if self.answers.is_none() && matches!(measurement.policy.adviser(), Some(Adviser::Function(_))) {
                return fault(format!(
                    "the measurement {} asks outside, and nobody answers: say who, or decide it otherwise",
                    measurement.name
                ));
            }
            if measurement.unit != meter.unit() {
                return fault(format!(
                    "the measurement {} counts {}, but its meter reads {}: give a meter of the same unit",
                    measurement.name,
                    measurement.unit.as_str(),
                    meter.unit().as_str()
                ));
            }
        }
        Ok(())
    }
}

/// Runs one contender through the scenario.
pub fn run(scenario: &Scenario, contender: &Contender) -> Result<Report, SimulateError> {
    run_with(scenario, contender, &mut |_| {})
}

/// The same; `on_record` sees the concluded record of every tick.
pub fn run_with(
    scenario: &Scenario,
    contender: &Contender,
    on_record: &mut dyn FnMut(&Record),
) -> Result<Report, SimulateError> {
    scenario.check(contender)?;
    let optimum = scenario.optimum(&contender.spec);
    let dynos = scenario.initial_dynos.unwrap_or_else(|| optimum.dynos.first().copied().unwrap_or(1));
    let (trace, app, seed) = (&scenario.trace, &scenario.app, scenario.seed);
    let (minutes, times) = match scenario.mode {
        Mode::Exact => drive(scenario, contender, Exact::new(trace, app, &contender.meters, dynos, seed), on_record),
        Mode::Fluid => drive(scenario, contender, Fluid::new(trace, app, &contender.meters, dynos, seed), on_record),
    };
    Ok(Report::new(scenario, &contender.name, minutes, times, dynos, optimum))
}

/// A schedule that is known beforehand, one quantity a minute, through the same world: the clairvoyant optimum with the
/// backlog that its own model leaves out.
pub fn run_schedule(scenario: &Scenario, name: &str, spec: &Spec, dynos: &[Dynos]) -> Result<Report, SimulateError> {
    let contender =
        Contender { name: name.to_owned(), spec: spec.clone(), meters: Vec::new(), every_secs: 60.0, told: false };
    let contender = Contender { spec: Spec { measurements: Vec::new(), ..contender.spec }, ..contender };
    scenario.check(&contender)?;
    let first = dynos.first().copied().unwrap_or(1);
    let (trace, app, seed) = (&scenario.trace, &scenario.app, scenario.seed);
    let (minutes, times) = match scenario.mode {
        Mode::Exact => follow(Exact::new(trace, app, &[], first, seed), dynos, trace.minutes()),
        Mode::Fluid => follow(Fluid::new(trace, app, &[], first, seed), dynos, trace.minutes()),
    };
    Ok(Report::new(scenario, name, minutes, times, first, scenario.optimum(spec)))
}

fn follow(mut world: impl World, dynos: &[Dynos], minutes: usize) -> (Vec<Minute>, Times) {
    for minute in 0..minutes {
        world.advance(minute as f64 * 60.0);
        if let Some(dynos) = dynos.get(minute) {
            world.set(*dynos);
        }
    }
    world.advance(minutes as f64 * 60.0);
    world.finish()
}

fn drive(
    scenario: &Scenario,
    contender: &Contender,
    mut world: impl World,
    on_record: &mut dyn FnMut(&Record),
) -> (Vec<Minute>, Times) {
    let spec = &contender.spec;
    let end = scenario.trace.minutes() as f64 * 60.0;
    let mut state = State::default();
    let mut errors = dice(scenario.seed, Stream::Measurements);
    let mut asked = Asked::new(scenario.answers.as_ref(), spec);
    let mut ticks = Ticks::new(contender);
    loop {
        let now = ticks.next(&mut world);
        if now >= end {
            break;
        }
        world.advance(now);
        let (mut seen, read_secs) = observe(scenario, contender, &mut world, now, &mut errors);
        asked.answer(spec, &state, &mut seen);
        let record = decide(spec, &state, &seen);
        let mut free_at = None;
        let outcome = match (record.without_call(), record.desired) {
            (Some(outcome), _) => outcome,
            (None, desired) => {
                let quantity = match record.action {
                    Action::Set(quantity) => quantity,
                    _ => desired.unwrap_or_default(),
                };
                let set_at = (now + read_secs + scenario.app.call_secs).min(end);
                world.advance(set_at);
                world.set(quantity);
                free_at = Some(set_at);
                CallOutcome::Ok { quantity, limit: None }
            }
        };
        let record = record.conclude(spec, &state, &outcome);
        state = settle(spec, std::mem::take(&mut state), &record, &outcome);
        on_record(&record);
        ticks.acted(&seen.samples, free_at);
    }
    world.advance(end);
    world.finish()
}

/// The simulated world as the core sees it at one tick, and the seconds that the reading took. The one place where a
/// simulated instant becomes an observation.
fn observe(
    scenario: &Scenario,
    contender: &Contender,
    world: &mut impl World,
    now: f64,
    errors: &mut Dice,
) -> (Observation, f64) {
    let at = scenario.instant(now);
    let mut read_secs = 0.0_f64;
    let samples = contender.meters.iter().map(|meter| {
        let mut error = |value: f64| value * error_factor(scenario.app.metric_noise, errors);
        let reading = match world.read(*meter) {
            Reading::Value(value) => Reading::number(error(value)),
            failed @ Reading::Failed(_) => failed,
        };
        let detail = world.detail(*meter);
        if let Meter::Probe { budget_secs } = meter {
            // A probe's answer takes its own time; all sources of a tick are read side by side.
            let took = if let Reading::Value(ms) = &reading { ms / 1000.0 } else { *budget_secs };
            read_secs = read_secs.max(took.min(*budget_secs));
        }
        Some(Sample::new(at, Taken { reading, detail }))
    });
    let samples = samples.collect();
    let (dynos, ready) = (Ok(world.quantity()), scenario.app.ready_known.then(|| world.serving()));
    (Observation { at, dynos, samples, ready, ..Observation::default() }, read_secs)
}
