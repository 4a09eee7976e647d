//! The record of a login. Its form on disk is in [`super::stored`].

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Ahead, ProviderTime, Secret,
    contract::settings::{ClientId, Scopes},
    digest::{self, hex},
    login::{federated::Federated, identity::Identity},
    oauth::{
        client_auth::{Proof, SecretAt},
        dialect::Dialect,
        id_token::IdToken,
    },
    provider::Endpoints,
};

/// Names one sign-in, at random: after signing out and in again it is another one, whatever the account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct LoginId(String);

impl LoginId {
    /// A new one from 16 random octets.
    pub(super) fn new(random: [u8; 16]) -> Self {
        Self(hex(&random))
    }

    /// Its text: 32 lower-case hexadecimal digits.
    #[cfg(test)]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_well_formed(&self) -> bool {
        digest::is_hex(&self.0, 16)
    }
}

/// Which state of which login: a random id of the sign-in, and how many times its tokens have been replaced since.
///
/// "Has another process renewed already?", "is this the token the API rejected?" and "is this still the same login?" are
/// comparisons of two of these. Its text is `LOGIN:NUMBER`, what `keyfob token --rejected` takes: 32 lower-case
/// hexadecimal digits, a colon, and a decimal number. It is not secret.
///
/// ```
/// use keyfob_core::login::record::Generation;
///
/// let generation: Generation = "000102030405060708090a0b0c0d0e0f:3".parse()?;
/// assert_eq!((generation.login(), generation.number()), ("000102030405060708090a0b0c0d0e0f", 3));
/// assert_eq!(generation.to_string(), "000102030405060708090a0b0c0d0e0f:3");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Generation {
    pub(super) login: LoginId,
    pub(super) number: u64,
}

impl Generation {
    /// A state of the sign-in that these 16 random octets name. The first has the number 0.
    #[must_use]
    pub fn new(random: [u8; 16], number: u64) -> Self {
        Self { login: LoginId::new(random), number }
    }

    /// The id of the sign-in: 32 lower-case hexadecimal digits. Signing in again makes another one, also for the same
    /// account.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login.0
    }

    /// How many times the tokens of this login have been replaced.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The state that follows: its tokens are others.
    pub const fn advance(&mut self) {
        self.number += 1;
    }
}

impl core::fmt::Display for Generation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}:{}", self.login.0, self.number)
    }
}

impl core::str::FromStr for Generation {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (login, number) = text.split_once(':').ok_or("is not LOGIN:GENERATION")?;
        let login = LoginId(login.into());
        if !login.is_well_formed() {
            return Err("does not begin with a login id of 32 hexadecimal digits");
        }
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err("does not end with a generation number");
        }
        let number = number.parse().map_err(|_| "has a generation number that is too large")?;
        Ok(Self { login, number })
    }
}

/// Which record: a login belongs to the profile, issuer and client that minted it (RFC 6749 §10.4, RFC 9700
/// §2.4.2), or to the refresh token of a variable, by its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The profile it was made for.
    pub profile: String,
    /// The issuer that minted it.
    pub issuer: String,
    /// The client it was minted for.
    pub client_id: String,
    /// The fingerprint of the variable's refresh token, for a login seeded by one.
    pub seed: Option<String>,
    /// What makes an exchange of identity tokens that one, for a federated credential.
    pub federation: Option<String>,
}

impl Key {
    /// How the stem of a login begins that a variable seeded.
    pub const SEEDED: &str = "seed-";
    /// How the stem of a federated credential begins: as that of no profile does.
    pub const FEDERATED: &str = "federated-federation-";

    /// The stem of its files: the profile, for people, and a hash of everything, for machines.
    #[must_use]
    pub fn stem(&self) -> String {
        let seed = self.seed.as_deref().unwrap_or("");
        let of_all = [&*self.profile, &*self.issuer, &*self.client_id, seed];
        let name = digest::name_of(of_all.into_iter().chain(self.federation.as_deref()));
        let readable: String =
            self.profile.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(32).collect();
        let kind = if self.seed.is_some() { Self::SEEDED } else { "" };
        if self.federation.is_some() {
            return format!("{}{name}", Self::FEDERATED);
        }
        format!("{kind}{readable}-{name}")
    }
}

/// A refusal that only signing in again can mend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The generation that was refused; a newer one is not.
    pub generation: u64,
    /// When.
    pub at: ProviderTime,
    /// The provider's words, escaped.
    pub why: String,
}

/// "Not now": shared by every process that reads the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    /// When it was set, to notice a clock that was stepped back.
    pub since: ProviderTime,
    /// When asking is allowed again.
    pub until: ProviderTime,
    /// How many times in a row, for the back-off.
    pub times: u32,
    /// Why, in words.
    pub why: String,
}

/// A refresh request went out and its answer never came: the provider may have rotated the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// The generation whose refresh token was in that request.
    pub generation: u64,
    /// When it was noticed.
    pub since: ProviderTime,
    /// How many requests went unanswered: the pause before the next one grows with them.
    pub times: u32,
}

/// One login: what was minted, for whom, by whom, and what is known about its renewal.
#[derive(Debug)]
pub struct Record {
    /// Which state of which login.
    pub generation: Generation,
    /// The profile it was made for.
    pub profile: String,
    /// The environment's name when it was minted, for people.
    pub environment: String,
    /// The issuer that minted it.
    pub issuer: String,
    /// The client it was minted for: renewal uses this one, whatever the variables say today.
    pub client_id: ClientId,
    /// The endpoints of that provider as they were then.
    pub endpoints: Endpoints,
    /// The granted scopes.
    pub scopes: Scopes,
    /// Whether they are requested at every renewal, because the user wanted no more than these of a refresh token that
    /// may be good for more (RFC 6749 §6).
    pub narrowed: bool,
    /// The access token. `None` for a seed that was never exchanged, or a login that was signed out.
    pub access_token: Option<Secret>,
    /// The refresh token, if there is one.
    pub refresh_token: Option<Secret>,
    /// The ID token that came last, with the sign-in or a renewal. It is for whoever asks who signed in
    /// (Kubernetes); what it says has been checked.
    pub id_token: Option<Secret>,
    /// Why the last renewal brought no ID token to put in that one's place, in words.
    pub id_token_missed: Option<String>,
    /// This provider's own words for a refresh token that is dead, as they were configured.
    pub dead_refresh_words: Vec<String>,
    /// Set where a machine asks for itself (RFC 6749 §4.4): how it proves who it is. Asking again takes the place of a
    /// refresh token.
    pub proof: Option<Proof>,
    /// Set where a person's client has a secret or a key: how to find it.
    pub secret_at: Option<SecretAt>,
    /// How its provider wants to be spoken to, as it was configured.
    pub dialect: Dialect,
    /// Set where an identity token of this machine is exchanged: what is remembered of those. Exchanging the next one takes
    /// the place of a refresh token.
    pub federated: Option<Federated>,
    /// When the tokens were issued.
    pub issued_at: ProviderTime,
    /// When the access token ends. `None`: the provider never said and nothing can renew.
    pub expires_at: Option<ProviderTime>,
    /// Per running kernel whose clock was found to differ from the provider's: seconds the provider is ahead.
    pub clocks: BTreeMap<String, i64>,
    /// Who it is, as far as the provider said.
    pub identity: Identity,
    /// The subject of the sign-in's ID token, where that was verified: a renewal's is held to it.
    pub verified_subject: Option<String>,
    /// Set when the provider refused this generation for good.
    pub refused: Option<Refusal>,
    /// Set while asking is not allowed.
    pub cooldown: Option<Cooldown>,
    /// Set while the outcome of a renewal is unknown.
    pub unknown: Option<Unknown>,
    /// Members a newer version wrote: kept as they are.
    pub other: Map<String, Value>,
}

/// What a login is from its first moment on: for whom it is, and where it was minted.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The profile it is made for.
    pub profile: &'a str,
    /// The environment's name.
    pub environment: &'a str,
    /// The issuer that mints it.
    pub issuer: &'a str,
    /// The client it is minted for.
    pub client_id: &'a ClientId,
}

impl Record {
    /// One that holds no token yet, and of whose provider nothing else is known.
    #[must_use]
    pub fn begin(generation: Generation, login: &Login<'_>, issued_at: ProviderTime) -> Self {
        Self {
            generation,
            profile: login.profile.into(),
            environment: login.environment.into(),
            issuer: login.issuer.into(),
            client_id: login.client_id.clone(),
            endpoints: Endpoints::default(),
            scopes: Scopes::default(),
            narrowed: false,
            access_token: None,
            refresh_token: None,
            id_token: None,
            id_token_missed: None,
            dead_refresh_words: Vec::new(),
            proof: None,
            secret_at: None,
            dialect: Dialect::default(),
            federated: None,
            issued_at,
            expires_at: None,
            clocks: BTreeMap::new(),
            identity: Identity::default(),
            verified_subject: None,
            refused: None,
            cooldown: None,
            unknown: None,
            other: Map::new(),
        }
    }

    /// How far this provider's clock is ahead of the one of a running kernel, as far as that was found out.
    #[must_use]
    pub fn ahead(&self, kernel: Option<&str>) -> Ahead {
        Ahead::by(kernel.and_then(|kernel| self.clocks.get(kernel)).copied().unwrap_or(0))
    }

    /// Whether revoking a token of one of these logins may end the other: RFC 7009 §2 lets a provider end the whole
    /// grant with it, and many keep one grant for a person and a client. Of two logins at one provider and client that
    /// is excluded only where both are known to be of different accounts.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "two tokens are compared, and shown to nobody")]
    pub fn may_share_grant(&self, other: &Self) -> bool {
        let (one, two) = (&self.identity, &other.identity);
        let differ =
            |one: &Option<String>, two: &Option<String>| one.is_some() && two.is_some() && one != two;
        let strangers = differ(&one.account_uuid, &two.account_uuid) || differ(&one.subject, &two.subject);
        let same_token =
            [(&self.refresh_token, &other.refresh_token), (&self.access_token, &other.access_token)]
                .into_iter()
                .any(|pair| matches!(pair, (Some(one), Some(two)) if one.same_as(two.expose())));
        same_token || (self.issuer == other.issuer && self.client_id == other.client_id && !strangers)
    }

    /// When the ID token ends, as it says itself (`exp`). `None`: there is none, or it cannot be read.
    #[must_use]
    pub fn id_token_ends_at(&self) -> Option<ProviderTime> {
        IdToken::read(self.id_token.as_ref()?).ok()?.expires_at()
    }

    /// How its client proves itself: `None` for a public one.
    #[must_use]
    pub fn client_auth(&self) -> Option<Proof> {
        self.proof.or(self.secret_at.as_ref().map(|secret| secret.auth))
    }

    /// Whether its client proves itself with what it signs.
    pub(crate) fn signs(&self) -> bool {
        self.client_auth().is_some_and(Proof::signs)
    }

    /// Whether there is anything to ask for a new token with.
    #[must_use]
    pub fn can_renew(&self) -> bool {
        self.refresh_token.is_some() || self.proof.is_some() || self.federated.is_some()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloc::string::ToString;

    /// A record for tests, issued at `now` for `lifetime` seconds.
    pub(crate) fn record(now: i64, lifetime: i64) -> Record {
        let generation = Generation { login: LoginId::new([7; 16]), number: 3 };
        let client_id = ClientId::parse("keyfob-local").unwrap();
        let login = Login {
            profile: "default",
            environment: "local",
            issuer: "http://localhost:3000",
            client_id: &client_id,
        };
        Record {
            scopes: Scopes::parse("user:profile user:inference").unwrap(),
            access_token: Some(Secret::new("access-3")),
            refresh_token: Some(Secret::new("refresh-3")),
            expires_at: Some(ProviderTime(now + lifetime)),
            ..Record::begin(generation, &login, ProviderTime(now))
        }
    }

    #[test]
    fn a_generation_is_a_sign_in_and_a_count() {
        let mut generation = Generation::new([7; 16], 3);
        assert_eq!((generation.login(), generation.number()), ("07".repeat(16).as_str(), 3));
        assert_eq!(generation.to_string().parse(), Ok(generation.clone()));
        let before = generation.clone();
        generation.advance();
        assert_eq!((generation.login(), generation.number()), (before.login(), 4), "of the same sign-in");
        assert_ne!(generation, before);
    }

    #[test]
    fn keys_differ_in_every_part() {
        let key = |p: &str, i: &str, c: &str, s: Option<&str>, f: Option<&str>| {
            Key {
                profile: p.into(),
                issuer: i.into(),
                client_id: c.into(),
                seed: s.map(Into::into),
                federation: f.map(Into::into),
            }
            .stem()
        };
        let all = [
            key("a", "b", "c", None, None),
            key("ab", "", "c", None, None),
            key("a", "bc", "", None, None),
            key("a", "b", "c", Some("d"), None),
            key("a", "b", "c", None, Some("d")),
            key("a", "b", "c", None, Some("e")),
            key("a/..", "b", "c", None, None),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(all[n + 1..].iter().all(|other| other != one), "{one}");
            assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)), "{one}");
        }
    }

    #[test]
    fn generations_are_written_and_read() {
        let generation = Generation { login: LoginId::new([0xab; 16]), number: 12 };
        assert_eq!(generation.to_string().parse(), Ok(generation));
        for wrong in ["", "12", "xyz:1", &format!("{}:", "a".repeat(32)), &format!("{}:-1", "a".repeat(32))] {
            assert!(wrong.parse::<Generation>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_generation_number_is_digits_alone() {
        let login = "ab".repeat(16);
        for wrong in ["", "+1", "1 ", "18446744073709551616"] {
            assert!(alloc::format!("{login}:{wrong}").parse::<Generation>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_refresh_token_or_the_proof_of_a_machine_renews() {
        let mut r = record(0, 60);
        assert!(r.can_renew());
        r.refresh_token = None;
        assert!(!r.can_renew());
        r.proof = Some(Proof::Basic);
        assert!(r.can_renew());
        r.proof = None;
        r.federated = Some(Federated::default());
        assert!(r.can_renew(), "the next identity token does");
    }

    /// RFC 7009 §2: a provider may end a whole grant, which a person and a client have one of.
    #[test]
    fn grants_are_apart_only_where_that_is_known() {
        let with = |n: u8, account: Option<&str>, subject: Option<&str>| {
            let mut r = record(0, 60);
            r.access_token = Some(Secret::new(alloc::format!("a{n}")));
            r.refresh_token = Some(Secret::new(alloc::format!("r{n}")));
            r.identity.account_uuid = account.map(Into::into);
            r.identity.subject = subject.map(Into::into);
            r
        };
        let one = || with(1, Some("ada"), Some("7"));
        assert!(one().may_share_grant(&with(2, None, None)), "nobody said who it is");
        assert!(one().may_share_grant(&with(2, Some("ada"), Some("7"))));
        assert!(!one().may_share_grant(&with(2, Some("bob"), None)), "another account");
        assert!(!one().may_share_grant(&with(2, None, Some("8"))), "another subject");
        assert!(one().may_share_grant(&with(1, Some("bob"), None)), "they hold the same tokens");
        let elsewhere = Record { issuer: "https://other.example".into(), ..with(2, None, None) };
        assert!(!one().may_share_grant(&elsewhere));
        let client_id = ClientId::parse("another").unwrap();
        assert!(!one().may_share_grant(&Record { client_id, ..with(2, None, None) }));
        let same = Record { issuer: "https://other.example".into(), ..with(1, None, None) };
        assert!(one().may_share_grant(&same), "wherever they are kept");
    }
}
