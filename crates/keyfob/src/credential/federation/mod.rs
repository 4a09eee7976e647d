//! Federation (RFC 7523 §2.1, RFC 8693 §2): exchanges an identity token of this machine for an access token that is stored
//! in a record of its own, and exchanges the next one near its expiry.
//!
//! As with client credentials, it shares the lease of renewal: one process fetches an identity token and exchanges it, the
//! others adopt the result. Nothing is rotated. But an identity token may be good for one exchange alone, so what is about
//! to be presented is written down before it is, and is not presented again unless the provider said that it did not use it.

mod github;
pub(crate) mod identity;
mod missing;
pub(crate) mod narrowed;
pub(crate) mod orphans;
pub(crate) mod place;
mod subject;

use std::sync::{Arc, OnceLock};

use keyfob_core::{
    Ahead, Cause, Error, Id, Record, Result, Source,
    login::{due::Next, record::Generation, refresh::After},
    oauth::{
        client_auth::{ClientAuth, SecretAt},
        exchange,
        federation::{self, Federation, Identity},
        identity_token::IdentityToken,
        token_request::Encoded,
    },
    source::Purpose,
};

use self::{
    missing::Missing,
    narrowed::Subject,
    place::{store, wanted},
};
use crate::{
    credential::{
        client_auth::{self, Party},
        grant::{Considered, Grant, Outcome, stored_grant},
        look::nothing,
    },
    provider,
    renewal::{self, ANSWER, Asking, Need, Spender},
    session::Session,
    store::{Commit, Found, Lease, Seen, Store},
    world::{Answer, Connected, NoAnswer, World, failure},
};

/// Exchanges in the calling thread.
struct Exchanger<'s> {
    session: &'s Session,
    federation: &'s Federation,
}

/// What an exchange needs.
struct Ready {
    token: IdentityToken,
    url: String,
    auth: Option<ClientAuth>,
    request: Encoded,
}

/// What to do about an ID token that is wanted of what is narrowed.
const NO_ID_TOKEN: &str =
    "ask for the ID token of the login itself, without `--scope`, `--audience` and `--resource`";

/// Whether this token was presented before, or may have been.
fn was_presented(record: &Record, token: &IdentityToken) -> bool {
    let (generation, unknown) = (record.generation.number(), record.unknown_now().is_some());
    record.federated.as_ref().is_some_and(|known| known.was_presented(token, generation, unknown))
}

/// Its grant, exchanged if this is the first time or that is due.
pub(crate) fn grant(
    session: &Session,
    purpose: Purpose,
    need: &Need,
    considered: Vec<Considered>,
) -> Result<Grant> {
    let federation = wanted(session)?;
    let store = store(session)?;
    if matches!(store.look()?, Seen::Nothing) {
        // A variable that holds none gets no record either.
        if matches!(federation.identity, Identity::Variable(_)) {
            identity::fetch(session, federation).map_err(|missing| missing.error)?;
        }
        plant(session, federation, &*store, None)?;
    }
    exchanged(session, purpose, need, considered)
}

/// The grant of a login that is narrowed, exchanged if this is the first time or that is due. It belongs to that login alone.
pub(crate) fn narrowed_grant(session: &Session, purpose: Purpose, need: &Need) -> Result<Grant> {
    let federation = wanted(session)?;
    let subject = match narrowed::subject(session)? {
        // It asks for itself now, and is the login then.
        Subject::NotYet => {
            subject::token(session).map_err(|missing| missing.error)?;
            narrowed::subject(session)?
        }
        known => known,
    };
    let Subject::Login(login) = subject else { return Err(nothing(session, &[])) };
    if purpose == Purpose::IdToken {
        let what = format!("the ID token of profile `{}` is not narrowed", session.setup.profile_name());
        return Err(Error::new(Id::Usage, what, "a provider narrows access tokens alone").hint(NO_ID_TOKEN));
    }
    let store = store(session)?;
    // What was got for a login that was replaced is of no use to this one.
    if !matches!(store.look()?, Seen::Record(record) if narrowed::is_of(&record, &login)) {
        plant(session, federation, &*store, Some(&login))?;
    }
    let reason = place::asked_for(session)?.unwrap_or_else(|why| why);
    let considered = vec![Considered { source: Source::Federation, outcome: Outcome::Here, reason }];
    let grant = exchanged(session, purpose, need, considered)?;
    Ok(Grant { profile: Some(session.setup.profile_name().to_owned()), ..grant })
}

fn exchanged(session: &Session, purpose: Purpose, need: &Need, considered: Vec<Considered>) -> Result<Grant> {
    let (federation, store) = (wanted(session)?, store(session)?);
    let exchanger = Exchanger { session, federation };
    let usable = renewal::usable(&session.world, &*store, need, &exchanger)?;
    let usable = usable.ok_or_else(|| nothing(session, &considered))?;
    stored_grant(&*session.world.clock, purpose, Source::Federation, usable, considered)
}

/// Writes the record to be filled, unless another process just did; that of a login takes the place of another login's. The
/// provider's metadata is read here, once.
fn plant(session: &Session, federation: &Federation, store: &dyn Store, login: Option<&str>) -> Result<()> {
    let environment = session.complete_environment()?;
    let mut octets = [0; 16];
    session.world.entropy.fill(&mut octets).map_err(failure::no_randomness)?;
    let lease = renewal::wait_for_lease(&session.world, store)?;
    match (lease.read()?, login) {
        (Found::Nothing, _) => {}
        (Found::Record(record), Some(login)) if !narrowed::is_of(&record, login) => {}
        _ => return Ok(()),
    }
    let generation = Generation::new(octets, 0);
    let mut record = environment.federated_record(federation, generation, session.world.clock.now())?;
    if let Some(federated) = &mut record.federated {
        federated.login = login.map(str::to_owned);
    }
    lease.commit(&record).map(|_| ())
}

impl Spender for Exchanger<'_> {
    fn spend(&self, world: &World, _: &dyn Store, lease: Box<dyn Lease + '_>, need: &Need) -> Result<()> {
        let Found::Record(record) = lease.read()? else { return Ok(()) };
        let mut record = *record;
        match Asking::new(world, need).next(&record) {
            Next::Use => return Ok(()),
            Next::Stop(error) => return Err(error),
            Next::Early | Next::Renew => {}
        }
        self.as_configured(&mut record)?;
        // Before anything is written down: without an identity token and the client's secret nothing is asked.
        let Ready { token, url, auth, request } = match self.ready(world, &record) {
            Ok(ready) => ready,
            Err(Missing { error, was_asked: false }) => return Err(error),
            Err(Missing { error, was_asked: true }) => {
                let now = world.clock.ahead(&record).theirs(world.clock.now());
                lease.commit(&exchange::failed(record, error.id(), None, error.why(), now).record)?;
                return Err(error);
            }
        };
        let single = self.federation.is_single_use(&token);
        let generation = record.generation.number();
        let lost = record.unknown.take().is_some();
        let federated = record.federated.get_or_insert_default();
        if lost {
            federated.note_lost();
        }
        federated.present(&token, single, generation, world.clock.now());
        // What is good for one exchange is noted before it leaves: whatever ends this process from here on, it is not
        // presented a second time.
        let noted = if single { Some(lease.prepare(&record)?) } else { None };
        let refused = Arc::new(OnceLock::new());
        let note: Connected = {
            let refused = refused.clone();
            Arc::new(move || {
                noted.as_ref().map_or(Ok(()), |noted| noted()).map_err(|error| {
                    let kind = error.kind();
                    let _ = refused.set(error);
                    kind.into()
                })
            })
        };
        let kernel = world.clock.kernel();
        let send = |request| provider::post(world, &url, request).within(ANSWER).send_when(note.clone());
        let mut answer = send(request);
        // A refused client has been given nothing (RFC 6749 §5.2): the identity token is as good as before.
        if let Ok(refusal) = &answer
            && let ahead = world.clock.ahead(&record)
            && let Some(ahead) = client_auth::clock_to_sign_by(world, auth.as_ref(), &refusal.reply, ahead)
            && let Ok((_, again)) = self.request(world, &record, &token, ahead)
        {
            answer = send(again);
        }
        // The login's token may have ended before its time: one renewal, which helps or is not tried again for that.
        let mut token = token;
        if let Ok(refusal) = &answer
            && exchange::doubts_the_login(self.federation, &refusal.reply)
            && let Some((renewed, state)) = self.renewed(&record, &token)
            && let ahead = world.clock.ahead(&record)
            && let Ok((_, again)) = self.request(world, &record, &renewed, ahead)
        {
            let federated = record.federated.get_or_insert_default();
            federated.present(&renewed, single, generation, world.clock.now());
            token = renewed;
            answer = send(again);
            let is_of_use = |answer: &Answer| !exchange::doubts_the_login(self.federation, &answer.reply);
            federated.refused = (!answer.as_ref().is_ok_and(is_of_use)).then_some(state);
        }
        if let (Some(error), Err(NoAnswer { sent: false, .. })) = (refused.get(), &answer) {
            // What cannot be noted is not asked.
            return Err(lease.withdraw(error));
        }
        let after = match answer {
            Ok(answer) => {
                let now = world.clock.now();
                exchange::answered(record, self.federation, &token, &answer.reply, now, kernel)
            }
            Err(no_answer) => self.unanswered(world, record, &token, no_answer),
        };
        match (lease.commit(&after.record)?, after.error) {
            (_, Some(error)) => Err(error),
            (Commit::Durable, None) => Ok(()),
            (Commit::Recovered(path), None) => {
                let why = format!("the disk refused it; it was kept in {}", path.display());
                let cause = Cause::RecoveredElsewhere { path: path.to_string_lossy().into_owned() };
                Err(Error::new(Id::StoreFailed, "the new token could not be put in its place", why)
                    .because(cause))
            }
        }
    }
}

impl Exchanger<'_> {
    /// What the configuration says today counts: this record holds nothing that would be lost.
    fn as_configured(&self, record: &mut Record) -> Result<()> {
        let environment = self.session.environment()?;
        if !environment.needs_discovery() {
            record.endpoints = environment.endpoints.clone();
            record.endpoints.token_url = Some(environment.exchange_url(self.federation)?);
        }
        record.secret_at = environment.secret_at();
        record.dialect = environment.dialect.clone();
        Ok(())
    }

    /// The token of the login that is narrowed, renewed because this one was refused, and the state of the login that it is of.
    fn renewed(&self, record: &Record, refused: &IdentityToken) -> Option<(IdentityToken, u64)> {
        let known = record.federated.as_ref().and_then(|federated| federated.refused);
        let (text, state) = subject::renewed(self.session, refused, known)?;
        let token = IdentityToken::read(&text, self.federation.takes_opaque()).ok()?;
        narrowed::check(self.session, record).is_ok().then_some((token, state))
    }

    /// A fresh identity token, and the request that carries it.
    fn ready(&self, world: &World, record: &Record) -> Result<Ready, Missing> {
        let token = identity::fetch(self.session, self.federation)?;
        if self.federation.narrows() {
            narrowed::check(self.session, record)?;
        }
        let is_command = matches!(self.federation.identity, Identity::Command(_));
        let was_asked = is_command || identity::asks_github(self.session, self.federation);
        let worth = self.worth_sending(world, record, &token);
        worth.map_err(|error| Missing { error, was_asked })?;
        let url = record.endpoints.token_url.clone().ok_or_else(|| {
            let why = "its record names no token endpoint";
            Error::new(Id::StoreCorrupt, exchange::failed_at(record), why)
        })?;
        let was_asked = was_asked || record.secret_at.as_ref().is_some_and(SecretAt::is_asked);
        let request = self.request(world, record, &token, world.clock.ahead(record));
        let (auth, request) = request.map_err(|error| Missing { error, was_asked })?;
        Ok(Ready { token, url, auth, request })
    }

    /// Refuses what the provider would refuse: then nothing is asked, and nothing is spent.
    fn worth_sending(&self, world: &World, record: &Record, token: &IdentityToken) -> Result<()> {
        let source = federation::source(self.federation);
        let what = || format!("the identity token from {source} is not exchanged");
        // One that was issued a moment ago has not ended, whatever this machine's clock says: the answer mends that.
        let is_new = identity::asks_github(self.session, self.federation);
        let now = world.clock.ahead(record).theirs(world.clock.now());
        if let Some(end) = token.ended(now).filter(|_| !is_new) {
            let why = format!("it expired at {end}");
            return Err(Error::new(Id::IdentityTokenExpired, what(), why)
                .because(Cause::IdentityExpired { source: source.clone() }));
        }
        if self.federation.is_single_use(token) && was_presented(record, token) {
            let why = "it was exchanged before, or its exchange was begun and its outcome is unknown";
            return Err(Error::new(Id::IdentityTokenUsed, what(), why)
                .because(Cause::IdentityUsed { source: source.clone() }));
        }
        Ok(())
    }

    fn unanswered(
        &self,
        world: &World,
        mut record: Record,
        token: &IdentityToken,
        no_answer: NoAnswer,
    ) -> After {
        let NoAnswer { sent, why, cause, part, .. } = no_answer;
        let now = world.clock.now();
        if let Some(part) = part {
            return exchange::answered(record, self.federation, token, &part, now, world.clock.kernel());
        }
        if let Some(federated) = &mut record.federated {
            if sent { federated.note_asked(token) } else { federated.take_back(token) }
        }
        let at = world.clock.ahead(&record).theirs(now);
        let single = self.federation.is_single_use(token);
        let (id, why, cause) = if sent && single {
            let source = federation::source(self.federation);
            let why = format!(
                "{why} after the request was sent: the identity token may have been exchanged, and the next one is needed"
            );
            (Id::OutcomeUnknown, why, Some(Cause::IdentityUncertain { source }))
        } else {
            (Id::Unreachable, why, cause.map(|cause| *cause))
        };
        let after = exchange::failed(record, id, None, &why, at);
        After { error: after.error.map(|error| error.maybe_because(cause)), ..after }
    }

    /// What is sent, and the proof in it, which is dated by the provider's clock.
    fn request(
        &self,
        world: &World,
        record: &Record,
        token: &IdentityToken,
        ahead: Ahead,
    ) -> Result<(Option<ClientAuth>, Encoded)> {
        let environment = self.session.environment()?;
        let client = environment.federation_client(self.federation);
        let auth = match client {
            Some(client) => {
                let party = Party { environment: &environment.name, client, ..Party::of(record) };
                party.proof(world, record.secret_at.as_ref(), ahead)?
            }
            None => None,
        };
        let dialect = self.federation.dialect(&environment.dialect);
        let request = self.federation.request(client, token).encode(auth.as_ref(), &dialect);
        Ok((auth, request))
    }
}
