//! A provider that rotates refresh tokens, revokes on reuse, and records everything for the test.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
};

use keyfob_core::Timestamp;

use super::act::{Outcome, Said};

/// What becomes of one request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is answered.
    Arrives,
    /// It is answered, and the answer is lost.
    AnswerLost,
    /// The line is cut before it arrives.
    RequestLost,
    /// There is no connection.
    NotSent,
    /// The provider has no time: 500, and nothing changes.
    Trouble,
    /// The provider ends the login: `invalid_grant`.
    Ended,
    /// Something else answers in the provider's place, with a page and status 200.
    Page,
    /// It is answered, with a rotated token in an answer that is wrong otherwise.
    Odd(Odd),
}

/// What is wrong with an answer that has a rotated token in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Odd {
    /// There is no access token.
    NoAccess,
    /// The access token is of an unknown type.
    Type,
    /// A member that is not needed is not text in any encoding.
    Octets,
    /// A member is there twice.
    Twice,
    /// A proxy has made 203 of 200.
    Status,
}

impl Odd {
    /// Every way.
    pub const ALL: [Self; 5] = [Self::NoAccess, Self::Type, Self::Octets, Self::Twice, Self::Status];
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
    /// It sends its time in every answer.
    pub dates: bool,
    /// It keeps one grant for a person and a client: revoking a token of one login ends all of that person's.
    pub one_grant: bool,
    /// Whose logins these are. One that is not in here is the first person's.
    pub persons: BTreeMap<u32, u32>,
    /// Whether it ever said that a login has ended.
    pub said_ended: bool,
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

    /// Answers a request: to renew, or to revoke (RFC 7009).
    pub fn answer(&mut self, form: &str, now: Timestamp, fate: Fate) -> Outcome {
        match fate {
            Fate::NotSent => return Outcome::Failed(ErrorKind::NotConnected),
            Fate::RequestLost => return Outcome::NoAnswer,
            Fate::Trouble => return Said::json(500, String::new()),
            Fate::Page => {
                let body = "<html>We will be back soon.</html>".into();
                return Outcome::Answer(Said { status: 200, content_type: "text/html", date: None, body });
            }
            Fate::Arrives | Fate::AnswerLost | Fate::Ended | Fate::Odd(_) => {}
        }
        let answer = match form.strip_prefix("token=") {
            Some(token) => self.revoke(token),
            None => self.renew(form, now, fate),
        };
        match answer {
            _ if fate == Fate::AnswerLost => Outcome::NoAnswer,
            Outcome::Answer(said) if self.dates => {
                Outcome::Answer(Said { date: Some(http_date(now)), ..said })
            }
            answer => answer,
        }
    }

    fn person(&self, family: u32) -> u32 {
        self.persons.get(&family).copied().unwrap_or(0)
    }

    /// Whether revoking one of these tokens ends the other.
    #[must_use]
    pub fn ends_with(&self, revoked: &str, other: &str) -> bool {
        let (Some(one), Some(two)) = (self.refresh.get(revoked), self.refresh.get(other)) else {
            return false;
        };
        one.family == two.family || self.one_grant && self.person(one.family) == self.person(two.family)
    }

    fn revoke(&mut self, token: &str) -> Outcome {
        let ends = self.refresh.iter().filter(|(other, _)| self.ends_with(token, other));
        let families: BTreeSet<u32> = ends.map(|(_, token)| token.family).collect();
        let alive = families.into_iter().filter(|family| !self.ended.contains(family)).collect::<Vec<_>>();
        self.ended.extend(alive);
        Said::json(200, String::new())
    }

    fn renew(&mut self, form: &str, now: Timestamp, fate: Fate) -> Outcome {
        let Some(name) = self.presented(form).map(str::to_owned) else { return self.refused() };
        let Some(mut token) = self.refresh.get(&name).cloned() else { return self.refused() };
        token.arrived += 1;
        let pardon = self.grace && token.successor.is_some() && !token.pardoned;
        let granted = fate != Fate::Ended
            && !self.ended.contains(&token.family)
            && (token.successor.is_none() || pardon);
        let outcome = if granted {
            let (access, refresh) = self.mint(token.family, now);
            token.pardoned = token.successor.is_some();
            token.successor = Some(refresh.clone());
            said(&access, &refresh, fate)
        } else {
            if !self.ended.contains(&token.family) {
                self.ended.push(token.family);
            }
            self.refused()
        };
        self.refresh.insert(name, token);
        outcome
    }

    fn refused(&mut self) -> Outcome {
        self.said_ended = true;
        Said::json(400, r#"{"error":"invalid_grant"}"#.into())
    }
}

/// An answer with these tokens, right or odd.
fn said(access: &str, refresh: &str, fate: Fate) -> Outcome {
    let odd = match fate {
        Fate::Odd(odd) => Some(odd),
        _ => None,
    };
    let kind = if odd == Some(Odd::Type) { "mac" } else { "Bearer" };
    let access = match odd {
        Some(Odd::NoAccess) => String::new(),
        Some(Odd::Twice) => format!(r#""access_token":"other","access_token":"{access}","#),
        _ => format!(r#""access_token":"{access}","#),
    };
    let name = if odd == Some(Odd::Octets) { r#","name":"\ud83d""# } else { "" };
    let status = if odd == Some(Odd::Status) { 203 } else { 200 };
    let body = format!(
        r#"{{{access}"token_type":"{kind}","expires_in":{LIFETIME},"refresh_token":"{refresh}"{name}}}"#
    );
    Said::json(status, body)
}

/// As RFC 9110 §5.6.7 has it, without the name of the day, which no reader needs.
fn http_date(now: Timestamp) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = now.to_string();
    let month = text.get(5..7).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
    let part = |range| text.get(range).unwrap_or("");
    format!("{} {} {} {} GMT", part(8..10), MONTHS[(month - 1) % 12], part(0..4), part(11..19))
}
