//! PostgreSQL servers.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::{Running, free_port, run, start, until};

/// A PostgreSQL server with its folder.
pub(crate) struct Postgres {
    pub(crate) port: u16,
    folder: TempDir,
    running: Option<Running>,
}

/// A program of the newest version that is installed.
fn program(name: &str) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join(name).exists()).max();
    let bin = newest.unwrap_or_else(|| PathBuf::from("/usr/lib/postgresql"));
    let mut command = Command::new(bin.join(name));
    // It runs as nobody's administrator.
    if let Some((user, group)) = user() {
        command.uid(user).gid(group);
    }
    command
}

/// The user to run it as, where this is root.
fn user() -> Option<(u32, u32)> {
    let number = |option: &str, words: &[&str]| run(Command::new("id").arg(option).args(words)).trim().parse().unwrap();
    (number("-u", &[]) == 0).then(|| (number("-u", &["postgres"]), number("-g", &["postgres"])))
}

impl Postgres {
    /// One whose user `me` has this password.
    pub(crate) fn new(password: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pw = folder.path().join("pw");
        std::fs::write(&pw, password).unwrap();
        let mut postgres = Self { port: free_port(), folder, running: None };
        postgres.give(&[".", "pw"]);
        let mut initdb = program("initdb");
        initdb.current_dir(postgres.folder.path()).args(["-D", "data", "-U", "me", "--no-sync", "-E", "UTF8"]);
        run(initdb.args(["--auth", "scram-sha-256", "--pwfile", "pw"]));
        postgres.start(&[]);
        postgres
    }

    /// Makes files of its folder the server's own.
    pub(crate) fn give(&self, names: &[&str]) {
        let Some((user, group)) = user() else { return };
        for name in names {
            std::os::unix::fs::chown(self.path(name), Some(user), Some(group)).unwrap();
        }
    }

    /// Starts it, with these settings.
    pub(crate) fn start(&mut self, settings: &[&str]) {
        let mut command = program("postgres");
        command.current_dir(self.folder.path()).args(["-D", "data", "-p", &self.port.to_string(), "-k", ""]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "timezone=America/Vancouver"]);
        for setting in settings {
            command.args(["-c", setting]);
        }
        self.running = Some(start(&mut command));
        let ready = || {
            let mut ready = program("pg_isready");
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]).status().is_ok_and(|s| s.success())
        };
        until("PostgreSQL", Duration::from_secs(30), ready);
    }

    /// Ends it, all its connections at once.
    pub(crate) fn stop(&mut self) {
        // Killed hard, the server's own children would live on for a while.
        if let Some(running) = &mut self.running {
            let pid = running.0.id().to_string();
            run(Command::new("kill").args(["-INT", &pid]));
            let _ = running.0.wait();
        }
        self.running = None;
    }

    /// Its URL, with this user and password in percent, and this database.
    pub(crate) fn url(&self, login: &str, database: &str) -> String {
        format!("postgres://{login}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL.
    pub(crate) fn psql(&self, password: &str, database: &str, sql: &str) -> String {
        let mut psql = Command::new("psql");
        psql.env("PGPASSWORD", password).args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "me"]);
        run(psql.args(["-d", database, "-q", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql]))
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> String {
        Path::new(self.folder.path()).join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}
