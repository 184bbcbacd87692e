//! With paused time: hours pass in milliseconds, and no wait is a real one.

use std::collections::VecDeque;

use async_trait::async_trait;
use autoscalebot_core::{Condition, EventKind};
use tokio::time::{Instant, sleep};

use super::line::{GIVE_UP, TRY_LIMIT, WAITING};
use super::*;
use crate::NotifyError;
use crate::fixture::{at, event, scaled};
use crate::test::Kept;

const HELD: Condition = Condition::NeedsAboveMax;

fn channel(notify: impl Notify + 'static, on: &[&str]) -> Channel {
    Channel {
        name: "ops".into(),
        notify: Arc::new(notify),
        on: on.iter().map(ToString::to_string).collect(),
        remind: Some(SignedDuration::from_hours(1)),
    }
}

/// Answers each try with the next of these; then always with the last.
#[derive(Debug, Clone)]
struct Scripted {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    tries: Arc<Mutex<Vec<(Instant, Event)>>>,
}

#[derive(Debug, Clone)]
enum Answer {
    Ok,
    Retry(Option<Duration>),
    Refused,
    Silence,
}

impl Scripted {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), tries: Arc::default() }
    }

    fn tries(&self) -> Vec<(Instant, Event)> {
        self.tries.lock().unwrap().clone()
    }
}

#[async_trait]
impl Notify for Scripted {
    async fn send(&self, event: &Event) -> Result<(), NotifyError> {
        self.tries.lock().unwrap().push((Instant::now(), event.clone()));
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
        };
        match answer.unwrap() {
            Answer::Ok => Ok(()),
            Answer::Retry(after) => Err(NotifyError::Retry { message: "429".into(), after }),
            Answer::Refused => Err(NotifyError::Refused("404".into())),
            Answer::Silence => std::future::pending().await,
        }
    }
}

fn kinds(kept: &Kept) -> Vec<&'static str> {
    kept.events().iter().map(|event| event.kind.name()).collect()
}

/// What the engine offers for one tick.
fn tick(desk: &Desk, secs: i64, holding: &[Condition], also: &[EventKind]) {
    desk.offer(&event(secs, EventKind::Decided, holding));
    for kind in also {
        desk.offer(&event(secs, kind.clone(), holding));
    }
}

/// A29, run 1: throttled twice, then told; the tick does not wait.
#[tokio::test(start_paused = true)]
async fn a29_a_throttled_channel_is_told_later_and_as_asked() {
    let after = Some(Duration::from_secs(5));
    let hook = Scripted::new([Answer::Retry(after), Answer::Retry(after), Answer::Ok]);
    let desk = Desk::open(vec![channel(hook.clone(), &["scaled"])]);
    let offered = Instant::now();
    desk.offer(&scaled(0));
    assert_eq!(Instant::now(), offered);
    sleep(Duration::from_secs(30)).await;
    let tries = hook.tries();
    assert_eq!(tries.len(), 3);
    assert!(tries[1].0 - tries[0].0 >= Duration::from_secs(5));
    assert!(tries[2].0 - tries[1].0 >= Duration::from_secs(5));
    assert!(tries.iter().all(|(_, event)| *event == scaled(0)));
    let health = &desk.health()[0];
    assert_eq!((health.told, health.dropped, health.last_error.as_deref()), (1, 0, None));
}

/// A29, run 2: never an answer; the event is dropped after a limit, the channel stays on, and another is told at once.
#[tokio::test(start_paused = true)]
async fn a29_a_dead_channel_drops_after_a_limit_and_stays_on() {
    let dead = Scripted::new([Answer::Silence]);
    let kept = Kept::new(10);
    let desk = Desk::open(vec![channel(dead.clone(), &["scaled"]), channel(kept.clone(), &["scaled"])]);
    let offered = Instant::now();
    desk.offer(&scaled(0));
    assert_eq!(Instant::now(), offered);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(kinds(&kept), ["scaled"]);
    sleep(GIVE_UP + TRY_LIMIT).await;
    let health = desk.health()[0].clone();
    assert_eq!((health.told, health.dropped, health.waiting), (0, 1, 0));
    assert_eq!(health.last_error.as_deref(), Some("no answer within 30 s"));
    let tried = dead.tries().len();
    assert!((5..=15).contains(&tried), "{tried}");

    desk.offer(&scaled(60));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(dead.tries().len(), tried + 1);
    assert_eq!(dead.tries()[tried].1, scaled(60));
}

/// A29: a 404 at one hook does not stop another, nor the same one's next event.
#[tokio::test(start_paused = true)]
async fn a29_a_refusal_is_final_for_one_event_only() {
    let hook = Scripted::new([Answer::Refused, Answer::Ok]);
    let kept = Kept::new(10);
    let desk = Desk::open(vec![channel(hook.clone(), &["scaled"]), channel(kept.clone(), &["scaled"])]);
    desk.offer(&scaled(0));
    desk.offer(&scaled(30));
    sleep(Duration::from_millis(1)).await;
    let health = &desk.health()[0];
    assert_eq!((hook.tries().len(), health.told, health.dropped), (2, 1, 1));
    assert_eq!(kinds(&kept), ["scaled", "scaled"]);
}

#[tokio::test(start_paused = true)]
async fn waits_between_tries_grow_and_order_is_kept() {
    let hook =
        Scripted::new([Answer::Retry(None), Answer::Retry(None), Answer::Retry(None), Answer::Retry(None), Answer::Ok]);
    let desk = Desk::open(vec![channel(hook.clone(), &["scaled"])]);
    desk.offer(&scaled(0));
    desk.offer(&scaled(1));
    sleep(Duration::from_secs(120)).await;
    let tries = hook.tries();
    let events: Vec<_> = tries.iter().map(|(_, event)| event.at).collect();
    assert_eq!(events, [at(0), at(0), at(0), at(0), at(0), at(1)]);
    let waits: Vec<_> = tries.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs_f64()).collect();
    for (wait, least) in waits.iter().zip([1.0, 2.0, 4.0, 8.0]) {
        assert!((least..=3.0 * least).contains(wait), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_limit_is_not_begun() {
    let hook = Scripted::new([Answer::Retry(Some(GIVE_UP * 2)), Answer::Ok]);
    let desk = Desk::open(vec![channel(hook.clone(), &["scaled"])]);
    desk.offer(&scaled(0));
    desk.offer(&scaled(1));
    sleep(Duration::from_millis(1)).await;
    assert_eq!((desk.health()[0].dropped, desk.health()[0].told), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_gives_up_the_oldest() {
    let hook = Scripted::new([Answer::Silence, Answer::Ok]);
    let desk = Desk::open(vec![channel(hook.clone(), &["scaled"])]);
    desk.offer(&scaled(0));
    sleep(Duration::from_millis(1)).await;
    for secs in 1..=WAITING as i64 + 10 {
        desk.offer(&scaled(secs));
    }
    assert_eq!((desk.health()[0].waiting, desk.health()[0].dropped), (WAITING, 10));
    sleep(Duration::from_secs(60)).await;
    assert_eq!((desk.health()[0].waiting, desk.health()[0].told), (0, WAITING as u64 + 1));
    assert_eq!(hook.tries()[2].1.at, at(11));
}

#[tokio::test(start_paused = true)]
async fn a_channel_hears_only_the_topics_it_asked_for() {
    let (some, decided) = (Kept::new(100), Kept::new(100));
    let desk =
        Desk::open(vec![channel(some.clone(), &["scaled", "needs_above_max"]), channel(decided.clone(), &["decided"])]);
    let also = [
        EventKind::Scaled { from: 3, to: 4 },
        EventKind::ScaleFailed,
        EventKind::ConditionBegan(HELD),
        EventKind::ConditionBegan(Condition::SourceUnknown),
    ];
    tick(&desk, 0, &[HELD, Condition::SourceUnknown], &also);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(kinds(&some), ["scaled", "condition_began"]);
    assert_eq!(kinds(&decided), ["decided"]);
}

/// Ticks every 30 s for three and a half hours: one beginning, a reminder each hour on the ticks' time, one end.
#[tokio::test(start_paused = true)]
async fn a_condition_is_told_when_it_begins_each_hour_and_when_it_ends() {
    let kept = Kept::new(100);
    let desk = Desk::open(vec![channel(kept.clone(), &["needs_above_max"])]);
    tick(&desk, 0, &[HELD], &[EventKind::ConditionBegan(HELD)]);
    for secs in (30..12_600).step_by(30) {
        tick(&desk, secs, &[HELD], &[]);
    }
    tick(&desk, 12_600, &[], &[EventKind::ConditionEnded(HELD, at(0))]);
    for secs in (12_630..30_000).step_by(30) {
        tick(&desk, secs, &[], &[]);
    }
    sleep(Duration::from_millis(1)).await;
    let told: Vec<_> = kept.events().into_iter().map(|event| (event.at, event.kind)).collect();
    assert_eq!(
        told,
        [
            (at(0), EventKind::ConditionBegan(HELD)),
            (at(3_600), EventKind::ConditionHolds(HELD, at(0))),
            (at(7_200), EventKind::ConditionHolds(HELD, at(0))),
            (at(10_800), EventKind::ConditionHolds(HELD, at(0))),
            (at(12_600), EventKind::ConditionEnded(HELD, at(0))),
        ]
    );
}

/// After a restart nothing begins, as the state knows that the condition was open; reminders go on all the same.
#[tokio::test(start_paused = true)]
async fn reminders_go_on_after_a_restart() {
    let kept = Kept::new(100);
    let desk = Desk::open(vec![channel(kept.clone(), &["needs_above_max"])]);
    desk.resume(&"shop".into(), &"web".into(), &[(HELD, at(-10_000)), (Condition::Paused, at(-10))]);
    for secs in (0..=7_200).step_by(30) {
        tick(&desk, secs, &[HELD, Condition::Paused], &[]);
    }
    sleep(Duration::from_millis(1)).await;
    let told: Vec<_> = kept.events().into_iter().map(|event| (event.at, event.kind)).collect();
    // It began 10 000 s before; whole hours since then end 800 s, 4400 s, … after the restart, at the ticks of 810 s and 4410 s.
    assert_eq!(
        told,
        [
            (at(810), EventKind::ConditionHolds(HELD, at(-10_000))),
            (at(4_410), EventKind::ConditionHolds(HELD, at(-10_000))),
        ]
    );

    let unaware = Kept::new(100);
    let desk = Desk::open(vec![channel(unaware.clone(), &["needs_above_max"])]);
    for secs in (0..=3_600).step_by(30) {
        tick(&desk, secs, &[HELD], &[]);
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(unaware.events()[0].kind, EventKind::ConditionHolds(HELD, at(0)));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_repeats_no_reminder() {
    let kept = Kept::new(100);
    let desk = Desk::open(vec![channel(kept.clone(), &["needs_above_max"])]);
    for secs in [0, 3_600, 1_800, 3_610, 7_200] {
        tick(&desk, secs, &[HELD], &[]);
    }
    sleep(Duration::from_millis(1)).await;
    let times: Vec<_> = kept.events().iter().map(|event| event.at).collect();
    assert_eq!(times, [at(3_600), at(7_200)]);
}

#[tokio::test(start_paused = true)]
async fn no_reminders_where_none_are_asked_for() {
    let kept = Kept::new(100);
    let desk = Desk::open(vec![Channel { remind: None, ..channel(kept.clone(), &["needs_above_max"]) }]);
    tick(&desk, 0, &[HELD], &[EventKind::ConditionBegan(HELD)]);
    for secs in (30..100_000).step_by(300) {
        tick(&desk, secs, &[HELD], &[]);
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(kinds(&kept), ["condition_began"]);
}

#[tokio::test(start_paused = true)]
async fn closing_tells_what_waits_and_gives_up_on_the_rest() {
    let (kept, dead) = (Kept::new(100), Scripted::new([Answer::Silence]));
    let throttled = Scripted::new([Answer::Retry(Some(Duration::from_secs(60))), Answer::Ok]);
    let desk = Desk::open(vec![
        channel(kept.clone(), &["scaled"]),
        channel(dead.clone(), &["scaled"]),
        channel(throttled.clone(), &["scaled"]),
    ]);
    desk.offer(&scaled(0));
    sleep(Duration::from_secs(1)).await;
    desk.offer(&scaled(30));
    let began = Instant::now();
    desk.close(Duration::from_secs(1)).await;
    assert!(began.elapsed() <= Duration::from_secs(1));
    assert_eq!(kinds(&kept), ["scaled", "scaled"]);
    // The wait between two tries is cut short.
    assert_eq!(desk.health()[2].told, 2);
    desk.offer(&scaled(60));
    assert_eq!(desk.health()[0].waiting, 0);
    desk.close(Duration::from_secs(1)).await;
}
