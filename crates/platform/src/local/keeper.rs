//! The keeper: a process that outlives this program just long enough to end the dyno groups, however this program ended,
//! `kill -9` included. [`run`] is its whole body; `Keeper` is this program's end of the pipe to it.
//!
//! The pipe is the only tie. This program writes `+GROUP` when a dyno was started and `-GROUP` when all of it is gone; when
//! the pipe closes, which the kernel does whatever this program died of, the keeper sends SIGTERM to the groups still
//! listed, SIGKILL 2 s later to what is left, and ends. It leads a group of its own, so that Ctrl-C does not reach it.
//!
//! Between the start of a dyno and its line lie some microseconds in which `kill -9` of this program would leave that dyno
//! running; closing that gap takes code between fork and exec, which safe Rust does not have.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::group::Group;

/// How long the groups may take after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// The body of the keeper: reads until the end, then ends the groups that are still listed. Lines that make no sense are
/// skipped.
pub fn run(stdin: impl BufRead) {
    let mut groups = BTreeSet::new();
    for line in stdin.split(b'\n') {
        let Ok(line) = line else { break };
        note(&mut groups, &line);
    }
    for group in &groups {
        group.terminate();
    }
    let until = Instant::now() + GRACE;
    loop {
        groups.retain(|group| group.is_alive());
        if groups.is_empty() || Instant::now() >= until {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    for group in &groups {
        group.kill();
    }
}

fn note(groups: &mut BTreeSet<Group>, line: &[u8]) {
    let Ok(line) = std::str::from_utf8(line) else { return };
    let group = |number: &str| number.trim().parse().ok().and_then(Group::led_by);
    if let Some(group) = line.strip_prefix('+').and_then(group) {
        groups.insert(group);
    } else if let Some(group) = line.strip_prefix('-').and_then(group) {
        groups.remove(&group);
    }
}

/// This program's end: the running keeper. Dropped, the pipe closes and the keeper does its work.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Its stdin is the pipe; taken when the keeper is sent away.
    child: Mutex<Child>,
}

impl Keeper {
    /// Starts it; `command` is the program and its arguments.
    pub(crate) fn start(command: &[OsString]) -> io::Result<Self> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the keeper's command is empty"));
        };
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { child: Mutex::new(child) })
    }

    /// Lists a group that was just started.
    pub(crate) fn add(&self, group: Group) -> io::Result<()> {
        self.write('+', group)
    }

    /// Strikes a group of which nothing runs any more.
    pub(crate) fn remove(&self, group: Group) -> io::Result<()> {
        self.write('-', group)
    }

    fn write(&self, sign: char, group: Group) -> io::Result<()> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        match child.stdin.as_mut() {
            // A pipe holds 64 kB and the keeper only reads, so this does not wait.
            Some(stdin) => stdin.write_all(format!("{sign}{}\n", group.number()).as_bytes()),
            None => Ok(()),
        }
    }

    /// Sends it away and reaps it; with no group listed it ends at once. `false`: it has not ended yet.
    pub(crate) fn dismiss(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        drop(child.stdin.take());
        !matches!(child.try_wait(), Ok(None))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Not killed: it may have groups to end, and ends by itself after that.
        self.dismiss();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_and_go_and_nonsense_is_skipped() {
        let mut groups = BTreeSet::new();
        for line in ["+12", "+13", "-12", "+0", "+1", "+-1", "-99", "+x", "", "14", "+99999999999", "+15\r"] {
            note(&mut groups, line.as_bytes());
        }
        note(&mut groups, &[b'+', 0xff]);
        assert_eq!(groups.iter().map(|group| group.number()).collect::<Vec<_>>(), [13, 15]);
    }

    #[test]
    fn ends_what_is_still_listed() {
        let mut kept =
            Command::new("sh").args(["-c", "trap '' TERM; sleep 60 | sleep 60"]).process_group(0).spawn().unwrap();
        let mut struck = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        thread::sleep(Duration::from_millis(100));
        run(format!("+{}\n+{1}\n-{1}\n", kept.id(), struck.id()).as_bytes());
        assert!(!kept.wait().unwrap().success());
        // The rest of the pipeline is the init process's to reap, which takes a moment on a busy machine.
        let until = Instant::now() + Duration::from_secs(10);
        while Group::led_by(kept.id()).unwrap().is_alive() {
            assert!(Instant::now() < until, "the group is still there");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(struck.try_wait().unwrap().is_none());
        struck.kill().unwrap();
        struck.wait().unwrap();
    }
}
