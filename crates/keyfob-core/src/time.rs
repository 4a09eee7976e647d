//! Timestamps as values; this crate has no clock.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01 UTC by this machine's clock. Arithmetic saturates: a provider's "for ever" must not wrap
/// into the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment and `seconds` more (or fewer).
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this moment; negative when it is the other way round.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The seconds of a time as people write it: a number of seconds, or one with a unit (`90s`, `5m`, `2h`, `1d`).
///
/// ```
/// assert_eq!(keyfob_core::time::span("15m"), Some(900));
/// ```
#[must_use]
pub fn span(text: &str) -> Option<u64> {
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(end) => text.split_at(end),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Seconds since 1970-01-01 UTC by the provider's clock, in which records are kept: what one machine writes another one
/// reads. It cannot be compared with this machine's time, nor shown to a user, before [`Ahead`] has turned it into
/// that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderTime(pub i64);

impl ProviderTime {
    /// This moment and `seconds` more (or fewer).
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this moment; negative when it is the other way round.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads an HTTP-date (RFC 9110 §5.6.7), as `Date` and `Retry-After` carry it.
    #[must_use]
    pub fn from_http_date(text: &str) -> Option<Self> {
        let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
        Some(Self(parsed.as_second()))
    }
}

/// How many seconds a provider's clock is ahead of this machine's. The only way from one to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead(i64);

impl Ahead {
    /// By so many seconds.
    #[must_use]
    pub const fn by(seconds: i64) -> Self {
        Self(seconds)
    }

    /// What both clocks say at one moment.
    #[must_use]
    pub const fn between(theirs: ProviderTime, ours: Timestamp) -> Self {
        Self(theirs.0.saturating_sub(ours.0))
    }

    /// The seconds; negative where the provider's clock is behind.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// A moment of this machine's, by the provider's clock.
    #[must_use]
    pub const fn theirs(self, ours: Timestamp) -> ProviderTime {
        ProviderTime(ours.0.saturating_add(self.0))
    }

    /// A moment of the provider's, by this machine's clock.
    #[must_use]
    pub const fn ours(self, theirs: ProviderTime) -> Timestamp {
        Timestamp(theirs.0.saturating_sub(self.0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; moments beyond the year 9999 show as its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_second(self.0).unwrap_or(if self.0.is_negative() {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        });
        write!(f, "{moment:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn http_dates_and_rfc_3339() {
        let moment = ProviderTime::from_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("RFC 9110 §5.6.7");
        assert_eq!(moment, ProviderTime(784_111_777));
        assert_eq!(Timestamp(moment.0).to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(ProviderTime::from_http_date("tomorrow"), None);
    }

    #[test]
    fn two_clocks_meet_in_one_place() {
        let ahead = Ahead::between(ProviderTime(5_000), Timestamp(1_400));
        assert_eq!((ahead.seconds(), ahead), (3600, Ahead::by(3600)));
        assert_eq!(ahead.ours(ahead.theirs(Timestamp(7))), Timestamp(7));
        assert_eq!(Ahead::by(1).theirs(Timestamp(i64::MAX)), ProviderTime(i64::MAX));
    }

    #[test]
    fn timestamp_addition_saturates() {
        assert_eq!(Timestamp(i64::MAX).plus(1), Timestamp(i64::MAX));
        assert!(Timestamp(i64::MAX).to_string().starts_with("9999-12-30"));
        assert!(Timestamp(i64::MIN).to_string().starts_with("-009999-01-02"));
    }

    #[test]
    fn what_passed_since_is_what_has_to_be_added() {
        for (earlier, later) in [(0, 0), (5, 12), (12, 5), (-3, 4)] {
            let (earlier, later) = (Timestamp(earlier), Timestamp(later));
            assert_eq!(earlier.plus(later.since(earlier)), later);
        }
        assert_eq!(Timestamp(i64::MAX).since(Timestamp(i64::MIN)), i64::MAX);
    }
}
