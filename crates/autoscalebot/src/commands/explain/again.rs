//! Decides a stored tick again: from the nearest state that was kept, over the records after it, up to the tick itself.

use std::path::Path;
use std::sync::Arc;

use autoscalebot_settings::Settings;
use autoscalebot_store::{Filter, Page, ProcessKey, Store, StoredRecord};
use jiff::SignedDuration;

use super::what_if::{Tick, WhatIf, all};
use crate::commands::replay::{Place, Process, TickLine};
use crate::fault::Fault;

/// Records that are read at a time.
const PAGE: usize = 1_000;
/// A state is kept each hour: further back than this is not worth the way.
const FURTHEST: SignedDuration = SignedDuration::from_hours(3);

/// What would have changed the outcome of a record. `None`: the way to it is no longer kept, or today's settings decide it
/// otherwise already.
pub(super) fn what_if(
    settings: &Settings,
    store: &Store,
    key: &ProcessKey,
    record: &StoredRecord,
) -> Result<Option<Vec<WhatIf>>, Fault> {
    let processes = settings.apps.iter().filter(|app| *app.key == *key.app).flat_map(|app| &app.processes);
    let Some(process) = processes.into_iter().find(|process| *process.spec.process == *key.process) else {
        return Ok(None);
    };
    let every = process.measure.iter().map(|measure| measure.every).min();
    let Some(from) = store.state_at(key, record.at).map_err(Fault::failed)? else { return Ok(None) };
    let Some(state) = from.state_before().filter(|_| record.at.duration_since(from.at) <= FURTHEST) else {
        return Ok(None);
    };
    let mut replay = Process::new(Arc::clone(&process.spec), state);
    let page = Page { from: Some(from.at), limit: PAGE, ..Page::default() };
    let mut filter = Filter { who: key.into(), page, ..Filter::default() };
    loop {
        let records = store.history_onward(&filter).map_err(Fault::failed)?;
        let Some(last) = records.last() else { return Ok(None) };
        filter.page.before = Some(last.cursor);
        for (index, stored) in records.iter().enumerate() {
            let place = Place { file: Path::new("the store, record"), line: index + 1 };
            // A restart in between: its first record has the state that it began with.
            if let Some(state) = stored.state_before() {
                replay.state = state;
            }
            let Ok(line) = serde_json::from_str::<TickLine>(&stored.json) else { return Ok(None) };
            if stored.cursor == record.cursor {
                // Settings that have changed since may not know what was measured then.
                let Ok(seen) = replay.seen(&line, place) else { return Ok(None) };
                let tick = Tick { spec: &process.spec, state: &replay.state, seen: &seen, every };
                let desired = record.line().map_err(Fault::failed)?.desired;
                return Ok(Some(all(&tick)).filter(|_| tick.desired() == desired));
            }
            if replay.tick(&line, place).is_err() {
                return Ok(None);
            }
        }
    }
}
