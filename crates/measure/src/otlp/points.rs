//! Histograms of the durations of requests: `http.server.request.duration` (seconds) and the older `http.server.duration`
//! (milliseconds), of explicit bounds or exponential
//! (<https://opentelemetry.io/docs/specs/otel/metrics/data-model/#histogram>).

use std::hash::{DefaultHasher, Hash, Hasher};

use super::attributes::{Attributes, Filter};
use super::read::{Point, Shape, Told, What, ZERO, milliseconds};
use super::wire::{Broken, Field, Fields};

/// The metrics that are looked at, the one to prefer first.
const DURATIONS: [&str; 2] = ["http.server.request.duration", "http.server.duration"];
/// `AGGREGATION_TEMPORALITY_DELTA` and `_CUMULATIVE`.
const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;
/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
const NO_VALUE: u64 = 1;
/// The most cells of a point; exponential histograms have 160 unless set otherwise.
const CELLS: usize = 1024;
/// The most points and cells of a body; a batch of a collector has 8192 points.
const MOST_POINTS: usize = 16_384;
const MOST_CELLS: usize = 131_072;
/// Scales that the data model knows.
const SCALES: std::ops::RangeInclusive<i32> = -10..=20;

/// A metric, as far as it is looked at.
#[derive(Debug, Default)]
struct Metric<'a> {
    name: &'a str,
    unit: &'a str,
    bounds: Option<&'a [u8]>,
    exponential: Option<&'a [u8]>,
}

impl Metric<'_> {
    /// Milliseconds of one.
    fn unit_ms(&self) -> f64 {
        match self.unit {
            "ms" => 1.0,
            "s" => 1000.0,
            _ if self.name == DURATIONS[0] => 1000.0,
            _ => 1.0,
        }
    }
}

/// Reads `ExportMetricsServiceRequest`.
pub(super) fn read<'a>(body: &'a [u8], filters: &[Filter], told: &mut Told<'a>) -> Result<(), Broken> {
    for field in Fields(body) {
        if let (1, resource_metrics) = field? {
            resource(resource_metrics.bytes()?, filters, told)?;
        }
    }
    Ok(())
}

fn resource<'a>(resource_metrics: &'a [u8], filters: &[Filter], told: &mut Told<'a>) -> Result<(), Broken> {
    let mut attributes = Attributes::default();
    for field in Fields(resource_metrics) {
        if let (1, resource) = field? {
            attributes = Attributes::of_resource(resource.bytes()?, filters)?;
        }
    }
    told.alive |= attributes.wanted(filters, None);
    // Apps that are on their way from the old names to the new tell both.
    let mut preferred = DURATIONS[1];
    each_metric(resource_metrics, |metric| {
        if metric.name == DURATIONS[0] {
            preferred = DURATIONS[0];
        }
        Ok(())
    })?;
    each_metric(resource_metrics, |metric| {
        if metric.name != preferred {
            told.left_out += 1;
            return Ok(());
        }
        histogram(&metric, &mut attributes, filters, told)
    })
}

fn each_metric<'a>(
    resource_metrics: &'a [u8],
    mut take: impl FnMut(Metric<'a>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    for field in Fields(resource_metrics) {
        let (2, scope_metrics) = field? else { continue };
        for field in Fields(scope_metrics.bytes()?) {
            let (2, message) = field? else { continue };
            let mut metric = Metric::default();
            for field in Fields(message.bytes()?) {
                match field? {
                    (1, name) => metric.name = name.text()?,
                    (3, unit) => metric.unit = unit.text()?,
                    (9, histogram) => metric.bounds = Some(histogram.bytes()?),
                    (10, histogram) => metric.exponential = Some(histogram.bytes()?),
                    _ => {}
                }
            }
            take(metric)?;
        }
    }
    Ok(())
}

fn histogram<'a>(
    metric: &Metric<'a>,
    attributes: &mut Attributes<'a>,
    filters: &[Filter],
    told: &mut Told<'a>,
) -> Result<(), Broken> {
    let (message, exponential) = match (metric.bounds, metric.exponential) {
        (Some(message), _) => (message, false),
        (None, Some(message)) => (message, true),
        (None, None) => {
            told.left_out += 1;
            return Ok(());
        }
    };
    let mut temporality = 0;
    for field in Fields(message) {
        if let (2, number) = field? {
            temporality = number.varint()?;
        }
    }
    for field in Fields(message) {
        let (1, point) = field? else { continue };
        attributes.only_resource();
        let read = match (temporality, exponential) {
            (DELTA | CUMULATIVE, false) => point.bytes().and_then(|point| Raw::of_bounds(point, attributes, filters)),
            (DELTA | CUMULATIVE, true) => {
                point.bytes().and_then(|point| Raw::of_exponential(point, attributes, filters))
            }
            _ => Err(Broken),
        };
        match read.and_then(|raw| raw.point(metric, temporality == CUMULATIVE, exponential, attributes, filters)) {
            Ok(Some(point)) if told.points.len() == MOST_POINTS || told.cells + point.cells.len() > MOST_CELLS => {
                told.rejected += 1;
            }
            Ok(Some(point)) => {
                told.cells += point.cells.len();
                told.alive |= point.what.taps;
                told.points.push(point);
            }
            Ok(None) => told.left_out += 1,
            Err(Broken) => told.rejected += 1,
        }
    }
    Ok(())
}

/// The numbers of a point as they stand.
#[derive(Debug, Default)]
struct Raw {
    start_nanos: u64,
    end_nanos: u64,
    sum: Option<f64>,
    least: Option<f64>,
    most: Option<f64>,
    flags: u64,
    bounds: Vec<f64>,
    scale: i32,
    cells: Vec<(i32, u64)>,
}

impl Raw {
    /// `HistogramDataPoint`.
    fn of_bounds<'a>(message: &'a [u8], attributes: &mut Attributes<'a>, filters: &[Filter]) -> Result<Self, Broken> {
        let (mut raw, mut cell) = (Self::default(), 0);
        for field in Fields(message) {
            match field? {
                (2, start) => raw.start_nanos = start.fixed64()?,
                (3, end) => raw.end_nanos = end.fixed64()?,
                (5, sum) => raw.sum = Some(sum.double()?),
                (6, counts) => counts.each_fixed64(|count| raw.cell(&mut cell, count))?,
                (7, bounds) => bounds.each_fixed64(|bits| {
                    if raw.bounds.len() < CELLS {
                        raw.bounds.push(f64::from_bits(bits));
                    }
                })?,
                (9, attribute) => attributes.add(attribute.bytes()?, filters)?,
                (10, flags) => raw.flags = flags.varint()?,
                (11, least) => raw.least = Some(least.double()?),
                (12, most) => raw.most = Some(most.double()?),
                _ => {}
            }
        }
        let rising =
            raw.bounds.windows(2).all(|pair| pair[0] < pair[1]) && raw.bounds.iter().all(|bound| bound.is_finite());
        let counted = cell == 0 || cell as usize == raw.bounds.len() + 1;
        if rising && counted { Ok(raw) } else { Err(Broken) }
    }

    /// `ExponentialHistogramDataPoint`. Durations are not negative, so those cells are not looked at.
    fn of_exponential<'a>(
        message: &'a [u8],
        attributes: &mut Attributes<'a>,
        filters: &[Filter],
    ) -> Result<Self, Broken> {
        let mut raw = Self::default();
        let (mut zeros, mut positive) = (0, None);
        for field in Fields(message) {
            match field? {
                (1, attribute) => attributes.add(attribute.bytes()?, filters)?,
                (2, start) => raw.start_nanos = start.fixed64()?,
                (3, end) => raw.end_nanos = end.fixed64()?,
                (5, sum) => raw.sum = Some(sum.double()?),
                (6, scale) => raw.scale = scale.zigzag()?,
                (7, count) => zeros = count.fixed64()?,
                (8, buckets) => positive = Some(buckets.bytes()?),
                (10, flags) => raw.flags = flags.varint()?,
                (12, least) => raw.least = Some(least.double()?),
                (13, most) => raw.most = Some(most.double()?),
                _ => {}
            }
        }
        if !SCALES.contains(&raw.scale) {
            return Err(Broken);
        }
        raw.cell(&mut { ZERO }, zeros);
        let Some(positive) = positive else { return Ok(raw) };
        let mut cell = 0;
        for field in Fields(positive) {
            if let (1, offset) = field? {
                cell = offset.zigzag()?;
            }
        }
        // So that no cell's number is out of range.
        if cell.unsigned_abs() > 1 << 30 {
            return Err(Broken);
        }
        for field in Fields(positive) {
            if let (2, counts @ (Field::Varint(_) | Field::Bytes(_))) = field? {
                counts.each_varint(|count| raw.cell(&mut cell, count))?;
            }
        }
        Ok(raw)
    }

    fn cell(&mut self, cell: &mut i32, count: u64) {
        if count > 0 && self.cells.len() < CELLS {
            self.cells.push((*cell, count));
        }
        *cell = cell.saturating_add(1);
    }

    fn point<'a>(
        self,
        metric: &Metric<'_>,
        cumulative: bool,
        exponential: bool,
        attributes: &Attributes<'a>,
        filters: &[Filter],
    ) -> Result<Option<Point<'a>>, Broken> {
        let outcome = attributes.outcome(false);
        if self.flags & NO_VALUE != 0 || outcome.counts_as(None).is_none() {
            return Ok(None);
        }
        let unit_ms = metric.unit_ms();
        let in_ms = |number: Option<f64>| number.map(|n| n * unit_ms).filter(|ms| ms.is_finite() && *ms >= 0.0);
        let end_ms = milliseconds(self.end_nanos).ok_or(Broken)?;
        let start_ms = milliseconds(self.start_nanos).unwrap_or(end_ms).min(end_ms);
        let shape = if exponential {
            Shape::Exponential { scale: self.scale, unit_ms }
        } else {
            Shape::Bounds(self.bounds.iter().map(|bound| bound * unit_ms).collect())
        };
        let (resource, series) = attributes.ids();
        let mut writer = DefaultHasher::new();
        (resource, metric.name, cumulative.then_some(self.start_nanos)).hash(&mut writer);
        let taps = attributes.wanted(filters, Some(&outcome));
        Ok(Some(Point {
            what: What { service: attributes.service(), taps, start_ms, end_ms },
            writer: writer.finish(),
            series,
            cumulative,
            shape,
            cells: self.cells,
            sum_ms: in_ms(self.sum),
            range_ms: (in_ms(self.least), in_ms(self.most)),
            outcome,
        }))
    }
}
