//! Heroku's own command line tool against the stand-in: what the real client sends changes the stand-in's state, and what the
//! stand-in answers makes the real client print its success. `scripts/install-test-tools` puts the tool where it is looked for.
//!
//! Only an address of this machine may be given to the CLI as `HEROKU_HOST`: for a host that it does not know, it goes to the
//! real Heroku with the key.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use autoscalebot_fakes::heroku::HerokuFake;

fn heroku() -> PathBuf {
    if let Some(path) = std::env::var_os("AUTOSCALEBOT_TEST_HEROKU") {
        return path.into();
    }
    // The folder `tmp` of cargo's target folder, wherever that is.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("npm/node_modules/.bin/heroku")
}

/// What one run of the CLI did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

struct Cli {
    fake: HerokuFake,
    home: tempfile::TempDir,
}

impl Cli {
    fn with_shop() -> Self {
        Self { fake: HerokuFake::with_shop().unwrap(), home: tempfile::tempdir().unwrap() }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let program = heroku();
        assert!(
            program.is_file(),
            "the Heroku CLI is not at {}: run scripts/test, which installs it, or scripts/install-test-tools alone",
            program.display()
        );
        let home = self.home.path();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("HEROKU_HOST", self.fake.url())
            .env("HEROKU_API_KEY", HerokuFake::KEY)
            .env("DISABLE_TELEMETRY", "true")
            .env("HEROKU_SKIP_NEW_VERSION_CHECK", "true")
            .env("NO_COLOR", "1")
            .current_dir(home);
        let ran = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: ran.status.code(), out: text(&ran.stdout), err: text(&ran.stderr) }
    }
}

#[test]
fn ps_scale_changes_the_state_and_prints_success() {
    let cli = Cli::with_shop();
    let ran = cli.run(&["ps:scale", "web=3", "-a", "shop"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("Scaling dynos... done, now running web at 3:Standard-1X"), "{ran:?}");
    assert_eq!(cli.fake.quantity("shop", "web"), Some(3));
    assert_eq!(cli.fake.quantity("shop", "worker"), Some(1));
    assert_eq!(cli.fake.writes(), 1);

    let ran = cli.run(&["ps:scale", "web=3:Standard-2X", "worker=2", "-a", "shop"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("done, now running web at 3:Standard-2X, worker at 2:Standard-1X"), "{ran:?}");
    assert_eq!(cli.fake.quantity("shop", "worker"), Some(2));
    assert_eq!(cli.fake.size("shop", "web").as_deref(), Some("Standard-2X"));
}

#[test]
fn ps_scale_counts_up_and_down_and_lists() {
    let cli = Cli::with_shop();
    let ran = cli.run(&["ps:scale", "worker+1", "-a", "shop"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("done, now running worker at 2:Standard-1X"), "{ran:?}");
    let ran = cli.run(&["ps:scale", "worker-2", "-a", "shop"]);
    assert!(ran.err.contains("done, now running worker at 0:Standard-1X"), "{ran:?}");
    assert_eq!(cli.fake.quantity("shop", "worker"), Some(0));
    let ran = cli.run(&["ps:scale", "-a", "shop"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.out.trim(), "web=1:Standard-1X worker=0:Standard-1X", "{ran:?}");
}

#[test]
fn ps_lists_dynos_and_releases_lists_releases() {
    let cli = Cli::with_shop();
    cli.fake.set_quantity("shop", "web", 2);
    let ran = cli.run(&["ps", "-a", "shop"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for line in ["=== web (Standard-1X): run-web (2)", "web.1: up", "web.2: up", "worker.1: up"] {
        assert!(ran.out.contains(line), "{line}: {ran:?}");
    }
    cli.fake.add_release("shop", "succeeded");
    let ran = cli.run(&["releases", "-n", "1", "-a", "shop"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("Current: v2"), "{ran:?}");
}

#[test]
fn drains_are_added() {
    let cli = Cli::with_shop();
    let ran = cli.run(&["drains:add", "https://u:p@drain.example/logs", "-a", "shop"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("Successfully added drain https://u:p@drain.example/logs"), "{ran:?}");
    assert_eq!(cli.fake.drains("shop"), ["https://u:p@drain.example/logs"]);
}

#[test]
fn errors_are_the_ones_that_the_cli_knows() {
    let cli = Cli::with_shop();
    let ran = cli.run(&["ps:scale", "web=3", "-a", "nowhere"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("Couldn't find that app.") && ran.err.contains("Error ID: not_found"), "{ran:?}");

    cli.fake.set_limits("shop", autoscalebot_fakes::heroku::Limits { app: Some(5), ..Default::default() });
    let ran = cli.run(&["ps:scale", "web=9", "-a", "shop"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("Error ID: cannot_run_above_limit"), "{ran:?}");
    assert_eq!(cli.fake.quantity("shop", "web"), Some(1));

    cli.fake.set_remaining(0);
    let ran = cli.run(&["ps:scale", "web=2", "-a", "shop"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("Error ID: rate_limit"), "{ran:?}");

    cli.fake.set_key("another");
    let ran = cli.run(&["ps:scale", "web=2", "-a", "shop"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("HEROKU_API_KEY is invalid"), "{ran:?}");
}
