//! What a search may turn: every number in the `decide` tables of settings, whatever the policy. The settings are text that
//! is read again for each combination, so what is found can be written down as it is.

use autoscalebot_core::fields::FieldType;
use autoscalebot_core::policy::POLICIES;
use autoscalebot_simulate::Parameter;
use jiff::{Span, SpanRelativeTo};
use toml::{Table, Value};

/// A parameter is tried at so many times the value it has.
const FACTORS: [f64; 11] = [0.4, 0.55, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0];

/// What is so about the app, or about asking it, is nothing to choose.
const FACTS: [&str; 2] = ["at_once", "timeout"];

/// Settings of one process with their numbers.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    table: Table,
    app: String,
    process: String,
    knobs: Vec<Knob>,
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
struct Knob {
    measure: usize,
    key: String,
    holds: Holds,
    value: f64,
    least: f64,
    most: f64,
}

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Holds {
    Whole,
    Number,
    /// In milliseconds.
    Time,
}

impl Turns {
    /// The numbers in the `decide` tables of this process.
    pub(crate) fn new(text: &str, app: &str, process: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error| format!("the settings cannot be read again: {error}"))?;
        let mut turns = Self { table, app: app.to_owned(), process: process.to_owned(), knobs: Vec::new() };
        let count = turns.measures().map_or(0, Vec::len);
        for measure in 0..count {
            let Some(decide) = turns.decide(measure) else { continue };
            let kind = decide.get("type").and_then(Value::as_str);
            let Some(kind) = POLICIES.iter().find(|policy| Some(policy.description.name) == kind) else { continue };
            let fields = kind.description.fields.iter().filter(|field| !FACTS.contains(&field.name));
            let knobs: Vec<_> =
                fields.filter_map(|field| knob(measure, field.name, field.kind, decide.get(field.name)?)).collect();
            turns.knobs.extend(knobs);
        }
        if turns.knobs.is_empty() {
            return Err(format!("{process}: its policies have no numbers to search: write some into decide"));
        }
        Ok(turns)
    }

    /// What the numbers are now.
    pub(crate) fn baseline(&self) -> Vec<f64> {
        self.knobs.iter().map(|knob| knob.value).collect()
    }

    /// The numbers, and what to try for each.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let several = self.knobs.iter().any(|knob| knob.measure > 0);
        let parameter = |knob: &Knob| {
            let place = if several { format!("measure[{}].", knob.measure) } else { String::new() };
            let unit = if knob.holds == Holds::Time { " (ms)" } else { "" };
            let mut values: Vec<f64> = FACTORS.iter().map(|factor| knob.round(knob.value * factor)).collect();
            values.dedup();
            Parameter { name: format!("{place}{}{unit}", knob.key), values }
        };
        self.knobs.iter().map(parameter).collect()
    }

    /// The settings with other numbers.
    pub(crate) fn with(&self, values: &[f64]) -> Result<String, String> {
        let mut turned = self.clone();
        for (knob, value) in self.knobs.iter().zip(values) {
            if let Some(decide) = turned.decide_mut(knob.measure) {
                decide.insert(knob.key.clone(), knob.write(*value));
            }
        }
        toml::to_string(&turned.table).map_err(|error| format!("the settings cannot be written: {error}"))
    }

    /// The `decide` lines with other numbers, to be copied.
    pub(crate) fn lines(&self, values: &[f64]) -> Vec<String> {
        let mut turned = self.clone();
        for (knob, value) in self.knobs.iter().zip(values) {
            if let Some(decide) = turned.decide_mut(knob.measure) {
                decide.insert(knob.key.clone(), knob.write(*value));
            }
        }
        let count = turned.measures().map_or(0, Vec::len);
        let decides = (0..count).filter_map(|measure| turned.decide(measure));
        decides.map(|decide| format!("decide = {}", Value::Table(decide.clone()))).collect()
    }

    fn measures(&self) -> Option<&Vec<Value>> {
        let app = self.table.get("apps")?.get(&self.app)?;
        app.get("processes")?.get(&self.process)?.get("measure")?.as_array()
    }

    fn decide(&self, measure: usize) -> Option<&Table> {
        self.measures()?.get(measure)?.get("decide")?.as_table()
    }

    fn decide_mut(&mut self, measure: usize) -> Option<&mut Table> {
        let app = self.table.get_mut("apps")?.get_mut(&self.app)?;
        let process = app.get_mut("processes")?.get_mut(&self.process)?;
        process.get_mut("measure")?.get_mut(measure)?.get_mut("decide")?.as_table_mut()
    }
}

fn knob(measure: usize, key: &str, kind: FieldType, value: &Value) -> Option<Knob> {
    let (least, most) = match kind {
        FieldType::Whole(least, most) => (least as f64, most as f64),
        FieldType::Number(least, most) => (least, most),
        FieldType::Duration(least, most) => (least * 1000.0, most * 1000.0),
        FieldType::Level => (0.0, f64::MAX),
        _ => return None,
    };
    let (holds, number) = match value {
        Value::Integer(number) if matches!(kind, FieldType::Whole(..)) => (Holds::Whole, *number as f64),
        Value::Integer(number) => (Holds::Number, *number as f64),
        Value::Float(number) => (Holds::Number, *number),
        Value::String(text) => (Holds::Time, milliseconds(text)?),
        _ => return None,
    };
    // Nothing times a factor is nothing, so there is nothing to try.
    (number > 0.0).then(|| Knob { measure, key: key.to_owned(), holds, value: number, least, most })
}

fn milliseconds(text: &str) -> Option<f64> {
    let span: Span = text.parse().ok()?;
    Some(span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.as_secs_f64() * 1000.0)
}

/// A number in three digits.
pub(crate) fn digits(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let scale = 10_f64.powf(2.0 - number.abs().log10().floor());
    (number * scale).round() / scale
}

impl Knob {
    /// The nearest value that can be written: whole where it must be, else three digits.
    fn round(&self, value: f64) -> f64 {
        let value = value.clamp(self.least, self.most);
        match self.holds {
            Holds::Whole | Holds::Time => value.round().max(1.0),
            Holds::Number => digits(value).clamp(self.least, self.most),
        }
    }

    fn write(&self, value: f64) -> Value {
        match self.holds {
            Holds::Whole => Value::Integer(value as i64),
            Holds::Number => Value::Float(value),
            Holds::Time if value % 1000.0 == 0.0 => Value::String(format!("{}s", value / 1000.0)),
            Holds::Time => Value::String(format!("{value}ms")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[apps.a.processes.web]\n[[apps.a.processes.web.measure]]\ntype = \"probe\"\n\
        decide = { type = \"consecutive\", low = \"200ms\", high = \"1s\", fails = 3, passes = 0 }\n";

    #[test]
    fn numbers_are_found_turned_and_written() {
        let turns = Turns::new(TEXT, "a", "web").unwrap();
        assert_eq!(turns.baseline(), [200.0, 1000.0, 3.0], "a zero cannot be multiplied");
        let parameters = turns.parameters();
        assert_eq!(parameters[1].name, "high (ms)");
        assert_eq!(parameters[2].values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 9.0]);
        let text = turns.with(&[150.0, 900.0, 2.0]).unwrap();
        let again = Turns::new(&text, "a", "web").unwrap();
        assert_eq!(again.baseline(), [150.0, 900.0, 2.0]);
        let lines = turns.lines(&[150.0, 900.0, 2.0]);
        assert_eq!(lines.len(), 1);
        assert!(turns.lines(&[200.0, 2000.0, 3.0])[0].contains("high = \"2s\""));
        assert!(lines[0].starts_with("decide = { ") && lines[0].contains("high = \"900ms\""), "{lines:?}");
    }

    #[test]
    fn where_there_is_nothing_to_turn_it_says_so() {
        assert!(Turns::new("", "a", "web").is_err());
        assert!(Turns::new("x = ", "a", "web").is_err());
    }

    #[test]
    fn numbers_have_three_digits() {
        let knob = Knob { measure: 0, key: String::new(), holds: Holds::Number, value: 0.7, least: 0.01, most: 1.0 };
        assert_eq!([0.7 * 0.55, 0.7 * 1.1, 3.0].map(|value| knob.round(value)), [0.385, 0.77, 1.0]);
    }
}
