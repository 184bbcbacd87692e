//! The state of each process, and the pauses: what must survive a restart.

use autoscalebot_core::state::STATE_VERSION;
use autoscalebot_core::{Pause, State};
use jiff::Timestamp;

use crate::driver::Driver;
use crate::{ProcessKey, StoreError};

pub(crate) fn state(driver: &mut dyn Driver, key: &ProcessKey) -> Result<Option<State>, StoreError> {
    let rows = driver.query(
        "SELECT version, json FROM state WHERE app = $1 AND process = $2",
        &[key.app.as_str().into(), key.process.as_str().into()],
    )?;
    let Some(row) = rows.first() else { return Ok(None) };
    if row.int(0)? != i64::from(STATE_VERSION) {
        return Ok(None);
    }
    Ok(serde_json::from_str(&row.text(1)?).ok())
}

pub(crate) fn save(driver: &mut dyn Driver, key: &ProcessKey, state: &State, at: Timestamp) -> Result<(), StoreError> {
    driver.execute(
        "INSERT INTO state (app, process, version, json, written_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (app, process) DO UPDATE SET version = $3, json = $4, written_at = $5",
        &[
            key.app.as_str().into(),
            key.process.as_str().into(),
            i64::from(state.version).into(),
            serde_json::to_string(state)?.into(),
            at.to_string().into(),
        ],
    )?;
    Ok(())
}

pub(crate) fn pauses(driver: &mut dyn Driver, at: Timestamp) -> Result<Vec<(ProcessKey, Pause)>, StoreError> {
    let mut pauses = Vec::new();
    for row in driver.query("SELECT app, process, until, why FROM pause ORDER BY app, process", &[])? {
        // An instant that cannot be read leaves the pause without an end: safer than scaling against a person's word.
        let until = row.maybe_text(2)?.and_then(|text| text.parse::<Timestamp>().ok());
        if until.is_none_or(|until| until > at) {
            pauses.push((ProcessKey::new(row.text(0)?, row.text(1)?), Pause { until, why: row.maybe_text(3)? }));
        }
    }
    Ok(pauses)
}

pub(crate) fn pause(driver: &mut dyn Driver, key: &ProcessKey, pause: &Pause) -> Result<(), StoreError> {
    driver.execute(
        "INSERT INTO pause (app, process, until, why) VALUES ($1, $2, $3, $4)
         ON CONFLICT (app, process) DO UPDATE SET until = $3, why = $4",
        &[
            key.app.as_str().into(),
            key.process.as_str().into(),
            pause.until.map(|until| until.to_string()).into(),
            pause.why.clone().into(),
        ],
    )?;
    Ok(())
}

pub(crate) fn resume(driver: &mut dyn Driver, key: &ProcessKey) -> Result<bool, StoreError> {
    let params = [key.app.as_str().into(), key.process.as_str().into()];
    Ok(driver.execute("DELETE FROM pause WHERE app = $1 AND process = $2", &params)? > 0)
}
