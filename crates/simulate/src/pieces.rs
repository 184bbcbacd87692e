//! A span of time cut at the edges of equal buckets.

/// Calls `each` with the index of every bucket of `bucket` seconds that the span from `begin` to `end` touches, and the
/// seconds of the span inside it. Spans are of seconds since the start, 0 or more; an empty span touches nothing.
#[inline]
pub(crate) fn each(begin: f64, end: f64, bucket: f64, mut each: impl FnMut(usize, f64)) {
    let mut at = begin;
    let mut index = (begin / bucket) as usize;
    while at < end {
        let edge = (index + 1) as f64 * bucket;
        let until = edge.min(end);
        if until > at {
            each(index, until - at);
        }
        at = edge;
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_lost() {
        for (begin, end) in [(0.0_f64, 60.0), (59.9, 60.1), (10.0, 10.0), (5.0, 250.0), (60.0, 120.0)] {
            let mut sum = 0.0_f64;
            let mut seen = Vec::new();
            super::each(begin, end, 60.0, |index, secs| {
                sum += secs;
                seen.push(index);
            });
            assert!((sum - (end - begin)).abs() < 1e-9);
            assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1));
        }
    }
}
