//! Process groups: each dyno is the leader of its own, so that a signal reaches whatever its command started, pipelines and
//! grandchildren included. Signals are sent here and nowhere else.
//!
//! The kernel gives the number of a group to no new process while any process of the group is left. After the last was reaped
//! it might, in theory within the instant until the group is forgotten here; it counts through all numbers first.
//!
//! A process that moves itself to a new session leaves the group and is not found again; daemons that do so by default have an
//! option against it (`--no-daemon`, `--foreground`).

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// The number of a process group, which is that of the process that leads it. Never 0 or 1: those would mean this
/// program's own group and everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group(i32);

impl Group {
    /// The group led by this process.
    pub(crate) fn led_by(pid: u32) -> Option<Self> {
        i32::try_from(pid).ok().filter(|pid| *pid > 1).map(Self)
    }

    /// Its number.
    pub(crate) fn number(self) -> i32 {
        self.0
    }

    /// Asks every process in it to end.
    pub(crate) fn terminate(self) {
        self.signal(Signal::TERM);
    }

    /// Ends every process in it.
    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
    }

    fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.0) {
            // It fails where none is left, which is what is wanted.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Whether a process in it still runs. A zombie does not count: where process 1 does not reap orphans, as in some
    /// containers, it would stay for ever.
    pub(crate) fn is_alive(self) -> bool {
        let Some(pid) = Pid::from_raw(self.0) else { return false };
        if test_kill_process_group(pid).is_err() {
            return false;
        }
        let Ok(processes) = std::fs::read_dir("/proc") else { return true };
        let mut read_any = false;
        for entry in processes.flatten() {
            if !entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit) {
                continue;
            }
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            read_any = true;
            if member(&stat) == Some((self.0, true)) {
                return true;
            }
        }
        !read_any
    }
}

/// From a line of `/proc/PID/stat`: the process group, and whether the process runs. The name, in brackets, may hold
/// anything, brackets included; what follows its last bracket is `state parent group …`.
fn member(stat: &str) -> Option<(i32, bool)> {
    let mut words = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = words.next()?;
    let group = words.nth(1)?.parse().ok()?;
    Some((group, !matches!(state, "Z" | "X")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_stat() {
        assert_eq!(member("9999 (sleep) S 1 9983 4771 0"), Some((9983, true)));
        assert_eq!(member("9999 (a) b) (c) Z 1 42 4771 0"), Some((42, false)));
        assert_eq!(member("9999 (x"), None);
        assert_eq!(member(""), None);
    }

    #[test]
    fn never_everything_nor_oneself() {
        assert_eq!(Group::led_by(0), None);
        assert_eq!(Group::led_by(1), None);
        assert_eq!(Group::led_by(u32::MAX), None);
    }
}
