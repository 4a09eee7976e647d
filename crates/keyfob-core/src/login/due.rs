//! Decides when a login is renewed.
//!
//! Pure decisions; the I/O between them (lock, disk, network) is in `keyfob::renewal`.

use alloc::{format, string::String};

use crate::{
    Cause, Error, Id, ProviderTime, Record, Timestamp,
    login::record::{Generation, Unknown},
    oauth::id_token::IdToken,
};

/// A token is renewed at most this many seconds before it expires.
const EARLY: i64 = 300;
/// Clocks may differ by this much without being wrong.
pub(crate) const SKEW: i64 = 60;
/// No pause between two requests whose answers were lost is longer.
const LONGEST_PAUSE: i64 = 3600;

/// What a caller wants to know of a record.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Now, by this machine's clock.
    pub now: Timestamp,
    /// Which running kernel that clock belongs to, where the record knows a difference.
    pub kernel: Option<String>,
    /// Seconds the access token must still be good for.
    pub min_valid: i64,
    /// 0 to 1000: spreads the early renewals of many machines over a fifth of the time before expiry.
    pub jitter: u16,
    /// The generation an API answered 401 to.
    pub rejected: Option<Generation>,
    /// Whether it is the ID token that is wanted, and not the access token.
    pub id_token: bool,
}

impl Ask {
    /// An ordinary question at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now, kernel: None, min_valid: 0, jitter: 0, rejected: None, id_token: false }
    }

    /// The provider's time, as far as this record knows the difference.
    fn time(&self, record: &Record) -> ProviderTime {
        record.ahead(self.kernel.as_deref()).theirs(self.now)
    }
}

/// What to do with a record.
#[derive(Debug)]
pub enum Next {
    /// Use the access token.
    Use,
    /// Renew; while that cannot be done, the access token is still good.
    Early,
    /// Renew; there is nothing else to use.
    Renew,
    /// Nothing can be done now, and this is why.
    Stop(Error),
}

/// The token in question: one login has two, each with its own life.
#[derive(Clone, Copy)]
struct Life {
    there: bool,
    issued_at: ProviderTime,
    ends_at: Option<ProviderTime>,
}

impl Life {
    fn of(record: &Record, id_token: bool) -> Self {
        if !id_token {
            let there = record.access_token.is_some();
            return Self { there, issued_at: record.issued_at, ends_at: record.expires_at };
        }
        let token = record.id_token.as_ref().and_then(|token| IdToken::read(token).ok());
        Self {
            there: token.is_some(),
            issued_at: token.as_ref().and_then(IdToken::issued_at).unwrap_or(record.issued_at),
            ends_at: token.as_ref().and_then(IdToken::expires_at),
        }
    }

    /// Seconds from its issue to its end.
    fn length(self) -> Option<i64> {
        self.ends_at.map(|end| end.since(self.issued_at))
    }

    /// Seconds it is still good for.
    fn left(self, now: ProviderTime) -> i64 {
        if self.there { self.ends_at.map_or(i64::MAX, |end| end.since(now)) } else { 0 }
    }
}

/// Decides. Never asks for a renewal that is pointless or forbidden: refused before, or cooling down.
#[must_use]
pub fn next(record: &Record, ask: &Ask) -> Next {
    let life = Life::of(record, ask.id_token);
    if !ask.id_token {
        return of(record, ask, life);
    }
    if let Some(error) = never(record) {
        return Next::Stop(error);
    }
    match of(record, ask, life) {
        // The last renewal brought none. The next one may, when the access token is due; one for the ID token's sake
        // would spend a refresh token at every call.
        Next::Early | Next::Renew if record.id_token_missed.is_some() => {
            let rejected = ask.rejected.as_ref() == Some(&record.generation);
            match next(record, &Ask { id_token: false, min_valid: 0, rejected: None, ..ask.clone() }) {
                Next::Early | Next::Renew => Next::Renew,
                _ if life.left(ask.time(record)) > 0 && !rejected => Next::Use,
                Next::Use => Next::Stop(missed(record)),
                Next::Stop(error) => Next::Stop(error),
            }
        }
        other => other,
    }
}

fn of(record: &Record, ask: &Ask, life: Life) -> Next {
    let now = ask.time(record);
    let rejected = ask.rejected.as_ref() == Some(&record.generation);
    let left = life.left(now);
    // A clock that reads earlier than the issue was stepped back: the lifetime left is not to be believed.
    let stepped_back = now.plus(SKEW) < record.issued_at;
    let usable = life.there && !rejected && left > 0 && left >= wish(record, life, ask.min_valid);
    if usable && !stepped_back && left > early(life, ask.jitter) {
        return Next::Use;
    }
    // An answer was lost: asking again waits until the access token at hand has ended, whatever was wished for.
    let asked_later = record.unknown_now().filter(|_| Life::of(record, false).left(now) > 0);
    if let Some(unknown) = asked_later.filter(|_| !rejected && !stepped_back) {
        if left > 0 {
            return Next::Use;
        }
        let why = format!("{}, so the provider is not asked before the access token ends", unknown.told());
        let what = format!("{} has no valid ID token", title(record));
        return Next::Stop(Error::new(Id::OutcomeUnknown, what, why).because(Cause::Uncertain {}));
    }
    match obstacle(record, now, ask, life) {
        Some(_) if usable => Next::Use,
        Some(error) => Next::Stop(error),
        None if usable => Next::Early,
        None => Next::Renew,
    }
}

/// Why this login never has an ID token, if that is so.
fn never(record: &Record) -> Option<Error> {
    let missing = |why: &str, cause| {
        let what = format!("{} has no ID token", title(record));
        Some(Error::new(Id::IdTokenMissing, what, why).because(cause))
    };
    if record.id_token.is_some() {
        return None;
    }
    if record.proof.is_some() {
        let why = "a client that asks for itself gets an access token alone: an ID token says which person signed in";
        return missing(why, Cause::IdTokenOfMachine {});
    }
    // OpenID Connect Core §3.1.2.1: without this scope a request is none of OpenID Connect.
    if !record.scopes.iter().any(|scope| scope == "openid") {
        let cause = Cause::IdTokenScope { environment: record.environment.clone() };
        return missing("it was made without the scope `openid`, which asks for one", cause);
    }
    None
}

/// Why there is no ID token now, after a renewal that brought none.
fn missed(record: &Record) -> Error {
    let why = record.id_token_missed.as_deref().unwrap_or("the provider sent none");
    if record.id_token.is_none() {
        let what = format!("{} has no ID token", title(record));
        return Error::new(Id::IdTokenMissing, what, why).because(Cause::IdTokenNotSent {});
    }
    let what = format!("the ID token of {} has ended", title(record));
    let why = format!("the login was renewed, but {why}");
    let cause = Cause::IdTokenEnded { profile: record.profile.clone() };
    Error::new(Id::IdTokenMissing, what, why).because(cause)
}

/// The validity that is wished for, as far as this provider may grant it. One that a renewal did not bring is not
/// asked for again before half of what it brought is gone: else every call would renew.
fn wish(record: &Record, life: Life, min_valid: i64) -> i64 {
    match life.length() {
        Some(given) if given < min_valid && record.generation.number > 1 => given / 2,
        _ => min_valid,
    }
}

/// Says that the token is good for less than was wished for.
#[must_use]
pub fn falls_short(record: &Record, ask: &Ask) -> Option<Error> {
    let life = Life::of(record, ask.id_token);
    let left = life.ends_at?.since(ask.time(record));
    if left >= ask.min_valid {
        return None;
    }
    let token = if ask.id_token { "ID token" } else { "access token" };
    let what = format!("the {token} is good for {left} s, not for {}", ask.min_valid);
    let why = format!("{} gave none that lasts longer", record.issuer);
    Some(Error::new(Id::TokenShort, what, why))
}

/// Seconds before expiry at which renewal starts: a tenth of the lifetime, at most [`EARLY`], less some
/// jitter so that machines which started together do not renew together.
fn early(life: Life, jitter: u16) -> i64 {
    let lifetime = life.length().unwrap_or(0).max(0);
    let window = (lifetime / 10).min(EARLY);
    window - window * i64::from(jitter.min(1000)) / 5000
}

/// Why asking the provider is pointless or forbidden.
fn obstacle(record: &Record, now: ProviderTime, ask: &Ask, life: Life) -> Option<Error> {
    if let Some(error) = ended(record) {
        return Some(error);
    }
    let login = title(record);
    let rejected = ask.rejected.as_ref() == Some(&record.generation);
    if !record.can_renew() {
        let token = if ask.id_token { "ID token" } else { "access token" };
        let why = match (life.there || !ask.id_token, rejected) {
            (false, _) => "none came with the sign-in".into(),
            (true, true) => format!("the API rejected its {token}"),
            (true, false) => format!("its {token} has expired"),
        };
        let what = format!("{login} has no valid token");
        let why = format!("{why}, and it has no refresh token");
        let cause = Cause::NoRefreshToken { profile: record.profile.clone() };
        return Some(Error::new(Id::LoginNeeded, what, why).because(cause));
    }
    let (until, why) = forbidden(record, now)?;
    let seconds = until.since(now);
    let why = format!("{why}; asking again is allowed in {seconds} s");
    let what = format!("{login} could not be renewed yet");
    Some(Error::new(Id::CoolingDown, what, why).because(Cause::CoolingDown { seconds }))
}

/// What it is, for people.
#[must_use]
pub fn title(record: &Record) -> String {
    if record.federated.is_some() {
        return format!("the federated credential of {}", record.issuer);
    }
    format!("the login of profile `{}` at {}", record.profile, record.issuer)
}

/// Why this login will never be renewed again, if the provider has said so. Its access token may be good still.
#[must_use]
pub fn ended(record: &Record) -> Option<Error> {
    let refusal = record.refused.as_ref().filter(|r| r.generation == record.generation.number)?;
    let cause = Cause::LoginEnded { profile: record.profile.clone() };
    let what = format!("{} has ended", title(record));
    Some(Error::new(Id::LoginRefused, what, refusal.why.clone()).because(cause))
}

/// Until when the provider is not to be asked, and why, while that is so.
#[must_use]
pub fn paused(record: &Record, ask: &Ask) -> Option<(ProviderTime, String)> {
    forbidden(record, ask.time(record))
}

/// Until when the provider is not asked again, and why.
fn forbidden(record: &Record, now: ProviderTime) -> Option<(ProviderTime, String)> {
    // Only the provider's word ends a login. Asking again after a lost answer cannot make anything worse: a provider
    // that counts the reuse has ended the login already. But it is asked ever more seldom.
    let unknown = record.unknown_now().map(|unknown| (unknown, unknown.since.plus(pause(unknown.times))));
    if let Some((unknown, until)) = unknown.filter(|(u, until)| u.since <= now.plus(SKEW) && now < *until) {
        let why = format!("{}, so nobody knows whether its refresh token is still good", unknown.told());
        return Some((until, why));
    }
    // A cool-down that begins in the future was set by a clock that has been stepped back since.
    let cooldown = record.cooldown.as_ref().filter(|c| c.since <= now.plus(SKEW) && now < c.until)?;
    Some((cooldown.until, cooldown.why.clone()))
}

/// Seconds until the provider may be asked again, for callers that would rather wait than fail. `None`: it may be asked
/// now, or waiting does not help.
#[must_use]
pub fn allowed_in(record: &Record, ask: &Ask) -> Option<i64> {
    let now = ask.time(record);
    Some(forbidden(record, now)?.0.since(now))
}

/// Seconds before the next request, after so many without an answer: the first retry follows when the access token has
/// ended, the others after 2, 4, 8 … up to an hour.
fn pause(times: u32) -> i64 {
    if times < 2 { 0 } else { (1 << (times - 1).min(12)).min(LONGEST_PAUSE) }
}

impl Unknown {
    /// How often it was asked without success, in words.
    #[must_use]
    pub fn told(&self) -> String {
        match self.times {
            0 | 1 => "the answer to the last renewal was lost".into(),
            times => format!("the answers to {times} renewals were lost"),
        }
    }
}

impl Record {
    /// The unknown outcome of this very generation, if there is one.
    #[must_use]
    pub fn unknown_now(&self) -> Option<&Unknown> {
        self.unknown.as_ref().filter(|unknown| unknown.generation == self.generation.number)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Secret;
    use alloc::string::ToString;

    use crate::login::record::tests::record;

    pub(crate) const NOW: i64 = 1_000_000;

    pub(crate) fn word(record: &Record, ask: &Ask) -> &'static str {
        match next(record, ask) {
            Next::Use => "use",
            Next::Early => "early",
            Next::Renew => "renew",
            Next::Stop(error) => error.id().word(),
        }
    }

    pub(crate) fn at(seconds: i64) -> Ask {
        Ask::at(Timestamp(NOW + seconds))
    }

    #[test]
    fn token_is_fresh_near_expiry_or_expired() {
        let r = record(NOW, 3600);
        assert_eq!(word(&r, &at(0)), "use");
        assert_eq!(word(&r, &at(3299)), "use");
        assert_eq!(word(&r, &at(3300)), "early");
        assert_eq!(word(&r, &Ask { jitter: 1000, ..at(3300) }), "use", "jitter delays by a fifth at most");
        assert_eq!(word(&r, &Ask { jitter: 1000, ..at(3360) }), "early");
        assert_eq!(word(&r, &at(3600)), "renew");
        assert_eq!(word(&r, &Ask { min_valid: 1800, ..at(1801) }), "renew");
    }

    #[test]
    fn only_the_rejected_generation_is_renewed() {
        let r = record(NOW, 3600);
        let same = Ask { rejected: Some(r.generation.clone()), ..at(1) };
        assert_eq!(word(&r, &same), "renew");
        let older = Generation { number: 2, ..r.generation.clone() };
        assert_eq!(word(&r, &Ask { rejected: Some(older), ..at(1) }), "use");
        let other = Generation { login: crate::login::record::LoginId::new([9; 16]), ..r.generation.clone() };
        assert_eq!(word(&r, &Ask { rejected: Some(other), ..at(1) }), "use");
    }

    /// The ID token of a login that asked for one, with this life.
    pub(crate) fn id_token(issued: i64, ends: i64) -> Secret {
        use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let claims = format!(
            r#"{{"iss":"http://localhost:3000","aud":"keyfob-local","sub":"ada","iat":{issued},"exp":{ends}}}"#
        );
        Secret::from(format!("{}.{}.c2ln", part(r#"{"alg":"RS256"}"#), part(&claims)))
    }

    /// A record whose access token lives for an hour, and whose ID token for ten minutes.
    pub(crate) fn with_id_token() -> Record {
        let mut r = record(NOW, 3600);
        r.scopes = crate::contract::settings::Scopes::parse("openid email").unwrap();
        r.id_token = Some(id_token(NOW, NOW + 600));
        r
    }

    fn for_id_token(seconds: i64) -> Ask {
        Ask { id_token: true, ..at(seconds) }
    }

    #[test]
    fn an_id_token_has_a_life_of_its_own() {
        let r = with_id_token();
        assert_eq!(word(&r, &at(600)), "use", "the access token is good");
        assert_eq!(word(&r, &for_id_token(539)), "use");
        assert_eq!(word(&r, &for_id_token(540)), "early");
        assert_eq!(word(&r, &for_id_token(600)), "renew");
        assert_eq!(word(&r, &Ask { min_valid: 300, ..for_id_token(301) }), "renew");
        let rejected = Some(r.generation.clone());
        assert_eq!(word(&r, &Ask { rejected, ..for_id_token(1) }), "renew");
        let mut worn = with_id_token();
        worn.expires_at = Some(ProviderTime(NOW + 5));
        assert_eq!((word(&worn, &at(6)), word(&worn, &for_id_token(6))), ("renew", "use"));
        let short = falls_short(&r, &Ask { min_valid: 700, ..for_id_token(0) }).expect("it lasts 600 s");
        assert_eq!(short.what(), "the ID token is good for 600 s, not for 700");
    }

    /// A renewal for the ID token's sake spends a refresh token: one that brought none is not repeated at every call, but
    /// when the access token is due.
    #[test]
    fn a_renewal_without_an_id_token_is_not_repeated_for_its_sake() {
        let mut r = with_id_token();
        r.id_token_missed = Some("the provider's answer held no ID token".into());
        assert_eq!(word(&r, &for_id_token(599)), "use");
        assert_eq!(word(&r, &Ask { min_valid: 300, ..for_id_token(301) }), "use");
        assert_eq!(word(&r, &for_id_token(600)), "id-token-missing");
        let Next::Stop(error) = next(&r, &for_id_token(600)) else { panic!("it has ended") };
        assert_eq!(error.why(), "the login was renewed, but the provider's answer held no ID token");
        assert!(matches!(error.cause(), Some(Cause::IdTokenEnded { profile }) if profile == "default"));
        assert_eq!(word(&r, &for_id_token(3300)), "renew", "the access token is due as well");
        // A login from before ID tokens were kept.
        r.id_token = None;
        let Next::Stop(error) = next(&r, &for_id_token(1)) else { panic!("there is none") };
        assert_eq!(error.id(), Id::IdTokenMissing);
        assert!(matches!(error.cause(), Some(Cause::IdTokenNotSent {})));
        r.id_token_missed = None;
        assert_eq!(word(&r, &for_id_token(1)), "renew");
    }

    #[test]
    fn a_login_without_an_id_token_says_why() {
        let cause = |r: &Record| match next(r, &for_id_token(1)) {
            Next::Stop(error) => (error.id().word(), error.cause().map_or("", Cause::word)),
            other => panic!("{other:?}"),
        };
        let mut r = record(NOW, 3600);
        assert_eq!(cause(&r), ("id-token-missing", "id-token-scope"));
        r.scopes = crate::contract::settings::Scopes::parse("openid").unwrap();
        r.refresh_token = None;
        assert_eq!(cause(&r), ("login-needed", "no-refresh-token"));
        r.proof = Some(crate::oauth::client_auth::Proof::Basic);
        assert_eq!(cause(&r), ("id-token-missing", "id-token-of-machine"));
    }

    /// The contract: after an unknown outcome the access token is used to its end, and nothing is asked before.
    #[test]
    fn an_id_token_is_not_renewed_while_an_outcome_is_unknown() {
        let mut r = with_id_token();
        crate::login::refresh::lost(&mut r, ProviderTime(NOW + 1));
        assert_eq!(word(&r, &Ask { min_valid: 300, ..for_id_token(400) }), "use");
        assert_eq!(word(&r, &for_id_token(600)), "outcome-unknown");
        assert_eq!(word(&r, &for_id_token(3600)), "renew");
    }

    /// A clock that is a minute behind was not stepped back.
    #[test]
    fn a_minute_is_no_step() {
        let r = record(NOW, 3600);
        assert_eq!(word(&r, &at(-SKEW)), "use");
        assert_eq!(word(&r, &at(-SKEW - 1)), "early");
    }

    #[test]
    fn lost_answers_are_counted_in_words() {
        let told = |times| Unknown { generation: 1, since: ProviderTime(0), times }.told();
        assert_eq!(told(1), "the answer to the last renewal was lost");
        assert_eq!(told(2), "the answers to 2 renewals were lost");
    }

    /// Half of it has to be gone before a wish is repeated that the renewal before did not fulfil; one that it did fulfil
    /// is repeated whenever it is not fulfilled any more.
    #[test]
    fn a_wish_is_repeated_where_a_renewal_fulfils_it() {
        let mut r = record(NOW, 3600);
        r.generation.number = 2;
        let wish = |min_valid, seconds| word(&r, &Ask { min_valid, ..at(seconds) });
        assert_eq!((wish(3600, 0), wish(3600, 1)), ("use", "renew"));
        assert_eq!((wish(3601, 1), wish(3601, 1800), wish(3601, 1801)), ("use", "use", "renew"));
    }

    /// A caller that would rather wait learns for how long, by the same clock and rule that stop the others.
    #[test]
    fn a_pause_is_told_as_long_as_it_stops_anybody() {
        let mut r = record(NOW, 60);
        assert!(paused(&r, &at(61)).is_none() && allowed_in(&r, &at(61)).is_none());
        r.cooldown = Some(crate::login::record::Cooldown {
            since: ProviderTime(NOW + 61),
            until: ProviderTime(NOW + 91),
            times: 1,
            why: "the provider said `slow`".into(),
        });
        for (seconds, left) in [(61, Some(30)), (71, Some(20)), (90, Some(1)), (91, None)] {
            let until = left.map(|_| (ProviderTime(NOW + 91), "the provider said `slow`".to_string()));
            assert_eq!((paused(&r, &at(seconds)), allowed_in(&r, &at(seconds))), (until, left), "{seconds}");
            assert_eq!(word(&r, &at(seconds)), if left.is_some() { "cooling-down" } else { "renew" });
        }
    }

    #[test]
    fn an_obstacle_names_its_login() {
        let mut r = record(NOW, 60);
        r.refresh_token = None;
        let Next::Stop(error) = next(&r, &at(61)) else { panic!("it cannot be renewed") };
        assert_eq!(
            error.what(),
            "the login of profile `default` at http://localhost:3000 has no valid token"
        );
        assert!(error.why().contains("has expired"), "{error}");
        r.refused = Some(crate::login::record::Refusal {
            generation: r.generation.number,
            at: ProviderTime(NOW),
            why: "gone".into(),
        });
        let error = ended(&r).expect("it has ended");
        assert_eq!(error.what(), "the login of profile `default` at http://localhost:3000 has ended");
        assert_eq!(error.why(), "gone");
    }
}
