//! Who may send: a source for each token. A token is looked up by a keyed hash and compared in constant time, so that the time
//! of a refusal tells nothing about the tokens there are.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use autoscalebot_core::Secret;
use subtle::ConstantTimeEq;

use super::source::{Sender, Source};

/// Tokens of one hash, with their sources.
type Known = Vec<(Secret, Arc<Source>)>;

/// The sources by their tokens.
#[derive(Default)]
pub(crate) struct Tokens {
    keys: RandomState,
    sources: RwLock<HashMap<u64, Known>>,
}

impl Tokens {
    /// The source of this token.
    pub(crate) fn find(&self, sender: Sender, token: &str) -> Option<Arc<Source>> {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        let known = sources.get(&self.keys.hash_one((sender, token)))?;
        let mut found = None;
        for (secret, source) in known {
            if source.sender == sender && bool::from(secret.expose().as_bytes().ct_eq(token.as_bytes())) {
                found = Some(Arc::clone(source));
            }
        }
        found
    }

    /// The source of this token, made where there is none. None: the token is another owner's.
    pub(crate) fn register(&self, sender: Sender, token: &Secret, owner: &str) -> Option<Arc<Source>> {
        let key = self.keys.hash_one((sender, token.expose()));
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        let known = sources.entry(key).or_default();
        if let Some((_, source)) = known.iter().find(|(secret, source)| source.sender == sender && secret == token) {
            return (*source.owner == *owner).then(|| Arc::clone(source));
        }
        let source = Arc::new(Source::new(sender, owner));
        known.push((token.clone(), Arc::clone(&source)));
        Some(source)
    }

    /// Every source.
    pub(crate) fn all(&self) -> Vec<Arc<Source>> {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        sources.values().flatten().map(|(_, source)| Arc::clone(source)).collect()
    }
}
