//! RabbitMQ servers, each with a port mapper of its own, so that nothing of Erlang's stays behind.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{MEND, Running, free_port, run, start, until};

/// A RabbitMQ server with its folder. Its user is `guest`, with that password.
pub(crate) struct RabbitMq {
    pub(crate) amqp: u16,
    pub(crate) management: u16,
    _folder: TempDir,
    _mapper: Running,
    /// The process group's number.
    group: u32,
    _server: Running,
}

impl RabbitMq {
    /// A new one; it takes some seconds.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let (amqp, management, mapper, erlang) = (free_port(), free_port(), free_port(), free_port());
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n\
             collect_statistics_interval = 1000\n"
        );
        std::fs::write(path("rabbitmq.conf"), config).unwrap();
        std::fs::write(path("enabled_plugins"), "[rabbitmq_management].").unwrap();
        let epmd = start(Command::new("epmd").args(["-port", &mapper.to_string(), "-address", "127.0.0.1"]));
        let program = "/usr/lib/rabbitmq/bin/rabbitmq-server";
        assert!(std::path::Path::new(program).exists(), "{program} is missing: {MEND}");
        let mut server = Command::new(program);
        server.process_group(0).env("HOME", folder.path()).env("ERL_EPMD_PORT", mapper.to_string());
        server.env("RABBITMQ_NODENAME", format!("test{amqp}@localhost")).env("RABBITMQ_DIST_PORT", erlang.to_string());
        for (name, file) in [
            ("CONFIG_FILE", "rabbitmq.conf"),
            ("MNESIA_BASE", "mnesia"),
            ("LOG_BASE", "log"),
            ("ENABLED_PLUGINS_FILE", "enabled_plugins"),
            ("PID_FILE", "pid"),
            ("CONF_ENV_FILE", "none"),
        ] {
            server.env(format!("RABBITMQ_{name}"), path(file));
        }
        let server = Running(server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let group = server.0.id();
        let rabbit = Self { amqp, management, _folder: folder, _mapper: epmd, group, _server: server };
        until("RabbitMQ", Duration::from_secs(60), || {
            rabbit.curl("GET", "overview", "").status().is_ok_and(|s| s.success())
        });
        rabbit
    }

    fn curl(&self, method: &str, path: &str, body: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["-sf", "-o", "/dev/null", "-u", "guest:guest", "-X", method, "-d", body]);
        curl.args(["-H", "content-type: application/json"]);
        curl.arg(format!("http://127.0.0.1:{}/api/{path}", self.management));
        curl
    }

    /// A change, by the management API.
    pub(crate) fn put(&self, path: &str, body: &str) {
        run(&mut self.curl("PUT", path, body));
    }

    /// Another, by the management API.
    pub(crate) fn post(&self, path: &str, body: &str) {
        run(&mut self.curl("POST", path, body));
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        run(Command::new("kill").args(["-KILL", "--", &format!("-{}", self.group)]));
    }
}
