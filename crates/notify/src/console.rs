//! `console`: one line on standard output (or standard error) for each event, with its time.
//!
//! Standard output may be a pipe that nobody reads, and a write to it then waits for ever. So the writing is done by a
//! thread of its own: what waits there is one channel, not a worker of the runtime and not the end of the program.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use async_trait::async_trait;
use autoscalebot_core::Event;
use autoscalebot_core::fields::{Description, Field, FieldError, FieldType, NotifyKind};
use tokio::sync::oneshot;

use crate::{Notify, NotifyEntry, NotifyError, one_line};

/// The entry in the list of channels.
pub const ENTRY: NotifyEntry = NotifyEntry {
    kind: NotifyKind {
        description: Description {
            name: "console",
            doc: "One line on standard output for each event.",
            fields: &[Field::defaulting(
                TO,
                FieldType::OneOf(&["stdout", STDERR]),
                "\"stdout\"",
                "Where the lines go; with `run --json` always to standard error, as standard output is for the records.",
            )],
            shorthand: &[],
        },
        check: |_| Ok(()),
    },
    build: |values| {
        let console = match values.text(TO) {
            Some(STDERR) => Console::new(io::stderr()),
            _ => Console::new(io::stdout()),
        };
        Ok(Arc::new(console.map_err(|error| FieldError::new("type", error.to_string()))?))
    },
};

/// The field that says where the lines go.
pub const TO: &str = "to";
/// Its value for standard error.
pub const STDERR: &str = "stderr";

/// Lines that wait for the thread; more than that, and nobody reads them.
const WAITING_LINES: usize = 16;

type Line = (String, oneshot::Sender<io::Result<()>>);

/// Writes lines.
pub struct Console {
    lines: SyncSender<Line>,
}

impl Console {
    /// Writes to `out`, from a thread that ends when the channel is dropped.
    pub fn new(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel::<Line>(WAITING_LINES);
        std::thread::Builder::new().name("notify-console".into()).spawn(move || {
            for (line, done) in waiting {
                // A try that was given up on is made again: its line is not for printing twice.
                if done.is_closed() {
                    continue;
                }
                let written = out.write_all(line.as_bytes()).and_then(|()| out.flush());
                // Nobody waits any more: the time limit passed while the line was being written.
                let _ = done.send(written);
            }
        })?;
        Ok(Self { lines })
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console")
    }
}

#[async_trait]
impl Notify for Console {
    async fn send(&self, event: &Event) -> Result<(), NotifyError> {
        let line = format!("{:.0} {}\n", event.at, one_line(&event.to_string()));
        let (done, written) = oneshot::channel();
        self.lines.try_send((line, done)).map_err(|error| match error {
            TrySendError::Full(_) => NotifyError::retry("nobody reads standard output"),
            TrySendError::Disconnected(_) => NotifyError::Refused("standard output is gone".into()),
        })?;
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(NotifyError::Refused("standard output is closed".into()))
            }
            Ok(Err(error)) => Err(NotifyError::retry(format!("standard output: {error}"))),
            Err(_) => Err(NotifyError::Refused("standard output is gone".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use autoscalebot_core::{Condition, EventKind};

    use super::*;
    use crate::fixture::{Paper, at, event, scaled};

    /// A pipe that nobody reads, or that is closed.
    struct Pipe {
        closed: bool,
    }

    impl Write for Pipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            if self.closed {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            loop {
                std::thread::park();
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn one_line_for_each_event_with_its_time() {
        let paper = Paper::default();
        let console = Console::new(paper.clone()).unwrap();
        console.send(&scaled(0)).await.unwrap();
        console.send(&Event { app: "a\nb\u{1b}[2J".into(), ..scaled(30) }).await.unwrap();
        let text = paper.text();
        assert_eq!(
            text,
            "2012-07-10T03:59:00Z shop/web: scaled from 3 to 4 dynos: heartbeat: 3 readings in a row were too high\n\
             2012-07-10T03:59:30Z a b [2J/web: scaled from 3 to 4 dynos: heartbeat: 3 readings in a row were too high\n"
        );
    }

    #[tokio::test]
    async fn what_a_decision_does_not_bear_on_is_told_without_its_reason() {
        let paper = Paper::default();
        let console = Console::new(paper.clone()).unwrap();
        for condition in [Condition::BudgetSpent, Condition::BudgetShort, Condition::StoreFailing] {
            console.send(&event(0, EventKind::ConditionBegan(condition), &[condition])).await.unwrap();
        }
        console.send(&event(60, EventKind::ConditionHolds(Condition::StoreFailing, at(0)), &[])).await.unwrap();
        let text = paper.text();
        let lines: Vec<_> = text.lines().map(|line| line.split_once("shop/web: ").unwrap().1).collect();
        let failing = "the store cannot be written, so a restart would forget what is decided now";
        assert_eq!(lines[0], "the budget of this month is used up began: heartbeat: 3 readings in a row were too high");
        assert_eq!(lines[1], "at the pace so far, the budget is used up before the month ends began");
        assert_eq!(lines[2], format!("{failing} began"));
        assert_eq!(lines[3], format!("still so after 1 min: {failing}"));
    }

    #[tokio::test]
    async fn a_pipe_that_nobody_reads_blocks_nothing_but_itself() {
        let console = Console::new(Pipe { closed: false }).unwrap();
        let mut tries = 0;
        // The first line blocks the thread; those after it fill the queue.
        let full = loop {
            tries += 1;
            match tokio::time::timeout(Duration::from_millis(1), console.send(&scaled(0))).await {
                Err(_) => assert!(tries < 10_000),
                Ok(sent) => break sent,
            }
        };
        assert_eq!(full, Err(NotifyError::retry("nobody reads standard output")));
        assert!(tries > WAITING_LINES);
    }

    #[tokio::test]
    async fn a_closed_pipe_is_refused() {
        let console = Console::new(Pipe { closed: true }).unwrap();
        assert_eq!(console.send(&scaled(0)).await, Err(NotifyError::Refused("standard output is closed".into())));
    }
}
