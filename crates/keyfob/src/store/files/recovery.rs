//! Reads under the lease, and repairs what a crash left behind.

use std::path::{Path, PathBuf};

use keyfob_core::{Id, Record, Result, Timestamp, login::refresh};
use zeroize::Zeroizing;

use super::{
    lease::{FileLease, INTENT, Intent, Stage, is_busy},
    store::{FileStore, failed},
};
use crate::store::{Commit, Found, Seen, sealing::Opened};

/// What is in the space reserved for an answer, if it is no successor.
enum Left {
    Nothing,
    /// Something from which nothing was spent.
    Unasked,
    /// A request that may have gone out, the so manieth with this token.
    Asked {
        attempt: u32,
        at: Option<Timestamp>,
    },
}

impl FileLease<'_> {
    /// The newest record there is, after sorting out what a crash may have left: a finished successor is
    /// adopted, an interrupted renewal is noted as unknown, damage is set aside.
    pub(super) fn newest(&self) -> Result<Found> {
        let found = self.sort_out();
        self.unread.set(matches!(&found, Err(error) if error.id() == Id::KeyStoreUnavailable));
        found
    }

    fn sort_out(&self) -> Result<Found> {
        let store = self.store;
        let (mut record, damaged) = match store.read(&store.record)? {
            Seen::Nothing => {
                self.clear()?;
                return Ok(Found::Nothing);
            }
            Seen::Record(record) => (Some(*record), false),
            Seen::Damaged(_) => (None, true),
        };
        if let Some((successor, bytes)) = self.successor(record.as_ref(), &store.next, 0)? {
            // Half-way through the last commit: finish it, without writing the only copy again. Should the
            // disk refuse, the successor is still the truth, and every copy stays where it is.
            if store.files.sync(&store.next).and_then(|()| self.install(&bytes)).is_err() {
                return Ok(Found::Record(Box::new(successor)));
            }
            record = Some(successor);
        }
        for path in &store.recovery {
            let found = match self.successor(record.as_ref(), path, 1) {
                // The same: it never stops the first place.
                Err(error) if path.parent() != Some(&*store.dir) && error.id() != Id::KeyStoreUnavailable => {
                    continue;
                }
                found => found?,
            };
            if let Some((successor, _)) = found {
                if !matches!(self.place(&successor), Ok(Commit::Durable)) {
                    return Ok(Found::Record(Box::new(successor)));
                }
                let _ = store.files.remove(path);
                record = Some(successor);
            } else if record.is_some() {
                let _ = store.files.remove(path);
            }
        }
        match record {
            Some(mut record) => {
                self.note_intent(&mut record)?;
                Ok(Found::Record(Box::new(record)))
            }
            None if damaged => self.set_aside(),
            None => Ok(Found::Nothing),
        }
    }

    /// The record in `path`, and how it is stored, if it is of the same login and at least `ahead` generations
    /// further. If the record is damaged, any successor is better.
    fn successor(
        &self,
        record: Option<&Record>,
        path: &Path,
        ahead: u64,
    ) -> Result<Option<(Record, Zeroizing<Vec<u8>>)>> {
        let Some(mut bytes) = self.store.bytes(path)? else { return Ok(None) };
        let Opened::Record(candidate) = self.store.seal.open(path, &bytes)? else { return Ok(None) };
        // Behind it there may be blanks of the space that was reserved for it.
        let end = bytes.trim_ascii_end().len();
        bytes.truncate(end);
        bytes.push(b'\n');
        let follows = record.is_none_or(|record| {
            candidate.generation.login() == record.generation.login()
                && candidate.generation.number() >= record.generation.number().saturating_add(ahead)
        });
        Ok(follows.then_some((*candidate, bytes)))
    }

    /// An intent that says "asked" and is still there was never answered, or its answer never reached the disk.
    fn note_intent(&self, record: &mut Record) -> Result<()> {
        match self.left(record)? {
            Left::Nothing => {}
            Left::Unasked => {
                let next = &self.store.next;
                self.store.files.remove(next).map_err(|e| failed(next, "remove", &e))?;
            }
            Left::Asked { attempt, at } => {
                // Half an answer does not say when it came: then there is no pause to begin with. A time in the future
                // is another clock's, and the code that judges the pause does not believe it.
                let ahead = self.store.clock.ahead(record);
                let since = at.map_or(record.issued_at, |at| ahead.theirs(at));
                refresh::lost(record, since);
                if let Some(unknown) = &mut record.unknown {
                    unknown.times = unknown.times.max(attempt);
                }
            }
        }
        Ok(())
    }

    pub(super) fn has_asked(&self, record: &Record) -> Result<bool> {
        Ok(matches!(self.left(record)?, Left::Asked { .. }))
    }

    /// What a renewal of this record left in the space reserved for its answer.
    fn left(&self, record: &Record) -> Result<Left> {
        let next = &self.store.next;
        let bytes = self.store.files.read(next).map_err(|e| failed(next, "read", &e))?;
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(Left::Nothing) };
        // Behind the intent there may be what a power cut left of the answer.
        Ok(match serde_json::Deserializer::from_slice(&bytes).into_iter::<Intent>().next() {
            Some(Ok(Intent { intent, state: Stage::Asked, attempt, at })) if intent == record.generation => {
                Left::Asked { attempt, at: Some(at) }
            }
            // Cut short while the answer was written.
            Some(Err(_))
                if !bytes.starts_with(INTENT)
                    && !matches!(self.store.seal.open(next, &bytes), Ok(Opened::Record(_))) =>
            {
                Left::Asked { attempt: 1, at: None }
            }
            // "About to"; or of another generation; or an intent cut short, so that nothing was sent; or a whole
            // record that follows nothing, of a login that has been replaced.
            _ => Left::Unasked,
        })
    }

    fn set_aside(&self) -> Result<Found> {
        let record = &self.store.record;
        let aside = self.unused_name()?;
        match self.store.files.rename(record, &aside) {
            Ok(()) => {}
            // A mount point cannot be moved away: keep a copy of what it holds, and leave it to the one who
            // died while writing it in place. The whole successor may lie in that one's container.
            Err(error) if is_busy(&error) => {
                let aside = record.with_extension("damaged-in-place");
                let bytes = self.store.files.read(record).map_err(|e| failed(record, "read", &e))?;
                let bytes = bytes.unwrap_or_default();
                self.store.files.write(&aside, &bytes).map_err(|e| failed(&aside, "write", &e))?;
                return Ok(Found::SetAside(aside));
            }
            Err(error) => return Err(failed(record, "set aside", &error)),
        }
        self.store.files.sync_dir(&self.store.dir).map_err(|e| failed(&self.store.dir, "sync", &e))?;
        Ok(Found::SetAside(aside))
    }

    /// A name for a damaged file that no earlier one has: what was set aside is never overwritten.
    fn unused_name(&self) -> Result<PathBuf> {
        let FileStore { files, record, dir, clock, .. } = self.store;
        let taken = files.list(dir).map_err(|e| failed(dir, "list", &e))?;
        let mut name = record.with_extension(format!("damaged-{}", clock.now().0));
        for n in 1.. {
            if !taken.contains(&name) {
                break;
            }
            name = record.with_extension(format!("damaged-{}-{n}", clock.now().0));
        }
        Ok(name)
    }
}
