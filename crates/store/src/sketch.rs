//! [`Sketch`]: many samples in little room, from which percentiles can be read, and which can be merged without loss: the
//! percentiles of an hour are those of its samples, not averages of its minutes' percentiles.
//!
//! Up to [`FEW`] samples are kept as they are (a minute of a heartbeat has two); more go into a DDSketch, whose percentiles
//! are right to 1 %.

use sketches_ddsketch::{Config, DDSketch};

use crate::StoreError;

/// Up to so many samples are kept as they are.
const FEW: usize = 8;

/// Samples of one stretch of time.
#[derive(Clone, Default)]
pub(crate) struct Sketch {
    /// Samples without a value.
    pub(crate) unknown: u64,
    /// As they are, while they are few; empty once there is a sketch.
    few: Vec<f64>,
    many: Option<Box<DDSketch>>,
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sketch").field("unknown", &self.unknown).field("count", &self.count()).finish_non_exhaustive()
    }
}

impl Sketch {
    /// Counts a sample.
    pub(crate) fn add(&mut self, value: Option<f64>) {
        let Some(value) = value else {
            self.unknown += 1;
            return;
        };
        if self.many.is_none() && self.few.len() < FEW {
            self.few.push(value);
        } else {
            self.many().add(value);
        }
    }

    /// Adds all samples of another.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), StoreError> {
        self.unknown += other.unknown;
        other.few.iter().for_each(|value| self.add(Some(*value)));
        match &other.many {
            Some(other) => self.many().merge(other).map_err(|_| UNREADABLE),
            None => Ok(()),
        }
    }

    /// The sketch, made from the few where there is none yet.
    fn many(&mut self) -> &mut DDSketch {
        let few = std::mem::take(&mut self.few);
        self.many.get_or_insert_with(|| {
            let mut many = DDSketch::new(Config::defaults());
            few.iter().for_each(|value| many.add(*value));
            Box::new(many)
        })
    }

    /// Samples with a value.
    pub(crate) fn count(&self) -> u64 {
        self.many.as_ref().map_or(self.few.len(), |many| many.count()) as u64
    }

    /// The lowest, highest and mean value; zeros where there is none.
    pub(crate) fn range(&self) -> (f64, f64, f64) {
        let count = self.count();
        if count == 0 {
            return (0.0, 0.0, 0.0);
        }
        let (min, max, sum) = match (&self.few, &self.many) {
            (few, None) => (
                few.iter().copied().fold(f64::INFINITY, f64::min),
                few.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                few.iter().sum(),
            ),
            (_, Some(many)) => {
                (many.min().unwrap_or_default(), many.max().unwrap_or_default(), many.sum().unwrap_or_default())
            }
        };
        (min, max, sum / count as f64)
    }

    /// The value at or below which such a part of the samples lies, by nearest rank: of two samples, the 99th percentile is
    /// the higher.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let count = self.count();
        if count == 0 {
            return 0.0;
        }
        let rank = ((part * count as f64).ceil() as u64).clamp(1, count) - 1;
        match (&self.few, &self.many) {
            (few, None) => {
                let mut sorted = few.clone();
                sorted.sort_by(f64::total_cmp);
                sorted.get(rank as usize).copied().unwrap_or_default()
            }
            (_, Some(many)) => {
                // The sketch takes the whole part of q × (count − 1) for the rank: the middle of it is safe from rounding.
                let q = (rank as f64 + 0.5) / (count - 1).max(1) as f64;
                let (min, max, _) = self.range();
                many.quantile(q.min(1.0)).ok().flatten().unwrap_or_default().clamp(min, max)
            }
        }
    }

    /// As bytes; [`Sketch::decode`] reads them back.
    ///
    /// `unknown`, then 2 × the number of few values and each of them in 4 bytes, or 1 + 2 × the length of a DDSketch in its
    /// Java form and that.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.unknown);
        match (&self.few, &self.many) {
            (few, None) => {
                put(out, 2 * few.len() as u64);
                for value in few {
                    // Seven digits are as many as any source is good for; what does not fit is the largest that does.
                    let short = (*value as f32).clamp(f32::MIN, f32::MAX);
                    out.extend_from_slice(&short.to_le_bytes());
                }
            }
            (_, Some(many)) => {
                let bytes = many.to_java_bytes();
                put(out, 2 * bytes.len() as u64 + 1);
                out.extend_from_slice(&bytes);
            }
        }
    }

    /// Reads a sketch from the front of the bytes.
    pub(crate) fn decode(bytes: &mut &[u8]) -> Result<Self, StoreError> {
        let unknown = take(bytes)?;
        let head = take(bytes)?;
        let length = usize::try_from(head / 2).map_err(|_| UNREADABLE)?;
        if head % 2 == 0 {
            let (few, rest) = bytes.split_at_checked(length.checked_mul(4).ok_or(UNREADABLE)?).ok_or(UNREADABLE)?;
            *bytes = rest;
            let (few, _) = few.as_chunks::<4>();
            let few = few.iter().map(|value| f64::from(f32::from_le_bytes(*value))).collect();
            return Ok(Self { unknown, few, many: None });
        }
        let (many, rest) = bytes.split_at_checked(length).ok_or(UNREADABLE)?;
        *bytes = rest;
        let many = DDSketch::from_java_bytes(many).map_err(|_| UNREADABLE)?;
        Ok(Self { unknown, few: Vec::new(), many: Some(Box::new(many)) })
    }
}

const UNREADABLE: StoreError = StoreError::Content("a sketch of samples cannot be read");

/// Writes a number in as few bytes as it needs, seven bits each, the lowest first.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads a number that [`put`] wrote from the front of the bytes.
pub(crate) fn take(bytes: &mut &[u8]) -> Result<u64, StoreError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(UNREADABLE)?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(UNREADABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Sketch {
        let mut sketch = Sketch::default();
        values.into_iter().for_each(|value| sketch.add(Some(value)));
        sketch
    }

    fn round(sketch: &Sketch) -> Sketch {
        let mut bytes = Vec::new();
        sketch.encode(&mut bytes);
        let mut left = &*bytes;
        let read = Sketch::decode(&mut left).unwrap();
        assert!(left.is_empty());
        read
    }

    #[test]
    fn few_samples_are_exact() {
        let sketch = round(&of([30.0, 10.0]));
        assert_eq!((sketch.quantile(0.5), sketch.quantile(0.95), sketch.quantile(0.99)), (10.0, 30.0, 30.0));
        assert_eq!(sketch.range(), (10.0, 30.0, 20.0));
        assert_eq!(of([]).quantile(0.5), 0.0);
    }

    #[test]
    fn percentiles_of_merged_parts_are_those_of_the_whole() {
        let mut merged = Sketch::default();
        for minute in 0..60 {
            let part = of((0..20).map(|n| f64::from(minute * 20 + n + 1)));
            merged.merge(&round(&part)).unwrap();
        }
        let merged = round(&merged);
        assert_eq!(merged.count(), 1200);
        for (part, exact) in [(0.5, 600.0), (0.95, 1140.0), (0.99, 1188.0), (1.0, 1200.0)] {
            let got = merged.quantile(part);
            assert!((got - exact).abs() <= exact * 0.01, "{part}: {got}, not {exact}");
        }
        let (min, max, mean) = merged.range();
        assert_eq!((min, max), (1.0, 1200.0));
        assert!((mean - 600.5).abs() < 1e-6);
    }

    #[test]
    fn zeros_and_unknown_samples_are_counted_apart() {
        let mut sketch = of([0.0; 20]);
        sketch.add(None);
        let sketch = round(&sketch);
        assert_eq!((sketch.count(), sketch.unknown, sketch.quantile(0.99)), (20, 1, 0.0));
    }

    #[test]
    fn broken_bytes_are_refused() {
        let mut bytes = Vec::new();
        of((0..100).map(f64::from)).encode(&mut bytes);
        for length in 0..bytes.len() {
            assert!(Sketch::decode(&mut &bytes[..length]).is_err(), "{length}");
        }
    }
}
