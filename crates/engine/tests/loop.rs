//! The whole loop in virtual time: hours pass in milliseconds, and nothing sleeps.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input fails")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use autoscalebot_core::gate::cooldown::Cooldown;
use autoscalebot_core::gate::pause::PauseGate;
use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{
    BoundTable, BoundTables, Condition, Event, EventKind, MeasurementSpec, MinuteOfWeek, Pause, Reading, Spec, State,
    Taken, Unit, Zero,
};
use autoscalebot_engine::clock::TimerClock;
use autoscalebot_engine::{AppPlan, Engine, Memory, Mode, ProcessPlan, Source};
use autoscalebot_measure::Measure;
use autoscalebot_notify::deliver::{Channel, Desk};
use autoscalebot_notify::{Notify, NotifyError};
use autoscalebot_platform::{Change, Formation, Platform, PlatformError, Scaled};
use autoscalebot_store::{ProcessKey, Store};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// What a fake platform does with the next call.
#[derive(Debug, Clone)]
enum Fault {
    Fail,
    Silence,
}

#[derive(Debug, Default)]
struct World {
    quantities: BTreeMap<String, u32>,
    reads: Vec<Instant>,
    writes: Vec<(Instant, Vec<Change>)>,
    read_faults: VecDeque<Fault>,
    write_faults: VecDeque<Fault>,
    released_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default)]
struct FakePlatform(Arc<Mutex<World>>);

impl FakePlatform {
    fn with(quantities: &[(&str, u32)]) -> Self {
        let platform = Self::default();
        platform.0.lock().unwrap().quantities = quantities.iter().map(|(p, q)| ((*p).to_owned(), *q)).collect();
        platform
    }

    fn quantity(&self, process: &str) -> u32 {
        self.0.lock().unwrap().quantities[process]
    }

    fn writes(&self) -> Vec<(Instant, Vec<Change>)> {
        self.0.lock().unwrap().writes.clone()
    }

    fn reads(&self) -> Vec<Instant> {
        self.0.lock().unwrap().reads.clone()
    }
}

async fn suffer(fault: Option<Fault>) -> Result<(), PlatformError> {
    match fault {
        None => Ok(()),
        Some(Fault::Fail) => Err(PlatformError::Unavailable("503 with an HTML page".into())),
        Some(Fault::Silence) => std::future::pending().await,
    }
}

#[async_trait]
impl Platform for FakePlatform {
    async fn formation(&self, _app: &str, _now: Timestamp) -> Result<Formation, PlatformError> {
        let fault = {
            let mut world = self.0.lock().unwrap();
            world.reads.push(Instant::now());
            world.read_faults.pop_front()
        };
        suffer(fault).await?;
        Ok(Formation { quantities: self.0.lock().unwrap().quantities.clone(), ..Formation::default() })
    }

    async fn released_at(&self, _app: &str, _now: Timestamp) -> Result<Option<Timestamp>, PlatformError> {
        Ok(self.0.lock().unwrap().released_at)
    }

    async fn scale(
        &self,
        _app: &str,
        changes: &[Change],
        _before: &Formation,
        _now: Timestamp,
    ) -> Vec<Result<Scaled, PlatformError>> {
        let fault = {
            let mut world = self.0.lock().unwrap();
            world.writes.push((Instant::now(), changes.to_vec()));
            world.write_faults.pop_front()
        };
        if let Err(error) = suffer(fault).await {
            return vec![Err(error); changes.len()];
        }
        let mut world = self.0.lock().unwrap();
        let mut set = |change: &Change| {
            world.quantities.insert(change.process.clone(), change.quantity);
            Ok(Scaled { quantity: change.quantity, limit: None })
        };
        changes.iter().map(&mut set).collect()
    }
}

/// A source that says the same always, after a time.
#[derive(Debug)]
struct Says {
    value: f64,
    after: Duration,
    budget: Duration,
}

#[async_trait]
impl Measure for Says {
    async fn read(&self) -> Taken {
        tokio::time::sleep(self.after).await;
        Reading::Value(self.value).into()
    }

    fn budget(&self) -> Duration {
        self.budget
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn spec(process: &str, min: u32, max: u32) -> Spec {
    let rule = Consecutive { low: 200.0, high: 1000.0, fails: 3, passes: 5, increment: 1, refuse_zero: false };
    Spec {
        app: "shop".into(),
        process: process.into(),
        bounds: BoundTables { min: BoundTable::Fixed(min), max: BoundTable::Fixed(max), zone: TimeZone::UTC },
        measurements: vec![MeasurementSpec {
            name: "heartbeat".into(),
            unit: Unit::Milliseconds,
            max_age: SignedDuration::from_mins(2),
            failures_mean_overload: true,
            policy: Arc::new(rule),
            shadow: false,
        }],
        gates: vec![Arc::new(PauseGate)],
        zero: Zero::Keep,
        rapid: None,
    }
}

fn process(spec: Spec, value: f64, every: Duration) -> ProcessPlan {
    let measure = Arc::new(Says { value, after: Duration::ZERO, budget: secs(10) });
    ProcessPlan {
        spec: Arc::new(spec),
        sources: vec![Source { measure, every, adviser: None }],
        state: State::default(),
    }
}

fn app(platform: &FakePlatform, processes: Vec<ProcessPlan>) -> AppPlan {
    AppPlan { key: "shop".into(), name: "shop-1".into(), platform: Arc::new(platform.clone()), processes }
}

fn engine(apps: Vec<AppPlan>, mode: Mode, store: Store, channels: Vec<Channel>) -> Engine {
    let clock = TimerClock::starting_at("2026-05-04T07:00:00Z".parse().unwrap());
    Engine::new(apps, Vec::new(), mode, Arc::new(clock), Memory::start(store), Desk::open(channels))
}

fn plain(apps: Vec<AppPlan>) -> Engine {
    engine(apps, Mode::Act, Store::in_memory().unwrap(), Vec::new())
}

#[tokio::test(start_paused = true)]
async fn measures_decides_and_scales_until_it_is_enough() {
    let platform = FakePlatform::with(&[("web", 1)]);
    let engine = plain(vec![app(&platform, vec![process(spec("web", 1, 3), 5000.0, secs(30))])]);
    let mut events = engine.events();
    let began = Instant::now();
    engine.run(tokio::time::sleep(secs(600))).await;
    assert_eq!(platform.quantity("web"), 3);
    let at: Vec<_> = platform.writes().iter().map(|(at, _)| at.duration_since(began).as_secs()).collect();
    assert_eq!(at, [60, 150], "three readings each, 30 s apart");
    let mut names = Vec::new();
    while let Ok(event) = events.try_recv() {
        if event.kind != EventKind::Decided {
            names.push(event.kind.name());
        }
    }
    assert_eq!(names, ["scaled", "scaled", "condition_began"]);
}

#[tokio::test(start_paused = true)]
async fn one_read_and_one_batch_call_for_all_processes_of_an_app() {
    let platform = FakePlatform::with(&[("web", 1), ("worker", 9), ("clock", 2)]);
    let processes = ["web", "worker", "clock"].map(|name| process(spec(name, 2, 4), 500.0, secs(30)));
    plain(vec![app(&platform, processes.into())]).run(tokio::time::sleep(secs(95))).await;
    assert_eq!(platform.reads().len(), 4, "at 0, 30, 60 and 90 s");
    let writes = platform.writes();
    assert_eq!(writes.len(), 1, "nothing differs after the first");
    let changes: Vec<_> = writes[0].1.iter().map(|c| (c.process.as_str(), c.quantity)).collect();
    assert_eq!(changes, [("web", 2), ("worker", 4)]);
}

#[tokio::test(start_paused = true)]
async fn a22_a_silent_platform_or_source_delays_no_other_app() {
    let silent = FakePlatform::with(&[("web", 1)]);
    silent.0.lock().unwrap().read_faults = vec![Fault::Silence; 100].into();
    let good = FakePlatform::with(&[("web", 1)]);
    let mut slow = process(spec("web", 1, 3), 500.0, secs(10));
    slow.sources[0].measure = Arc::new(Says { value: 500.0, after: secs(9999), budget: secs(5) });
    let third = FakePlatform::with(&[("web", 1)]);
    let apps = vec![
        app(&silent, vec![process(spec("web", 1, 3), 500.0, secs(10))]),
        app(&third, vec![slow]),
        app(&good, vec![process(spec("web", 1, 3), 500.0, secs(10))]),
    ];
    let began = Instant::now();
    plain(apps).run(tokio::time::sleep(secs(105))).await;
    let at: Vec<_> = good.reads().iter().map(|at| at.duration_since(began).as_secs()).collect();
    assert_eq!(at, (0..11).map(|n| n * 10).collect::<Vec<_>>());
    // The silent one is asked again after its budget of 30 s, and its ticks do not stack.
    let at: Vec<_> = silent.reads().iter().map(|at| at.duration_since(began).as_secs()).collect();
    assert_eq!(at, [0, 30, 60, 90]);
}

#[tokio::test(start_paused = true)]
async fn a22_a_write_that_never_answers_counts_as_failed_and_is_tried_again() {
    let platform = FakePlatform::with(&[("web", 1)]);
    platform.0.lock().unwrap().write_faults = VecDeque::from([Fault::Silence, Fault::Fail]);
    let engine = plain(vec![app(&platform, vec![process(spec("web", 2, 3), 500.0, secs(10))])]);
    let mut events = engine.events();
    engine.run(tokio::time::sleep(secs(100))).await;
    assert_eq!(platform.quantity("web"), 2);
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if event.kind != EventKind::Decided {
            told.push(event.kind.topic());
        }
    }
    assert_eq!(told, ["scale_failed", "scale_failing", "scale_failed", "scaled", "scale_failing"]);
}

#[tokio::test(start_paused = true)]
async fn a31_a_dry_run_writes_nothing() {
    let platform = FakePlatform::with(&[("web", 12)]);
    let apps = vec![app(&platform, vec![process(spec("web", 1, 9), 5000.0, secs(10))])];
    let engine = engine(apps, Mode::DryRun, Store::in_memory().unwrap(), Vec::new());
    let mut events = engine.events();
    engine.run(tokio::time::sleep(secs(300))).await;
    assert!(platform.writes().is_empty());
    let event = events.try_recv().unwrap();
    assert!(event.record.sentence().to_string().ends_with("would set 9"), "{event}");
}

#[tokio::test(start_paused = true)]
async fn stops_within_two_seconds_whatever_is_silent() {
    let platform = FakePlatform::with(&[("web", 1)]);
    platform.0.lock().unwrap().write_faults = VecDeque::from([Fault::Silence]);
    let other = FakePlatform::with(&[("web", 1)]);
    other.0.lock().unwrap().read_faults = VecDeque::from([Fault::Silence]);
    let apps = [&platform, &other].map(|p| app(p, vec![process(spec("web", 2, 3), 500.0, secs(10))]));
    let hangs = Channel { name: "hangs".into(), notify: Arc::new(Hangs), on: vec!["decided".into()], remind: None };
    let engine = engine(apps.into(), Mode::Act, Store::in_memory().unwrap(), vec![hangs]);
    let began = Instant::now();
    engine.run(tokio::time::sleep(secs(5))).await;
    assert!(began.elapsed() < secs(5) + secs(2), "{:?}", began.elapsed());
}

#[derive(Debug)]
struct Hangs;

#[async_trait]
impl Notify for Hangs {
    async fn send(&self, _event: &Event) -> Result<(), NotifyError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_channel_delays_no_tick() {
    let platform = FakePlatform::with(&[("web", 1)]);
    let hangs = Channel { name: "hangs".into(), notify: Arc::new(Hangs), on: vec!["decided".into()], remind: None };
    let apps = vec![app(&platform, vec![process(spec("web", 1, 3), 5000.0, secs(10))])];
    let began = Instant::now();
    engine(apps, Mode::Act, Store::in_memory().unwrap(), vec![hangs]).run(tokio::time::sleep(secs(3605))).await;
    let reads = platform.reads();
    assert_eq!(reads.len(), 361);
    assert!(reads.iter().enumerate().all(|(n, at)| at.duration_since(began).as_secs() == n as u64 * 10));
    assert_eq!(platform.quantity("web"), 3);
}

#[tokio::test(start_paused = true)]
async fn bounds_change_on_time_however_long_the_interval() {
    let platform = FakePlatform::with(&[("web", 1)]);
    let mut spec = spec("web", 1, 9);
    let entries = Weekday::Monday
        .cycle_forward()
        .take(7)
        .flat_map(|day| [(0, 1), (8, 4)].map(|(hour, dynos)| (MinuteOfWeek::new(day, hour, 0).unwrap(), dynos)))
        .collect();
    spec.bounds.min = BoundTable::by_time(entries, true).unwrap();
    let began = Instant::now();
    let six_hours = secs(6 * 3600);
    // It begins at 7:00; the interval is six hours.
    plain(vec![app(&platform, vec![process(spec, 500.0, six_hours)])]).run(tokio::time::sleep(secs(2 * 3600))).await;
    let at: Vec<_> = platform.writes().iter().map(|(at, _)| at.duration_since(began).as_secs()).collect();
    assert_eq!(at, [3600]);
    assert_eq!(platform.quantity("web"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_pause_from_the_store_holds() {
    let platform = FakePlatform::with(&[("web", 12)]);
    let store = Store::in_memory().unwrap();
    store.pause(&ProcessKey::new("shop", "web"), &Pause { until: None, why: None }).unwrap();
    let apps = vec![app(&platform, vec![process(spec("web", 1, 9), 500.0, secs(10))])];
    engine(apps, Mode::Act, store, Vec::new()).run(tokio::time::sleep(secs(100))).await;
    assert!(platform.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a15_a_restart_keeps_the_cooldown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let key = ProcessKey::new("shop", "web");
    let platform = FakePlatform::with(&[("web", 1)]);
    let with_cooldown = || {
        let mut spec = spec("web", 1, 9);
        let down = SignedDuration::from_mins(30);
        spec.gates.push(Arc::new(Cooldown { up: SignedDuration::ZERO, down }));
        spec
    };
    let apps = vec![app(&platform, vec![process(with_cooldown(), 5000.0, secs(10))])];
    engine(apps, Mode::Act, Store::open(&file).unwrap(), Vec::new()).run(tokio::time::sleep(secs(25))).await;
    assert_eq!(platform.quantity("web"), 2);
    // The load is gone, and the program starts anew half a minute later.
    let store = Store::open(&file).unwrap();
    let state = store.state(&key).unwrap().unwrap().after_restart();
    assert!(state.last_scale.is_some());
    let mut again = process(with_cooldown(), 1.0, secs(10));
    again.state = state;
    let scaled_at = platform.writes()[0].0;
    let clock = TimerClock::starting_at("2026-05-04T07:00:30Z".parse().unwrap());
    let desk = Desk::open(Vec::new());
    let engine = Engine::new(
        vec![app(&platform, vec![again])],
        Vec::new(),
        Mode::Act,
        Arc::new(clock),
        Memory::start(store),
        desk,
    );
    engine.run(tokio::time::sleep(secs(3600))).await;
    let lowered = platform.writes()[1].0.duration_since(scaled_at);
    assert!(lowered >= secs(30 * 60 - 10), "{lowered:?}");
    assert_eq!(platform.quantity("web"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_stops_no_tick_and_no_call() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let platform = FakePlatform::with(&[("web", 1), ("worker", 1)]);
    let store = Store::open(&file).unwrap();
    // Another program holds the file for the whole time.
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let processes = vec![process(spec("worker", 1, 9), 500.0, secs(20)), process(spec("web", 1, 9), 5000.0, secs(10))];
    let apps = vec![app(&platform, processes)];
    let clock = Arc::new(TimerClock::starting_at("2026-05-04T07:00:00Z".parse().unwrap()));
    let memory = Memory::start(store).told_after(Duration::ZERO);
    let engine = Engine::new(apps, Vec::new(), Mode::Act, clock, memory, Desk::open(Vec::new()));
    let mut events = engine.events();
    engine.run(tokio::time::sleep(secs(105))).await;
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if event.kind == EventKind::ConditionBegan(Condition::StoreFailing) {
            told.push(event.process.to_string());
        }
    }
    assert_eq!(told, ["web"], "it is told once, by the process that ticks most often");
    assert_eq!(platform.reads().len(), 11, "every tick came, and in time");
    assert_eq!(platform.writes().len(), 3, "a step for every three readings, as with a store that answers");
}

#[tokio::test(start_paused = true)]
async fn a35_a_source_that_is_down_for_ten_thousand_ticks_is_used_at_once_when_it_returns() {
    #[derive(Debug)]
    struct Returns(Mutex<u32>);
    #[async_trait]
    impl Measure for Returns {
        async fn read(&self) -> Taken {
            let mut count = self.0.lock().unwrap();
            *count += 1;
            let reading = if *count <= 10_000 {
                Reading::Failed("name no such host".parse().unwrap())
            } else {
                Reading::Value(5000.0)
            };
            reading.into()
        }

        fn budget(&self) -> Duration {
            secs(1)
        }
    }
    let platform = FakePlatform::with(&[("web", 1)]);
    let mut process = process(spec("web", 1, 9), 0.0, secs(10));
    process.sources[0].measure = Arc::new(Returns(Mutex::new(0)));
    let began = Instant::now();
    plain(vec![app(&platform, vec![process])]).run(tokio::time::sleep(secs(100_025))).await;
    let at: Vec<_> = platform.writes().iter().map(|(at, _)| at.duration_since(began).as_secs()).collect();
    assert_eq!(at, [100_020], "the third reading after its return");
}

#[tokio::test(start_paused = true)]
async fn news_bring_a_tick_at_once_and_no_storm_of_them() {
    /// Told every 50 ms from 10 s on, for 2 s.
    #[derive(Debug)]
    struct Told(Instant, Mutex<Vec<Instant>>);
    #[async_trait]
    impl Measure for Told {
        async fn read(&self) -> Taken {
            self.1.lock().unwrap().push(Instant::now());
            Reading::Value(500.0).into()
        }

        fn budget(&self) -> Duration {
            secs(1)
        }

        async fn news(&self) {
            if self.0.elapsed() < secs(10) {
                tokio::time::sleep_until(self.0 + secs(10)).await;
            } else if self.0.elapsed() < secs(12) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            } else {
                std::future::pending().await
            }
        }
    }
    let platform = FakePlatform::with(&[("web", 1)]);
    let began = Instant::now();
    let told = Arc::new(Told(began, Mutex::default()));
    let mut process = process(spec("web", 1, 9), 0.0, secs(30));
    process.sources[0].measure = Arc::clone(&told) as Arc<dyn Measure>;
    plain(vec![app(&platform, vec![process])]).run(tokio::time::sleep(secs(45))).await;
    let at: Vec<_> = told.1.lock().unwrap().iter().map(|at| at.duration_since(began).as_millis()).collect();
    assert_eq!((at[0], at[1]), (0, 10_000), "at the interval, then at once");
    assert!(at.windows(2).all(|two| two[1] - two[0] >= 200), "{at:?}");
    assert!(at.len() <= 14, "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn a_release_holds_where_a_gate_asks_for_it() {
    let platform = FakePlatform::with(&[("web", 1)]);
    platform.0.lock().unwrap().released_at = Some("2026-05-04T06:58:00Z".parse().unwrap());
    let mut spec = spec("web", 1, 9);
    let kind = autoscalebot_core::gate::GATES.iter().find(|kind| kind.description.name == "deploy_hold").unwrap();
    let mut values = autoscalebot_core::fields::Values::default();
    values.set("time", autoscalebot_core::fields::Value::Duration(SignedDuration::from_mins(5)));
    spec.gates.extend((kind.build)(&values).unwrap());
    let began = Instant::now();
    plain(vec![app(&platform, vec![process(spec, 5000.0, secs(10))])]).run(tokio::time::sleep(secs(300))).await;
    // Released two minutes before the start: three minutes are left of the five.
    assert_eq!(platform.writes()[0].0.duration_since(began).as_secs(), 180);
}
