//! The authorization code grant with PKCE (RFC 6749 §4.1, RFC 7636, RFC 8252, RFC 9207).
//!
//! A [`Flow`] is one attempt. A [`Code`] can only be obtained from [`Flow::callback`] or [`Flow::pasted`], and so only
//! after `state` and `iss` have been checked.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{
    Cause, Error, Id, Result, Secret,
    contract::settings::{ClientId, Scopes},
    error::escape,
    oauth::{
        authorization_answer::{
            Answer, callback_error, has, is_same_loopback, is_user_code, is_word, pasted_error,
            percent_decoded,
        },
        dialect::{Addition, Dialect},
        refusal,
        sent::Sent,
        token_request::TokenRequest,
    },
};

/// One attempt to sign in. Its verifier and state are used once.
pub struct Flow {
    verifier: Secret,
    state: Secret,
    nonce: Option<Secret>,
    request: Request,
}

/// What is asked of the provider.
pub struct Request {
    /// Authorization endpoint; its own query, if any, is kept (RFC 6749 §3.1).
    pub authorize_url: String,
    /// The client.
    pub client_id: ClientId,
    /// Where the answer is to go. The token request repeats it to the letter.
    pub redirect_uri: String,
    /// What is asked for.
    pub scopes: Scopes,
    /// The issuer the answer must come from, where the provider names itself (RFC 9207).
    pub issuer: Option<String>,
    /// Whether the provider's metadata promises `iss` in every answer: then one without is refused.
    pub iss_promised: bool,
    /// Further parameters: `login_hint`, `prompt`, and those that are configured.
    pub extra: Vec<Addition>,
}

/// An authorization code that passed its checks. Single use.
pub struct Code(Secret);

impl Flow {
    /// Begins an attempt. The 64 octets are fresh from the system's generator: 32 for the verifier (RFC 7636
    /// §7.1), 32 for the state.
    #[must_use]
    pub fn begin(request: Request, random: &[u8; 64]) -> Self {
        let text = |octets: &[u8]| Secret::from(BASE64_URL_SAFE_NO_PAD.encode(octets));
        // Bound to this attempt by a secret of it (OpenID Connect Core §15.5.2), and it reveals nothing about that one.
        let nonce = Sha256::new().chain_update("keyfob/nonce/v1").chain_update(&random[..32]).finalize();
        let openid = request.scopes.iter().any(|scope| scope == "openid");
        Self {
            verifier: text(&random[..32]),
            state: text(&random[32..]),
            nonce: openid.then(|| text(&nonce)),
            request,
        }
    }

    /// The address to open. It holds the state and the challenge, which are for the provider and the person
    /// in front of it, but no secret of ours: the verifier stays here.
    ///
    /// # Errors
    /// [`Id::EnvironmentIncomplete`] when the authorization endpoint is not a URL.
    #[expect(
        clippy::disallowed_methods,
        reason = "state and nonce travel in the URL by design (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1); \
        the verifier only as its hash (RFC 7636 §4.2)"
    )]
    pub fn url(&self) -> Result<String> {
        let mut url = url::Url::parse(&self.request.authorize_url).map_err(|_| {
            let what = format!("the authorization endpoint `{}`", escape(&self.request.authorize_url));
            Error::new(Id::EnvironmentIncomplete, what, "it is not a URL")
        })?;
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.expose()));
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", self.request.client_id.as_str())
            .append_pair("redirect_uri", &self.request.redirect_uri);
        // RFC 6749 §3.3: left out, the provider decides.
        if self.request.scopes.iter().next().is_some() {
            query.append_pair("scope", &self.request.scopes.to_string());
        }
        query
            .append_pair("state", self.state.expose())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(nonce) = &self.nonce {
            query.append_pair("nonce", nonce.expose());
        }
        for further in &self.request.extra {
            query.append_pair(&further.name, &further.value);
        }
        drop(query);
        Ok(url.into())
    }

    /// Reads the query of a callback. Everything is checked before anything is believed: parameters at most
    /// once (RFC 6749 §3.1), the state to the letter, the issuer (RFC 9207 §2.4).
    ///
    /// # Errors
    /// [`Id::StateMismatch`], [`Id::IssuerMismatch`], [`Id::LoginDenied`] when the person or the provider
    /// said no, [`Id::CallbackInvalid`] for anything else.
    pub fn callback(&self, query: &str) -> Result<Code> {
        let answer = Answer::parse(query)?;
        match &answer.state {
            Some(state) if self.state.same_as(state) => {}
            Some(_) => return Err(state_error("its `state` is that of another attempt")),
            None => return Err(state_error("it has no `state`")),
        }
        self.finish(answer)
    }

    /// Reads what a person pasted: the whole callback URL, its query, `code#state`, or a bare code; wrapped
    /// over lines, quoted, or with bracketed-paste marks. A bare code rests on PKCE alone.
    ///
    /// # Errors
    /// As [`Flow::callback`]; [`Id::CallbackInvalid`] names the mistake when it is something else.
    pub fn pasted(&self, text: &str) -> Result<Code> {
        let text: String = text.replace("\u{1b}[200~", "").replace("\u{1b}[201~", "");
        // A terminal breaks lines anywhere; a blank within one means that it is prose.
        let prose = text.lines().any(|line| line.trim().contains(char::is_whitespace));
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let text = text.trim_matches(|c| matches!(c, '"' | '\'' | '`' | '<' | '>'));
        if text.is_empty() {
            return Err(pasted_error("nothing was pasted"));
        }
        if let Some((_, query)) = text.split_once('?') {
            let query = query.split('#').next().unwrap_or(query);
            if query.contains("code_challenge=") || query.contains("response_type=") {
                return Err(pasted_error("this is the address of the sign-in page, not its answer"));
            }
            if has(query, "code") || has(query, "error") {
                return self.callback(query);
            }
            if prose && !text.contains("://") {
                return Err(pasted_error("it has blanks in it: paste the code alone"));
            }
            return Err(pasted_error("this address holds no code: copy it after signing in"));
        }
        if has(text, "code") || has(text, "error") {
            return self.callback(text.split('#').next().unwrap_or(text));
        }
        if text.contains("://") {
            return Err(pasted_error("this address holds no code: copy it after signing in"));
        }
        if text.contains('@') {
            return Err(pasted_error("this looks like an e-mail address, not the code from the page"));
        }
        if text.len() <= 8 && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(pasted_error("this looks like the code from an e-mail: type that one into the page"));
        }
        if text.starts_with("sk-") {
            return Err(pasted_error("this looks like a key or a token, not the code from the page"));
        }
        if is_user_code(text) {
            return Err(pasted_error(
                "this looks like a code for another device: type it into the page there",
            ));
        }
        // Copied out of an address: the `#` is written as one writes it there.
        let decoded;
        let text = if text.contains("%23") && !text.contains('#') {
            decoded = percent_decoded(text);
            decoded.as_str()
        } else {
            text
        };
        let (code, state) = match text.split_once('#') {
            Some((code, state)) => (code, Some(state.to_string())),
            None => (text, None),
        };
        if prose && state.is_none() {
            return Err(pasted_error("it has blanks in it: paste the code alone"));
        }
        // A code is long, or it could be guessed (RFC 6749 §10.10).
        if state.is_none() && is_word(code) {
            return Err(pasted_error("this looks like a word somebody typed, not the code from the page"));
        }
        if state.as_ref().is_some_and(|state| !self.state.same_as(state)) {
            return Err(state_error("the part after `#` is that of another attempt"));
        }
        let code = Secret::visible(code).map_err(|why| pasted_error(&format!("the code {why}")))?;
        Ok(Code(code))
    }

    fn finish(&self, answer: Answer) -> Result<Code> {
        match (&answer.iss, &self.request.issuer) {
            (Some(iss), Some(issuer)) if iss == issuer || is_same_loopback(iss, issuer) => {}
            (Some(_), Some(_)) => {
                return Err(Error::new(
                    Id::IssuerMismatch,
                    "the answer of the sign-in page",
                    "its `iss` is another provider (RFC 9207)",
                ));
            }
            (None, Some(_)) if self.request.iss_promised => {
                return Err(Error::new(
                    Id::IssuerMismatch,
                    "the answer of the sign-in page is from another provider",
                    "its `iss` is missing though the provider promises it (RFC 9207)",
                ));
            }
            _ => {}
        }
        if let Some(error) = answer.error {
            // What was sent is in the address of the page.
            let sent = self.sent();
            let quote = |words: &str| escape(&sent.cut(words));
            let mut why = format!("the provider said `{}`", quote(&error));
            if let Some(description) = answer.description {
                why.push_str(": ");
                why.push_str(&quote(&description));
            }
            let cause = refusal::cause(&quote(&error), &self.request.scopes);
            return Err(Error::new(Id::LoginDenied, "signing in was refused", why).because(cause));
        }
        let code = answer.code.ok_or_else(|| callback_error("it has neither `code` nor `error`"))?;
        Ok(Code(Secret::visible(&code).map_err(|why| callback_error(&format!("its `code` {why}")))?))
    }

    /// The secrets of this sign-in.
    fn sent(&self) -> Sent {
        let mut secrets = TokenRequest::default()
            .with_secret("state", self.state.duplicate())
            .with_secret("code_verifier", self.verifier.duplicate());
        if let Some(nonce) = &self.nonce {
            secrets = secrets.with_secret("nonce", nonce.duplicate());
        }
        Sent::new(Some(&secrets.encode(None, &Dialect::default()).body.1), &[])
    }

    /// The token request (RFC 6749 §4.1.3, RFC 7636 §4.5). `expires_in` asks for a long-lived token instead of a
    /// renewable one.
    #[must_use]
    pub fn exchange(&self, code: &Code, expires_in: Option<u64>) -> TokenRequest {
        let request = TokenRequest::grant("authorization_code")
            .with_secret("code", code.0.duplicate())
            .with("redirect_uri", &*self.request.redirect_uri)
            .client(&self.request.client_id)
            .with_secret("code_verifier", self.verifier.duplicate());
        match expires_in {
            Some(seconds) => request.with_number("expires_in", seconds),
            None => request,
        }
    }

    /// What was asked for: the granted scope when the answer names none (RFC 6749 §5.1).
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// What the ID token has to repeat, where an OpenID provider was asked (OpenID Connect Core §3.1.2.1).
    #[must_use]
    pub fn nonce(&self) -> Option<&Secret> {
        self.nonce.as_ref()
    }

    /// Whether this callback belongs to this attempt. The wait goes on when it does not: a second tab or a
    /// stranger must not end it.
    #[must_use]
    pub fn is_ours(&self, query: &str) -> bool {
        Answer::parse(query).ok().and_then(|a| a.state).is_some_and(|state| self.state.same_as(&state))
    }
}

fn state_error(why: &str) -> Error {
    Error::new(Id::StateMismatch, "the answer does not belong to this sign-in", why)
        .because(Cause::OtherAttempt {})
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests' own invented secrets")]
mod tests {
    use super::*;

    fn flow() -> Flow {
        let mut random = [0; 64];
        // The octets of RFC 7636 appendix B.
        random[..32].copy_from_slice(&[
            116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105,
            214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121,
        ]);
        let request = Request {
            authorize_url: "https://id.example/authorize?tenant=7".into(),
            client_id: ClientId::parse("keyfob-local").unwrap(),
            redirect_uri: "http://127.0.0.1:5/callback".into(),
            scopes: Scopes::parse("user:profile user:inference").unwrap(),
            issuer: Some("https://id.example".into()),
            iss_promised: false,
            extra: Vec::new(),
        };
        Flow::begin(request, &random)
    }

    fn state() -> String {
        "A".repeat(43)
    }

    fn id(result: Result<Code>) -> Result<String, &'static str> {
        result.map(|code| code.0.expose().into()).map_err(|error| error.id().word())
    }

    /// RFC 7636 appendix B: verifier and challenge to the letter.
    #[test]
    fn the_challenge_is_the_one_of_the_rfc() {
        let flow = flow();
        assert_eq!(flow.verifier.expose(), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let url = flow.url().unwrap();
        assert!(url.contains("&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&"), "{url}");
        assert!(url.starts_with("https://id.example/authorize?tenant=7&response_type=code&"), "{url}");
        assert!(!url.contains("dBjft") && !url.contains("nonce"));
    }

    /// RFC 9207 §2.4 compares character by character; two names of this machine's loopback are one provider
    /// nevertheless.
    #[test]
    fn loopback_has_several_names() {
        let there = "http://localhost:3000";
        assert!(
            is_same_loopback(there, "http://127.0.0.1:3000") && is_same_loopback("http://[::1]:3000/", there)
        );
        for other in [
            "http://127.0.0.1:3001",
            "http://127.0.0.1:3000/x",
            "https://127.0.0.1:3000",
            "http://id.example:3000",
        ] {
            assert!(!is_same_loopback(there, other), "{other}");
        }
        assert!(!is_same_loopback("https://id.example", "https://id.example/"), "nobody else's");
    }

    /// A page's words may repeat its own address.
    #[test]
    fn what_a_page_repeats_is_cut() {
        let s = state();
        let answer = format!("error=access_denied&error_description=state+{s}+was+denied&state={s}");
        let why = flow().callback(&answer).err().unwrap().why().to_string();
        assert_eq!(why, "the provider said `access_denied`: state […] was denied");
    }

    /// `CODE#STATE` as it stands in an address is the same answer, and is no code with a strange end.
    #[test]
    fn an_encoded_number_sign_is_one() {
        assert_eq!(id(flow().pasted(&format!("the%2Fcode+1%23{}", state()))), Ok("the/code+1".into()));
        assert_eq!(id(flow().pasted(&format!("code%23{}", "B".repeat(43)))), Err("state-mismatch"));
    }

    /// RFC 6749 §3.3: who asks for nothing leaves the parameter out.
    #[test]
    fn no_scopes_no_parameter() {
        let mut request = flow().request;
        request.scopes = Scopes::default();
        let url = Flow::begin(request, &[7; 64]).url().unwrap();
        assert!(!url.contains("scope=") && url.contains("&state="), "{url}");
    }

    /// OpenID Connect Core §3.1.2.1: a new nonce for each attempt, if the provider is an OpenID one.
    #[test]
    fn openid_gets_a_nonce() {
        let begin = |octet: u8| {
            let mut request = flow().request;
            request.scopes = Scopes::parse("openid email").unwrap();
            Flow::begin(request, &[octet; 64])
        };
        let (one, two) = (begin(1), begin(2));
        let nonce = one.nonce().unwrap().expose();
        assert!(one.url().unwrap().contains(&format!("&nonce={nonce}")));
        assert!(!two.nonce().unwrap().same_as(nonce) && nonce.len() == 43);
        assert!(!one.verifier.same_as(nonce) && !one.state.same_as(nonce));
        assert!(flow().nonce().is_none());
    }

    #[test]
    fn a_callback_needs_its_state_and_its_issuer() {
        let f = flow();
        let s = state();
        assert_eq!(id(f.callback(&format!("code=c&state={s}"))), Ok("c".into()));
        assert_eq!(id(f.callback(&format!("code=c&state={s}&iss=https%3A%2F%2Fid.example"))), Ok("c".into()));
        assert_eq!(id(f.callback("code=c")), Err("state-mismatch"));
        assert_eq!(id(f.callback(&format!("code=c&state={s}x"))), Err("state-mismatch"));
        assert_eq!(
            id(f.callback(&format!("code=c&state={s}&iss=https://evil.example"))),
            Err("issuer-mismatch")
        );
        assert_eq!(id(f.callback(&format!("code=c&code=d&state={s}"))), Err("callback-invalid"));
        assert_eq!(id(f.callback(&format!("state={s}"))), Err("callback-invalid"));
        assert_eq!(id(f.callback(&format!("code=a%0Ab&state={s}"))), Err("callback-invalid"));
        assert_eq!(id(f.callback(&format!("error=access_denied&state={s}"))), Err("login-denied"));
        assert_eq!(id(f.callback("error=access_denied")), Err("state-mismatch"), "nobody else may say no");
    }

    /// RFC 9207 §2.4: a provider that promises `iss` is held to it.
    #[test]
    fn a_promised_issuer_must_come() {
        let mut f = flow();
        f.request.iss_promised = true;
        assert_eq!(id(f.callback(&format!("code=c&state={}", state()))), Err("issuer-mismatch"));
    }

    /// Every shape people paste.
    #[test]
    fn pasted_codes_are_read_in_every_shape() {
        let f = flow();
        let s = state();
        for text in [
            format!("c0de#{s}"),
            format!("  \"c0de#{s}\"\n"),
            format!("\u{1b}[200~c0de#{s}\u{1b}[201~"),
            format!("c0d\n  e#{}\r\n{}", &s[..20], &s[20..]),
            format!("http://127.0.0.1:5/callback?code=c0de&state={s}"),
            format!("<http://127.0.0.1:5/callback?state={s}&code=c0de#_=_>"),
            format!("?code=c0de&state={s}"),
            format!("code=c0de&state={s}"),
            format!("state={s}&code=c0de"),
            format!("code=c0de&state={s}#_=_"),
            format!("c0de#{} {}", &s[..20], &s[20..]),
            "c0de".into(),
        ] {
            assert_eq!(id(f.pasted(&text)), Ok("c0de".into()), "{text:?}");
        }
        for (text, id_, why) in [
            ("", "callback-invalid", "nothing"),
            ("ada@example.com", "callback-invalid", "e-mail address"),
            ("hello", "callback-invalid", "a word somebody typed"),
            ("Authentication", "callback-invalid", "a word somebody typed"),
            ("y", "callback-invalid", "a word somebody typed"),
            ("123456", "callback-invalid", "from an e-mail"),
            (
                "https://id.example/authorize?code_challenge=x",
                "callback-invalid",
                "address of the sign-in page",
            ),
            ("https://id.example/done", "callback-invalid", "holds no code"),
            ("https://id.example/link?token=x", "callback-invalid", "holds no code"),
            (
                "https://id.example/login?response_type=code",
                "callback-invalid",
                "address of the sign-in page",
            ),
            ("how do I sign in", "callback-invalid", "blanks"),
            ("how do I sign in?", "callback-invalid", "blanks"),
            ("sk-ant-api03-x", "callback-invalid", "key or a token"),
            ("WDJB-MJHT", "callback-invalid", "another device"),
            ("c0de#wrong", "state-mismatch", "another attempt"),
            ("http://127.0.0.1:5/callback?code=c&state=wrong", "state-mismatch", "another attempt"),
        ] {
            let error = f.pasted(text).err().expect(text);
            assert_eq!(error.id().word(), id_, "{text}");
            assert!(error.why().contains(why), "{text}: {}", error.why());
        }
    }

    #[test]
    fn the_exchange_repeats_the_redirect() {
        let f = flow();
        let code = f.pasted("c0de").unwrap();
        assert_eq!(
            f.exchange(&code, Some(60)).encode(None, &Dialect::default()).body.1.expose(),
            "grant_type=authorization_code&code=c0de&redirect_uri=http%3A%2F%2F127.0.0.1%3A5%2Fcallback\
             &client_id=keyfob-local&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk&expires_in=60"
        );
    }

    /// A second tab or a stranger does not end the wait.
    #[test]
    fn a_callback_is_ours_by_its_state() {
        let ours = flow();
        let state = ours.state.expose();
        assert!(ours.is_ours(&alloc::format!("code=c&state={state}")));
        for other in ["code=c", "code=c&state=x", ""] {
            assert!(!ours.is_ours(other), "{other}");
        }
    }

    /// RFC 6749 §4.1.2.1: the description is for people.
    #[test]
    fn a_denial_is_told_in_the_providers_words() {
        let flow = flow();
        let query =
            alloc::format!("error=access_denied&error_description=not+you&state={}", flow.state.expose());
        let error = flow.callback(&query).err().unwrap();
        assert!(error.why().contains("not you"), "{error}");
    }

    /// RFC 8628 §6.1: four and four, of letters and digits.
    #[test]
    fn a_user_code_is_two_parts_of_four() {
        assert!(is_user_code("WDJB-MJ42"));
        for other in ["WDJB-MJ4", "WDJ-MJHT", "wdjb-MJHT", "WDJB-mjht", "WDJBMJHT", "WDJBX-MJHT"] {
            assert!(!is_user_code(other), "{other}");
        }
    }

    #[test]
    fn a_pasted_mistake_is_called_what_it_is() {
        let why = |text: &str| flow().pasted(text).err().unwrap().why().to_string();
        for (text, said) in [
            ("is that the code?", "it has blanks in it: paste the code alone"),
            ("see https://id.example/?tenant=7", "this address holds no code: copy it after signing in"),
            ("https://id.example/?tenant=7", "this address holds no code: copy it after signing in"),
            ("/callback?tenant=7", "this address holds no code: copy it after signing in"),
        ] {
            assert_eq!(why(text), said, "{text}");
        }
    }

    /// A code is the provider's own text: nothing in it is decoded that was not encoded for an address.
    #[test]
    fn a_plain_number_sign_leaves_the_code_as_it_is() {
        for code in ["co%41de", "a+b", "x%23y"] {
            assert_eq!(id(flow().pasted(&format!("{code}#{}", state()))), Ok(code.into()));
        }
        assert_eq!(id(flow().pasted("co%41de")), Ok("co%41de".into()));
    }

    /// A code is long, or it could be guessed (RFC 6749 §10.10): only what is short and written as words are is taken for one.
    #[test]
    fn a_word_is_short_and_small() {
        for word in ["yes", "Hello", "a", &"a".repeat(16)] {
            assert!(is_word(word), "{word}");
        }
        for code in ["", "1a", "aB", "a1", "a-b", &"a".repeat(17)] {
            assert!(!is_word(code), "{code}");
        }
    }
}
