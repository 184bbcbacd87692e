//! What policies ask outside the core, answered in the simulated world: seasons are learned here from what has come so far, and
//! functions are asked by whoever runs the simulation.

use std::fmt;
use std::sync::Arc;

use autoscalebot_core::policy::Adviser;
use autoscalebot_core::{Advice, Observation, Question, Spec, State, questions};
use autoscalebot_forecast::{Learner, Past};

/// Who answers for functions outside the core, as the engine's advisers do for the daemon. Asked from several threads; its
/// answer takes no time in the simulated world.
#[derive(Clone)]
pub struct Answers(pub Arc<dyn Fn(&Question) -> Advice + Send + Sync>);

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

/// The answers of one run.
pub(crate) struct Asked<'a> {
    functions: Option<&'a Answers>,
    /// By the measurement's place.
    learners: Vec<Option<Learner>>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(functions: Option<&'a Answers>, spec: &Spec) -> Self {
        let learner = |adviser: &Adviser| match adviser {
            Adviser::Seasons { ahead } => Some(Learner::new(Past::default(), *ahead)),
            Adviser::Function(_) => None,
        };
        let learners = spec.measurements.iter().map(|m| m.policy.adviser().and_then(learner));
        Self { functions, learners: learners.collect() }
    }

    /// Puts the answers to all questions of a tick into what was seen.
    pub(crate) fn answer(&mut self, spec: &Spec, state: &State, seen: &mut Observation) {
        for question in questions(spec, state, seen) {
            let advice = match self.learners.get_mut(question.index).and_then(Option::as_mut) {
                Some(learner) => Some(expect(learner, &question)),
                None => self.functions.map(|answers| (answers.0)(&question)),
            };
            if seen.advice.len() <= question.index {
                seen.advice.resize(question.index + 1, None);
            }
            seen.advice[question.index] = advice;
        }
    }
}

fn expect(learner: &mut Learner, question: &Question) -> Advice {
    if let Some((at, load)) = question.samples.last().and_then(|sample| Some((sample.at, sample.value?))) {
        learner.see(at, load);
    }
    if learner.is_due(question.at) {
        learner.learn(question.at);
    }
    match learner.expect(question.at) {
        Ok(expected) => Advice { expected: Some(expected), ..Advice::default() },
        Err(why) => Advice { why: why.into(), ..Advice::default() },
    }
}
