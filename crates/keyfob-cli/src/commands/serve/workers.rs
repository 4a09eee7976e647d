//! The threads that ask the library, which may block.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, channel},
    },
    thread,
};

use keyfob::{
    Error, Grant,
    internals::{core::Id, world::failure},
};

use super::{event::Event, question::Get};

/// Threads that ask at the same time. Each waits for a disk, a provider, or another process that renews.
const MOST: usize = 64;
/// Those of them that ask for one login: if its provider hangs, the others are answered all the same. One of them renews, and
/// the rest get what it brings, or what is still good meanwhile.
const FOR_ONE: usize = 4;

/// Who answers.
type Answers = dyn Fn(&Get) -> Result<Grant, Error> + Send + Sync;
/// A question, and its number.
type Job = (u64, Get);

/// The threads. They end with the process.
pub(super) struct Workers {
    answers: Arc<Answers>,
    tell: SyncSender<Event>,
    give: Sender<Job>,
    take: Arc<Mutex<Receiver<Job>>>,
    started: usize,
    /// The profile of each question that is with a thread.
    asking: BTreeMap<u64, Option<String>>,
    /// Those that are not. They are kept here so that they can be forgotten.
    queue: VecDeque<Job>,
}

impl Workers {
    pub(super) fn new(answers: Arc<Answers>, tell: SyncSender<Event>) -> Self {
        let (give, take) = channel();
        let (take, asking, queue) = (Arc::new(Mutex::new(take)), BTreeMap::new(), VecDeque::new());
        Self { answers, tell, give, take, started: 0, asking, queue }
    }

    /// Has a question answered: by an idle thread, a new one, or the first that becomes idle and may.
    pub(super) fn ask(&mut self, number: u64, get: Get) -> Result<(), Error> {
        if self.started == 0 {
            self.start().map_err(|error| {
                failure::failed(Id::SystemFailed, "the question cannot be answered", error)
            })?;
        }
        self.queue.push_back((number, get));
        self.go_on();
        Ok(())
    }

    /// This one has been answered.
    pub(super) fn is_done(&mut self, number: u64) {
        self.asking.remove(&number);
        self.go_on();
    }

    /// Nobody waits for these any more. Those that have not begun never do.
    pub(super) fn forget(&mut self, late: &[u64]) {
        if !late.is_empty() {
            self.queue.retain(|(number, _)| !late.contains(number));
        }
    }

    /// Gives the threads what they may begin.
    fn go_on(&mut self) {
        while let Some(at) = self.next() {
            let is_idle = self.asking.len() < self.started;
            // Without a further thread the first that becomes idle takes it.
            if !is_idle && (self.started >= MOST || self.start().is_err()) {
                return;
            }
            if let Some((number, get)) = self.queue.remove(at) {
                self.asking.insert(number, get.profile.clone());
                // The receiver is ours too: it is there.
                let _ = self.give.send((number, get));
            }
        }
    }

    /// The first in the queue whose login has room.
    fn next(&self) -> Option<usize> {
        let mut of = BTreeMap::<_, usize>::new();
        for profile in self.asking.values() {
            *of.entry(profile).or_default() += 1;
        }
        self.queue.iter().position(|(_, get)| of.get(&get.profile).is_none_or(|count| *count < FOR_ONE))
    }

    fn start(&mut self) -> std::io::Result<()> {
        let (answers, tell, take) = (Arc::clone(&self.answers), self.tell.clone(), Arc::clone(&self.take));
        let work = move || {
            loop {
                let job = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((number, get)) = job else { return };
                let outcome = answers(&get).map(Box::new);
                if tell.send(Event::Done { number, outcome }).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("question".into()).spawn(work)?;
        self.started += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::args::Wanted;

    /// Workers for which the login `slow` is answered once for each unit that is sent; what has begun; and what is done.
    fn workers() -> (Workers, Sender<()>, Receiver<Option<String>>, Receiver<Event>) {
        let (tell, events) = sync_channel(1024);
        let (go, gate) = channel();
        let (begin, begun) = channel();
        let gate = Mutex::new(gate);
        let answers = move |get: &Get| {
            begin.send(get.profile.clone()).expect("somebody looks");
            if get.profile.as_deref() == Some("slow") {
                let _ = gate.lock().expect("no panic").recv();
            }
            Err(Error::new(Id::Unreachable, "there is no answer", "this is a test"))
        };
        (Workers::new(Arc::new(answers), tell), go, begun, events)
    }

    fn get(profile: &str) -> Get {
        Get { origin: None, profile: Some(profile.into()), wanted: Wanted::default() }
    }

    fn done(events: &Receiver<Event>) -> u64 {
        match events.recv() {
            Ok(Event::Done { number, .. }) => number,
            _ => panic!("nothing else comes"),
        }
    }

    #[test]
    fn a_login_that_hangs_keeps_no_other_waiting() {
        let (mut workers, go, _begun, events) = workers();
        for number in 0..200 {
            workers.ask(number, get("slow")).expect("a thread");
        }
        assert_eq!((workers.asking.len(), workers.queue.len()), (FOR_ONE, 200 - FOR_ONE));
        for number in 200..300 {
            workers.ask(number, get("quick")).expect("a thread");
            let first = done(&events);
            assert_eq!(first, number);
            workers.is_done(first);
        }
        for _ in 0..200 {
            go.send(()).expect("they wait");
            workers.is_done(done(&events));
        }
        assert!(workers.asking.is_empty() && workers.queue.is_empty());
        assert!(workers.started <= FOR_ONE + 1, "a thread that is idle is used");
    }

    #[test]
    fn there_are_only_so_many_threads() {
        let (mut workers, go, _begun, events) = workers();
        // Other logins hang, all but one thread with them.
        for number in 1..MOST as u64 {
            workers.asking.insert(1000 + number, Some(format!("other {number}")));
        }
        workers.started = MOST - 1;
        workers.ask(1, get("slow")).expect("a thread");
        workers.ask(2, get("quick")).expect("a place in the queue");
        assert_eq!((workers.started, workers.queue.len()), (MOST, 1), "no thread is idle");
        go.send(()).expect("it waits");
        for number in [1, 2] {
            assert_eq!(done(&events), number);
            workers.is_done(number);
        }
    }

    #[test]
    fn what_nobody_waits_for_any_more_never_begins() {
        let (mut workers, go, begun, events) = workers();
        for number in 0..200 {
            workers.ask(number, get("slow")).expect("a thread");
        }
        workers.forget(&(0..200).collect::<Vec<_>>());
        assert_eq!((workers.asking.len(), workers.queue.len()), (FOR_ONE, 0), "what has begun goes on");
        for _ in 0..FOR_ONE {
            go.send(()).expect("they wait");
            workers.is_done(done(&events));
        }
        workers.ask(200, get("quick")).expect("a thread");
        assert_eq!(done(&events), 200);
        // All that has begun is known: whoever answers says so before.
        assert_eq!(begun.try_iter().filter(|profile| profile.as_deref() == Some("slow")).count(), FOR_ONE);
    }
}
