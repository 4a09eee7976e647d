//! What the provider knows, and what it answers.

use std::collections::BTreeMap;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use ring::digest;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::{
    Seen,
    manners::{Asked, Manners, Rotation, asks_for},
    tokens,
};
use crate::front::{Answer, header};
use keyfob_testkit::now;

pub(super) struct State {
    pub(super) manners: Manners,
    pub(super) seen: Vec<Seen>,
    pub(super) complaints: Vec<String>,
    codes: BTreeMap<String, Asked>,
    /// Codes for other devices, and whether they were asked about before.
    devices: BTreeMap<String, (Asked, bool)>,
    pub(super) refresh_tokens: BTreeMap<String, Grant>,
    /// Those that were replaced.
    pub(super) replaced: BTreeMap<String, Grant>,
    /// Each with the number of its grant.
    pub(super) access_tokens: BTreeMap<String, u32>,
    count: u32,
}

/// What a person agreed to.
#[derive(Clone)]
pub(super) struct Grant {
    number: u32,
    asked: Asked,
}

/// An answer of the token endpoint that is an error.
struct Refused(u16, &'static str);

impl State {
    pub(super) fn new(manners: Manners) -> Self {
        Self {
            manners,
            seen: Vec::new(),
            complaints: Vec::new(),
            codes: BTreeMap::new(),
            devices: BTreeMap::new(),
            refresh_tokens: BTreeMap::new(),
            replaced: BTreeMap::new(),
            access_tokens: BTreeMap::new(),
            count: 0,
        }
    }

    pub(super) fn answer(&mut self, seen: &Seen) -> Answer {
        self.seen.push(seen.clone());
        if seen.path.ends_with("/.well-known/openid-configuration") && self.manners.is_discovered {
            return Answer::json(&self.manners.document());
        }
        let host = header(&seen.head, "x-forwarded-host");
        match (self.manners.named(&seen.path, host), seen.method.as_str()) {
            (Some("authorization_endpoint"), "GET") => self.authorize(&seen.parameters),
            (Some("device_authorization_endpoint"), "POST") => {
                let answer = self.device(seen);
                self.told(seen, answer)
            }
            (Some("token_endpoint"), "POST") => {
                let answer = self.token(seen);
                self.told(seen, answer)
            }
            (Some("revocation_endpoint"), "POST") => {
                let token = seen.parameters.get("token").cloned().unwrap_or_default();
                self.access_tokens.remove(&token);
                if let Some(grant) = self.refresh_tokens.remove(&token) {
                    self.end(grant.number);
                }
                Answer::empty(200)
            }
            (Some("userinfo_endpoint"), "GET") => {
                let token =
                    header(&seen.head, "authorization").and_then(|value| value.strip_prefix("Bearer "));
                if token.is_some_and(|token| self.access_tokens.contains_key(token)) {
                    Answer::json(&self.manners.userinfo)
                } else {
                    Answer::empty(401)
                }
            }
            (Some("jwks_uri"), "GET") => Answer::json(&self.manners.keys()),
            _ => Answer::empty(404),
        }
    }

    fn number(&mut self) -> u32 {
        self.count += 1;
        self.count
    }

    fn next(&mut self, what: &str) -> String {
        format!("{what}-{}", self.number())
    }

    fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    /// RFC 6749 §4.1.1. Whoever comes is signed in already, and agrees.
    fn authorize(&mut self, asked: &Asked) -> Answer {
        let text = |name: &str| asked.get(name).map_or("", String::as_str);
        let mut wrong = Vec::new();
        if text("response_type") != "code" {
            wrong.push("another response_type than code");
        }
        if text("client_id") != self.manners.client_id {
            wrong.push("an unknown client");
        }
        if text("state").is_empty()
            || text("code_challenge").is_empty()
            || text("code_challenge_method") != "S256"
        {
            wrong.push("no state, or no PKCE with S256");
        }
        let redirect = Url::parse(text("redirect_uri")).ok();
        let redirect = redirect.filter(|to| (self.manners.takes_redirect)(&self.manners.registered, to));
        if redirect.is_none() {
            wrong.push("a redirect address that is not registered");
        }
        wrong.extend((self.manners.refuses)(asked));
        let (Some(mut redirect), true) = (redirect, wrong.is_empty()) else {
            let page = wrong.join("; ");
            self.complain(format!("{page}: {asked:?}"));
            return Answer { status: 400, headers: vec![("Content-Type", "text/plain".into())], body: page };
        };
        let code = self.next("code");
        redirect.query_pairs_mut().append_pair("code", &code).append_pair("state", text("state"));
        self.codes.insert(code, asked.clone());
        Answer::redirect(302, redirect.as_str())
    }

    /// RFC 8628 §3.1.
    fn device(&mut self, seen: &Seen) -> Result<Value, Refused> {
        self.client(seen, "urn:ietf:params:oauth:grant-type:device_code")?;
        let code = self.next("device-code");
        self.devices.insert(code.clone(), (seen.parameters.clone(), false));
        let mut answer =
            json!({ "device_code": code, "user_code": "WDJB-MJHT", "expires_in": 900, "interval": 1 });
        answer[self.manners.verification] = json!(format!("{}/activate", self.manners.issuer));
        Ok(answer)
    }

    /// RFC 6749 §3.2.
    fn token(&mut self, seen: &Seen) -> Result<Value, Refused> {
        let form = &seen.parameters;
        let text = |name: &str| form.get(name).cloned().unwrap_or_default();
        let grant = text("grant_type");
        self.client(seen, &grant)?;
        match grant.as_str() {
            "authorization_code" => {
                let asked = self.codes.remove(&text("code")).ok_or(Refused(400, "invalid_grant"))?;
                let verifier = digest::digest(&digest::SHA256, text("code_verifier").as_bytes());
                let is_proven = asked["code_challenge"] == BASE64_URL_SAFE_NO_PAD.encode(verifier);
                if !is_proven || asked["redirect_uri"] != text("redirect_uri") {
                    return Err(Refused(400, "invalid_grant"));
                }
                let number = self.number();
                Ok(self.grant(&Grant { number, asked }, None))
            }
            "urn:ietf:params:oauth:grant-type:device_code" => {
                let (status, pending) = self.manners.pending;
                let (asked, was_asked) =
                    self.devices.get_mut(&text("device_code")).ok_or(Refused(400, "expired_token"))?;
                if !*was_asked {
                    *was_asked = true;
                    return Err(Refused(status, pending));
                }
                let asked = asked.clone();
                self.devices.remove(&text("device_code"));
                let number = self.number();
                Ok(self.grant(&Grant { number, asked }, None))
            }
            "refresh_token" => {
                let (token, (status, dead)) = (text("refresh_token"), self.manners.dead);
                let grant = match (self.refresh_tokens.get(&token), self.replaced.get(&token)) {
                    (Some(grant), _) => grant.clone(),
                    (None, Some(grant)) if self.manners.rotation == Rotation::Grace => grant.clone(),
                    (None, Some(grant)) => {
                        // RFC 9700 §4.14.2: one of the two who have it is a thief.
                        self.end(grant.number);
                        return Err(Refused(status, dead));
                    }
                    (None, None) => return Err(Refused(status, dead)),
                };
                if self.manners.rotation != Rotation::Never {
                    self.refresh_tokens.remove(&token);
                    self.replaced.insert(token.clone(), grant.clone());
                }
                Ok(self.grant(&grant, Some(&token)))
            }
            _ => Err(Refused(400, "unsupported_grant_type")),
        }
    }

    /// RFC 6749 §2.3: the header or the form, and never both.
    fn client(&mut self, seen: &Seen, grant: &str) -> Result<(), Refused> {
        let decode =
            |text: &str| form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned());
        let basic = header(&seen.head, "authorization").and_then(|value| {
            let pair = BASE64_STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
            let (id, secret) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
            Some((decode(id)?, decode(secret)?))
        });
        let in_form = |name: &str| seen.parameters.get(name).cloned();
        let said = match (basic, in_form("client_secret")) {
            (Some(_), Some(_)) => None,
            (Some((id, secret)), None) => self.manners.takes_basic.then_some((id, Some(secret))),
            (None, secret) => in_form("client_id").map(|id| (id, secret)),
        };
        let wanted = self.manners.secret.clone().filter(|_| (self.manners.wants_secret)(grant));
        let is_right = said.is_some_and(|(id, secret)| {
            id == self.manners.client_id && wanted.is_none_or(|wanted| secret.as_ref() == Some(&wanted))
        });
        if !is_right {
            self.complain(format!("the client of a {grant} did not prove itself"));
            return Err(Refused(401, "invalid_client"));
        }
        Ok(())
    }

    /// RFC 6749 §5.1, OpenID Connect Core §3.1.3.3. `used` is the refresh token of a renewal.
    fn grant(&mut self, grant: &Grant, used: Option<&str>) -> Value {
        let asked = &grant.asked;
        let token = self.next("access-token");
        self.access_tokens.insert(token.clone(), grant.number);
        let scopes = asked.get("scope").cloned().unwrap_or_default();
        let mut answer = json!({ "access_token": token, "token_type": "Bearer", "scope": scopes });
        if let Some(lifetime) = self.manners.lifetime {
            answer["expires_in"] = json!(lifetime);
        }
        let stays = used.is_some() && self.manners.rotation == Rotation::Never;
        if (self.manners.gives_refresh_token)(asked) && !stays {
            let token = self.next("refresh-token");
            self.refresh_tokens.insert(token.clone(), grant.clone());
            answer["refresh_token"] = json!(token);
        }
        if asks_for(asked, "openid") {
            answer["id_token"] = json!(self.id_token(asked, used.is_some()));
        }
        answer
    }

    /// Nothing of this grant is good any more.
    fn end(&mut self, number: u32) {
        self.access_tokens.retain(|_, known| *known != number);
        self.refresh_tokens.retain(|_, known| known.number != number);
    }

    fn id_token(&mut self, asked: &Asked, is_renewal: bool) -> String {
        let manners = &mut self.manners;
        if manners.changes_keys {
            manners.key = 1 - manners.key;
            manners.published = vec![manners.key];
        }
        let mut claims = json!({
            "iss": manners.issuer, "sub": manners.subject, "aud": manners.client_id, "iat": now(), "exp": now() + 3600,
        });
        if let Some(nonce) = asked.get("nonce") {
            claims["nonce"] = json!(nonce);
        }
        let issue = if is_renewal { manners.renewed_id_token } else { manners.id_token };
        (issue.change)(&mut claims);
        tokens::signed(&claims, manners.key, manners.has_key_names, issue.signature)
    }

    /// RFC 6749 §5.2, in the form that this provider speaks.
    fn told(&self, seen: &Seen, answer: Result<Value, Refused>) -> Answer {
        let (status, body) = match answer {
            Ok(body) => (200, body),
            Err(Refused(status, word)) => {
                (status, json!({ "error": word, "error_description": "in its own words" }))
            }
        };
        let status = if self.manners.always_succeeds { 200 } else { status };
        let wants_json = header(&seen.head, "accept").is_some_and(|kinds| kinds.contains("application/json"));
        if !self.manners.is_form || wants_json {
            return Answer { status, ..Answer::json(&body) };
        }
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in body.as_object().expect("an object") {
            form.append_pair(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        let headers = vec![("Content-Type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
        Answer { status, headers, body: form.finish() }
    }
}
