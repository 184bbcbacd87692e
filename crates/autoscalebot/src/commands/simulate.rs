//! `simulate`: what policies would have done with recorded traffic. The simulation is
//! [`autoscalebot_simulate`]'s; here is who takes part, and what is written where.

use std::io::Write;
use std::path::Path;

use autoscalebot_core::{BoundTable, BoundTables};
use autoscalebot_settings::{Loaded, Outside, Source};
use autoscalebot_simulate::assert::{Assertion, parse};
use autoscalebot_simulate::{
    Comparison, Contender, Mode, Report, Scenario, Search, SimulateError, Trace, compare, html, report, tune,
};
use jiff::tz::TimeZone;
use serde_json::json;

use crate::cli::{ModeName, SimulateArgs};
use crate::fault::Fault;
use crate::simulate::builtin::{self, BUILTINS, Builtin};
use crate::simulate::progress::Bar;
use crate::simulate::turns::Turns;
use crate::simulate::{model, sources};
use crate::wiring::AllKinds;

/// The most dynos of built-in policies where nothing says how many.
const MOST_DYNOS: u32 = 40;

/// Seeds to judge a search by.
const SEEDS: u32 = 5;

/// The share of the traffic that is searched on.
const SEARCHED: f64 = 0.5;

/// Runs the command.
pub(crate) fn simulate(loaded: Option<&Loaded>, args: &SimulateArgs, out: &mut dyn Write) -> Result<(), Fault> {
    let assertions = args.assertions.as_deref().map(parse).transpose().map_err(Fault::usage)?.unwrap_or_default();
    let scenario = scenario(args)?;
    let own = match loaded {
        Some(loaded) => sources::of_settings(&loaded.settings, args.process.as_deref())?,
        None if args.process.is_some() => {
            return Err(Fault::usage("--process names a process of the settings, and there are none: leave it out"));
        }
        None => Vec::new(),
    };
    let bounds = bounds(args, &own)?;
    let builtins = builtins(args, own.is_empty())?;
    if args.tune {
        return search(loaded, &own, &builtins, &scenario, &bounds, args, out);
    }
    let subjects = own.len().max(1);
    let mut contenders = own;
    for builtin in builtins {
        contenders.push(builtin.contender(&scenario.app, &bounds).map_err(Fault::failed)?);
    }
    let bar = Bar::new();
    let comparison = compare(&scenario, &contenders, &|progress| bar.tell(progress)).map_err(fault)?;
    drop(bar);
    if let Some(file) = &args.html {
        let page = html::html(&comparison).map_err(fault)?;
        std::fs::write(file, page).map_err(|error| Fault::failed(format!("{}: {error}", file.display())))?;
    }
    if args.json {
        serde_json::to_writer(&mut *out, &report::json(&comparison)).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", report::text(&comparison))?;
        if let Some(file) = &args.html {
            writeln!(out, "{} has the same with plots.", file.display())?;
        }
    }
    out.flush()?;
    check(&comparison, subjects, &assertions)
}

fn scenario(args: &SimulateArgs) -> Result<Scenario, Fault> {
    let trace = Trace::read(&args.traffic, args.scale).map_err(Fault::usage)?;
    let app = model::app(args.model);
    let faults = app.faults();
    if !faults.is_empty() {
        return Err(Fault::usage(faults.join("\n")));
    }
    if !(args.price.is_finite() && args.price >= 0.0) {
        return Err(Fault::usage(format!("--price {}: give the price of a dyno-hour, 0 or more", args.price)));
    }
    let mode = match args.mode {
        None => Mode::for_trace(&trace),
        Some(ModeName::Exact) => Mode::Exact,
        Some(ModeName::Fluid) => Mode::Fluid,
    };
    Ok(Scenario { app, mode, seed: args.seed, price_per_dyno_hour: args.price, ..Scenario::new(trace) })
}

/// The bounds of built-in policies: those of the settings, so that all compete under the same, unless asked for others.
fn bounds(args: &SimulateArgs, own: &[Contender]) -> Result<BoundTables, Fault> {
    let of_own = own.first().map(|contender| contender.spec.bounds.clone());
    let fixed = |dynos| BoundTable::Fixed(dynos);
    let mut bounds =
        of_own.unwrap_or_else(|| BoundTables { min: fixed(1), max: fixed(MOST_DYNOS), zone: TimeZone::UTC });
    bounds.min = args.min.map_or(bounds.min, fixed);
    bounds.max = args.max.map_or(bounds.max, fixed);
    if let (BoundTable::Fixed(min), BoundTable::Fixed(max)) = (&bounds.min, &bounds.max)
        && min > max
    {
        return Err(Fault::usage(format!("the fewest dynos, {min}, are above the most, {max}: lower --min")));
    }
    Ok(bounds)
}

/// The built-in policies that take part.
fn builtins(args: &SimulateArgs, alone: bool) -> Result<Vec<&'static Builtin>, Fault> {
    let names = args.policy.iter().chain(&args.compare).map(String::as_str);
    let mut all: Vec<&Builtin> = Vec::new();
    for name in names {
        let some = match name {
            "all" => BUILTINS.iter().collect(),
            name => vec![builtin::find(name).map_err(Fault::usage)?],
        };
        for builtin in some {
            if !all.iter().any(|other| other.name == builtin.name) {
                all.push(builtin);
            }
        }
    }
    if all.is_empty() && alone {
        let names: &[&str] = if args.tune { &[builtin::RECOMMENDED] } else { &builtin::WITHOUT_SETTINGS };
        all = names.iter().map(|name| builtin::find(name)).collect::<Result<_, _>>().map_err(Fault::failed)?;
    }
    Ok(all)
}

/// Each assertion about each of the first contenders.
fn check(comparison: &Comparison, subjects: usize, assertions: &[Assertion<Report>]) -> Result<(), Fault> {
    let mut broken = Vec::new();
    for report in comparison.reports.iter().take(subjects) {
        broken.extend(assertions.iter().filter_map(|assertion| assertion.check(report).err()));
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Fault::failed(broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

/// `--tune`: the settings' process, or the built-in policy.
fn search(
    loaded: Option<&Loaded>,
    own: &[Contender],
    builtins: &[&Builtin],
    scenario: &Scenario,
    bounds: &BoundTables,
    args: &SimulateArgs,
    out: &mut dyn Write,
) -> Result<(), Fault> {
    type Make<'a> = Box<dyn Fn(&str) -> Result<Contender, String> + Sync + 'a>;
    let kinds = AllKinds::new();
    let folder = std::env::current_dir()?;
    let (turns, make): (Turns, Make<'_>) = match (own, loaded, builtins) {
        ([one], Some(loaded), _) => {
            let Source::Toml(path) = &loaded.source else {
                return Err(Fault::usage(
                    "--tune searches settings in TOML: write yours with `autoscalebot import`, or name a --policy",
                ));
            };
            let text = std::fs::read_to_string(path)?;
            let turns = Turns::new(&text, &one.spec.app, &one.spec.process).map_err(Fault::usage)?;
            let process = &one.spec.process;
            let make = |text: &str| own_from_text(text, path, &kinds, &Outside::real(&folder), process);
            (turns, Box::new(make))
        }
        ([_, _, ..], ..) => {
            return Err(Fault::usage("--tune searches one process at a time: name it with --process"));
        }
        (_, _, [one, ..]) => {
            let Some(text) = one.text(&scenario.app) else {
                return Err(Fault::usage(format!("{} has no parameters to search: name another --policy", one.name)));
            };
            let turns = Turns::new(&text, builtin::APP, builtin::PROCESS).map_err(Fault::usage)?;
            (turns, Box::new(|text: &str| builtin::from_text(one.name, text, bounds)))
        }
        _ => return Err(Fault::usage("there is nothing to search: name a --policy")),
    };
    let parameters = turns.parameters();
    let baseline = turns.baseline();
    let search = Search {
        parameters: &parameters,
        baseline: &baseline,
        make: &|values| make(&turns.with(values)?),
        train_share: SEARCHED,
        most_slow: scenario.app.slow_share,
        budget: args.budget as usize,
        seeds: SEEDS,
    };
    let bar = Bar::new();
    let tuned = tune(scenario, &search, &|progress| bar.tell(progress)).map_err(fault)?;
    drop(bar);
    let values: Vec<_> = tuned.best.iter().map(|(_, value)| *value).collect();
    let lines = turns.lines(&values);
    if args.json {
        serde_json::to_writer(&mut *out, &json!({ "tuned": tuned, "settings": lines }))
            .map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", report::tuned_text(&tuned))?;
        writeln!(out, "\nAs settings:\n")?;
        for line in lines {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(out.flush()?)
}

fn own_from_text(
    text: &str,
    path: &Path,
    kinds: &AllKinds,
    outside: &Outside<'_>,
    process: &str,
) -> Result<Contender, String> {
    let loaded = autoscalebot_settings::from_toml(text, path, kinds.kinds(), outside)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let contenders = sources::of_settings(&loaded.settings, Some(process)).map_err(|fault| format!("{fault:?}"))?;
    contenders.into_iter().next().ok_or_else(|| format!("{process} is gone"))
}

/// Settings and flags that do not fit are wrong usage; there is nothing else that can go wrong.
fn fault(error: SimulateError) -> Fault {
    match error {
        SimulateError::Plot(_) => Fault::failed(error),
        _ => Fault::usage(error),
    }
}
