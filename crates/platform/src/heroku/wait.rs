//! How long to wait before the next try: what a 429 says ([`retry_after`]), and pauses that grow while calls are refused
//! for a reason that only a person can mend ([`GrowingPause`]). Pure: time comes in as a value.
//!
//! Heroku does not document `Retry-After`. An old capture of a real answer holds an epoch second (`1353003093`) there, other
//! servers send seconds or an HTTP date (RFC 9110, section 10.2.3), so all three are read, and nothing is believed beyond
//! [`WAIT_MAX`].

use jiff::{SignedDuration, Timestamp};

/// The pause after a 429 that says nothing usable.
pub(super) const WAIT_DEFAULT: SignedDuration = SignedDuration::from_secs(30);

/// The longest wait that is believed.
pub(super) const WAIT_MAX: SignedDuration = SignedDuration::from_mins(15);

/// The first pause after a refusal; each further refusal doubles it.
pub(super) const PAUSE_FIRST: SignedDuration = SignedDuration::from_secs(30);

/// The longest pause between tries.
pub(super) const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(10);

/// A number above this is an epoch second, not a wait: as a wait it would be more than 31 years.
const EPOCH_FROM: f64 = 1e9;

/// Until when nothing may be sent, from the `Retry-After` of a 429 that was received at `now`. Never before `now`, never
/// more than [`WAIT_MAX`] after it.
pub(super) fn retry_after(header: Option<&str>, now: Timestamp) -> Timestamp {
    let wait = header.map(str::trim).and_then(|text| asked_wait(text, now)).unwrap_or(WAIT_DEFAULT);
    after(now, wait.clamp(SignedDuration::ZERO, WAIT_MAX))
}

/// The wait that a header asks for; none: it says nothing usable. May be negative: an instant that is over.
fn asked_wait(text: &str, now: Timestamp) -> Option<SignedDuration> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        let number: f64 = text.parse().ok()?;
        // Beyond what a duration or an instant can hold means "as long as possible"; the caller caps it.
        let number = number.min(1e11);
        if number > EPOCH_FROM {
            return Some(Timestamp::from_second(number.ceil() as i64).map_or(WAIT_MAX, |at| at.duration_since(now)));
        }
        return SignedDuration::try_from_secs_f64(number).ok();
    }
    // A date has whole seconds and the instant may have a fraction: waiting until the date itself rounds up.
    let date = httpdate::parse_http_date(text).ok()?;
    Timestamp::try_from(date).ok().map(|at| at.duration_since(now))
}

/// `now` plus a wait, at most the end of time.
fn after(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// A pause that doubles with each refusal in a row and is forgotten at the first call that works.
#[derive(Debug, Clone)]
pub(super) struct GrowingPause<E> {
    refused: Option<(E, Timestamp, SignedDuration)>,
}

impl<E> Default for GrowingPause<E> {
    fn default() -> Self {
        Self { refused: None }
    }
}

impl<E: Clone> GrowingPause<E> {
    /// The refusal that the pause is about, while it lasts: the same for every try in it, so that nobody is told twice.
    pub(super) fn holds(&self, now: Timestamp) -> Option<E> {
        let (error, until, _) = self.refused.as_ref()?;
        // A clock that was set back by hours must not make the pause hours long.
        (now < *until && until.duration_since(now) <= PAUSE_MAX).then(|| error.clone())
    }

    /// A call was refused. Several calls that were on their way together count once.
    pub(super) fn refuse(&mut self, error: E, now: Timestamp) {
        if self.holds(now).is_some() {
            return;
        }
        let pause = match &self.refused {
            Some((_, _, last)) => last.saturating_mul(2).min(PAUSE_MAX),
            None => PAUSE_FIRST,
        };
        self.refused = Some((error, after(now, pause), pause));
    }

    /// A call worked.
    pub(super) fn clear(&mut self) {
        self.refused = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A20's table, and its neighbours.
    #[test]
    fn a20_retry_after_as_seconds_date_or_epoch() {
        let now: Timestamp = "2026-05-04T12:00:00.2Z".parse().unwrap();
        let default = "2026-05-04T12:00:30.2Z";
        let capped = "2026-05-04T12:15:00.2Z";
        for (header, until) in [
            (Some("120"), "2026-05-04T12:02:00.2Z"),
            (Some(" 120 "), "2026-05-04T12:02:00.2Z"),
            (Some("0"), "2026-05-04T12:00:00.2Z"),
            (Some("0.5"), "2026-05-04T12:00:00.7Z"),
            (Some("Mon, 04 May 2026 12:00:59 GMT"), "2026-05-04T12:00:59Z"),
            (Some("Monday, 04-May-26 12:00:59 GMT"), "2026-05-04T12:00:59Z"),
            (Some("Mon, 04 May 2026 11:59:00 GMT"), "2026-05-04T12:00:00.2Z"),
            (Some("Mon, 04 May 2026 23:00:00 GMT"), capped),
            (Some("1777896060"), "2026-05-04T12:01:00Z"),
            (Some("1353003093"), "2026-05-04T12:00:00.2Z"),
            (Some("9999999999"), capped),
            (Some("99999999999999999999999999999999"), capped),
            (Some("9999999"), capped),
            (Some("-5"), default),
            (Some("abc"), default),
            (Some(""), default),
            (Some("."), default),
            (Some("1.2.3"), default),
            (Some("NaN"), default),
            (Some("inf"), default),
            (Some("1e3"), default),
            (None, default),
        ] {
            let until: Timestamp = until.parse().unwrap();
            assert_eq!(retry_after(header, now), until, "{header:?}");
        }
    }

    #[test]
    fn a19_the_pause_grows_to_its_limit_and_is_forgotten() {
        let start: Timestamp = "2026-05-04T12:00:00Z".parse().unwrap();
        let mut pause = GrowingPause::default();
        assert_eq!(pause.holds(start), None);
        let mut now = start;
        for secs in [30, 60, 120, 240, 480, 600, 600] {
            pause.refuse("no", now);
            let end = now + SignedDuration::from_secs(secs);
            assert_eq!(pause.holds(end - SignedDuration::from_millis(1)), Some("no"), "{secs}");
            assert_eq!(pause.holds(end), None, "{secs}");
            now = end;
        }
        pause.clear();
        assert_eq!(pause.holds(now), None);
        pause.refuse("no", now);
        assert_eq!(pause.holds(now + SignedDuration::from_secs(30)), None, "it starts small again");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stretch_the_pause() {
        let now: Timestamp = "2026-05-04T12:00:00Z".parse().unwrap();
        let mut pause = GrowingPause::default();
        pause.refuse("no", now);
        assert_eq!(pause.holds(now - SignedDuration::from_hours(5)), None);
    }
}
