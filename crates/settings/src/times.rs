//! Dynos by time, as the bounds and the policy `schedule` have them: a number, or a table of numbers by time of the week.

use autoscalebot_core::{BoundTable, MinuteOfWeek};

use crate::hours;
use crate::problem::shown;
use crate::reader::Reader;
use crate::tree::{Item, Node, Origin};

/// What was read.
pub(crate) struct Times<'n> {
    pub(crate) table: BoundTable,
    /// The key and the place of each entry; none for a number.
    pub(crate) entries: Vec<(MinuteOfWeek, &'n str, &'n Origin)>,
}

/// Reads it; what is wrong is told, all of it.
pub(crate) fn read<'n>(reader: &mut Reader<'_>, node: &'n Node, path: &str) -> Option<Times<'n>> {
    let dynos = |reader: &mut Reader<'_>, node: &Node, of: &str| match node.item {
        Item::Whole(number) if u32::try_from(number).is_ok() => u32::try_from(number).ok(),
        _ => {
            let text = match &node.item {
                // Unless it may be any variable's value.
                Item::Text(text) if node.variable.is_none() || node.variable == node.at.name => shown(text),
                _ => node.what(),
            };
            let message = format!("is {text}{of}, but must be a whole number at or above 0, without quotes");
            reader.problem(&node.at, path, message);
            None
        }
    };
    let Item::Table(times) = &node.item else {
        return Some(Times { table: BoundTable::Fixed(dynos(reader, node, "")?), entries: Vec::new() });
    };
    let before = reader.problems.len();
    let (mut entries, mut minutes, mut all_daily) = (Vec::<(MinuteOfWeek, &str, &Origin)>::new(), Vec::new(), true);
    for (key, node) in times.iter() {
        let number = dynos(reader, node, &format!(" at {}", shown(key)));
        let Some((found, daily)) = hours::parse(key) else {
            let message = format!(
                "{} is no time of day: write it from \"0:00\" to \"24:00\", with days where needed, such as \"Mon-Fri 8:00\"",
                shown(key)
            );
            reader.problem(&node.at, path, message);
            continue;
        };
        all_daily &= daily;
        for minute in found {
            if let Some((_, other, _)) = entries.iter().find(|(known, ..)| *known == minute) {
                let message = format!("\"{other}\" and \"{key}\" are the same time ({minute}): keep one of them");
                reader.problem(&node.at, path, message);
                break;
            }
            entries.push((minute, key, &node.at));
            minutes.extend(number.map(|number| (minute, number)));
        }
    }
    if times.0.is_empty() {
        reader.problem(&node.at, path, "is an empty table: write a number, or a time such as \"0:00\" = 1");
    }
    if reader.problems.len() != before {
        return None;
    }
    Some(Times { table: BoundTable::by_time(minutes, all_daily)?, entries })
}
