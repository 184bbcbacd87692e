//! [`Spread`]: a histogram of times whose bins grow with the time, so that every percentile has the same relative error.
//!
//! A bin is named by the exponent and the first `BITS` bits of the mantissa of the number of seconds: 2^BITS bins an octave,
//! from 2^-17 s (8 µs) to 2^15 s (9 hours), all beyond counts in the last. The error is at most half a bin: 2^-(BITS + 1).

const LOWEST_EXPONENT: i32 = -17;
const OCTAVES: usize = 32;

/// A histogram of times in seconds.
#[derive(Debug, Clone)]
pub(crate) struct Spread<const BITS: u32> {
    counts: Vec<f64>,
    total: f64,
    /// The longest time counted: no percentile is beyond it.
    longest: f64,
    /// Bins outside are empty, so that what is narrow costs little.
    touched: std::ops::Range<usize>,
}

impl<const BITS: u32> Spread<BITS> {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0.0; OCTAVES << BITS], total: 0.0, longest: 0.0, touched: 0..0 }
    }

    fn bin(secs: f64) -> usize {
        let bits = secs.to_bits() >> (52 - BITS);
        let lowest = ((1023 + LOWEST_EXPONENT) as u64) << BITS;
        (bits.saturating_sub(lowest) as usize).min((OCTAVES << BITS) - 1)
    }

    /// The time at which a bin begins.
    fn edge(bin: usize) -> f64 {
        f64::from_bits((((1023 + LOWEST_EXPONENT) as u64) << BITS).wrapping_add(bin as u64) << (52 - BITS))
    }

    /// Counts `weight` requests that took `secs` (0 or more).
    #[inline]
    pub(crate) fn add(&mut self, secs: f64, weight: f64) {
        let bin = Self::bin(secs);
        if let Some(count) = self.counts.get_mut(bin) {
            *count += weight;
        }
        self.touch(bin..bin + 1);
        self.total += weight;
        self.longest = self.longest.max(secs);
    }

    #[inline]
    fn touch(&mut self, bins: std::ops::Range<usize>) {
        if self.touched.is_empty() {
            self.touched = bins;
        } else if !bins.is_empty() {
            self.touched = self.touched.start.min(bins.start)..self.touched.end.max(bins.end);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let bins = other.touched.clone();
        for (count, more) in self.counts[bins.clone()].iter_mut().zip(&other.counts[bins.clone()]) {
            *count += more;
        }
        self.touch(bins);
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    pub(crate) fn clear(&mut self) {
        let bins = std::mem::take(&mut self.touched);
        self.counts[bins].fill(0.0);
        self.total = 0.0;
        self.longest = 0.0;
    }

    /// The time that a share `quantile` does not exceed, straight within its bin; `None` where nothing was counted.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        if self.total <= 0.0 {
            return None;
        }
        let mut left = quantile * self.total;
        for bin in self.touched.clone() {
            let count = &self.counts[bin];
            if *count <= 0.0 {
                continue;
            }
            let (low, high) = (Self::edge(bin), Self::edge(bin + 1));
            if left <= *count {
                return Some((low + (high - low) * (left / count)).min(self.longest));
            }
            left -= count;
        }
        Some(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_half_a_bin() {
        let mut spread = Spread::<7>::new();
        let times: Vec<f64> = (1..=10_000).map(|n| f64::from(n) * 1e-3).collect();
        times.iter().for_each(|secs| spread.add(*secs, 1.0));
        for quantile in [0.01, 0.5, 0.95, 0.999] {
            let want = 10.0 * quantile;
            let got = spread.quantile(quantile).unwrap();
            assert!((got / want - 1.0).abs() < 1.0 / 128.0, "{quantile}: {got}");
        }
        let mut other = Spread::<7>::new();
        assert_eq!(other.quantile(0.5), None);
        other.add(0.0, 1.0);
        other.add(1e9, 1.0);
        other.merge(&spread);
        assert!((other.quantile(0.5).unwrap() / 5.0 - 1.0).abs() < 0.01);
    }
}
