//! 2.1's rule against two readings of Heroku's, on a trace: `cargo run --release --example rivals -- TRACE.csv SCALE PAGE.html`;
//! a fourth argument `fluid` simulates a flow.

use std::path::Path;
use std::sync::Arc;

use autoscalebot_core::policy::consecutive::Consecutive;
use autoscalebot_core::{BoundTable, BoundTables};
use autoscalebot_simulate::{Meter, Mode, Scenario, Trace, compare, html, report, rivals};
use jiff::tz::TimeZone;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [trace, scale, page, rest @ ..] = arguments.as_slice() else {
        return Err("give TRACE.csv SCALE PAGE.html".into());
    };
    let mut scenario = Scenario::new(Trace::read(Path::new(trace), scale.parse()?)?);
    if rest.iter().any(|word| word == "fluid") {
        scenario.mode = Mode::Fluid;
    }
    let bounds = BoundTables { min: BoundTable::Fixed(1), max: BoundTable::Fixed(40), zone: TimeZone::UTC };
    let rule = Consecutive { low: 200.0, high: 500.0, fails: 2, passes: 5, increment: 1, refuse_zero: false };
    let probe = Meter::Probe { budget_secs: 10.0 };
    let contenders = [
        rivals::contender("consecutive", bounds.clone(), probe, 30.0, Arc::new(rule)),
        rivals::heroku(scenario.app.objective_secs, bounds.clone()),
        rivals::heroku_fitted(&scenario.app, bounds),
    ];
    let comparison = compare(&scenario, &contenders, &|_| {})?;
    println!("{}", report::text(&comparison));
    std::fs::write(page, html::html(&comparison)?)?;
    Ok(())
}
