//! The threads that ask the library, which may block.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, channel},
    },
    thread,
};

use keyfob::Error;
use keyfob::internals::{core::Id, world::failure};

use super::{event::Event, logins::Logins, question::Get};

/// Threads that ask at the same time. Each waits for a disk, a provider, or another process that renews: one of all renews, and
/// the others get what it brings, or what is still good meanwhile.
const MOST: usize = 16;

/// A question, and its number.
type Job = (u64, Get);

/// The threads. They end with the process.
pub(super) struct Workers {
    logins: Arc<Logins>,
    tell: SyncSender<Event>,
    give: Sender<Job>,
    take: Arc<Mutex<Receiver<Job>>>,
    started: usize,
    busy: usize,
}

impl Workers {
    pub(super) fn new(logins: Arc<Logins>, tell: SyncSender<Event>) -> Self {
        let (give, take) = channel();
        Self { logins, tell, give, take: Arc::new(Mutex::new(take)), started: 0, busy: 0 }
    }

    /// Has a question answered: by an idle thread, a new one, or the first that becomes idle.
    pub(super) fn ask(&mut self, number: u64, get: Get) -> Result<(), Error> {
        if self.busy >= self.started && self.started < MOST {
            match self.start() {
                Ok(()) => self.started += 1,
                Err(error) if self.started == 0 => {
                    return Err(failure::failed(Id::SystemFailed, "the question cannot be answered", error));
                }
                Err(_) => {}
            }
        }
        self.busy += 1;
        // The receiver is ours too: it is there.
        let _ = self.give.send((number, get));
        Ok(())
    }

    /// One has answered.
    pub(super) fn is_done(&mut self) {
        self.busy = self.busy.saturating_sub(1);
    }

    fn start(&self) -> std::io::Result<()> {
        let (logins, tell, take) = (Arc::clone(&self.logins), self.tell.clone(), Arc::clone(&self.take));
        let work = move || {
            loop {
                let job = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((number, get)) = job else { return };
                let outcome = logins.grant(&get).map(Box::new);
                if tell.send(Event::Done { number, outcome }).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("question".into()).spawn(work).map(drop)
    }
}
