//! Nothing is left behind, whatever the end.
//!
//! Two of the "tests" here are the bodies of helper processes: this same file, started again with `ROLE` set.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use autoscalebot_platform::local::{Local, keeper};
use autoscalebot_platform::logs::LogSink;
use autoscalebot_platform::{Platform, PlatformContext};

use crate::support::{App, folder, gone, options, processes_with, python};

/// A number that no other process has on its command line.
fn mark() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    1_000_000 + (std::process::id() % 100_000) * 100 + NEXT.fetch_add(1, Ordering::Relaxed)
}

/// This file as another role.
fn helper(role: &str, name: &str) -> Vec<OsString> {
    let this = std::env::current_exe().unwrap();
    let role = format!("ROLE={role}");
    ["env".into(), role.into(), this.into(), "--exact".into(), format!("ends::{name}").into(), "--nocapture".into()]
        .into()
}

#[test]
fn helper_keeper() {
    if std::env::var("ROLE").is_ok_and(|role| role == "keeper") {
        keeper::run(std::io::stdin().lock());
    }
}

#[tokio::test]
async fn helper_program() {
    if std::env::var("ROLE").is_ok_and(|role| role == "program") {
        let mark = std::env::var("MARK").unwrap();
        let folder = folder(&procfile(&mark));
        let keeper = Some(helper("keeper", "helper_keeper"));
        let local = Local::new(options(&folder), &PlatformContext { logs: LogSink::default(), keeper });
        local.start().await.unwrap();
        while processes_with(&mark).len() < 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("\nall run");
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

/// Grandchildren by a pipeline, by the background, and one that ignores SIGTERM; none of them is the leader.
fn procfile(mark: &str) -> String {
    format!("a: sleep {mark} | sleep {mark}\nb: sleep {mark} & trap '' TERM; sleep {mark}; true\n")
}

#[tokio::test]
async fn stop_ends_all_within_two_seconds() {
    let mark = mark().to_string();
    let app = App::start(&format!("web: {}\n{}", python(""), procfile(&mark)), |_| {}).await;
    app.up("web.1").await;
    while processes_with(&mark).len() < 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let address = app.address();
    let began = Instant::now();
    app.local.stop().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(processes_with(&mark), [0_u32; 0]);
    assert_eq!(processes_with(app.folder.path().to_str().unwrap()), [0_u32; 0]);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert!(app.local.address().is_none());
    app.local.stop().await;
}

#[tokio::test]
async fn an_app_can_be_started_again() {
    let app = App::web(|_| {}).await;
    app.local.stop().await;
    app.local.start().await.unwrap();
    assert_eq!(app.get("/").await.status, 200);
    app.local.stop().await;
}

#[tokio::test]
async fn a_crash_of_the_leader_ends_its_group() {
    let mark = mark().to_string();
    let app = App::start(&format!("a: sleep {mark} & sleep 0.3; exit 1"), |options| {
        options.restart_pause_min = Duration::from_secs(20);
    })
    .await;
    app.lines.wait("a.1", "State changed from up to crashed").await;
    gone(&mark, Duration::from_secs(1)).await;
    app.local.stop().await;
}

#[test]
fn a_dropped_platform_ends_its_dynos() {
    let mark = mark().to_string();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = App::start(&procfile(&mark), |_| {}).await;
        while processes_with(&mark).len() < 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(app);
    });
    drop(runtime);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(processes_with(&mark), [0_u32; 0]);
}

/// The program as a process of its own, once all its dynos run.
fn program(mark: &str) -> std::process::Child {
    let command = helper("program", "helper_program");
    let mut child =
        Command::new(&command[0]).args(&command[1..]).env("MARK", mark).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap() == "all run"));
    child
}

#[tokio::test]
async fn kill_9_of_the_program_leaves_none() {
    let mark = mark().to_string();
    let mut program = program(&mark);
    program.kill().unwrap();
    program.wait().unwrap();
    gone(&mark, Duration::from_secs(4)).await;
}

#[tokio::test]
async fn with_a_keeper_stop_is_as_quick_and_the_keeper_goes() {
    let mark = mark().to_string();
    let folder = folder(&procfile(&mark));
    let mut keeper = helper("keeper", "helper_keeper");
    // Harmless to the helper, and found on its command line.
    keeper.extend(["--skip".into(), format!("keeper-{mark}").into()]);
    let local = Local::new(options(&folder), &PlatformContext { logs: LogSink::default(), keeper: Some(keeper) });
    local.start().await.unwrap();
    while processes_with(&mark).len() < 6 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let began = Instant::now();
    local.stop().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(processes_with(&mark), [0_u32; 0]);
}
