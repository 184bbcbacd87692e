//! Durations as text with units: `"30s"`, `"1m 30s"`, `"200ms"`, `"1.5s"`, `"2h"`, `"1d"`. A bare number has no unit, and so
//! no meaning here.

use jiff::SignedDuration;

const UNITS: &[(&str, f64)] = &[("d", 86_400.0), ("h", 3_600.0), ("m", 60.0), ("min", 60.0), ("s", 1.0), ("ms", 0.001)];

/// Reads a duration. Units go from large to small, each once.
pub(crate) fn parse(text: &str) -> Option<SignedDuration> {
    let mut rest = text.trim();
    let (mut total, mut smallest) = (0.0_f64, f64::INFINITY);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        if number.starts_with('.') || number.ends_with('.') || *seconds >= smallest {
            return None;
        }
        smallest = *seconds;
        total += number.parse::<f64>().ok()? * seconds;
        rest = after.trim_start();
    }
    // A whole number of nanoseconds: 0.1 + 0.2 s is 300 ms.
    let nanos = (total * 1e9).round();
    (nanos <= 9e18).then(|| SignedDuration::from_nanos(nanos as i64))
}

/// Writes a duration as [`parse`] reads it.
pub(crate) fn write(seconds: f64) -> String {
    let whole = seconds.fract() == 0.0 && seconds < 1e15;
    for (unit, size) in [("d", 86_400.0), ("h", 3_600.0), ("m", 60.0)] {
        if whole && seconds >= size && seconds % size == 0.0 {
            return format!("{}{unit}", seconds / size);
        }
    }
    if seconds > 0.0 && seconds < 1.0 { format!("{}ms", seconds * 1000.0) } else { format!("{seconds}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_examples() {
        for (text, ms) in [
            ("30s", Some(30_000)),
            ("1m 30s", Some(90_000)),
            ("1m30s", Some(90_000)),
            ("200ms", Some(200)),
            ("1.5s", Some(1500)),
            ("2h", Some(7_200_000)),
            ("1 min", Some(60_000)),
            ("1d", Some(86_400_000)),
            ("0s", Some(0)),
            ("0.5ms", Some(0)),
            ("", None),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("1s 1m", None),
            ("1s 1s", None),
            ("1.s", None),
            (".5s", None),
            ("1.2.3s", None),
            ("1e3s", None),
            ("9999999999d", None),
            ("5 parsecs", None),
        ] {
            assert_eq!(parse(text).map(|d| d.as_millis()), ms, "{text}");
        }
        for seconds in [0.0, 0.25, 1.0, 1.5, 60.0, 90.0, 3600.0, 86_400.0, 1800.0] {
            let text = write(seconds);
            assert_eq!(parse(&text).map(|d| d.as_secs_f64()), Some(seconds), "{text}");
        }
    }
}
