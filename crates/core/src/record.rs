//! [`Record`]: what one tick concluded, with its whole why. Every sentence about a decision that a person reads is made
//! here, from the record.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use smallvec::SmallVec;

use crate::condition::Condition;
use crate::history::Point;
use crate::observation::Pause;
use crate::policy::Proposal;
use crate::{Advice, BoundsInForce, Detail, Dynos, Failure, InForce, Phrase, Reading, Spec, State, Unit, Verdict};

/// One decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The instant of the tick.
    pub at: Timestamp,
    /// The app's name in the settings.
    pub app: Arc<str>,
    /// The process type.
    pub process: Arc<str>,
    /// The quantity on the platform before; `None`: it could not be read.
    pub before: Option<Dynos>,
    /// The quantity after.
    pub after: Option<Dynos>,
    /// The bounds in force.
    pub bounds: BoundsInForce,
    /// What was measured, in the order of the settings.
    pub measured: SmallVec<[Measured; 2]>,
    /// The most urgent verdict.
    pub verdict: Verdict,
    /// What the policies want together, before gates and bounds; `None` where that is unknown, or was not asked.
    pub proposed: Option<Dynos>,
    /// The wanted quantity, inside the bounds; `None` where nothing can be said.
    pub desired: Option<Dynos>,
    /// What to do.
    pub action: Action,
    /// What came of it.
    pub call: Call,
    /// The gates that spoke.
    pub gates: SmallVec<[GateNote; 2]>,
    /// The conditions that hold, ascending.
    pub conditions: SmallVec<[Condition; 4]>,
    /// Why.
    pub reason: Reason,
    /// Why the quantity could not be read.
    pub dynos_error: Option<Failure>,
    /// Why the scaling call failed.
    pub call_error: Option<Box<str>>,
    /// A pause that was seen.
    pub pause: Option<Pause>,
    /// Dynos that served, where that was known.
    pub ready: Option<Dynos>,
    /// When the newest release was made, where that was known.
    pub released_at: Option<Timestamp>,
}

/// One measurement of a tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The measurement's name.
    pub name: Arc<str>,
    /// What its numbers count.
    pub unit: Unit,
    /// When the newest sample was received; `None`: there is none.
    pub sampled_at: Option<Timestamp>,
    /// The value, or why there is none.
    pub reading: Reading,
    /// What else the source told.
    pub detail: Detail,
    /// How it lies to the wanted range.
    pub verdict: Verdict,
    /// What is added to the evidence: none for a sample that is unknown, was counted before, or was taken before the last
    /// scale.
    pub point: Option<Point>,
    /// What the policy wants.
    pub proposal: Proposal,
    /// Whether the proposal is only recorded.
    pub shadow: bool,
    /// What somebody outside the core advised, where the policy asks for that.
    pub advice: Option<Advice>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Set the quantity.
    Set(Dynos),
    /// Make no call, and count it as a failed one, for this reason.
    Refuse(&'static str),
}

/// What came of the scaling call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// None was needed.
    None,
    /// One is needed and has not been made; only before [`Record::conclude`].
    Due,
    /// It succeeded.
    Ok,
    /// It failed.
    Failed,
    /// It would have been made.
    DryRun,
}

/// What the platform answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// No call was made.
    None,
    /// The quantity is set.
    Ok {
        /// The quantity that was set; less than wanted where the platform has a limit.
        quantity: Dynos,
        /// The limit that the platform named, if it did.
        limit: Option<Dynos>,
    },
    /// The quantity is unchanged, as far as is known.
    Failed {
        /// Why, for people.
        error: Box<str>,
        /// The most that the platform allows, where that is why.
        limit: Option<Dynos>,
    },
    /// The call would have been made.
    DryRun,
}

/// What a gate said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GateNote {
    /// The gate's name.
    pub gate: &'static str,
    /// Its sentence.
    pub why: Phrase,
}

/// One of the two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundHit {
    /// The minimum.
    Min,
    /// The maximum.
    Max,
}

/// Why a decision is as it is; [`Record::sentence`] puts it into words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// Nothing is measured and nothing is out of bounds.
    Nothing,
    /// The quantity could not be read.
    FormationUnknown,
    /// Somebody stopped the process.
    StoppedByHand,
    /// The quantity lay outside the bounds.
    OutOfBounds(BoundHit),
    /// The quantity is at the bound that the proposal would cross.
    AtBound(BoundHit),
    /// A gate replaced the proposal.
    Gate(Phrase),
    /// The platform allows no more.
    Limited(Dynos),
    /// The proposal of this measurement's policy.
    Policy(usize),
    /// This measurement is unknown, and no other wants more.
    Unknown(usize),
}

impl Record {
    /// What came of the tick where there is no call to make; `None`: the quantity of [`Action::Set`] is to be set.
    pub fn without_call(&self) -> Option<CallOutcome> {
        match self.action {
            Action::None => Some(CallOutcome::None),
            Action::Set(_) => None,
            Action::Refuse(why) => Some(CallOutcome::Failed { error: why.into(), limit: None }),
        }
    }

    /// The record with what came of its call: the quantity after, and the conditions that depend on it.
    pub fn conclude(mut self, spec: &Spec, state: &State, outcome: &CallOutcome) -> Self {
        match outcome {
            CallOutcome::None => self.call = Call::None,
            CallOutcome::DryRun => self.call = Call::DryRun,
            CallOutcome::Ok { quantity, .. } => {
                self.call = Call::Ok;
                self.after = Some(*quantity);
                if self.desired.is_some_and(|desired| *quantity < desired) {
                    self.hold(Condition::LimitedByPlatform);
                }
            }
            CallOutcome::Failed { error, limit } => {
                self.call = Call::Failed;
                self.call_error = Some(error.clone());
                self.hold(if limit.is_some() { Condition::LimitedByPlatform } else { Condition::ScaleFailing });
            }
        }
        let still_failing = outcome == &CallOutcome::None && self.before.is_none() && state.failing_since.is_some();
        if still_failing {
            self.hold(Condition::ScaleFailing);
        }
        if let Some(rapid) = spec.rapid {
            let now = self.before.into_iter().chain(self.after);
            if state.spread(self.at, rapid.within, now) > rapid.dynos {
                self.hold(Condition::ScalingTooRapid);
            }
        }
        self
    }

    fn hold(&mut self, condition: Condition) {
        if let Err(at) = self.conditions.binary_search(&condition) {
            self.conditions.insert(at, condition);
        }
    }

    /// The decision as a sentence for a person.
    pub fn sentence(&self) -> Sentence<'_> {
        Sentence(self)
    }

    /// The change that was made, from and to.
    pub fn change(&self) -> Option<(Dynos, Dynos)> {
        match (self.call, self.before, self.after) {
            (Call::Ok, Some(before), Some(after)) if before != after => Some((before, after)),
            _ => None,
        }
    }
}

/// A record as a sentence; made by [`Record::sentence`].
#[derive(Debug, Clone, Copy)]
pub struct Sentence<'a>(&'a Record);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.0;
        let before = record.before.unwrap_or_default();
        match record.reason {
            Reason::Nothing => f.write_str("nothing is measured, and the number of dynos is within its bounds")?,
            Reason::FormationUnknown => {
                f.write_str("the platform did not say how many dynos run")?;
                if let Some(error) = &record.dynos_error {
                    write!(f, " ({error})")?;
                }
                f.write_str(": nothing changes")?;
            }
            Reason::StoppedByHand => {
                write!(
                    f,
                    "somebody stopped this process by hand: it stays at 0 although the minimum is {}",
                    record.bounds.min.dynos
                )?;
            }
            Reason::OutOfBounds(BoundHit::Min) => {
                write!(f, "{} below the minimum of {}", Count(before), Bound(record.bounds.min))?;
            }
            Reason::OutOfBounds(BoundHit::Max) => {
                write!(f, "{} above the maximum of {}", Count(before), Bound(record.bounds.max))?;
            }
            Reason::AtBound(BoundHit::Max) => {
                write!(
                    f,
                    "more dynos are needed, but {} at the maximum of {}",
                    Count(before),
                    Bound(record.bounds.max)
                )?;
            }
            Reason::AtBound(BoundHit::Min) => {
                write!(
                    f,
                    "fewer dynos would do, but {} at the minimum of {}",
                    Count(before),
                    Bound(record.bounds.min)
                )?;
            }
            Reason::Gate(why) => why.fmt(f)?,
            Reason::Limited(limit) => write!(f, "the platform allows no more than {limit} dynos")?,
            Reason::Policy(index) => self.policy(f, index)?,
            Reason::Unknown(index) => self.unknown(f, index)?,
        }
        match (record.call, record.desired, &record.call_error) {
            (Call::Failed, _, Some(error)) => {
                write!(f, "; the scaling call failed ({error}), the next tick tries again")
            }
            (Call::DryRun, Some(desired), _) => write!(f, "; dry run: would set {desired}"),
            (Call::Ok, Some(desired), _) if record.after.is_some_and(|after| after < desired) => {
                write!(f, "; the platform allows only {} of the {desired} wanted", record.after.unwrap_or_default())
            }
            _ => Ok(()),
        }
    }
}

impl Sentence<'_> {
    fn policy(&self, f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
        let Some(measured) = self.0.measured.get(index) else { return Ok(()) };
        write!(f, "{}: {}", measured.name, measured.proposal.why)?;
        match &measured.advice {
            Some(advice) if !advice.why.is_empty() => write!(f, ": {}", advice.why),
            _ => Ok(()),
        }
    }

    fn unknown(&self, f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
        let Some(measured) = self.0.measured.get(index) else { return Ok(()) };
        write!(f, "{} is unknown", measured.name)?;
        match (&measured.reading, &measured.advice) {
            (Reading::Failed(failure), _) if measured.verdict == Verdict::Unknown => write!(f, " ({failure})")?,
            (_, Some(advice)) if !advice.why.is_empty() => {
                write!(f, " ({}: {})", measured.proposal.why, advice.why)?;
            }
            _ if measured.verdict != Verdict::Unknown => write!(f, " ({})", measured.proposal.why)?,
            _ => {}
        }
        f.write_str(": nothing changes")
    }
}

struct Count(Dynos);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 dyno is"),
            dynos => write!(f, "{dynos} dynos are"),
        }
    }
}

struct Bound(InForce);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.dynos)?;
        match self.0.since {
            Some(since) => write!(f, " in force since {since}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Record", 18)?;
        out.serialize_field("at", &self.at)?;
        out.serialize_field("app", &self.app)?;
        out.serialize_field("process", &self.process)?;
        out.serialize_field("dynos", &BeforeAfter { before: self.before, after: self.after })?;
        out.serialize_field("bounds", &self.bounds.bounds())?;
        out.serialize_field("measurements", &self.measured)?;
        out.serialize_field("verdict", &self.verdict)?;
        out.serialize_field("proposed", &self.proposed)?;
        out.serialize_field("desired", &self.desired)?;
        out.serialize_field("call", &self.call)?;
        out.serialize_field("gates", &self.gates.iter().map(|note| note.gate).collect::<Vec<_>>())?;
        out.serialize_field("gates_said", &Said(&self.gates))?;
        out.serialize_field("conditions", &self.conditions)?;
        out.serialize_field("dynos_error", &self.dynos_error.as_ref().map(ToString::to_string))?;
        out.serialize_field("pause", &self.pause)?;
        out.serialize_field("ready", &self.ready)?;
        out.serialize_field("released_at", &self.released_at)?;
        out.serialize_field("reason", &self.sentence().to_string())?;
        out.end()
    }
}

#[derive(Serialize)]
struct BeforeAfter {
    before: Option<Dynos>,
    after: Option<Dynos>,
}

struct Said<'a>(&'a [GateNote]);

impl Serialize for Said<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|note| (note.gate, note.why)))
    }
}

impl Serialize for Measured {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("name", &self.name)?;
        match &self.reading {
            Reading::Value(value) => out.serialize_entry("value", value)?,
            Reading::Failed(failure) => out.serialize_entry("error", &failure.to_string())?,
        }
        out.serialize_entry("unit", &self.unit)?;
        out.serialize_entry("verdict", &self.verdict)?;
        out.serialize_entry("sampled_at", &self.sampled_at)?;
        if !self.detail.is_empty() {
            out.serialize_entry("detail", &self.detail)?;
        }
        out.serialize_entry("desired", &self.proposal.desired)?;
        out.serialize_entry("why", &self.proposal.why)?;
        if self.proposal.floor {
            out.serialize_entry("floor", &true)?;
        }
        if self.shadow {
            out.serialize_entry("shadow", &true)?;
        }
        if let Some(advice) = &self.advice {
            out.serialize_entry("advice", advice)?;
        }
        out.end()
    }
}
