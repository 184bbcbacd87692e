//! What every platform must do, whatever it is: [`platform_conformance`] runs it against one of them. A platform's own tests
//! call it with a way to make a fresh platform; what only that platform does is tested there.
//!
//! Time is always the caller's: the suite passes instants a minute apart, so nothing here waits for a clock.

// A suite is test code: a check that fails ends the test with its words.
#![allow(clippy::panic, reason = "failing is what a test suite is for")]

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use autoscalebot_platform::{Change, Formation, Platform, PlatformError, Scaled};
use jiff::{SignedDuration, Timestamp};

/// A fresh platform with one app, for the suite.
#[derive(Debug)]
pub struct Subject {
    /// The platform; the suite calls `start` and `stop`.
    pub platform: Arc<dyn Platform>,
    /// An app with at least two process types, each of which wants 1 dyno and may have up to 4.
    pub app: String,
    /// Two of its process types.
    pub processes: [String; 2],
    /// The name of an app that is not there; none: the platform has one app only and takes any name.
    pub unknown_app: Option<String>,
    /// What must live as long as the platform, such as the stand-in of its service.
    pub keep: Box<dyn Any + Send>,
}

/// Runs the whole suite; `make` is called for each part of it.
pub async fn platform_conformance<M, F>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = Subject>,
{
    let parts: [(&str, Part); 7] = [
        ("reads the formation", Part::Reads),
        ("scales one process", Part::ScalesOne),
        ("scales a batch in its order", Part::ScalesBatch),
        ("scales to zero and back", Part::ZeroAndBack),
        ("setting what is already set does no harm", Part::Same),
        ("an unknown app or process is misconfigured", Part::Unknown),
        ("probing changes nothing", Part::Probe),
    ];
    for (name, part) in parts {
        let subject = make().await;
        let mut run = Run { subject, now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 56), name };
        if let Err(error) = run.subject.platform.start().await {
            panic!("{name}: does not start: {error}");
        }
        run.part(part).await;
        run.subject.platform.stop().await;
    }
}

#[derive(Clone, Copy)]
enum Part {
    Reads,
    ScalesOne,
    ScalesBatch,
    ZeroAndBack,
    Same,
    Unknown,
    Probe,
}

struct Run {
    subject: Subject,
    now: Timestamp,
    name: &'static str,
}

impl Run {
    async fn part(&mut self, part: Part) {
        let [web, worker] = self.subject.processes.clone();
        match part {
            Part::Reads => {
                let first = self.formation().await;
                self.wants(&[(&web, 1), (&worker, 1)]).await;
                assert_eq!(self.formation().await, first, "{}: two reads in a row differ", self.name);
            }
            Part::ScalesOne => {
                let before = self.formation().await;
                assert_eq!(self.scale(&[(&web, 3)]).await, [Ok(plain(3))], "{}", self.name);
                self.wants(&[(&web, 3), (&worker, 1)]).await;
                self.scale(&[(&web, 2)]).await;
                self.wants(&[(&web, 2), (&worker, 1)]).await;
                let after = self.formation().await;
                let others = |formation: &Formation| {
                    let others = formation.quantities.iter().filter(|(process, _)| **process != web);
                    others.map(|(process, quantity)| (process.clone(), *quantity)).collect::<Vec<_>>()
                };
                assert_eq!(others(&after), others(&before), "{}: another process changed too", self.name);
            }
            Part::ScalesBatch => {
                let done = self.scale(&[(&worker, 4), (&web, 2)]).await;
                assert_eq!(done, [Ok(plain(4)), Ok(plain(2))], "{}", self.name);
                self.wants(&[(&web, 2), (&worker, 4)]).await;
                let done = self.scale(&[(&web, 3), (&worker, 1)]).await;
                assert_eq!(done, [Ok(plain(3)), Ok(plain(1))], "{}: up and down in one batch", self.name);
                self.wants(&[(&web, 3), (&worker, 1)]).await;
            }
            Part::ZeroAndBack => {
                self.scale(&[(&worker, 0)]).await;
                self.wants(&[(&web, 1), (&worker, 0)]).await;
                assert_eq!(self.scale(&[(&worker, 2)]).await, [Ok(plain(2))], "{}", self.name);
                self.wants(&[(&web, 1), (&worker, 2)]).await;
            }
            Part::Same => {
                assert_eq!(self.scale(&[(&web, 1)]).await, [Ok(plain(1))], "{}", self.name);
                self.wants(&[(&web, 1), (&worker, 1)]).await;
            }
            Part::Unknown => self.unknown().await,
            Part::Probe => {
                let before = self.formation().await;
                let now = self.later();
                match self.subject.platform.probe(&self.subject.app, now).await {
                    Ok(sentence) => assert!(!sentence.is_empty(), "{}: it says nothing", self.name),
                    Err(error) => panic!("{}: {error}", self.name),
                }
                assert_eq!(self.formation().await, before, "{}", self.name);
            }
        }
    }

    async fn unknown(&mut self) {
        let [web, worker] = self.subject.processes.clone();
        let done = self.scale(&[("no-such-process", 2)]).await;
        assert!(matches!(done[..], [Err(PlatformError::Misconfigured(_))]), "{}: {done:?}", self.name);
        if let Some(unknown) = self.subject.unknown_app.clone() {
            let now = self.later();
            let read = self.subject.platform.formation(&unknown, now).await;
            assert!(matches!(read, Err(PlatformError::Misconfigured(_))), "{}: {read:?}", self.name);
            let change = Change { process: web.clone(), quantity: 2 };
            let now = self.later();
            let done = self.subject.platform.scale(&unknown, &[change], &Formation::default(), now).await;
            assert!(matches!(done[..], [Err(PlatformError::Misconfigured(_))]), "{}: {done:?}", self.name);
        }
        // Neither disturbs the app that is there.
        assert_eq!(self.scale(&[(&web, 2)]).await, [Ok(plain(2))], "{}", self.name);
        self.wants(&[(&web, 2), (&worker, 1)]).await;
    }

    async fn formation(&mut self) -> Formation {
        let now = self.later();
        match self.subject.platform.formation(&self.subject.app, now).await {
            Ok(formation) => formation,
            Err(error) => panic!("{}: cannot read the formation: {error}", self.name),
        }
    }

    async fn wants(&mut self, wanted: &[(&String, u32)]) {
        let formation = self.formation().await;
        for (process, quantity) in wanted {
            let found = formation.quantities.get(*process);
            assert_eq!(found, Some(quantity), "{}: {process} in {formation}", self.name);
        }
    }

    async fn scale(&mut self, changes: &[(&str, u32)]) -> Vec<Result<Scaled, PlatformError>> {
        let before = self.formation().await;
        let change = |(process, quantity): &(&str, u32)| Change { process: (*process).to_owned(), quantity: *quantity };
        let changes: Vec<Change> = changes.iter().map(change).collect();
        let now = self.later();
        let done = self.subject.platform.scale(&self.subject.app, &changes, &before, now).await;
        assert_eq!(done.len(), changes.len(), "{}: one outcome for each change", self.name);
        done
    }

    /// A minute on.
    fn later(&mut self) -> Timestamp {
        self.now += SignedDuration::from_mins(1);
        self.now
    }
}

fn plain(quantity: u32) -> Scaled {
    Scaled { quantity, limit: None }
}
