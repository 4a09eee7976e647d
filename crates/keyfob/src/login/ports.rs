//! Ports on the loopback interface, in one address family or both.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, TcpListener},
};

/// A literal address and what the redirect calls it.
pub(super) fn one(port: u16) -> io::Result<(&'static str, Vec<TcpListener>)> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(v4) => Ok(("127.0.0.1", vec![v4])),
        Err(error) if lacks_family(&error) => {
            let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).map_err(|_| error)?;
            Ok(("[::1]", vec![v6]))
        }
        Err(error) => Err(error),
    }
}

/// Both families on one port, which the system chose for the first. Another process with the port in one of them
/// would get the answers that the browser sends there.
pub(super) fn both(port: u16) -> io::Result<Vec<TcpListener>> {
    let mut last = None;
    for _ in 0..16 {
        let v4 = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(v4) => v4,
            Err(error) if lacks_family(&error) => {
                return Ok(vec![TcpListener::bind((Ipv6Addr::LOCALHOST, port)).map_err(|_| error)?]);
            }
            Err(error) => return Err(error),
        };
        let chosen = v4.local_addr()?.port();
        match TcpListener::bind((Ipv6Addr::LOCALHOST, chosen)) {
            Ok(v6) => return Ok(vec![v4, v6]),
            Err(error) if lacks_family(&error) => return Ok(vec![v4]),
            Err(error) if port == 0 => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrInUse)))
}

/// Whether a machine has no loopback of this family. A port that is taken is something else.
fn lacks_family(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}
