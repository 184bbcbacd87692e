//! [`Advise`]: whoever is asked, before a tick, how many dynos a measurement calls for. The answer is part of what the tick
//! saw; what is made of it is the core's decision.

use std::fmt::Debug;

use async_trait::async_trait;
use autoscalebot_core::{Advice, Question};

/// Someone to ask.
#[async_trait]
pub trait Advise: Debug + Send + Sync {
    /// The advice. What goes wrong is an [`Advice`] without a number, whose sentence says what; it holds no secret.
    async fn advise(&self, question: &Question) -> Advice;

    /// Tries whether there is someone to ask, for `check --online`.
    async fn probe(&self) -> Result<String, String>;
}
