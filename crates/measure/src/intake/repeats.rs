//! What is sent again because its sender had no answer, and what of it is new. Nothing is taken of a request that is refused, so
//! this is about answers that were lost on their way, or came later than the sender waits.
//!
//! - HireFire's packages put the times of a second that they could not deliver behind those of the same second that came
//!   since: `{"S": [later…, again…]}`. The processes of an app have one token and send lists of the same second, too; so a list
//!   is known again by its end, where that is like a list of this second that was taken, and tells: three different numbers at
//!   least, as several processes often have waits of a millisecond or none, or a second that is over for so long that a list
//!   which came at the first try would have been here before.
//! - Dynoscale's agent keeps its lines until they are answered, and writes later ones behind them: a body that begins with
//!   all of an earlier one.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::report::Told;

/// Seconds whose lists are remembered: those that packages send again at the most, twice over.
const SECONDS: usize = 120;
/// Lists of one second; more processes seldom are.
const LISTS: usize = 32;
/// Bodies of an agent that are remembered.
const BODIES: usize = 8;
/// What differs in a list that tells.
const DIFFERENT: usize = 3;
/// A list that comes at the first try is younger, in milliseconds: a second to gather, one to wait, some to travel.
const FIRST_TRY_MS: i64 = 5_000;

/// A list or body that was taken: its length, and a hash.
type Taken = (usize, u64);

/// Lists of times by their second.
#[derive(Default)]
pub(crate) struct Lists {
    keys: RandomState,
    taken: BTreeMap<i64, VecDeque<Taken>>,
}

impl Lists {
    /// Leaves what is new. `now_ms` is by the sender's clock. Each second's entries stand together.
    pub(crate) fn leave_new(&mut self, told: &mut Vec<Told<'_>>, now_ms: i64) {
        let mut left = Vec::with_capacity(told.len());
        for list in told.chunk_by(|one, next| one.at_ms() == next.at_ms()) {
            let new = list[0].at_ms().map_or(list.len(), |at_ms| self.new_of(list, at_ms, now_ms));
            left.extend_from_slice(&list[..new]);
        }
        *told = left;
    }

    /// How many at the beginning of a list are new.
    fn new_of(&mut self, list: &[Told<'_>], at_ms: i64, now_ms: i64) -> usize {
        let numbers: Vec<u64> = list.iter().map(number).collect();
        let taken = self.taken.entry(at_ms).or_default();
        let over = now_ms.saturating_sub(at_ms) > FIRST_TRY_MS;
        let again = |(length, hash): &&Taken| {
            let end = numbers.len().checked_sub(*length).map(|from| &numbers[from..]);
            end.is_some_and(|end| (over || tells(end)) && self.keys.hash_one(end) == *hash)
        };
        let known = taken.iter().filter(again).map(|(length, _)| *length).max().unwrap_or(0);
        if taken.len() == LISTS {
            taken.pop_front();
        }
        taken.push_back((numbers.len(), self.keys.hash_one(numbers.as_slice())));
        while self.taken.len() > SECONDS {
            self.taken.pop_first();
        }
        numbers.len() - known
    }
}

fn number(told: &Told<'_>) -> u64 {
    match told {
        Told::Waited { ms, .. } | Told::Served { ms, .. } => ms.to_bits(),
        Told::Newest { value, .. } => value.to_bits(),
    }
}

fn tells(numbers: &[u64]) -> bool {
    let mut different = Vec::with_capacity(DIFFERENT);
    for number in numbers {
        if !different.contains(number) {
            different.push(*number);
        }
        if different.len() == DIFFERENT {
            return true;
        }
    }
    false
}

/// Bodies that begin with earlier ones.
#[derive(Default)]
pub(crate) struct Bodies {
    keys: RandomState,
    taken: VecDeque<Taken>,
}

impl Bodies {
    /// What of a body is new.
    pub(crate) fn new_of<'a>(&mut self, body: &'a [u8]) -> &'a [u8] {
        let begins =
            |(length, hash): &&Taken| body.get(..*length).is_some_and(|begin| self.keys.hash_one(begin) == *hash);
        let known = self.taken.iter().filter(begins).map(|(length, _)| *length).max().unwrap_or(0);
        if known < body.len() {
            if self.taken.len() == BODIES {
                self.taken.pop_front();
            }
            self.taken.push_back((body.len(), self.keys.hash_one(body)));
        }
        &body[known..]
    }
}

/// How often a sender is asked to push, that all its processes together make some ten requests a second.
#[derive(Default)]
pub(crate) struct Pace {
    secs: u16,
    since_ms: i64,
    pushes: u32,
}

/// Over how long pushes are counted, in milliseconds.
const COUNTED_MS: i64 = 10_000;
/// Pushes a second of one sender that are no burden.
const WANTED: f64 = 10.0;
/// The longest interval, in seconds: what is acted upon must be known by then.
const LONGEST: f64 = 10.0;

impl Pace {
    /// A push came; the seconds between those of one process from now on.
    pub(crate) fn pushed(&mut self, now_ms: i64) -> u16 {
        self.pushes = self.pushes.saturating_add(1);
        let span_ms = now_ms.saturating_sub(self.since_ms);
        if span_ms >= COUNTED_MS {
            // So many processes, if each keeps to the interval that it was told.
            let processes = f64::from(self.pushes) * 1000.0 / span_ms as f64 * f64::from(self.secs.max(1));
            self.secs = (processes / WANTED).round().clamp(1.0, LONGEST) as u16;
            (self.since_ms, self.pushes) = (now_ms, 0);
        }
        self.secs.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_795_590_614_000;

    fn left(lists: &mut Lists, numbers: &[f64], later_ms: i64) -> Vec<f64> {
        let waited = |ms: &f64| Told::Waited { at_ms: SECOND, ms: *ms, request: true };
        let mut told: Vec<_> = numbers.iter().map(waited).collect();
        lists.leave_new(&mut told, SECOND + later_ms);
        let ms = |told: Told<'_>| if let Told::Waited { ms, .. } = told { ms } else { f64::NAN };
        told.into_iter().map(ms).collect()
    }

    #[test]
    fn a_list_that_comes_again_counts_once_and_that_of_another_process_counts() {
        let mut lists = Lists::default();
        assert_eq!(left(&mut lists, &[129.0, 127.0, 126.0], 500), [129.0, 127.0, 126.0]);
        assert_eq!(left(&mut lists, &[129.0, 127.0, 126.0], 1500), [0.0; 0], "the same again");
        assert_eq!(left(&mut lists, &[7.0, 129.0, 127.0, 126.0], 1500), [7.0], "behind what came since");
        assert_eq!(left(&mut lists, &[8.0, 7.0, 129.0, 127.0, 126.0], 2500), [8.0], "and again");
        assert_eq!(left(&mut lists, &[129.0, 127.0, 125.0], 1500), [129.0, 127.0, 125.0], "another process");
        assert_eq!(left(&mut lists, &[0.0, 0.0], 1000), [0.0, 0.0]);
        assert_eq!(left(&mut lists, &[0.0, 0.0], 1200), [0.0, 0.0], "two processes without a wait");
        assert_eq!(left(&mut lists, &[0.0, 0.0], 6500), [0.0; 0], "too late for a first try");
        assert_eq!(left(&mut lists, &[3.0], 6500), [3.0], "late, and new");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut lists = Lists::default();
        for at_ms in (0..10_000_000).step_by(1000) {
            let mut told = vec![Told::Waited { at_ms, ms: 1.0, request: true }];
            lists.leave_new(&mut told, at_ms);
            assert_eq!(told.len(), 1);
        }
        for _ in 0..1000 {
            left(&mut lists, &[1.0], 0);
        }
        assert_eq!(lists.taken.len(), SECONDS);
        assert!(lists.taken.values().all(|lists| lists.len() <= LISTS));
    }

    #[test]
    fn a_body_that_begins_with_an_earlier_one_tells_what_is_behind_it() {
        let mut bodies = Bodies::default();
        assert_eq!(bodies.new_of(b"1,a\r\n"), b"1,a\r\n");
        assert_eq!(bodies.new_of(b"1,a\r\n2,b\r\n"), b"2,b\r\n");
        assert_eq!(bodies.new_of(b"1,a\r\n2,b\r\n3,c\r\n"), b"3,c\r\n");
        assert_eq!(bodies.new_of(b"1,a\r\n2,b\r\n"), b"");
        assert_eq!(bodies.new_of(b"4,d\r\n"), b"4,d\r\n");
    }

    #[test]
    fn many_processes_are_asked_to_push_less_often_and_few_each_second() {
        let mut pace = Pace::default();
        let (mut secs, mut now_ms) = (1, SECOND);
        // A hundred processes, each at the interval that it was told last.
        for _ in 0..10 {
            let until = now_ms + 10_000;
            while now_ms < until {
                now_ms += i64::from(secs) * 10;
                secs = pace.pushed(now_ms);
            }
        }
        assert_eq!(secs, 10);
        for _ in 0..30 {
            now_ms += 1000;
            secs = pace.pushed(now_ms);
        }
        assert_eq!(secs, 1);
    }
}
