//! The decision of autoscalebot, pure: samples, verdicts, policies, bounds, gates, conditions, records.
//!
//! Nothing here does I/O, waits, logs or asks what time it is: time comes in as a value. The daemon, `replay`, `simulate`,
//! `explain` and the tests all call [`decide`] and [`settle`]; the engine crate owns the clock and the calls.
//!
//! Read in the order of a tick: [`sample`] → [`advice`] (where a policy asks for it) → [`policy`] (on the evidence of
//! [`history`] and what was [`learned`]) → [`tick`] (combine) → [`gate`] → [`bounds`] → [`record`] → [`event`]; [`state`] is what is carried on to the
//! next.

pub mod advice;
pub mod bounds;
pub mod condition;
pub mod event;
pub mod fields;
pub mod gate;
pub mod history;
pub mod jumps;
pub mod learned;
pub mod observation;
pub mod peak;
pub mod phrase;
pub mod policy;
pub mod queueing;
pub mod record;
pub mod sample;
pub mod secret;
pub mod spec;
pub mod state;
pub mod tick;

pub use advice::{Question, questions};
pub use bounds::{BoundTable, BoundTables, Bounds, BoundsInForce, InForce, MinuteOfWeek};
pub use condition::Condition;
pub use event::{Event, EventKind, events};
pub use observation::{Advice, Expected, Observation, Pause};
pub use peak::Peak;
pub use phrase::Phrase;
pub use record::{Action, Call, CallOutcome, Record};
pub use sample::{Detail, Dynos, Failure, Reading, Sample, Taken, Unit, Verdict};
pub use secret::{Secret, masked_url};
pub use spec::{MeasurementSpec, Rapid, Spec, Zero};
pub use state::State;
pub use tick::{decide, settle};
