//! Asks the library in a thread that may block, and once for all who ask the same at the same time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keyfob::{Cause, Client, Error, ErrorId, Grant, Need, Purpose, Result, Source};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

pub(crate) use crate::agent::lent::{Credential, Wish};
use crate::agent::{
    host::{Host, Known, is_lent},
    rejections::Rejections,
    sight::Sight,
};

/// Threads that ask at the same time. Each waits for a disk, or for another process that renews.
pub(crate) const THREADS: usize = 16;

/// Looks at the same time that wait for nobody: at the configuration and the login.
pub(crate) const LOOKS: usize = 2;

/// What the agent asks for itself at the same time: a look ahead, and what two kinds of files need. Whoever asks at the door
/// takes none of that away.
pub(crate) const OWN: usize = 4;

/// Threads that a door may need at the same time, with one for its log and one for its files.
pub(crate) const OF_A_DOOR: usize = THREADS + LOOKS + OWN + 2;

/// Different questions at the same time. Each holds a task, and most of them wait for a thread.
const QUESTIONS: usize = 64;

pub(crate) type Outcome = Result<Arc<Credential>>;

/// How long an answer that needs no provider takes, on an idle machine. Who has waited for longer has another look taken,
/// which finds the renewal under way, and what is at hand if that is still good for the wish.
const AT_HAND: Duration = Duration::from_millis(50);

/// Whose question it is. What is asked by one turn is waited for by nobody of another, except in the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Turn {
    First,
    /// Of those who have waited.
    Second,
    /// The agent's own, ahead of all of them.
    Ahead,
    /// The files that are kept fresh.
    Files,
    /// The same, when they have waited.
    FilesAgain,
    /// Those of them that hold the ID token.
    IdTokens,
}

impl Turn {
    /// Whether nobody who asks at the door waits for it.
    const fn is_own(self) -> bool {
        match self {
            Self::First | Self::Second => false,
            Self::Ahead | Self::Files | Self::FilesAgain | Self::IdTokens => true,
        }
    }
}

/// Comes when there is an answer.
type Answer = watch::Receiver<Option<Outcome>>;

/// The questions that are being asked.
pub(crate) struct Flights {
    client: Arc<Client>,
    host: Arc<dyn Host>,
    asked: Mutex<HashMap<(Turn, Wish), Answer>>,
    /// Of the login: all the doors to it have the same.
    rejections: Arc<Rejections>,
    /// What has come here, whoever has seen it elsewhere.
    seen: Rejections,
    /// How many generations came in the place of another one.
    renewed: AtomicU64,
    sight: Sight,
    threads: Semaphore,
    looks: Arc<Semaphore>,
    own: Semaphore,
}

impl Flights {
    /// Of a login that nobody else in this process asks for.
    pub(crate) fn new(client: Arc<Client>, host: Arc<dyn Host>) -> Arc<Self> {
        Self::among(client, host, Arc::default())
    }

    /// Of a login whose rejections are known here.
    pub(crate) fn among(client: Arc<Client>, host: Arc<dyn Host>, rejections: Arc<Rejections>) -> Arc<Self> {
        Arc::new(Self {
            client,
            host,
            asked: Mutex::default(),
            rejections,
            seen: Rejections::default(),
            renewed: AtomicU64::new(0),
            sight: Sight::default(),
            threads: Semaphore::new(THREADS),
            looks: Arc::new(Semaphore::new(LOOKS)),
            own: Semaphore::new(OWN),
        })
    }

    /// The answer to this wish: what was seen a moment ago and is still so, that of a question which is being asked already, or
    /// of a new one. The question goes on when its asker has left, and so does the renewal that it may have begun.
    pub(crate) async fn ask(self: &Arc<Self>, wish: Wish) -> Outcome {
        if let Some(lent) =
            self.sight.at_hand(&wish, (Instant::now(), self.host.now()), || self.host.mark(&self.client))
        {
            return Ok(lent);
        }
        self.turn(Turn::First, wish).await
    }

    /// The same, for the files that are kept fresh.
    pub(crate) async fn ask_for_files(self: &Arc<Self>, id_token: bool) -> Outcome {
        if id_token {
            // Of which there is none other at hand that could be looked for meanwhile.
            return said(&mut self.join((Turn::IdTokens, Wish::default()))?).await;
        }
        self.turn(Turn::Files, Wish::default()).await
    }

    /// Looks by itself, and nobody waits for that: it may be the one that waits for the provider.
    pub(crate) async fn look(&self) -> Outcome {
        self.fly(Turn::Ahead, Wish::default()).await
    }

    /// Refuses an origin that the credential is not for.
    pub(crate) async fn may_go_to(&self, origin: &str) -> Result<()> {
        let owned = origin.to_owned();
        if self.glance(move |client, _| client.may_go_to(Purpose::Api, &owned)).await?? {
            return Ok(());
        }
        let what = format!("the credential is not for {origin}");
        let why = "it is neither the provider's own nor under `hosts` in the configuration of the agent's environment";
        Err(Error::new(ErrorId::AgentRefused, what, why).because(Cause::DoorHost {}))
    }

    /// How many renewals were seen, whoever made them.
    pub(crate) fn renewed(&self) -> u64 {
        self.renewed.load(Ordering::Relaxed)
    }

    /// What is known of the login.
    pub(crate) async fn known(&self) -> Result<Known> {
        self.glance(|client, host| host.known(client)).await
    }

    /// Looks, and waits for no provider and no other process.
    async fn glance<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Client, &dyn Host) -> T + Send + 'static,
    ) -> Result<T> {
        let turn = Arc::clone(&self.looks).acquire_owned().await;
        let (client, host) = (Arc::clone(&self.client), Arc::clone(&self.host));
        let looking = move || {
            // Of the thread, which goes on when whoever has asked has left.
            let _turn = turn;
            look(&client, &*host)
        };
        tokio::task::spawn_blocking(looking).await.map_err(|_| vanished())
    }

    async fn turn(self: &Arc<Self>, turn: Turn, wish: Wish) -> Outcome {
        let mut first = self.join((turn, wish.clone()))?;
        if let Ok(outcome) = tokio::time::timeout(AT_HAND, said(&mut first)).await {
            return outcome;
        }
        let again = if turn == Turn::Files { Turn::FilesAgain } else { Turn::Second };
        let Ok(mut second) = self.join((again, wish)) else { return said(&mut first).await };
        tokio::select! {
            outcome = said(&mut first) => outcome,
            outcome = said(&mut second) => match outcome {
                Ok(lent) => Ok(lent),
                // There is none at hand, which the first may bring yet.
                Err(_) => said(&mut first).await,
            },
        }
    }

    fn join(self: &Arc<Self>, key: (Turn, Wish)) -> Result<Answer> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = asked.get(&key) {
            return Ok(answer.clone());
        }
        let is_too_much = || asked.keys().filter(|(turn, _)| !turn.is_own()).count() >= QUESTIONS;
        if !key.0.is_own() && is_too_much() {
            let why = format!("{QUESTIONS} different questions are being answered");
            return Err(Error::new(ErrorId::Unreachable, "the agent has too much to do", why)
                .because(Cause::Busy { status: 503, seconds: Some(1) }));
        }
        if let Some(rejected) = &key.1.rejected {
            self.rejections.begin(rejected)?;
        }
        let (say, answer) = watch::channel(None);
        asked.insert(key.clone(), answer.clone());
        let flights = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = flights.fly(key.0, key.1.clone()).await;
            if let Some(rejected) = &key.1.rejected {
                flights.rejections.over(rejected);
            }
            // Whoever comes from here on asks anew: an answer is never older than its question.
            flights.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            let _ = say.send(Some(outcome));
        });
        Ok(answer)
    }

    async fn fly(&self, turn: Turn, wish: Wish) -> Outcome {
        let _thread = if turn.is_own() { &self.own } else { &self.threads }.acquire().await;
        let (client, host) = (Arc::clone(&self.client), Arc::clone(&self.host));
        let rejected = wish.rejected.clone();
        let purpose = if turn == Turn::IdTokens { Purpose::IdToken } else { Purpose::Api };
        let began = Instant::now();
        let looking = move || {
            let mark = host.mark(&client);
            let outcome = look(&client, &*host, purpose, &wish);
            // Changed meanwhile, it may be either.
            (outcome, mark.filter(|mark| host.mark(&client) == Some(*mark)))
        };
        let (outcome, mark) =
            tokio::task::spawn_blocking(looking).await.unwrap_or_else(|_| (Err(vanished()), None));
        if let Ok(lent) = &outcome {
            if let Some(mark) = mark.filter(|_| purpose == Purpose::Api) {
                self.sight.note(began, mark, lent);
                if let Some(fading) = self.sight.fading() {
                    tokio::spawn(fading);
                }
            }
            self.rejections.came(&lent.generation, rejected.as_ref());
            let is_new = self.seen.came(&lent.generation, rejected.as_ref());
            self.renewed.fetch_add(u64::from(is_new), Ordering::Relaxed);
        } else if purpose == Purpose::Api {
            self.sight.forget();
        }
        outcome
    }
}

async fn said(answer: &mut Answer) -> Outcome {
    match answer.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(vanished())),
        Err(_) => Err(vanished()),
    }
}

/// What blocks.
fn look(client: &Client, host: &dyn Host, purpose: Purpose, wish: &Wish) -> Outcome {
    // Before it is taken: a helper's key would be made for nothing, by a program that may ask a person for something.
    if let Some(source) = host.source(client).filter(|source| !is_lent(*source)) {
        return Err(not_lent(source));
    }
    let mut need = Need::new().min_valid(wish.min_valid);
    if let Some(rejected) = &wish.rejected {
        need = need.rejected(rejected.clone());
    }
    lendable(&client.grant_for(purpose, &need)?).map(Arc::new)
}

fn not_lent(source: Source) -> Error {
    let what = "the agent gives out the access tokens of a login alone";
    let why = format!("what would be used is from {source}, which is no login");
    Error::new(ErrorId::AgentRefused, what, why).because(Cause::NotLent {})
}

fn lendable(grant: &Grant) -> Result<Credential> {
    let Some(generation) = grant.generation() else {
        return Err(not_lent(grant.source()));
    };
    Ok(Credential {
        token: grant.credential().duplicate(),
        headers: grant.headers().map(|(name, value)| (name.to_owned(), value.duplicate())).collect(),
        source: grant.source(),
        generation: generation.clone(),
        profile: grant.profile().map(str::to_owned),
        expires_at: grant.expires_at(),
        warning: grant.warning().cloned(),
    })
}

fn vanished() -> Error {
    Error::new(ErrorId::Bug, "the agent's question", "its thread ended without an answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::host::tests::Login;
    use keyfob::testing::Simulation;

    fn run<T>(act: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(act)
    }

    #[test]
    fn many_who_ask_for_the_same_renew_once() {
        let simulation = Simulation::signed_in().unwrap();
        let flights = Flights::new(Arc::new(simulation.client()), Arc::new(Login));
        run(async {
            let first = flights.ask(Wish::default()).await.unwrap();
            let rejected = Wish { rejected: Some(first.generation.clone()), ..Wish::default() };
            let all: Vec<_> =
                (0..100).map(|_| flights.join((Turn::First, rejected.clone())).unwrap()).collect();
            for mut answer in all {
                let outcome = answer.wait_for(Option::is_some).await.unwrap().clone().unwrap().unwrap();
                assert_eq!(outcome.generation.number(), first.generation.number() + 1);
            }
            // Who comes later with the same generation gets what there is by then.
            let late = flights.ask(rejected).await.unwrap();
            assert_eq!(late.generation.number(), first.generation.number() + 1);
        });
        assert_eq!(simulation.renewals(), 1);
        assert!(flights.asked.lock().unwrap().is_empty());
    }

    /// An API that refuses every token, whoever asks: one renewal, and the rest is told to wait, by name.
    #[test]
    fn each_new_token_that_is_rejected_renews_no_further() {
        let simulation = Simulation::signed_in().unwrap();
        let flights = Flights::new(Arc::new(simulation.client()), Arc::new(Login));
        run(async {
            let reject = |generation| Wish { rejected: Some(generation), ..Wish::default() };
            let first = flights.ask(Wish::default()).await.unwrap().generation.clone();
            let second = flights.ask(reject(first.clone())).await.unwrap().generation.clone();
            assert_eq!(second.number(), first.number() + 1);
            for _ in 0..3 {
                let error = flights.ask(reject(second.clone())).await.expect_err("too soon");
                assert_eq!(error.id(), ErrorId::CoolingDown);
                assert!(matches!(error.cause(), Some(Cause::CoolingDown { seconds: 1..=10 })), "{error}");
            }
            // Who is a renewal behind, or rejects nothing, gets what there is.
            assert_eq!(flights.ask(reject(first)).await.unwrap().generation, second);
            assert_eq!(flights.ask(Wish::default()).await.unwrap().generation, second);
        });
        assert_eq!(simulation.renewals(), 1);
    }

    /// Two doors to one login: what has replaced another token through one is not replaced in its turn through the other.
    #[test]
    fn two_doors_to_a_login_renew_no_more_than_one() {
        let simulation = Simulation::signed_in().unwrap();
        let rejections = Arc::<Rejections>::default();
        let door = || Flights::among(Arc::new(simulation.client()), Arc::new(Login), Arc::clone(&rejections));
        let (one, other) = (door(), door());
        run(async {
            let reject = |generation| Wish { rejected: Some(generation), ..Wish::default() };
            let first = one.ask(Wish::default()).await.unwrap().generation.clone();
            other.ask(Wish::default()).await.unwrap();
            let second = one.ask(reject(first)).await.unwrap().generation.clone();
            let error = other.ask(reject(second.clone())).await.expect_err("too soon");
            assert_eq!(error.id(), ErrorId::CoolingDown);
            assert_eq!(other.ask(Wish::default()).await.unwrap().generation, second);
        });
        assert_eq!(simulation.renewals(), 1);
        assert_eq!((one.renewed(), other.renewed()), (1, 1), "each has seen it come");
    }

    /// Whoever asks at the door cannot keep the agent from its own looks, or its files from what has become of the login.
    #[test]
    fn what_the_agent_asks_for_itself_waits_for_nobody_at_the_door() {
        let simulation = Simulation::signed_in().unwrap();
        let flights = Flights::new(Arc::new(simulation.client()), Arc::new(Login));
        run(async {
            let _all = flights.threads.acquire_many(u32::try_from(THREADS).unwrap()).await.unwrap();
            let wish = |seconds| Wish { min_valid: Duration::from_secs(seconds), ..Wish::default() };
            let _asked: Vec<_> =
                (0..QUESTIONS as u64).map(|n| flights.join((Turn::First, wish(n))).unwrap()).collect();
            assert!(flights.join((Turn::First, wish(1000))).is_err());
            flights.ask_for_files(false).await.unwrap();
            flights.look().await.unwrap();
        });
    }

    #[test]
    fn a_host_that_the_credential_is_not_for_gets_nothing() {
        let simulation = Simulation::signed_in().unwrap();
        let flights = Flights::new(Arc::new(simulation.client()), Arc::new(Login));
        let refused = run(flights.may_go_to("https://evil.example"));
        assert_eq!(refused.expect_err("a stranger").id(), ErrorId::AgentRefused);
    }

    #[test]
    fn different_questions_are_bounded() {
        let simulation = Simulation::signed_in().unwrap();
        let flights = Flights::new(Arc::new(simulation.client()), Arc::new(Login));
        run(async {
            // Nothing runs until this waits: all of them are asked at the same time.
            let wish = |seconds| Wish { min_valid: Duration::from_secs(seconds), ..Wish::default() };
            let asked: Vec<_> =
                (0..QUESTIONS as u64).map(|n| flights.join((Turn::First, wish(n))).unwrap()).collect();
            let one_more = flights.join((Turn::First, wish(1000))).expect_err("too many");
            assert_eq!((one_more.id(), one_more.exit_code()), (ErrorId::Unreachable, 6));
            assert!(flights.join((Turn::First, wish(0))).is_ok(), "the same question is no other one");
            for mut answer in asked {
                said(&mut answer).await.unwrap();
            }
            flights.ask(wish(1000)).await.unwrap();
        });
    }
}
