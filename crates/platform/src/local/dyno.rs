//! The life of one dyno, from its first start to its end: a task that starts the command, waits until it listens, starts it
//! again with growing pauses when it ends by itself, and stops it when told. How many there are is the supervisor's choice.
//!
//! What happens is said in Heroku's words, as lines of `heroku[web.1]`
//! (<https://devcenter.heroku.com/articles/dyno-states>).
//!
//! Tokio starts each command as the leader of a process group and reaps it; process-wrap would do the same with a blocked
//! thread for each dyno.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::group::Group;
use super::ports::Port;
use super::pump::pump;
use super::routes::{Phase, Place};
use super::supervisor::House;

/// How long the processes may take after SIGTERM when the whole platform stops.
const QUIT_GRACE: Duration = Duration::from_millis(1500);

/// How often a starting dyno is asked whether it listens.
const LISTEN_POLL: Duration = Duration::from_millis(25);

/// How long one such question may take.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long output may still come after the last process has gone.
const OUTPUT_GRACE: Duration = Duration::from_millis(200);

/// What a dyno is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// Run on.
    Run,
    /// Take no new request, finish those that are open, end.
    Retire,
    /// End now.
    Quit,
}

/// Who a dyno is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// `web.1`
    pub(crate) name: Arc<str>,
    /// Through `sh -c`.
    pub(crate) command: Arc<str>,
    /// Whether the proxy sends requests to it.
    pub(crate) web: bool,
}

/// Why a run of the command was over.
enum End {
    Ordered,
    Crashed { boot_timeout: bool },
}

/// Lives until told to end.
pub(crate) async fn live(house: Arc<House>, who: Identity, mut order: watch::Receiver<Order>) {
    let place = who.web.then(|| house.routes.enter(Arc::clone(&who.name)));
    let mut pauses = pauses(&house);
    let mut crashes = 0;
    loop {
        let began = Instant::now();
        let boot_timeout = match run(&house, &who, place.as_ref(), &mut order).await {
            End::Ordered => return,
            End::Crashed { boot_timeout } => boot_timeout,
        };
        if began.elapsed() >= house.options.steady_after {
            crashes = 0;
            pauses = self::pauses(&house);
        }
        crashes += 1;
        set(place.as_ref(), Phase::Crashed { times: crashes, boot_timeout });
        let pause = pauses.next().unwrap_or(house.options.restart_pause_max).min(house.options.restart_pause_max);
        tokio::select! {
            () = sleep(pause) => {}
            () = told(&mut order, Order::Retire) => return,
        }
        house.say(&who, "State changed from crashed to starting");
        set(place.as_ref(), Phase::Starting);
    }
}

/// Waits until told this, or more. A supervisor that is gone tells every dyno to end.
async fn told(order: &mut watch::Receiver<Order>, least: Order) {
    let _ = order.wait_for(|order| *order >= least).await;
}

/// The pauses before each new start: doubling, with some chance in them so that dynos that crashed together do not start
/// together.
fn pauses(house: &House) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(house.options.restart_pause_min)
        .with_max_delay(house.options.restart_pause_max)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
}

fn set(place: Option<&Place>, phase: Phase) {
    if let Some(place) = place {
        place.set(phase);
    }
}

/// One run of the command.
async fn run(house: &House, who: &Identity, place: Option<&Place>, order: &mut watch::Receiver<Order>) -> End {
    house.say(who, format!("Starting process with command `{}`", who.command));
    let mut running = match Running::start(house, who) {
        Ok(running) => running,
        Err(error) => {
            house.say(who, format!("Error: the process cannot be started: {error}"));
            house.say(who, "State changed from starting to crashed");
            return End::Crashed { boot_timeout: false };
        }
    };
    let mut state = "starting";
    if place.is_none() {
        state = "up";
        house.say(who, "State changed from starting to up");
    }
    let boot_deadline = Instant::now() + house.options.boot_timeout;
    loop {
        tokio::select! {
            status = running.child.wait() => {
                set(place, Phase::Starting);
                running.clear(house, who, status.ok()).await;
                house.say(who, format!("State changed from {state} to crashed"));
                return End::Crashed { boot_timeout: false };
            }
            address = listens(running.port.number), if state == "starting" => {
                state = "up";
                house.say(who, "State changed from starting to up");
                set(place, Phase::Listening(address));
            }
            () = sleep_until(boot_deadline), if state == "starting" => {
                let secs = house.options.boot_timeout.as_secs();
                let said = format!(
                    "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within {secs} seconds of launch"
                );
                house.say(who, said);
                house.say(who, "Stopping process with SIGKILL");
                running.group.kill();
                let status = running.child.wait().await;
                running.clear(house, who, status.ok()).await;
                house.say(who, "State changed from starting to crashed");
                return End::Crashed { boot_timeout: true };
            }
            () = told(order, Order::Retire) => {
                set(place, Phase::Retiring);
                running.retire(house, who, place, order).await;
                house.say(who, format!("State changed from {state} to down"));
                return End::Ordered;
            }
        }
    }
}

/// The address where something listens on this port, as soon as it does. Apps that listen on `localhost` may mean either
/// family.
async fn listens(port: u16) -> SocketAddr {
    loop {
        for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let address = SocketAddr::new(address, port);
            if let Ok(Ok(stream)) = timeout(LISTEN_TIMEOUT, TcpStream::connect(address)).await {
                // Connecting to a port of the range for outgoing connections may meet itself; nobody listens then.
                if stream.local_addr().ok() != Some(address) {
                    return address;
                }
            }
        }
        sleep(LISTEN_POLL).await;
    }
}

/// A started command.
struct Running<'a> {
    child: Child,
    group: Group,
    port: Port,
    output: Vec<JoinHandle<()>>,
    house: &'a House,
    /// Whether all of the group is gone and the keeper knows.
    cleared: bool,
}

impl<'a> Running<'a> {
    fn start(house: &'a House, who: &Identity) -> io::Result<Self> {
        let port = house.ports.take().ok_or_else(|| io::Error::other("no free port is left for it"))?;
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg(&*who.command)
            .current_dir(&house.folder)
            .envs(&house.variables)
            .env("PORT", port.number.to_string())
            .env("DYNO", &*who.name)
            .env("PS", &*who.name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(Group::led_by).ok_or_else(|| io::Error::other("it has no process id"))?;
        house.started(group);
        let logs = || (house.logs.clone(), Arc::clone(&who.name));
        let output = [
            child.stdout.take().map(|out| tokio::spawn(pump(out, logs()))),
            child.stderr.take().map(|err| tokio::spawn(pump(err, logs()))),
        ];
        let output = output.into_iter().flatten().collect();
        Ok(Self { child, group, port, output, house, cleared: false })
    }

    /// Lets open requests finish, then ends the processes, gently if they go in time.
    async fn retire(
        &mut self,
        house: &House,
        who: &Identity,
        place: Option<&Place>,
        order: &mut watch::Receiver<Order>,
    ) {
        let grace = house.options.stop_grace;
        if let Some(place) = place {
            tokio::select! {
                _ = timeout(grace, place.idle()) => {}
                _ = self.child.wait() => {}
                () = told(order, Order::Quit) => {}
            }
        }
        house.say(who, "Stopping all processes with SIGTERM");
        self.group.terminate();
        let out_of_time = async {
            tokio::select! {
                () = sleep(grace) => {}
                () = told(order, Order::Quit) => sleep(QUIT_GRACE.min(grace)).await,
            }
        };
        let group = self.group;
        let ended = async {
            let status = self.child.wait().await;
            // What the leader started may take longer than the leader.
            while group.is_alive() {
                sleep(Duration::from_millis(20)).await;
            }
            status
        };
        let ended = tokio::select! {
            status = ended => Some(status),
            () = out_of_time => None,
        };
        let status = match ended {
            Some(status) => status,
            None => {
                let secs = grace.as_secs();
                let said = format!(
                    "Error R12 (Exit timeout) -> At least one process failed to exit within {secs} seconds of SIGTERM"
                );
                house.say(who, said);
                house.say(who, "Stopping remaining processes with SIGKILL");
                self.group.kill();
                self.child.wait().await
            }
        };
        self.clear(house, who, status.ok()).await;
    }

    /// After the leader was reaped: ends what is left of its group, reads the last output, says how it ended.
    async fn clear(&mut self, house: &House, who: &Identity, status: Option<ExitStatus>) {
        self.group.kill();
        for output in &mut self.output {
            if timeout(OUTPUT_GRACE, &mut *output).await.is_err() {
                output.abort();
            }
        }
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.group.is_alive() && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
        house.ended(self.group);
        self.cleared = true;
        // As shells count: a signal is 128 and its number.
        let number = status.map(|status| status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
        if let Some(number) = number {
            house.say(who, format!("Process exited with status {number}"));
        }
    }
}

impl Drop for Running<'_> {
    /// The last resort, when the task is dropped with the runtime.
    fn drop(&mut self) {
        if !self.cleared {
            self.group.kill();
            self.house.ended(self.group);
        }
    }
}
