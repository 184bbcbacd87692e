//! The time that a reading may take: the setting `timeout`, or its default, which gives way to a shorter `every`. A longer one
//! that somebody wrote is an error, as readings would pile up.

use std::time::Duration;

use autoscalebot_core::fields::{FieldError, Values};
use autoscalebot_core::{Failure, Reading, Taken};
use jiff::SignedDuration;

/// The default of `timeout` where nothing speaks for another: five seconds, as a queue or a metrics server that takes longer
/// is in trouble itself.
pub(crate) const FIVE_SECONDS: Duration = Duration::from_secs(5);

/// The budget of one reading, with the default that the field `timeout` has.
pub(crate) fn budget(values: &Values, every: SignedDuration, default: Duration) -> Result<Duration, FieldError> {
    let every = every.unsigned_abs();
    let timeout = values.duration("timeout").map_or(default, |timeout| timeout.unsigned_abs());
    if timeout <= every {
        Ok(timeout)
    } else if timeout == default {
        Ok(every)
    } else {
        let message =
            format!("{timeout:?} is longer than the interval `every` of {every:?}: lower it or raise `every`");
        Err(FieldError::new("timeout", message))
    }
}

/// Takes a reading within its budget; what is not done by then is dropped.
pub(crate) async fn within(budget: Duration, read: impl Future<Output = Result<Taken, Failure>>) -> Taken {
    match tokio::time::timeout(budget, read).await {
        Ok(Ok(taken)) => taken,
        Ok(Err(failure)) => Reading::Failed(failure).into(),
        Err(_) => Reading::Failed(Failure::Timeout).into(),
    }
}
