//! What the agent is told by the program that runs it: the time, what is known of a login, and words for people.

use std::{collections::BTreeMap, time::Duration};

use keyfob::{Client, Error, Generation, Source, Timestamp};

/// The program that runs the agent.
pub trait Host: Send + Sync {
    /// The time now, by this machine's clock.
    fn now(&self) -> Timestamp;
    /// The three lines of an error, as the program tells it.
    fn told(&self, error: &Error) -> Told;
    /// Which source a client's credential would come from, by looking alone: nothing is taken, renewed or run. May block.
    fn source(&self, client: &Client) -> Option<Source>;
    /// Numbers that are others whenever a client's stored login is. `None`: nobody knows. It waits for no disk, where that login
    /// was looked at a moment ago: it is asked in the loop that serves everybody.
    fn mark(&self, client: &Client) -> Option<[i64; 5]> {
        let _ = client;
        None
    }
    /// What is known of a client's login without renewing it or using the network. May block.
    fn known(&self, client: &Client) -> Known;
    /// Something went wrong that no client is told of.
    fn warn(&self, error: &Error);
    /// How often it wants to hear of what is counted. `None`: never.
    fn counts_every(&self) -> Option<Duration> {
        None
    }
    /// What was counted at each door, by its name, since the last time. May block for a moment.
    fn count(&self, doors: &[(String, Counts)]) {
        let _ = doors;
    }
    /// The same of a proxy: what has come of requests for each origin.
    fn count_traffic(&self, origins: &[(String, Traffic)]) {
        let _ = origins;
    }
}

/// What is counted of the requests for an origin. No secret is in it, no path and no login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many answers of the origin were passed on, by the class of their status (`2xx`).
    pub answered: BTreeMap<&'static str, u64>,
    /// How many requests the proxy answered itself, by the id of the error.
    pub refused: BTreeMap<&'static str, u64>,
    /// How many times a renewed credential came, whoever has renewed it.
    pub renewed: u64,
    /// How many answers are still coming, and connections speak another protocol, at this moment.
    pub open: u64,
}

impl Traffic {
    /// Whether nothing has come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answered.is_empty() && self.refused.is_empty() && self.renewed == 0
    }
}

/// What is counted at a door. No secret is in it, and no login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many times a token or headers were handed out.
    pub handed_out: u64,
    /// How many requests were refused, by the id of the error.
    pub refused: BTreeMap<&'static str, u64>,
    /// How many times a renewed login came to the door, whoever has renewed it.
    pub renewed: u64,
}

impl Counts {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.handed_out == 0 && self.refused.is_empty() && self.renewed == 0
    }
}

/// Whether an agent lends what comes from this source: only what ends by itself and can be renewed. An API key, or a token that
/// somebody put into a variable, stays.
#[must_use]
pub const fn is_lent(source: Source) -> bool {
    matches!(source, Source::Login | Source::RefreshToken | Source::Federation)
}

/// The lines of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What failed.
    pub what: String,
    /// Why.
    pub why: String,
    /// The one thing to do, on the machine of the agent.
    pub hint: String,
}

/// What is known of a login.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Whose it is, in a word for people.
    pub account: Option<String>,
    /// Where its credential comes from.
    pub source: Option<Source>,
    /// Its state.
    pub generation: Option<Generation>,
    /// When its access token ends.
    pub expires_at: Option<Timestamp>,
    /// Why there is no token, or will be none.
    pub problem: Option<Error>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A program that has a login, and nothing to say.
    pub(crate) struct Login;

    impl Host for Login {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }
        fn source(&self, _: &Client) -> Option<Source> {
            Some(Source::Login)
        }
        fn told(&self, error: &Error) -> Told {
            Told { what: error.message(), why: String::new(), hint: String::new() }
        }
        fn known(&self, _: &Client) -> Known {
            Known::default()
        }
        fn warn(&self, _: &Error) {}
    }
}
