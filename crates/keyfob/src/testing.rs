//! A machine that exists only in memory, for the tests of a host: a disk, a clock that the test sets, and a provider that
//! rotates refresh tokens and ends a login whose token is used twice. With feature `simulation`.
//!
//! ```
//! use keyfob::{Purpose, testing::Simulation};
//!
//! let simulation = Simulation::signed_in()?;
//! let client = simulation.client();
//! let grant = client.grant(Purpose::Api)?;
//! assert!(simulation.accepts(&grant));
//!
//! simulation.advance(3600);
//! assert!(!simulation.accepts(&grant), "an hour later it has ended");
//! assert!(simulation.accepts(&client.grant(Purpose::Api)?), "and was renewed");
//! assert_eq!(simulation.renewals(), 1);
//! # Ok::<(), keyfob::Error>(())
//! ```

use std::{path::Path, sync::Arc};

use keyfob_core::{
    Error, Id, Result, Secret, Timestamp,
    contract::{Variables, names},
    login::record::Generation,
};

use crate::{
    client::Client,
    credential::grant::Grant,
    renewal::InThread,
    setup::{Choices, Setup},
    store::Commit,
    world::simulated::{Machine, Shared},
};

/// An arbitrary time.
const NOW: Timestamp = Timestamp(1_800_000_000);
/// Seconds an access token of this provider lasts.
const LIFETIME: i64 = 3600;

/// One machine, one person and one provider. Clones share them.
#[derive(Clone)]
pub struct Simulation {
    machine: Shared,
}

impl Simulation {
    /// A machine without a login.
    #[must_use]
    pub fn signed_out() -> Self {
        Self { machine: Shared::new(Machine::new(NOW)) }
    }

    /// A machine with a login whose access token was issued just now.
    ///
    /// # Errors
    /// The simulated disk does not accept the login.
    pub fn signed_in() -> Result<Self> {
        let simulation = Self::signed_out();
        let client = simulation.client();
        let (access, refresh) = simulation.machine.look(|machine| machine.server.mint(1, NOW));
        let generation = Generation::new([1; 16], 1);
        let mut record = client.environment()?.record(generation, "default", NOW, None)?;
        record.access_token = Some(Secret::new(access));
        record.refresh_token = Some(Secret::new(refresh));
        record.expires_at = Some(record.issued_at.plus(LIFETIME));
        let store = client.store()?;
        let lease = crate::renewal::wait_for_lease(&simulation.machine.process(0), &*store)?;
        match lease.commit(&record)? {
            Commit::Durable => Ok(simulation),
            _ => Err(Error::new(Id::StoreFailed, "the login was not saved", "the simulated disk lost it")),
        }
    }

    /// A client of a new process on this machine. Several share its logins, as processes do.
    #[must_use]
    pub fn client(&self) -> Client {
        let variables = [(names::USE_LOCAL, "1"), ("HOME", "/home/person")];
        let variables: Variables =
            variables.into_iter().map(|(name, value)| (name.to_owned(), Some(value.to_owned()))).collect();
        let id = self.machine.look(|machine| {
            machine.random = machine.random.wrapping_add(1);
            u32::from(machine.random)
        });
        let world = self.machine.process(id);
        let setup = Setup::read(&variables, Choices::default(), &*world.files, Some(Path::new("/")));
        Client::with(setup, world, Arc::new(InThread))
    }

    /// Returns whether an API accepts this credential now; `false` stands for a 401.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the simulated API reads what it is sent")]
    pub fn accepts(&self, grant: &Grant) -> bool {
        self.machine.look(|machine| machine.server.accepts(grant.credential().expose(), machine.now()))
    }

    /// Makes the API reject every access token that was issued so far, as a provider does that revokes them early.
    pub fn end_access_tokens(&self) {
        self.machine.look(|machine| machine.server.access.clear());
    }

    /// Moves the clock forward by so many seconds.
    pub fn advance(&self, seconds: i64) {
        self.machine.look(|machine| machine.millis += seconds * 1000);
    }

    /// Returns how many refresh tokens were spent at the provider.
    #[must_use]
    pub fn renewals(&self) -> usize {
        self.machine
            .look(|machine| machine.server.refresh.values().filter(|token| token.successor.is_some()).count())
    }
}
