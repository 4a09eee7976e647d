//! Where connections come from: a socket, or a descriptor that others have inherited.

use std::{io, os::fd::AsFd as _, os::unix::net::UnixStream as StdStream};

use tokio::{
    io::Interest,
    net::{UnixListener, UnixStream},
};

use crate::doorbell::{self, Pipes, Rung};

/// What connections come from.
pub(crate) enum Listener {
    Socket(UnixListener),
    Bell(UnixStream),
    /// Nobody comes.
    None,
}

/// What came.
pub(crate) enum Next {
    Stream(UnixStream),
    Pipes(Pipes),
    /// Nothing can come any more.
    Gone,
    /// Nothing came this time.
    Failed,
}

impl Listener {
    pub(crate) fn bell(ours: StdStream) -> io::Result<Self> {
        ours.set_nonblocking(true)?;
        Ok(Self::Bell(UnixStream::from_std(ours)?))
    }

    /// Waits for the next connection. May be dropped and called again.
    pub(crate) async fn next(&self) -> Next {
        match self {
            Self::None => std::future::pending().await,
            Self::Socket(listener) => {
                listener.accept().await.map_or(Next::Failed, |(stream, _)| Next::Stream(stream))
            }
            Self::Bell(bell) => loop {
                if bell.readable().await.is_err() {
                    return Next::Gone;
                }
                match bell.try_io(Interest::READABLE, || doorbell::answer(bell.as_fd())) {
                    Ok(Rung::Connection(pipes)) => return Next::Pipes(pipes),
                    Ok(Rung::Gone) => return Next::Gone,
                    Ok(Rung::Nothing) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Next::Failed,
                }
            },
        }
    }
}
