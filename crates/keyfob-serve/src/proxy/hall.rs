//! Whoever has come and has not shown yet that they may ask. They have few places, and none of those of clients.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::strict::course::Course;

/// How long somebody keeps a place for which others wait, without showing that they may ask. A client says so as soon as it has
/// connected.
const UNDISTURBED: Duration = Duration::from_millis(100);

/// The places of strangers, of all listeners on loopback.
#[derive(Clone)]
pub(crate) struct Hall {
    places: Arc<Semaphore>,
    guests: Arc<Mutex<VecDeque<Weak<Guest>>>>,
}

/// One who has come.
pub(crate) struct Guest {
    came: Instant,
    course: Course,
    leaves: Notify,
}

impl Guest {
    /// Comes to its end when the place is given to somebody else. Who has shown that they may ask is not sent away.
    pub(crate) async fn has_to_leave(&self) {
        loop {
            self.leaves.notified().await;
            if !self.course.is_known() {
                return;
            }
        }
    }
}

impl Hall {
    pub(crate) fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), guests: Arc::default() }
    }

    /// A place for the next one who comes. If there is none, whoever has been there longest leaves.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let free = Arc::clone(&self.places).acquire_owned();
        let mut free = std::pin::pin!(free);
        loop {
            tokio::select! {
                biased;
                place = &mut free => return place.ok(),
                () = tokio::time::sleep_until(self.next_end()) => self.send_one_away(),
            }
        }
    }

    /// This one has taken a place.
    pub(crate) fn enter(&self, course: &Course) -> Arc<Guest> {
        let guest = Arc::new(Guest { came: Instant::now(), course: course.clone(), leaves: Notify::new() });
        self.guests(|guests| guests.push_back(Arc::downgrade(&guest)));
        guest
    }

    /// When the one who has been there longest may be sent away.
    fn next_end(&self) -> Instant {
        let first = self.guests(|guests| guests.front().and_then(Weak::upgrade).map(|guest| guest.came));
        first.unwrap_or_else(Instant::now) + UNDISTURBED
    }

    fn send_one_away(&self) {
        let first = self.guests(VecDeque::pop_front);
        if let Some(guest) = first.and_then(|guest| guest.upgrade()) {
            guest.leaves.notify_one();
        }
    }

    /// The strangers, without those who have left or have shown that they are none.
    fn guests<T>(&self, look: impl FnOnce(&mut VecDeque<Weak<Guest>>) -> T) -> T {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        while guests.front().is_some_and(is_over) {
            guests.pop_front();
        }
        // Those behind one who stays are looked at when they would make it long.
        if guests.len() == guests.capacity() {
            guests.retain(|guest| !is_over(guest));
        }
        look(&mut guests)
    }
}

fn is_over(guest: &Weak<Guest>) -> bool {
    guest.upgrade().is_none_or(|guest| guest.course.is_known())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_makes_room_for_the_next_one_and_a_client_does_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let hall = Hall::new(3);
            let mut there = VecDeque::new();
            for _ in 0..3 {
                let (place, course) = (hall.place().await, Course::default());
                there.push_back((place, hall.enter(&course), course));
            }
            there[0].2.admit();
            let next = tokio::spawn({
                let hall = hall.clone();
                async move { hall.place().await }
            });
            there[1].1.has_to_leave().await;
            let leaves = tokio::select! {
                biased;
                () = there[0].1.has_to_leave() => true,
                () = std::future::ready(()) => false,
            };
            assert!(!leaves, "it is known");
            there.remove(1);
            assert!(next.await.unwrap().is_some());
        });
    }

    #[test]
    fn whoever_has_left_or_is_known_is_not_remembered() {
        let hall = Hall::new(1);
        for _ in 0..100 {
            hall.enter(&Course::default());
            let course = Course::default();
            let known = hall.enter(&course);
            course.admit();
            drop(known);
        }
        assert_eq!(hall.guests(|guests| guests.len()), 0);
    }
}
