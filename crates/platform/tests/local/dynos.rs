//! Starting, scaling, crashing: what the supervisor does.

use std::time::{Duration, Instant};

use autoscalebot_platform::{Change, Formation, Platform, PlatformError};
use jiff::Timestamp;

use crate::support::{App, python};

#[tokio::test]
async fn a_dyno_gets_its_variables() {
    let app = App::new(&format!("web: {}", python("")), |_| {});
    std::fs::write(app.folder.path().join(".env"), "GREETING='from the file'\nPORT=1\n").unwrap();
    app.local.start().await.unwrap();
    app.up("web.1").await;
    let env = app.get("/env").await.json();
    assert_eq!((env["DYNO"].as_str(), env["PS"].as_str()), ("web.1", "web.1"));
    assert_eq!(env["GREETING"], "from the file");
    assert!(env["PORT"].parse::<u16>().unwrap() >= 20_000, "{}", env["PORT"]);
    assert!(env.contains_key("PATH"));
    assert_eq!(std::path::Path::new(&env["CWD"]), app.folder.path().canonicalize().unwrap());
    let said = app.lines.wait("web.1", "Starting process").await;
    assert_eq!(said, "Starting process with command `exec python3 app.py`");
    app.lines.wait("web.1", "pid ").await;
    app.local.stop().await;
}

#[tokio::test]
async fn a_dyno_gets_requests_only_once_it_listens() {
    let app = App::start(&format!("web: {}", python("boot=1.5")), |_| {}).await;
    let began = Instant::now();
    let answer = app.get("/wait").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "web.1"));
    assert!(began.elapsed() >= Duration::from_millis(1400), "{:?}", began.elapsed());
    let line = app.lines.router("/wait").await;
    assert!(line["connect"].trim_end_matches("ms").parse::<u64>().unwrap() >= 1400, "{line:?}");

    // A second one that starts does not slow those that the first serves.
    app.scale("web", 2).await;
    for answer in app.get_many(10, "/x").await {
        assert_eq!((answer.status, answer.body.as_str()), (200, "web.1"));
    }
    app.up("web.2").await;
    let dynos: Vec<_> = app.get_many(2, "/sleep?ms=200").await.into_iter().map(|answer| answer.body).collect();
    assert!(dynos.contains(&"web.1".to_owned()) && dynos.contains(&"web.2".to_owned()), "{dynos:?}");
    app.local.stop().await;
}

#[tokio::test]
async fn scaling_fails_no_request() {
    let app = App::web(|_| {}).await;
    app.scale("web", 3).await;
    app.up("web.2").await;
    app.up("web.3").await;
    let slow = app.get_many(12, "/sleep?ms=1500");
    let scaling = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let open = app.local.open_requests();
        assert!(open.values().all(|open| *open == 4), "least connections share alike: {open:?}");
        app.scale("web", 1).await;
        let formation = app.local.formation("any", Timestamp::now()).await.unwrap();
        assert_eq!(formation.quantities["web"], 1, "the wish, at once");
        // From now on only web.1 gets requests, and those of the others go on.
        for answer in app.get_many(5, "/now").await {
            assert_eq!(answer.body, "web.1");
        }
        assert_eq!(app.lines.count("web.3", "SIGTERM"), 0, "its requests are still open");
    };
    let (slow, ()) = tokio::join!(slow, scaling);
    assert!(slow.iter().all(|answer| answer.status == 200), "{slow:?}");
    for dyno in ["web.2", "web.3"] {
        app.lines.wait(dyno, "Stopping all processes with SIGTERM").await;
        app.lines.wait(dyno, "Process exited with status 143").await;
        app.lines.wait(dyno, "State changed from up to down").await;
    }
    app.scale("web", 2).await;
    app.lines.wait("web.2", "State changed from up to down").await;
    assert_eq!(app.lines.count("router", "at=error"), 0);
    app.local.stop().await;
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed() {
    let app = App::start(&format!("web: {}", python("ignore-term")), |options| {
        options.stop_grace = Duration::from_secs(1);
    })
    .await;
    app.up("web.1").await;
    app.scale("web", 0).await;
    app.lines.wait("web.1", "Error R12 (Exit timeout) -> At least one process failed to exit within 1 seconds").await;
    app.lines.wait("web.1", "Process exited with status 137").await;
    app.lines.wait("web.1", "State changed from up to down").await;
    assert!(app.local.open_requests().is_empty());
}

#[tokio::test]
async fn a_crashed_dyno_comes_back_after_growing_pauses() {
    let app = App::start(&format!("web: {}\nworker: sleep 0.05; exit 3", python("")), |options| {
        options.restart_pause_min = Duration::from_millis(200);
    })
    .await;
    app.up("web.1").await;
    assert_eq!(app.get("/exit?code=7").await.status, 503);
    app.lines.wait("web.1", "Process exited with status 7").await;
    app.lines.wait("web.1", "State changed from up to crashed").await;
    let answer = app.get("/again").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "web.1"), "waited for the new start");
    app.lines.wait("web.1", "State changed from crashed to starting").await;

    tokio::time::sleep(Duration::from_millis(2500)).await;
    let starts: Vec<_> = app
        .lines
        .all()
        .into_iter()
        .filter(|line| &*line.process == "worker.1" && line.text.contains("Starting"))
        .collect();
    assert!((3..=5).contains(&starts.len()), "200, 400, 800 ms and some chance: {} starts", starts.len());
    let pauses: Vec<_> = starts.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at).as_millis()).collect();
    assert!(pauses.last() > pauses.first(), "{pauses:?}");
    app.local.stop().await;
}

#[tokio::test]
async fn a_dyno_that_never_listens_is_killed() {
    let app = App::start("web: exec sleep 60", |options| {
        options.boot_timeout = Duration::from_millis(300);
        options.queue_timeout = Duration::from_millis(600);
    })
    .await;
    let answer = app.get("/").await;
    assert_eq!(answer.status, 503);
    app.lines.wait("web.1", "Error R10 (Boot timeout) -> Web process failed to bind to $PORT").await;
    app.lines.wait("web.1", "Process exited with status 137").await;
    assert_eq!(app.lines.router("/").await["code"], "H20");
    app.local.stop().await;
}

#[tokio::test]
async fn formation_and_its_faults() {
    let app = App::new("web: exec sleep 60\nworker: exec sleep 60\nrelease: x\n", |options| {
        options.formation = [("worker".to_owned(), 0)].into();
    });
    let now = Timestamp::now();
    assert_eq!(app.local.formation("x", now).await.unwrap().to_string(), "web=1 worker=0", "before the start");
    assert!(app.local.probe("x", now).await.unwrap().ends_with("would start web=1 worker=0"));
    let change = |process: &str, quantity| Change { process: process.to_owned(), quantity };
    let before = Formation::default();
    assert!(matches!(
        app.local.scale("x", &[change("web", 1)], &before, now).await[0],
        Err(PlatformError::Unavailable(_))
    ));
    app.local.start().await.unwrap();
    app.local.start().await.unwrap();
    let answers =
        app.local.scale("x", &[change("clock", 1), change("worker", 2), change("web", 100_000)], &before, now).await;
    match &answers[0] {
        Err(PlatformError::Misconfigured(message)) => assert!(message.contains("Procfile has no process type `clock`")),
        other => panic!("{other:?}"),
    }
    assert!(answers[1].is_ok());
    assert!(matches!(answers[2], Err(PlatformError::OverLimit { limit: Some(500), .. })));
    assert_eq!(app.local.formation("x", now).await.unwrap().to_string(), "web=1 worker=2");
    app.up("worker.2").await;
    app.local.stop().await;
}

#[tokio::test]
async fn bad_files_are_named_with_their_lines() {
    let table = [
        ("web a\n", "", "Procfile: line 1: there is no colon"),
        ("web: a\nweb: b\n", "", "Procfile: line 2: `web` is already on line 1"),
        ("web: a\n", "A=1\nB C\n", ".env: line 2: not `NAME=value`"),
    ];
    for (procfile, env, expected) in table {
        let app = App::new(procfile, |_| {});
        std::fs::write(app.folder.path().join(".env"), env).unwrap();
        for answer in [app.local.start().await.map(|()| String::new()), app.local.probe("x", Timestamp::now()).await] {
            match answer {
                Err(PlatformError::Misconfigured(message)) => assert!(message.contains(expected), "{message}"),
                other => panic!("{other:?}"),
            }
        }
    }
    let app = App::new("web: a", |options| options.procfile = "/nowhere/Procfile".into());
    let error = app.local.start().await.unwrap_err().to_string();
    assert!(error.starts_with("procfile: /nowhere/Procfile cannot be opened"), "{error}");
    let app = App::new("web: a", |options| options.formation = [("clock".to_owned(), 1)].into());
    let error = app.local.start().await.unwrap_err().to_string();
    assert!(error.contains("formation:") && error.contains("`clock`"), "{error}");
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let app = App::new("web: exec sleep 60", |options| options.listen = address);
    let error = app.local.start().await.unwrap_err().to_string();
    assert!(error.contains("listen:") && error.contains(&address.to_string()), "{error}");
}

#[test]
fn the_page_names_every_field() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/platforms/local.md")).unwrap();
    for field in autoscalebot_platform::local::ENTRY.kind.description.fields {
        assert!(page.contains(&format!("| `{}` |", field.name)), "{}", field.name);
    }
}
