//! [`Problem`]: what is wrong with a setting, where it is set, and the mend. Nothing a reader may not see gets into one:
//! the readers never put a secret in, and [`Problems::scrubbed`] looks again before anything leaves this crate.

use std::fmt;
use std::sync::Arc;

/// Something wrong with the settings, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or `environment`; `None` where no settings were found at all.
    pub file: Option<Arc<str>>,
    /// The line in the file, from 1.
    pub line: Option<u32>,
    /// The setting, as a dotted path or by its 2.1 name; empty where the text itself is broken.
    pub setting: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            (None, _) => {}
        }
        if !self.setting.is_empty() {
            write!(f, "{}: ", self.setting)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with the settings, by line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// One problem that belongs to no line.
    pub fn one(file: Option<Arc<str>>, setting: &str, message: impl Into<String>) -> Self {
        Self(vec![Problem { file, line: None, setting: setting.into(), message: message.into() }])
    }

    /// Sorts by line and hides every known secret that a message might still hold.
    pub(crate) fn scrubbed(mut problems: Vec<Problem>, secrets: &[String]) -> Self {
        // Stable: of two problems of one line, the one found first comes first; those without a line come last.
        problems.sort_by_key(|problem| problem.line.unwrap_or(u32::MAX));
        problems.dedup();
        for problem in &mut problems {
            for secret in secrets {
                problem.message = problem.message.replace(secret.as_str(), "***");
                problem.setting = problem.setting.replace(secret.as_str(), "***");
            }
        }
        Self(problems)
    }

    /// Each problem, by line.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    /// One problem a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A text from the settings as a message may show it: in quotes if it is a short plain word or sentence, else only its
/// length. Text in a wrong place may be a secret, and long or odd texts are what secrets look like.
pub(crate) fn shown(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-/:., +~".contains(c);
    if text.is_empty() {
        "an empty text".into()
    } else if text.chars().count() <= 32 && text.chars().all(plain) {
        format!("\"{text}\"")
    } else {
        format!("a text of {} characters", text.chars().count())
    }
}

/// The known word nearest to a wrong one, if one is near.
pub(crate) fn nearest<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A long text is no slip of a word, and comparing it would take long.
    if wrong.len() > 80 {
        return None;
    }
    let wrong = wrong.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&wrong, &word.to_lowercase()), word))
        .filter(|(distance, word)| {
            *distance <= 1 + word.chars().count().min(12) / 4 && *distance < word.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// The tail of a message about an unknown word: the nearest known one, and all of them.
pub(crate) fn choices(wrong: &str, known: &[&str]) -> String {
    let list = known.join(", ");
    match nearest(wrong, known.iter().copied()) {
        Some(word) if known.len() > 1 => format!("did you mean {word}? (known: {list})"),
        Some(word) => format!("did you mean {word}?"),
        None if known.is_empty() => "none is known here".into(),
        None => format!("known: {list}"),
    }
}
