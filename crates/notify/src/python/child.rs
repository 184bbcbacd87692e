//! [`Child`]: one Python process and the conversation with it. When the last who holds it lets go, its standard input is
//! closed, which it takes as its end; one that does not is killed.

use std::collections::HashMap;
use std::io;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::time::timeout;

use super::host::Python;

/// The longest answer; what user code prints is not among the answers, so no answer needs more.
const LONGEST_ANSWER: u64 = 64 * 1024;
/// How long a Python whose input was closed may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// Why no answer came.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Not in time.
    Late,
    /// The process ended, in this way.
    Ended(String),
}

/// Who waits for which answer; `Err`: the process ended, in this way.
type Waiting = Arc<Mutex<Result<HashMap<u64, oneshot::Sender<Value>>, String>>>;

/// One Python process.
#[derive(Debug)]
pub(super) struct Child {
    input: AsyncMutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
    /// Dropped with the last who holds the child: the task that reads then ends the process.
    _held: oneshot::Sender<()>,
}

impl Child {
    /// Starts it. Must be called inside a tokio runtime.
    pub(super) fn start(python: &Python) -> io::Result<Arc<Self>> {
        let mut command = Command::new(&python.interpreter);
        command.args(["-m", "autoscalebot.child"]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        if let Some(module) = &python.django_settings {
            command.env("DJANGO_SETTINGS_MODULE", module);
        }
        if let Some(path) = &python.path {
            let others = std::env::var_os("PYTHONPATH").filter(|others| !others.is_empty());
            let others = others.iter().flat_map(std::env::split_paths);
            let all = std::env::join_paths(std::iter::once(path.clone()).chain(others));
            command.env("PYTHONPATH", all.map_err(io::Error::other)?);
        }
        let mut process = command.spawn()?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (input, output) = pipes.ok_or_else(|| io::Error::other("it has no pipes"))?;
        let waiting: Waiting = Arc::new(Mutex::new(Ok(HashMap::new())));
        let (held, let_go) = oneshot::channel();
        tokio::spawn(follow(process, output, Arc::clone(&waiting), let_go));
        Ok(Arc::new(Self { input: AsyncMutex::new(input), waiting, next: AtomicU64::new(1), _held: held }))
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, mut request: Value, limit: Duration) -> Result<Value, NoAnswer> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        request["id"] = json!(id);
        let (tell, answer) = oneshot::channel();
        match &mut *lock(&self.waiting) {
            Ok(waiting) => drop(waiting.insert(id, tell)),
            Err(how) => return Err(NoAnswer::Ended(how.clone())),
        }
        let line = format!("{request}\n");
        let talk = async {
            // A write that fails means that the process ended; how, the reading side finds out.
            let _ = self.input.lock().await.write_all(line.as_bytes()).await;
            answer.await
        };
        match timeout(limit, talk).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(NoAnswer::Ended(lock(&self.waiting).as_ref().err().cloned().unwrap_or_default())),
            Err(_) => {
                if let Ok(waiting) = &mut *lock(&self.waiting) {
                    waiting.remove(&id);
                }
                Err(NoAnswer::Late)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands out the answers until the process ends or nobody holds it any more; then sees to its end.
async fn follow(
    mut process: tokio::process::Child,
    output: ChildStdout,
    waiting: Waiting,
    let_go: oneshot::Receiver<()>,
) {
    tokio::select! {
        () = hand_out(output, &waiting) => {}
        // The sender is never used, only dropped.
        _ = let_go => {}
    }
    let how = match timeout(GRACE, process.wait()).await {
        Ok(Ok(status)) => status.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => {
            // It closed its output and goes on, or does not end: nothing more can come of it.
            let _ = process.kill().await;
            "it had to be killed".into()
        }
    };
    *lock(&waiting) = Err(how);
}

async fn hand_out(output: ChildStdout, waiting: &Waiting) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut output).take(LONGEST_ANSWER).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(1..)) || line.last() != Some(&b'\n') {
            return;
        }
        let Ok(answer) = serde_json::from_slice::<Value>(&line) else { return };
        let Some(id) = answer.get("id").and_then(Value::as_u64) else { return };
        let asked = lock(waiting).as_mut().ok().and_then(|waiting| waiting.remove(&id));
        // Whoever asked may have given up.
        if let Some(asked) = asked {
            let _ = asked.send(answer);
        }
    }
}
