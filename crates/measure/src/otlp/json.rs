//! The JSON of OTLP (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>), written anew as Protocol Buffers, so
//! that there is one reader of what it means. Only the fields that are looked at are kept.
//!
//! Numbers of 64 bits come as text or as numbers, ids in hex, `NaN` and the infinities as text; unknown keys are passed over.

use std::borrow::Cow;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::wire::{Broken, put_bytes, put_varint};

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Message(&'static [Field]),
    Text,
    /// Ids in hex, as bytes.
    Hex,
    Varint,
    Zigzag,
    Fixed64,
    Double,
}

/// A field: its key in JSON, its number in the message, what it holds, and whether there may be several.
type Field = (&'static str, u32, Kind, bool);

/// `ExportTraceServiceRequest`.
const TRACES: &[Field] = &[("resourceSpans", 1, Kind::Message(RESOURCE_SPANS), true)];
const RESOURCE_SPANS: &[Field] =
    &[("resource", 1, Kind::Message(RESOURCE), false), ("scopeSpans", 2, Kind::Message(SCOPE_SPANS), true)];
const RESOURCE: &[Field] = &[("attributes", 1, Kind::Message(KEY_VALUE), true)];
const KEY_VALUE: &[Field] = &[("key", 1, Kind::Text, false), ("value", 2, Kind::Message(ANY_VALUE), false)];
const ANY_VALUE: &[Field] = &[("stringValue", 1, Kind::Text, false), ("intValue", 3, Kind::Varint, false)];
const SCOPE_SPANS: &[Field] = &[("spans", 2, Kind::Message(SPAN), true)];
const SPAN: &[Field] = &[
    ("spanId", 2, Kind::Hex, false),
    ("traceState", 3, Kind::Text, false),
    ("parentSpanId", 4, Kind::Hex, false),
    ("kind", 6, Kind::Varint, false),
    ("startTimeUnixNano", 7, Kind::Fixed64, false),
    ("endTimeUnixNano", 8, Kind::Fixed64, false),
    ("attributes", 9, Kind::Message(KEY_VALUE), true),
    ("status", 15, Kind::Message(&[("code", 3, Kind::Varint, false)]), false),
];
/// `ExportMetricsServiceRequest`.
const METRICS: &[Field] = &[("resourceMetrics", 1, Kind::Message(RESOURCE_METRICS), true)];
const RESOURCE_METRICS: &[Field] =
    &[("resource", 1, Kind::Message(RESOURCE), false), ("scopeMetrics", 2, Kind::Message(SCOPE_METRICS), true)];
const SCOPE_METRICS: &[Field] = &[("metrics", 2, Kind::Message(METRIC), true)];
const METRIC: &[Field] = &[
    ("name", 1, Kind::Text, false),
    ("unit", 3, Kind::Text, false),
    ("histogram", 9, Kind::Message(HISTOGRAM), false),
    ("exponentialHistogram", 10, Kind::Message(EXPONENTIAL), false),
];
const HISTOGRAM: &[Field] =
    &[("dataPoints", 1, Kind::Message(POINT), true), ("aggregationTemporality", 2, Kind::Varint, false)];
const POINT: &[Field] = &[
    ("startTimeUnixNano", 2, Kind::Fixed64, false),
    ("timeUnixNano", 3, Kind::Fixed64, false),
    ("sum", 5, Kind::Double, false),
    ("bucketCounts", 6, Kind::Fixed64, true),
    ("explicitBounds", 7, Kind::Double, true),
    ("attributes", 9, Kind::Message(KEY_VALUE), true),
    ("flags", 10, Kind::Varint, false),
    ("min", 11, Kind::Double, false),
    ("max", 12, Kind::Double, false),
];
const EXPONENTIAL: &[Field] =
    &[("dataPoints", 1, Kind::Message(EXPONENTIAL_POINT), true), ("aggregationTemporality", 2, Kind::Varint, false)];
const EXPONENTIAL_POINT: &[Field] = &[
    ("attributes", 1, Kind::Message(KEY_VALUE), true),
    ("startTimeUnixNano", 2, Kind::Fixed64, false),
    ("timeUnixNano", 3, Kind::Fixed64, false),
    ("sum", 5, Kind::Double, false),
    ("scale", 6, Kind::Zigzag, false),
    ("zeroCount", 7, Kind::Fixed64, false),
    ("positive", 8, Kind::Message(BUCKETS), false),
    ("flags", 10, Kind::Varint, false),
    ("min", 12, Kind::Double, false),
    ("max", 13, Kind::Double, false),
];
const BUCKETS: &[Field] = &[("offset", 1, Kind::Zigzag, false), ("bucketCounts", 2, Kind::Varint, true)];

/// Traces as Protocol Buffers.
pub(super) fn traces(body: &[u8]) -> Result<Vec<u8>, Broken> {
    written(body, TRACES)
}

/// Metrics as Protocol Buffers.
pub(super) fn metrics(body: &[u8]) -> Result<Vec<u8>, Broken> {
    written(body, METRICS)
}

fn written(body: &[u8], fields: &'static [Field]) -> Result<Vec<u8>, Broken> {
    let mut out = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(body);
    reader.deserialize_map(Message { fields, out: &mut out }).map_err(|_| Broken)?;
    reader.end().map_err(|_| Broken)?;
    Ok(out)
}

/// Writes the fields of an object.
struct Message<'o> {
    fields: &'static [Field],
    out: &'o mut Vec<u8>,
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match self.fields.iter().find(|(name, ..)| *name == key) {
                Some(&(_, number, kind, several)) => {
                    map.next_value_seed(One { number, kind, several, out: &mut *self.out })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Writes the value of a field, or each of several.
struct One<'o> {
    number: u32,
    kind: Kind,
    several: bool,
    out: &'o mut Vec<u8>,
}

impl One<'_> {
    fn key(&mut self, wire: u64) {
        put_varint(self.out, u64::from(self.number) << 3 | wire);
    }

    fn fixed64(&mut self, bits: u64) {
        self.key(1);
        self.out.extend_from_slice(&bits.to_le_bytes());
    }

    fn whole<E: Error>(mut self, number: i128) -> Result<(), E> {
        let wrong = || E::custom("this number is out of range");
        match self.kind {
            // Negative numbers are written in two's complement.
            Kind::Varint => {
                let bits = u64::try_from(number).or_else(|_| i64::try_from(number).map(|n| n as u64));
                self.key(0);
                put_varint(self.out, bits.map_err(|_| wrong())?);
            }
            Kind::Zigzag => {
                let number = i32::try_from(number).map_err(|_| wrong())?;
                self.key(0);
                put_varint(self.out, u64::from((number << 1 ^ number >> 31) as u32));
            }
            Kind::Fixed64 => self.fixed64(u64::try_from(number).map_err(|_| wrong())?),
            Kind::Double => self.fixed64((number as f64).to_bits()),
            _ => return Err(E::custom("a number where there should be none")),
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the value of a field")
    }

    /// `null` is "not given".
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(fields) = self.kind else {
            return Err(A::Error::custom("an object where there should be none"));
        };
        let mut inner = Vec::new();
        Message { fields, out: &mut inner }.visit_map(map)?;
        put_bytes(self.out, self.number, &inner);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        if !self.several {
            return Err(A::Error::custom("a list where there should be none"));
        }
        let Self { number, kind, out, .. } = self;
        while all.next_element_seed(One { number, kind, several: false, out: &mut *out })?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        match self.kind {
            Kind::Text => put_bytes(self.out, self.number, text.as_bytes()),
            Kind::Hex => {
                let digits: Option<Vec<u8>> =
                    text.bytes().map(|byte| char::from(byte).to_digit(16).map(|d| d as u8)).collect();
                let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or_else(|| E::custom("no id in hex"))?;
                let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
                put_bytes(self.out, self.number, &bytes);
            }
            // Rust reads `NaN` and `Infinity` as they are written in JSON.
            Kind::Double => {
                let number: f64 = text.parse().map_err(|_| E::custom("no number"))?;
                self.fixed64(number.to_bits());
            }
            Kind::Message(_) => return Err(E::custom("text where there should be none")),
            _ => return self.whole(text.parse().map_err(|_| E::custom("no number"))?),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.whole(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.whole(number.into())
    }

    fn visit_f64<E: Error>(mut self, number: f64) -> Result<(), E> {
        match self.kind {
            Kind::Double => self.fixed64(number.to_bits()),
            // Some writers of JSON give 1e3 for a thousand.
            _ if number.fract() == 0.0 && number.abs() < 9e15 => return self.whole(number as i128),
            _ => return Err(E::custom("no whole number")),
        }
        Ok(())
    }
}
