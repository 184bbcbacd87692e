//! Keys of time tables: `"8:00"` (every day), `"Mon-Fri 8:00"`, `"Sat,Sun 10:30"`. `"24:00"` is midnight at the end of that
//! day. Days may be written out; a range may go over the end of the week.

use autoscalebot_core::MinuteOfWeek;
use jiff::civil::Weekday;

const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// The minutes of the week that a key names, and whether it is every day's.
pub(crate) fn parse(key: &str) -> Option<(Vec<MinuteOfWeek>, bool)> {
    let key = key.trim();
    let (days, time) = match key.rfind(char::is_whitespace) {
        Some(at) => (key.get(..at)?.trim(), key.get(at..)?.trim()),
        None => ("", key),
    };
    let (hour, minute) = time.split_once(':')?;
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour, 2) || minute.len() != 2 || !digits(minute, 2) {
        return None;
    }
    let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
    let daily = days.is_empty();
    let mut found = Vec::new();
    for part in days.split(',') {
        let part = part.trim();
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None if daily => (0, 6),
            None => (day(part)?, day(part)?),
        };
        let count = (last + 7 - first) % 7;
        found.extend((0..=count).map(|n| (first + n) % 7));
    }
    let minutes: Option<Vec<_>> =
        found.into_iter().map(|d| DAYS.get(d).and_then(|(_, d)| MinuteOfWeek::new(*d, hour, minute))).collect();
    Some((minutes?, daily))
}

/// A day by its whole name or by three letters or more of it.
fn day(name: &str) -> Option<usize> {
    let name = name.trim().to_ascii_lowercase();
    (name.len() >= 3).then(|| DAYS.iter().position(|(day, _)| day.starts_with(&name))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: &str) -> Option<String> {
        parse(key).map(|(minutes, _)| minutes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn worked_examples() {
        assert_eq!(parse("8:00").map(|(m, daily)| (m.len(), daily)), Some((7, true)));
        for (key, minutes) in [
            ("Mon-Wed 8:00", "Mon 08:00 Tue 08:00 Wed 08:00"),
            ("Sat,Sun 10:30", "Sat 10:30 Sun 10:30"),
            ("sat, SUNDAY 10:30", "Sat 10:30 Sun 10:30"),
            ("Sun-Mon 0:00", "Sun 00:00 Mon 00:00"),
            ("Fri 24:00", "Sat 00:00"),
            ("Sun 24:00", "Mon 00:00"),
            ("Thurs 08:05", "Thu 08:05"),
        ] {
            assert_eq!(shown(key).as_deref(), Some(minutes), "{key}");
        }
        for key in [
            "25:00",
            "24:01",
            "8:60",
            "8",
            "8:0",
            "",
            ":",
            "Mon",
            "Mo 8:00",
            "Funday 8:00",
            "-1:00",
            "8:00 Mon",
            "Mon- 8:00",
            "+8:00",
            "8:00pm",
        ] {
            assert!(parse(key).is_none(), "{key}");
        }
    }
}
