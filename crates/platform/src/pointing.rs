//! How something of an app is pointed at this program, as the users of a platform do it.

/// What is to be set at an app.
#[derive(Debug, Clone, Copy)]
pub enum PointTo<'a> {
    /// A log drain to this URL.
    LogDrain(&'a str),
    /// A telemetry drain to this URL.
    TelemetryDrain(&'a str),
    /// Variables in its environment, by name.
    Variables(&'a [(&'a str, &'a str)]),
}

/// A word as a shell reads it: as it is where nothing in it means anything to a shell, else in quotes.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    match word.chars().all(plain) && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_nothing_to_a_shell() {
        for (word, quoted) in [
            ("https://scale.example:8443/drains/Tok_1-2.3", "https://scale.example:8443/drains/Tok_1-2.3"),
            ("~tok", "'~tok'"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(x)'", r"'$(x)'\'''"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }
}
