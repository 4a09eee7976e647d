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
        client_auth::{ClientAuth, Proof},
        header::Header,
    },
};

/// The type of a body of parameters (RFC 6749 appendix B).
const FORM: &str = "application/x-www-form-urlencoded";

/// The parameters of one request, in order. Nothing leaves before [`TokenRequest::encode`].
#[derive(Debug, Default)]
pub struct TokenRequest {
    parameters: Vec<(Cow<'static, str>, Secret)>,
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
        Self::default().with("grant_type", grant_type)
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(self, name: impl Into<Cow<'static, str>>, value: impl Into<Box<str>>) -> Self {
        self.with_secret(name, Secret::new(value))
    }

    /// Adds a parameter that must be kept secret.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<Cow<'static, str>>, value: Secret) -> Self {
        self.parameters.push((name.into(), value));
        self
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

    /// The request as it is sent: of a public client, or with the secret of a confidential one.
    #[must_use]
    pub fn encode(mut self, auth: Option<&ClientAuth>) -> Encoded {
        let mut headers = Vec::new();
        match auth.map(|auth| (auth.method, auth)) {
            None => {}
            Some((Proof::Basic, auth)) => headers.push(("Authorization".into(), auth.basic())),
            Some((Proof::Post, auth)) => {
                if !self.parameters.iter().any(|(name, _)| name == "client_id") {
                    self = self.client(&auth.client);
                }
                self = self.with_secret("client_secret", auth.secret.duplicate());
            }
        }
        Encoded { headers, body: (FORM, self.form()) }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the body of the one request that these parameters are for"
    )]
    fn form(&self) -> Secret {
        // Space for all of it, so that the text is never moved, and no copy of it stays behind.
        let room = self.parameters.iter().map(|(name, value)| longest(name, value.expose())).sum();
        let mut form = url::form_urlencoded::Serializer::new(String::with_capacity(room));
        form.extend_pairs(self.parameters.iter().map(|(name, value)| (name, value.expose())));
        Secret::from(form.finish())
    }
}

/// What a parameter takes at most, its two signs included: an octet may take three.
const fn longest(name: &str, value: &str) -> usize {
    3 * (name.len() + value.len()) + 2
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests' own invented secrets")]
mod tests {
    use super::*;

    fn auth(method: Proof) -> ClientAuth {
        ClientAuth { client: ClientId::parse("agents").unwrap(), method, secret: Secret::new("s&1") }
    }

    fn sent(request: TokenRequest, auth: Option<&ClientAuth>) -> (Option<Secret>, Secret) {
        let Encoded { headers, body: (kind, body) } = request.encode(auth);
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

    #[test]
    fn there_is_room_for_the_worst_and_no_more() {
        for (name, value) in [("&&", "==="), ("&", ""), ("&&&&", "=")] {
            let form = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
            assert_eq!(longest(name, value), form.len() + 1, "one for the sign between two: {form}");
        }
    }
}
