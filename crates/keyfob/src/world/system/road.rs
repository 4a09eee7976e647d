//! The way to a host for a program of this workspace that makes its connections itself: the same certificates and the same
//! proxy as for every other request.

use std::{fmt, sync::Arc};

use keyfob_core::{Error, Id, Result, Secret};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier, crypto::ring};
use ureq::{Proxy, http::Uri, tls::RootCerts};

use crate::world::system::routes::{Routes, shown};

/// How TLS is spoken, and the proxy.
#[derive(Debug)]
pub struct Road {
    /// Whose certificates are believed. Only HTTP/1.1 is offered.
    pub tls: Arc<ClientConfig>,
    /// The proxy in between.
    pub via: Option<Via>,
}

/// A proxy in between, and what it is told.
pub struct Via {
    /// `http://host:port` or `https://host:port`.
    pub address: String,
    /// User and password.
    pub user: Option<(String, Secret)>,
}

impl fmt::Debug for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Via").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Via {
    fn of(proxy: &Proxy) -> Self {
        let user =
            proxy.username().map(|name| (name.to_owned(), Secret::new(proxy.password().unwrap_or_default())));
        Self { address: shown(proxy), user }
    }
}

impl Routes {
    /// The way to an origin.
    ///
    /// # Errors
    /// [`Id::Unreachable`] if there is none: what is wrong with proxy or certificates.
    pub fn road(&self, origin: &str) -> Result<Road> {
        let none = |why: String| Error::new(Id::Unreachable, format!("there is no way to {origin}"), why);
        self.check()?;
        let uri: Uri = origin.parse().map_err(|_| none("it is no address".into()))?;
        let way = self.way(&uri).map_err(|no| none(no.why).maybe_because(no.cause.map(|cause| *cause)))?;
        let tls = tls(&way.roots).map_err(|error| none(error.to_string()))?;
        Ok(Road { tls: Arc::new(tls), via: way.proxy.as_ref().map(Via::of) })
    }
}

fn tls(roots: &RootCerts) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    let mut config = match roots {
        RootCerts::Specific(certificates) => {
            let mut store = RootCertStore::empty();
            for certificate in certificates.iter() {
                // One that cannot be read vouches for nobody.
                let _ = store.add(certificate.der().to_vec().into());
            }
            builder.with_root_certificates(store).with_no_client_auth()
        }
        _ => by_the_system(builder)?,
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Where the system judges certificates itself.
#[cfg(any(target_vendor = "apple", windows, target_os = "android"))]
fn by_the_system(builder: ConfigBuilder<ClientConfig, WantsVerifier>) -> Result<ClientConfig, rustls::Error> {
    use rustls_platform_verifier::BuilderVerifierExt as _;
    Ok(builder.with_platform_verifier()?.with_no_client_auth())
}

#[cfg(not(any(target_vendor = "apple", windows, target_os = "android")))]
fn by_the_system(_: ConfigBuilder<ClientConfig, WantsVerifier>) -> Result<ClientConfig, rustls::Error> {
    Err(rustls::Error::General("this system judges no certificates itself".into()))
}
