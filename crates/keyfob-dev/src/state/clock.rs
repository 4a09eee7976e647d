//! The provider's clock: the system's, plus an offset that tests set.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset: AtomicI64,
}

impl Clock {
    /// Unix seconds.
    pub(crate) fn now(&self) -> u64 {
        self.instant().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.instant()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.offset.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The `Date` header, when it differs from what the HTTP library would write.
    pub(crate) fn date(&self) -> Option<String> {
        (self.offset.load(Ordering::SeqCst) != 0).then(|| httpdate::fmt_http_date(self.instant()))
    }

    /// An HTTP-date `seconds` ahead (RFC 9110 §5.6.7).
    pub(crate) fn http_date_in(&self, seconds: u64) -> String {
        httpdate::fmt_http_date(self.instant() + Duration::from_secs(seconds))
    }

    fn instant(&self) -> SystemTime {
        let offset = self.offset.load(Ordering::SeqCst);
        let by = Duration::from_secs(offset.unsigned_abs());
        let now = SystemTime::now();
        let turned = if offset < 0 { now.checked_sub(by) } else { now.checked_add(by) };
        turned.unwrap_or(now)
    }
}
