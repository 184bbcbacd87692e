//! `console`: one line on standard output for each event, with its time.
//!
//! Standard output may be a pipe that nobody reads, and a write to it then waits for ever. So the writing is done by a
//! thread of its own: what waits there is one channel, not a worker of the runtime and not the end of the program.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use async_trait::async_trait;
use autoscalebot_core::Event;
use autoscalebot_core::fields::{Description, FieldError, NotifyKind};
use tokio::sync::oneshot;

use crate::{Notify, NotifyEntry, NotifyError, one_line};

/// The entry in the list of channels.
pub const ENTRY: NotifyEntry = NotifyEntry {
    kind: NotifyKind {
        description: Description {
            name: "console",
            doc: "One line on standard output for each event.",
            fields: &[],
            shorthand: &[],
        },
        check: |_| Ok(()),
    },
    build: |_| {
        let console = Console::new(io::stdout()).map_err(|error| FieldError::new("type", error.to_string()))?;
        Ok(Arc::new(console))
    },
};

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
