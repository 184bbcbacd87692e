//! `simulate`: what policies would have done with recorded traffic. The simulation is
//! [`autoscalebot_simulate`]'s; here is who takes part, and what is written where.

use std::io::Write;
use std::path::Path;

use autoscalebot_core::{BoundTable, BoundTables};
use autoscalebot_settings::{Loaded, Outside, Source};
use autoscalebot_simulate::assert::{Assertion, parse};
use autoscalebot_simulate::{
    Comparison, Contender, Mode, Report, Scenario, Search, SimulateError, compare, html, report, tune,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::{ModeName, SimulateArgs, Which};
use crate::commands::past;
use crate::fault::Fault;
use crate::simulate::answers::Functions;
use crate::simulate::builtin::{self, BUILTINS, Builtin};
use crate::simulate::input::{self, Asked, Input};
use crate::simulate::progress::Bar;
use crate::simulate::turns::Turns;
use crate::simulate::{history, model, sources};
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
    let input = input(loaded, args)?;
    let own = own(loaded, args, &input)?;
    for note in input.notes.iter().chain(&service_notes(args, &input)) {
        writeln!(std::io::stderr(), "note: {note}")?;
    }
    let functions = Functions::of(&own)?;
    let scenario = Scenario { answers: functions.as_ref().map(Functions::answers), ..scenario(args, &input)? };
    let bounds = bounds(args, &own)?;
    let builtins = builtins(args, own.is_empty())?;
    if args.tune {
        let functions = functions.as_deref();
        let task = Task { loaded, own: &own, builtins: &builtins, scenario: &scenario, bounds: &bounds, functions };
        return search(&task, &input, &assertions, args, out);
    }
    let subjects = own.len().max(1);
    let mut contenders = own;
    for builtin in builtins {
        contenders.push(builtin.contender(&scenario.app, &bounds).map_err(Fault::failed)?);
    }
    let bar = Bar::new();
    let comparison = compare(&scenario, &contenders, &|progress| bar.tell(progress)).map_err(fault)?;
    drop(bar);
    answered(functions.as_deref())?;
    page(args, &comparison)?;
    if args.json {
        write_json(report::json(&comparison), &input, out)?;
    } else {
        write!(out, "{}", report::text(&comparison))?;
        name_page(args, out)?;
    }
    out.flush()?;
    check(comparison.reports.iter().take(subjects), &assertions)
}

/// The traffic: a file, or the store's history of one process.
fn input(loaded: Option<&Loaded>, args: &SimulateArgs) -> Result<Input, Fault> {
    let now = Timestamp::now();
    let zone = loaded.map_or(TimeZone::UTC, |loaded| past::zone(&loaded.settings));
    let moment =
        |flag, text: &Option<String>| text.as_deref().map(|text| past::moment(flag, text, &zone, now)).transpose();
    let (from, to) = (moment("--since", &args.since)?, moment("--until", &args.until)?);
    if from.unwrap_or(Timestamp::MIN) >= to.unwrap_or(Timestamp::MAX) {
        return Err(Fault::usage("--since is not before --until: nothing lies between"));
    }
    let gap_secs = i64::try_from(args.gap.as_secs()).unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
    let process = args.process.as_deref();
    let asked = Asked { scale: args.scale, step_secs: args.step, process, from, to, gap_secs };
    match (&args.traffic, loaded) {
        (Some(file), _) => input::of_file(file, &asked),
        (None, Some(loaded)) => {
            let which = Which { app: args.app.clone(), process: args.process.clone() };
            let key = past::one_key(&loaded.settings, &which)?;
            let range = (from.unwrap_or(Timestamp::UNIX_EPOCH), to.unwrap_or(now));
            history::of_store(&loaded.settings, &key, range, &asked)
        }
        (None, None) => Err(Fault::usage(
            "without TRAFFIC, rates are read from the store of the settings, and there are none: name a file, or --config",
        )),
    }
}

/// The processes of the settings that take part.
fn own(loaded: Option<&Loaded>, args: &SimulateArgs, input: &Input) -> Result<Vec<Contender>, Fault> {
    match loaded {
        // A policy by its name takes part alone.
        Some(_) if args.policy.is_some() => Ok(Vec::new()),
        Some(loaded) => sources::of_settings(&loaded.settings, args.app.as_deref(), args.process.as_deref()),
        // It may name one of a recording.
        None if args.process.is_some() && input.told.is_none() => {
            Err(Fault::usage("--process names a process of the settings, and there are none: leave it out"))
        }
        None if args.app.is_some() => {
            Err(Fault::usage("--app names an app of the settings, and there are none: leave it out"))
        }
        None => Ok(Vec::new()),
    }
}

/// How functions in Python did.
fn answered(functions: Option<&Functions>) -> Result<(), Fault> {
    for note in functions.map(Functions::end).transpose()?.unwrap_or_default() {
        writeln!(std::io::stderr(), "note: {note}")?;
    }
    Ok(())
}

/// What was told of service times, and what that is worth.
fn service_notes(args: &SimulateArgs, input: &Input) -> Vec<String> {
    let given = args.model.service.is_some();
    let (None, Some(_), false) = (&input.fit, &input.told, given) else {
        let Some(fit) = input.fit.filter(|_| !given) else { return Vec::new() };
        let at_once = fit.mean_secs * fit.most_per_dyno;
        let servers = args.model.servers;
        let mut notes = vec![format!(
            "service time {:.0} ms{}, judged by {} of them where the fewest came to a dyno; {servers} at once on a dyno is \
             --servers, which nothing tells",
            fit.mean_secs * 1000.0,
            fit.scv.map_or_else(String::new, |scv| format!(", lognormal:{scv:.2}")),
            fit.samples,
        )];
        if at_once > 0.5 * f64::from(servers) {
            notes.push(format!(
                "even there {at_once:.1} requests were under way on a dyno at a time, so waits are in that time: give \
                 --servers as it is, and --service where you know better"
            ));
        }
        return notes;
    };
    vec!["too few answers tell how long the work on a request takes: 100 ms are taken; give --service".to_owned()]
}

fn scenario(args: &SimulateArgs, input: &Input) -> Result<Scenario, Fault> {
    let trace = input.trace.clone();
    let app = model::app(args.model, input.fit.map(|fit| fit.service()));
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

/// The page with plots, where it is asked for.
fn page(args: &SimulateArgs, comparison: &Comparison) -> Result<(), Fault> {
    let Some(file) = &args.html else { return Ok(()) };
    let page = html::html(comparison).map_err(fault)?;
    std::fs::write(file, page).map_err(|error| Fault::failed(format!("{}: {error}", file.display())))
}

fn name_page(args: &SimulateArgs, out: &mut dyn Write) -> Result<(), Fault> {
    match &args.html {
        Some(file) => Ok(writeln!(out, "{} has the same with plots.", file.display())?),
        None => Ok(()),
    }
}

/// JSON on one line, with what is known of the input beside it.
fn write_json(mut value: Value, input: &Input, out: &mut dyn Write) -> Result<(), Fault> {
    if let (Some(told), Value::Object(fields)) = (&input.told, &mut value) {
        fields.insert("input".to_owned(), told.clone());
    }
    serde_json::to_writer(&mut *out, &value).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
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

/// Each assertion about each of the reports.
fn check<'a>(reports: impl Iterator<Item = &'a Report>, assertions: &[Assertion<Report>]) -> Result<(), Fault> {
    let mut broken = Vec::new();
    for report in reports {
        broken.extend(assertions.iter().filter_map(|assertion| assertion.check(report).err()));
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Fault::failed(broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

/// What a search is about.
struct Task<'a> {
    loaded: Option<&'a Loaded>,
    own: &'a [Contender],
    builtins: &'a [&'static Builtin],
    scenario: &'a Scenario,
    bounds: &'a BoundTables,
    functions: Option<&'a Functions>,
}

/// `--tune`: the settings' process, or the built-in policy. What is asserted is about the best on the part not searched, with
/// each seed; the page has it beside the baseline there.
fn search(
    task: &Task<'_>,
    input: &Input,
    assertions: &[Assertion<Report>],
    args: &SimulateArgs,
    out: &mut dyn Write,
) -> Result<(), Fault> {
    let Task { loaded, own, builtins, scenario, bounds, functions } = *task;
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
            let (app, process) = (&*one.spec.app, &*one.spec.process);
            let make = |text: &str| own_from_text(text, path, &kinds, &Outside::real(&folder), (app, process));
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
    answered(functions)?;
    if args.html.is_some() {
        let (_, trace) = scenario.trace.split(SEARCHED);
        let unseen = Scenario { trace, seed: scenario.seed.wrapping_add(1), ..scenario.clone() };
        let found: Vec<_> = tuned.best.iter().map(|(_, value)| *value).collect();
        let named = |name: &str, values: &[f64]| {
            let contender = (search.make)(values).map_err(Fault::failed)?;
            Ok::<_, Fault>(Contender { name: name.to_owned(), ..contender })
        };
        let contenders = [named("best", &found)?, named("baseline", &baseline)?];
        let bar = Bar::new();
        page(args, &compare(&unseen, &contenders, &|progress| bar.tell(progress)).map_err(fault)?)?;
    }
    let values: Vec<_> = tuned.best.iter().map(|(_, value)| *value).collect();
    let lines = turns.lines(&values);
    if args.json {
        write_json(json!({ "tuned": tuned, "settings": lines }), input, out)?;
    } else {
        write!(out, "{}", report::tuned_text(&tuned))?;
        writeln!(out, "\nAs settings:\n")?;
        for line in lines {
            writeln!(out, "    {line}")?;
        }
        name_page(args, out)?;
    }
    out.flush()?;
    check(tuned.best_reports.iter(), assertions)
}

fn own_from_text(
    text: &str,
    path: &Path,
    kinds: &AllKinds,
    outside: &Outside<'_>,
    (app, process): (&str, &str),
) -> Result<Contender, String> {
    let loaded = autoscalebot_settings::from_toml(text, path, kinds.kinds(), outside)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let contenders =
        sources::of_settings(&loaded.settings, Some(app), Some(process)).map_err(|fault| format!("{fault:?}"))?;
    contenders.into_iter().next().ok_or_else(|| format!("{process} is gone"))
}

/// Settings and flags that do not fit are wrong usage; there is nothing else that can go wrong.
fn fault(error: SimulateError) -> Fault {
    match error {
        SimulateError::Plot(_) => Fault::failed(error),
        _ => Fault::usage(error),
    }
}
