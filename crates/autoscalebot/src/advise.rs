//! Whoever answers what policies ask outside the core: a function in Python, in the same child process as notification backends;
//! or the seasons that were learned from the store ([`Seasons`]).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::policy::{self, Adviser};
use autoscalebot_core::{Advice, Question};
use autoscalebot_engine::Advise;
use autoscalebot_notify::python::{Host, Python};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::seasons::Seasons;

/// The one to ask for a measurement.
pub(crate) fn whom(adviser: &Adviser, seasons: impl FnOnce(SignedDuration) -> Seasons) -> Arc<dyn Advise> {
    match adviser {
        Adviser::Function(function) => Arc::new(Function::new(function)),
        Adviser::Seasons { ahead } => Arc::new(seasons(*ahead)),
    }
}

/// A function in Python.
#[derive(Debug)]
pub(crate) struct Function {
    name: String,
    timeout: Duration,
    host: Arc<Host>,
}

#[derive(Deserialize)]
struct Answer {
    desired: Option<u32>,
    #[serde(default)]
    why: String,
}

impl Function {
    pub(crate) fn new(function: &policy::Function) -> Self {
        let python = Python::at_hand(
            function.interpreter.as_deref(),
            function.django_settings.as_deref(),
            function.path.as_deref(),
        );
        let timeout = Duration::try_from(function.timeout).unwrap_or_default();
        Self { name: function.function.clone(), timeout, host: Host::shared(python) }
    }

    async fn ask(&self, request: Value, timeout: Duration) -> Result<Value, String> {
        self.host.ask(request, timeout).await.map_err(|fault| fault.to_string())
    }
}

#[async_trait]
impl Advise for Function {
    async fn advise(&self, question: &Question) -> Advice {
        let request = json!({ "policy": self.name, "input": question });
        let answer = self.ask(request, self.timeout).await;
        let answer = answer.and_then(|answer| {
            serde_json::from_value::<Answer>(answer).map_err(|_| "the answer is no number of dynos".to_owned())
        });
        match answer {
            Ok(Answer { desired, why }) => Advice { desired, why: why.into(), expected: None },
            Err(why) => {
                tracing::warn!(
                    policy = self.name,
                    error = why,
                    "a policy in Python gave no answer: nothing is lowered"
                );
                Advice { why: why.into(), ..Advice::default() }
            }
        }
    }

    async fn probe(&self) -> Result<String, String> {
        // Python and a Django project may have to be started first.
        let timeout = self.timeout.max(Duration::from_secs(20));
        self.ask(json!({ "policy": self.name, "probe": true }), timeout).await?;
        Ok(format!("{} is there", self.name))
    }
}
