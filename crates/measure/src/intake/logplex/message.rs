//! One message of a log drain: `<PRI>1 TIME HOST APP PROCID MSGID TEXT`, RFC 5424 without its structured data. Who says it is
//! told by APP and PROCID alone; the text of an app can imitate anything.

use memchr::memchr;

/// One message, its parts as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The time, unread.
    pub time: &'a [u8],
    /// `heroku` for the platform, `app` for what dynos print.
    pub app: &'a [u8],
    /// `router`, `logplex`, or a dyno (`web.1`).
    pub process: &'a [u8],
    /// The text, without the line end.
    pub text: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes a frame apart; none where it is no such message.
    #[inline]
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        let rest = frame.strip_prefix(b"<")?;
        // "<134>1 ": at most three digits.
        let close = rest.iter().take(4).position(|byte| *byte == b'>')?;
        let rest = rest.get(close + 1..)?.strip_prefix(b"1 ")?;
        // The router's own head, with six digits of a fraction, is most of what comes.
        if let Some((time, after)) = rest.split_at_checked(32)
            && let Some(text) = after.strip_prefix(b" host heroku router - ")
            && !time.contains(&b' ')
        {
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            return Some(Self { time, app: b"heroku", process: b"router", text });
        }
        let (time, rest) = word(rest)?;
        let (_host, rest) = word(rest)?;
        let (app, rest) = word(rest)?;
        let (process, rest) = word(rest)?;
        let rest = rest.strip_prefix(b"- ").or_else(|| word(rest).map(|(_, text)| text)).unwrap_or_default();
        let text = rest.strip_suffix(b"\n").unwrap_or(rest);
        Some(Self { time, app, process, text })
    }

    /// Takes a line apart as it stands in a file: a message without its frame, or as `heroku logs` and the local platform show it,
    /// `2026-05-04T08:24:25+00:00 heroku[router]: at=info …`; none where it is neither.
    pub fn parse_line(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.first() == Some(&b'<') {
            return Self::parse(line);
        }
        let (time, rest) = word(line)?;
        let open = rest.iter().take(64).position(|byte| *byte == b'[')?;
        let (app, rest) = (&rest[..open], &rest[open + 1..]);
        let close = rest.iter().take(64).position(|byte| *byte == b']')?;
        let text = rest[close + 1..].strip_prefix(b":")?;
        parse_time(time)?;
        Some(Self { time, app, process: &rest[..close], text: text.strip_prefix(b" ").unwrap_or(text) })
    }

    /// When it was said, in milliseconds of the Unix epoch.
    #[inline]
    pub fn at_ms(&self) -> Option<i64> {
        parse_time(self.time)
    }
}

/// Up to the next space, and what follows it. The words of a head are short, so a plain walk beats a search.
#[inline]
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match text.iter().take(40).position(|byte| *byte == b' ') {
        Some(end) => end,
        None => memchr(b' ', text)?,
    };
    Some((&text[..end], &text[end + 1..]))
}

/// Reads `2026-05-04T08:24:25.123456+00:00`, with none to nine digits of a fraction, and `Z` or an offset.
#[inline]
pub fn parse_time(text: &[u8]) -> Option<i64> {
    let (head, mut rest) = text.split_at_checked(19)?;
    let two = |at: usize| -> Option<i64> {
        let (tens, ones) = (head[at].wrapping_sub(b'0'), head[at + 1].wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
    };
    let marks = head[4] == b'-' && head[7] == b'-' && head[10] == b'T' && head[13] == b':' && head[16] == b':';
    if !marks {
        return None;
    }
    let year = two(0)? * 100 + two(2)?;
    let (month, day, hour, minute, second) = (two(5)?, two(8)?, two(11)?, two(14)?, two(17)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut ms = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > 9 {
            return None;
        }
        for place in 0..3 {
            let digit = fraction[..digits].get(place).map_or(0, |digit| digit - b'0');
            ms = ms * 10 + i64::from(digit);
        }
        rest = &fraction[digits..];
    }
    let offset_minutes = match rest {
        b"+00:00" | b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) => {
            let number = |a: u8, b: u8| i64::from(a - b'0') * 10 + i64::from(b - b'0');
            let minutes = number(*h1, *h2) * 60 + number(*m1, *m2);
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_minutes * 60;
    Some(seconds * 1000 + ms)
}

/// Days from the Unix epoch in the Gregorian calendar, counted in eras of 400 years that begin in March.
#[inline]
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_agree_with_jiff() {
        for text in [
            "2026-01-02T03:04:01.000001+00:00",
            "2026-01-02T03:04:01+00:00",
            "2024-02-29T23:59:59.9Z",
            "1970-01-01T00:00:00.123456+00:00",
            "2100-03-01T00:00:00.99958-02:30",
            "2000-12-31T12:00:00+01:00",
        ] {
            let expected = text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            assert_eq!(parse_time(text.as_bytes()), Some(expected), "{text}");
        }
        for bad in [
            "",
            "2026-01-02",
            "2026-13-02T03:04:01Z",
            "2026-01-02T03:04:01",
            "2026-01-02T03:04:01.Z",
            "yesterday at noon, or so",
        ] {
            assert_eq!(parse_time(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn heads_are_taken_apart_and_odd_ones_are_none() {
        let message = Message::parse(b"<45>1 2026-05-04T08:24:26+00:00 host heroku web.1 - State is now up\n").unwrap();
        assert_eq!(
            (message.app, message.process, message.text),
            (&b"heroku"[..], &b"web.1"[..], &b"State is now up"[..])
        );
        for bad in
            ["", "<", "<45", "<45>", "<45>1", "<45>1 ", "<45>2 a b c d - x", "<12345>1 a b c d - x", "<45>1 a b c"]
        {
            assert_eq!(Message::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Message::parse(b"<45>1 t h app web.1 -").unwrap().text, b"");
    }

    #[test]
    fn lines_of_files_are_taken_apart() {
        let shown = Message::parse_line(b"2026-05-04T08:24:25.5+00:00 heroku[router]: at=info a[b]: c\r").unwrap();
        assert_eq!((shown.app, shown.process, shown.text), (&b"heroku"[..], &b"router"[..], &b"at=info a[b]: c"[..]));
        assert_eq!(shown.at_ms(), Some(1_777_883_065_500));
        let bare = b"<45>1 2026-05-04T08:24:26+00:00 host heroku web.1 - State is now up";
        assert_eq!(Message::parse_line(bare), Message::parse(bare));
        for bad in [
            "",
            "x",
            "soon heroku[router]: x",
            "2026-05-04T08:24:25+00:00 heroku router",
            "2026-05-04T08:24:25+00:00  WARN x",
        ] {
            assert_eq!(Message::parse_line(bad.as_bytes()), None, "{bad}");
        }
    }
}
