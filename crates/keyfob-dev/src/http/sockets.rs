//! Loopback sockets.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket};

/// Enough for several hundred clients that connect at once.
const BACKLOG: u32 = 1024;

/// Opens the port on `127.0.0.1` and on `[::1]`, so that `localhost` reaches this server however it resolves here. A
/// machine may have only one of them.
pub(crate) fn bind(port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut tries = 0;
    loop {
        let v4 = match listen_on(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
            Ok(v4) => v4,
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                let v6 = listen_on(SocketAddr::from((Ipv6Addr::LOCALHOST, port)))?;
                let chosen = v6.local_addr()?.port();
                return Ok((vec![v6], chosen));
            }
            Err(error) => return Err(error),
        };
        let chosen = v4.local_addr()?.port();
        match listen_on(SocketAddr::from((Ipv6Addr::LOCALHOST, chosen))) {
            Ok(v6) => return Ok((vec![v4, v6], chosen)),
            // Somebody else would answer for `localhost`: choose again, or say so.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tries += 1;
                if port != 0 || tries == 20 {
                    return Err(error);
                }
            }
            // A machine without IPv6.
            Err(_) => return Ok((vec![v4], chosen)),
        }
    }
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart on the same port must not wait for connections that linger.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
