use super::*;
use crate::Detail;
use crate::learned::MOST_SLOTS;
use crate::policy::testing::{Read, propose, propose_after};
use crate::queueing::Routing;

const RULE: ResponseTime = ResponseTime {
    model: Model { at_once: 1, routing: Routing::Shared, variation: 1.0, objective_secs: 0.5, slow_share: 0.05 },
    headroom: 0.0,
    slack: 0.0,
    lead: SignedDuration::from_secs(60),
    lower_after: SignedDuration::from_secs(300),
    wait_included: false,
    adapt: false,
    unit: Unit::Milliseconds,
};

/// A source that tells the rate, of requests of 0.1 s.
fn told(rate: f64) -> Detail {
    Detail { rate: Some(rate), service_ms: Some(100.0), ..Detail::default() }
}

/// A reading every 20 s.
fn reads(readings: impl IntoIterator<Item = (f64, Detail)>) -> Vec<Read> {
    readings.into_iter().enumerate().map(|(n, (value, detail))| (n as i64 * 20, Some(value), detail)).collect()
}

fn wanted(dynos: u32, readings: impl IntoIterator<Item = (f64, Detail)>) -> Option<u32> {
    propose(&RULE, dynos, dynos, &reads(readings)).desired
}

/// M/M/c at 10 requests a second by each server: 8 dynos take 70 a second with a p95 of 0.43 s, 10 take 90 with 0.436 s, and
/// 4 take 30 with 0.413 s, but 36 with 0.82 s.
#[test]
fn as_many_dynos_as_the_load_needs() {
    for (rate, dynos, desired) in [(70.0, 7, 8), (90.0, 9, 10), (30.0, 3, 4), (36.0, 4, 5), (0.0, 1, 1)] {
        assert_eq!(wanted(dynos, [(200.0, told(rate))]), Some(desired), "{rate} up, at once");
        assert_eq!(wanted(20, vec![(200.0, told(rate)); 5]), Some(20), "{rate} down, not before 5 min");
        assert_eq!(wanted(20, vec![(200.0, told(rate)); 20]), Some(desired), "{rate} down");
    }
}

#[test]
fn the_busiest_minute_of_a_while_counts_for_fewer() {
    let mut readings = vec![(200.0, told(30.0)); 40];
    // The instants of the tests begin 20 s after a whole minute: these three are one.
    readings[29..=31].fill((200.0, told(70.0)));
    assert_eq!(wanted(20, readings.clone()), Some(8));
    readings[29..=31].fill((200.0, told(30.0)));
    readings[30] = (200.0, told(70.0));
    assert_eq!(wanted(20, readings.clone()), Some(6), "as for 43 a second, the mean of the minute");
    readings[30] = (200.0, told(30.0));
    readings[8..=10].fill((200.0, told(70.0)));
    assert_eq!(wanted(20, readings), Some(4), "10 min ago is long ago");
}

#[test]
fn chance_in_the_service_time_of_one_reading_is_evened_out() {
    let noisy = |ms: f64| Detail { rate: Some(65.0), service_ms: Some(ms), ..Detail::default() };
    let swinging = (0..20).map(|n| (200.0, noisy(if n % 2 == 0 { 90.0 } else { 110.0 })));
    assert_eq!(wanted(8, swinging), Some(8), "as for 0.1 s; 0.11 s would need 9");
    let mut longer = vec![(200.0, noisy(100.0)); 20];
    longer.push((200.0, noisy(200.0)));
    assert!(wanted(8, longer) > Some(14), "what is clearly longer stands for itself");
}

/// The margins after hours in which a share of the requests waited: told by how many were under way.
#[test]
fn margins_follow_the_budget() {
    let rule = ResponseTime { adapt: true, headroom: 0.1, ..RULE };
    let after = |hours: i64, mean_secs: f64| {
        let mut learned = Learned::default();
        for n in 0..hours * 360 {
            let detail = Detail { concurrency: Some(70.0 * mean_secs), ..told(70.0) };
            let at = crate::policy::testing::at(n * 10);
            let point = Point { at, verdict: Verdict::JustRight, value: Some(200.0), detail, ready: Some(8) };
            rule.learn(&mut learned, &point);
        }
        rule.margins(&learned, 0.1)
    };
    let begin = after(0, 0.1);
    assert!((begin.model.slow_share - 0.125).abs() < 1e-9 && (begin.headroom - 0.1).abs() < 1e-9);
    let (idle, busy) = (after(12, 0.1), after(12, 0.5));
    assert!(idle.price < begin.price && idle.model.slow_share > begin.model.slow_share && idle.headroom < 0.1);
    assert!(busy.price > begin.price && busy.model.slow_share < begin.model.slow_share && busy.headroom > 0.1);
    assert!(busy.price < 60.0, "however much is slow, a jump is not worth more than that");
    let fixed = ResponseTime { adapt: false, ..rule };
    assert_eq!(fixed.margins(&Learned::default(), 0.1).model, RULE.model);
}

/// Four hours of 10 requests a second, and of 70 in each 10th minute.
#[test]
fn dynos_are_kept_for_jumps_that_come_often() {
    let lower_after = SignedDuration::from_secs(120);
    let rule = ResponseTime { adapt: true, lower_after, lead: SignedDuration::from_secs(30), ..RULE };
    let readings = |every: i64| {
        // The instants of the tests begin 20 s after a whole minute.
        let rate = move |n: i64| if ((n + 1) / 3) % every == every / 2 { 70.0 } else { 10.0 };
        reads((0..720).map(move |n| (200.0, told(rate(n)))))
    };
    assert!(propose(&rule, 20, 20, &readings(10)).desired >= Some(8));
    assert_eq!(propose(&rule, 2, 2, &readings(10)).desired, Some(8), "up as well, four times at most");
    assert!(propose(&rule, 20, 20, &readings(240)).desired <= Some(3), "one jump in four hours is not worth it");
    assert!(propose(&ResponseTime { adapt: false, ..rule }, 20, 20, &readings(10)).desired <= Some(3));
}

#[test]
fn a_long_time_to_lower_fits_into_the_slots() {
    for (seconds, minutes) in [(0, false), (59, false), (60, true), (3600, true), (86_400, true)] {
        let rule = ResponseTime { adapt: true, lower_after: SignedDuration::from_secs(seconds), ..RULE };
        assert!(rule.lower_after <= SignedDuration::from_secs(rule.slot_secs() * (MOST_SLOTS - 1)));
        assert_eq!(rule.slot_secs() % 60 == 0 && rule.slot_secs() >= 60, minutes, "{seconds} s");
    }
}

#[test]
fn less_than_a_minute_to_lower_counts_in_seconds() {
    let rule = ResponseTime { lead: SignedDuration::from_secs(1), lower_after: SignedDuration::from_secs(6), ..RULE };
    // 90 requests a second for 20 s, then 30: 10 dynos, and 4 once the last busy second is 6 s ago.
    let until = |last: i64| {
        let rate = |second| if second < 20 { 90.0 } else { 30.0 };
        let readings: Vec<Read> = (0..=last).map(|second| (second, Some(200.0), told(rate(second)))).collect();
        propose(&rule, 10, 10, &readings).desired
    };
    assert_eq!([19, 24, 28].map(until), [Some(10), Some(10), Some(4)]);
}

#[test]
fn a_rise_is_followed_ahead() {
    // From 30 to 60 a second within 3 min: 10 more in the minute that a dyno takes to serve.
    let rising = (0..10).map(|n| (200.0, told(30.0 + f64::from(n) * 10.0 / 3.0)));
    assert_eq!(wanted(7, rising), Some(8), "as for 70 a second");
    assert_eq!(wanted(7, vec![(200.0, told(60.0)); 10]), Some(7));
}

#[test]
fn what_waits_is_work_to_be_done() {
    // 900 requests that wait are 90 s of work, of which the eighth server does 60 s until new dynos serve: ten servers do the
    // rest in 3 s, beside the seven; M/M/18 takes 170 a second with 3.2 % slower than 0.5 s, by the formula.
    let waiting = |requests: f64| Detail { concurrency: Some(7.0 + requests), ..told(70.0) };
    assert_eq!(wanted(8, [(3000.0, waiting(900.0))]), Some(18));
    assert_eq!(wanted(8, [(3000.0, waiting(630.0))]), Some(9), "one server");
    assert_eq!(wanted(8, [(3000.0, waiting(590.0))]), Some(8), "nothing waits any more when a new dyno serves");
    assert_eq!(wanted(8, [(3000.0, waiting(9000.0))]), Some(29), "as for 280 a second: four times the load, at most");
}

/// A jump from 30 to 70 a second that three dynos met, and 800 requests that wait by now.
#[test]
fn dynos_that_were_started_are_counted_on() {
    let after = |secs: i64, dynos: u32| {
        let calm = (0..30).map(|n| ((n * 20, Some(200.0), told(30.0)), 3));
        let jump = (30..31 + secs / 20).map(|n| {
            let under_way = if n == 30 { 7.0 } else { 807.0 };
            (
                (n * 20, Some(3000.0), Detail { concurrency: Some(under_way), ..told(70.0) }),
                if n == 30 { 3 } else { dynos },
            )
        });
        propose_after(&RULE, dynos, &calm.chain(jump).collect::<Vec<_>>()).desired
    };
    // 80 s of work, and seven servers' more; three serve for 20 s and then as many as were started: 20 until 1 min after.
    assert_eq!(after(40, 20), Some(20), "80 + 420 - 3 × 20 - 20 × 40 s: all is done by then");
    assert!(
        after(40, 9) > Some(27),
        "80 + 420 - 3 × 20 - 9 × 40 s: 80 s of it are left, which is more than three times the load"
    );
}

/// While a queue is worked off, more is answered than comes, and the time of all that had waited in it.
#[test]
fn what_was_answered_is_no_part_of_the_queue() {
    let rule = ResponseTime { wait_included: true, ..RULE };
    let steady = reads(vec![(200.0, Detail { concurrency: Some(3.0), ..told(30.0) }); 40]);
    let with = |concurrency: f64, rate: f64| {
        let mut readings = steady.clone();
        let service_ms = Some(3000.0);
        let detail = Detail { rate: Some(rate), concurrency: Some(concurrency), service_ms, ..Detail::default() };
        readings.push((800, Some(9000.0), detail));
        propose(&rule, 7, 7, &readings).desired
    };
    // 70 come in a second and 200 are answered, that took 3 s: of those that come, 210 are under way, which are 20.3 s of work;
    // 6.8 servers do it in 3 s, beside the seven. M/M/15 takes 138 a second with 2.0 % slower than 0.5 s, by the formula.
    assert_eq!(with(600.0, 70.0), Some(15));
    assert_eq!(with(210.0, 70.0), Some(15), "the same, where as many are answered as come");
}

#[test]
fn what_will_wait_until_new_dynos_serve_counts_as_well() {
    // Seven servers' work for three: 4 s of work more in each second, for the 60 s until new dynos serve.
    let jump = reads([(200.0, told(70.0))]);
    assert_eq!(propose(&RULE, 3, 3, &jump).desired, Some(12), "four times the dynos there are, at most");
    assert_eq!(propose(&RULE, 8, 3, &jump).desired, Some(29), "four times the load, at most");
    // 7.1 for seven: 6 s of work, two servers for 3 s; M/M/10 takes 91 a second.
    assert_eq!(propose(&RULE, 7, 7, &reads([(200.0, told(71.0))])).desired, Some(10));
}

#[test]
fn dynos_that_were_just_added_stay() {
    // A quiet hour with four dynos; then there are twelve, and it stays quiet.
    let after = |secs: i64| {
        let reads = (0..180 + secs / 20).map(|n| ((n * 20, Some(200.0), told(30.0)), if n < 180 { 4 } else { 12 }));
        propose_after(&RULE, 12, &reads.collect::<Vec<_>>()).desired
    };
    assert_eq!([20, 40, 60].map(after), [Some(12), Some(12), Some(4)]);
    // One of the twelve never serves: that holds nobody.
    let reads: Vec<_> = (0..180).map(|n| ((n * 20, Some(200.0), told(30.0)), 11)).collect();
    assert_eq!(propose_after(&RULE, 12, &reads).desired, Some(4));
}

/// With few requests, the mean service time of one reading and that of a minute are matters of chance.
#[test]
fn a_quiet_night_starts_no_dynos() {
    // Now and then one takes long, and once several in a row do: of those, one in seven takes longer than 0.5 s.
    let long = |n: i64| n % 90 == 89 || (230..236).contains(&n);
    let of = |n: i64| if long(n) { 250.0 } else { 80.0 };
    let told = |n: i64| Detail { rate: Some(0.4), service_ms: Some(of(n)), ..Detail::default() };
    let reads = |last: i64| (0..=last).map(|n| (n * 5, Some(200.0), told(n))).collect::<Vec<_>>();
    for last in [179, 184, 235, 280] {
        assert_eq!(propose(&RULE, 1, 1, &reads(last)).desired, Some(1), "{last}");
    }
}

#[test]
fn the_measured_percentile_keeps_watch() {
    assert_eq!(wanted(10, vec![(200.0, told(30.0)); 20]), Some(4));
    let mut slow = vec![(200.0, told(30.0)); 20];
    slow[18].0 = 501.0;
    assert_eq!(wanted(10, slow), Some(10), "slow of late: nothing is removed");
    assert_eq!(wanted(10, vec![(501.0, told(30.0)); 20]), Some(11), "slow for long: the model is wrong");
}

#[test]
fn an_objective_out_of_reach_calls_for_no_dynos() {
    // Of requests of 0.3 s, 19 % take longer than 0.5 s by themselves.
    let long = Detail { rate: Some(10.0), service_ms: Some(300.0), ..Detail::default() };
    assert_eq!(wanted(20, vec![(900.0, long); 40]), wanted(20, vec![(100.0, long); 40]));
    assert!(wanted(20, vec![(900.0, long); 40]) < Some(10));
}

#[test]
fn without_a_load_by_readings() {
    let none = Detail::default();
    assert_eq!(wanted(8, [(600.0, none), (100.0, none), (600.0, none)]), Some(10));
    assert_eq!(wanted(8, [(600.0, none), (100.0, none), (100.0, none)]), Some(8));
    assert_eq!(wanted(8, vec![(249.0, none); 20]), Some(7));
    assert_eq!(wanted(30, vec![(249.0, none); 20]), Some(24), "a fifth");
    assert_eq!(wanted(8, vec![(251.0, none); 20]), Some(8));
    assert_eq!(wanted(1, vec![(1.0, none); 20]), Some(1));
    let rate = ResponseTime { unit: Unit::RequestsPerSecond, ..RULE };
    assert_eq!(propose(&rate, 3, 3, &reads([(70.0, none)])).desired, None);
    assert_eq!(propose(&rate, 7, 7, &reads([(70.0, Detail { service_ms: Some(100.0), ..none })])).desired, Some(8));
}

/// What a router sees of the queue above: the time in the dyno, wait and all.
#[test]
fn a_wait_that_is_included_is_taken_out() {
    let rule = ResponseTime { wait_included: true, ..RULE };
    let router = |rate: f64, ms: f64| Detail { rate: Some(rate), service_ms: Some(ms), ..Detail::default() };
    let at_rest = reads(vec![(432.0, router(70.0, 163.6)); 40]);
    assert_eq!(propose(&rule, 8, 8, &at_rest).desired, Some(8));
    assert!(propose(&RULE, 8, 8, &at_rest).desired > Some(14), "as service alone, it would be much more");
    // An overload makes each request take 3 s, which is no reason for 210 dynos.
    let mut overload = reads(vec![(200.0, router(30.0, 100.1)); 40]);
    overload.push((800, Some(9000.0), router(70.0, 3000.0)));
    assert_eq!(propose(&rule, 7, 7, &overload).desired, Some(8));
}
