//! A response of a provider, not yet understood.

use alloc::{string::String, vec::Vec};

use super::sent::Sent;
use crate::{ProviderTime, Timestamp, error::escape};

/// What came back over HTTP. The body is already bounded in size by the transport.
#[derive(Default)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// `Content-Type`, as sent.
    pub content_type: Option<String>,
    /// `Retry-After`, as sent: seconds or an HTTP-date (RFC 9110 §10.2.3).
    pub retry_after: Option<String>,
    /// `Date`: the provider's own clock.
    pub date: Option<String>,
    /// The body, as much of it as came.
    pub body: Vec<u8>,
    /// Why there is no more of it, where the line broke in its middle (RFC 9112 §8).
    pub cut: Option<String>,
    /// What the request held, which the answer may repeat.
    pub sent: Sent,
    /// When it was asked for, by this machine's clock. That is hours ago where the machine slept meanwhile.
    pub asked_at: Option<Timestamp>,
}

impl core::fmt::Debug for Reply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Reply {
    /// When what it grants began: no later than it was requested. `Date` gives the same moment.
    #[must_use]
    pub fn begins(&self, now: Timestamp) -> Timestamp {
        self.asked_at.map_or(now, |asked| asked.min(now))
    }

    /// The provider's clock when it answered, if it said.
    #[must_use]
    pub fn provider_time(&self) -> Option<ProviderTime> {
        ProviderTime::from_http_date(self.date.as_deref()?)
    }

    /// Words of this answer, as they may be kept and shown: without what was sent, and escaped.
    #[must_use]
    pub fn quote(&self, words: &str) -> String {
        escape(&self.sent.cut(words))
    }

    /// Whether the body calls itself JSON (RFC 8259, RFC 6839 §3.1).
    #[must_use]
    pub fn is_json(&self) -> bool {
        let essence = self.essence();
        let suffixed =
            essence.len() > 5 && essence.as_bytes()[essence.len() - 5..].eq_ignore_ascii_case(b"+json");
        suffixed || ["application/json", "text/json"].iter().any(|known| essence.eq_ignore_ascii_case(known))
    }

    /// Whether it calls itself a form, as some answer where JSON was asked for.
    pub(super) fn is_form(&self) -> bool {
        self.essence().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    pub(super) fn essence(&self) -> &str {
        self.content_type.as_deref().unwrap_or("").split(';').next().unwrap_or("").trim()
    }

    /// Seconds to wait before asking again, at most `cap`; `None` if the provider did not say. `now` is used if it did
    /// not send its time either.
    #[must_use]
    pub fn retry_after(&self, now: ProviderTime, cap: i64) -> Option<i64> {
        let text = self.retry_after.as_deref()?.trim();
        let seconds = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse().unwrap_or(i64::MAX)
        } else {
            // The date is the provider's: measured by its clock if it sent its time.
            ProviderTime::from_http_date(text)?.since(self.provider_time().unwrap_or(now))
        };
        Some(seconds.clamp(0, cap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8259 §11, RFC 6839 §3.1, and what some send instead. A suffix is one of something.
    #[test]
    fn what_calls_itself_json() {
        let is_json = |kind: &str| Reply { content_type: Some(kind.into()), ..Reply::default() }.is_json();
        for kind in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "text/json",
            "application/x+JSON",
            "a+json",
        ] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in ["+json", "json", "", "text/html", "application/jsonp", "application/x+json5"] {
            assert!(!is_json(kind), "{kind}");
        }
    }
}
