//! What came in, counted: for `/metrics`, and for an honest word on what was not understood.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The counters of one sender since the start of the program, or of what belongs to none.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: AtomicU64,)+ }

        /// The counters at an instant.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[doc = $doc])+ pub $name: u64,)+ }

        impl Counters {
            pub(crate) fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }

        impl std::ops::Add for Counts {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self { $($name: self.$name.saturating_add(other.$name),)+ }
            }
        }

        impl Counts {
            /// Each counter with its name and what it counts.
            pub fn list(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),+).trim_ascii(), self.$name),)+]
            }
        }
    };
}

counts! {
    /// Requests that were taken.
    requests,
    /// Requests that were refused, as their token is not known or their body is none.
    refused,
    /// Requests that were left unread in an overload; the sender got its 2xx, or was told to come again where it does.
    shed,
    /// Requests that came a second time.
    repeated,
    /// Log lines of any kind.
    lines,
    /// Requests, jobs and values that were taken into account.
    samples,
    /// Samples that were older than every window.
    late,
    /// Lines, values, spans and points that were not understood.
    odd,
    /// Spans and metrics that tell of no request, and telemetry that no measurement wants.
    left_out,
    /// Stretches of drains that are no frames.
    broken_frames,
    /// Bytes of such stretches.
    garbage_bytes,
    /// Lines that the senders of drains say were lost before they came here.
    lost_lines,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, number: u64) {
    if number > 0 {
        counter.fetch_add(number, Ordering::Relaxed);
    }
}
