//! `steps`: levels and the change that each makes, as counts, as shares or as a number to go to; like the step scaling of
//! AWS.
//!
//! Shares are rounded as in <https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html> ("Step
//! scaling adjustment types"): towards zero above 1 (12.7 is 12, −6.67 is −6), and away from it below (0.67 is 1, −0.58 is −1).

use std::sync::Arc;

use jiff::SignedDuration;

use crate::fields::{Description, Field, FieldError, FieldType, Values};
use crate::history::Window;
use crate::policy::{NOTHING_READ, Policy, PolicyInput, PolicyKind, Proposal, count};
use crate::{Dynos, Phrase, Unit, Verdict};

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// So many dynos more, or fewer.
    By(i64),
    /// So much of the dynos there are more, or fewer: 0.5 is half.
    Share(f64),
    /// To this number of dynos.
    To(Dynos),
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Whether it is for values above the level, or below.
    pub above: bool,
    /// The level, in the measurement's unit.
    pub level: f64,
    /// What it does.
    pub change: Change,
}

/// The settings of the rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps {
    /// Those above, with the highest level first; then those below, with the lowest first.
    steps: Vec<Step>,
    fails: u32,
    passes: u32,
}

/// The entry in the list of policies.
pub const KIND: PolicyKind = PolicyKind {
    description: Description {
        name: "steps",
        doc: "Levels and the change that each makes, as counts, as shares or as a number to go to; like AWS step scaling.",
        fields: &[
            Field::required(
                "steps",
                FieldType::Texts,
                "The steps: \"<200ms: -1\" removes a dyno below 200 ms, \">1s: +50%\" adds half as many above 1 s, \">3s: =10\" goes \
                 to 10; the outermost step that is reached counts.",
                "[\"<200ms: -1\", \">1s: +1\", \">3s: +50%\"]",
            ),
            Field::defaulting(
                "fails",
                FieldType::Whole(1, 10_000),
                "1",
                "Readings in a row above a level before its step is taken; the mildest of them counts.",
            ),
            Field::defaulting(
                "passes",
                FieldType::Whole(1, 10_000),
                "5",
                "Readings in a row below a level before its step is taken; the mildest of them counts.",
            ),
        ],
        shorthand: &[],
    },
    build,
};

fn build(values: &Values, unit: Unit) -> Result<Arc<dyn Policy>, FieldError> {
    let fault = |text: &str, what: &str| {
        Err(FieldError::new(
            "steps",
            format!("\"{text}\" {what}: write a level and its change, such as \">1s: +1\" or \"<5: -50%\""),
        ))
    };
    let mut steps = Vec::new();
    for text in values.texts("steps") {
        match step(text, unit) {
            Ok(step) => steps.push(step),
            Err(what) => return fault(text, what),
        }
    }
    if steps.is_empty() {
        return Err(FieldError::new("steps", "has no step: write at least one, such as \">1s: +1\""));
    }
    let key = |step: &Step| if step.above { (0, -step.level) } else { (1, step.level) };
    steps.sort_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal));
    let same = steps.windows(2).find_map(|pair| match pair {
        [a, b] if a.above == b.above && a.level == b.level => Some(a.level),
        _ => None,
    });
    if let Some(level) = same {
        return Err(FieldError::new("steps", format!("has two steps at the same level, {level}: keep one of them")));
    }
    let lowest_above = steps.iter().filter(|step| step.above).map(|step| step.level).reduce(f64::min);
    let highest_below = steps.iter().filter(|step| !step.above).map(|step| step.level).reduce(f64::max);
    if let (Some(above), Some(below)) = (lowest_above, highest_below)
        && below > above
    {
        let message = format!("steps down begin below {below}, above the level {above} where steps up begin: lower it");
        return Err(FieldError::new("steps", message));
    }
    Ok(Arc::new(Steps { steps, fails: count(values, "fails")?, passes: count(values, "passes")? }))
}

/// Reads one step, or says what is wrong with it.
fn step(text: &str, unit: Unit) -> Result<Step, &'static str> {
    let text = text.trim();
    let above = match text.chars().next() {
        Some('>') => true,
        Some('<') => false,
        _ => return Err("begins neither with > nor with <"),
    };
    let (number, change) = text.get(1..).unwrap_or_default().split_once(':').ok_or("has no colon")?;
    let (number, change) = (number.trim(), change.trim());
    let level = match unit {
        Unit::Milliseconds => number
            .parse::<SignedDuration>()
            .map(|level| level.as_secs_f64() * 1000.0)
            .map_err(|_| "has no duration for a level, such as 200ms or 1.5s")?,
        _ => number.parse::<f64>().map_err(|_| "has no number for a level")?,
    };
    if !level.is_finite() || level < 0.0 {
        return Err("has a level below 0");
    }
    let (sign, amount) = match change.chars().next() {
        Some('=') => {
            let to = change.get(1..).unwrap_or_default().trim();
            let to = to.parse().map_err(|_| "goes to no whole number of dynos")?;
            return Ok(Step { above, level, change: Change::To(to) });
        }
        Some('+') => (1.0, change.get(1..).unwrap_or_default().trim()),
        Some('-') => (-1.0, change.get(1..).unwrap_or_default().trim()),
        _ => return Err("has a change that begins neither with +, - nor ="),
    };
    let change = match amount.strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.trim().parse().map_err(|_| "has a share that is no number")?;
            if !(percent > 0.0 && percent <= 10_000.0) {
                return Err("has a share that is not above 0 % and at most 10000 %");
            }
            Change::Share(sign * percent / 100.0)
        }
        None => {
            let dynos: u32 =
                amount.parse().map_err(|_| "has a change that is no whole number of dynos and no share")?;
            Change::By(if sign > 0.0 { i64::from(dynos) } else { -i64::from(dynos) })
        }
    };
    let down = matches!(change, Change::By(by) if by < 0) || matches!(change, Change::Share(share) if share < 0.0);
    // Fewer dynos for more load would chase itself.
    if above == down {
        return Err("removes dynos above its level, or adds them below");
    }
    Ok(Step { above, level, change })
}

impl Change {
    fn of(self, dynos: Dynos) -> Dynos {
        let by = match self {
            Self::To(dynos) => return dynos,
            Self::By(by) => by,
            Self::Share(share) => {
                let exact = share * f64::from(dynos);
                // Free of float noise: 0.2 × 15 is 3.0000000000000004.
                let exact = if (exact - exact.round()).abs() < 1e-9 * exact.abs() { exact.round() } else { exact };
                if exact.abs() < 1.0 { exact.signum() as i64 } else { exact.trunc() as i64 }
            }
        };
        let dynos = i64::from(dynos).saturating_add(by).clamp(0, i64::from(Dynos::MAX));
        Dynos::try_from(dynos).unwrap_or(Dynos::MAX)
    }
}

impl Steps {
    /// The step for a value.
    fn step(&self, value: Option<f64>) -> Option<Step> {
        // A failure that looks like overload is above every level.
        let value = value.unwrap_or(f64::INFINITY);
        self.steps.iter().find(|step| if step.above { value > step.level } else { value < step.level }).copied()
    }
}

impl Policy for Steps {
    fn window(&self) -> Window {
        Window { samples: self.fails.max(self.passes) as usize, span: SignedDuration::MAX }
    }

    fn verdict(&self, value: f64) -> Verdict {
        match self.step(Some(value)) {
            None => Verdict::JustRight,
            Some(step) if step.above => Verdict::TooHigh,
            Some(_) => Verdict::TooLow,
        }
    }

    fn propose(&self, input: &PolicyInput<'_>) -> Proposal {
        let dynos = input.dynos;
        let Some(newest) = input.evidence.newest() else { return Proposal::want(dynos, NOTHING_READ) };
        let Some(step) = self.step(newest.value) else {
            return Proposal::want(dynos, Phrase::new("the newest reading is between the steps"));
        };
        let needed = if step.above { self.fails } else { self.passes };
        let mut mildest = step;
        let mut run = 0;
        for point in input.evidence.newest_first().take(needed as usize) {
            match self.step(point.value) {
                Some(other) if other.above == step.above => {
                    if (other.level < mildest.level) == step.above {
                        mildest = other;
                    }
                    run += 1;
                }
                _ => break,
            }
        }
        let numbers = [f64::from(run), f64::from(needed), mildest.level];
        if run < needed {
            let why = if step.above {
                Phrase::with("{0} of the {1} readings in a row above {2} that take a step", numbers)
            } else {
                Phrase::with("{0} of the {1} readings in a row below {2} that take a step", numbers)
            };
            return Proposal::want(dynos, why);
        }
        let why = if step.above {
            Phrase::with("above {2} for {0} readings in a row", numbers)
        } else {
            Phrase::with("below {2} for {0} readings in a row", numbers)
        };
        // "To a number" is no way to go against the step's direction.
        let wanted = mildest.change.of(dynos);
        Proposal::want(if step.above { wanted.max(dynos) } else { wanted.min(dynos) }, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Value;
    use crate::policy::testing::{build, propose, reads};

    fn rule(unit: Unit, texts: &[&str]) -> Result<Arc<dyn Policy>, FieldError> {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        build(&KIND, unit, &[("steps", Value::Texts(texts)), ("passes", Value::Whole(2))])
    }

    #[test]
    fn worked_examples() {
        let rule =
            rule(Unit::Milliseconds, &["<200ms: -1", "<50ms: -50%", ">1s: +1", "> 3s : +50%", ">10s: =20"]).unwrap();
        let rows: &[(&[f64], u32, u32)] = &[
            (&[], 4, 4),
            (&[200.0], 4, 4),
            (&[1000.0], 4, 4),
            (&[1001.0], 4, 5),
            (&[3001.0], 4, 6),
            (&[10_001.0], 4, 20),
            (&[10_001.0], 30, 30), // never down for more load
            (&[100.0], 4, 4),      // one pass of two
            (&[100.0, 100.0], 4, 3),
            (&[10.0, 100.0], 4, 3), // the mildest
            (&[10.0, 10.0], 4, 2),
            (&[10.0, 10.0], 1, 0),
        ];
        for (values, dynos, desired) in rows {
            assert_eq!(
                propose(&*rule, *dynos, *dynos, &reads(30, values)).desired,
                Some(*desired),
                "{values:?} {dynos}"
            );
        }
        assert_eq!(propose(&*rule, 4, 4, &[(0, None, Default::default())]).desired, Some(20));
    }

    /// The rounding of AWS, by its own examples.
    #[test]
    fn shares_round_as_on_aws() {
        for (share, dynos, after) in [
            (1.27, 10, 22),     // 12.7 is 12
            (0.0067, 100, 101), // 0.67 is 1
            (-0.0058, 100, 99), // −0.58 is −1
            (-0.0667, 100, 94), // −6.67 is −6
            (0.3, 10, 13),
            (0.2, 15, 18),
        ] {
            assert_eq!(Change::Share(share).of(dynos), after, "{share} of {dynos}");
        }
        assert_eq!(Change::Share(0.5).of(0), 1, "half of none more is one: nothing is stuck at 0");
        assert_eq!(Change::Share(-0.5).of(0), 0);
        assert_eq!(Change::By(i64::MAX).of(9), u32::MAX);
    }

    #[test]
    fn faults_say_what_to_write() {
        for (unit, text, what) in [
            (Unit::Jobs, "5: +1", "begins neither"),
            (Unit::Jobs, ">5 +1", "no colon"),
            (Unit::Milliseconds, ">5: +1", "no duration"),
            (Unit::Jobs, ">x: +1", "no number"),
            (Unit::Jobs, ">-5: +1", "level below 0"),
            (Unit::Jobs, ">5: 1", "neither with +"),
            (Unit::Jobs, ">5: +1.5", "no whole number"),
            (Unit::Jobs, ">5: +0%", "not above 0 %"),
            (Unit::Jobs, ">5: -1", "removes dynos above"),
            (Unit::Jobs, "<5: +1", "adds them below"),
        ] {
            let error = rule(unit, &[text]).unwrap_err();
            assert!(error.message.contains(what), "{text}: {error}");
        }
        assert!(rule(Unit::Jobs, &[]).unwrap_err().message.contains("at least one"));
        assert!(rule(Unit::Jobs, &[">5: +1", ">5: +2"]).unwrap_err().message.contains("same level"));
        assert!(rule(Unit::Jobs, &[">5: +1", "<6: -1"]).unwrap_err().message.contains("lower it"));
    }
}
