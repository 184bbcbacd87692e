//! The Python at hand: the one whose package brought this program along. It computes settings that reading alone does not
//! give, and runs notification backends.
//!
//! A secret comes from it through a pipe only: never by a file, an argument or a variable.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use autoscalebot_core::Secret;
use autoscalebot_settings::{Outside, Source};

use crate::fault::Fault;

/// The variable that names it; the Python package sets it for what it starts.
const VARIABLE: &str = "AUTOSCALEBOT_PYTHON";
/// The longest text of settings: more is something else on the pipe.
const LONGEST: u64 = 4 * 1024 * 1024;
/// How long a settings module may take to run.
const LIMIT: Duration = Duration::from_secs(60);

/// A variable of the environment; where none names the Python at hand, it is the one beside this program, as in a virtual
/// environment.
pub(crate) fn variable(name: &str) -> Option<String> {
    let set = autoscalebot_settings::variable(name).filter(|value| !value.is_empty());
    if set.is_some() || name != VARIABLE {
        return set;
    }
    let program = std::env::current_exe().ok()?;
    let beside = program.parent()?.join("python3");
    beside.is_file().then(|| beside.to_str().map(str::to_owned)).flatten()
}

/// What `--settings` names: `-` is a JSON object on standard input, all else a Python module or file. One that cannot be
/// read without running it is run, if there is a Python to do so.
pub(crate) fn source(named: &str, outside: &Outside<'_>) -> Result<Source, Fault> {
    if named == "-" {
        return Ok(Source::Json(Secret::new(bounded(std::io::stdin().lock())?)));
    }
    let source = Source::python(named);
    let Source::Python(path) = &source else { return Ok(source) };
    if autoscalebot_settings::is_literal(path, outside) {
        return Ok(source);
    }
    let Some(python) = (outside.variable)(VARIABLE) else { return Ok(source) };
    let why = if outside.folder.join(path).is_file() { "computes its values" } else { "is not in this folder" };
    writeln!(std::io::stderr(), "{named} {why}: it is run with {python}")?;
    run(&python, named, outside.folder).map(Source::Json)
}

/// Runs a settings module, and takes its values as JSON.
fn run(python: &str, named: &str, folder: &Path) -> Result<Secret, Fault> {
    let failed = |why: String| Fault::usage(format!("--settings={named} gave no settings: {why}"));
    let mut child = Command::new(python)
        .args(["-m", "autoscalebot.module_settings", named])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("{python} cannot be started: {error}")))?;
    let output = child.stdout.take();
    // Read while it runs, as a pipe holds less than a module may write.
    let reading = std::thread::spawn(move || output.map(bounded).transpose());
    let until = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Err(failed(format!("it ran for more than {} s", LIMIT.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    if !status.success() {
        return Err(failed(format!("Python says why above ({status})")));
    }
    let text = reading.join().map_err(|_| failed("its output cannot be read".into()))??;
    Ok(Secret::new(text.unwrap_or_default()))
}

fn bounded(from: impl Read) -> Result<String, Fault> {
    let mut text = String::new();
    from.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(Fault::usage("the settings are larger than 4 MiB"));
    }
    Ok(text)
}
