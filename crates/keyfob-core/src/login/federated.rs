//! What the record of a federated credential remembers of the identity tokens it was got for.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    oauth::identity_token::{Claims, IdentityToken},
};

/// No more single-use tokens are remembered: the oldest ended long ago.
const MOST: usize = 32;
/// A token without an end is remembered for a day, which is longer than any issuer lets one live that is to be used once.
const UNTIL: i64 = 24 * 3600;

/// What is remembered of the identity tokens: never their text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Federated {
    /// What the one says that was exchanged last, or is about to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Claims>,
    /// The login whose access token was narrowed, where one was: the record is of no use to another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The state of that login whose access token was refused although it had just been renewed: then another renewal is of no use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
    /// Those of a single use that were presented, or may have been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    presented: Vec<Presented>,
}

/// One that must not be presented again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Presented {
    token: String,
    until: i64,
    /// The state of the record in which it was about to be presented.
    generation: u64,
    /// Whether it is known that the provider was asked.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    asked: bool,
}

impl Federated {
    /// Whether this token was presented before, or may have been. `generation` is the record's, and `unknown` says whether a
    /// request with it went out whose answer never came: without that, a token that was about to be presented in this very
    /// state was not.
    #[must_use]
    pub fn was_presented(&self, token: &IdentityToken, generation: u64, unknown: bool) -> bool {
        let fingerprint = token.fingerprint();
        let known = self.presented.iter().filter(|known| known.token == fingerprint);
        known.into_iter().any(|known| known.asked || unknown || known.generation != generation)
    }

    /// Notes that this token is presented, before it is: whoever dies in between must not present it again.
    pub fn present(&mut self, token: &IdentityToken, single_use: bool, generation: u64, now: Timestamp) {
        self.identity = token.claims().cloned();
        if !single_use {
            return;
        }
        // One that has ended is refused for that already, whatever this machine's clock is worth.
        let fingerprint = token.fingerprint();
        self.presented.retain(|known| known.until > now.0 && known.token != fingerprint);
        while self.presented.len() >= MOST {
            self.presented.remove(0);
        }
        let end = token.claims().and_then(|claims| claims.expires_at);
        let until = end.unwrap_or(now.0).max(now.0).saturating_add(UNTIL);
        self.presented.push(Presented { token: fingerprint, until, generation, asked: false });
    }

    /// Notes that the provider was asked with it, and may have exchanged it.
    pub fn note_asked(&mut self, token: &IdentityToken) {
        let fingerprint = token.fingerprint();
        self.presented
            .iter_mut()
            .filter(|known| known.token == fingerprint)
            .for_each(|known| known.asked = true);
    }

    /// Notes that an answer was lost: any of them may have been exchanged.
    pub fn note_lost(&mut self) {
        self.presented.iter_mut().for_each(|known| known.asked = true);
    }

    /// Takes that back: the request never left, or its answer shows that the token is as good as before.
    pub fn take_back(&mut self, token: &IdentityToken) {
        let fingerprint = token.fingerprint();
        self.presented.retain(|known| known.token != fingerprint);
    }

    /// Whether there is a token that must not be presented again.
    #[must_use]
    pub fn remembers(&self) -> bool {
        !self.presented.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::identity_token::tests::jwt;
    use alloc::format;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn token(number: usize) -> IdentityToken {
        IdentityToken::read(&jwt(&format!(r#"{{"jti":"{number}","exp":1000300}}"#)), false).unwrap()
    }

    #[test]
    fn a_token_of_a_single_use_is_remembered_before_it_leaves() {
        let mut federated = Federated::default();
        federated.present(&token(1), true, 4, NOW);
        let presented = |federated: &Federated, number, generation, unknown| {
            federated.was_presented(&token(number), generation, unknown)
        };
        assert!(!presented(&federated, 1, 4, false), "whoever was about to died before it asked");
        assert!(presented(&federated, 1, 4, true), "the answer never came");
        assert!(presented(&federated, 1, 5, false), "it was exchanged");
        assert!(!presented(&federated, 2, 5, true));
        federated.note_asked(&token(1));
        assert!(presented(&federated, 1, 4, false));
        federated.present(&token(4), true, 4, NOW);
        federated.note_lost();
        assert!(presented(&federated, 4, 4, false), "also once the next one is exchanged");
        federated.take_back(&token(4));
        federated.take_back(&token(1));
        assert!(!presented(&federated, 1, 5, true) && !federated.remembers());
        federated.present(&token(3), false, 4, NOW);
        assert!(!presented(&federated, 3, 5, true), "it may be used as often as it lasts");
        assert_eq!(federated.identity.as_ref().and_then(|claims| claims.expires_at), Some(1_000_300));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_in_the_end() {
        let mut federated = Federated::default();
        for number in 0..100 {
            federated.present(&token(number), true, 1, NOW);
        }
        assert_eq!(federated.presented.len(), MOST);
        assert!(
            federated.was_presented(&token(99), 2, false) && !federated.was_presented(&token(0), 2, false)
        );
        federated.present(&token(100), true, 1, NOW.plus(3 * 24 * 3600));
        assert_eq!(federated.presented.len(), 1);
    }
}
