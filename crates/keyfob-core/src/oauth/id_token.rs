//! The ID token of an OpenID provider (OpenID Connect Core §2), which says who signed in.
//!
//! Everything but the signature is checked here. Signature verification needs cryptography that this crate does not
//! have: the caller takes [`IdToken::signed`], [`IdToken::signature`] and the keys returned by
//! [`IdToken::candidates`].

use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::jwk::{Algorithm, Hash, Key, PublicKey, Scheme};
use crate::{
    ProviderTime, Secret,
    contract::values,
    error::escape,
    json,
    login::identity::{Identity, username},
};

/// Seconds by which two clocks may differ before a token counts as ended, or as of the future.
const LEEWAY: i64 = 300;
/// No ID token that is kept is longer: it is sent in a header, and servers take 8 to 64 KiB of these.
pub const LONGEST_KEPT: usize = 64 * 1024;

/// Why an ID token says nothing. The difference decides whether a sign-in ends: what is false may be an attack, what
/// is not understood is a provider that does more than keyfob knows, and no worse than one that sends no ID token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It is not the issuer's, or not ours, or not of now.
    False(String),
    /// It cannot be determined here.
    NotUnderstood(String),
}

impl Doubt {
    /// Why, as a sentence about the token.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::False(why) | Self::NotUnderstood(why) => why,
        }
    }
}

/// Whole seconds, where they are a time at all.
fn whole(seconds: f64) -> Option<ProviderTime> {
    // Until the year 9999, the last one that RFC 3339 can write.
    #[expect(clippy::cast_possible_truncation, reason = "it is within the range of the check before")]
    (0.0..=253_402_300_799.0).contains(&seconds).then_some(ProviderTime(seconds as i64))
}

fn is_false(why: &str) -> Doubt {
    Doubt::False(why.to_string())
}

fn not_understood(why: &str) -> Doubt {
    Doubt::NotUnderstood(why.to_string())
}

/// An ID token as it was sent, taken apart and not yet believed.
pub struct IdToken {
    algorithm: Option<Algorithm>,
    algorithm_name: String,
    key_id: Option<String>,
    claims: Map<String, Value>,
    signed: Secret,
    signature: Vec<u8>,
}

/// Takes apart a token that is to be kept.
///
/// # Errors
/// Why it is not kept.
#[expect(clippy::disallowed_methods, reason = "its length is measured, and nothing is kept of it")]
pub fn to_keep(token: &Secret) -> Result<IdToken, &'static str> {
    if token.expose().len() > LONGEST_KEPT {
        return Err("the ID token that came is longer than 64 KiB");
    }
    let read = IdToken::read(token).map_err(|_| "the ID token that came cannot be read here")?;
    match read.expires_at() {
        Some(_) => Ok(read),
        None => Err("the ID token that came does not say when it ends (`exp`)"),
    }
}

/// What an ID token has to say to be ours.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'e> {
    /// The issuer that was asked, to the letter.
    pub issuer: &'e str,
    /// The client it was asked as.
    pub client_id: &'e str,
    /// The `nonce` of the authorization request. `None` where there was no such request.
    pub nonce: Option<&'e Secret>,
    /// Now, by the clock of the provider that answered if it sent its time.
    pub now: ProviderTime,
}

impl IdToken {
    /// Takes a token apart (RFC 7515 §7.1, RFC 7519 §7.2).
    ///
    /// # Errors
    /// Says what is wrong, never what the token holds but for the names of its algorithm.
    #[expect(
        clippy::disallowed_methods,
        reason = "taken apart here; the parts that are kept are a secret again"
    )]
    pub fn read(token: &Secret) -> Result<Self, Doubt> {
        let parts = token.expose().split('.').count();
        if parts == 5 {
            return Err(not_understood("it is encrypted (RFC 7516), and keyfob has no key for it"));
        }
        let no_jwt = || not_understood("it is not a signed JWT");
        let (signed, signature) = token.expose().rsplit_once('.').ok_or_else(no_jwt)?;
        let (header, claims) = signed.split_once('.').ok_or_else(no_jwt)?;
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| no_jwt());
        let object = |what: &str, part: &str| -> Result<Map<String, Value>, Doubt> {
            json::strict(&decode(part)?).map_err(|why| not_understood(&format!("it has {what} that {why}")))
        };
        let header = object("a header", header)?;
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let name = text("alg").unwrap_or("");
        // RFC 8725 §3.1: `none` proves nothing, and with a MAC anyone who knows the client's secret, which an installed
        // application cannot keep (RFC 8252 §8.5), could have written the token. No provider sends either here.
        if name.eq_ignore_ascii_case("none") || name.starts_with("HS") {
            return Err(Doubt::False(format!("it is signed with `{}`, which proves nothing", escape(name))));
        }
        let mut algorithm = Algorithm::of(name);
        if header.contains_key("crit") {
            // RFC 7515 §4.1.11: then what is signed may mean something else.
            algorithm = None;
        }
        Ok(Self {
            algorithm,
            algorithm_name: escape(name),
            key_id: text("kid").map(ToString::to_string),
            claims: object("claims", claims)?,
            signature: decode(signature)?,
            signed: Secret::new(signed),
        })
    }

    /// The checks of OpenID Connect Core §3.1.3.7, which need no key: a token whose signature cannot be checked here
    /// may still be recognised as another account's.
    ///
    /// # Errors
    /// The first that fails.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), Doubt> {
        self.is_between(expected.issuer, expected.client_id)?;
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit into 53 bits")]
        let (now, leeway) = (expected.now.0 as f64, LEEWAY as f64);
        let Some(end) = self.seconds("exp") else {
            return Err(is_false("it does not say when it ends (`exp`)"));
        };
        if end + leeway <= now {
            return Err(is_false("it has expired (`exp`)"));
        }
        if self.lacks("iat") {
            return Err(is_false("it does not say when it was issued (`iat`)"));
        }
        if self.seconds("iat").is_some_and(|issued| issued - leeway >= now) {
            return Err(is_false("it was issued in the future (`iat`)"));
        }
        match (expected.nonce, self.text("nonce")) {
            (Some(nonce), Some(said)) if nonce.same_as(said) => {}
            (Some(_), Some(_)) => return Err(is_false("it belongs to another sign-in (`nonce`)")),
            (Some(_), None) => return Err(is_false("it does not say which sign-in it belongs to (`nonce`)")),
            (None, _) => {}
        }
        if self.lacks("sub") {
            return Err(is_false("it does not say who signed in (`sub`)"));
        }
        self.subject().map(|_| ()).ok_or_else(|| not_understood("it has no usable `sub`"))
    }

    /// A claim that is required (OpenID Connect Core §2) and not there at all is no odd claim but a false token.
    fn lacks(&self, claim: &str) -> bool {
        self.claims.get(claim).is_none_or(Value::is_null)
    }

    /// The checks of OpenID Connect Core §12.2 on one that came with a renewal: the same issuer, client and subject as
    /// the one of the sign-in. It came from the token endpoint, which vouches for it without a signature (§3.1.3.7,
    /// number 6).
    ///
    /// Not held against it: its end, since some providers send the first one again; and when a person last proved
    /// who they are (`auth_time`), since doing that again at the provider does not change the account.
    ///
    /// # Errors
    /// [`Doubt::False`] when it is about another login.
    pub fn check_renewed(&self, issuer: &str, client_id: &str, subject: &str) -> Result<(), Doubt> {
        self.is_between(issuer, client_id)?;
        match self.subject() {
            Some(said) if said == subject => {}
            Some(_) => return Err(is_false("it speaks of somebody else than who signed in (`sub`)")),
            None => return Err(not_understood("it has no usable `sub`")),
        }
        let issued =
            self.seconds("iat").ok_or_else(|| not_understood("it does not say when it was issued (`iat`)"));
        issued.map(|_| ())
    }

    /// What OpenID Connect Core §12.2 demands besides, of one that takes the place of the sign-in's: the same audiences, no
    /// other `azp`, no other `nonce`, and issued no earlier. One that fails here casts no doubt on the tokens beside it;
    /// it is not put in the first one's place.
    ///
    /// # Errors
    /// What differs, as a sentence about the new one.
    pub fn takes_the_place_of(&self, first: &Self) -> Result<(), &'static str> {
        if self.text("iss") != first.text("iss") || self.text("sub") != first.text("sub") {
            return Err("it speaks of somebody else than the one before (`iss`, `sub`)");
        }
        if self.audiences() != first.audiences() {
            return Err("it is for other audiences than the one before (`aud`)");
        }
        if self.text("azp") != first.text("azp") {
            return Err("it was issued to another party than the one before (`azp`)");
        }
        if self.text("nonce").is_some_and(|nonce| Some(nonce) != first.text("nonce")) {
            return Err("it belongs to another sign-in (`nonce`)");
        }
        match (self.seconds("iat"), first.seconds("iat")) {
            (Some(new), Some(old)) if new < old => Err("it was issued before the one before (`iat`)"),
            (None, _) => Err("it does not say when it was issued (`iat`)"),
            _ => Ok(()),
        }
    }

    /// When it ends, as it says itself (`exp`).
    #[must_use]
    pub fn expires_at(&self) -> Option<ProviderTime> {
        whole(self.seconds("exp")?)
    }

    /// When it was issued, as it says itself (`iat`).
    #[must_use]
    pub fn issued_at(&self) -> Option<ProviderTime> {
        whole(self.seconds("iat")?)
    }

    fn audiences(&self) -> BTreeSet<&str> {
        match self.claims.get("aud") {
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            one => one.and_then(Value::as_str).into_iter().collect(),
        }
    }

    /// Whether it is of this issuer and for this client.
    fn is_between(&self, issuer: &str, client_id: &str) -> Result<(), Doubt> {
        let said = self.text("iss").unwrap_or("");
        if said != issuer {
            return Err(Doubt::False(format!("it was issued by `{}`", escape(said))));
        }
        // Whom else it was issued to does not matter: it came from the token endpoint, for our code. Core asked for an
        // `azp` then, until errata set 2.
        if !self.audiences().contains(client_id) {
            return Err(is_false("it was issued to another client (`aud`)"));
        }
        if self.text("azp").is_some_and(|party| party != client_id) {
            return Err(is_false("it was issued to another client (`azp`)"));
        }
        Ok(())
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    /// A NumericDate (RFC 7519 §2), also as a text of digits.
    fn seconds(&self, claim: &str) -> Option<f64> {
        match self.claims.get(claim)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok()
            }
            _ => None,
        }
    }

    /// OpenID Connect Core §2: at most 255 ASCII characters.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        let fits = |text: &&str| {
            !text.is_empty() && text.len() <= 255 && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
        };
        self.text("sub").filter(fits)
    }

    /// What the signature is over (RFC 7515 §5.2).
    #[must_use]
    pub fn signed(&self) -> &Secret {
        &self.signed
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// How it was made.
    ///
    /// # Errors
    /// [`Doubt::NotUnderstood`], with the name the token gives it.
    pub fn algorithm(&self) -> Result<Algorithm, Doubt> {
        self.algorithm.ok_or_else(|| {
            let why = format!("it is signed in a way that keyfob cannot check (`{}`)", self.algorithm_name);
            Doubt::NotUnderstood(why)
        })
    }

    /// The keys it may have been made with: of the kind its algorithm needs and, if it names a key, with that name.
    pub fn candidates<'k>(&'k self, keys: &'k [Key]) -> impl Iterator<Item = &'k PublicKey> {
        keys.iter()
            .filter(|key| self.key_id.is_none() || key.id == self.key_id)
            .filter(|key| key.only_for.is_none_or(|algorithm| Some(algorithm) == self.algorithm))
            .map(|key| &key.key)
            .filter(|key| {
                let Some(Algorithm { scheme, hash }) = self.algorithm else { return false };
                match key {
                    PublicKey::Rsa { .. } => matches!(scheme, Scheme::RsaPkcs1 | Scheme::RsaPss),
                    PublicKey::P256(_) => scheme == Scheme::Ecdsa && hash == Hash::Sha256,
                    PublicKey::P384(_) => scheme == Scheme::Ecdsa && hash == Hash::Sha384,
                    PublicKey::Ed25519(_) => scheme == Scheme::Ed25519,
                }
            })
    }

    /// Who it says signed in. A subject that is a UUID is the account's. What is odd is left out.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let subject = self.subject();
        Identity {
            account_uuid: subject.and_then(|subject| values::uuid(subject).ok()),
            organization_uuid: None,
            email: self.text("email").and_then(|email| values::email(email).ok()),
            subject: subject.map(ToString::to_string),
            username: self.text("preferred_username").and_then(username),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::jwk;
    use alloc::vec::Vec;
    use serde_json::{Value, json};

    const NOW: ProviderTime = ProviderTime(1_311_281_000);

    /// The claims of OpenID Connect Core §2, its own example.
    fn claims() -> Value {
        json!({
            "iss": "https://server.example.com", "sub": "24400320", "aud": "s6BhdRkqt3", "nonce": "n-0S6_WzA2Mj",
            "exp": 1_311_281_970, "iat": 1_311_280_970, "auth_time": 1_311_280_969, "email": "ada@example.com", "preferred_username": "ada"
        })
    }

    fn token(header: &Value, claims: &Value) -> Secret {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        Secret::from(format!("{}.{}.c2ln", part(header), part(claims)))
    }

    fn said(claims: &Value, nonce: Option<&Secret>) -> Result<(), Doubt> {
        let expected =
            Expected { issuer: "https://server.example.com", client_id: "s6BhdRkqt3", nonce, now: NOW };
        IdToken::read(&token(&json!({"alg": "RS256"}), claims))?.check(&expected)
    }

    #[test]
    fn the_example_of_the_specification_is_ours() {
        let nonce = Secret::new("n-0S6_WzA2Mj");
        assert_eq!(said(&claims(), Some(&nonce)), Ok(()));
        assert_eq!(said(&claims(), None), Ok(()), "a token of the device grant answers no request");
        let identity = IdToken::read(&token(&json!({"alg": "ES256"}), &claims())).unwrap().identity();
        assert_eq!(identity.subject.as_deref(), Some("24400320"));
        assert_eq!(identity.email.as_deref(), Some("ada@example.com"));
        assert_eq!(identity.username.as_deref(), Some("ada"));
        assert_eq!(identity.account_uuid, None);
    }

    /// OpenID Connect Core §3.1.3.7, a claim at a time.
    #[test]
    fn each_claim_is_checked() {
        let nonce = Secret::new("n-0S6_WzA2Mj");
        for (claim, value, why) in [
            ("iss", json!("https://server.example.com/"), "it was issued by `https://server.example.com/`"),
            (
                "iss",
                json!("https://evil.example\u{1b}[2J"),
                "it was issued by `https://evil.example\\u{1b}[2J`",
            ),
            ("aud", json!("another"), "it was issued to another client (`aud`)"),
            ("aud", json!([]), "it was issued to another client (`aud`)"),
            ("aud", json!(["s6BhdRkqt3", "x"]), ""),
            ("aud", json!([7, "s6BhdRkqt3"]), ""),
            ("azp", json!("another"), "it was issued to another client (`azp`)"),
            ("exp", json!(1_311_280_699), "it has expired (`exp`)"),
            ("exp", json!(1_311_280_701), ""),
            ("exp", json!("1311281970"), ""),
            ("exp", json!(1_311_281_970.5), ""),
            ("exp", json!("soon"), "it does not say when it ends (`exp`)"),
            ("exp", json!("inf"), "it does not say when it ends (`exp`)"),
            ("exp", json!("1e99"), "it does not say when it ends (`exp`)"),
            ("exp", json!(""), "it does not say when it ends (`exp`)"),
            ("exp", Value::Null, "it does not say when it ends (`exp`)"),
            ("iat", json!("lately"), ""),
            ("iat", Value::Null, "it does not say when it was issued (`iat`)"),
            ("email", json!(["ada@example.com"]), ""),
            ("email_verified", json!("true"), ""),
            ("iat", json!(1_311_281_301), "it was issued in the future (`iat`)"),
            ("nonce", json!("n-0S6_WzA2Mk"), "it belongs to another sign-in (`nonce`)"),
            ("sub", Value::Null, "it does not say who signed in (`sub`)"),
            ("nonce", Value::Null, "it does not say which sign-in it belongs to (`nonce`)"),
        ] {
            let mut claims = claims();
            claims[claim] = value.clone();
            let wanted = if why.is_empty() { Ok(()) } else { Err(is_false(why)) };
            assert_eq!(said(&claims, Some(&nonce)), wanted, "{claim} = {value}");
        }
        for unusable in [json!(""), json!("a\nb"), json!("x".repeat(256)), json!(7)] {
            let mut claims = claims();
            claims["sub"] = unusable.clone();
            let wanted = Err(not_understood("it has no usable `sub`"));
            assert_eq!(said(&claims, Some(&nonce)), wanted, "{unusable}");
        }
        let mut both = claims();
        both["aud"] = json!(["s6BhdRkqt3", "x"]);
        both["azp"] = json!("s6BhdRkqt3");
        assert_eq!(said(&both, Some(&nonce)), Ok(()));
    }

    /// RFC 8725 §3.1, §3.2: what algorithm counts is decided here and not by the token. One that proves nothing is an
    /// attack; one that keyfob does not know is none.
    #[test]
    fn false_and_not_understood_are_two_things() {
        let why = |header: &Value| {
            IdToken::read(&token(header, &claims())).and_then(|token| token.algorithm()).err()
        };
        for alg in ["none", "None", "HS256", "HS512"] {
            let wanted = is_false(&format!("it is signed with `{alg}`, which proves nothing"));
            assert_eq!(why(&json!({"alg": alg})), Some(wanted));
        }
        for alg in ["RS1", "", "rs256", "ES512", "ES256K", "ML-DSA-44"] {
            let wanted = not_understood(&format!("it is signed in a way that keyfob cannot check (`{alg}`)"));
            assert_eq!(why(&json!({"alg": alg})), Some(wanted));
        }
        for alg in
            ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519"]
        {
            assert_eq!(why(&json!({"alg": alg})), None, "{alg}");
        }
        for header in [json!({"alg": "RS256", "crit": ["exp"]}), json!({"kid": "1"})] {
            assert!(matches!(why(&header), Some(Doubt::NotUnderstood(_))), "{header}");
        }
        // But its content is read nevertheless.
        let mut elsewhere = claims();
        elsewhere["iss"] = json!("https://elsewhere.example");
        let expected =
            Expected { issuer: "https://server.example.com", client_id: "s6BhdRkqt3", nonce: None, now: NOW };
        let unknown = IdToken::read(&token(&json!({"alg": "ES512"}), &elsewhere)).unwrap();
        assert!(matches!(unknown.check(&expected), Err(Doubt::False(_))));
        for text in ["", "a", "a.b", "....", "a.b.c.d.e", "a.b.c"] {
            let read = IdToken::read(&Secret::new(text));
            assert!(matches!(read, Err(Doubt::NotUnderstood(_))), "{text}");
        }
        let unsigned = IdToken::read(&Secret::new("eyJhbGciOiJub25lIn0.e30."));
        assert!(matches!(unsigned, Err(Doubt::False(_))));
    }

    /// An odd claim that is only shown is left out; the others stay.
    #[test]
    fn an_odd_claim_is_left_out() {
        for odd in [json!(["ada@example.com"]), Value::Null, json!("nobody"), json!(7)] {
            let mut claims = claims();
            claims["email"] = odd.clone();
            let identity = IdToken::read(&token(&json!({"alg": "RS256"}), &claims)).unwrap().identity();
            assert_eq!((identity.email, identity.subject.as_deref()), (None, Some("24400320")), "{odd}");
        }
    }

    /// OpenID Connect Core §12.2, a claim at a time.
    #[test]
    fn a_renewals_is_held_to_the_first() {
        let somebody_else = is_false("it speaks of somebody else than who signed in (`sub`)");
        for (claim, value, wanted) in [
            ("sub", json!("24400320"), Ok(())),
            ("sub", json!("24400321"), Err(somebody_else)),
            ("sub", Value::Null, Err(not_understood("it has no usable `sub`"))),
            ("iss", json!("https://evil.example"), Err(is_false("it was issued by `https://evil.example`"))),
            ("aud", json!(["x", "s6BhdRkqt3"]), Ok(())),
            ("aud", json!(["x"]), Err(is_false("it was issued to another client (`aud`)"))),
            ("azp", json!("s6BhdRkqt3"), Ok(())),
            ("azp", json!("x"), Err(is_false("it was issued to another client (`azp`)"))),
            ("iat", Value::Null, Err(not_understood("it does not say when it was issued (`iat`)"))),
            ("exp", json!(1), Ok(())),
            ("nonce", Value::Null, Ok(())),
            ("auth_time", json!(1_311_999_999), Ok(())),
        ] {
            let mut claims = claims();
            claims[claim] = value.clone();
            let read = IdToken::read(&token(&json!({"alg": "RS256"}), &claims)).unwrap();
            let said = read.check_renewed("https://server.example.com", "s6BhdRkqt3", "24400320");
            assert_eq!(said, wanted, "{claim} = {value}");
        }
    }

    /// OpenID Connect Core §12.2, what it demands of one that takes the place of the first, a claim at a time.
    #[test]
    fn one_that_takes_the_place_of_the_first() {
        let read = |claims: &Value| IdToken::read(&token(&json!({"alg": "RS256"}), claims)).ok().unwrap();
        let first = read(&claims());
        for (claim, value, wanted) in [
            ("exp", json!(1_311_999_999), Ok(())),
            ("nonce", Value::Null, Ok(())),
            ("nonce", json!("n-0S6_WzA2Mj"), Ok(())),
            ("nonce", json!("another"), Err("it belongs to another sign-in (`nonce`)")),
            ("aud", json!(["s6BhdRkqt3"]), Ok(())),
            ("aud", json!(["s6BhdRkqt3", "x"]), Err("it is for other audiences than the one before (`aud`)")),
            ("aud", json!("x"), Err("it is for other audiences than the one before (`aud`)")),
            ("azp", json!("s6BhdRkqt3"), Err("it was issued to another party than the one before (`azp`)")),
            ("sub", json!("2"), Err("it speaks of somebody else than the one before (`iss`, `sub`)")),
            ("iss", json!("https://x"), Err("it speaks of somebody else than the one before (`iss`, `sub`)")),
            ("iat", json!(1_311_280_969), Err("it was issued before the one before (`iat`)")),
            ("iat", Value::Null, Err("it does not say when it was issued (`iat`)")),
        ] {
            let mut claims = claims();
            claims[claim] = value.clone();
            assert_eq!(read(&claims).takes_the_place_of(&first), wanted, "{claim} = {value}");
        }
    }

    #[test]
    fn only_one_that_ends_and_fits_a_header_is_kept() {
        let why = |claims: &Value| to_keep(&token(&json!({"alg": "RS256"}), claims)).err();
        assert_eq!(why(&claims()), None);
        for end in [json!("soon"), Value::Null, json!(-1), json!(1e30)] {
            let mut claims = claims();
            claims["exp"] = end.clone();
            assert_eq!(
                why(&claims),
                Some("the ID token that came does not say when it ends (`exp`)"),
                "{end}"
            );
        }
        let mut long = claims();
        long["groups"] = json!("x".repeat(LONGEST_KEPT));
        assert_eq!(why(&long), Some("the ID token that came is longer than 64 KiB"));
        assert!(to_keep(&Secret::new("opaque")).is_err());
        let kept = IdToken::read(&token(&json!({"alg": "RS256"}), &claims())).ok().unwrap();
        assert_eq!(kept.expires_at(), Some(ProviderTime(1_311_281_970)));
        assert_eq!(kept.issued_at(), Some(ProviderTime(1_311_280_970)));
    }

    /// RFC 7517 appendix A.1, its own example, and what must not be taken for a key.
    #[test]
    fn keys_are_chosen_by_kind_name_and_use() {
        let set = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "use": "enc", "kid": "1",
             "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
            {"kty": "EC", "crv": "P-256", "kid": "1",
             "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
            {"kty": "RSA", "n": "A".repeat(342), "e": "AQAB", "kid": "all zeros"},
            {"kty": "RSA", "n": format!("AQ{}", "B".repeat(340)), "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"},
            {"kty": "oct", "k": "c2VjcmV0"},
            {"kty": "EC", "crv": "P-521", "x": "AQ", "y": "AQ"},
            {"kty": "OKP", "crv": "X25519", "x": "AQAB"},
            {"kty": "RSA", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB"},
            7
        ]});
        let keys = jwk::keys(set.to_string().as_bytes()).unwrap();
        assert_eq!(keys.len(), 2);
        let found = |header: Value| {
            let token = IdToken::read(&token(&header, &claims())).unwrap();
            token.candidates(&keys).count()
        };
        assert_eq!(found(json!({"alg": "ES256", "kid": "1"})), 1);
        assert_eq!(found(json!({"alg": "ES256"})), 1);
        assert_eq!(found(json!({"alg": "ES256", "kid": "2"})), 0);
        assert_eq!(found(json!({"alg": "RS256", "kid": "1"})), 0, "a key of another kind");
        assert_eq!(found(json!({"alg": "PS256"})), 0, "the key is for RS256 only (RFC 8725 §3.1)");
        assert!(jwk::keys(b"[]").is_err());
    }

    #[test]
    fn a_doubt_says_why() {
        assert_eq!((is_false("a").why(), not_understood("b").why()), ("a", "b"));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the tests' own invented token")]
    fn the_signature_is_what_stands_behind_the_second_dot() {
        let signed = token(&json!({"alg": "RS256"}), &claims());
        let whole = signed.expose();
        let (head, _) = whole.rsplit_once('.').unwrap();
        let read = IdToken::read(&Secret::new(format!("{head}.AQID"))).ok().unwrap();
        assert_eq!(read.signature(), [1, 2, 3]);
    }

    /// RFC 8725 §3.1: the key decides what it may verify, and the token has no say in it.
    #[test]
    fn a_key_verifies_only_what_is_made_with_its_kind() {
        let key = |key| Key { id: None, only_for: None, key };
        let keys = [
            key(PublicKey::Rsa { modulus: Vec::new(), exponent: Vec::new() }),
            key(PublicKey::P256(Vec::new())),
            key(PublicKey::P384(Vec::new())),
            key(PublicKey::Ed25519(Vec::new())),
        ];
        for (algorithm, kind) in
            [("RS256", 0), ("RS512", 0), ("PS256", 0), ("PS384", 0), ("ES256", 1), ("ES384", 2), ("EdDSA", 3)]
        {
            let token = IdToken::read(&token(&json!({"alg": algorithm}), &claims())).unwrap();
            let found: Vec<_> = token.candidates(&keys).collect();
            assert!(found.len() == 1 && core::ptr::eq(found[0], &raw const keys[kind].key), "{algorithm}");
        }
        let unknown = IdToken::read(&token(&json!({"alg": "ES512"}), &claims())).unwrap();
        assert_eq!(unknown.candidates(&keys).count(), 0);
    }
}
