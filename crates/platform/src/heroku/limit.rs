//! What fits under a limit that the platform named: which changes of a refused batch are cut, and to what. Pure.
//!
//! Heroku has two limit answers, both 422. `cannot_run_above_limit` is about all dynos of the app together, so the room for
//! one process is the limit minus the others; `cannot_update_above_limit` is about one process. Neither is in the reference;
//! both were seen in the wild: <https://github.com/flowhub/guv/issues/16>, <https://github.com/SFDO-Tooling/MetaCI/pull/527>.
//! The app-wide one may count only dynos of one size. Sizes are not looked at here: counting all dynos can only cut too
//! much, never ask for too much.

use autoscalebot_core::Dynos;

use crate::{Change, Formation};

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LimitOf {
    /// All dynos of the app together.
    App,
    /// Each process type.
    Process,
}

/// What becomes of one change of a refused batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It goes out again as it was.
    Whole,
    /// It goes out again, cut to this quantity, which is all the room there is.
    Cut(Dynos),
    /// It does not go out: this is all the room there is, and it is used already.
    Full(Dynos),
}

/// Whether a change raises its process above what the platform wants now. A process that the formation lacks counts as 0.
pub(super) fn raises(change: &Change, before: &Formation) -> bool {
    change.quantity > quantity(before, &change.process)
}

/// The fate of each change, in their order. Only raising changes are cut, the first of them last; lowering ones make room.
pub(super) fn fit(changes: &[Change], before: &Formation, limit: Dynos, of: LimitOf) -> Vec<Fit> {
    let mut planned = before.clone();
    for change in changes.iter().filter(|change| !raises(change, before)) {
        planned.quantities.insert(change.process.clone(), change.quantity);
    }
    let mut fits = Vec::with_capacity(changes.len());
    for change in changes {
        if !raises(change, before) {
            fits.push(Fit::Whole);
            continue;
        }
        let now = quantity(before, &change.process);
        let room = match of {
            LimitOf::App => limit.saturating_sub(others(&planned, &change.process)),
            LimitOf::Process => limit,
        };
        let fit = if change.quantity <= room {
            Fit::Whole
        } else if room > now {
            Fit::Cut(room)
        } else {
            // What runs is allowed, whatever the sum says.
            Fit::Full(now)
        };
        let after = match fit {
            Fit::Whole => change.quantity,
            Fit::Cut(quantity) | Fit::Full(quantity) => quantity,
        };
        planned.quantities.insert(change.process.clone(), after);
        fits.push(fit);
    }
    fits
}

fn quantity(formation: &Formation, process: &str) -> Dynos {
    formation.quantities.get(process).copied().unwrap_or_default()
}

fn others(formation: &Formation, process: &str) -> Dynos {
    let other = formation.quantities.iter().filter(|(name, _)| *name != process);
    other.fold(0, |sum: Dynos, (_, quantity)| sum.saturating_add(*quantity))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formation(quantities: &[(&str, Dynos)]) -> Formation {
        Formation {
            quantities: quantities.iter().map(|(name, quantity)| ((*name).to_owned(), *quantity)).collect(),
            ..Formation::default()
        }
    }

    #[test]
    fn a18_a_table_of_limits() {
        use Fit::{Cut, Full, Whole};
        use LimitOf::{App, Process};
        type Row<'a> = (&'a str, &'a [(&'a str, Dynos)], &'a [(&'a str, Dynos)], Dynos, LimitOf, &'a [Fit]);
        let rows: &[Row<'_>] = &[
            ("A18", &[("web", 4)], &[("web", 14)], 10, App, &[Cut(10)]),
            ("the others use room", &[("web", 4), ("worker", 3)], &[("web", 14)], 10, App, &[Cut(7)]),
            ("the others use all", &[("web", 4), ("worker", 6)], &[("web", 14)], 10, App, &[Full(4)]),
            ("the others use more than all", &[("web", 4), ("worker", 60)], &[("web", 14)], 10, App, &[Full(4)]),
            (
                "lowering makes room",
                &[("web", 4), ("worker", 6)],
                &[("web", 14), ("worker", 1)],
                10,
                App,
                &[Cut(9), Whole],
            ),
            ("in order", &[("a", 1), ("b", 1)], &[("a", 6), ("b", 6)], 10, App, &[Whole, Cut(4)]),
            ("the later ones keep theirs", &[("a", 1), ("b", 5)], &[("a", 9), ("b", 6)], 10, App, &[Cut(5), Full(5)]),
            ("each for itself", &[("a", 1), ("b", 3)], &[("a", 9), ("b", 4)], 5, Process, &[Cut(5), Whole]),
            ("at the limit", &[("a", 5)], &[("a", 9)], 5, Process, &[Full(5)]),
            ("limit of nothing", &[("a", 5)], &[("a", 9)], 0, Process, &[Full(5)]),
            ("not in the formation", &[], &[("a", 9)], 5, App, &[Cut(5)]),
            ("huge", &[("a", 1), ("b", Dynos::MAX)], &[("a", 9)], 5, App, &[Full(1)]),
        ];
        for (name, before, changes, limit, of, wanted) in rows {
            let changes: Vec<Change> =
                changes.iter().map(|(p, quantity)| Change { process: (*p).to_owned(), quantity: *quantity }).collect();
            assert_eq!(fit(&changes, &formation(before), *limit, *of), *wanted, "{name}");
        }
    }
}
