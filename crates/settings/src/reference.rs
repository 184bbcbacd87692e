//! The reference page `docs/settings.md`, made from the tables of fields that the settings are read by, so that it can't be
//! out of date without a test saying so.

use std::fmt::Write as _;

use autoscalebot_core::Condition;
use autoscalebot_core::EventKind;
use autoscalebot_core::fields::{Description, Field, FieldType};
use autoscalebot_core::gate::GATES;
use autoscalebot_core::policy::POLICIES;

use crate::Kinds;
use crate::common::{APP, BOUNDS, MEASURE, NOTIFY, PROCESS, RAPID, ROOT, SERVER, STORE, TLS};
use crate::duration;
use crate::legacy::SETTINGS;

/// The page, in Markdown.
pub fn reference(kinds: Kinds<'_>) -> String {
    let mut page = include_str!("reference.md").to_owned();
    heading(&mut page, "##", "Top of the file", "");
    fields(&mut page, ROOT);
    heading(&mut page, "##", "Platforms: `[platforms.NAME]`", "`type` is one of these; the other keys are its own.");
    for kind in kinds.platforms {
        describe(&mut page, &kind.description);
    }
    heading(&mut page, "##", "Apps: `[apps.NAME]`", "");
    fields(&mut page, APP);
    let about = "`measure` besides, and the gates below.";
    heading(&mut page, "##", "Processes: `[apps.NAME.processes.NAME]`", about);
    let bounds = BOUNDS.iter().map(|(name, default, doc)| row(name, "dynos", &format!("`{default}`"), doc));
    table(&mut page, bounds.chain(PROCESS.iter().map(field_row)).collect());
    heading(&mut page, "###", "`scaling_too_rapid`", "When the condition of that name holds; without it, never.");
    fields(&mut page, RAPID);
    for gate in GATES.iter().filter(|gate| !gate.description.fields.is_empty()) {
        describe(&mut page, &gate.description);
        if let [first, ..] = gate.description.shorthand {
            let field = gate.description.fields.iter().find(|field| field.name == *first);
            let example = match field.map(|field| (field.kind, field.example)) {
                // The default of a wait is mostly none, which shows nothing.
                Some((FieldType::Duration(..), _)) => "\"5m\"",
                Some((_, example)) => example,
                None => continue,
            };
            let names: Vec<_> = gate.description.shorthand.iter().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(page, "\n`{} = {example}` sets {}.", gate.description.name, names.join(" and "));
        }
    }
    let about = "`type` is one of the kinds below, `decide` the policy; these keys are for all kinds.";
    heading(&mut page, "##", "Measurements: `[[apps.NAME.processes.NAME.measure]]`", about);
    fields(&mut page, MEASURE);
    for kind in kinds.measurements {
        describe(&mut page, &kind.description);
        let counts = kind.description.fields.iter().find(|field| matches!(field.kind, FieldType::Counts(_)));
        let unit = match counts {
            Some(field) => format!("what `{}` says", field.name),
            None => kind.unit.as_str().to_owned(),
        };
        let _ = writeln!(page, "\nIt counts in {unit}, and is read every {} unless set.", kind.default_every);
    }
    heading(&mut page, "##", "Policies: `decide`", "`type` is one of these.");
    for policy in POLICIES {
        describe(&mut page, &policy.description);
    }
    let about = "`type` is one of the kinds below; these keys are for all kinds.";
    heading(&mut page, "##", "Notifications: `[[notify]]`", about);
    fields(&mut page, NOTIFY);
    topics(&mut page);
    for kind in kinds.notifications {
        describe(&mut page, &kind.description);
    }
    heading(&mut page, "##", "Server: `[server]`", "");
    fields(&mut page, SERVER);
    heading(&mut page, "###", "`[server.tls]`", "HTTPS, on an address of its own.");
    fields(&mut page, TLS);
    heading(&mut page, "##", "Store: `[store]`", "");
    fields(&mut page, STORE);
    page.push('\n');
    page.push_str(include_str!("reference_2_1.md"));
    page.push_str("| 2.1 | default | now |\n| --- | --- | --- |\n");
    for setting in SETTINGS {
        let default = if setting.default.is_empty() { "required".into() } else { format!("`{}`", setting.default) };
        let _ = writeln!(page, "| `{}` | {default} | {} |", setting.name, setting.now);
    }
    page.push_str(include_str!("reference_2_1_after.md"));
    page
}

fn heading(page: &mut String, level: &str, text: &str, about: &str) {
    if !page.ends_with("\n\n") {
        page.push('\n');
    }
    let _ = writeln!(page, "{level} {text}");
    if !about.is_empty() {
        let _ = writeln!(page, "\n{about}");
    }
}

fn describe(page: &mut String, description: &Description) {
    heading(page, "###", &format!("`{}`", description.name), description.doc);
    fields(page, description.fields);
}

fn fields(page: &mut String, fields: &[Field]) {
    table(page, fields.iter().map(field_row).collect());
}

fn field_row(field: &Field) -> String {
    let default = match (field.required, field.default) {
        (true, _) => "required".into(),
        (false, Some(default)) => format!("`{default}`"),
        (false, None) => "–".into(),
    };
    let mut doc = field.doc.to_owned();
    if field.default != Some(field.example) {
        let _ = write!(doc, " Example: `{}`.", field.example);
    }
    row(field.name, &what(field.kind), &default, &doc)
}

fn row(name: &str, what: &str, default: &str, doc: &str) -> String {
    // A bar in a text would end the cell.
    format!("| `{name}` | {what} | {default} | {} |", doc.replace('|', "\\|"))
}

fn table(page: &mut String, rows: Vec<String>) {
    if rows.is_empty() {
        page.push_str("\nIt has no settings of its own.\n");
        return;
    }
    page.push_str("\n| key | value | default | |\n| --- | --- | --- | --- |\n");
    for row in rows {
        page.push_str(&row);
        page.push('\n');
    }
}

fn what(kind: FieldType) -> String {
    match kind {
        FieldType::Text => "text".into(),
        FieldType::OneOf(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
        FieldType::Counts(words) => {
            words.iter().map(|(word, unit)| format!("`\"{word}\"` ({})", unit.as_str())).collect::<Vec<_>>().join(", ")
        }
        FieldType::Flag => "`true` or `false`".into(),
        FieldType::Whole(least, most) => format!("whole number, {least} to {most}"),
        FieldType::Number(least, most) => format!("number, {least} to {most}"),
        FieldType::Duration(least, most) => {
            format!("duration, {} to {}", duration::write(least), duration::write(most))
        }
        FieldType::Level => "level".into(),
        FieldType::Url(schemes) => format!("URL ({}), or where it stands", schemes.join(", ")),
        FieldType::Secret => "secret".into(),
        FieldType::Texts => "list of texts".into(),
        FieldType::TextTable => "table of texts or secrets".into(),
        FieldType::WholeTable => "table of whole numbers".into(),
        FieldType::DynoTable => "whole number, or table of them by time".into(),
        FieldType::Path => "path".into(),
    }
}

fn topics(page: &mut String) {
    page.push_str("\nWhat `on` may name: the conditions\n\n");
    for condition in Condition::ALL {
        let _ = writeln!(page, "- `{condition}`: {}", condition.meaning());
    }
    let names: Vec<_> = EventKind::NAMES.iter().map(|name| format!("`{name}`")).collect();
    let _ = writeln!(
        page,
        "\nwhich are told when they begin, when they end, and as a reminder between; and the events {}.",
        names.join(", ")
    );
}
