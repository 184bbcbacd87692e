//! [`Condition`]: a state worth knowing while it holds. It notifies when it begins and when it ends.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! conditions {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $meaning:literal;)+) => {
        /// A state worth knowing while it holds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Condition {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Condition {
            /// Every condition.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name in settings and records.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it means, for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

conditions! {
    /// More dynos are needed than the maximum allows.
    NeedsAboveMax = "needs_above_max", "more dynos are needed than the maximum allows";
    /// Fewer dynos would do than the minimum demands.
    NeedsBelowMin = "needs_below_min", "fewer dynos would do than the minimum demands";
    /// A measurement gives no usable reading.
    SourceUnknown = "source_unknown", "a measurement gives no usable reading";
    /// Scaling calls fail.
    ScaleFailing = "scale_failing", "scaling calls fail";
    /// The platform does not say how many dynos run.
    FormationUnknown = "formation_unknown", "the platform does not say how many dynos run";
    /// The platform allows fewer dynos than are wanted.
    LimitedByPlatform = "limited_by_platform", "the platform allows fewer dynos than are wanted";
    /// Somebody set the quantity to 0 by hand.
    StoppedByHand = "stopped_by_hand", "somebody stopped the process by hand";
    /// A person paused the process.
    Paused = "paused", "the process is paused by hand";
    /// The quantity moved further in a time than the settings call usual.
    ScalingTooRapid = "scaling_too_rapid", "the number of dynos moves further and faster than usual";
    /// The dyno-hours or the money of the month are used up.
    BudgetSpent = "budget_spent", "the budget of this month is used up";
    /// At the pace so far, they will be before the month ends.
    BudgetShort = "budget_short", "at the pace so far, the budget is used up before the month ends";
    /// The store has not been writable for a while. One process tells it for all, so that it is told once.
    StoreFailing = "store_failing", "the store cannot be written, so a restart would forget what is decided now";
}

impl Condition {
    /// Whether the sentence of a decision bears on it. The store and the month's pace are beside what a tick decides: there the
    /// meaning alone says what is so.
    pub fn shows_in_decisions(self) -> bool {
        !matches!(self, Self::BudgetShort | Self::StoreFailing)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
