//! One app's loop, and in it the way of one tick:
//!
//! 1. [`AppLoop::run`] waits until a process is due;
//! 2. [`AppLoop::read`] reads the formation (once) and the sources that are due, side by side, each within its time budget;
//!    then, for policies that pass on advice, [`AppLoop::ask`] asks for it;
//! 3. [`AppLoop::decide`] asks the core for each due process;
//! 4. [`AppLoop::call`] makes one batch call for what differs, if anything does;
//! 5. [`AppLoop::settle`] moves the states and publishes the events.

use std::sync::Arc;
use std::time::Duration;

use autoscalebot_core::{
    Action, Advice, CallOutcome, Event, Failure, Observation, Reading, Record, Sample, State, decide, events,
    questions, settle,
};
use autoscalebot_measure::Measure;
use autoscalebot_platform::{Change, Formation, PlatformError, Scaled};
use autoscalebot_store::ProcessKey;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use crate::plan::{AppPlan, Mode, ProcessPlan};
use crate::schedule::Due;
use crate::shared::Shared;

/// The longest that a platform may take for one call; platforms keep to less by themselves.
const PLATFORM_BUDGET: Duration = Duration::from_secs(30);
/// Ticks that news bring are at least so far apart, so that a source with much to tell makes no storm of them.
const NEWS_GAP: Duration = Duration::from_millis(200);
/// What is allowed over a source's own budget before it is cut off.
const SOURCE_SLACK: Duration = Duration::from_millis(500);

/// The loop of one app.
pub(crate) struct AppLoop {
    plan: AppPlan,
    due: Vec<Due>,
    /// The newest sample of each source of each process.
    samples: Vec<Vec<Option<Sample>>>,
    /// The hour in which each process's state was last kept with a record.
    hours: Vec<Option<i64>>,
    /// The newest release of the app, where a gate needs it.
    released_at: Option<Timestamp>,
    shared: Arc<Shared>,
}

/// What one tick saw: the formation, or why it could not be read.
type SeenFormation = Result<Formation, PlatformError>;

impl AppLoop {
    pub(crate) fn new(plan: AppPlan, shared: Arc<Shared>, first: Instant) -> Self {
        let due = plan.processes.iter().map(|p| Due::new(p.sources.iter().map(|s| s.every), first)).collect();
        let samples = plan.processes.iter().map(|p| vec![None; p.sources.len()]).collect();
        let hours = vec![None; plan.processes.len()];
        Self { plan, due, samples, released_at: None, hours, shared }
    }

    /// Ticks until the program stops. A scaling call that is under way is finished, within the stop's own limit.
    pub(crate) async fn run(mut self) {
        let mut stop = self.shared.stop.clone();
        let mut news: FuturesUnordered<_> = self.sources().map(|(at, measure)| next_news(at, measure)).collect();
        let mut last = Instant::now().checked_sub(NEWS_GAP).unwrap_or_else(Instant::now);
        loop {
            let next = self.due.iter().map(Due::next).min().unwrap_or_else(|| Instant::now() + PLATFORM_BUDGET);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                Some((at, measure)) = news.next(), if !news.is_empty() => {
                    let (process, source) = at;
                    self.due[process].hasten(source, Instant::now().max(last + NEWS_GAP));
                    news.push(next_news(at, measure));
                    continue;
                }
                _ = stop.wait_for(|stopping| *stopping) => return,
            }
            last = Instant::now();
            if self.tick().await.is_none() {
                return;
            }
        }
    }

    /// Every source with its place: the process and the source in it.
    fn sources(&self) -> impl Iterator<Item = ((usize, usize), Arc<dyn Measure>)> + '_ {
        self.plan.processes.iter().enumerate().flat_map(|(process, plan)| {
            plan.sources.iter().enumerate().map(move |(source, s)| ((process, source), Arc::clone(&s.measure)))
        })
    }

    /// One tick of all processes that are due; the records. `None`: the program stops, and nothing was decided.
    pub(crate) async fn tick(&mut self) -> Option<Vec<Arc<Record>>> {
        let now = Instant::now();
        let at = self.shared.clock.now();
        let due: Vec<_> = self.due.iter().map(|due| due.at(now)).collect();
        for (due, process) in self.due.iter_mut().zip(&self.plan.processes) {
            due.advance(now, at, &process.spec);
        }
        let mut stop = self.shared.stop.clone();
        let (formation, seen) = tokio::select! {
            seen = self.see(&due, at) => seen,
            _ = stop.wait_for(|stopping| *stopping) => return None,
        };
        let records = self.decide(&seen);
        let outcomes = self.call(&records, &formation, at).await;
        Some(self.settle(records, outcomes))
    }

    /// What there is to see for this tick, advice included.
    async fn see(&mut self, due: &[Option<Vec<bool>>], at: Timestamp) -> (SeenFormation, Vec<(usize, Observation)>) {
        let formation = self.read(due, at).await;
        let due: Vec<_> = due.iter().map(Option::is_some).collect();
        let mut seen = self.observe(&due, &formation, at);
        self.ask(&mut seen).await;
        (formation, seen)
    }

    async fn read(&mut self, due: &[Option<Vec<bool>>], at: Timestamp) -> SeenFormation {
        let mut wanted = Vec::new();
        for (process, (plan, due)) in self.plan.processes.iter().zip(due).enumerate() {
            for (source, measure) in plan.sources.iter().enumerate() {
                if due.as_ref().is_some_and(|due| due.get(source) == Some(&true)) {
                    wanted.push((process, source, Arc::clone(&measure.measure)));
                }
            }
        }
        let readings = join_all(wanted.iter().map(|(_, _, measure)| async {
            let budget = measure.budget().saturating_add(SOURCE_SLACK);
            timeout(budget, measure.read()).await.unwrap_or_else(|_| Reading::Failed(Failure::Timeout).into())
        }));
        let formation = timeout(PLATFORM_BUDGET, self.plan.platform.formation(&self.plan.name, at));
        let (formation, readings, released_at) = tokio::join!(formation, readings, self.release(due, at));
        self.released_at = released_at;
        for ((process, source, _), taken) in wanted.iter().zip(readings) {
            self.samples[*process][*source] = Some(Sample::new(at, taken));
        }
        formation.unwrap_or(Err(PlatformError::Timeout(PLATFORM_BUDGET.as_secs())))
    }

    /// The newest release, where a gate of a due process needs it. A platform that cannot say holds nothing up.
    async fn release(&self, due: &[Option<Vec<bool>>], at: Timestamp) -> Option<Timestamp> {
        let mut processes = self.plan.processes.iter().zip(due).filter(|(_, due)| due.is_some());
        if !processes.any(|(process, _)| process.spec.gates.iter().any(|gate| gate.needs_release())) {
            return None;
        }
        let asked = timeout(PLATFORM_BUDGET, self.plan.platform.released_at(&self.plan.name, at)).await;
        match asked.unwrap_or(Err(PlatformError::Timeout(PLATFORM_BUDGET.as_secs()))) {
            Ok(released_at) => released_at,
            Err(error) => {
                tracing::warn!(app = &*self.plan.key, %error, "the newest release is not known");
                None
            }
        }
    }

    fn observe(&self, due: &[bool], formation: &SeenFormation, at: Timestamp) -> Vec<(usize, Observation)> {
        let pauses = self.shared.memory.pauses();
        let mut all = Vec::new();
        for (index, process) in self.plan.processes.iter().enumerate().filter(|(index, _)| due[*index]) {
            let key = self.key(process);
            let seen = Observation {
                at,
                dynos: quantity(formation, &process.spec.process),
                samples: self.samples[index].iter().cloned().collect(),
                pause: pauses.get(&key).cloned(),
                ready: formation.as_ref().ok().and_then(|f| f.ready.get(&*process.spec.process).copied()),
                released_at: self.released_at,
                store_failing: self.shared.teller.as_ref() == Some(&key) && self.shared.memory.fails(),
                ..Observation::default()
            };
            all.push((index, seen));
        }
        all
    }

    /// Asks whom the policies ask, side by side, each within its budget.
    async fn ask(&self, seen: &mut [(usize, Observation)]) {
        let mut asked = Vec::new();
        for (slot, (index, seen)) in seen.iter().enumerate() {
            let process = &self.plan.processes[*index];
            if process.sources.iter().any(|source| source.adviser.is_some()) {
                asked.extend(questions(&process.spec, &process.state, seen).into_iter().map(|q| (slot, *index, q)));
            }
        }
        let answers = join_all(asked.iter().map(|(_, index, question)| async {
            let adviser = self.plan.processes[*index].sources.get(question.index)?.adviser.as_ref()?;
            let budget =
                Duration::try_from(question.adviser.timeout()).unwrap_or_default().saturating_add(SOURCE_SLACK);
            let late = |_| Advice { why: format!("no answer within {budget:?}").into(), ..Advice::default() };
            Some(timeout(budget, adviser.advise(question)).await.unwrap_or_else(late))
        }));
        let answers = answers.await;
        for ((slot, _, question), answer) in asked.iter().zip(answers) {
            let advice = &mut seen[*slot].1.advice;
            if advice.len() <= question.index {
                advice.resize(question.index + 1, None);
            }
            advice[question.index] = answer;
        }
    }

    fn decide(&self, seen: &[(usize, Observation)]) -> Vec<(usize, Record)> {
        let decide = |(index, seen): &(usize, Observation)| {
            let process = &self.plan.processes[*index];
            (*index, decide(&process.spec, &process.state, seen))
        };
        seen.iter().map(decide).collect()
    }

    async fn call(&self, records: &[(usize, Record)], formation: &SeenFormation, at: Timestamp) -> Vec<CallOutcome> {
        let mut outcomes: Vec<_> =
            records.iter().map(|(_, record)| record.without_call().unwrap_or(CallOutcome::None)).collect();
        let mut wanted = Vec::new();
        for (slot, (_, record)) in records.iter().enumerate() {
            if let Action::Set(quantity) = record.action {
                wanted.push((slot, Change { process: record.process.to_string(), quantity }));
            }
        }
        let Ok(formation) = formation else { return outcomes };
        if wanted.is_empty() {
            return outcomes;
        }
        if self.shared.mode == Mode::DryRun {
            for (slot, _) in wanted {
                outcomes[slot] = CallOutcome::DryRun;
            }
            return outcomes;
        }
        self.expect(&wanted, records, at).await;
        let changes: Vec<_> = wanted.iter().map(|(_, change)| change.clone()).collect();
        let call = self.plan.platform.scale(&self.plan.name, &changes, formation, at);
        let mut answers = match timeout(PLATFORM_BUDGET, call).await {
            Ok(answers) => answers.into_iter(),
            Err(_) => Vec::new().into_iter(),
        };
        for (slot, _) in wanted {
            let answer = answers.next().unwrap_or(Err(PlatformError::Timeout(PLATFORM_BUDGET.as_secs())));
            outcomes[slot] = outcome(answer, records[slot].1.before);
        }
        outcomes
    }

    /// Has what each state will be if its call succeeds written, before the call is made. A program that is killed while the
    /// platform carries the call out then knows of it when it comes back; and one whose call was never made waits for a
    /// cooldown too many, which harms less than one too few.
    async fn expect(&self, wanted: &[(usize, Change)], records: &[(usize, Record)], at: Timestamp) {
        let expected = wanted.iter().map(|(slot, change)| {
            let (index, record) = &records[*slot];
            let process = &self.plan.processes[*index];
            let ProcessPlan { spec, state, .. } = process;
            let outcome = CallOutcome::Ok { quantity: change.quantity, limit: None };
            let record = record.clone().conclude(spec, state, &outcome);
            (self.key(process), settle(spec, state.clone(), &record, &outcome))
        });
        self.shared.memory.before_call(expected.collect(), at).await;
    }

    fn settle(&mut self, records: Vec<(usize, Record)>, outcomes: Vec<CallOutcome>) -> Vec<Arc<Record>> {
        let mut concluded = Vec::with_capacity(records.len());
        for ((index, record), outcome) in records.into_iter().zip(outcomes) {
            let process = &mut self.plan.processes[index];
            let record = Arc::new(record.conclude(&process.spec, &process.state, &outcome));
            let before = std::mem::take(&mut process.state);
            let happened = events(&before, &record);
            let kept = Kept::of(&before);
            let hour = record.at.as_second().div_euclid(3600);
            let with_state = self.hours[index].replace(hour) != Some(hour);
            let with_state = with_state.then(|| before.clone());
            process.state = settle(&process.spec, before, &record, &outcome);
            let process = &self.plan.processes[index];
            // After a call the state is written in any case: what it was expected to come to is there already.
            let called = matches!(outcome, CallOutcome::Ok { .. } | CallOutcome::Failed { .. });
            let changed = called || Kept::of(&process.state) != kept;
            let state = changed.then(|| (self.key(process), process.state.clone()));
            self.shared.memory.tick(&record, &happened, with_state, state);
            self.shared.board.set(self.key(process), Arc::clone(&record));
            for event in happened {
                self.publish(event);
            }
            concluded.push(record);
        }
        concluded
    }

    fn publish(&self, event: Event) {
        self.shared.desk.offer(&event);
        // Nobody listening is no fault.
        let _ = self.shared.events.send(event);
    }

    fn key(&self, process: &ProcessPlan) -> ProcessKey {
        ProcessKey::new(&*self.plan.key, &*process.spec.process)
    }
}

/// Waits for the next news of a source; gives back where it belongs.
async fn next_news(at: (usize, usize), measure: Arc<dyn Measure>) -> ((usize, usize), Arc<dyn Measure>) {
    measure.news().await;
    (at, measure)
}

/// What of a state must survive a restart; the evidence is gathered anew.
#[derive(PartialEq)]
struct Kept {
    last_scale: Option<Timestamp>,
    ours: Option<u32>,
    limit: Option<autoscalebot_core::state::Limit>,
    failing_since: Option<Timestamp>,
    conditions: smallvec::SmallVec<[(autoscalebot_core::Condition, Timestamp); 2]>,
}

impl Kept {
    fn of(state: &State) -> Self {
        Self {
            last_scale: state.last_scale,
            ours: state.ours,
            limit: state.limit,
            failing_since: state.failing_since,
            conditions: state.conditions.clone(),
        }
    }
}

fn quantity(formation: &SeenFormation, process: &str) -> Result<u32, Failure> {
    match formation {
        Err(error) => Err(error.as_failure()),
        Ok(formation) => formation.quantities.get(process).copied().ok_or_else(|| {
            Failure::Other(format!("the app has no process type {process:?}; it has: {formation}").into())
        }),
    }
}

fn outcome(answer: Result<Scaled, PlatformError>, before: Option<u32>) -> CallOutcome {
    match answer {
        Ok(Scaled { quantity, limit }) => CallOutcome::Ok { quantity, limit },
        Err(PlatformError::OverLimit { limit, message }) => {
            // A refusal without a number: what runs now is the most that is known to be allowed.
            CallOutcome::Failed { error: message.into(), limit: limit.or(before) }
        }
        Err(error) => CallOutcome::Failed { error: error.to_string().into(), limit: None },
    }
}
