//! [`Tally`]: lines of a recording counted by time, whatever their order, in memory that does not grow with their number.
//! Where a recording was silent for longer than is allowed, nobody knows what came: that is a gap, and no zero.

use std::collections::{BTreeMap, BTreeSet};

use autoscalebot_simulate::{Service, Shape};

use super::gaps::{Gap, Gaps};

/// More buckets than this are merged into longer ones: a year of minutes fits.
const MOST_BUCKETS: usize = 600_000;
/// More steps than this are no trace to simulate.
pub(crate) const MOST_STEPS: i64 = 5_000_000;
/// Process types that are told apart; a name comes out of a log, so their number is bounded.
const MOST_PROCESSES: usize = 64;
/// A service time is judged by so many requests at least.
const FEWEST_FITTED: u64 = 30;
/// It is judged by the emptiest steps that have a twentieth of the requests between them: so many at least, which tells a mean
/// within a few per cent, and no more than this.
const ENOUGH_FITTED: (u64, u64) = (1_000, 10_000);

/// What came within a bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    requests: u64,
    /// Those that the app answered well, with a time.
    served: u64,
    sum_ms: f64,
    squares_ms: f64,
    /// The highest number of a dyno that answered.
    dynos: u32,
}

impl Bucket {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.served += other.served;
        self.sum_ms += other.sum_ms;
        self.squares_ms += other.squares_ms;
        self.dynos = self.dynos.max(other.dynos);
    }
}

/// One request of a recording.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) process: &'a [u8],
    /// Its time, where the app answered it and well.
    pub(crate) served_ms: Option<f64>,
    /// The number of its dyno.
    pub(crate) dyno: u32,
}

/// The count.
#[derive(Debug)]
pub(crate) struct Tally {
    base_secs: i64,
    fixed: bool,
    /// The buckets in which anything was said.
    heard: BTreeSet<i64>,
    processes: BTreeMap<Box<[u8]>, Counts>,
    first_ms: i64,
    last_ms: i64,
    newest_heard: i64,
    /// Lines of process types beyond the most that are told apart.
    pub(crate) others: u64,
}

/// The requests of one process; the bucket that is being filled stands apart.
#[derive(Debug, Default)]
struct Counts {
    done: BTreeMap<i64, Bucket>,
    now: (i64, Bucket),
    requests: u64,
}

impl Counts {
    fn put_away(&mut self) {
        let (index, bucket) = std::mem::take(&mut self.now);
        if bucket.requests > 0 {
            self.done.entry(index).or_default().add(&bucket);
        }
    }
}

/// Requests per step, and how long one takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counted {
    pub(crate) process: String,
    /// When the first step begins, in seconds of the Unix epoch.
    pub(crate) start: i64,
    pub(crate) step_secs: u32,
    pub(crate) requests: Vec<f64>,
    pub(crate) fit: Option<Fit>,
}

/// A service time, judged by the steps with the fewest requests on each dyno.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(crate) struct Fit {
    /// The mean, in seconds.
    pub(crate) mean_secs: f64,
    /// Variance over squared mean; absent where only means are known.
    pub(crate) scv: Option<f64>,
    /// Requests, or readings, that were looked at.
    pub(crate) samples: u64,
    /// Requests in a second on each dyno, in the fullest of the steps that were looked at.
    pub(crate) most_per_dyno: f64,
}

impl Fit {
    /// The model's service time. Work on the web has a long tail, hence the shape; next to no variance is none.
    pub(crate) fn service(&self) -> Service {
        let shape = match self.scv {
            None => Shape::Exponential,
            Some(scv) if scv < 0.001 => Shape::Deterministic,
            Some(scv) => Shape::Lognormal { scv: scv.min(1000.0) },
        };
        Service { mean_secs: self.mean_secs, shape }
    }
}

/// Why there is no trace.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NoTrace {
    /// No request is in it.
    Empty,
    /// Several process types; each with its requests.
    Several(Vec<(String, u64)>),
    /// The process that was asked for is not in it, but these.
    Other(Vec<String>),
    /// Nothing was heard for longer than is allowed.
    Gaps(Vec<Gap>),
    /// The steps are too many.
    TooLong { secs: i64, step: i64 },
}

impl Tally {
    /// A count in steps of this length, or of one that follows from how long the recording is.
    pub(crate) fn new(step: Option<u32>) -> Self {
        Self {
            base_secs: step.map_or(1, i64::from),
            fixed: step.is_some(),
            heard: BTreeSet::new(),
            processes: BTreeMap::new(),
            first_ms: i64::MAX,
            last_ms: i64::MIN,
            newest_heard: i64::MIN,
            others: 0,
        }
    }

    /// That anything was said at an instant: until then the recording was alive.
    #[inline]
    pub(crate) fn hear(&mut self, at_ms: i64) {
        self.first_ms = self.first_ms.min(at_ms);
        self.last_ms = self.last_ms.max(at_ms);
        let index = at_ms.div_euclid(self.base_secs * 1000);
        if index != self.newest_heard {
            self.newest_heard = index;
            self.heard.insert(index);
            if self.heard.len() > MOST_BUCKETS && !self.fixed {
                self.coarsen();
            }
        }
    }

    /// A request, at an instant that was heard.
    #[inline]
    pub(crate) fn count(&mut self, at_ms: i64, seen: Seen<'_>) {
        let index = at_ms.div_euclid(self.base_secs * 1000);
        if !self.processes.contains_key(seen.process) {
            if self.processes.len() >= MOST_PROCESSES {
                self.others += 1;
                return;
            }
            self.processes.insert(seen.process.into(), Counts::default());
        }
        let Some(counts) = self.processes.get_mut(seen.process) else { return };
        if counts.now.0 != index {
            counts.put_away();
            counts.now.0 = index;
        }
        let bucket = &mut counts.now.1;
        counts.requests += 1;
        bucket.requests += 1;
        bucket.dynos = bucket.dynos.max(seen.dyno);
        if let Some(ms) = seen.served_ms {
            bucket.served += 1;
            bucket.sum_ms += ms;
            bucket.squares_ms += ms * ms;
        }
    }

    /// Merges each ten buckets, or six, into one, so that lengths stay ones that people read.
    fn coarsen(&mut self) {
        let times = if self.base_secs == 10 { 6 } else { 10 };
        self.base_secs *= times;
        self.heard = std::mem::take(&mut self.heard).into_iter().map(|index| index.div_euclid(times)).collect();
        self.newest_heard = i64::MIN;
        for counts in self.processes.values_mut() {
            counts.put_away();
            let mut merged = BTreeMap::<i64, Bucket>::new();
            for (index, bucket) in std::mem::take(&mut counts.done) {
                merged.entry(index.div_euclid(times)).or_default().add(&bucket);
            }
            counts.done = merged;
        }
    }

    /// The steps of one process. `whole` says whether the first and the last line are where something was cut off on purpose,
    /// so that their steps are whole; else those two are left out where others remain.
    pub(crate) fn counted(
        mut self,
        process: Option<&str>,
        gap_secs: i64,
        whole: (bool, bool),
    ) -> Result<Counted, NoTrace> {
        let name = self.pick(process)?;
        let Some(mut counts) = self.processes.remove(name.as_bytes()) else { return Err(NoTrace::Empty) };
        counts.put_away();
        let gaps = Gaps::new(self.heard.iter().map(|index| index * self.base_secs), self.base_secs, gap_secs);
        let gaps: Vec<_> = gaps.collect();
        if !gaps.is_empty() {
            return Err(NoTrace::Gaps(gaps));
        }
        let step = self.step();
        let (first_sec, last_sec) = (self.first_ms.div_euclid(1000), self.last_ms.div_euclid(1000));
        let (mut first, mut last) = (first_sec.div_euclid(step), last_sec.div_euclid(step));
        if last - first > MOST_STEPS {
            return Err(NoTrace::TooLong { secs: last_sec - first_sec, step });
        }
        if last - first >= 3 {
            first += i64::from(!whole.0 && self.first_ms > first * step * 1000);
            last -= i64::from(!whole.1 && self.last_ms < (last + 1) * step * 1000 - 1000);
        }
        let mut steps = vec![Bucket::default(); usize::try_from(last - first + 1).unwrap_or(0)];
        for (index, bucket) in &counts.done {
            let step = (index * self.base_secs).div_euclid(step) - first;
            if let Some(merged) = usize::try_from(step).ok().and_then(|step| steps.get_mut(step)) {
                merged.add(bucket);
            }
        }
        Ok(Counted {
            process: name,
            start: first * step,
            step_secs: u32::try_from(step).unwrap_or(u32::MAX),
            requests: steps.iter().map(|bucket| bucket.requests as f64).collect(),
            fit: fit(&steps, step as f64),
        })
    }

    /// A minute where there is an hour of them, and less for less.
    fn step(&self) -> i64 {
        let secs = (self.last_ms - self.first_ms) / 1000;
        let wanted = match secs {
            _ if self.fixed => self.base_secs,
            3600.. => 60,
            600..3600 => 10,
            _ => 1,
        };
        wanted.max(self.base_secs)
    }

    fn pick(&self, process: Option<&str>) -> Result<String, NoTrace> {
        let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let names = || self.processes.keys().map(|key| name(key)).collect::<Vec<_>>();
        let mut keys = self.processes.keys();
        match (process, keys.next(), keys.next()) {
            (_, None, _) => Err(NoTrace::Empty),
            (Some(process), ..) if self.processes.contains_key(process.as_bytes()) => Ok(process.to_owned()),
            (Some(_), ..) => Err(NoTrace::Other(names())),
            (None, Some(one), None) => Ok(name(one)),
            (None, ..) => {
                Err(NoTrace::Several(self.processes.iter().map(|(key, counts)| (name(key), counts.requests)).collect()))
            }
        }
    }
}

/// The service time in the steps with the fewest requests on each dyno. They are chosen by requests alone: chosen by the time
/// spent, the short times would be chosen with them.
fn fit(steps: &[Bucket], step_secs: f64) -> Option<Fit> {
    let per_dyno = |bucket: &Bucket| bucket.requests as f64 / f64::from(bucket.dynos.max(1));
    let mut busy: Vec<&Bucket> = steps.iter().filter(|bucket| bucket.served > 0).collect();
    busy.sort_by(|a, b| per_dyno(a).total_cmp(&per_dyno(b)));
    let all: u64 = busy.iter().map(|bucket| bucket.served).sum();
    let enough = (all / 20).clamp(ENOUGH_FITTED.0, ENOUGH_FITTED.1);
    let (mut sum, mut fullest) = (Bucket::default(), 0.0);
    for bucket in busy {
        if sum.served >= enough && per_dyno(bucket) > fullest {
            break;
        }
        fullest = per_dyno(bucket);
        sum.add(bucket);
    }
    if sum.served < FEWEST_FITTED {
        return None;
    }
    let count = sum.served as f64;
    // The router tells whole milliseconds: none of them is half of one.
    let mean = (sum.sum_ms / count).max(0.5);
    let variance = (sum.squares_ms / count - mean * mean).max(0.0);
    Some(Fit {
        mean_secs: mean / 1000.0,
        scv: Some(variance / (mean * mean)),
        samples: sum.served,
        most_per_dyno: fullest / step_secs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(served_ms: f64, dyno: u32) -> Seen<'static> {
        Seen { process: b"web", served_ms: Some(served_ms), dyno }
    }

    fn tally(step: Option<u32>, ats: impl IntoIterator<Item = i64>) -> Tally {
        let mut tally = Tally::new(step);
        for at in ats {
            tally.hear(at * 1000);
            tally.count(at * 1000, web(100.0, 1));
        }
        tally
    }

    #[test]
    fn lines_are_counted_in_steps_whatever_their_order() {
        let counted = tally(Some(10), [25, 0, 3, 12, 29, 14, 1]).counted(None, 60, (true, true)).unwrap();
        assert_eq!((counted.start, counted.step_secs, counted.requests.as_slice()), (0, 10, &[3.0, 2.0, 2.0][..]));
        assert_eq!(counted.process, "web");
    }

    #[test]
    fn the_first_and_the_last_step_are_left_out_where_they_are_cut() {
        let counted = tally(Some(10), 5..45).counted(None, 60, (false, false)).unwrap();
        assert_eq!((counted.start, counted.requests.as_slice()), (10, &[10.0; 3][..]));
        let counted = tally(Some(10), 5..45).counted(None, 60, (true, true)).unwrap();
        assert_eq!((counted.start, counted.requests.as_slice()), (0, &[5.0, 10.0, 10.0, 10.0, 5.0][..]));
    }

    #[test]
    fn the_step_follows_from_the_length() {
        let step = |until: i64| tally(None, (0..until).step_by(20)).counted(None, 60, (true, true)).unwrap().step_secs;
        assert_eq!([step(300), step(900), step(7200)], [1, 10, 60]);
    }

    #[test]
    fn silence_is_zero_only_where_something_was_said() {
        let mut alive = tally(Some(60), [0, 600]);
        for at in (0..600).step_by(20) {
            alive.hear(at * 1000);
        }
        assert_eq!(alive.counted(None, 300, (true, true)).unwrap().requests[1..10], [0.0; 9]);
        let gap = tally(Some(60), [0, 600]).counted(None, 300, (true, true));
        assert_eq!(gap, Err(NoTrace::Gaps(vec![Gap { from: 60, to: 600 }])));
        assert!(tally(Some(60), [0, 600]).counted(None, 540, (true, true)).is_ok());
    }

    #[test]
    fn memory_is_bounded_by_merging() {
        // Ten days, one line in 5 s, then in 1 s: more seconds than are kept apart.
        let mut tally = Tally::new(None);
        for at in 0..MOST_BUCKETS as i64 + 1000 {
            tally.hear(at * 1000);
            tally.count(at * 1000, web(100.0, 1));
        }
        assert!(tally.heard.len() < MOST_BUCKETS / 5 && tally.base_secs == 10);
        let counted = tally.counted(None, 60, (true, true)).unwrap();
        assert_eq!(counted.step_secs, 60);
        assert!((counted.requests.iter().sum::<f64>() - MOST_BUCKETS as f64 - 1000.0).abs() < 1e-9);
    }

    #[test]
    fn the_service_time_is_that_of_the_emptiest_steps() {
        let mut tally = Tally::new(Some(60));
        for minute in 0..100_i64 {
            // Every other minute is ten times as full and, as requests wait for each other, five times as slow.
            let (count, ms) = if minute % 2 == 0 { (100, 0.0) } else { (1000, 800.0) };
            for n in 0..count {
                let at = minute * 60_000 + n * 60;
                tally.hear(at);
                tally.count(at, web(100.0 + ms + if n % 2 == 0 { 100.0 } else { -100.0 }, 1));
            }
        }
        let fit = tally.counted(None, 300, (true, true)).unwrap().fit.unwrap();
        assert!((fit.mean_secs - 0.1).abs() < 1e-9 && (fit.scv.unwrap() - 1.0).abs() < 1e-9, "{fit:?}");
        assert_eq!(fit.samples, 5000);
        assert!((fit.most_per_dyno - 100.0 / 60.0).abs() < 1e-9);
        assert_eq!(tally_of_few().fit, None);
    }

    fn tally_of_few() -> Counted {
        tally(Some(10), 0..20).counted(None, 60, (true, true)).unwrap()
    }

    #[test]
    fn processes_are_told_apart() {
        let two = || {
            let mut two = tally(Some(10), 0..20);
            two.count(5000, Seen { process: b"api", served_ms: None, dyno: 1 });
            two
        };
        assert_eq!(
            two().counted(None, 60, (true, true)),
            Err(NoTrace::Several(vec![("api".into(), 1), ("web".into(), 20)]))
        );
        assert_eq!(two().counted(Some("api"), 60, (true, true)).unwrap().requests, [1.0, 0.0]);
        let other = two().counted(Some("worker"), 60, (true, true));
        assert_eq!(other, Err(NoTrace::Other(vec!["api".into(), "web".into()])));
        assert_eq!(Tally::new(None).counted(None, 60, (true, true)), Err(NoTrace::Empty));
    }
}
