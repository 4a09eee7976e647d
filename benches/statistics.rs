//! Medians only: they tolerate a few runs that something else disturbed.

use std::time::Duration;

/// The value in the middle.
pub(crate) fn median(times: &[Duration]) -> Duration {
    quantile(times, 50)
}

/// The value at the given percentile.
pub(crate) fn quantile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() * percent / 100).or(sorted.last()).copied().unwrap_or_default()
}

/// How many times as long.
pub(crate) fn ratio(this: Duration, that: Duration) -> f64 {
    this.as_secs_f64() / that.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// Milliseconds, for a table.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// Microseconds, for a table.
pub(crate) fn us(time: Duration) -> String {
    format!("{:.0} µs", time.as_secs_f64() * 1e6)
}
