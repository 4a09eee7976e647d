//! Looks up names. That blocks a thread for as long as the system likes, so there is an end to how many do at the same time.

use std::{
    error::Error as StdError,
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use tokio::sync::Semaphore;

/// Names that are looked up at the same time, by the whole proxy.
pub(crate) const AT_ONCE: usize = 8;
/// How long a name waits for its turn. Shorter than a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Turns at the system's resolver.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    turns: Arc<Semaphore>,
    patience: Duration,
}

/// There was no turn in time.
#[derive(Debug)]
pub(crate) struct Crowded;

impl fmt::Display for Crowded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many names are being looked up")
    }
}

impl StdError for Crowded {}

impl Names {
    pub(crate) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), patience: PATIENCE }
    }

    /// The addresses of a host. One that is an address is its own, and needs no turn.
    pub(crate) async fn look_up(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![(address, port).into()]);
        }
        let host = host.to_owned();
        self.in_turn(move || Ok((host.as_str(), port).to_socket_addrs()?.collect())).await
    }

    /// Does this in a thread that may block. Whoever has asked may leave: the turn is over when the thread is free again.
    async fn in_turn<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let turn = tokio::time::timeout(self.patience, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(io::Error::new(io::ErrorKind::TimedOut, Crowded)) };
        let looked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            look()
        });
        looked.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    use crate::proxy::upstream::crowded;

    #[test]
    fn names_are_looked_up_in_turns_and_addresses_without() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let names = Names { patience: Duration::ZERO, ..Names::new() };
            let (free, frees): (Vec<_>, Vec<_>) = (0..AT_ONCE).map(|_| mpsc::channel::<()>()).unzip();
            let looking: Vec<_> = frees
                .into_iter()
                .map(|freed| {
                    let names = names.clone();
                    tokio::spawn(async move {
                        names.in_turn(move || freed.recv().map_err(|_| io::ErrorKind::NotFound.into())).await
                    })
                })
                .collect();
            while names.turns.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            let error = names.look_up("localhost", 80).await.expect_err("nobody has a turn");
            assert!(crowded(&error), "{error}");
            assert_eq!(names.look_up("::1", 80).await.unwrap(), ["[::1]:80".parse().unwrap()]);
            // Whoever has left still has the turn.
            looking[0].abort();
            assert_eq!(names.turns.available_permits(), 0);
            drop(free);
            for looked in looking {
                let _ = looked.await;
            }
            let patient = Names { patience: PATIENCE, ..names };
            assert!(!patient.look_up("localhost", 80).await.unwrap().is_empty());
        });
    }
}
