//! The numbers by which rows name their process and series, found once and remembered.

use std::collections::HashMap;

use crate::driver::{Driver, Value};
use crate::{ProcessKey, StoreError};

/// What is known of the numbers.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    processes: HashMap<ProcessKey, i64>,
    series: HashMap<(i64, String), i64>,
}

impl Ids {
    /// The number of a process; it gets one where it has none.
    pub(crate) fn process(&mut self, driver: &mut dyn Driver, app: &str, process: &str) -> Result<i64, StoreError> {
        let key = ProcessKey::new(app, process);
        if let Some(id) = self.processes.get(&key) {
            return Ok(*id);
        }
        let params = [app.into(), process.into()];
        driver.execute("INSERT INTO process (app, process) VALUES ($1, $2) ON CONFLICT DO NOTHING", &params)?;
        let id = one(driver, "SELECT id FROM process WHERE app = $1 AND process = $2", &params)?;
        self.processes.insert(key, id);
        Ok(id)
    }

    /// The number of a series of samples; it gets one where it has none.
    pub(crate) fn series(
        &mut self,
        driver: &mut dyn Driver,
        process: i64,
        name: &str,
        unit: &str,
    ) -> Result<i64, StoreError> {
        let key = (process, name.to_owned());
        if let Some(id) = self.series.get(&key) {
            return Ok(*id);
        }
        driver.execute(
            "INSERT INTO series (process, name, unit, rolled_until) VALUES ($1, $2, $3, 0)
             ON CONFLICT (process, name) DO UPDATE SET unit = $3",
            &[process.into(), name.into(), unit.into()],
        )?;
        let id = one(driver, "SELECT id FROM series WHERE process = $1 AND name = $2", &[process.into(), name.into()])?;
        self.series.insert(key, id);
        Ok(id)
    }
}

fn one(driver: &mut dyn Driver, sql: &str, params: &[Value]) -> Result<i64, StoreError> {
    driver.query(sql, params)?.first().ok_or(StoreError::Content("a number that was just given is missing"))?.int(0)
}
