//! Codes not yet exchanged for tokens: authorization codes (RFC 6749 §4.1.2) and device codes (RFC 8628 §3.2).

use crate::state::{bounded::Bounded, scope::Scopes};

/// RFC 6749 §4.1.2 allows ten minutes.
pub(crate) const CODE_LIFE: u64 = 300;
/// How long a person may take, in seconds.
pub(crate) const DEVICE_CODE_LIFE: u64 = 600;
/// RFC 8628 §5.1: after more wrong codes than this within a minute, further attempts are refused.
const WRONG_CODES: u32 = 10;

#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    pub(crate) nonce: Option<String>,
    pub(crate) scope: Scopes,
    pub(crate) email: String,
    pub(crate) expires_at: u64,
    /// The family its exchange began.
    pub(crate) used: Option<u64>,
}

/// The device codes that wait for a person.
#[derive(Debug, Default)]
pub(crate) struct DeviceCodes {
    pub(crate) waiting: Bounded<Waiting>,
    wrong: u32,
    wrong_since: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) client_id: String,
    pub(crate) scope: Scopes,
    pub(crate) user_code: String,
    pub(crate) answer: Answer,
    pub(crate) interval: u64,
    pub(crate) polled_ms: Option<u64>,
    pub(crate) expires_at: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    None,
    Approved(String),
    Denied,
}

/// Why a typed code leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WrongCode {
    /// It is unknown, used or expired.
    Unknown,
    /// Attempts are refused for a while.
    TooMany,
}

impl DeviceCodes {
    pub(crate) fn sweep(&mut self, now: u64) {
        // An expired code is remembered for a while, so that its client learns `expired_token`.
        self.waiting.retain(|waiting| now < waiting.expires_at.saturating_add(DEVICE_CODE_LIFE));
    }

    /// The unanswered request with this user code. Wrong guesses are counted.
    pub(crate) fn find(&mut self, typed: &str, now: u64) -> Result<&mut Waiting, WrongCode> {
        if now >= self.wrong_since.saturating_add(60) {
            (self.wrong, self.wrong_since) = (0, now);
        }
        if self.wrong >= WRONG_CODES {
            return Err(WrongCode::TooMany);
        }
        let code = normalised(typed);
        let open = |w: &&mut Waiting| w.user_code == code && w.answer == Answer::None && now < w.expires_at;
        let found = self.waiting.values_mut().find(open);
        if found.is_none() {
            self.wrong += 1;
        }
        found.ok_or(WrongCode::Unknown)
    }
}

/// Case and punctuation do not matter (§6.1).
pub(crate) fn normalised(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).take(16).collect()
}
