//! Spans: each HTTP server span is a request, from its start to its end.
//!
//! A server span within another of the same resource is a part of that one (frameworks within servers), and no request of its
//! own. Where a sampler says in `tracestate` for how many a span stands (`ot=th:…`,
//! <https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/>), it counts for so many.

use std::collections::HashSet;

use super::attributes::{Attributes, Filter};
use super::read::{Told, What, milliseconds};
use super::wire::{Broken, Field, Fields};
use crate::intake::plausible_ms;

/// `SPAN_KIND_SERVER`.
const SERVER: u64 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;
/// The most requests of a body; with less than 128 bytes each, the rest is made up.
const MOST_SPANS: usize = 65_536;
/// The most that one span stands for.
const MOST: f64 = 1e6;

/// A span, as far as it is looked at.
#[derive(Debug, Default)]
struct Span<'a> {
    id: &'a [u8],
    parent: &'a [u8],
    trace_state: &'a str,
    kind: u64,
    start_nanos: u64,
    end_nanos: u64,
    failed: bool,
}

/// Reads `ExportTraceServiceRequest`.
pub(super) fn read<'a>(body: &'a [u8], filters: &[Filter], told: &mut Told<'a>) -> Result<(), Broken> {
    for field in Fields(body) {
        if let (1, resource_spans) = field? {
            resource(resource_spans.bytes()?, filters, told)?;
        }
    }
    Ok(())
}

fn resource<'a>(resource_spans: &'a [u8], filters: &[Filter], told: &mut Told<'a>) -> Result<(), Broken> {
    let mut attributes = Attributes::default();
    for field in Fields(resource_spans) {
        if let (1, resource) = field? {
            attributes = Attributes::of_resource(resource.bytes()?, filters)?;
        }
    }
    told.alive |= attributes.wanted(filters, None);
    let servers = servers(resource_spans)?;
    for field in Fields(resource_spans) {
        let (2, scope_spans) = field? else { continue };
        for field in Fields(scope_spans.bytes()?) {
            let (2, span) = field? else { continue };
            attributes.only_resource();
            // Each span's length is known, so that one which is broken costs no other.
            match span.bytes().and_then(|span| one(span, &mut attributes, &servers, filters, told)) {
                Ok(true) => {}
                Ok(false) => told.left_out += 1,
                Err(Broken) => told.rejected += 1,
            }
        }
    }
    Ok(())
}

/// The ids of the server spans. An id has eight bytes.
fn servers(resource_spans: &[u8]) -> Result<HashSet<&[u8]>, Broken> {
    let mut all = HashSet::new();
    for field in Fields(resource_spans) {
        let (2, scope_spans) = field? else { continue };
        for field in Fields(scope_spans.bytes()?) {
            let (2, Field::Bytes(span)) = field? else { continue };
            let (mut id, mut kind) = (&[][..], 0);
            for field in Fields(span) {
                match field {
                    Ok((2, Field::Bytes(bytes))) => id = bytes,
                    Ok((6, Field::Varint(number))) => kind = number,
                    Ok(_) => {}
                    Err(Broken) => break,
                }
            }
            if kind == SERVER && id.len() == 8 {
                all.insert(id);
            }
        }
    }
    Ok(all)
}

/// Reads a span; false: it is no request.
fn one<'a>(
    message: &'a [u8],
    attributes: &mut Attributes<'a>,
    servers: &HashSet<&[u8]>,
    filters: &[Filter],
    told: &mut Told<'a>,
) -> Result<bool, Broken> {
    let mut span = Span::default();
    for field in Fields(message) {
        match field? {
            (2, id) => span.id = id.bytes()?,
            (3, state) => span.trace_state = state.text()?,
            (4, parent) => span.parent = parent.bytes()?,
            (6, kind) => span.kind = kind.varint()?,
            (7, start) => span.start_nanos = start.fixed64()?,
            (8, end) => span.end_nanos = end.fixed64()?,
            (9, attribute) => attributes.add(attribute.bytes()?, filters)?,
            (15, status) => {
                for field in Fields(status.bytes()?) {
                    if let (3, code) = field? {
                        span.failed = code.varint()? == ERROR;
                    }
                }
            }
            _ => {}
        }
    }
    if span.kind != SERVER || !attributes.is_http() || span.parent != span.id && servers.contains(span.parent) {
        return Ok(false);
    }
    let (start_ms, end_ms) =
        (milliseconds(span.start_nanos).ok_or(Broken)?, milliseconds(span.end_nanos).ok_or(Broken)?);
    let nanos = span.end_nanos.checked_sub(span.start_nanos).ok_or(Broken)?;
    let ms = plausible_ms(nanos as f64 / 1e6).ok_or(Broken)?;
    let outcome = attributes.outcome(span.failed);
    let Some((value, error)) = outcome.counts_as(Some(ms)) else { return Ok(false) };
    if told.requests.len() == MOST_SPANS {
        return Err(Broken);
    }
    let taps = attributes.wanted(filters, Some(&outcome));
    told.alive |= taps;
    let what = What { service: attributes.service(), taps, start_ms, end_ms };
    told.requests.push(super::read::Request { what, ms: value, error, count: stands_for(span.trace_state) });
    Ok(true)
}

/// For how many requests a sampled span stands: 2⁵⁶ / (2⁵⁶ − the threshold below which all others were left out).
fn stands_for(trace_state: &str) -> u64 {
    let ot = trace_state.split(',').find_map(|member| member.trim().strip_prefix("ot="));
    let Some(threshold) = ot.and_then(|ot| ot.split(';').find_map(|pair| pair.strip_prefix("th:"))) else { return 1 };
    let digits = threshold.len();
    if !(1..=14).contains(&digits) || !threshold.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return 1;
    }
    let Ok(number) = u64::from_str_radix(threshold, 16) else { return 1 };
    // Zeros at the end are left out.
    let kept = (1_u64 << 56) - (number << (4 * (14 - digits)));
    ((1_u64 << 56) as f64 / kept as f64).min(MOST).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampled_span_stands_for_as_many_as_its_threshold_says() {
        for (state, count) in [
            ("", 1),
            ("ot=th:0", 1),
            ("ot=th:8", 2),
            ("vendor=x, ot=rv:abc;th:c", 4),
            // The specification's example of 1 in 100: 0xfd70a3d70a3d7 of 0x1000…, and zeros.
            ("ot=th:fd70a3d70a3d71", 100),
            ("ot=th:ffffffffffffff", 1_000_000),
            ("ot=th:", 1),
            ("ot=th:xyz", 1),
            ("ot=th:+f", 1),
            ("ot=th:0000000000000000f", 1),
        ] {
            assert_eq!(stands_for(state), count, "{state}");
        }
    }
}
