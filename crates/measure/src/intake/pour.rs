//! From what was read to those who listen: each number to the windows and names that want it, at the time it belongs to.

use super::counts::{Counters, add};
use super::logplex::{Batch, Hit as Line};
use super::report::{Report, Told};
use super::source::{Kept, NAMES, Of, Source};
use super::window::Hit;

/// A body of a drain.
pub(crate) fn batch(batch: &Batch<'_>, source: &Source, now_ms: i64, counters: &Counters) {
    add(&counters.lines, batch.messages);
    add(&counters.samples, batch.hits.len() as u64);
    add(&counters.odd, batch.odd);
    add(&counters.broken_frames, batch.torn.broken);
    add(&counters.garbage_bytes, batch.torn.garbage_bytes + batch.torn.truncated_bytes);
    add(&counters.lost_lines, batch.lost);
    if batch.lost > 0 {
        source.lose(now_ms);
    }
    // A body of which nothing was understood is no sign of life.
    if batch.messages == 0 {
        return;
    }
    source.hear(now_ms);
    let correction = {
        let mut state = source.state();
        for (dyno, metrics) in &batch.metrics {
            let Ok(dyno) = std::str::from_utf8(dyno) else { continue };
            let earlier = state.dynos.get(dyno).map(|(earlier, _)| *earlier).unwrap_or_default();
            state.dynos.insert(dyno.into(), (metrics.or(earlier), now_ms));
            if state.dynos.len() > NAMES {
                let oldest = state.dynos.iter().min_by_key(|(_, (_, at))| *at).map(|(name, _)| name.clone());
                oldest.and_then(|oldest| state.dynos.remove(&oldest));
            }
        }
        let newest = batch.hits.iter().map(|hit| hit.at_ms).max();
        newest.map_or(0, |newest| state.skew.correction(newest, now_ms))
    };
    for tap in source.taps() {
        let (process, mut late) = (tap.process.as_bytes(), 0);
        if let Kept::Window(window) = &mut *tap.kept() {
            for line in batch.hits.iter().filter(|line| line.process == process) {
                late += u64::from(!window.add(line.at_ms + correction, now_ms, hit(line, tap.of)));
            }
        }
        add(&counters.late, late);
        tap.news.notify_one();
    }
}

fn hit(line: &Line<'_>, of: Of) -> Hit {
    let request = &line.request;
    let value = match of {
        Of::Connect => request.connect_ms,
        Of::Total => request.service_ms.map(|service| service + request.connect_ms.unwrap_or(0.0)),
        _ => request.service_ms,
    };
    Hit { value, service_ms: request.service_ms, error: request.error, request: true }
}

/// A report of an adapter, or a pushed sample.
pub(crate) fn report(report: &Report<'_>, source: &Source, now_ms: i64, counters: &Counters) {
    add(&counters.samples, report.told.len() as u64);
    add(&counters.odd, report.odd);
    source.hear(now_ms);
    let newest = report.told.iter().filter_map(Told::at_ms).max();
    let correction = newest.map_or(0, |newest| source.state().skew.correction(newest, now_ms));
    for tap in source.taps() {
        let about_it = report.process.as_ref().is_none_or(|process| **process == *tap.process);
        let (mut kept, mut late) = (tap.kept(), 0);
        // A pushed sample stands for itself; what the one before it told beside its value is gone.
        if let (Of::Value, Kept::Newest(all)) = (tap.of, &mut *kept) {
            all.clear();
        }
        for told in &report.told {
            match (told, &mut *kept) {
                (Told::Waited { at_ms, ms, request }, Kept::Window(window)) if about_it => {
                    let hit = Hit { value: Some(*ms), service_ms: None, error: false, request: *request };
                    late += u64::from(!window.add(at_ms + correction, now_ms, hit));
                }
                (Told::Served { at_ms, ms }, Kept::Window(window)) if about_it => {
                    let hit = Hit { value: None, service_ms: Some(*ms), error: false, request: true };
                    late += u64::from(!window.add(at_ms + correction, now_ms, hit));
                }
                // Numbers of processes are about their own process; those of queues are of the whole app, whoever tells them.
                (Told::Newest { of, name, value }, kept @ Kept::Newest(_))
                    if *of == tap.of && (about_it || *of != Of::Utilization) =>
                {
                    kept.newest(name, *value, now_ms);
                }
                _ => {}
            }
        }
        drop(kept);
        add(&counters.late, late);
        tap.news.notify_one();
    }
}
