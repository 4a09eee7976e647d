//! A descriptor through which connections are passed: for a program that inherits it and may not open a socket.
//!
//! A connected socket that several processes inherit cannot carry HTTP: their requests and answers would mix. So nothing
//! of HTTP goes over it. Whoever wants to ask makes two pipes and passes an end of each (SCM_RIGHTS, unix(7)): on the
//! first the agent reads requests, on the second it writes answers. Sandboxes that refuse `socket(AF_UNIX)` refuse neither
//! pipes nor messages on what was inherited.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll},
};

use rustix::{
    io::{FdFlags, fcntl_getfd, fcntl_setfd},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::unix::pipe,
};

/// The one octet of a message: a message has to have one.
const RING: [u8; 1] = [b'k'];

/// A connection made of two pipes.
pub(crate) struct Pipes {
    read: pipe::Receiver,
    write: pipe::Sender,
}

/// What came through the descriptor.
pub(crate) enum Rung {
    /// Somebody wants to ask.
    Connection(Pipes),
    /// Something else, which is passed over.
    Nothing,
    /// Everybody who could has closed it.
    Gone,
}

/// Passes a new connection to the agent at the other end.
///
/// # Errors
/// It is no such descriptor; the system's.
pub(crate) fn ring(bell: impl AsFd) -> io::Result<Pipes> {
    let is_socket = rustix::net::sockopt::socket_type(&bell)? == rustix::net::SocketType::STREAM;
    let address = rustix::net::getsockname(&bell)?;
    if !is_socket || address.address_family() != AddressFamily::UNIX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no socket of an agent's"));
    }
    let (their_read, our_write) = io::pipe()?;
    let (our_read, their_write) = io::pipe()?;
    let passed = [their_read.as_fd(), their_write.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&passed));
    sendmsg(&bell, &[IoSlice::new(&RING)], &mut control, SendFlags::empty())?;
    Pipes::new(our_read.into(), our_write.into())
}

/// Takes what came, without waiting.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if nothing has come; the system's.
pub(crate) fn answer(bell: BorrowedFd<'_>) -> io::Result<Rung> {
    let mut octet = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(bell, &mut [IoSliceMut::new(&mut octet)], &mut control, close_on_exec())?;
    let mut passed: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            passed.extend(descriptors);
        }
    }
    for descriptor in &passed {
        fcntl_setfd(descriptor, fcntl_getfd(descriptor)? | FdFlags::CLOEXEC)?;
    }
    if received.bytes == 0 {
        return Ok(Rung::Gone);
    }
    let Ok([read, write]) = <[OwnedFd; 2]>::try_from(passed) else { return Ok(Rung::Nothing) };
    // What is no pipe is not read from: it could be any file of whoever passed it.
    Ok(Pipes::new(read, write).map_or(Rung::Nothing, Rung::Connection))
}

/// At once where the system can; otherwise the flag is set right after.
const fn close_on_exec() -> RecvFlags {
    #[cfg(target_os = "linux")]
    return RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    RecvFlags::empty()
}

impl Pipes {
    fn new(read: OwnedFd, write: OwnedFd) -> io::Result<Self> {
        Ok(Self { read: pipe::Receiver::from_owned_fd(read)?, write: pipe::Sender::from_owned_fd(write)? })
    }
}

impl AsyncRead for Pipes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipes {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::unix::net::UnixStream};

    fn send(bell: &UnixStream, passed: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !passed.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(passed));
        }
        sendmsg(bell, &[IoSlice::new(&RING)], &mut control, SendFlags::empty()).unwrap();
    }

    #[test]
    fn only_two_pipes_of_the_right_kind_are_a_connection() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let (theirs, ours) = UnixStream::pair().unwrap();
        assert!(ring(&theirs).is_ok());
        assert!(matches!(answer(ours.as_fd()), Ok(Rung::Connection(_))));
        let file = File::open("/dev/null").unwrap();
        let (read, write) = io::pipe().unwrap();
        send(&theirs, &[]);
        send(&theirs, &[read.as_fd()]);
        send(&theirs, &[file.as_fd(), write.as_fd()]);
        send(&theirs, &[write.as_fd(), read.as_fd()]);
        for _ in 0..4 {
            assert!(matches!(answer(ours.as_fd()), Ok(Rung::Nothing)));
        }
        send(&theirs, &[read.as_fd(), write.as_fd()]);
        assert!(matches!(answer(ours.as_fd()), Ok(Rung::Connection(_))));
        drop(theirs);
        assert!(matches!(answer(ours.as_fd()), Ok(Rung::Gone)));
        assert!(ring(&file).is_err() && ring(&read).is_err());
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(ring(&tcp).is_err());
    }
}
