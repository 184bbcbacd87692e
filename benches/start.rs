//! The whole program from outside: how long from its start to its first heartbeat, and how much memory `run` holds with one
//! process. Run with `cargo bench -p autoscalebot`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 15;
/// How long the program runs before its memory is read: some hundred ticks.
const SETTLE: Duration = Duration::from_secs(5);

fn main() -> std::io::Result<()> {
    // `cargo test` builds benches, too, and asks each what tests it has.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return Ok(());
    }
    let folder = std::env::temp_dir().join(format!("autoscalebot-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let result = run(&folder);
    std::fs::remove_dir_all(&folder)?;
    result
}

fn run(folder: &Path) -> std::io::Result<()> {
    for scheme in ["http", "https"] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::fs::write(folder.join("autoscalebot.toml"), settings(&format!("{scheme}://{address}/beat")))?;
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let began = Instant::now();
            let mut child = start(folder)?;
            let (_beat, _) = listener.accept()?;
            times.push(began.elapsed());
            child.kill()?;
            child.wait()?;
        }
        times.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        println!(
            "start to first heartbeat, {scheme:5}: median {:.1} ms (min {:.1}, max {:.1}, {RUNS} runs)",
            ms(times[RUNS / 2]),
            ms(times[0]),
            ms(times[RUNS - 1])
        );
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(1..) = stream.read(&mut buffer) {
                        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nBeat").is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let mut child = start(folder)?;
        std::thread::sleep(SETTLE);
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        for line in status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM")) {
            println!("run with one process, {scheme:5}: {line}");
        }
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

fn start(folder: &Path) -> std::io::Result<Child> {
    Command::new(env!("CARGO_BIN_EXE_autoscalebot"))
        .arg("run")
        .current_dir(folder)
        .env("HEROKU_API_KEY", "not-a-key-0123456789abcdef")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// One process on a platform that is not there: what is asked of it is refused, as fast as a tick can be.
fn settings(url: &str) -> String {
    format!(
        r#"
[platforms.heroku]
type = "heroku"
api_key = {{ env = "HEROKU_API_KEY" }}
url = "http://127.0.0.1:9"

[apps.shop.processes.web]
max_dynos = 3

[[apps.shop.processes.web.measure]]
type = "heartbeat"
url = "{url}"
every = "100ms"
decide = {{ type = "consecutive", low = "200ms", high = "1s" }}
"#
    )
}
