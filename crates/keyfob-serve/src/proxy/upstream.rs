//! The way to the target: connections that are kept, over addresses that were judged, with the certificates and the proxy
//! that keyfob itself uses.

use std::{
    error::Error as StdError,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{self, connect::proxy::Tunnel},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use keyfob::{Error, ErrorId, Result, Secret};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::proxy::{
    address::{self, Reach},
    names::{Crowded, Names},
    target::{Target, is_loopback},
};

/// Name, address, TCP and TLS, and the tunnel of a proxy: together.
const CONNECTING: Duration = Duration::from_secs(15);
/// How long a connection is kept that nobody uses. Shorter than servers keep one.
const IDLE: Duration = Duration::from_secs(20);

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// How a target is reached: whose certificates are believed, and through which proxy.
pub struct Road {
    tls: Arc<ClientConfig>,
    proxy: Option<(Uri, Option<Secret>)>,
}

impl fmt::Debug for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Road").finish_non_exhaustive()
    }
}

impl Road {
    /// Directly, believing what this configuration believes.
    #[must_use]
    pub fn direct(tls: Arc<ClientConfig>) -> Self {
        Self { tls, proxy: None }
    }

    /// Through this proxy (`http://host:port` or `https://host:port`), which is told this user and password.
    ///
    /// # Errors
    /// [`ErrorId::ProxyMalformed`] for what is no such address.
    pub fn through(mut self, proxy: &str, user: Option<(&str, &Secret)>) -> Result<Self> {
        let what = "the proxy on the way out cannot be used";
        let address =
            proxy.parse().map_err(|_| Error::new(ErrorId::ProxyMalformed, what, "it is no address"))?;
        self.proxy = Some((address, user.map(|(name, password)| basic(name, password))));
        Ok(self)
    }
}

type Plain = HttpsConnector<Dial>;
type Tunnelled = HttpsConnector<Tunnel<Plain>>;

/// The target, and the connections to it.
pub(crate) enum Upstream {
    Direct(legacy::Client<Timed<Plain>, Body>),
    Proxied(Box<legacy::Client<Timed<Tunnelled>, Body>>),
}

impl Upstream {
    pub(crate) fn new(target: &Target, road: Road, is_private: bool, names: &Names) -> Self {
        let bare = target.host().trim_start_matches('[').trim_end_matches(']');
        let is_near = is_private
            || is_loopback(bare)
            || bare.parse().is_ok_and(|address| address::judge(address, Reach::Public).is_err());
        let reach = match (target.is_tls(), is_near) {
            (false, _) => Reach::Loopback,
            (true, true) => Reach::Near,
            (true, false) => Reach::Public,
        };
        let Road { tls, proxy } = road;
        // What is not encrypted is shown to no proxy, and an address that is none to go to is refused where we dial.
        let is_refused = bare.parse().is_ok_and(|address| address::judge(address, reach).is_err());
        let proxy = proxy.filter(|_| target.is_tls() && !is_refused);
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(IDLE).pool_timer(TokioTimer::new()).timer(TokioTimer::new());
        builder.set_host(false);
        match proxy {
            None => {
                let dial = Dial { reach: Some(reach), names: names.clone() };
                Self::Direct(builder.build(Timed(HttpsConnector::from((dial, tls)))))
            }
            Some((address, authorization)) => {
                // The proxy is where whoever set us up says, and the name behind it is the proxy's to look up.
                let plain =
                    HttpsConnector::from((Dial { reach: None, names: names.clone() }, Arc::clone(&tls)));
                let mut tunnel = Tunnel::new(address, plain);
                if let Some(value) = authorization.as_ref().and_then(header) {
                    tunnel = tunnel.with_auth(value);
                }
                Self::Proxied(Box::new(builder.build(Timed(HttpsConnector::from((tunnel, tls))))))
            }
        }
    }

    /// Sends one request, and returns when its answer begins.
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, legacy::Error> {
        match self {
            Self::Direct(client) => client.request(request).await,
            Self::Proxied(client) => client.request(request).await,
        }
    }
}

/// RFC 7617 §2.
#[expect(clippy::disallowed_methods, reason = "it is for the proxy that the user named it for")]
fn basic(name: &str, password: &Secret) -> Secret {
    Secret::new(format!("Basic {}", STANDARD.encode(format!("{name}:{}", password.expose()))))
}

#[expect(clippy::disallowed_methods, reason = "it is for the proxy that the user named it for")]
fn header(secret: &Secret) -> Option<HeaderValue> {
    HeaderValue::from_str(secret.expose()).ok()
}

/// An address that is not dialled.
#[derive(Debug)]
pub(crate) struct Forbidden(&'static str);

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for Forbidden {}

/// Why an address was refused, if that is why there is no connection.
pub(crate) fn forbidden(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    within::<Forbidden>(error).map(|Forbidden(why)| *why)
}

/// Whether there is no connection because too many names are being looked up.
pub(crate) fn crowded(error: &(dyn StdError + 'static)) -> bool {
    within::<Crowded>(error).is_some()
}

/// An error of ours, somewhere within another one.
fn within<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(ours) = error.downcast_ref() {
            return Some(ours);
        }
        // An error of the system's has one of ours inside, and not as its source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(ours) = inner.and_then(|inner| inner.downcast_ref()) {
            return Some(ours);
        }
        next = error.source();
    }
    None
}

/// Dials. The name is looked up once; every address it has is judged, and the first that answers is used.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    /// `None`: anywhere.
    reach: Option<Reach>,
    names: Names,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (reach, names) = (self.reach, self.names.clone());
        Box::pin(async move { Ok(TokioIo::new(dial(&uri, reach, &names).await?)) })
    }
}

async fn dial(uri: &Uri, reach: Option<Reach>, names: &Names) -> io::Result<TcpStream> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    let addresses = names.look_up(host, uri.port_u16().unwrap_or(usual)).await?;
    if let Some(reach) = reach {
        // One that is refused makes the name a bad one: it is not to say which of its addresses we take.
        for address in &addresses {
            address::judge(address.ip(), reach)
                .map_err(|why| io::Error::new(io::ErrorKind::PermissionDenied, Forbidden(why)))?;
        }
    }
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    // One that does not answer leaves time for the others.
    let share = CONNECTING / u32::try_from(addresses.len() + 1).unwrap_or(u32::MAX);
    for address in addresses {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small parts of an answer go out at once.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

/// A connector that has to come to an end.
#[derive(Clone, Debug)]
pub(crate) struct Timed<C>(C);

impl<C> Service<Uri> for Timed<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(CONNECTING, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    }
}
