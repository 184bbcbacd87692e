//! A PostgreSQL server in a folder of its own, which ends with the test. `initdb` refuses to run as root, so root becomes
//! `postgres` for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use autoscalebot_core::Secret;
use autoscalebot_store::Place;
use tempfile::TempDir;

pub const PASSWORD: &str = "planted-secret-0123456789abcdef0123";

pub struct Server {
    folder: TempDir,
    port: u16,
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("asbpg").tempdir_in("/tmp").unwrap();
        if is_root() {
            let owner = Command::new("chown").args(["postgres", folder.path().to_str().unwrap()]).status().unwrap();
            assert!(owner.success(), "no user postgres: run scripts/install-test-postgres");
        }
        let port = autoscalebot_fakes::free_port().unwrap();
        let server = Self { folder, port };
        std::fs::write(server.path("password"), PASSWORD).unwrap();
        let (data, password) = (server.path("data"), server.path("password"));
        let made = [
            "-D",
            data.to_str().unwrap(),
            "-U",
            "keeper",
            "-A",
            "scram-sha-256",
            "--pwfile",
            password.to_str().unwrap(),
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ];
        server.run("initdb", &made);
        server.up();
        server
    }

    pub fn up(&self) {
        let options = format!("-p {} -k {} -c listen_addresses=127.0.0.1 -F", self.port, self.folder.path().display());
        let (data, log) = (self.path("data"), self.path("log"));
        let (data, log) = (data.to_str().unwrap(), log.to_str().unwrap());
        self.run("pg_ctl", &["-D", data, "-l", log, "-w", "-t", "60", "-o", &options, "start"]);
    }

    pub fn down(&self) {
        self.run("pg_ctl", &["-D", self.path("data").to_str().unwrap(), "-m", "immediate", "-w", "stop"]);
    }

    /// From the next start on, connections may be encrypted, with a certificate that nobody signed.
    pub fn encrypt(&self) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        for (name, text) in [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())] {
            let file = self.path("data").join(name);
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            if is_root() {
                assert!(Command::new("chown").arg("postgres").arg(&file).status().unwrap().success());
            }
        }
        let settings = self.path("data").join("postgresql.conf");
        let mut text = std::fs::read_to_string(&settings).unwrap();
        text.push_str("\nssl = on\n");
        std::fs::write(&settings, text).unwrap();
    }

    pub fn url(&self) -> String {
        format!("postgres://keeper:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    pub fn place(&self) -> Place {
        Place::Postgres(Secret::new(self.url()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, program: &str, args: &[&str]) {
        let program = program_path(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        // The server keeps what it inherits open: pipes of this process would never end.
        let out = std::fs::File::create(self.path("out")).unwrap();
        let err = out.try_clone().unwrap();
        let done =
            command.args(args).current_dir("/tmp").stdin(Stdio::null()).stdout(out).stderr(err).status().unwrap();
        let said = || std::fs::read_to_string(self.path("out")).unwrap_or_default();
        assert!(done.success(), "{args:?}: {}", said());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.path("data/postmaster.pid").exists() {
            self.down();
        }
    }
}

fn is_root() -> bool {
    let said = Command::new("id").arg("-u").output().unwrap();
    said.stdout == b"0\n"
}

/// Debian keeps the server's programs out of the path, by version.
fn program_path(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|entry| entry.path().join("bin").join(name)).filter(|p| p.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| Path::new(name).to_owned())
}
