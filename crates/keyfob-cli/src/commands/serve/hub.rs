//! Everything comes together here: questions, answers, and the times by which they have to be there.

use std::{
    collections::BTreeMap,
    io,
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use keyfob::{
    Cause, Error,
    internals::{
        core::Id,
        world::{Clock as _, failure, system::clock::SystemClock},
    },
};

use super::{
    answer,
    event::Event,
    input::{self, LONGEST},
    logins::Logins,
    question::{self, Get, Name, Question},
    workers::Workers,
};
use crate::output::report::Result;

/// Questions at the same time. One more is answered with "later".
const MOST: usize = 1024;
/// What has come and is not dealt with yet: a program that writes and does not read is not read from any more either.
const ROOM: usize = 64;
/// How long a process that has told what is wrong with its set-up answers those who asked at the same time: ended at once, it
/// would leave them with the end of a process instead of its cause.
const LEAVING: Duration = Duration::from_secs(1);

/// A question that is being answered.
struct Waiting {
    name: Name,
    is_bare: bool,
    kind: &'static str,
    asked_for: Duration,
    until: Duration,
}

pub(super) struct Hub {
    events: Receiver<Event>,
    tell: SyncSender<Event>,
    logins: Arc<Logins>,
    workers: Workers,
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
    /// The code to end with, and when.
    ending: Option<(ExitCode, Duration)>,
}

impl Hub {
    pub(super) fn new(logins: Logins) -> Result<Self> {
        let (tell, events) = sync_channel(ROOM);
        let logins = Arc::new(logins);
        let asked = Arc::clone(&logins);
        let workers = Workers::new(Arc::new(move |get| asked.grant(get)), tell.clone());
        Ok(Self { events, tell, logins, workers, waiting: BTreeMap::new(), next: 0, ending: None })
    }

    /// Answers to the end of the input. What has been asked before that is answered too.
    pub(super) fn run(mut self) -> Result {
        let tell = self.tell.clone();
        thread::Builder::new()
            .name("input".into())
            .spawn(move || input::read(io::stdin().lock(), &tell))
            .map_err(|error| failure::failed(Id::SystemFailed, "no question can be read", error))?;
        let mut has_ended = false;
        loop {
            // Every time, and not when nothing comes: something may come all the time.
            self.overdue()?;
            match self.ending {
                // Who asks all the time gets another process as well, and with it what was corrected.
                Some((code, until)) if has_ended || Self::is_past(until + 30 * LEAVING) => return Ok(code),
                None if has_ended && self.waiting.is_empty() => return Ok(ExitCode::SUCCESS),
                _ => {}
            }
            match self.come() {
                Ok(Event::Line(line)) => self.question(&line)?,
                Ok(Event::TooLong) => {
                    let why = format!("the line has more than {LONGEST} octets");
                    let error = Error::new(Id::Usage, "the question cannot be answered", why);
                    answer::error(Some(&serde_json::Value::Null), &error.hint("ask for less in one line"))?;
                }
                Ok(Event::End) => has_ended = true,
                Ok(Event::Done { number, outcome }) => {
                    self.workers.is_done(number);
                    // Whoever asked may have been told already that it takes too long.
                    if let Some(asked) = self.waiting.remove(&number) {
                        match outcome {
                            Ok(grant) if asked.is_bare => answer::bare(&grant)?,
                            Ok(grant) => answer::credential(asked.name.as_ref(), asked.kind, &grant)?,
                            Err(error) => answer::error(asked.name.as_ref(), &error)?,
                        }
                    }
                }
                // Somebody has waited for long enough, or nobody asks any more.
                Err(_) => {
                    if let Some((code, until)) = self.ending
                        && Self::is_past(until)
                    {
                        return Ok(code);
                    }
                }
            }
        }
    }

    fn is_past(time: Duration) -> bool {
        SystemClock.stopwatch() >= time
    }

    fn come(&self) -> Result<Event, RecvTimeoutError> {
        let ending = self.ending.map(|(_, until)| until);
        match self.waiting.values().map(|asked| asked.until).chain(ending).min() {
            Some(until) => self.events.recv_timeout(until.saturating_sub(SystemClock.stopwatch())),
            None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn question(&mut self, line: &[u8]) -> Result<()> {
        let (name, question) = question::read(line);
        match question {
            Ok(Question::Hello) => answer::hello(name.as_ref())?,
            Ok(Question::Get(get)) => return self.get(name, get, false),
            Ok(Question::Bare(get)) => return self.get(name, get, true),
            Err(error) => answer::error(name.as_ref(), &error)?,
        }
        Ok(())
    }

    fn get(&mut self, name: Name, get: Get, is_bare: bool) -> Result<()> {
        // It was read at the start: whoever corrects it needs a new process, and gets one by asking again.
        if let Some(problem) = self.logins.problem() {
            answer::error(name.as_ref(), problem)?;
            let end = (ExitCode::from(problem.exit_code()), SystemClock.stopwatch() + LEAVING);
            self.ending.get_or_insert(end);
            return Ok(());
        }
        if self.waiting.len() >= MOST {
            let why = format!("{MOST} questions are being answered");
            let error = Error::new(Id::Unreachable, "there is no answer now", why);
            answer::error(name.as_ref(), &error.because(Cause::Busy { status: 503, seconds: Some(1) }))?;
            return Ok(());
        }
        let asked = Waiting {
            name,
            is_bare,
            kind: get.kind(),
            asked_for: get.wait(),
            until: SystemClock.stopwatch() + get.wait(),
        };
        let number = self.next;
        self.next += 1;
        match self.workers.ask(number, get) {
            Ok(()) => drop(self.waiting.insert(number, asked)),
            Err(error) => answer::error(asked.name.as_ref(), &error)?,
        }
        Ok(())
    }

    /// Tells those who have waited for as long as they would. What goes on for them goes on, and the next question finds it; what
    /// has not begun never does.
    fn overdue(&mut self) -> Result<()> {
        let now = SystemClock.stopwatch();
        let late: Vec<u64> =
            self.waiting.iter().filter(|(_, asked)| asked.until <= now).map(|(number, _)| *number).collect();
        self.workers.forget(&late);
        for asked in late.iter().filter_map(|number| self.waiting.remove(number)).collect::<Vec<_>>() {
            let why = format!("it has taken longer than {} s, and goes on", asked.asked_for.as_secs());
            let error = Error::new(Id::Unreachable, "there is no answer yet", why);
            let error = error.because(Cause::Busy { status: 504, seconds: None });
            answer::error(asked.name.as_ref(), &error)?;
        }
        Ok(())
    }
}
