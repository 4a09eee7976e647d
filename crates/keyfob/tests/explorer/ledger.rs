//! The laws, and what has to be remembered to hold the code to them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use keyfob::{
    Id,
    core::Record,
    world::simulated::{Act, Machine, Outcome},
};

use crate::process::{Actor, Report, beside, login, refresh, seal};

/// What happened so far, as far as a law asks for it.
#[derive(Clone, Default, Hash)]
pub(crate) struct Ledger {
    /// Containers that share only the record each know their own files.
    pub(crate) containers: bool,
    /// Refresh tokens of whole records that were in some file, and to whom it can be seen.
    written: BTreeSet<(PathBuf, String)>,
    /// The same for what a power cut cannot take.
    durable: BTreeSet<(PathBuf, String)>,
    /// Login and generation in the record's place.
    newest: Option<(String, u64)>,
    /// Logins that were signed out or replaced.
    ended: BTreeSet<String>,
    /// Those of them whose end was reported to somebody.
    ended_for_good: BTreeSet<String>,
    /// Whether there ever was nothing in the record's place.
    was_absent: bool,
    /// Whether anything went wrong: a crash, a refusing disk, an answer that did not come.
    pub(crate) troubled: bool,
    /// Whether the provider ended the login without being asked to.
    pub(crate) provider_ended: bool,
    /// How many requests may have gone out without an answer coming back: deaths and lost answers.
    pub(crate) unanswered: u8,
}

type Verdict = Result<(), String>;

impl Ledger {
    /// Begins with the records that lie there.
    pub(crate) fn begin(machine: &Machine, containers: bool) -> Self {
        let mut ledger = Self { containers, ..Self::default() };
        let paths: Vec<_> = machine.disk.paths().map(Path::to_path_buf).collect();
        for path in paths {
            ledger.note_written(machine, &path);
            if is_record(&path) {
                let record = whole(machine, &path).unwrap();
                ledger.newest = Some((login(&record), record.generation.number));
            }
        }
        ledger.note_durable(machine);
        ledger
    }

    fn home(&self, path: &Path) -> PathBuf {
        if self.containers { path.parent().unwrap().into() } else { PathBuf::new() }
    }

    fn note_written(&mut self, machine: &Machine, path: &Path) {
        if let Some(token) = whole(machine, path).and_then(|record| refresh(&record)) {
            for name in machine.disk.names_of(path) {
                let home = self.home(name);
                self.written.insert((home, token.clone()));
            }
        }
    }

    fn note_durable(&mut self, machine: &Machine) {
        for path in machine.disk.paths() {
            let bytes = machine.disk.durable_bytes(path).map(|bytes| bytes.to_vec());
            if let Some(record) = bytes.and_then(|bytes| opened(path, &bytes)) {
                let home = self.home(path);
                self.durable.extend(refresh(&record).map(|token| (home, token)));
            }
        }
    }

    /// Whether the newest refresh token of this token's login was ever in a file that can be seen from there.
    fn answer_was_written(&self, machine: &Machine, home: &Path, token: &str) -> bool {
        self.written.contains(&(home.into(), machine.server.newest(token)))
    }

    /// Before a refresh token is sent: is it the first time, or the one declared retry?
    pub(crate) fn before_sending(&self, machine: &Machine, actor: &Actor, form: &str) -> Verdict {
        let Some(token) = machine.server.presented(form) else {
            return Err("an unknown token is sent".into());
        };
        let known = &machine.server.refresh[token];
        let home = self.home(&actor.record);
        if known.successor.is_some() && self.answer_was_written(machine, &home, token) {
            return Err(format!("{token} is spent twice, although its successor was on the disk"));
        }
        if known.arrived > 1 {
            return Err(format!("{token} is spent a third time"));
        }
        let next = beside(&actor.record, "next");
        let bytes = machine.disk.bytes(&next);
        if !machine.disk.pretends_to_sync && (bytes.is_none() || bytes != machine.disk.durable_bytes(&next)) {
            return Err("the intent to renew is not durable when the token is sent".into());
        }
        let intent: Option<serde_json::Value> = bytes.and_then(|b| serde_json::from_slice(&b.to_vec()).ok());
        let attempt = intent.and_then(|intent| intent["attempt"].as_u64()).unwrap_or(0);
        // Of another container's lost answer nobody here can know.
        if !self.containers && attempt <= u64::from(known.arrived) {
            return Err(format!("{token} is sent again without declaring it"));
        }
        let now = machine.now();
        let still_good = whole(machine, &actor.record)
            .is_some_and(|r| r.access_token.is_some() && r.expires_at.is_none_or(|end| end.0 > now.0));
        let again = known.arrived == 1 && known.successor.is_some();
        if !self.containers && again && still_good && !actor.was_rejected() {
            return Err(format!("{token} is sent again although the access token is still good"));
        }
        Ok(())
    }

    /// After an act, or a part of one.
    pub(crate) fn after(
        &mut self,
        machine: &Machine,
        actor: &Actor,
        act: &Act,
        outcome: &Outcome,
    ) -> Verdict {
        match act {
            Act::Write(path, bytes) => {
                let token: &[u8] = b"refresh-";
                if actor.seals && bytes.to_vec().windows(token.len()).any(|part| part == token) {
                    return Err(format!("a token is written plainly to {}", path.display()));
                }
                self.note_written(machine, path);
                if is_record(path) { self.judge_record(machine, actor) } else { Ok(()) }
            }
            Act::Rename(_, path) | Act::Remove(path) if is_record(path) => self.judge_record(machine, actor),
            Act::Rename(path, _) if is_record(path) && *outcome == Outcome::Done => {
                Err("the record was set aside".into())
            }
            Act::Sync(_) | Act::SyncDir(_) => {
                self.note_durable(machine);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn judge_record(&mut self, machine: &Machine, actor: &Actor) -> Verdict {
        let bytes = machine.disk.bytes(&actor.record).filter(|bytes| !bytes.is_empty());
        if bytes.is_none() {
            self.was_absent = true;
            let Some((login, _)) = self.newest.take() else { return Ok(()) };
            self.ended.insert(login);
            return if actor.ends_logins() { Ok(()) } else { Err("a renewal blanked the record".into()) };
        }
        // Torn: only in the middle of being written in place.
        let Some(record) = whole(machine, &actor.record) else { return Ok(()) };
        let (login, number) = (login(&record), record.generation.number);
        if refresh(&record).is_none() {
            return Err("the record has lost its refresh token".into());
        }
        if self.ended.contains(&login) {
            return Err("a login that had ended is back".into());
        }
        match self.newest.replace((login.clone(), number)) {
            Some((old, newer)) if old == login && newer > number => {
                Err(format!("generation {newer} was overwritten by {number}"))
            }
            // A renewal changes the login only to finish what somebody died over.
            Some((old, _)) if old != login && !actor.ends_logins() && self.unanswered == 0 => {
                Err("a renewal changed the login".into())
            }
            Some((old, _)) if old != login => {
                self.ended.insert(old);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What a process may report while others still run.
    pub(crate) fn report(&mut self, machine: &Machine, report: &Report) -> Verdict {
        let now = machine.now();
        match report {
            Report::Token(access, _) => match machine.server.access.get(access) {
                Some((_, end)) if *end > now => Ok(()),
                _ => Err("a process was handed a token that had expired".into()),
            },
            Report::Nobody if self.was_absent => Ok(()),
            Report::Nobody => Err("a process was told that nobody is signed in".into()),
            Report::SignedOut => {
                self.ended_for_good.extend(self.ended.iter().cloned());
                Ok(())
            }
            Report::SignedIn(login) => {
                self.ended_for_good.extend(self.ended.iter().filter(|ended| *ended != login).cloned());
                Ok(())
            }
            Report::Failed(id) if !self.troubled => Err(format!("`{}` although nothing failed", id.word())),
            Report::Failed(Id::LoginRefused) if machine.server.ended.is_empty() => {
                Err("a process was told that the login has ended: nobody knows that".into())
            }
            Report::Failed(Id::StoreCorrupt) if self.containers => Ok(()),
            Report::Failed(id @ (Id::LoginNeeded | Id::LeaseBusy | Id::Bug | Id::StoreCorrupt)) => {
                Err(format!("a process was told `{}`", id.word()))
            }
            Report::Failed(_) => Ok(()),
        }
    }

    /// What a process that starts when everything is over may be told. `calm`: and after its cool-downs.
    pub(crate) fn settled(&self, machine: &Machine, fresh: &Actor, report: &Report) -> Verdict {
        let home = self.home(&fresh.record);
        let server = &machine.server;
        // A login is excused when the provider ended it, or when an answer was lost before it was whole in a
        // file: in one that everybody sees, where containers share only the record.
        let known = |name: &str| {
            let newest = server.newest(name);
            let seen = self.written.iter().filter(|(_, token)| *token == newest).count();
            seen >= if self.containers { 2 } else { 1 }
        };
        let excused = self.provider_ended
            || server.refresh.iter().any(|(name, token)| token.arrived > 0 && !known(name));
        // Two requests without an answer: nobody can know, unless the answer is there.
        let token = whole(machine, &fresh.record).and_then(|record| refresh(&record));
        let unknowable = self.unanswered > 1
            && token.is_some_and(|name| {
                server.refresh[&name].successor.is_none() || !self.answer_was_written(machine, &home, &name)
            });
        match report {
            Report::Token(_, login) if self.ended.contains(login) => {
                Err("an ended login is still used".into())
            }
            Report::Token(access, _) if server.accepts(access, machine.now()) => Ok(()),
            Report::Token(..) if excused => Ok(()),
            Report::Token(..) => Err("in the end a token was handed out that does not work".into()),
            Report::Nobody if self.newest.is_none() => Ok(()),
            Report::Failed(Id::LoginRefused) if excused && !server.ended.is_empty() => Ok(()),
            Report::Failed(Id::OutcomeUnknown) if unknowable => Ok(()),
            // Only whoever died while writing it in place has the whole of it, and mends it.
            Report::Failed(Id::StoreCorrupt)
                if self.containers && whole(machine, &fresh.record).is_none() && self.troubled =>
            {
                Ok(())
            }
            other => Err(format!("in the end there is no working token but {other:?}: the login was lost")),
        }
    }

    /// The power was cut: what was durable is all there is.
    pub(crate) fn power_cut(&self, machine: &Machine, records: &[PathBuf]) -> Self {
        let mut after = self.clone();
        after.troubled = true;
        after.unanswered += 1;
        after.written = self.durable.clone();
        after.ended = self.ended_for_good.clone();
        let signed_out = self.newest.is_none();
        after.newest =
            records.iter().find_map(|path| whole(machine, path)).map(|r| (login(&r), r.generation.number));
        // A record that is torn now must be mended from its successor; one that is gone was being ended.
        if after.newest.is_none() && !signed_out {
            after.newest = self.newest.clone();
        }
        after
    }
}

/// Whether a file of this name is a record in its place.
pub(crate) fn is_record(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn whole(machine: &Machine, path: &Path) -> Option<Record> {
    opened(path, &machine.disk.bytes(path)?.to_vec())
}

/// Whoever knows all opens all.
fn opened(path: &Path, bytes: &[u8]) -> Option<Record> {
    seal().open(path, bytes).ok()?.ok()
}
