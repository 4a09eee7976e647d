//! Takes secrets out of what an upstream answers, as it streams by.
//!
//! A service may tell the credential that it was sent: in an error that quotes the request, an echo, a debug page. What is
//! found is covered with as many other octets, so that lengths that were announced stay true. It is found as it is, in
//! hexadecimal, in base64 however it is aligned in the text around it (so `Basic` of a user and it, too), each also escaped
//! as for URLs, JSON and strings of most languages, and across chunks. It is not found compressed, encrypted, encoded twice
//! in other ways, in parts, or in a form that somebody made up: SECURITY.md says what that means.
//!
//! What is held back is what may still become a secret, and nothing else. Time is linear in the text, times how often a secret
//! overlaps itself (a token of random characters does not), and memory is bounded by the longest form.

mod filter;
mod form;
#[cfg(test)]
mod tests;

use std::{mem, ops::Range, sync::Arc};

use http::HeaderValue;
use hyper::body::Bytes;

use crate::proxy::scrub::{
    filter::Filter,
    form::{Form, Place, Step},
};

/// What is shorter is not looked for: it would be found in texts that have nothing to do with it.
const SHORTEST: usize = 8;
const _: () = assert!(filter::BEGINNING <= SHORTEST, "each form is at least as long as a beginning");
/// What a secret is covered with: the first that no secret has in it.
const COVERS: &[u8] = b"*#!~^xX.";

/// The secrets that are looked for. A clone is the same.
#[derive(Clone)]
pub(crate) struct Scrub {
    sought: Arc<Sought>,
}

struct Sought {
    forms: Vec<Form>,
    filter: Filter,
    cover: u8,
}

impl Scrub {
    /// Looks for these secrets. Shorter ones than eight octets are not looked for.
    pub(crate) fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut secrets: Vec<S> =
            secrets.into_iter().filter(|secret| secret.as_ref().len() >= SHORTEST).collect();
        secrets.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
        secrets.dedup_by(|a, b| a.as_ref() == b.as_ref());
        let is_in_none = |cover: &&u8| !secrets.iter().any(|secret| secret.as_ref().contains(cover));
        let cover = COVERS.iter().find(is_in_none).map_or(COVERS[0], |cover| *cover);
        let forms: Vec<_> = secrets.iter().flat_map(|secret| Form::all(secret.as_ref())).collect();
        let filter = Filter::new(&forms);
        Self { sought: Arc::new(Sought { forms, filter, cover }) }
    }

    /// The value without the secrets, if it has any.
    pub(crate) fn header(&self, value: &HeaderValue) -> Option<HeaderValue> {
        let text = value.as_bytes();
        let mut covered = Vec::new();
        Attempts::default().read(&self.sought, text, 0, &mut covered);
        if covered.is_empty() {
            return None;
        }
        let mut new = HeaderValue::from_bytes(&self.sought.cover(text, &covered)).ok()?;
        new.set_sensitive(value.is_sensitive());
        Some(new)
    }

    /// For one body, from its beginning.
    pub(crate) fn stream(&self) -> Stream {
        Stream { sought: Arc::clone(&self.sought), attempts: Attempts::default(), held: Vec::new() }
    }
}

impl Sought {
    fn cover(&self, text: &[u8], covered: &[Range<usize>]) -> Vec<u8> {
        let mut text = text.to_vec();
        for range in covered {
            text[range.clone()].fill(self.cover);
        }
        text
    }
}

/// Everything that may be a secret at the place that has been read up to.
#[derive(Default)]
struct Attempts {
    /// In the order in which they begin.
    open: Vec<Attempt>,
    next: Vec<Attempt>,
}

#[derive(Clone, Copy)]
struct Attempt {
    form: usize,
    place: Place,
    begin: usize,
}

impl Attempts {
    /// Reads a text from a place on, and adds what has to be covered.
    fn read(&mut self, sought: &Sought, text: &[u8], from: usize, covered: &mut Vec<Range<usize>>) {
        let mut here = from;
        loop {
            if self.open.is_empty() {
                let Some(found) = sought.filter.find(text, here) else { return };
                here = found;
            }
            let Some(octet) = text.get(here) else { return };
            for open in 0..self.open.len() {
                self.step(sought, self.open[open], *octet, here, covered);
            }
            self.open.clear();
            if sought.filter.may_begin(*octet) {
                for form in 0..sought.forms.len() {
                    let attempt = Attempt { form, place: Place::BEGINNING, begin: here };
                    self.step(sought, attempt, *octet, here, covered);
                }
            }
            mem::swap(&mut self.open, &mut self.next);
            here += 1;
        }
    }

    fn step(
        &mut self,
        sought: &Sought,
        attempt: Attempt,
        octet: u8,
        here: usize,
        covered: &mut Vec<Range<usize>>,
    ) {
        let form = &sought.forms[attempt.form];
        for step in form.step(attempt.place, octet).into_iter().flatten() {
            match step {
                Step::Complete => cover(covered, attempt.begin..here + 1),
                // Two readings that have come to the same place go on as one: the one that began first covers more.
                Step::Further(place)
                    if form.is_ambiguous
                        && self
                            .next
                            .iter()
                            .any(|other| (other.form, other.place) == (attempt.form, place)) => {}
                Step::Further(place) => self.next.push(Attempt { place, ..attempt }),
            }
        }
    }
}

/// Adds a range that ends where none of the others ends later.
fn cover(covered: &mut Vec<Range<usize>>, mut range: Range<usize>) {
    while let Some(last) = covered.pop_if(|last| last.end >= range.start) {
        range.start = range.start.min(last.start);
    }
    covered.push(range);
}

/// A body on its way.
pub(crate) struct Stream {
    sought: Arc<Sought>,
    attempts: Attempts,
    /// What came last and may be the beginning of a secret.
    held: Vec<u8>,
}

impl Stream {
    /// Takes what has come, and gives what may go on: all of it, except an end that may be the beginning of a secret.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Bytes {
        let (text, from) = if self.held.is_empty() {
            (chunk, 0)
        } else {
            let mut text = mem::take(&mut self.held);
            let from = text.len();
            text.extend_from_slice(&chunk);
            (text.into(), from)
        };
        let mut covered = Vec::new();
        self.attempts.read(&self.sought, &text, from, &mut covered);
        let undecided = self.attempts.open.first().map_or(text.len(), |attempt| attempt.begin);
        // What is covered already stays covered, whatever comes.
        let ready =
            covered.iter().find(|range| range.contains(&undecided)).map_or(undecided, |range| range.end);
        for attempt in &mut self.attempts.open {
            attempt.begin = attempt.begin.saturating_sub(ready);
        }
        let mut text = if covered.is_empty() { text } else { self.sought.cover(&text, &covered).into() };
        self.held.extend_from_slice(&text[ready..]);
        text.truncate(ready);
        text
    }

    /// What was held back, when nothing comes any more: it has not become a secret.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.attempts = Attempts::default();
        mem::take(&mut self.held).into()
    }
}
