//! Independent runs on all cores, with a progress callback.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How far a piece of work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Runs that are done.
    pub done: usize,
    /// Runs that are known to come; it may grow where a search goes on.
    pub total: usize,
}

/// Is told of each run that is done, from any thread.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Sync);

/// Counts runs over several calls of [`map`].
pub(crate) struct Counter<'a> {
    done: AtomicUsize,
    total: AtomicUsize,
    tell: OnProgress<'a>,
}

impl<'a> Counter<'a> {
    pub(crate) fn new(total: usize, tell: OnProgress<'a>) -> Self {
        Self { done: AtomicUsize::new(0), total: AtomicUsize::new(total), tell }
    }

    pub(crate) fn expect(&self, more: usize) {
        self.total.fetch_add(more, Ordering::Relaxed);
    }

    fn one(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        (self.tell)(Progress { done, total: self.total.load(Ordering::Relaxed).max(done) });
    }
}

/// Applies `work` to every item, on as many threads as there are cores; results in the order of the items.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], counter: &Counter<'_>, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let result = work(item);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                    counter.one();
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_progress_told() {
        let seen = AtomicUsize::new(0);
        let tell = |progress: Progress| {
            assert!(progress.done <= progress.total);
            seen.fetch_add(1, Ordering::Relaxed);
        };
        let counter = Counter::new(50, &tell);
        let items: Vec<u32> = (0..50).collect();
        assert_eq!(map(&items, &counter, |n| n * 2), (0..50).map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(seen.load(Ordering::Relaxed), 50);
        assert!(map(&[] as &[u32], &counter, |n| *n).is_empty());
    }
}
