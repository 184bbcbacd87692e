//! Log drains: framing and all router fields, beside `syslog_loose` (which stops at the syslog header) on the same bodies,
//! and beside the bound, a bare walk over the frames with one field search. Run with `cargo bench -p autoscalebot-measure`.

use autoscalebot_measure::intake::logplex::{Batch, Frames};
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

/// Lines of one batch as Heroku sends them: about 100 kB.
const LINES: usize = 340;

fn body() -> Vec<u8> {
    let mut body = Vec::new();
    for line in 0..LINES {
        let text = format!(
            "<134>1 2026-01-02T03:04:{:02}.{:06}+00:00 host heroku router - at=info method=GET \
             path=\"/search?q=service=9999ms%20status={line}&page=2\" host=myapp.example.com \
             request_id=00000000-0000-4000-8000-{line:012} fwd=\"203.0.113.7\" dyno=web.{} connect={}ms service={}ms \
             status=200 bytes=512 protocol=http1.1 tls=true tls_version=tls1.3\n",
            line % 60,
            line * 37,
            line % 9 + 1,
            line % 3,
            line * 7 % 900,
        );
        body.extend_from_slice(format!("{} {text}", text.len()).as_bytes());
    }
    body
}

#[divan::bench]
fn framing_and_router_fields(bencher: divan::Bencher<'_, '_>) {
    let body = body();
    assert_eq!(Batch::read(&body).hits.len(), LINES);
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| Batch::read(&body).hits.len());
}

/// As it is used where the format is not known beforehand, and where it is.
#[divan::bench(args = ["either", "rfc5424"])]
fn syslog_loose(bencher: divan::Bencher<'_, '_>, variant: &str) {
    let variant = if variant == "either" { syslog_loose::Variant::Either } else { syslog_loose::Variant::RFC5424 };
    let body = String::from_utf8(body()).unwrap_or_default();
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| {
        let frames = Frames::new(body.as_bytes()).filter_map(|frame| std::str::from_utf8(frame).ok());
        frames.map(|text| syslog_loose::parse_message(text, variant).msg.len()).sum::<usize>()
    });
}

#[divan::bench]
fn bare_walk_with_one_search(bencher: divan::Bencher<'_, '_>) {
    let body = body();
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| {
        let mut sum = 0_usize;
        let mut rest = body.as_slice();
        while let Some(space) = rest.iter().position(|byte| *byte == b' ') {
            let count = rest[..space].iter().fold(0_usize, |n, digit| n * 10 + usize::from(digit - b'0'));
            let frame = &rest[space + 1..space + 1 + count];
            sum += memchr::memmem::find(frame, b" service=").unwrap_or(0);
            rest = &rest[space + 1 + count..];
        }
        sum
    });
}
