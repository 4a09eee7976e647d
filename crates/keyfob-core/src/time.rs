//! Timestamps as values; this crate has no clock.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01 UTC, as the wire counts them. Arithmetic saturates: a provider's "for ever"
/// must not wrap into the past.
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

    /// Reads an HTTP-date (RFC 9110 §5.6.7), as `Date` and `Retry-After` carry it.
    #[must_use]
    pub fn from_http_date(text: &str) -> Option<Self> {
        let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
        Some(Self(parsed.as_second()))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; moments beyond the year 9999 show as its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_second(self.0).unwrap_or(if self.0 < 0 {
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
        let moment = Timestamp::from_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("RFC 9110 §5.6.7");
        assert_eq!(moment, Timestamp(784_111_777));
        assert_eq!(moment.to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(Timestamp::from_http_date("tomorrow"), None);
    }

    #[test]
    fn for_ever_does_not_wrap() {
        assert_eq!(Timestamp(i64::MAX).plus(1), Timestamp(i64::MAX));
        assert!(Timestamp(i64::MAX).to_string().starts_with("9999-12-30"));
    }
}
