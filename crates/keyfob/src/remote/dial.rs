//! Opens the connection for a WebSocket through the same connectors as HTTP requests, so that proxy, certificates and
//! time-outs are the same.

use std::{
    io::{self, Read, Write},
    sync::Arc,
    time::Duration,
};

use ureq::{
    Error, Timeout,
    http::Uri,
    unversioned::{
        resolver::Resolver,
        transport::{ConnectionDetails, Connector, NextTimeout, Transport, TransportAdapter, time::Instant},
    },
};

use crate::world::NoAnswer;
use crate::world::system::{
    http::{CONNECT, chain, config},
    names::Names,
    progress::Journey,
    routes::{Routes, Way},
};

/// How long the other side may take nothing.
const WRITE: Duration = Duration::from_secs(30);

/// A connection to another host, with TLS for `wss`. What [`Client::dial`](crate::Client::dial) returns; hand it to a WebSocket
/// client.
pub struct Stream(TransportAdapter);

/// Connects to `wss://` anywhere or `ws://` on loopback, by the proxy if there is one. Nothing has been said then.
///
/// # Errors
/// Why there is no connection; it never counts as sent.
pub fn dial(routes: &Routes, url: &str) -> Result<Stream, NoAnswer> {
    let not_sent = |why: &str| NoAnswer::not_sent(why);
    let as_http = match url.split_once("://") {
        Some(("wss", rest)) => format!("https://{rest}"),
        Some(("ws", rest)) => format!("http://{rest}"),
        _ => return Err(not_sent("the address is not a WebSocket's")),
    };
    let uri: Uri = as_http.parse().map_err(|_| not_sent("the address is not a URL"))?;
    let way = routes.way(&uri)?;
    let journey = Journey::begin(&uri, way.proxy.as_ref());
    match connect(&uri, way) {
        Ok(transport) => Ok(Stream(TransportAdapter::new(transport, Arc::new(Instant::now)))),
        Err(error) => Err(NoAnswer { sent: false, ..journey.failed(&error) }),
    }
}

fn connect(uri: &Uri, way: Way) -> Result<Box<dyn Transport>, Error> {
    let proxied = way.proxy.is_some();
    let config = config(way);
    let resolver = Names;
    let timeout = NextTimeout { after: CONNECT.into(), reason: Timeout::Connect, ..NextTimeout::default() };
    // A name behind the proxy is the proxy's to look up.
    let addrs = if proxied { resolver.empty() } else { resolver.resolve(uri, &config, timeout)? };
    let chain = Arc::new(chain(proxied));
    let run =
        move |details: &ConnectionDetails<'_>| chain.connect(details, None)?.ok_or(Error::ConnectionFailed);
    let run_connector = Arc::new(run);
    let details = ConnectionDetails {
        uri,
        addrs,
        config: &config,
        request_level: false,
        resolver: &resolver,
        now: Instant::now(),
        timeout,
        current_time: Arc::new(Instant::now),
        run_connector: run_connector.clone(),
        register_shutdown: Arc::new(|_| Ok(())),
    };
    run_connector(&details)
}

impl Stream {
    /// Sets how long each read may take from now on; after that it fails with [`io::ErrorKind::WouldBlock`]. A write that the
    /// other side does not accept fails after half a minute.
    pub fn set_patience(&mut self, patience: Duration) {
        let (per_read, per_write) = (Some(patience.into()), Some(WRITE.into()));
        self.0.set_timeout(NextTimeout { per_read, per_write, ..NextTimeout::default() });
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(plain)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(plain)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Patience that has ended is [`io::ErrorKind::WouldBlock`], as with any stream.
fn plain(error: io::Error) -> io::Error {
    let ours = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    if matches!(ours, Some(Error::Timeout(_))) { io::ErrorKind::WouldBlock.into() } else { error }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_read_gives_way_when_its_patience_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream =
            dial(&Routes::default(), &format!("ws://{}/", listener.local_addr().unwrap())).ok().unwrap();
        let (mut other, _) = listener.accept().unwrap();
        stream.set_patience(Duration::from_millis(5));
        let mut buffer = [0; 8];
        for _ in 0..3 {
            assert_eq!(stream.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
        other.write_all(b"later").unwrap();
        while stream.read(&mut buffer).is_err() {}
        assert_eq!(&buffer[..5], b"later");
    }

    #[test]
    fn only_websockets_are_dialled() {
        for url in ["https://example.com/", "example.com", "ws://", "wss://exa mple/"] {
            assert!(dial(&Routes::default(), url).is_err(), "{url}");
        }
        let away = dial(&Routes::default(), "ws://example.com/").err().expect("not on loopback");
        assert!(!away.sent && away.why.contains("loopback"), "{away:?}");
    }
}
