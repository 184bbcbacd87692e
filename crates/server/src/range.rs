//! The wanted range of a measurement, for the thresholds in charts: asked from its policy, so that a policy says it in one
//! place only, its verdict.

use autoscalebot_core::Verdict;
use autoscalebot_core::policy::Policy;
use serde::Serialize;

/// The wanted range: below `low` is too low, above `high` is too high. One that does not exist is absent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Range {
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
}

/// Numbers above this are no thresholds that anybody means.
const MOST: f64 = 1e15;

/// Finds both ends by halving: exact, as neighbours among floating-point numbers have neighbouring bits.
pub(crate) fn of(policy: &dyn Policy) -> Range {
    let low = edge(|value| policy.verdict(value) != Verdict::TooLow).map(|(_, at_least)| at_least);
    let high = edge(|value| policy.verdict(value) == Verdict::TooHigh).map(|(at_most, _)| at_most);
    Range { low, high }
}

/// The neighbours between which `so` turns from false to true; `None` where it does not.
fn edge(so: impl Fn(f64) -> bool) -> Option<(f64, f64)> {
    if so(0.0) || !so(MOST) {
        return None;
    }
    let (mut not, mut yes) = (0.0_f64.to_bits(), MOST.to_bits());
    while yes - not > 1 {
        let middle = not + (yes - not) / 2;
        if so(f64::from_bits(middle)) {
            yes = middle;
        } else {
            not = middle;
        }
    }
    Some((f64::from_bits(not), f64::from_bits(yes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoscalebot_core::policy::consecutive::Consecutive;

    #[test]
    fn the_ends_are_exact() {
        for (low, high) in [(200.0, 1000.0), (0.1, 0.3), (5.0, 5.0)] {
            let policy = Consecutive { low, high, fails: 1, passes: 1, increment: 1, refuse_zero: false };
            assert_eq!(of(&policy), Range { low: Some(low), high: Some(high) });
        }
        let policy = Consecutive { low: 0.0, high: 9.0, fails: 1, passes: 1, increment: 1, refuse_zero: false };
        assert_eq!(of(&policy), Range { low: None, high: Some(9.0) });
    }
}
