//! Reading a Procfile: `name: command`, one process type a line. Text in, a table or every fault out; no file is opened here.
//!
//! The format is Heroku's (<https://devcenter.heroku.com/articles/procfile>); comments and blank lines are allowed as Foreman
//! allows them. `release` is a task that runs once at a deploy, not a process type that runs on: it is read and left out.

use std::collections::BTreeMap;
use std::fmt;

/// The process types of an app, with the command of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Procfile {
    /// The command by process type, without `release`.
    pub commands: BTreeMap<String, String>,
}

/// A line of a Procfile that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1; 0 where the whole file is at fault.
    pub line: usize,
    /// What is wrong, and the mend.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.message) } else { write!(f, "line {}: {}", self.line, self.message) }
    }
}

/// The longest name of a process type; it becomes part of `DYNO`, of log lines and of metrics.
const NAME_MAX: usize = 63;

/// The most process types that one Procfile may have.
const TYPES_MAX: usize = 1000;

impl Procfile {
    /// Reads a Procfile; all its faults at once, where there are any.
    ///
    /// ```
    /// use autoscalebot_platform::local::procfile::Procfile;
    /// let read = Procfile::parse("# the shop\nweb: python3 app.py | tee log\n").unwrap();
    /// assert_eq!(read.commands["web"], "python3 app.py | tee log");
    /// ```
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut commands = BTreeMap::new();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut faults = Vec::new();
        // `lines` takes `\r\n` for one line end; a lone `\r` stays in the line and is trimmed or refused below.
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match split(line) {
                Err(message) => faults.push(Fault { line: number, message }),
                Ok((name, command)) => {
                    if let Some(first) = seen.insert(name, number) {
                        let message = format!("`{name}` is already on line {first}: remove one of them");
                        faults.push(Fault { line: number, message });
                    } else if name != "release" {
                        commands.insert(name.to_owned(), command.to_owned());
                    }
                }
            }
        }
        if seen.len() > TYPES_MAX {
            faults.push(Fault { line: 0, message: format!("more than {TYPES_MAX} process types") });
        }
        if seen.is_empty() && faults.is_empty() {
            let message = "there is no process type in it: write a line such as `web: ./serve --port $PORT`";
            faults.push(Fault { line: 0, message: message.to_owned() });
        }
        if faults.is_empty() { Ok(Self { commands }) } else { Err(faults) }
    }
}

/// The name and command of a line that is neither blank nor a comment.
fn split(line: &str) -> Result<(&str, &str), String> {
    let Some((name, command)) = line.split_once(':') else {
        return Err("there is no colon: write `name: command`".to_owned());
    };
    let (name, command) = (name.trim_end(), command.trim());
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if name.is_empty() || !name.chars().all(allowed) {
        return Err("before the colon goes a name of letters, digits, `-` and `_`".to_owned());
    }
    if name.len() > NAME_MAX {
        return Err(format!("the name is longer than {NAME_MAX} letters"));
    }
    if command.is_empty() {
        return Err(format!("`{name}` has no command: write it after the colon"));
    }
    if command.contains(['\0', '\r']) {
        return Err(format!("the command of `{name}` holds a control character"));
    }
    Ok((name, command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Row<T> = (&'static str, &'static str, &'static [T]);

    #[test]
    fn good_files() {
        let table: &[Row<(&str, &str)>] = &[
            ("one", "web: run", &[("web", "run")]),
            ("no space, spaces around", "web:run \n worker :  work  \n", &[("web", "run"), ("worker", "work")]),
            ("comments and blanks", "# x\n\n  # y\nweb: a # b\n", &[("web", "a # b")]),
            ("windows line ends", "web: run\r\nwork_2-x: b\r\n", &[("web", "run"), ("work_2-x", "b")]),
            ("byte order mark", "\u{feff}web: run", &[("web", "run")]),
            ("colons in the command", "web: run http://x:1 | tee", &[("web", "run http://x:1 | tee")]),
            ("release is no dyno", "release: migrate\nweb: run", &[("web", "run")]),
            ("only release", "release: migrate", &[]),
        ];
        for (name, text, expected) in table {
            let read = Procfile::parse(text).unwrap();
            let found: Vec<_> = read.commands.iter().map(|(name, command)| (name.as_str(), command.as_str())).collect();
            assert_eq!(found, *expected, "{name}");
        }
    }

    #[test]
    fn bad_files_name_every_line() {
        let table: &[Row<(usize, &str)>] = &[
            ("empty", "", &[(0, "no process type")]),
            ("only comments", "# x\n", &[(0, "no process type")]),
            ("no colon", "web: a\nworker b", &[(2, "no colon")]),
            ("no name", ": a", &[(1, "name of letters")]),
            ("bad name", "we b: a", &[(1, "name of letters")]),
            ("no command", "web:  ", &[(1, "`web` has no command")]),
            ("twice", "web: a\n\nweb: b", &[(3, "already on line 1")]),
            ("several", "x\nweb: a\ny z: b\nweb: c", &[(1, "colon"), (3, "letters"), (4, "already")]),
            ("zero byte", "web: a\0b", &[(1, "control")]),
            ("lone carriage return", "web: a\rb: c", &[(1, "control")]),
        ];
        for (name, text, expected) in table {
            let faults = Procfile::parse(text).unwrap_err();
            assert_eq!(faults.len(), expected.len(), "{name}: {faults:?}");
            for (fault, (line, part)) in faults.iter().zip(*expected) {
                assert_eq!(fault.line, *line, "{name}");
                assert!(fault.message.contains(part), "{name}: {fault}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_by_line(text in "(?s)[a-c:# \r\n\t\0é_-]{0,80}") {
            match Procfile::parse(&text) {
                Ok(read) => for (name, command) in &read.commands {
                    // What was read is a Procfile again, and reads to the same.
                    let again = Procfile::parse(&format!("{name}: {command}")).unwrap();
                    prop_assert_eq!(&again.commands[name], command);
                },
                Err(faults) => {
                    prop_assert!(!faults.is_empty());
                    let lines = text.lines().count();
                    prop_assert!(faults.iter().all(|fault| fault.line <= lines));
                }
            }
        }
    }
}
