//! Redis servers.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::{Running, free_port, listening, run, start};

/// A Redis server with its folder.
pub(crate) struct Redis {
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    arguments: Vec<String>,
    running: Option<Running>,
}

impl Redis {
    /// One with these arguments besides.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        let mut redis = Self { port: free_port(), folder, arguments, running: None };
        redis.start();
        redis
    }

    /// A plain one.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// Starts it, also again.
    pub(crate) fn start(&mut self) {
        let mut command = Command::new("redis-server");
        command.current_dir(self.folder.path()).args(["--save", "", "--bind", "127.0.0.1", "--dir", "."]);
        command.args(["--port", &self.port.to_string()]).args(&self.arguments);
        self.running = Some(start(&mut command));
        listening(self.port, Duration::from_secs(10));
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// Its URL, with database 0.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// A command, by Redis's own client.
    pub(crate) fn cli(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        let said = run(command.args(["-p", &self.port.to_string()]).args(words));
        said.trim().to_owned()
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> String {
        Path::new(self.folder.path()).join(name).to_string_lossy().into_owned()
    }
}
