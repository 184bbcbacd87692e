//! Recordings of a log drain, read as a stream: bodies as Heroku sends them, one after the other, or lines as `heroku logs` and
//! the local platform show them. What a line means is [`logplex`](autoscalebot_measure::intake::logplex)'s; here is only
//! which it is, and how much of it is in memory at once.

use std::io::Read;

use autoscalebot_measure::intake::logplex::{Frames, Message, RouterLine, lost};

use super::tally::{Seen, Tally};

/// How much is read at a time.
const CHUNK: usize = 1 << 20;
/// A line of more is none, and is left out.
const LONGEST_LINE: usize = 1 << 20;
/// So much at the end of what was read waits for what follows. In a frame that is cut, another may seem to stand: of `290 <158>…`
/// the 90 bytes after `90 `, where they end with what was read. Frames of log drains have some 10 kB at most.
const HELD_BACK: usize = 1 << 15;
/// More than this without a frame holds none: no count has so many digits.
const LONGEST_GARBAGE: usize = 1 << 24;

/// What a file is, by what stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Csv,
    JsonLines,
    /// The bodies of a log drain.
    Frames,
    /// Log lines.
    Lines,
}

impl Form {
    /// Looks at the beginning of a file. What is nothing that is known is read as CSV, whose errors say what to write.
    pub(crate) fn of(head: &[u8]) -> Self {
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let first = lines.by_ref().find(|line| !line.is_empty() && !line.starts_with(b"#")).unwrap_or_default();
        let json = first.starts_with(b"{");
        let is_line = |line: &[u8]| Message::parse_line(line).is_some();
        match first {
            _ if json && first.windows(10).any(|part| part == b"\"requests\"") => Self::JsonLines,
            _ if is_line(first) => Self::Lines,
            _ if Frames::new(head).next().is_some_and(|frame| Message::parse(frame).is_some()) => Self::Frames,
            _ if lines.any(is_line) => Self::Lines,
            _ if json => Self::JsonLines,
            _ => Self::Csv,
        }
    }
}

/// Which part of a recording is asked for: milliseconds of the Unix epoch, the first included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
}

/// What a recording held beside its requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Lines that were understood.
    pub(crate) lines: u64,
    /// Requests among them.
    pub(crate) requests: u64,
    /// Lines that are none, and router lines that are none.
    pub(crate) odd: u64,
    /// Lines of which their sender says that they were lost before they came here.
    pub(crate) lost: u64,
    /// Bytes between frames that are none.
    pub(crate) garbage_bytes: u64,
    /// Whether something lay before the range, and after it.
    pub(crate) beyond: (bool, bool),
}

/// Reads a recording to its end.
pub(crate) fn read(from: impl Read, form: Form, range: Range, tally: &mut Tally) -> std::io::Result<Held> {
    read_by(CHUNK, HELD_BACK, from, form, range, tally)
}

fn read_by(
    chunk: usize,
    held_back: usize,
    mut from: impl Read,
    form: Form,
    range: Range,
    tally: &mut Tally,
) -> std::io::Result<Held> {
    let mut reader = Reader { range, tally, held: Held::default() };
    let mut buffer = Vec::with_capacity(2 * chunk);
    loop {
        let got = from.by_ref().take(chunk as u64).read_to_end(&mut buffer)?;
        let end = got == 0;
        let used = match form {
            Form::Frames => reader.frames(&buffer, if end { 0 } else { held_back }),
            _ => reader.lines(&buffer, end),
        };
        buffer.drain(..used);
        if end {
            return Ok(reader.held);
        }
    }
}

struct Reader<'a> {
    range: Range,
    tally: &'a mut Tally,
    held: Held,
}

impl Reader<'_> {
    /// Whole lines; how many bytes they have.
    fn lines(&mut self, bytes: &[u8], end: bool) -> usize {
        let whole = match bytes.iter().rposition(|byte| *byte == b'\n') {
            _ if end => bytes.len(),
            Some(last) => last + 1,
            // Binary, or one line without an end: it must not fill the memory.
            None if bytes.len() > LONGEST_LINE => {
                self.held.odd += 1;
                return bytes.len();
            }
            None => return 0,
        };
        for line in bytes[..whole].split(|byte| *byte == b'\n') {
            match Message::parse_line(line) {
                Some(message) => self.message(&message),
                None => self.held.odd += u64::from(!line.trim_ascii().is_empty()),
            }
        }
        whole
    }

    /// The frames that end before what is held back; how many bytes they have, with what lies between them.
    fn frames(&mut self, bytes: &[u8], held_back: usize) -> usize {
        let mut frames = Frames::new(bytes);
        let (mut used, mut garbage) = (0, 0);
        while let Some(frame) = frames.next() {
            let end = frame.as_ptr() as usize - bytes.as_ptr() as usize + frame.len();
            if end + held_back > bytes.len() {
                break;
            }
            (used, garbage) = (end, frames.torn().garbage_bytes);
            match Message::parse(frame) {
                Some(message) => self.message(&message),
                None => self.held.odd += 1,
            }
        }
        if held_back == 0 {
            let torn = frames.torn();
            self.held.garbage_bytes += torn.garbage_bytes + torn.truncated_bytes;
            return bytes.len();
        }
        if used == 0 && bytes.len() > LONGEST_GARBAGE {
            used = bytes.len() - held_back;
            garbage = used as u64;
        }
        self.held.garbage_bytes += garbage;
        used
    }

    #[inline]
    fn message(&mut self, message: &Message<'_>) {
        let Some(at_ms) = message.at_ms() else {
            self.held.odd += 1;
            return;
        };
        if at_ms < self.range.from_ms {
            self.held.beyond.0 = true;
            return;
        }
        if at_ms >= self.range.to_ms {
            self.held.beyond.1 = true;
            return;
        }
        self.held.lines += 1;
        self.tally.hear(at_ms);
        if message.app != b"heroku" {
            return;
        }
        match message.process {
            b"router" => self.router(at_ms, &RouterLine::parse(message.text)),
            b"logplex" => self.held.lost = self.held.lost.saturating_add(lost(message.text).unwrap_or(0)),
            _ => {}
        }
    }

    fn router(&mut self, at_ms: i64, line: &RouterLine<'_>) {
        if !line.is_one() {
            self.held.odd += 1;
            return;
        }
        let Some(request) = line.request() else { return };
        self.held.requests += 1;
        let served_ms = request.service_ms.filter(|_| !request.error);
        self.tally.count(at_ms, Seen { process: line.process(), served_ms, dyno: number(line.dyno) });
    }
}

/// The number of a dyno such as `web.12`; 1 where its name has none.
fn number(dyno: &[u8]) -> u32 {
    let digits = dyno.rsplit(|byte| *byte == b'.').next().filter(|digits| digits.len() <= 5);
    digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const ALL: Range = Range { from_ms: i64::MIN, to_ms: i64::MAX };

    /// A reader that gives a few bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.1.min(self.0.len()).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn router(second: usize) -> String {
        format!(
            "at=info method=GET path=\"/a, b\" host=x request_id=y fwd=\"1.2.3.4\" dyno=web.2 connect=1ms service={}ms \
             status=200 bytes=5 protocol=https",
            second % 50
        )
    }

    fn lines(count: usize) -> String {
        let mut text = String::new();
        for n in 0..count {
            writeln!(text, "2026-01-02T03:{:02}:{:02}+00:00 heroku[router]: {}", n / 60, n % 60, router(n)).unwrap();
        }
        text
    }

    fn frames(count: usize) -> String {
        let mut text = String::new();
        for n in 0..count {
            let message =
                format!("<158>1 2026-01-02T03:{:02}:{:02}+00:00 host heroku router - {}", n / 60, n % 60, router(n));
            write!(text, "{} {message}", message.len()).unwrap();
        }
        text
    }

    #[test]
    fn forms_are_known_by_their_content() {
        let rows: &[(&str, Form)] = &[
            ("unix_seconds,requests\n1,2\n", Form::Csv),
            ("60,1\n", Form::Csv),
            ("", Form::Csv),
            ("nonsense\n", Form::Csv),
            ("{\"at\":\"2026-01-01T00:00:00Z\",\"requests\":1}\n", Form::JsonLines),
            ("{\"at\":1}\n", Form::JsonLines),
            ("{\"level\":\"INFO\"}\n2026-01-02T03:04:05+00:00 heroku[web.1]: up\n", Form::Lines),
            ("2026-01-02T03:04:05+00:00 app[web.1]: 12 <34>1 hello\n", Form::Lines),
            ("<134>1 2026-01-02T03:04:05+00:00 host heroku web.1 - x\n", Form::Lines),
            ("POST /drains/x HTTP/1.1\r\n\r\n54 <134>1 2026-01-02T03:04:05+00:00 host heroku web.1 - x", Form::Frames),
        ];
        for (text, form) in rows {
            assert_eq!(Form::of(text.as_bytes()), *form, "{text}");
        }
        assert_eq!(Form::of(frames(3).as_bytes()), Form::Frames);
    }

    #[test]
    fn however_it_is_cut_it_reads_the_same() {
        for (text, form) in [(lines(600), Form::Lines), (frames(600), Form::Frames)] {
            for step in [7, 1000, 1 << 20] {
                let mut tally = Tally::new(Some(60));
                let held = read(Slowly(text.as_bytes(), step), form, ALL, &mut tally).unwrap();
                assert_eq!((held.lines, held.requests, held.odd, held.garbage_bytes), (600, 600, 0, 0), "{form:?}");
                let counted = tally.counted(None, 60, (true, true)).unwrap();
                assert_eq!(counted.requests, [60.0; 10]);
                assert!((counted.fit.unwrap().mean_secs - 0.0245).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn chunks_end_within_frames_and_lines() {
        // Some megabytes, so that several chunks are cut wherever they are.
        let count = 3600;
        let padded = |text: String| text.replace("/a, b", &"p".repeat(900));
        let frame = |n: usize| {
            let text = padded(router(n));
            let message = format!("<158>1 2026-01-02T03:{:02}:{:02}+00:00 host heroku router - {text}", n / 60, n % 60);
            format!("{} {message}", message.len())
        };
        let framed: String = (0..count).map(frame).collect();
        assert!(framed.len() > 3 * CHUNK);
        for (text, form) in [(padded(lines(count)), Form::Lines), (framed, Form::Frames)] {
            let mut tally = Tally::new(Some(60));
            let held = read(text.as_bytes(), form, ALL, &mut tally).unwrap();
            assert_eq!((held.requests, held.odd, held.garbage_bytes), (count as u64, 0, 0), "{form:?}");
        }
    }

    #[test]
    fn no_cut_makes_a_frame_of_a_part_of_one() {
        let text = frames(100);
        for chunk in 1000..1300 {
            let mut tally = Tally::new(Some(60));
            let held = read_by(chunk, 700, text.as_bytes(), Form::Frames, ALL, &mut tally).unwrap();
            assert_eq!((held.requests, held.odd, held.garbage_bytes), (100, 0, 0), "{chunk}");
        }
    }

    #[test]
    fn garbage_between_frames_is_counted_once() {
        let text = format!("{}{}{}{}", frames(30), "no frame at all ".repeat(40), frames(30), "99 <1");
        for chunk in [500, 1000, 5000] {
            let mut tally = Tally::new(Some(60));
            let held = read_by(chunk, 700, text.as_bytes(), Form::Frames, ALL, &mut tally).unwrap();
            assert_eq!((held.requests, held.garbage_bytes), (60, 640 + 5), "{chunk}");
        }
        let endless = vec![b'x'; 40 << 20];
        let held = read(endless.as_slice(), Form::Frames, ALL, &mut Tally::new(None)).unwrap();
        assert_eq!((held.requests, held.garbage_bytes), (0, 40 << 20));
    }

    #[test]
    fn a_range_is_cut_out_and_no_line_is_endless() {
        let range = Range { from_ms: 1_767_323_040_000, to_ms: 1_767_323_160_000 };
        let mut tally = Tally::new(Some(60));
        let held = read(lines(600).as_bytes(), Form::Lines, range, &mut tally).unwrap();
        assert_eq!((held.requests, held.beyond), (120, (true, true)));
        assert_eq!(tally.counted(None, 60, held.beyond).unwrap().requests, [60.0; 2]);
        let endless = vec![b'x'; 5 * CHUNK];
        let held = read(endless.as_slice(), Form::Lines, ALL, &mut Tally::new(None)).unwrap();
        assert!(held.odd > 0 && held.lines == 0);
    }
}
