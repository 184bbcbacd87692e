//! Reading: records, events and steps.

use jiff::Timestamp;

use crate::driver::{Driver, Row, Value};
use crate::marks::Marks;
use crate::query::LIMIT_MAX;
use crate::{Cursor, EventFilter, Filter, Page, ProcessKey, Step, StoreError, StoredEvent, StoredRecord, Who};

/// A statement's `WHERE`, put together condition by condition.
#[derive(Debug, Default)]
struct Where {
    sql: String,
    params: Vec<Value>,
}

impl Where {
    fn param(&mut self, value: impl Into<Value>) -> String {
        self.params.push(value.into());
        format!("${}", self.params.len())
    }

    fn and(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
    }

    fn who(&mut self, driver: &mut dyn Driver, who: &Who) -> Result<(), StoreError> {
        if *who == Who::default() {
            return Ok(());
        }
        // The numbers first: with them in the statement, the index is used.
        let mut names = Self::default();
        for (column, wanted) in [("app", &who.app), ("process", &who.process)] {
            if let Some(wanted) = wanted {
                let param = names.param(wanted.as_str());
                names.and(&format!("{column} = {param}"));
            }
        }
        let rows = driver.query(&format!("SELECT id FROM process{}", names.sql), &names.params)?;
        let mut ids = Vec::new();
        for row in &rows {
            let id = row.int(0)?;
            ids.push(self.param(id));
        }
        match ids.as_slice() {
            [] => self.and("1 = 0"),
            [id] => self.and(&format!("t.process = {id}")),
            ids => self.and(&format!("t.process IN ({})", ids.join(", "))),
        }
        Ok(())
    }

    fn page(&mut self, page: &Page, oldest_first: bool) {
        if let Some(from) = page.from {
            let at = self.param(from.as_microsecond());
            self.and(&format!("t.at >= {at}"));
        }
        if let Some(to) = page.to {
            let at = self.param(to.as_microsecond());
            self.and(&format!("t.at < {at}"));
        }
        if let Some(Cursor { at, id }) = page.before {
            let (at, id) = (self.param(at), self.param(id));
            let beyond = if oldest_first { '>' } else { '<' };
            self.and(&format!("(t.at, t.id) {beyond} ({at}, {id})"));
        }
    }

    fn one_of(&mut self, sql: impl Fn(&str) -> String, values: impl IntoIterator<Item = String>) {
        let params: Vec<_> = values.into_iter().map(|value| sql(&self.param(value))).collect();
        if !params.is_empty() {
            self.and(&format!("({})", params.join(" OR ")));
        }
    }
}

const RECORD: &str =
    "SELECT t.at, t.id, p.app, p.process, t.marks, t.json, t.state FROM decision t JOIN process p ON p.id = t.process";

fn record(row: &Row) -> Result<StoredRecord, StoreError> {
    let cursor = Cursor { at: row.int(0)?, id: row.int(1)? };
    Ok(StoredRecord {
        cursor,
        key: ProcessKey::new(row.text(2)?, row.text(3)?),
        at: instant(cursor.at)?,
        marks: Marks(row.int(4)?),
        json: row.text(5)?,
        state: row.maybe_text(6)?,
    })
}

fn instant(at: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(at).map_err(|_| StoreError::Content("an instant is out of range"))
}

fn order(oldest_first: bool) -> &'static str {
    if oldest_first { "ORDER BY t.at, t.id" } else { "ORDER BY t.at DESC, t.id DESC" }
}

fn limit(page: &Page) -> usize {
    page.limit.min(LIMIT_MAX)
}

pub(crate) fn history(
    driver: &mut dyn Driver,
    filter: &Filter,
    oldest_first: bool,
) -> Result<Vec<StoredRecord>, StoreError> {
    let mut which = Where::default();
    which.who(driver, &filter.who)?;
    which.page(&filter.page, oldest_first);
    if filter.changes_only {
        which.and("t.marks <> 0");
    }
    // In a record's JSON a quoted name is a whole text, as a quote inside a text is escaped.
    which.one_of(|param| format!("t.json LIKE {param}"), filter.conditions.iter().map(|name| format!("%\"{name}\"%")));
    let limit = which.param(limit(&filter.page) as i64);
    let sql = format!("{RECORD}{} {} LIMIT {limit}", which.sql, order(oldest_first));
    driver.query(&sql, &which.params)?.iter().map(record).collect()
}

pub(crate) fn record_at(
    driver: &mut dyn Driver,
    key: &ProcessKey,
    at: Timestamp,
) -> Result<Option<StoredRecord>, StoreError> {
    newest(driver, key, at, "")
}

/// The newest record at or before an instant that has the state before it.
pub(crate) fn state_at(
    driver: &mut dyn Driver,
    key: &ProcessKey,
    at: Timestamp,
) -> Result<Option<StoredRecord>, StoreError> {
    newest(driver, key, at, " AND t.state IS NOT NULL")
}

/// The newest record at or before an instant of which more holds.
fn newest(
    driver: &mut dyn Driver,
    key: &ProcessKey,
    at: Timestamp,
    more: &str,
) -> Result<Option<StoredRecord>, StoreError> {
    let mut which = Where::default();
    which.who(driver, &key.into())?;
    let at = which.param(at.as_microsecond());
    which.and(&format!("t.at <= {at}{more}"));
    first_record(driver, &which)
}

pub(crate) fn last_change(driver: &mut dyn Driver, key: &ProcessKey) -> Result<Option<StoredRecord>, StoreError> {
    let mut which = Where::default();
    which.who(driver, &key.into())?;
    // The first condition lets the partial index be used.
    which.and(&format!("t.marks <> 0 AND (t.marks & {}) <> 0", Marks::SCALED.0));
    first_record(driver, &which)
}

fn first_record(driver: &mut dyn Driver, which: &Where) -> Result<Option<StoredRecord>, StoreError> {
    let sql = format!("{RECORD}{} ORDER BY t.at DESC, t.id DESC LIMIT 1", which.sql);
    driver.query(&sql, &which.params)?.first().map(record).transpose()
}

pub(crate) fn latest(driver: &mut dyn Driver) -> Result<Vec<StoredRecord>, StoreError> {
    let sql = "SELECT t.at, t.id, p.app, p.process, t.marks, t.json, t.state FROM process p JOIN decision t ON t.id = \
               (SELECT d.id FROM decision d WHERE d.process = p.id ORDER BY d.at DESC, d.id DESC LIMIT 1) \
               ORDER BY p.app, p.process";
    driver.query(sql, &[])?.iter().map(record).collect()
}

pub(crate) fn steps(
    driver: &mut dyn Driver,
    key: &ProcessKey,
    from: Timestamp,
    to: Timestamp,
    limit: usize,
) -> Result<Vec<Step>, StoreError> {
    let column = "SELECT t.at, t.dynos, t.min, t.max FROM decision t";
    let mut before = Where::default();
    before.who(driver, &key.into())?;
    let at = before.param(from.as_microsecond());
    before.and(&format!("t.at <= {at}"));
    let sql = format!("{column}{} ORDER BY t.at DESC, t.id DESC LIMIT 1", before.sql);
    let mut rows = driver.query(&sql, &before.params)?;
    let mut inside = Where::default();
    inside.who(driver, &key.into())?;
    let (from, to) = (inside.param(from.as_microsecond()), inside.param(to.as_microsecond()));
    inside.and(&format!("t.marks <> 0 AND t.at > {from} AND t.at < {to}"));
    let limit = inside.param(limit.min(LIMIT_MAX) as i64);
    let sql = format!("{column}{} ORDER BY t.at, t.id LIMIT {limit}", inside.sql);
    rows.extend(driver.query(&sql, &inside.params)?);
    let mut steps: Vec<Step> = Vec::new();
    for row in &rows {
        let dynos = |number: i64| u32::try_from(number).map_err(|_| StoreError::Content("a quantity is out of range"));
        let step = Step {
            at: instant(row.int(0)?)?,
            dynos: row.maybe_int(1)?.map(dynos).transpose()?,
            min: dynos(row.int(2)?)?,
            max: dynos(row.int(3)?)?,
        };
        if steps.last().is_none_or(|last| (last.dynos, last.min, last.max) != (step.dynos, step.min, step.max)) {
            steps.push(step);
        }
    }
    Ok(steps)
}

pub(crate) fn events(driver: &mut dyn Driver, filter: &EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
    let mut which = Where::default();
    which.who(driver, &filter.who)?;
    which.page(&filter.page, false);
    which.one_of(|param| format!("t.topic = {param}"), filter.topics.iter().cloned());
    let limit = which.param(limit(&filter.page) as i64);
    let sql = format!(
        "SELECT t.at, t.id, p.app, p.process, t.name, t.topic, t.json FROM event t JOIN process p ON p.id = t.process{} \
         {} LIMIT {limit}",
        which.sql,
        order(false)
    );
    let mut all = Vec::new();
    for row in driver.query(&sql, &which.params)? {
        let cursor = Cursor { at: row.int(0)?, id: row.int(1)? };
        all.push(StoredEvent {
            cursor,
            key: ProcessKey::new(row.text(2)?, row.text(3)?),
            at: instant(cursor.at)?,
            name: row.text(4)?,
            topic: row.text(5)?,
            json: row.text(6)?,
        });
    }
    Ok(all)
}
