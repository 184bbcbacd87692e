//! Odd inputs to every reader of text from outside that this program has: no panic, and no secret in any message.
//!
//! Good texts are mutated by cutting, doubling, swapping and sprinkling pieces, so that the inputs come close to what is
//! accepted. `scripts/fuzz` runs a million of each; here it is a short round. A failure prints its seed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot build its input fails")]

use std::path::Path;

use autoscalebot_core::fields::{MeasurementKind, NotifyKind, PlatformKind};
use autoscalebot_settings::{Kinds, Outside, Problems};
use common::PLANTED;

mod common;

const SHORT_ROUND: u64 = 3_000;

/// A password in a URL. No message about bad settings may repeat it, and good ones hide it wherever the URL is one still: a
/// mutation may make a path or a name of it, which settings then hold as such.
const IN_URL: &str = "pw-EXAMPLE-5678-in-a-url";

/// Whether the line with [`IN_URL`] came through the mutation, and stands in no string of several lines.
fn keeps_the_url(text: &str) -> bool {
    text.contains(&format!("\nHEARTBEAT_URL = 'http://u:{IN_URL}@h/'\n")) && !text.contains("\"\"\"")
}

struct AllKinds(Vec<MeasurementKind>, Vec<PlatformKind>, Vec<NotifyKind>);

impl AllKinds {
    fn new() -> Self {
        Self(
            autoscalebot_measure::MEASUREMENTS.iter().map(|entry| entry.kind).collect(),
            autoscalebot_platform::PLATFORMS.iter().map(|entry| entry.kind).collect(),
            autoscalebot_notify::CHANNELS.iter().map(|entry| entry.kind).collect(),
        )
    }

    fn kinds(&self) -> Kinds<'_> {
        Kinds { measurements: &self.0, platforms: &self.1, notifications: &self.2 }
    }
}

/// Pieces that settings are made of, and some that they should not be. None holds the planted secret: set into a name, it would
/// be no secret any more.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\n",
    "\r\n",
    " ",
    "#",
    "\\",
    "\"\"\"",
    "0",
    "-1",
    "1e999",
    "NaN",
    "4294967296",
    "9223372036854775808",
    "\"24:00\"",
    "\"25:00\"",
    "\"Mon-Fri 8:00\"",
    "\"1s\"",
    "\"-1s\"",
    "\"999999h\"",
    "env",
    "file",
    "type",
    "measure",
    "decide",
    "true",
    "None",
    "é",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "os.environ[\"X\"]",
    "f\"{x}\"",
    "lambda: 0",
    "**",
    "x if y else z",
    "min_dynos",
    "MAX_DYNOS",
    "https://u:p@h/",
];

fn mutate(seed: &str, random: &mut fastrand::Rng) -> String {
    let mut text: Vec<char> = seed.chars().collect();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(0..=text.len());
        let to = (at + random.usize(0..12)).min(text.len());
        match random.u8(0..5) {
            0 => drop(text.drain(at..to)),
            1 => {
                let copy = text[at..to].to_vec();
                let place = random.usize(0..=text.len());
                text.splice(place..place, copy);
            }
            2 => text.truncate(at.max(1)),
            3 if at < text.len() => text[at] = random.char('\u{1}'..'\u{2ff}'),
            _ => {
                let piece = PIECES[random.usize(0..PIECES.len())];
                text.splice(at..to, piece.chars());
            }
        }
    }
    text.into_iter().collect()
}

/// Runs a round on each core; the seed of a failing input is in the panic.
fn round(name: &str, seeds: &[&str], read: impl Fn(&str) -> String + Sync) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let inputs = number("AUTOSCALEBOT_FUZZ_INPUTS").unwrap_or(SHORT_ROUND);
    let first = number("AUTOSCALEBOT_FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{name}: {inputs} inputs from seed {first}");
    std::thread::scope(|scope| {
        for half in 0..2 {
            let read = &read;
            scope.spawn(move || {
                for input in (half..inputs).step_by(2) {
                    let seed = first.wrapping_add(input);
                    let mut random = fastrand::Rng::with_seed(seed);
                    let text = mutate(seeds[random.usize(0..seeds.len())], &mut random);
                    let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(&text)));
                    let said = said.unwrap_or_else(|_| panic!("{name}: seed {seed} panics on {text:?}"));
                    assert!(!said.contains(PLANTED), "{name}: seed {seed} shows a secret: {said}");
                    let may_show = said.starts_with("Loaded") && !keeps_the_url(&text);
                    assert!(may_show || !said.contains(IN_URL), "{name}: seed {seed} shows a password: {said}");
                }
            });
        }
    });
}

fn with_outside<R>(run: impl FnOnce(&Outside<'_>) -> R) -> R {
    let outside = Outside {
        variable: &|name| (name == "HEROKU_API_KEY").then(|| PLANTED.to_owned()),
        variables: &Vec::new,
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        folder: Path::new("/nowhere"),
    };
    run(&outside)
}

fn said<T: std::fmt::Debug>(result: Result<T, Problems>) -> String {
    match result {
        Ok(loaded) => format!("{loaded:?}"),
        Err(problems) => format!("{problems}{problems:?}"),
    }
}

fn planted(text: &str) -> String {
    // A literal key, so that every way of quoting it is tried.
    text.replace("{ env = \"HEROKU_API_KEY\" }", &format!("\"{PLANTED}\""))
}

#[test]
fn toml_settings() {
    let kinds = AllKinds::new();
    let (heroku, local) = (include_str!("../../../examples/heroku.toml"), include_str!("../../../examples/local.toml"));
    let literal = planted(heroku);
    round("TOML", &[heroku, local, &literal], |text| {
        with_outside(|outside| {
            said(autoscalebot_settings::from_toml(text, Path::new("a.toml"), kinds.kinds(), outside))
        })
    });
}

#[test]
fn python_settings() {
    let kinds = AllKinds::new();
    let example = include_str!("../../../examples/autoscale_settings.py");
    let literal = format!(
        "HEROKU_API_KEY = '{PLANTED}'\nHEROKU_APP_NAME = 'a'\nHEARTBEAT_URL = 'http://u:{IN_URL}@h/'\nMAX_DYNOS = {{'0:00': 2, '9:00': 5}}\nX = int('5') * -1 + 2\nMIN_DYNOS = X\n"
    );
    round("Python", &[example, &literal], |text| {
        with_outside(|outside| {
            said(autoscalebot_settings::from_python(text, Path::new("a.py"), kinds.kinds(), outside))
        })
    });
}

#[test]
fn procfiles() {
    let seeds =
        ["web: gunicorn app -b 0.0.0.0:$PORT\nworker: celery -A app worker | cat\n# comment\nrelease: ./migrate\r\n"];
    // What a command holds is the user's own; a message about a line must not repeat it.
    round("Procfile", &seeds, |text| match autoscalebot_platform::local::procfile::Procfile::parse(text) {
        Ok(_) => String::new(),
        Err(faults) => faults.iter().map(|fault| format!("{fault}{fault:?}")).collect(),
    });
}
