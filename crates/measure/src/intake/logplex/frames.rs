//! Logplex framing (<https://devcenter.heroku.com/articles/log-drains>): `<count><space><message>`, again and again with
//! nothing between. The count is in bytes, and a message may or may not end in a line feed that is inside the count, so
//! nothing is ever split at line feeds.
//!
//! What is not a frame is stepped over to the next place where frames fit together again: a count, a space and a
//! priority such as `<134>`, where the count ends at the end of the body or at another such place. How much was stepped over is counted.

/// The most digits of a count: a frame of 10 MB is none.
const MOST_DIGITS: usize = 7;
/// White space between frames that is passed over: relays and tests written by hand put line feeds there.
const MOST_SPACE: usize = 4;

/// What a body held besides frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Torn {
    /// Stretches of bytes that are no frames, truncated ones included.
    pub broken: u64,
    /// Bytes stepped over.
    pub garbage_bytes: u64,
    /// Bytes of a last frame that says it is longer than what is left.
    pub truncated_bytes: u64,
}

/// The frames of one body, in order: an iterator of messages that keeps count of what it could not read.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    body: &'a [u8],
    at: usize,
    torn: Torn,
    /// Whether the last step was over garbage, so that it is one stretch.
    stepping: bool,
    /// The first place at or after the second number where frames fit, if any was found; searched from the first number.
    /// It keeps a body of false starts from being searched again for each of them.
    searched: Option<(usize, Option<usize>)>,
    /// The head that was looked at last, and where: the end of one frame is the beginning of the next.
    looked: (usize, Head),
}

/// What stands at a place.
#[derive(Debug, Clone, Copy)]
enum Head {
    /// A message from here to there.
    Frame(usize, usize),
    /// A message that begins here and ends beyond the body.
    Beyond,
    /// No frame.
    None,
}

impl<'a> Frames<'a> {
    /// The frames of a body.
    pub fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0, torn: Torn::default(), stepping: false, searched: None, looked: (usize::MAX, Head::None) }
    }

    /// What was no frame so far.
    pub fn torn(&self) -> Torn {
        self.torn
    }

    fn skip_space(&self, mut at: usize) -> usize {
        let end = at.saturating_add(MOST_SPACE).min(self.body.len());
        while at < end && matches!(self.body[at], b'\n' | b'\r' | b' ') {
            at += 1;
        }
        at
    }

    #[inline]
    fn head(&self, at: usize) -> Head {
        let mut count = 0_usize;
        let mut cursor = at;
        while let Some(digit) = self.body.get(cursor).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            count = count * 10 + usize::from(digit);
            cursor += 1;
            if cursor - at > MOST_DIGITS {
                return Head::None;
            }
        }
        if cursor == at || count == 0 || self.body.get(cursor) != Some(&b' ') || !self.priority(cursor + 1) {
            return Head::None;
        }
        let (start, end) = (cursor + 1, cursor + 1 + count);
        if end <= self.body.len() { Head::Frame(start, end) } else { Head::Beyond }
    }

    /// Whether a priority stands here, such as `<134>`, as far as the body goes.
    #[inline]
    fn priority(&self, at: usize) -> bool {
        let Some([b'<', rest @ ..]) = self.body.get(at..) else { return false };
        let digits = rest.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
        match rest.get(digits) {
            Some(byte) => *byte == b'>' && digits > 0,
            None => true,
        }
    }

    /// Whether a frame that ends here fits: at the end of the body, or before the head of another, whole or cut.
    #[inline]
    fn fits(&mut self, end: usize) -> bool {
        let next = self.skip_space(end);
        let head = self.head(next);
        self.looked = (next, head);
        next == self.body.len() || !matches!(head, Head::None) || self.cut_head(next)
    }

    /// Whether the body ends within a head.
    fn cut_head(&self, at: usize) -> bool {
        let rest = &self.body[at..];
        rest.len() <= MOST_DIGITS + 1 && rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b' ')
    }

    /// The first place at or after `from` where a frame begins that fits.
    fn next_fit(&mut self, from: usize) -> Option<usize> {
        if let Some((searched_from, found)) = self.searched
            && searched_from <= from
            && found.is_none_or(|found| found >= from)
        {
            return found;
        }
        let found = (from..self.body.len()).find(|at| {
            // A count never begins with 0; glued to a digit, it may begin anywhere within a run of them.
            let begins = matches!(self.body[*at], b'1'..=b'9');
            begins && matches!(self.head(*at), Head::Frame(_, end) if self.fits(end))
        });
        self.searched = Some((from, found));
        found
    }

    /// Steps over what is no frame.
    fn step_to(&mut self, at: usize) {
        if !self.stepping {
            self.torn.broken += 1;
        }
        self.stepping = true;
        self.torn.garbage_bytes += (at - self.at) as u64;
        self.at = at;
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            self.at = self.skip_space(self.at);
            if self.at >= self.body.len() {
                return None;
            }
            let head = if self.looked.0 == self.at { self.looked.1 } else { self.head(self.at) };
            match head {
                Head::Frame(start, end) if self.fits(end) => {
                    (self.at, self.stepping) = (end, false);
                    return Some(&self.body[start..end]);
                }
                Head::Frame(start, end) => match self.next_fit(self.at + 1) {
                    // Others fit within it: its count is wrong.
                    Some(fit) if fit < end => self.step_to(fit),
                    // It is good, and what follows it is garbage.
                    _ => {
                        (self.at, self.stepping) = (end, false);
                        return Some(&self.body[start..end]);
                    }
                },
                Head::Beyond => match self.next_fit(self.at + 1) {
                    Some(fit) => self.step_to(fit),
                    None => return self.truncated(),
                },
                Head::None if self.cut_head(self.at) => return self.truncated(),
                Head::None => {
                    let fit = self.next_fit(self.at + 1).unwrap_or(self.body.len());
                    self.step_to(fit);
                }
            }
        }
    }
}

impl<'a> Frames<'a> {
    fn truncated(&mut self) -> Option<&'a [u8]> {
        self.torn.broken += 1;
        self.torn.truncated_bytes += (self.body.len() - self.at) as u64;
        self.at = self.body.len();
        None
    }
}
