//! The request that renews a login, and what its response makes of the record.
//!
//! When a login is renewed is decided in [`super::due`]; the I/O (lock, disk, network) is in `keyfob::renewal`.

use alloc::{
    format,
    string::{String, ToString},
};

use crate::{
    Ahead, Cause, Error, Id, ProviderTime, Record, Secret, Timestamp,
    login::{
        due::SKEW,
        record::{Cooldown, Refusal, Unknown},
    },
    oauth::{
        client_assertion::{self, is_about_the_client},
        id_token::{self, Doubt, IdToken},
        reply::Reply,
        token_request::TokenRequest,
        token_response::{self, GrantedScope, Tokens, Verdict},
    },
    provider,
};

/// Assumed lifetime of a token whose provider said nothing usable. RFC 6749 §5.1 lets it stay silent; renewing
/// once an hour does no harm, and a dead token is found by the 401 it causes.
pub const ASSUMED: i64 = 3600;
/// No cool-down is longer, whatever the provider says.
pub const LONGEST_COOLDOWN: i64 = 15 * 60;
/// An ID token that says that it was issued this long before its answer was issued for it.
const AT_ONCE: i64 = 5;
/// What becomes of the record after an answer, and what is reported to the caller.
#[derive(Debug)]
pub struct After {
    /// The record to commit. Always: every outcome is worth knowing for the next process.
    pub record: Record,
    /// Why there is no new token, if there is none.
    pub error: Option<Error>,
}

/// The refresh request (RFC 6749 §6). The scope is left out: it stays what was granted.
///
/// # Errors
/// [`Id::LoginNeeded`] when the record has no refresh token.
pub fn request(record: &Record) -> Result<TokenRequest, Error> {
    let token = record.refresh_token.as_ref().ok_or_else(|| {
        Error::new(
            Id::LoginNeeded,
            format!("the login of profile `{}`", record.profile),
            "it has no refresh token",
        )
    })?;
    let request = TokenRequest::grant("refresh_token")
        .with_secret("refresh_token", token.duplicate())
        .client(&record.client_id);
    Ok(if record.narrowed { request.scope(&record.scopes) } else { request })
}

/// Lays an answer over the record it was asked for: first what was rotated, then the rest.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "compared with the token it replaces, not kept")]
pub fn renewed(mut record: Record, reply: &Reply, now: Timestamp, kernel: Option<String>) -> After {
    let login = format!("the login of profile `{}` at {}", record.profile, record.issuer);
    let failed = |id, why: String| Some(Error::new(id, format!("{login} could not be renewed"), why));
    let (rotated, verdict) = token_response::read(reply).open();
    let of_another = match &verdict {
        Verdict::Granted(tokens) => speaks_of_another(&record, tokens),
        _ => None,
    };
    let verdict = match (verdict, &of_another) {
        (Verdict::Granted(mut tokens), None) => {
            let id_token = tokens.id_token.take();
            let error = match granted(&mut record, tokens, rotated, reply, now, kernel) {
                Some(why) => {
                    failed(Id::AnswerInvalid, why.into()).map(|error| error.because(Cause::TokenEnded {}))
                }
                None => None,
            };
            keep_id_token(&mut record, id_token);
            return After { record, error };
        }
        (other, _) => other,
    };
    // What a refusal repeats is not a new one.
    let same = |new: &Secret| record.refresh_token.as_ref().is_some_and(|old| old.same_as(new.expose()));
    let rotated = rotated.filter(|new| !same(new));
    let replaced = rotated.is_some();
    if replaced {
        // The provider now expects this one. The access token at hand stays good until it ends.
        record.generation.number += 1;
        record.refresh_token = rotated;
        record.unknown = None;
    }
    mend_clock(&mut record, reply, now, kernel.as_deref());
    // The same clock that the record is read by later.
    let at = record.ahead(kernel.as_deref()).theirs(now);
    let asked = reply.retry_after(at, LONGEST_COOLDOWN);
    let cause = refused_for(&record, &verdict, asked);
    let (id, why) = match verdict {
        Verdict::Refused(said) if !replaced && said.asks_for_a_person(dead_words(&record)) => {
            record.refused =
                Some(Refusal { generation: record.generation.number, at, why: said.why.clone() });
            let cause = Cause::LoginEnded { profile: record.profile.clone() };
            let error = Error::new(Id::LoginRefused, format!("{login} has ended"), said.why).because(cause);
            return After { record, error: Some(error) };
        }
        Verdict::Unknown(said) if !replaced => return unanswered(record, true, &said.why, at),
        // It said more than nothing: the next request has the new token.
        Verdict::Unknown(said) => (Id::AnswerInvalid, said.why),
        // They may be good for another user's account. The refresh token is kept nevertheless: nothing else is left.
        Verdict::Granted(_) => (Id::IdTokenInvalid, of_another.unwrap_or_default()),
        Verdict::Odd { why } => (Id::AnswerInvalid, why),
        Verdict::Refused(said) => (Id::ProviderRefused, said.why),
        Verdict::Later(said) => (Id::Unreachable, said.why),
    };
    cool_down(&mut record, at, asked, &why);
    After { record, error: failed(id, why).map(|error| error.maybe_because(cause)) }
}

/// Why a renewal was refused or put off, for programs that advise a person.
fn refused_for(record: &Record, verdict: &Verdict, seconds: Option<i64>) -> Option<Cause> {
    match verdict {
        Verdict::Later(said) => said.busy(seconds),
        Verdict::Refused(said) => match said.word.as_deref()? {
            word if is_about_the_client(word) => Some(client_refused(record)),
            "invalid_scope" => Some(Cause::ScopeUnknown { scopes: record.scopes.to_string() }),
            _ => Some(Cause::RequestRefused {}),
        },
        _ => None,
    }
}

/// Why a client was refused, for programs that advise a person.
pub(crate) fn client_refused(record: &Record) -> Cause {
    let (environment, client) = (record.environment.clone(), String::from(record.client_id.as_str()));
    if record.signs() {
        return Cause::AssertionRefused { environment, client };
    }
    Cause::ClientUnknown { environment, client, secret: record.secret_at.is_some() || record.proof.is_some() }
}

/// Why the tokens of a renewal are another login's, by the ID token beside them (OpenID Connect Core §12.2). It is held
/// to the sign-in's, where that was verified; one that cannot be read says nothing, and the tokens are as good as
/// without it.
fn speaks_of_another(record: &Record, tokens: &Tokens) -> Option<String> {
    let first = record.id_token.as_ref().and_then(|token| IdToken::read(token).ok());
    let of_first = || first.as_ref().and_then(IdToken::subject);
    let subject = record.verified_subject.as_deref().or_else(of_first)?;
    let held = IdToken::read(tokens.id_token.as_ref()?)
        .and_then(|token| token.check_renewed(&record.issuer, record.client_id.as_str(), subject));
    match held {
        Err(Doubt::False(why)) => Some(format!("the ID token that came with it is not this login's: {why}")),
        Ok(()) | Err(Doubt::NotUnderstood(_)) => None,
    }
}

/// Puts the ID token of a renewal in the place of the one before, or says in the record why not: then that one stays
/// until it ends (OpenID Connect Core §12.2 lets a renewal bring none).
fn keep_id_token(record: &mut Record, new: Option<Secret>) {
    if record.id_token.is_none() && !record.scopes.iter().any(|scope| scope == "openid") {
        return;
    }
    match follows(record, new) {
        Ok(token) => (record.id_token, record.id_token_missed) = (Some(token), None),
        Err(why) => record.id_token_missed = Some(why.into()),
    }
}

fn follows(record: &Record, new: Option<Secret>) -> Result<Secret, &'static str> {
    let new = new.ok_or("the provider's answer held no ID token")?;
    let read = id_token::to_keep(&new)?;
    if read.expires_at().is_none_or(|end| end <= record.issued_at) {
        return Err("the ID token that came had ended when it arrived");
    }
    match record.id_token.as_ref().and_then(|token| IdToken::read(token).ok()) {
        Some(first) => {
            read.takes_the_place_of(&first)?;
            if repeats(&read, &first, record.issued_at) {
                return Err("the ID token that came ends no later than the one before (`exp`)");
            }
        }
        // A login from before ID tokens were kept: it still knows whose the first one was.
        None => {
            let subject = record.verified_subject.as_deref();
            let subject =
                subject.ok_or("there is none from the sign-in that a renewed one could be held to")?;
            read.check_renewed(&record.issuer, record.client_id.as_str(), subject)
                .map_err(|_| "the ID token that came cannot be held to that of the sign-in")?;
        }
    }
    Ok(new)
}

/// Whether a provider gave nothing that lasts longer than what is at hand: some repeat the ID token of the sign-in, which
/// every call would ask for anew. One that was issued for this very answer repeats nothing, however soon it came.
fn repeats(new: &IdToken, first: &IdToken, issued_at: ProviderTime) -> bool {
    let is_of_now = new.issued_at().is_some_and(|issued| issued.plus(AT_ONCE) >= issued_at);
    !is_of_now && new.expires_at() <= first.expires_at()
}

/// Puts granted tokens in. An access token that had ended when it arrived is none, and says so: then asking again has to
/// wait too, or every call would renew.
pub(crate) fn granted(
    record: &mut Record,
    tokens: Tokens,
    rotated: Option<Secret>,
    reply: &Reply,
    now: Timestamp,
    kernel: Option<String>,
) -> Option<&'static str> {
    let before = record.cooldown.take();
    accept(record, tokens, rotated, reply, now, kernel);
    if !has_ended(record) {
        return None;
    }
    let why = "the new access token had ended when it arrived";
    record.cooldown = before;
    cool_down(record, record.issued_at, None, why);
    Some(why)
}

/// Whether its tokens had ended when they arrived.
#[must_use]
pub fn has_ended(record: &Record) -> bool {
    record.expires_at.is_some_and(|end| end <= record.issued_at)
}

/// This provider's own words for a dead refresh token: what was configured when the login was made, and what is known
/// of its issuer.
fn dead_words(record: &Record) -> impl Iterator<Item = &str> {
    let own = record.dead_refresh_words.iter().map(String::as_str);
    own.chain(provider::dead_refresh_words(&record.issuer).iter().copied())
}

/// No answer. `sent` says whether the request may have reached the provider.
#[must_use]
pub fn unanswered(mut record: Record, sent: bool, why: &str, now: ProviderTime) -> After {
    let login = format!("the login of profile `{}` at {}", record.profile, record.issuer);
    let error = if sent {
        lost(&mut record, now);
        let times = record.unknown_now().map_or(1, |unknown| unknown.times);
        if times == 1 {
            cool_down(&mut record, now, None, why);
        }
        let again = if times > 1 { format!(" (request {times} without an answer)") } else { String::new() };
        let why = format!("{why} after the request was sent{again}: the provider may have renewed it or not");
        Error::new(Id::OutcomeUnknown, format!("the outcome of renewing {login} is unknown"), why)
            .because(Cause::Uncertain {})
    } else {
        cool_down(&mut record, now, None, why);
        Error::new(Id::Unreachable, format!("{login} could not be renewed"), why)
    };
    After { record, error: Some(error) }
}

/// Notes that an answer was lost, once more. `since`: when it was asked for, as far as that is known; the pause before
/// the next request begins there.
pub fn lost(record: &mut Record, since: ProviderTime) {
    let times = record.unknown_now().map_or(0, |unknown| unknown.times);
    let generation = record.generation.number;
    record.unknown = Some(Unknown { generation, since, times: times.saturating_add(1) });
}

pub(crate) fn cool_down(record: &mut Record, now: ProviderTime, asked: Option<i64>, why: &str) {
    let times = record.cooldown.as_ref().map_or(0, |c| c.times).saturating_add(1);
    // 2, 4, 8 … seconds, unless the provider asked for more.
    let own = 1_i64 << times.min(6);
    let seconds = asked.unwrap_or(0).max(own).min(LONGEST_COOLDOWN);
    record.cooldown = Some(Cooldown { since: now, until: now.plus(seconds), times, why: why.into() });
}

/// Notes how far the provider is ahead of the clock of this kernel, if it is.
fn note_clock(record: &mut Record, kernel: String, ahead: Option<Ahead>) {
    record.clocks.remove(&kernel);
    if let Some(ahead) = ahead {
        while record.clocks.len() >= 16 {
            record.clocks.pop_first();
        }
        record.clocks.insert(kernel, ahead.seconds());
    }
}

/// A client that was refused may have dated what it signed by a wrong clock: the next one is dated by the provider's.
pub(crate) fn mend_clock(record: &mut Record, reply: &Reply, now: Timestamp, kernel: Option<&str>) {
    let Some(kernel) = kernel.filter(|_| record.signs()) else { return };
    let used = record.ahead(Some(kernel));
    if let Some(ahead) = client_assertion::refused_for_its_date(reply, now, used) {
        note_clock(record, kernel.into(), Some(ahead));
    }
}

/// Puts granted tokens in. What an answer leaves out keeps its old value (RFC 6749 §6); a scope may get
/// narrower, never wider.
pub fn accept(
    record: &mut Record,
    tokens: Tokens,
    rotated: Option<Secret>,
    reply: &Reply,
    now: Timestamp,
    kernel: Option<String>,
) {
    // A token's life begins before its answer is read, and so does what `Date` says.
    let (read_at, now, provider) = (now, reply.begins(now), reply.provider_time());
    record.generation.number += 1;
    record.access_token = Some(tokens.access_token);
    if rotated.is_some() {
        record.refresh_token = rotated;
    }
    if let GrantedScope::Named(scope) = tokens.scope {
        // Nothing was asked for: then the provider decided.
        let decided = record.scopes.iter().next().is_none();
        record.scopes = if decided { scope } else { record.scopes.intersection(&scope) };
    }
    // The record counts in the provider's time wherever this machine's clock is known to differ. What a client signs is
    // dated, and held against the provider's clock more closely than an expiry.
    let ahead = if record.signs() {
        client_assertion::misdated(reply, read_at, Ahead::default())
    } else {
        provider.map(|theirs| Ahead::between(theirs, now)).filter(|ahead| ahead.seconds().abs() > SKEW)
    };
    // Where nothing can be noted down, the clocks count as one.
    let ahead = kernel.as_ref().and(ahead);
    if let Some(kernel) = kernel {
        note_clock(record, kernel, ahead);
    }
    record.issued_at = ahead.unwrap_or_default().theirs(now);
    let lifetime = tokens.expires_in.or(record.refresh_token.is_some().then_some(ASSUMED));
    record.expires_at = lifetime.map(|seconds| record.issued_at.plus(seconds));
    record.refused = None;
    record.cooldown = None;
    record.unknown = None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::{
        due::{
            Ask, falls_short,
            tests::{NOW, at, id_token, with_id_token, word},
        },
        record::{Generation, tests::record},
    };
    use crate::oauth::dialect::Dialect;
    use alloc::vec::Vec;
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            content_type: Some("application/json".into()),
            body: Vec::from(body),
            ..Reply::default()
        }
    }

    const GRANTED: &str =
        r#"{"access_token":"a4","token_type":"Bearer","expires_in":60,"refresh_token":"r4"}"#;

    /// RFC 6749 §3.3: `scopes = []` leaves it to the provider, and what it granted is what the login has.
    #[test]
    fn no_scopes_take_what_is_granted() {
        let body = r#"{"access_token":"a4","token_type":"Bearer","scope":"repo user"}"#;
        let mut r = record(NOW, 60);
        r.scopes = crate::contract::settings::Scopes::default();
        let after = renewed(r, &reply(200, body), Timestamp(NOW), None);
        assert_eq!(format!("{}", after.record.scopes), "repo user");
    }

    /// OpenID Connect Core §12.2. Only a false one ends the use of what came with it, and never the login: one that
    /// is not understood, or that has no first one to be held to, is as good as none.
    #[test]
    fn an_id_token_of_somebody_else() {
        let answer = |claims: &str| {
            let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
            let token = format!("{}.{}.c2ln", part(r#"{"alg":"RS256"}"#), part(claims));
            reply(200, &GRANTED.replacen('{', &format!("{{\"id_token\":\"{token}\","), 1))
        };
        let claims = |sub: &str| {
            format!(r#"{{"iss":"http://localhost:3000","aud":"keyfob-local","sub":"{sub}","iat":1000000}}"#)
        };
        let of_ada = || {
            let mut r = record(NOW, 60);
            r.verified_subject = Some("ada".into());
            r
        };
        let not_a_jwt = reply(200, &GRANTED.replacen('{', r#"{"id_token":"x","#, 1));
        for (r, answer) in [
            (of_ada(), answer(&claims("ada"))),
            (of_ada(), not_a_jwt),
            (record(NOW, 60), answer(&claims("eve"))),
        ] {
            let after = renewed(r, &answer, Timestamp(NOW), None);
            assert!(after.error.is_none() && after.record.access_token.unwrap().same_as("a4"));
        }
        let after = renewed(of_ada(), &answer(&claims("eve")), Timestamp(NOW), None);
        assert_eq!(after.error.unwrap().id(), Id::IdTokenInvalid);
        let r = after.record;
        assert!(r.access_token.as_ref().unwrap().same_as("access-3"), "the one at hand stays good");
        assert!(r.refresh_token.as_ref().unwrap().same_as("r4"), "what was rotated is kept");
        assert!(r.refused.is_none() && r.cooldown.is_some() && r.generation.number == 4);
        assert_eq!(r.verified_subject.as_deref(), Some("ada"));
    }

    /// OpenID Connect Core §12.2: a renewal may bring none, and one that differs in what must be equal is not put in the
    /// first one's place; the tokens beside it are as good as without it.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the tests' own invented token")]
    fn the_id_token_is_replaced_by_its_like_alone() {
        let of = |sub: &str, aud: &str, iat: i64, exp: i64| {
            let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
            let claims = format!(
                r#"{{"iss":"http://localhost:3000","aud":{aud},"sub":"{sub}","iat":{iat},"exp":{exp}}}"#
            );
            format!("{}.{}.c2ln", part(r#"{"alg":"RS256"}"#), part(&claims))
        };
        let token = |aud: &str, iat: i64, exp: i64| of("ada", aud, iat, exp);
        let ours = r#""keyfob-local""#;
        let answer =
            |token: &str| reply(200, &GRANTED.replacen('{', &format!("{{\"id_token\":\"{token}\","), 1));
        let renewed_with = |answer: Reply, before: Record| {
            let after = renewed(before, &answer, Timestamp(NOW + 700), None);
            assert!(after.error.is_none() && after.record.access_token.as_ref().unwrap().same_as("a4"));
            after.record
        };
        let new = token(ours, NOW + 700, NOW + 1300);
        let r = renewed_with(answer(&new), with_id_token());
        assert!(r.id_token.as_ref().unwrap().same_as(&new) && r.id_token_missed.is_none());
        for (odd, why) in [
            (reply(200, GRANTED), "the provider's answer held no ID token"),
            (
                answer(&token(r#"["keyfob-local","x"]"#, NOW + 700, NOW + 1300)),
                "it is for other audiences than the one before (`aud`)",
            ),
            (answer(&token(ours, NOW - 1, NOW + 1300)), "it was issued before the one before (`iat`)"),
            (answer(&token(ours, NOW, NOW + 600)), "the ID token that came had ended when it arrived"),
            (answer("opaque"), "the ID token that came cannot be read here"),
        ] {
            let r = renewed_with(odd, with_id_token());
            assert!(
                r.id_token.as_ref().unwrap().same_as(id_token(NOW, NOW + 600).expose()),
                "the one before stays: {why}"
            );
            assert_eq!(r.id_token_missed.as_deref(), Some(why));
        }
        // Whose signature could not be checked at the sign-in is held to all the same.
        let of_eve = of("eve", ours, NOW + 700, NOW + 1300);
        let after = renewed(with_id_token(), &answer(&of_eve), Timestamp(NOW + 700), None);
        assert_eq!(after.error.unwrap().id(), Id::IdTokenInvalid);
        // A login from before they were kept takes its first one from a renewal; one that never asked for any, none.
        let mut old = with_id_token();
        old.id_token = None;
        old.verified_subject = Some("ada".into());
        assert!(renewed_with(answer(&new), old).id_token.unwrap().same_as(&new));
        let r = renewed_with(answer(&new), record(NOW, 3600));
        assert!(r.id_token.is_none() && r.id_token_missed.is_none());
    }

    /// A provider that repeats the ID token of the sign-in: whoever asks for one, and however often, spends one refresh token
    /// until the access token is due.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the tests' own invented token")]
    fn an_id_token_that_comes_again_is_asked_for_once() {
        let body = GRANTED.replace("60", "3600");
        for (min_valid, calls) in [(0, 541..600), (300, 301..600)] {
            let (mut r, mut requests) = (with_id_token(), 0);
            for second in calls {
                let ask = Ask { id_token: true, min_valid, ..at(second) };
                if matches!(word(&r, &ask), "early" | "renew") {
                    requests += 1;
                    let again = id_token(NOW, NOW + 600);
                    let with = format!("{{\"id_token\":\"{}\",", again.expose());
                    let answer = reply(200, &body.replacen('{', &with, 1));
                    r = renewed(r, &answer, ask.now, None).record;
                }
                assert_eq!(word(&r, &ask), "use", "{second}");
            }
            assert_eq!(requests, 1, "--min-valid {min_valid}");
            assert_eq!(
                r.id_token_missed.as_deref(),
                Some("the ID token that came ends no later than the one before (`exp`)")
            );
        }
        // One that was issued for this answer is another one, although it ends in the same second.
        let answer = id_token(NOW + 2, NOW + 600);
        let body = body.replacen('{', &format!("{{\"id_token\":\"{}\",", answer.expose()), 1);
        let r = renewed(with_id_token(), &reply(200, &body), Timestamp(NOW + 2), None).record;
        assert!(r.id_token_missed.is_none() && r.id_token.as_ref().unwrap().same_as(answer.expose()));
    }

    /// A machine that sleeps for hours between its request and the answer: the token had ended when it was read, and the
    /// provider's clock is no eight hours behind.
    #[test]
    fn a_tokens_life_begins_when_it_was_asked_for() {
        let dated = Reply { date: Some("Mon, 12 Jan 1970 13:46:41 GMT".into()), ..reply(200, GRANTED) };
        let woke = Timestamp(NOW + 8 * 3600);
        for answer in [dated, reply(200, GRANTED)] {
            let answer = Reply { asked_at: Some(Timestamp(NOW)), ..answer };
            let after = renewed(record(NOW - 9000, 3600), &answer, woke, Some("asleep".into()));
            assert!(after.error.is_none() && after.record.clocks.is_empty(), "{:?}", after.record.clocks);
            assert_eq!(after.record.expires_at, Some(ProviderTime(NOW + 60)));
        }
    }

    /// Suspend, stepped clocks, past expiry: one renewal, no loop.
    #[test]
    fn a_clock_stepped_back_renews_once() {
        let r = record(NOW, 3600);
        let four_hours_ago = at(-4 * 3600);
        assert_eq!(word(&r, &four_hours_ago), "early");
        let after = renewed(r, &reply(200, GRANTED), four_hours_ago.now, None);
        assert!(after.error.is_none());
        assert_eq!(word(&after.record, &four_hours_ago), "use");
    }

    /// Two machines share a store, one of them four hours off: each renews at most once, then both agree.
    #[test]
    fn clock_difference_costs_at_most_one_renewal_each() {
        let off = 4 * 3600;
        let ahead = |now: i64| Ask { kernel: Some("ahead".into()), ..at(now + off) };
        let right = |now: i64| Ask { kernel: Some("right".into()), ..at(now) };
        let dated = Reply {
            date: Some("Mon, 12 Jan 1970 13:46:40 GMT".into()),
            ..reply(200, &GRANTED.replace("60", "3600"))
        };
        assert_eq!(dated.provider_time(), Some(ProviderTime(NOW)));
        let after = renewed(record(NOW - 9000, 3600), &dated, Timestamp(NOW + off), Some("ahead".into()));
        assert_eq!(after.record.clocks.get("ahead"), Some(&-off));
        assert_eq!(word(&after.record, &right(10)), "use");
        assert_eq!(word(&after.record, &ahead(20)), "use");
        assert_eq!(word(&after.record, &ahead(3601)), "renew");
        // The clock is put right: that kernel finds the token "issued in the future", renews, and is settled.
        let fixed = Ask { kernel: Some("ahead".into()), ..at(30) };
        assert_eq!(word(&after.record, &fixed), "early");
        let after = renewed(after.record, &dated, Timestamp(NOW), Some("ahead".into()));
        assert!(after.record.clocks.is_empty());
        assert_eq!(word(&after.record, &fixed), "use");
    }

    /// RFC 6749 §6: what comes replaces, what does not come stays, and the scope never grows.
    #[test]
    fn a_grant_is_laid_over_the_record() {
        let body = r#"{"access_token":"a4","token_type":"Bearer","scope":"user:inference org:admin"}"#;
        let After { record: r, error } =
            renewed(record(NOW, 60), &reply(200, body), Timestamp(NOW + 60), None);
        assert!(error.is_none());
        assert_eq!(r.generation.number, 4);
        assert!(r.refresh_token.as_ref().unwrap().same_as("refresh-3"));
        assert_eq!(alloc::format!("{}", r.scopes), "user:inference");
        assert_eq!(r.expires_at, Some(ProviderTime(NOW + 60 + ASSUMED)));
    }

    #[test]
    fn refusal_is_remembered_and_nothing_is_blanked() {
        let r = record(NOW, 3600);
        let After { record: r, error } =
            renewed(r, &reply(400, r#"{"error":"invalid_grant"}"#), Timestamp(NOW + 3590), None);
        assert_eq!(error.unwrap().id(), Id::LoginRefused);
        assert!(r.access_token.is_some() && r.refresh_token.is_some());
        assert_eq!(word(&r, &at(3595)), "use", "the access token is good until it ends");
        assert_eq!(word(&r, &at(3601)), "login-refused");
    }

    #[test]
    fn cool_down_applies_to_every_process() {
        let busy = Reply { retry_after: Some("120".into()), ..reply(429, "") };
        let After { record: r, error } = renewed(record(NOW, 60), &busy, Timestamp(NOW + 60), None);
        assert_eq!(error.unwrap().id(), Id::Unreachable);
        assert_eq!(word(&r, &at(61)), "cooling-down");
        assert_eq!(word(&r, &at(180)), "renew");
        assert_eq!(word(&r, &at(-4000)), "early", "set by a clock that was stepped back since: not believed");
        let mut r = r;
        for _ in 0..40 {
            r = renewed(r, &reply(503, ""), Timestamp(NOW + 200), None).record;
        }
        let c = r.cooldown.unwrap();
        assert!(c.until.since(c.since) <= LONGEST_COOLDOWN);
    }

    /// At most one further attempt.
    #[test]
    fn a_lost_answer_is_asked_for_again_with_growing_pauses() {
        let lost = |r, at| unanswered(r, true, "the line was cut", ProviderTime(at));
        let After { record: mut r, error } = lost(record(NOW, 3600), NOW + 3500);
        assert_eq!(error.unwrap().id(), Id::OutcomeUnknown);
        assert_eq!(word(&r, &at(3550)), "use", "the access token is kept until it ends");
        assert_eq!(word(&r, &Ask { min_valid: 1800, ..at(3550) }), "use", "whatever was wished for");
        assert_eq!(word(&r, &at(3600)), "renew");
        let mut now = 3600;
        for (times, pause) in [(2, 2), (3, 4), (4, 8), (5, 16)].into_iter().chain((13..20).map(|n| (n, 3600)))
        {
            while r.unknown_now().unwrap().times < times {
                let After { record, error } = lost(r, NOW + now);
                let why = String::from(error.unwrap().why());
                r = record;
                let times = r.unknown_now().unwrap().times;
                assert!(why.contains(&format!("request {times} without an answer")), "each is told: {why}");
            }
            assert_eq!(word(&r, &at(now + pause - 1)), "cooling-down", "{times}");
            assert_eq!(word(&r, &at(now + pause)), "renew", "never given up: {times}");
            now += pause;
        }
        assert!(r.refused.is_none(), "only the provider's word ends a login");
        let After { record: r, error } = renewed(r, &reply(200, GRANTED), Timestamp(NOW + now), None);
        assert!(error.is_none() && r.unknown.is_none());
    }

    /// A pause that begins in the future was set by a clock that has been stepped back since.
    #[test]
    fn a_pause_in_the_future_is_not_believed() {
        let mut r = record(NOW, 60);
        lost(&mut r, ProviderTime(NOW + 9000));
        assert_eq!(word(&r, &at(60)), "renew");
    }

    #[test]
    fn a_request_that_never_left_is_not_unknown() {
        let After { record: r, error } =
            unanswered(record(NOW, 60), false, "connection refused", ProviderTime(NOW + 60));
        assert_eq!(error.unwrap().id(), Id::Unreachable);
        assert!(r.unknown.is_none());
        assert_eq!(word(&r, &at(60)), "cooling-down");
        assert_eq!(word(&r, &at(62)), "renew");
    }

    /// What one answer held, saved before the rest of it is judged.
    #[test]
    fn what_was_rotated_is_kept_whatever_else_was_said() {
        for (status, body, id) in [
            (200, r#"{"access_token":"a4","token_type":"mac","refresh_token":"r4"}"#, Id::AnswerInvalid),
            (200, r#"{"refresh_token":"r4","access_token":"a"#, Id::AnswerInvalid),
            (400, r#"{"error":"invalid_grant","refresh_token":"r4"}"#, Id::ProviderRefused),
            (503, r#"{"error":"x","refresh_token":"r4"}"#, Id::Unreachable),
            (504, r#"{"refresh_token":"r4"}"#, Id::AnswerInvalid),
        ] {
            let After { record: r, error } =
                renewed(record(NOW, 3600), &reply(status, body), Timestamp(NOW + 3500), None);
            assert_eq!(error.unwrap().id(), id, "{body}");
            assert!(r.refresh_token.as_ref().unwrap().same_as("r4") && r.generation.number == 4, "{body}");
            assert!(r.access_token.as_ref().unwrap().same_as("access-3"), "{body}");
            assert!(r.refused.is_none() && r.unknown.is_none() && r.cooldown.is_some(), "{body}");
        }
        let echo = r#"{"error":"invalid_grant","refresh_token":"refresh-3"}"#;
        let after = renewed(record(NOW, 60), &reply(400, echo), Timestamp(NOW + 60), None);
        assert_eq!((after.error.unwrap().id(), after.record.generation.number), (Id::LoginRefused, 3));
    }

    /// Whatever takes the token endpoint's place for a while, and as often as it is asked.
    #[test]
    fn what_is_no_answer_spends_nothing() {
        let page = Reply { content_type: Some("text/html".into()), ..reply(200, "<title>Back soon</title>") };
        let mut r = record(NOW, 60);
        for n in 1..=20 {
            let after = renewed(r, &page, Timestamp(NOW + 60 + 1000 * n), None);
            assert_eq!(after.error.unwrap().id(), Id::Unreachable);
            r = after.record;
            assert!(r.unknown.is_none() && r.refused.is_none());
            assert_eq!(word(&r, &at(60 + 1000 * n + 999)), "renew");
        }
    }

    /// The answer was there and said nothing of a new refresh token: the old one is as good as before.
    #[test]
    fn an_odd_answer_without_a_rotated_token_is_not_a_lost_one() {
        let body = r#"{"access_token":7,"token_type":"Bearer"}"#;
        let after = renewed(record(NOW, 60), &reply(200, body), Timestamp(NOW + 60), None);
        assert_eq!(after.error.unwrap().id(), Id::AnswerInvalid);
        assert!(after.record.unknown.is_none() && after.record.cooldown.is_some());
        let twice = r#"{"refresh_token":"a","refresh_token":"b"}"#;
        let after = renewed(record(NOW, 60), &reply(200, twice), Timestamp(NOW + 60), None);
        assert_eq!(after.error.unwrap().id(), Id::OutcomeUnknown);
        assert!(after.record.unknown.is_some());
    }

    /// A provider's own words, as the record has them, or as they are known of its issuer.
    #[test]
    fn a_dead_token_is_said_in_many_words() {
        let said = |r: Record, status, body: &str| {
            renewed(r, &reply(status, body), Timestamp(NOW + 60), None).error.unwrap().id()
        };
        let slack = r#"{"ok":false,"error":"invalid_refresh_token"}"#;
        assert_eq!(said(record(NOW, 60), 200, slack), Id::ProviderRefused);
        let own = || Record {
            dead_refresh_words: [String::from("invalid_refresh_token")].into(),
            ..record(NOW, 60)
        };
        assert_eq!(said(own(), 200, slack), Id::LoginRefused);
        for (issuer, status, body) in [
            ("https://slack.com", 200, slack),
            ("https://auth.atlassian.com", 403, r#"{"error":"unauthorized_client"}"#),
            ("https://id.example/dex", 400, r#"{"error":"invalid_request"}"#),
        ] {
            let r = Record { issuer: issuer.into(), ..record(NOW, 60) };
            assert_eq!(said(r, status, body), Id::LoginRefused, "{issuer}");
            assert_eq!(said(record(NOW, 60), status, body), Id::ProviderRefused, "{issuer} alone says that");
        }
    }

    /// A wish for more than the provider ever gives renews once, and says so.
    #[test]
    fn a_wish_that_cannot_be_granted_renews_once() {
        let wish = |seconds| Ask { min_valid: 7200, ..at(seconds) };
        let signed_in =
            Record { generation: Generation { number: 1, ..record(0, 0).generation }, ..record(NOW, 3600) };
        assert_eq!(word(&signed_in, &wish(1)), "renew", "this provider may have given a short one once");
        let hour = GRANTED.replace("60", "3600");
        let r = renewed(signed_in, &reply(200, &hour), Timestamp(NOW), None).record;
        for seconds in [0, 1, 900, 1800] {
            assert_eq!(word(&r, &wish(seconds)), "use");
        }
        assert_eq!(word(&r, &wish(1801)), "renew", "half of it is gone");
        let said = falls_short(&r, &wish(60)).unwrap();
        assert_eq!(said.what(), "the access token is good for 3540 s, not for 7200");
        assert!(falls_short(&r, &Ask { min_valid: 600, ..at(60) }).is_none());
        assert_eq!(word(&r, &Ask { min_valid: 3000, ..at(700) }), "renew", "one that can be granted is");
    }

    /// A provider whose tokens end at once is not asked by every call.
    #[test]
    fn a_token_that_had_ended_when_it_arrived_is_none() {
        let mut r = record(NOW, 60);
        for (n, pause) in [(0, 2), (100, 4), (200, 8)] {
            let ended = GRANTED.replace("60", if n == 100 { "-5" } else { "0" });
            let After { record, error } = renewed(r, &reply(200, &ended), Timestamp(NOW + 60 + n), None);
            assert_eq!(error.unwrap().id(), Id::AnswerInvalid);
            assert!(record.refresh_token.as_ref().unwrap().same_as("r4"));
            r = record;
            assert_eq!(word(&r, &at(60 + n + pause - 1)), "cooling-down");
            assert_eq!(word(&r, &at(60 + n + pause)), "renew");
        }
        assert_eq!(r.generation.number, 6);
    }

    /// Two machines whose clocks differ by hours, and one that knows it: a cool-down holds for all.
    #[test]
    fn a_cool_down_is_in_the_records_clock() {
        for off in [0, 300, -300, 4 * 3600, -4 * 3600] {
            let mut r = record(NOW, 60);
            if off != 0 {
                r.clocks.insert("off".into(), -off);
            }
            let busy = Reply { retry_after: Some("120".into()), ..reply(429, "") };
            let r = renewed(r, &busy, Timestamp(NOW + 60 + off), Some("off".into())).record;
            let here = |now: i64| Ask { kernel: Some("off".into()), ..at(now + off) };
            let there = |now: i64| Ask { kernel: Some("right".into()), ..at(now) };
            for (ask, expected) in [
                (here(61), "cooling-down"),
                (there(61), "cooling-down"),
                (here(179), "cooling-down"),
                (here(181), "renew"),
                (there(181), "renew"),
            ] {
                assert_eq!(word(&r, &ask), expected, "off by {off}: {ask:?}");
            }
            let line = unanswered(r, false, "no", ProviderTime(NOW + 300)).record;
            assert_eq!(word(&line, &here(301)), "cooling-down");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the tests' own invented secrets")]
    fn the_request_is_a_form() {
        let mut r = record(NOW, 60);
        r.refresh_token = Some(Secret::new("a+b&c=d"));
        assert_eq!(
            request(&r).unwrap().encode(None, &Dialect::default()).body.1.expose(),
            "grant_type=refresh_token&refresh_token=a%2Bb%26c%3Dd&client_id=keyfob-local"
        );
    }

    /// RFC 6749 §6: a login that was narrowed asks for what it is for, and one without scopes for none.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the tests' own invented secrets")]
    fn a_narrowed_login_asks_for_its_scopes() {
        let mut r = record(NOW, 60);
        r.narrowed = true;
        assert!(
            request(&r)
                .unwrap()
                .encode(None, &Dialect::default())
                .body
                .1
                .expose()
                .ends_with("&scope=user%3Aprofile+user%3Ainference")
        );
        r.scopes = crate::contract::settings::Scopes::default();
        assert!(!request(&r).unwrap().encode(None, &Dialect::default()).body.1.expose().contains("scope"));
    }

    /// The first lost answer is no reason to speak of several, and others wait as well.
    #[test]
    fn the_first_lost_answer_cools_down() {
        let After { record: r, error } = unanswered(record(NOW, 60), true, "cut", ProviderTime(NOW));
        assert!(r.cooldown.is_some() && !error.unwrap().why().contains("(request"));
        let r = Record { cooldown: None, ..r };
        let After { record: r, error } = unanswered(r, true, "cut", ProviderTime(NOW));
        assert!(r.cooldown.is_none() && error.unwrap().why().contains("(request 2"));
    }

    /// Clocks that differ by a minute count as one.
    #[test]
    fn a_minute_between_clocks_is_not_noted() {
        for (off, noted) in [(SKEW, false), (SKEW + 1, true)] {
            let dated = Reply { date: Some("Mon, 12 Jan 1970 13:46:40 GMT".into()), ..reply(200, GRANTED) };
            let after = renewed(record(NOW, 60), &dated, Timestamp(NOW + off), Some("k".into()));
            assert_eq!(!after.record.clocks.is_empty(), noted, "{off}");
        }
    }

    /// A program that advises a person learns why a renewal was refused, with the data that has to be named.
    #[test]
    fn a_refused_renewal_has_a_cause() {
        use crate::Cause;
        let cause = |status, body: &str| {
            let after = renewed(record(NOW, 60), &reply(status, body), Timestamp(NOW), None);
            after.error.expect("refused").cause().cloned()
        };
        let client = || Cause::ClientUnknown {
            environment: "local".into(),
            client: "keyfob-local".into(),
            secret: false,
        };
        assert_eq!(cause(401, r#"{"error":"invalid_client"}"#), Some(client()));
        assert_eq!(cause(400, r#"{"error":"unauthorized_client"}"#), Some(client()));
        let scopes = "user:profile user:inference".into();
        assert_eq!(cause(400, r#"{"error":"invalid_scope"}"#), Some(Cause::ScopeUnknown { scopes }));
        assert_eq!(cause(400, r#"{"error":"invalid_request"}"#), Some(Cause::RequestRefused {}));
        assert!(matches!(cause(503, r#"{"error":"server_error"}"#), Some(Cause::Busy { status: 503, .. })));
    }
}
