//! A provider that rotates refresh tokens, revokes on reuse, and records everything for the test.

use std::collections::BTreeMap;

use keyfob_core::Timestamp;

use crate::world::simulated::Outcome;

/// What becomes of one request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is answered.
    Arrives,
    /// It is answered, and the answer is lost.
    AnswerLost,
    /// It never leaves.
    NotSent,
    /// The provider has no time: 500, and nothing changes.
    Trouble,
    /// The provider ends the login: `invalid_grant`.
    Ended,
}

/// What the provider knows of one refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// Which login it belongs to.
    pub family: u32,
    /// The one it was replaced by, if it has been spent.
    pub successor: Option<String>,
    /// How often it arrived here without being sent away with a 500.
    pub arrived: u32,
    /// Whether the one pardon for a lost answer has been used.
    pardoned: bool,
}

/// The provider. Refresh tokens are single-use: one that comes again ends its login (RFC 9700 §4.14.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Server {
    /// Accepts a token that was just replaced once more, as many providers do.
    pub grace: bool,
    /// Its tokens differ in length, so that the records that hold them do.
    pub uneven: bool,
    /// Every refresh token it ever minted.
    pub refresh: BTreeMap<String, Token>,
    /// Every access token, its login and its end.
    pub access: BTreeMap<String, (u32, Timestamp)>,
    /// The logins that have ended.
    pub ended: Vec<u32>,
    minted: u32,
}

/// Seconds an access token lasts.
const LIFETIME: i64 = 3600;

impl Server {
    /// Mints tokens for a login: access and refresh token.
    pub fn mint(&mut self, family: u32, now: Timestamp) -> (String, String) {
        self.minted += 1;
        let tail = "x".repeat(if self.uneven { (self.minted as usize % 3) * 7 } else { 0 });
        let (access, refresh) =
            (format!("access-{}{tail}", self.minted), format!("refresh-{}{tail}", self.minted));
        self.access.insert(access.clone(), (family, now.plus(LIFETIME)));
        let token = Token { family, successor: None, arrived: 0, pardoned: false };
        self.refresh.insert(refresh.clone(), token);
        (access, refresh)
    }

    /// Whether an API would accept this access token.
    #[must_use]
    pub fn accepts(&self, access: &str, now: Timestamp) -> bool {
        self.access.get(access).is_some_and(|(family, end)| *end > now && !self.ended.contains(family))
    }

    /// The refresh token in a form, if it is one of ours.
    #[must_use]
    pub fn presented<'f>(&self, form: &'f str) -> Option<&'f str> {
        let token = form.split('&').find_map(|pair| pair.strip_prefix("refresh_token="))?;
        self.refresh.contains_key(token).then_some(token)
    }

    /// The tokens that were ever minted, directly or not, from this one.
    #[must_use]
    pub fn newest(&self, refresh: &str) -> String {
        let mut newest = refresh;
        while let Some(next) = self.refresh.get(newest).and_then(|token| token.successor.as_deref()) {
            newest = next;
        }
        newest.into()
    }

    /// Answers a request to renew.
    pub fn answer(&mut self, form: &str, now: Timestamp, fate: Fate) -> Outcome {
        match fate {
            Fate::NotSent => return Outcome::NoAnswer(false),
            Fate::Trouble => return Outcome::Answer(500, String::new()),
            Fate::Arrives | Fate::AnswerLost | Fate::Ended => {}
        }
        let answer = self.renew(form, now, fate == Fate::Ended);
        if fate == Fate::AnswerLost { Outcome::NoAnswer(true) } else { answer }
    }

    fn renew(&mut self, form: &str, now: Timestamp, end: bool) -> Outcome {
        let refused = || Outcome::Answer(400, r#"{"error":"invalid_grant"}"#.into());
        let Some(name) = self.presented(form) else { return refused() };
        let Some(mut token) = self.refresh.get(name).cloned() else { return refused() };
        token.arrived += 1;
        let pardon = self.grace && token.successor.is_some() && !token.pardoned;
        let granted = !end && !self.ended.contains(&token.family) && (token.successor.is_none() || pardon);
        let outcome = if granted {
            let (access, refresh) = self.mint(token.family, now);
            token.pardoned = token.successor.is_some();
            token.successor = Some(refresh.clone());
            Outcome::Answer(
                200,
                format!(
                    r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":{LIFETIME},"refresh_token":"{refresh}"}}"#
                ),
            )
        } else {
            if !self.ended.contains(&token.family) {
                self.ended.push(token.family);
            }
            refused()
        };
        self.refresh.insert(name.into(), token);
        outcome
    }
}
