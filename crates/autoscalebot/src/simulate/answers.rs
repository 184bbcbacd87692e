//! Functions in Python in the simulated world: asked in the same child process as the daemon's, one question a tick. A function
//! that is not there or raises would hold everything back, which is no simulation of it: so it ends the command.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use autoscalebot_core::policy::{self, Adviser};
use autoscalebot_core::{Advice, Question};
use autoscalebot_engine::Advise;
use autoscalebot_simulate::{Answers, Contender};
use tokio::runtime::Runtime;

use crate::advise::Function;
use crate::fault::Fault;

/// After so many questions in a row without an answer, no more are asked: each may take the function's whole time-out.
const MOST_UNANSWERED: u32 = 3;

/// The functions that take part, and how they do.
pub(crate) struct Functions {
    runtime: Runtime,
    known: Mutex<Vec<Known>>,
}

struct Known {
    adviser: policy::Function,
    function: Arc<Function>,
    asked: u64,
    unanswered: u64,
    in_a_row: u32,
    why: Option<Box<str>>,
}

impl Functions {
    /// Whoever answers for these contenders; none where nobody is asked.
    pub(crate) fn of(contenders: &[Contender]) -> Result<Option<Arc<Self>>, Fault> {
        let asks = |contender: &Contender| {
            contender.spec.measurements.iter().any(|m| matches!(m.policy.adviser(), Some(Adviser::Function(_))))
        };
        if !contenders.iter().any(asks) {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Some(Arc::new(Self { runtime, known: Mutex::default() })))
    }

    /// The same for a scenario.
    pub(crate) fn answers(self: &Arc<Self>) -> Answers {
        let functions = Arc::clone(self);
        Answers(Arc::new(move |question| functions.ask(question)))
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, question: &Question) -> Advice {
        // The simulator answers for the others.
        let Adviser::Function(asked) = &question.adviser else { return Advice::default() };
        let (at, function) = {
            let mut known = self.known();
            let at = known.iter().position(|known| known.adviser == *asked).unwrap_or_else(|| {
                let function = Arc::new(Function::new(asked));
                let adviser = asked.clone();
                known.push(Known { adviser, function, asked: 0, unanswered: 0, in_a_row: 0, why: None });
                known.len() - 1
            });
            if known[at].in_a_row >= MOST_UNANSWERED {
                return Advice { why: known[at].why.clone().unwrap_or_default(), ..Advice::default() };
            }
            (at, Arc::clone(&known[at].function))
        };
        let advice = self.runtime.block_on(function.advise(question));
        let mut known = self.known();
        let known = &mut known[at];
        known.asked += 1;
        match advice.desired {
            Some(_) => known.in_a_row = 0,
            None => {
                known.unanswered += 1;
                known.in_a_row += 1;
                known.why.get_or_insert_with(|| advice.why.clone());
            }
        }
        advice
    }

    /// An error where a function gave up; else what a person should know.
    pub(crate) fn end(&self) -> Result<Vec<String>, Fault> {
        let mut notes = Vec::new();
        for known in self.known().iter().filter(|known| known.unanswered > 0) {
            let (name, why) = (&known.adviser.function, known.why.as_deref().unwrap_or_default());
            if known.in_a_row >= MOST_UNANSWERED {
                return Err(Fault::failed(format!(
                    "{name} gave no number of dynos {MOST_UNANSWERED} times in a row, so there is nothing to simulate; at \
                     first: {why}"
                )));
            }
            notes.push(format!(
                "{name} gave no number of dynos in {} of {} ticks, which held them; at first: {why}",
                known.unanswered, known.asked
            ));
        }
        Ok(notes)
    }
}
