//! Reports what a call waits for, once it has waited for a second. A fresh token never gets here: no clock is read and
//! no thread is started.

use std::{sync::mpsc, time::Duration};

use crate::world::{
    World,
    waiting::{Progress, Waiting},
};

/// What lasts less than this is not reported.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// A wait in a polling loop: reported once, at the first poll after a second, and ended when this is dropped.
pub(crate) struct Wait<'w> {
    world: &'w World,
    began: Option<Duration>,
    told: bool,
}

impl<'w> Wait<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        Self { world, began: None, told: false }
    }

    /// One poll: still waiting, for this.
    pub(crate) fn look(&mut self, what: impl FnOnce() -> Waiting) {
        let Some(listener) = self.world.progress.as_ref().filter(|_| !self.told) else { return };
        let now = self.world.clock.stopwatch();
        if now.saturating_sub(*self.began.get_or_insert(now)) >= WORTH_TELLING {
            self.told = true;
            listener(&Progress::Waiting(what()));
        }
    }

    /// Reports at once: it is known to last.
    pub(crate) fn tell(&mut self, what: impl FnOnce() -> Waiting) {
        if let Some(listener) = self.world.progress.as_ref().filter(|_| !self.told) {
            self.told = true;
            listener(&Progress::Waiting(what()));
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(listener) = self.world.progress.as_ref().filter(|_| self.told) {
            listener(&Progress::Over);
        }
    }
}

/// Runs what blocks, while another thread watches the time for the listener. Without a listener, or if no thread can be
/// started, it is only run.
pub(crate) fn during<T>(world: &World, what: impl FnOnce() -> Waiting, act: impl FnOnce() -> T) -> T {
    let Some(listener) = &world.progress else { return act() };
    let what = what();
    std::thread::scope(|scope| {
        let (done, over) = mpsc::channel::<()>();
        let watch = move || {
            if over.recv_timeout(WORTH_TELLING) == Err(mpsc::RecvTimeoutError::Timeout) {
                listener(&Progress::Waiting(what));
                let _ = over.recv();
                listener(&Progress::Over);
            }
        };
        let _ = std::thread::Builder::new().name("progress".into()).spawn_scoped(scope, watch);
        let done = done;
        let result = act();
        drop(done);
        result
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use keyfob_core::Timestamp;

    use super::*;
    use crate::world::simulated::{Machine, Shared};

    fn listening() -> (World, Arc<Mutex<Vec<Progress>>>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        let world = World {
            progress: Some(Arc::new(move |progress| hears.lock().unwrap().push(progress.clone()))),
            ..Shared::new(Machine::new(Timestamp(1_000_000))).process(1)
        };
        (world, heard)
    }

    fn lease() -> Waiting {
        Waiting::Lease { holder: "process 7 (agent)".into() }
    }

    #[test]
    fn a_wait_is_told_of_once_after_a_second_and_then_over() {
        let (world, heard) = listening();
        let mut wait = Wait::new(&world);
        for _ in 0..9 {
            wait.look(lease);
            world.clock.sleep(Duration::from_millis(110));
        }
        assert!(heard.lock().unwrap().is_empty(), "0.99 s");
        for _ in 0..20 {
            world.clock.sleep(Duration::from_millis(110));
            wait.look(lease);
        }
        drop(wait);
        assert_eq!(heard.lock().unwrap()[..], [Progress::Waiting(lease()), Progress::Over]);
        assert_eq!(lease().to_string(), "process 7 (agent), which is at work on this login");
    }

    #[test]
    fn what_is_short_is_not_told_of_and_what_blocks_is() {
        let (world, heard) = listening();
        assert_eq!(during(&world, lease, || 7), 7);
        assert!(heard.lock().unwrap().is_empty());
        during(&world, lease, || std::thread::sleep(WORTH_TELLING + Duration::from_millis(300)));
        assert_eq!(heard.lock().unwrap()[..], [Progress::Waiting(lease()), Progress::Over]);
    }
}
