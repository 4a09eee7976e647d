//! Remote and bridge connections: where a WebSocket may lead, with which headers, and what its end means.

use keyfob_core::{Error, Id, Result, Secret, error::escape, source::Purpose};
use url::Url;

pub use crate::real::dial::Stream;
use crate::{
    client::Client,
    device,
    grant::Grant,
    real::{dial, routes},
    renew::Need,
};

/// Everything a WebSocket client needs to open the connection.
#[derive(Debug)]
pub struct Handshake {
    /// `wss`, or `ws` on loopback.
    pub url: String,
    /// The headers to add: the credential, and the device's token where there is one.
    pub headers: Vec<(&'static str, Secret)>,
    /// The credential itself, to be named when the provider closes for an expired one.
    pub grant: Grant,
}

/// What to do when a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The credential has expired: renew it, then connect again at once.
    Renew,
    /// It is not allowed: connecting again would be refused again.
    Stop,
    /// It went away: connect again after a pause that grows.
    Again,
    /// It was ended in order.
    Done,
}

/// What a close code means (RFC 6455 §7.4, and the provider's own 4401 and 4403).
#[must_use]
pub const fn ended(code: Option<u16>) -> Ended {
    match code {
        Some(4401) => Ended::Renew,
        Some(1000) => Ended::Done,
        Some(4403 | 1002 | 1003 | 1007..=1010) => Ended::Stop,
        _ => Ended::Again,
    }
}

impl Client {
    /// The headers and address for a connection. After it was closed with [`Ended::Renew`], name the grant that
    /// expired: only that generation is renewed.
    ///
    /// # Errors
    /// [`Id::UrlNotApproved`] when the address is neither the environment's nor on its origin; as
    /// [`Client::grant`].
    pub fn handshake(&self, url: Option<&str>, expired: Option<&Grant>) -> Result<Handshake> {
        let environment = self.complete_environment()?;
        let own = environment.endpoints.session_url.clone();
        let url = match (url, own) {
            (None, Some(own)) => own,
            (None, None) => {
                let what = format!("environment `{}` has no session endpoint", environment.name);
                return Err(Error::new(
                    Id::EnvironmentIncomplete,
                    what,
                    "neither configuration nor metadata names one",
                )
                .hint("name the address: `keyfob connect URL`"));
            }
            (Some(url), own) => {
                let origins = [
                    own.as_deref(),
                    environment.api_base.as_deref(),
                    environment.endpoints.token_url.as_deref(),
                ];
                allowed(url, &origins)?
            }
        };
        let grant = match expired {
            Some(expired) => self.rejected(expired)?,
            None => self.grant_for(Purpose::Remote, &Need::default())?,
        };
        let mut headers: Vec<_> =
            grant.headers.iter().map(|(name, value)| (*name, value.duplicate())).collect();
        if let Some(device) = self.device()? {
            headers.push((device::HEADER, device.token));
        }
        Ok(Handshake { url, headers, grant })
    }
}

impl Handshake {
    /// The connection to speak over, made as every request is: through the proxy there is, to hosts whose
    /// certificate is believed. Whoever answers with a redirect is not followed.
    ///
    /// # Errors
    /// [`Id::Unreachable`]; nothing of the credential has been sent then.
    pub fn dial(&self, client: &Client) -> Result<Stream> {
        dial::dial(&client.setup.routes, &self.url).map_err(|no_answer| {
            let what = format!("{} cannot be reached", crate::establish::origin(&self.url));
            Error::new(Id::Unreachable, what, no_answer.why)
        })
    }
}

/// A WebSocket address somebody named: on an origin that is this environment's own.
fn allowed(text: &str, own: &[Option<&str>]) -> Result<String> {
    let refuse = |why: &str| {
        Error::new(Id::UrlNotApproved, format!("the address {}", escape(text)), why)
            .hint("connect to the environment's own host")
    };
    let as_http = match text.split_once("://") {
        Some(("wss", rest)) => format!("https://{rest}"),
        Some(("ws", rest)) => format!("http://{rest}"),
        _ => return Err(refuse("expected an address that begins with wss:// (or ws:// on loopback)")),
    };
    let url = keyfob_core::values::url(&as_http).map_err(refuse)?;
    if url.scheme() == "http" && !routes::is_loopback(url.host_str().unwrap_or("")) {
        return Err(refuse("ws is for loopback: use wss"));
    }
    let same = |own: &str| {
        let own = own.replacen("ws", "http", usize::from(own.starts_with("ws")));
        Url::parse(&own).is_ok_and(|own| own.origin() == url.origin())
    };
    if !own.iter().flatten().any(|own| same(own)) {
        return Err(refuse(
            "it is not on the environment's own origin, and its credential goes nowhere else",
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_on_their_origin() {
        let own = [Some("wss://api.example/v1/session/ws"), Some("https://id.example"), None];
        for right in ["wss://api.example/other", "wss://id.example:443/x", "wss://API.example/v1"] {
            assert!(allowed(right, &own).is_ok(), "{right}");
        }
        for wrong in [
            "wss://evil.example/",
            "ws://api.example/v1/session/ws",
            "https://api.example/",
            "wss://api.example:8443/",
            "wss://api.example@evil.example/",
            "wss://api.example.evil.example/",
            "wss:/api.example/",
        ] {
            assert_eq!(allowed(wrong, &own).err().map(|e| e.id()), Some(Id::UrlNotApproved), "{wrong}");
        }
        assert!(allowed("ws://127.0.0.1:3000/x", &[Some("ws://127.0.0.1:3000/v1/session/ws")]).is_ok());
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
