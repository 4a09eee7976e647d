//! The client credentials grant (RFC 6749 §4.4), for a client that is itself the account. A new token is requested
//! instead of renewing the old one; there is no refresh token that could be lost or spent twice.

use alloc::{format, string::String};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    Error, Id, ProviderTime, Record, Secret, Timestamp,
    contract::settings::{ClientId, Scopes},
    login::refresh::{self, After},
    oauth::{
        client_auth::Proof,
        reply::Reply,
        token_response::{self, Verdict},
    },
};

/// A request to the token or revocation endpoint, with the client's proof in it.
#[derive(Debug)]
pub struct Proven {
    /// The `Authorization` header, if the proof goes there.
    pub authorization: Option<Secret>,
    /// The form.
    pub body: Secret,
}

/// A form that names its client, with that client's proof.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the client's secret goes into the one request it is for, in the place the provider reads"
)]
pub fn authenticated(form: &Secret, client: &ClientId, proof: Proof, secret: &Secret) -> Proven {
    match proof {
        Proof::Basic => Proven { authorization: Some(basic(client, secret)), body: form.duplicate() },
        Proof::Post => {
            let mut whole = zeroize::Zeroizing::new(String::with_capacity(form.expose().len() + 4096));
            whole.push_str(form.expose());
            let mut form = url::form_urlencoded::Serializer::for_suffix(core::mem::take(&mut *whole), 0);
            form.append_pair("client_secret", secret.expose());
            Proven { authorization: None, body: Secret::from(form.finish()) }
        }
    }
}

/// Either half is form-encoded first (RFC 6749 §2.3.1), so that a colon or a blank in it means itself.
#[expect(
    clippy::disallowed_methods,
    reason = "the client's secret goes into the header of the one request it is for"
)]
fn basic(client: &ClientId, secret: &Secret) -> Secret {
    let encoded = |text: &str| -> zeroize::Zeroizing<String> {
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().into()
    };
    let pair =
        zeroize::Zeroizing::new(format!("{}:{}", &*encoded(client.as_str()), &*encoded(secret.expose())));
    let octets = zeroize::Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
    Secret::from(format!("Basic {}", &*octets))
}

/// A form with the client's proof.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the client's secret goes into the one request it is for, in the place the provider reads"
)]
pub fn prove(record: &Record, proof: Proof, secret: &Secret, members: &[(&str, &str)]) -> Proven {
    let mut form = url::form_urlencoded::Serializer::new(String::with_capacity(4096));
    for (name, value) in members {
        form.append_pair(name, value);
    }
    let authorization = match proof {
        Proof::Post => {
            form.append_pair("client_id", record.client_id.as_str())
                .append_pair("client_secret", secret.expose());
            None
        }
        Proof::Basic => Some(basic(&record.client_id, secret)),
    };
    Proven { authorization, body: Secret::from(form.finish()) }
}

/// The request for a token (RFC 6749 §4.4.2). Without scopes of its own the provider decides.
#[must_use]
pub fn request(record: &Record, proof: Proof, secret: &Secret, scopes: &Scopes) -> Proven {
    let scope = format!("{scopes}");
    let grant = ("grant_type", "client_credentials");
    if scope.is_empty() {
        prove(record, proof, secret, &[grant])
    } else {
        prove(record, proof, secret, &[grant, ("scope", &scope)])
    }
}

/// Lays an answer over the record it was asked for. No refusal is for good: whoever runs the provider can mend
/// what it refuses, and asking again costs nothing.
#[must_use]
pub fn answered(
    mut record: Record,
    asked: &Scopes,
    reply: &Reply,
    now: Timestamp,
    kernel: Option<String>,
) -> After {
    // RFC 6749 §4.4.3: a refresh token that comes all the same is of no use and must not lie around.
    let (id, why) = match token_response::read(reply).open().1 {
        Verdict::Granted(mut tokens) => {
            tokens.expires_in = tokens.expires_in.or(Some(refresh::ASSUMED));
            record.scopes = match (&tokens.scope, format!("{asked}").is_empty()) {
                (Some(granted), true) => granted.clone(),
                _ => asked.clone(),
            };
            let why = refresh::granted(&mut record, tokens, None, reply, now, kernel);
            let what =
                || format!("client `{}` got no token from {}", record.client_id.as_str(), record.issuer);
            let error = why.map(|why| Error::new(Id::AnswerInvalid, what(), why));
            return After { record, error };
        }
        Verdict::Odd { why } => (Id::AnswerInvalid, why),
        Verdict::Refused(said) => (Id::ProviderRefused, said.why),
        // Nothing is spent by asking: an answer that was lost is asked for again.
        Verdict::Later(said) | Verdict::Unknown(said) => (Id::Unreachable, said.why),
    };
    let at = record.ahead(kernel.as_deref()).theirs(now);
    let asked = reply.retry_after(at, refresh::LONGEST_COOLDOWN);
    failed(record, id, asked, &why, at)
}

/// No token, for this reason: the next process is told too, so that not everybody runs into it.
#[must_use]
pub fn failed(mut record: Record, id: Id, asked: Option<i64>, why: &str, now: ProviderTime) -> After {
    refresh::cool_down(&mut record, now, asked, why);
    let what = format!("client `{}` got no token from {}", record.client_id.as_str(), record.issuer);
    After { record, error: Some(Error::new(id, what, why)) }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests' own invented secrets")]
mod tests {
    use super::*;
    use crate::{
        contract::settings::ClientId,
        login::{
            due::{Ask, Next, next},
            record::tests::record,
        },
        oauth::client_auth::{Place, SecretAt},
    };
    use alloc::vec::Vec;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn machine() -> Record {
        let mut r = record(NOW.0, 60);
        r.refresh_token = None;
        r.proof = Some(Proof::Basic);
        r
    }

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            content_type: Some("application/json".into()),
            body: Vec::from(body),
            ..Reply::default()
        }
    }

    /// RFC 6749 §2.3.1: both halves are form-encoded before they are joined, so a colon cannot shift the border.
    #[test]
    fn the_header_is_encoded_twice() {
        let mut r = machine();
        r.client_id = ClientId::parse("a:b c").unwrap();
        let sent = request(&r, Proof::Basic, &Secret::new("p%s:s+"), &Scopes::default());
        let header = sent.authorization.unwrap();
        let pair = BASE64_STANDARD.decode(header.expose().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(pair, b"a%3Ab+c:p%25s%3As%2B");
        assert_eq!(sent.body.expose(), "grant_type=client_credentials");
    }

    #[test]
    fn the_body_carries_it_only_where_asked() {
        let scopes = Scopes::parse("user:inference").unwrap();
        let sent = request(&machine(), Proof::Post, &Secret::new("s&1"), &scopes);
        assert!(sent.authorization.is_none());
        assert_eq!(
            sent.body.expose(),
            "grant_type=client_credentials&scope=user%3Ainference&client_id=keyfob-local&client_secret=s%261"
        );
    }

    #[test]
    fn asking_again_takes_the_place_of_a_refresh_token() {
        let r = machine();
        assert!(matches!(next(&r, &Ask::at(NOW.plus(61))), Next::Renew));
        let body = r#"{"access_token":"a4","token_type":"Bearer","refresh_token":"r4","scope":"a b"}"#;
        let After { record: r, error } = answered(r, &Scopes::default(), &reply(200, body), NOW, None);
        assert!(error.is_none() && r.refresh_token.is_none(), "RFC 6749 §4.4.3");
        assert_eq!(
            r.expires_at,
            Some(ProviderTime(NOW.0).plus(refresh::ASSUMED)),
            "a silent provider is asked once an hour"
        );
        assert_eq!((format!("{}", r.scopes), r.generation.number), ("a b".into(), 4));
    }

    /// An administrator mends what is refused here; a login that has ended needs a person.
    #[test]
    fn no_refusal_is_for_good() {
        for (body, id) in [
            (r#"{"error":"invalid_client"}"#, Id::ProviderRefused),
            (r#"{"error":"invalid_grant"}"#, Id::ProviderRefused),
        ] {
            let after = answered(machine(), &Scopes::default(), &reply(400, body), NOW.plus(61), None);
            assert_eq!(after.error.unwrap().id(), id);
            assert!(matches!(next(&after.record, &Ask::at(NOW.plus(62))), Next::Stop(_)), "for a moment");
            assert!(matches!(next(&after.record, &Ask::at(NOW.plus(64))), Next::Renew));
        }
    }

    /// A person's login: the form is that of a public client, and the proof comes to it.
    #[test]
    fn a_form_is_proven_in_either_place() {
        let (form, client) =
            (Secret::new("grant_type=refresh_token&client_id=agents"), ClientId::parse("agents").unwrap());
        let post = authenticated(&form, &client, Proof::Post, &Secret::new("s&1"));
        assert!(post.authorization.is_none());
        assert_eq!(post.body.expose(), "grant_type=refresh_token&client_id=agents&client_secret=s%261");
        let basic = authenticated(&form, &client, Proof::Basic, &Secret::new("s&1"));
        assert_eq!(basic.body.expose(), form.expose());
        assert_eq!(basic.authorization.unwrap().expose(), "Basic YWdlbnRzOnMlMjYx");
    }

    /// What stays on the disk is where the secret is, never what it is.
    #[test]
    fn a_record_keeps_the_place_alone() {
        let mut r = machine();
        r.proof = None;
        r.secret_at = Some(SecretAt { at: Place::File("/run/secret".into()), auth: Proof::Post });
        let bytes = r.encode();
        let text = core::str::from_utf8(&bytes).unwrap();
        assert!(
            text.contains("\"file\": \"/run/secret\"") && text.contains("\"client_secret_post\""),
            "{text}"
        );
        assert_eq!(Record::decode(&bytes).unwrap().secret_at, r.secret_at);
    }
}
