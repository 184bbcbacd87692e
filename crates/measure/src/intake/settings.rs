//! Settings that all kinds take whose numbers are sent to us, and the making of their measurement.

use std::sync::Arc;
use std::time::Duration;

use autoscalebot_core::Secret;
use autoscalebot_core::fields::{Field, FieldError, FieldType, Values};

use super::listen::{Listener, Listening};
use super::source::{Kept, Of, Sender, Tap};
use super::window::Window;
use crate::otlp::{Filter, Streams};
use crate::told::{Point, ToldBy};
use crate::{Measure, MeasureContext};

/// The token that is the identity of the sender.
pub(crate) const TOKEN: Field = Field::required(
    "token",
    FieldType::Secret,
    "The secret in the address that the sender is given, or in its header: 8 to 256 letters, digits, `-`, `_`, `.` or `~`.",
    "{ env = \"INTAKE_TOKEN\" }",
);

/// Which percentile of a window.
pub(crate) const PERCENTILE: Field = Field::defaulting(
    "percentile",
    FieldType::Number(0.0, 100.0),
    "95",
    "The value is the time that so many per cent of the requests stay below.",
);

/// The length of the window.
pub(crate) const WINDOW: Field = Field::defaulting(
    "window",
    FieldType::Duration(1.0, 3600.0),
    "\"60s\"",
    "The requests of so long a time are looked at, by the times they happened at.",
);

/// For how long nothing may come.
pub(crate) const SILENT_AFTER: Field = Field::defaulting(
    "silent_after",
    FieldType::Duration(5.0, 86_400.0),
    "\"2m\"",
    "After so long without a word from the sender nothing is known, and nothing is scaled because of it.",
);

/// Faults of the token.
pub(crate) fn check_token(values: &Values) -> Result<(), FieldError> {
    let Some(token) = values.secret("token") else { return Ok(()) };
    let token = token.expose();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    if (8..=256).contains(&token.len()) && token.bytes().all(plain) {
        return Ok(());
    }
    Err(FieldError::new("token", "must have 8 to 256 letters, digits, \"-\", \"_\", \".\" or \"~\": make another"))
}

/// The token of a field that must be given.
pub(crate) fn token(values: &Values) -> Result<&Secret, FieldError> {
    check_token(values)?;
    values.secret("token").ok_or_else(|| FieldError::new("token", "is needed"))
}

/// A measurement of what `sender` says about an app; it is pointed here by `point`.
pub(crate) fn listen(
    values: &Values,
    context: MeasureContext<'_>,
    sender: Sender,
    of: Of,
    tells_all: bool,
    point: Point,
) -> Result<Arc<dyn Measure>, FieldError> {
    // Tokens of whole apps may stand at several of their processes; others are one process's own.
    let whole_app = !matches!(sender, Sender::Push | Sender::AutoscaleAgent);
    let owner = if whole_app { context.app.to_owned() } else { format!("{}/{}", context.app, context.process) };
    let source = match (sender, values.secret("token")) {
        (Sender::Drain, None) => context.intake.local(context.app),
        _ => context.intake.source(sender, token(values)?, &owner)?,
    };
    let kept = match of {
        Of::Service | Of::Connect | Of::Total | Of::QueueTime => Kept::Window(Window::new(window_ms(values))),
        _ => Kept::Newest(Default::default()),
    };
    let tap = Tap::new(context.process, of, values.texts("queues"), kept);
    let how = how(values, context.every, tells_all, sender == Sender::Push);
    let told = told(values, how, point);
    Ok(Arc::new(Listener::new(context.intake, source, tap, how, told)))
}

/// A measurement of an app's telemetry.
pub(crate) fn listen_to_telemetry(
    values: &Values,
    context: MeasureContext<'_>,
    filter: Filter,
    point: Point,
) -> Result<Arc<dyn Measure>, FieldError> {
    let source = context.intake.source(Sender::Otlp, token(values)?, context.app)?;
    let kept = Kept::Streams(Streams::new(filter, window_ms(values)));
    let tap = Tap::new(context.process, Of::Service, &[], kept);
    let how = how(values, context.every, true, false);
    let told = told(values, how, point);
    Ok(Arc::new(Listener::new(context.intake, source, tap, how, told)))
}

fn how(values: &Values, every: Duration, tells_all: bool, always_news: bool) -> Listening {
    Listening {
        percentile: values.number("percentile").unwrap_or(95.0),
        silent_after_ms: milliseconds(values, "silent_after").unwrap_or(120_000),
        tells_all,
        always_news,
        every,
    }
}

fn told(values: &Values, how: Listening, point: Point) -> ToldBy {
    let silent_after = Duration::from_millis(how.silent_after_ms.unsigned_abs());
    ToldBy::new(silent_after, values.secret("token"), point)
}

fn window_ms(values: &Values) -> i64 {
    milliseconds(values, "window").unwrap_or(60_000)
}

fn milliseconds(values: &Values, name: &str) -> Option<i64> {
    values.duration(name).and_then(|duration| i64::try_from(duration.as_millis()).ok())
}
