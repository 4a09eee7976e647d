//! Requests to the token endpoint, and to the endpoints that take the same parameters in the same form: device
//! authorization (RFC 8628 §3.1) and revocation (RFC 7009 §2.1). Each grant names its parameters; how they are written and
//! how the client authenticates is decided here.

use alloc::{
    borrow::Cow,
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    Secret,
    contract::settings::{ClientId, Scopes},
    oauth::{
        client_assertion,
        client_auth::{ClientAuth, Proof},
        dialect::{Dialect, TokenBody},
        header::Header,
    },
};

/// The type of a body of parameters (RFC 6749 appendix B).
const FORM: &str = "application/x-www-form-urlencoded";
/// The type of the same parameters as members of an object.
const JSON: &str = "application/json";

/// The parameters of one request, in order. Nothing leaves before [`TokenRequest::encode`].
#[derive(Debug, Default)]
pub struct TokenRequest {
    /// Set where tokens are asked for: such a request is made as its provider wants it, others as the standards do.
    grant_type: Option<&'static str>,
    parameters: Vec<Parameter>,
}

#[derive(Debug)]
struct Parameter {
    name: Cow<'static, str>,
    value: Secret,
    /// Whether it is a number where the form of a body tells numbers from texts.
    is_number: bool,
}

/// A request as it is sent.
#[derive(Debug)]
pub struct Encoded {
    /// Further headers.
    pub headers: Vec<Header>,
    /// The body and its type.
    pub body: (&'static str, Secret),
}

impl TokenRequest {
    /// A request for tokens by this grant.
    #[must_use]
    pub fn grant(grant_type: &'static str) -> Self {
        Self { grant_type: Some(grant_type), parameters: Vec::new() }.with("grant_type", grant_type)
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(self, name: impl Into<Cow<'static, str>>, value: impl Into<Box<str>>) -> Self {
        self.with_secret(name, Secret::new(value))
    }

    /// Adds a parameter that must be kept secret.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<Cow<'static, str>>, value: Secret) -> Self {
        self.parameters.push(Parameter { name: name.into(), value, is_number: false });
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn with_number(mut self, name: &'static str, number: u64) -> Self {
        let value = Secret::new(number.to_string());
        self.parameters.push(Parameter { name: name.into(), value, is_number: true });
        self
    }

    fn has(&self, name: &str) -> bool {
        self.parameters.iter().any(|known| known.name == name)
    }

    /// Names the client. One that authenticates is named by that already (RFC 6749 §3.2.1).
    #[must_use]
    pub fn client(self, client: &ClientId) -> Self {
        self.with("client_id", client.as_str())
    }

    /// Asks for these scopes. None at all are left to the provider (RFC 6749 §3.3).
    #[must_use]
    pub fn scope(self, scopes: &Scopes) -> Self {
        if scopes.is_empty() { self } else { self.with("scope", scopes.to_string()) }
    }

    /// The same once more, for a request that is made again.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let copy = |one: &Parameter| Parameter {
            name: one.name.clone(),
            value: one.value.duplicate(),
            is_number: one.is_number,
        };
        Self { grant_type: self.grant_type, parameters: self.parameters.iter().map(copy).collect() }
    }

    /// The request as it is sent: of a public client, or with the proof of a confidential one, in the dialect of the
    /// provider that is asked. A parameter of that dialect never takes the place of one that is there already.
    #[must_use]
    pub fn encode(mut self, auth: Option<&ClientAuth>, dialect: &Dialect) -> Encoded {
        let mut headers = self.grant_type.map(|grant| dialect.headers_of(grant)).unwrap_or_default();
        if let Some(grant) = self.grant_type {
            let further: Vec<_> = dialect.parameters_of(grant).filter(|one| !self.has(&one.name)).collect();
            for one in further {
                self = self.with(one.name.clone(), &*one.value);
            }
        }
        match auth.map(|auth| (auth.method, auth)) {
            None => {}
            Some((Proof::Basic, auth)) => headers.push(("Authorization".into(), auth.basic())),
            Some((Proof::Post, auth)) => {
                self = self.named(&auth.client).with_secret("client_secret", auth.secret.duplicate());
            }
            // RFC 7523 §2.2. The client's name is in the assertion too, and some providers find its key by this one
            // (RFC 7521 §4.2 allows both).
            Some((Proof::PrivateKeyJwt, auth)) => {
                self = self.named(&auth.client).with("client_assertion_type", client_assertion::TYPE);
                self = self.with_secret("client_assertion", auth.secret.duplicate());
            }
        }
        let body = match self.grant_type.map(|_| dialect.token_body) {
            Some(TokenBody::Json) => (JSON, self.json()),
            Some(TokenBody::Form) | None => (FORM, self.form()),
        };
        Encoded { headers, body }
    }

    /// Names the client, unless that has been done.
    fn named(self, client: &ClientId) -> Self {
        if self.has("client_id") { self } else { self.client(client) }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the body of the one request that these parameters are for"
    )]
    fn form(&self) -> Secret {
        // Space for all of it, so that the text is never moved, and no copy of it stays behind.
        let pairs = || self.parameters.iter().map(|one| (&one.name, one.value.expose()));
        let room = pairs().map(|(name, value)| longest(name, value)).sum();
        let mut form = url::form_urlencoded::Serializer::new(String::with_capacity(room));
        form.extend_pairs(pairs());
        Secret::from(form.finish())
    }

    /// The same as a JSON object. A parameter that is there more than once is a list.
    #[expect(
        clippy::disallowed_methods,
        reason = "the body of the one request that these parameters are for"
    )]
    fn json(&self) -> Secret {
        let room =
            self.parameters.iter().map(|one| longest_member(&one.name, one.value.expose())).sum::<usize>();
        let mut json = String::with_capacity(room + 2);
        for (at, first) in self.parameters.iter().enumerate() {
            if self.parameters[..at].iter().any(|before| before.name == first.name) {
                continue;
            }
            json.push(if at == 0 { '{' } else { ',' });
            quote(&first.name, &mut json);
            json.push(':');
            let all: Vec<_> = self.parameters.iter().filter(|one| one.name == first.name).collect();
            let is_list = all.len() > 1;
            for (at, one) in all.into_iter().enumerate() {
                match (is_list, at) {
                    (true, 0) => json.push('['),
                    (true, _) => json.push(','),
                    (false, _) => {}
                }
                if one.is_number {
                    json.push_str(one.value.expose());
                } else {
                    quote(one.value.expose(), &mut json);
                }
            }
            if is_list {
                json.push(']');
            }
        }
        json.push('}');
        Secret::from(json)
    }
}

/// A JSON text (RFC 8259 §7), written behind what is there, without a copy in between.
fn quote(text: &str, into: &mut String) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    into.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => into.extend(['\\', c]),
            '\0'..='\x1f' => {
                let code = c as usize;
                into.extend(['\\', 'u', '0', '0', HEX[code >> 4], HEX[code & 15]]);
            }
            _ => into.push(c),
        }
    }
    into.push('"');
}

/// What a member takes at most, with quotes, colon, comma and the brackets of a list: a character may take six octets.
const fn longest_member(name: &str, value: &str) -> usize {
    6 * (name.len() + value.len()) + 8
}

/// What a parameter takes at most, its two signs included: an octet may take three.
const fn longest(name: &str, value: &str) -> usize {
    3 * (name.len() + value.len()) + 2
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests' own invented secrets")]
mod tests {
    use super::*;
    use crate::oauth::dialect::Addition;

    fn auth(method: Proof) -> ClientAuth {
        ClientAuth { client: ClientId::parse("agents").unwrap(), method, secret: Secret::new("s&1") }
    }

    fn sent(request: TokenRequest, auth: Option<&ClientAuth>) -> (Option<Secret>, Secret) {
        let Encoded { headers, body: (kind, body) } = request.encode(auth, &Dialect::default());
        assert_eq!(kind, "application/x-www-form-urlencoded");
        let mut headers = headers.into_iter().map(|(name, value)| {
            assert_eq!(name, "Authorization");
            value
        });
        (headers.next(), body)
    }

    #[test]
    fn a_machine_is_named_where_it_authenticates() {
        let scopes = Scopes::parse("user:inference").unwrap();
        let request = || TokenRequest::grant("client_credentials").scope(&scopes);
        let (header, body) = sent(request(), Some(&auth(Proof::Post)));
        assert!(header.is_none());
        assert_eq!(
            body.expose(),
            "grant_type=client_credentials&scope=user%3Ainference&client_id=agents&client_secret=s%261"
        );
        let (header, body) = sent(request(), Some(&auth(Proof::Basic)));
        assert_eq!(header.unwrap().expose(), "Basic YWdlbnRzOnMlMjYx");
        assert_eq!(body.expose(), "grant_type=client_credentials&scope=user%3Ainference");
    }

    /// RFC 7523 §2.2: two parameters, and nothing in the header (RFC 6749 §2.3: one method in a request).
    #[test]
    fn an_assertion_is_in_the_body_alone() {
        let (header, body) =
            sent(TokenRequest::grant("client_credentials"), Some(&auth(Proof::PrivateKeyJwt)));
        assert!(header.is_none());
        assert_eq!(
            body.expose(),
            "grant_type=client_credentials&client_id=agents&client_assertion_type=\
             urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=s%261"
        );
    }

    /// A person's login: the request is that of a public client, and the proof comes to it.
    #[test]
    fn a_named_client_is_named_once() {
        let client = ClientId::parse("agents").unwrap();
        let request = || TokenRequest::grant("refresh_token").client(&client);
        let plain = "grant_type=refresh_token&client_id=agents";
        let (header, body) = sent(request(), None);
        assert!(header.is_none() && body.expose() == plain);
        let (header, body) = sent(request(), Some(&auth(Proof::Post)));
        assert!(header.is_none());
        assert_eq!(body.expose(), alloc::format!("{plain}&client_secret=s%261"));
        let (header, body) = sent(request(), Some(&auth(Proof::Basic)));
        assert!(header.is_some() && body.expose() == plain);
    }

    /// RFC 6749 §3.1: a parameter without a value is one that was left out.
    #[test]
    fn no_scope_is_no_parameter() {
        let (_, body) = sent(TokenRequest::grant("client_credentials").scope(&Scopes::default()), None);
        assert_eq!(body.expose(), "grant_type=client_credentials");
    }

    #[test]
    fn a_value_cannot_add_a_parameter() {
        let request =
            TokenRequest::grant("refresh_token").with_secret("refresh_token", Secret::new("a&b=c d%"));
        let (_, body) = sent(request.with("resource", "https://a.example/?x=1"), None);
        assert_eq!(
            body.expose(),
            "grant_type=refresh_token&refresh_token=a%26b%3Dc+d%25&resource=https%3A%2F%2Fa.example%2F%3Fx%3D1"
        );
    }

    fn json(request: TokenRequest, auth: Option<&ClientAuth>) -> Secret {
        let dialect = Dialect { token_body: TokenBody::Json, ..Dialect::default() };
        let Encoded { body: (kind, body), .. } = request.encode(auth, &dialect);
        assert_eq!(kind, "application/json");
        body
    }

    #[test]
    fn the_same_parameters_are_the_members_of_an_object() {
        let request = TokenRequest::grant("refresh_token")
            .with_secret("refresh_token", Secret::new("a\"b\\c\u{1}\u{1f}é"))
            .with_number("expires_in", 60);
        let body = json(request, Some(&auth(Proof::Post)));
        assert_eq!(
            body.expose(),
            "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"a\\\"b\\\\c\\u0001\\u001fé\",\"expires_in\":60,\
             \"client_id\":\"agents\",\"client_secret\":\"s&1\"}"
        );
        let read: serde_json::Value = serde_json::from_str(body.expose()).unwrap();
        assert_eq!(read["refresh_token"], "a\"b\\c\u{1}\u{1f}é");
    }

    /// RFC 8707 §2 lets `resource` be there more than once, which an object cannot say otherwise.
    #[test]
    fn a_parameter_that_is_there_twice_is_a_list() {
        let request =
            || TokenRequest::grant("x").with("resource", "https://a.example").with("resource", "b:c");
        assert_eq!(
            json(request().with("last", "l"), None).expose(),
            r#"{"grant_type":"x","resource":["https://a.example","b:c"],"last":"l"}"#
        );
        let (_, form) = sent(request(), None);
        assert_eq!(form.expose(), "grant_type=x&resource=https%3A%2F%2Fa.example&resource=b%3Ac");
    }

    /// RFC 7009 §2.1 and RFC 8628 §3.1 know forms alone: a dialect is the token endpoint's.
    #[test]
    fn only_token_requests_are_made_in_the_providers_dialect() {
        let dialect = Dialect {
            token_body: TokenBody::Json,
            token_headers: alloc::vec![Addition::new("x-flag", "1")],
            token_parameters: alloc::vec![Addition::new("audience", "api"), Addition::new("token", "other")],
            ..Dialect::default()
        };
        let Encoded { headers, body: (kind, body) } =
            TokenRequest::default().with("token", "t").encode(None, &dialect);
        assert!(headers.is_empty() && kind == FORM);
        assert_eq!(body.expose(), "token=t");
        let Encoded { headers, body: (_, body) } =
            TokenRequest::grant("g").with("token", "t").encode(None, &dialect);
        assert_eq!(headers.len(), 1);
        assert_eq!(body.expose(), r#"{"grant_type":"g","token":"t","audience":"api"}"#);
    }

    #[test]
    fn there_is_room_for_the_worst_member() {
        for (name, value) in [("\u{1}\u{2}", "\u{3}\u{4}"), ("\u{1}", ""), ("", "\u{1}")] {
            let request = TokenRequest::default().with(name, value);
            let one = request.json().expose().len();
            assert!(longest_member(name, value) + 2 >= one, "{one}");
            let two = request.with(name, value).json().expose().len();
            assert!(2 * longest_member(name, value) + 2 >= two, "{two}");
        }
    }

    #[test]
    fn there_is_room_for_the_worst_and_no_more() {
        for (name, value) in [("&&", "==="), ("&", ""), ("&&&&", "=")] {
            let form = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
            assert_eq!(longest(name, value), form.len() + 1, "one for the sign between two: {form}");
        }
    }
}
