//! The laws, and what has to be remembered to hold the code to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use keyfob::{
    Timestamp,
    internals::{
        core::Id,
        core::Record,
        store::sealing::Opened,
        world::simulated::{Act, Machine, Outcome},
    },
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
    /// Whether it was ever written down that the provider is asked. Half a record may be half an answer.
    pub(crate) may_have_asked: bool,
    /// Whether something died in the middle of a write.
    pub(crate) torn: bool,
    /// How often each refresh token was sent, and when last.
    sent: BTreeMap<String, (u32, Timestamp)>,
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
                ledger.newest = Some((login(&record), record.generation.number()));
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
    pub(crate) fn before_sending(&mut self, machine: &Machine, actor: &Actor, form: &str) -> Verdict {
        if form.starts_with("token=") {
            return Ok(());
        }
        let now = machine.now();
        let Some(token) = machine.server.presented(form) else {
            return Err("an unknown token is sent".into());
        };
        let known = &machine.server.refresh[token];
        let home = self.home(&actor.record);
        if known.successor.is_some() && self.answer_was_written(machine, &home, token) {
            return Err(format!("{token} is spent twice, although its successor was on the disk"));
        }
        // After a retry that got no answer nobody asks again at once, but after 2, 4, 8 … seconds. When a torn answer came
        // nobody can tell.
        let (times, last) = self.sent.get(token).copied().unwrap_or((0, now));
        let pause = if times < 2 { 0 } else { (1_i64 << (times - 1).min(12)).min(3600) };
        if !self.containers && !self.torn && now.since(last) < pause {
            return Err(format!("{token} is sent again without a pause"));
        }
        // When the first one left matters to nobody, and would only tell states apart that are one.
        self.sent.insert(token.to_owned(), (times + 1, if times == 0 { Timestamp(0) } else { now }));
        let next = beside(&actor.record, "next");
        let bytes = machine.disk.bytes(&next);
        if !machine.disk.pretends_to_sync && (bytes.is_none() || bytes != machine.disk.durable_bytes(&next)) {
            return Err("the intent to renew is not durable when the token is sent".into());
        }
        let intent: Option<serde_json::Value> = bytes.and_then(|b| serde_json::from_slice(&b.to_vec()).ok());
        let intent = intent.unwrap_or_default();
        if intent["state"] != "asked" {
            return Err("a request leaves before it is written down that it does".into());
        }
        let attempt = intent["attempt"].as_u64().unwrap_or(0);
        // Of another container's lost answer nobody here can know.
        if !self.containers && attempt <= u64::from(known.arrived) {
            return Err(format!("{token} is sent again without declaring it"));
        }
        let still_good = whole(machine, &actor.record)
            .is_some_and(|r| r.access_token.is_some() && r.expires_at.is_none_or(|end| end.0 > now.0));
        let again = known.arrived == 1 && known.successor.is_some();
        // Whoever's clock is off learns it from the provider's first answer, and not before.
        if !self.containers && again && still_good && !actor.was_rejected() && actor.ahead == 0 {
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
            Act::Connect if Self::says_asked(machine, &beside(&actor.record, "next")) && !self.containers => {
                Err("it is written down that the provider was asked before there is a connection".into())
            }
            Act::Send(form) if form.starts_with("token=") => {
                let server = &machine.server;
                let stored = whole(machine, &actor.record).and_then(|record| refresh(&record));
                if stored.is_some_and(|stored| server.ends_with(&form["token=".len()..], &stored)) {
                    return Err("what was just stored was revoked".into());
                }
                // One that was granted and is still on its way here ends too, and nobody here can know.
                self.provider_ended |= server.one_grant;
                Ok(())
            }
            Act::Write(path, bytes) => {
                let token: &[u8] = b"refresh-";
                if actor.seals && bytes.to_vec().windows(token.len()).any(|part| part == token) {
                    return Err(format!("a token is written plainly to {}", path.display()));
                }
                self.may_have_asked |= Self::says_asked(machine, path);
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

    /// Whether what lies there says that the provider was asked.
    fn says_asked(machine: &Machine, next: &Path) -> bool {
        let intent = machine.disk.bytes(next).and_then(|b| serde_json::from_slice(&b.to_vec()).ok());
        intent.is_some_and(|intent: serde_json::Value| intent["state"] == "asked")
    }

    /// Whoever was given an answer has ended by itself, and the disk never failed: what was in the answer is kept.
    pub(crate) fn was_kept(&self, answer: &Option<String>) -> Verdict {
        match answer {
            Some(token) if !self.written.iter().any(|(_, written)| written == token) => {
                Err(format!("{token} was in an answer, and is lost although the disk works"))
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
        let (login, number) = (login(&record), record.generation.number());
        if refresh(&record).is_none() {
            return Err("the record has lost its refresh token".into());
        }
        if self.ended.contains(&login) {
            return Err("a login that had ended is back".into());
        }
        if record.refused.is_some() && !machine.server.said_ended {
            return Err("a login is refused for good, and the provider never said so".into());
        }
        if record.unknown_now().is_some() && !self.may_have_asked {
            return Err("an outcome is called unknown although nobody was asked".into());
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
        match report {
            Report::Token(_, login) if self.ended.contains(login) => {
                Err("an ended login is still used".into())
            }
            Report::Token(access, _) if server.accepts(access, machine.now()) => Ok(()),
            Report::Token(..) if excused => Ok(()),
            Report::Token(..) => Err("in the end a token was handed out that does not work".into()),
            Report::Nobody if self.newest.is_none() => Ok(()),
            Report::Failed(Id::LoginRefused) if excused && server.said_ended => Ok(()),
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
        after.torn = true;
        after.may_have_asked = true;
        after.unanswered += 1;
        after.written = self.durable.clone();
        after.ended = self.ended_for_good.clone();
        let signed_out = self.newest.is_none();
        after.newest =
            records.iter().find_map(|path| whole(machine, path)).map(|r| (login(&r), r.generation.number()));
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
    match seal().open(path, bytes).ok()? {
        Opened::Record(record) => Some(*record),
        Opened::Damaged(_) => None,
    }
}
