//! A real Python, with backends that do and do not behave.

use std::path::Path;

use autoscalebot_core::fields::Value;
use autoscalebot_core::{Condition, EventKind};

use super::*;
use crate::fixture::{event, scaled};

/// Backends, each of which notes what it is told in a file beside it.
const BACKENDS: &str = r#"
import os, sys, time, pathlib
from autoscalebot.backends.notification import NotificationBackend

class Note(NotificationBackend):
    def send_notification(self, message=None, *args, **kwargs):
        print("for people")
        sys.stdout.write("{not an answer\n")
        os.write(1, b"nor this\n")
        with open(pathlib.Path(__file__).with_name("notes"), "a") as notes:
            notes.write(f"{os.getpid()} {self.autoscaler.num_dynos} {message}\n")

class Ping(Note):
    def ping_complete(self, time, result, *args, **kwargs):
        self.send_notification(message=f"{time} {result}")

class Raises(NotificationBackend):
    def send_notification(self, message=None, *args, **kwargs):
        raise ValueError("two\nlines")

class NetworkIsDown(NotificationBackend):
    def send_notification(self, message=None, *args, **kwargs):
        raise ConnectionRefusedError("nobody listens")

class Hangs(NotificationBackend):
    def send_notification(self, message=None, *args, **kwargs):
        time.sleep(3600)

class Dies(NotificationBackend):
    def send_notification(self, message=None, *args, **kwargs):
        os._exit(7)

class Exits(NotificationBackend):
    def send_notification(self, message=None, *args, **kwargs):
        sys.exit("enough")
"#;

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("shop_notify.py"), BACKENDS).unwrap();
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/autoscalebot").canonicalize().unwrap();
        std::os::unix::fs::symlink(package, folder.path().join("autoscalebot")).unwrap();
        Self { folder }
    }

    fn backend(&self, name: &str) -> Backend {
        let mut values = Values::default();
        values.set("backend", Value::Text(name.into()));
        values.set("interpreter", Value::Text("python3".into()));
        values.set("path", Value::Text(self.folder.path().display().to_string()));
        Backend::new(&values).unwrap()
    }

    fn notes(&self) -> Vec<String> {
        let notes = std::fs::read_to_string(self.folder.path().join("notes")).unwrap_or_default();
        notes.lines().map(Into::into).collect()
    }
}

fn without_pid(note: &str) -> &str {
    note.split_once(' ').unwrap().1
}

#[tokio::test]
async fn each_event_calls_the_method_of_2_1_that_fits() {
    let world = World::new();
    let (note, ping) = (world.backend("shop_notify.Note"), world.backend("shop_notify.Ping"));
    let since = crate::fixture::at(0);
    note.send(&scaled(0)).await.unwrap();
    note.send(&event(0, EventKind::ScaleFailed, &[])).await.unwrap();
    for condition in [Condition::NeedsAboveMax, Condition::NeedsBelowMin, Condition::ScalingTooRapid] {
        note.send(&event(0, EventKind::ConditionBegan(condition), &[condition])).await.unwrap();
    }
    note.send(&event(120, EventKind::ConditionEnded(Condition::NeedsAboveMax, since), &[])).await.unwrap();
    note.send(&event(0, EventKind::ConditionBegan(Condition::SourceUnknown), &[])).await.unwrap();
    ping.send(&event(0, EventKind::Decided, &[])).await.unwrap();
    let notes = world.notes();
    let starts = [
        "4 Scaled to 4 dynos.",
        "4 A scaling call failed; 4 dynos run",
        "4 All 4 dynos of the maximum run",
        "4 Only the minimum of 4 dynos runs",
        "4 The number of dynos moves further",
        "4 shop/web: ended after 2 min: more dynos",
        "4 shop/web: a measurement gives no usable reading began",
        "4 1074.25 high",
    ];
    assert_eq!(notes.len(), starts.len(), "{notes:?}");
    for (note, start) in notes.iter().zip(starts) {
        assert!(without_pid(note).starts_with(start), "{note}\nis not\n{start}");
    }
    let pids: std::collections::BTreeSet<_> = notes.iter().map(|note| note.split_once(' ').unwrap().0).collect();
    assert_eq!(pids.len(), 1, "all channels share one Python");
}

#[tokio::test]
async fn what_a_backend_raises_is_told_and_only_what_may_pass_is_tried_again() {
    let world = World::new();
    assert_eq!(
        world.backend("shop_notify.Raises").send(&scaled(0)).await,
        Err(NotifyError::Refused("ValueError: two lines".into()))
    );
    assert_eq!(
        world.backend("shop_notify.NetworkIsDown").send(&scaled(0)).await,
        Err(NotifyError::retry("ConnectionRefusedError: nobody listens"))
    );
    assert_eq!(
        world.backend("shop_notify.Exits").send(&scaled(0)).await,
        Err(NotifyError::Refused("SystemExit: enough".into()))
    );
    let missing = world.backend("shop_notify.Missing").send(&scaled(0)).await;
    let Err(NotifyError::Refused(why)) = missing else { panic!("{missing:?}") };
    assert!(why.starts_with("shop_notify.Missing cannot be imported: "), "{why}");
    assert_eq!(world.backend("shop_notify.Note").probe().await, Ok("shop_notify.Note can be made".into()));
    assert!(world.backend("nowhere.Note").probe().await.is_err());
}

#[tokio::test]
async fn one_that_hangs_costs_its_python_and_holds_up_no_other() {
    let world = World::new();
    let note = world.backend("shop_notify.Note");
    note.send(&scaled(0)).await.unwrap();
    let hangs = Backend { limit: Duration::from_secs(2), ..world.backend("shop_notify.Hangs") };
    let hung = scaled(0);
    let (hung, told) = tokio::join!(hangs.send(&hung), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        tokio::time::timeout(Duration::from_millis(1500), note.send(&scaled(0))).await
    });
    assert_eq!(told, Ok(Ok(())), "while the other hangs");
    assert!(hung.unwrap_err().to_string().starts_with("no answer within 2s"));
    note.send(&scaled(0)).await.unwrap();
    let notes = world.notes();
    let pid = |n: usize| notes[n].split_once(' ').unwrap().0;
    assert_eq!(pid(0), pid(1));
    assert_ne!(pid(1), pid(2), "a new Python");
}

#[tokio::test]
async fn one_that_dies_is_started_again_after_a_pause() {
    let world = World::new();
    let (note, dies) = (world.backend("shop_notify.Note"), world.backend("shop_notify.Dies"));
    let died = dies.send(&scaled(0)).await.unwrap_err();
    assert_eq!(died, NotifyError::retry("Python ended (exit status: 7) before it answered"));
    let Err(NotifyError::Retry { after: Some(after), message }) = note.send(&scaled(0)).await else { panic!() };
    assert!(after <= Duration::from_secs(1) && message.contains("exit status: 7"), "{message}");
    tokio::time::sleep(after + Duration::from_millis(10)).await;
    note.send(&scaled(0)).await.unwrap();
}

#[tokio::test]
async fn no_python_is_left_behind() {
    let world = World::new();
    let note = world.backend("shop_notify.Note");
    note.send(&scaled(0)).await.unwrap();
    let pid: i32 = world.notes()[0].split_once(' ').unwrap().0.parse().unwrap();
    drop(note);
    for _ in 0..200 {
        if !Path::new(&format!("/proc/{pid}")).exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{pid} still runs");
}

#[tokio::test]
async fn a_python_that_is_not_there_is_named() {
    let mut values = Values::default();
    values.set("backend", Value::Text("shop.Pager".into()));
    values.set("interpreter", Value::Text("/nowhere/python".into()));
    let error = Backend::new(&values).unwrap().send(&scaled(0)).await.unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/python cannot be started: "), "{error}");
}

#[test]
fn a_backend_is_a_dotted_path() {
    for bad in ["Pager", "shop.", ".Pager", "shop notify.Pager", "shop.1", "shop.notify.Pager()"] {
        let mut values = Values::default();
        values.set("backend", Value::Text(bad.into()));
        assert_eq!(Backend::new(&values).unwrap_err().field, "backend", "{bad}");
    }
}
