//! A table with a limit: any page in a browser can start as many sign-ins as it likes.

use std::collections::{HashMap, VecDeque};

use crate::state::credential::Digest;

/// How many entries are kept. With the bound on what a request may bring (`serve.rs`) this is at most 8 MiB.
pub(crate) const MOST: usize = 1024;

/// Holds at most [`MOST`] entries: a new one beyond that takes the place of the oldest.
#[derive(Debug)]
pub(crate) struct Bounded<V> {
    entries: HashMap<Digest, V>,
    /// Oldest first.
    order: VecDeque<Digest>,
}

impl<V> Default for Bounded<V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new() }
    }
}

impl<V> Bounded<V> {
    pub(crate) fn insert(&mut self, key: Digest, value: V) {
        if self.entries.insert(key, value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    pub(crate) fn remove(&mut self, key: &Digest) -> Option<V> {
        let removed = self.entries.remove(key)?;
        self.order.retain(|known| known != key);
        Some(removed)
    }

    pub(crate) fn get(&self, key: &Digest) -> Option<&V> {
        self.entries.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &Digest) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut()
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&V) -> bool) {
        self.entries.retain(|_, value| keep(value));
        self.order.retain(|key| self.entries.contains_key(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Digest {
        Digest::of(&number.to_string())
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut table = Bounded::default();
        (0..MOST + 3).for_each(|number| table.insert(key(number), number));
        assert_eq!(table.entries.len(), MOST);
        assert_eq!((table.get(&key(2)), table.get(&key(3))), (None, Some(&3)));
    }

    #[test]
    fn what_left_by_itself_makes_room_too() {
        let mut table = Bounded::default();
        (0..MOST).for_each(|number| table.insert(key(number), number));
        assert_eq!(table.remove(&key(5)), Some(5));
        table.retain(|number| *number != 7);
        table.insert(key(0), 100);
        (MOST..MOST + 2).for_each(|number| table.insert(key(number), number));
        assert_eq!((table.entries.len(), table.order.len()), (MOST, MOST));
        assert_eq!(table.get(&key(0)), Some(&100), "replaced where it stood, and nobody had to make room");
    }
}
