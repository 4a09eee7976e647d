//! Remote connections: which WebSocket URLs are allowed, which headers are sent, and what a close code means.

pub mod dial;

use keyfob_core::{
    Cause, Error, Id, Result, Secret, Source, error::escape, oauth::header::Header, source::Purpose,
};

use crate::{
    credential::{grant::Grant, survey::Survey},
    renewal::Need,
    session::Session,
    trusted_device,
    world::system::routes,
};
pub use dial::Stream;

/// Everything a WebSocket client needs to open a connection. What [`Client::handshake`](crate::Client::handshake) returns.
#[derive(Debug)]
#[non_exhaustive]
pub struct Handshake {
    url: String,
    headers: Vec<Header>,
    grant: Grant,
}

/// What to do when a connection has ended. See [`ended`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The credential has expired: pass [`Handshake::into_grant`] to [`Client::handshake`](crate::Client::handshake), and
    /// connect again at once.
    Renew,
    /// The connection is not allowed: another one would be refused too.
    Stop,
    /// It broke: connect again after a pause, longer each time.
    Again,
    /// It was closed normally.
    Done,
}

/// What the close code of a WebSocket means (RFC 6455 §7.4, and the provider's 4401 and 4403). `None` stands for a
/// connection that broke without one.
///
/// ```
/// use keyfob::{Ended, ended};
///
/// assert_eq!(ended(Some(1000)), Ended::Done);
/// assert_eq!(ended(Some(4401)), Ended::Renew);
/// assert_eq!(ended(None), Ended::Again);
/// ```
#[must_use]
pub const fn ended(code: Option<u16>) -> Ended {
    match code {
        Some(4401) => Ended::Renew,
        Some(1000) => Ended::Done,
        Some(4403 | 1002 | 1003 | 1007..=1010) => Ended::Stop,
        _ => Ended::Again,
    }
}

impl Session {
    /// The headers and address for a connection. After it was closed with [`Ended::Renew`], name the grant that
    /// expired: only that generation is renewed.
    pub(crate) fn handshake(&self, url: Option<&str>, expired: Option<&Grant>) -> Result<Handshake> {
        let survey = Survey::of(self, Purpose::Remote);
        // A stored login's token goes where its record says, whatever is configured today.
        let environment = match survey.record {
            Some(_) => self.environment()?.clone(),
            None => self.complete_environment()?,
        };
        let login = survey.record.as_deref();
        let own = login.map_or(&environment.endpoints, |record| &record.endpoints).session_url.clone();
        let (url, is_own) = match (url, own) {
            (None, Some(own)) => (own, true),
            (None, None) => {
                let what = format!("environment `{}` has no session endpoint", environment.name);
                return Err(Error::new(
                    Id::EnvironmentIncomplete,
                    what,
                    "neither configuration nor metadata names one",
                )
                .because(Cause::NoSession {}));
            }
            (Some(url), _) => {
                if !url.starts_with("ws") {
                    return Err(refused(url, NO_WEBSOCKET));
                }
                let named = origin_of(url)?;
                let is_own = environment.may_have_credential(&named, login);
                if !is_own {
                    self.may_leave(url, &named)?;
                }
                (url.to_owned(), is_own)
            }
        };
        let grant = match expired {
            Some(expired) => self.rejected(expired)?,
            None => self.grant_for(Purpose::Remote, &Need::default())?,
        };
        // Another login has been stored meanwhile: what was judged above is not what is used now.
        let judged = login.map(|record| record.generation.login());
        if survey.winner != Some(grant.source)
            || grant.generation.as_ref().map(|g| g.login()) != judged && judged.is_some()
        {
            let what = "the credential for the connection changed while it was prepared";
            return Err(Error::new(Id::LoginChanged, what, format!("it is now that from {}", grant.source)));
        }
        // A device's token never leaves its provider.
        let mut headers: Vec<_> =
            grant.headers.iter().map(|(name, value)| (name.clone(), value.duplicate())).collect();
        headers.retain(|(name, _)| is_own || *name != trusted_device::HEADER);
        Ok(Handshake { url, headers, grant })
    }

    /// Whether the credential that would be used may go to an origin that is not the environment's.
    fn may_leave(&self, url: &str, origin: &str) -> Result<()> {
        let session = matches!(
            Survey::of(self, Purpose::Remote).winner,
            Some(Source::SessionToken | Source::WebSocketDescriptor)
        );
        let approved = || {
            let list = crate::setup::trusted_files::approved(
                self.setup.approved.as_deref(),
                &*self.world.files,
                &self.setup.around,
            )?;
            Ok::<_, Error>(list.has_origin(origin))
        };
        if session && approved()? {
            return Ok(());
        }
        Err(refused(url, "it is not on the environment's own origin, and its credential goes nowhere else"))
    }
}

impl Handshake {
    /// The address to connect to: `wss`, or `ws` on loopback. The headers are for this address and no other.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The headers to add: the credential, and the token of a trusted device where there is one. A device token is never
    /// among them for an address outside the provider's own origins.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.headers.iter().map(|(name, value)| (&**name, value))
    }

    /// The credential in its headers.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The same, to be named when the provider closes the connection for an expired one.
    #[must_use]
    pub fn into_grant(self) -> Grant {
        self.grant
    }

    /// Records that the connection lasted: see [`Grant::was_accepted`].
    pub fn was_accepted(&mut self) {
        self.grant.was_accepted();
    }

    /// The connection to speak over, made as for every request: through the proxy if there is one, to hosts whose
    /// certificate is trusted. Redirects are not followed.
    ///
    /// # Errors
    /// [`ErrorId::Unreachable`](crate::ErrorId::Unreachable); nothing of the credential has been sent then.
    pub(crate) fn dial(&self, session: &Session) -> Result<Stream> {
        dial::dial(&session.setup.routes, &self.url).map_err(|no_answer| {
            let what = format!("{} cannot be reached", crate::provider::origin(&self.url));
            let cause = no_answer.cause.map(|cause| *cause);
            Error::new(Id::Unreachable, what, no_answer.why).maybe_because(cause)
        })
    }
}

/// The origin of a WebSocket address, or of an endpoint beside it, as https or http.
fn origin_of(text: &str) -> Result<String> {
    let as_http = match text.split_once("://") {
        Some(("wss" | "https", rest)) => format!("https://{rest}"),
        Some(("ws" | "http", rest)) => format!("http://{rest}"),
        _ => return Err(refused(text, NO_WEBSOCKET)),
    };
    let url = keyfob_core::contract::values::url(&as_http).map_err(|why| refused(text, why))?;
    if url.scheme() == "http" && !routes::is_loopback(url.host_str().unwrap_or("")) {
        return Err(refused(text, "ws is for loopback: use wss"));
    }
    Ok(url.origin().ascii_serialization())
}

const NO_WEBSOCKET: &str = "expected an address that begins with wss:// (or ws:// on loopback)";

fn refused(url: &str, why: &str) -> Error {
    Error::new(Id::UrlNotApproved, format!("the address {} is not one to connect to", escape(url)), why)
        .because(Cause::ForeignOrigin {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_the_one_that_is_dialled() {
        for (url, origin) in [
            ("wss://api.example/other", "https://api.example"),
            ("wss://api.example:443/x", "https://api.example"),
            ("wss://API.example/v1", "https://api.example"),
            ("wss://api.example:8443/", "https://api.example:8443"),
            ("ws://127.0.0.1:3000/x", "http://127.0.0.1:3000"),
            ("wss://api.example.evil.example/", "https://api.example.evil.example"),
        ] {
            assert_eq!(origin_of(url).ok().as_deref(), Some(origin), "{url}");
        }
        for wrong in [
            "ws://api.example/",
            "ftp://api.example/",
            "wss://api.example@evil.example/",
            "wss:/api.example/",
        ] {
            assert_eq!(origin_of(wrong).err().map(|e| e.id()), Some(Id::UrlNotApproved), "{wrong}");
        }
    }

    #[test]
    fn close_codes_are_sorted() {
        assert_eq!(ended(Some(4401)), Ended::Renew);
        assert_eq!(ended(Some(4403)), Ended::Stop);
        assert_eq!(ended(Some(1001)), Ended::Again);
        assert_eq!(ended(Some(1000)), Ended::Done);
        assert_eq!(ended(None), Ended::Again);
    }
}
