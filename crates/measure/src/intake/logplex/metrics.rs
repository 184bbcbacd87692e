//! Lines of `log-runtime-metrics` (<https://devcenter.heroku.com/articles/log-runtime-metrics>): load and memory of a dyno,
//! about every 20 s, in two lines.

/// What a line of runtime metrics tells of its dyno; absent where it does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RuntimeMetrics {
    /// The load average of the last minute.
    pub load_1m: Option<f64>,
    /// The load average of five minutes.
    pub load_5m: Option<f64>,
    /// The load average of fifteen minutes.
    pub load_15m: Option<f64>,
    /// Memory in use, swap included, in MB.
    pub memory_mb: Option<f64>,
    /// Memory that is swapped out, in MB.
    pub swap_mb: Option<f64>,
    /// Memory that the dyno may use, in MB.
    pub quota_mb: Option<f64>,
}

impl RuntimeMetrics {
    /// Reads a line of the platform about a dyno; none where it is of another kind.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if !text.starts_with(b"source=") {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let mut metrics = Self::default();
        let mut any = false;
        for word in text.split(' ') {
            let Some((name, value)) = word.strip_prefix("sample#").and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let slot = match name {
                "load_avg_1m" => &mut metrics.load_1m,
                "load_avg_5m" => &mut metrics.load_5m,
                "load_avg_15m" => &mut metrics.load_15m,
                "memory_total" => &mut metrics.memory_mb,
                "memory_swap" => &mut metrics.swap_mb,
                "memory_quota" => &mut metrics.quota_mb,
                _ => continue,
            };
            let number = value.strip_suffix("MB").unwrap_or(value).parse::<f64>().ok();
            if let Some(number) = number.filter(|number| number.is_finite() && *number >= 0.0) {
                *slot = Some(number);
                any = true;
            }
        }
        any.then_some(metrics)
    }

    /// With what another line told of the same dyno, where this one does not say.
    pub fn or(self, earlier: Self) -> Self {
        Self {
            load_1m: self.load_1m.or(earlier.load_1m),
            load_5m: self.load_5m.or(earlier.load_5m),
            load_15m: self.load_15m.or(earlier.load_15m),
            memory_mb: self.memory_mb.or(earlier.memory_mb),
            swap_mb: self.swap_mb.or(earlier.swap_mb),
            quota_mb: self.quota_mb.or(earlier.quota_mb),
        }
    }
}
