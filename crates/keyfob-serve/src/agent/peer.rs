//! Who is at the other end of a connection, as the kernel says.

use std::fs;

use tokio::net::UnixStream;

use crate::agent::users;

/// The process that connected.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Its user, as it is seen from here: a user namespace of its own does not make it another one. `None`: it may be anybody.
    pub(crate) uid: Option<u32>,
    pid: Option<i32>,
    /// When that process began: a number alone may be another's by the time it is written down.
    began: Option<String>,
}

impl Peer {
    /// The peer of a connection that was just accepted.
    pub(crate) fn of(stream: &UnixStream, with_process: bool) -> Self {
        let Ok(credentials) = stream.peer_cred() else {
            return Self { uid: None, pid: None, began: None };
        };
        let pid = credentials.pid().filter(|pid| *pid > 0);
        let began = pid.filter(|_| with_process).and_then(began);
        Self { uid: Some(credentials.uid()).filter(|uid| users::is_one(*uid)), pid, began }
    }

    /// A process that inherited the way to us, from one of this user's.
    pub(crate) fn inherited() -> Self {
        Self { uid: Some(rustix::process::geteuid().as_raw()), pid: None, began: None }
    }

    /// Somebody of whom the system says nothing: the other end of a TCP connection.
    pub(crate) fn unknown() -> Self {
        Self { uid: None, pid: None, began: None }
    }

    /// Its number, if that process is still the one that connected.
    pub(crate) fn pid(&self) -> Option<i32> {
        let pid = self.pid?;
        (self.began.is_some() && began(pid) == self.began).then_some(pid)
    }
}

/// The start of a process, in ticks since the machine's own (proc(5), `/proc/PID/stat`, field 22). The second field is
/// a name that may hold anything, so what counts is behind its last bracket.
fn began(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_number_and_beginning() {
        let own = std::process::id().cast_signed();
        let peer = Peer { uid: None, pid: Some(own), began: began(own) };
        assert_eq!(peer.pid(), Some(own));
        let another = Peer { began: Some("1".into()), ..peer };
        assert_eq!(another.pid(), None, "the number is another process's now");
    }
}
