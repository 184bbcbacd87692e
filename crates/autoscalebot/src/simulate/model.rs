//! The command line's words for the model of the app: each flag's text, read.

use std::time::Duration;

use autoscalebot_core::queueing::Routing;
use autoscalebot_simulate::{App, Arrivals, Service, Shape};
use jiff::{Span, SpanRelativeTo};

use crate::cli::{ModelArgs, RoutingName};

/// How long the work takes where nothing tells.
const SERVICE: Service = Service { mean_secs: 0.1, shape: Shape::Exponential };

/// The model that the flags describe, and, where they leave it open, what the traffic told of service times; its faults are
/// found when it runs.
pub(crate) fn app(args: ModelArgs, known: Option<Service>) -> App {
    let known = known.unwrap_or(SERVICE);
    let service = Service {
        mean_secs: args.service.map_or(known.mean_secs, |service| service.as_secs_f64()),
        // A mean that is given says nothing of the shape, which is then what it always was.
        shape: args.shape.unwrap_or(if args.service.is_some() { SERVICE.shape } else { known.shape }),
    };
    let timeout_secs = args.timeout.as_secs_f64();
    App {
        servers_per_dyno: args.servers,
        routing: match args.routing {
            RoutingName::Shared => Routing::Shared,
            RoutingName::Random => Routing::Random,
        },
        service,
        arrivals: args.burst.map_or(Arrivals::Poisson, |mean_size| Arrivals::Bursts { mean_size }),
        queue_limit: args.queue_limit,
        timeout_secs: (timeout_secs > 0.0).then_some(timeout_secs),
        boot_secs: args.boot.as_secs_f64(),
        call_secs: args.call.as_secs_f64(),
        ready_known: false,
        metric_delay_secs: args.metric_delay.as_secs_f64(),
        metric_noise: args.metric_noise,
        objective_secs: args.objective.as_secs_f64(),
        slow_share: args.slow_share,
    }
}

/// A duration with its unit, 0 or more.
pub(crate) fn duration_or_none(text: &str) -> Result<Duration, String> {
    let wrong = || "give a duration with its unit, such as 0s or 90s".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}

/// The length of a step, in seconds.
pub(crate) fn step(text: &str) -> Result<u32, String> {
    let step = duration_or_none(text)?;
    let secs =
        u32::try_from(step.as_secs()).ok().filter(|secs| (1..=86_400).contains(secs) && step.subsec_nanos() == 0);
    secs.ok_or_else(|| "give whole seconds from 1s to 1d, such as 60s".to_owned())
}

/// A distribution of service times, as `--shape` names it.
pub(crate) fn shape(text: &str) -> Result<Shape, String> {
    let scv = |number: &str| {
        let scv = number.parse::<f64>().ok().filter(|scv| scv.is_finite() && *scv > 0.0 && *scv <= 1000.0);
        scv.ok_or_else(|| {
            format!(
                "{number:?} is no variance over squared mean: give a number above 0 and at most 1000, as in lognormal:2"
            )
        })
    };
    match text.split_once(':') {
        None if text == "exponential" => Ok(Shape::Exponential),
        None if text == "deterministic" => Ok(Shape::Deterministic),
        Some(("lognormal", number)) => Ok(Shape::Lognormal { scv: scv(number)? }),
        Some(("gamma", number)) => Ok(Shape::Gamma { scv: scv(number)? }),
        _ => Err("give exponential, deterministic, lognormal:SCV or gamma:SCV, as lognormal:2".to_owned()),
    }
}

/// A share: a number from 0 to 1, or a percentage.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let (digits, over) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits.trim(), 100.0));
    let share = digits.parse::<f64>().ok().map(|number| number / over).filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "give a share between 0 and 1, as 0.01 or 1%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_shares() {
        assert_eq!(shape("exponential"), Ok(Shape::Exponential));
        assert_eq!(shape("lognormal:2.5"), Ok(Shape::Lognormal { scv: 2.5 }));
        assert_eq!(shape("gamma:0.5"), Ok(Shape::Gamma { scv: 0.5 }));
        for bad in ["", "normal", "lognormal", "lognormal:", "lognormal:-1", "gamma:nan", "gamma:inf", "exponential:1"]
        {
            assert!(shape(bad).is_err(), "{bad}");
        }
        assert_eq!((share("0.01"), share("1%"), share("2.5 %")), (Ok(0.01), Ok(0.01), Ok(0.025)));
        for bad in ["", "0", "1", "100%", "-1%", "nan", "one"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
