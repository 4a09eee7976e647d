//! The built-in environments.

use alloc::format;

use crate::contract::settings::{Bases, ClientId, Scopes};
use crate::{
    Cause, Error, Id, Result,
    provider::{
        Endpoints,
        dialect_of::{VENDOR, dialect_of},
        environment::Environment,
    },
};

/// The client id that was set at compile time, if there was one.
const BUILT_IN_CLIENT_ID: Option<&str> = match option_env!("KEYFOB_DEFAULT_CLIENT_ID") {
    Some(id) if !id.is_empty() => Some(id),
    _ => None,
};

// A build with a malformed one must not come out as a build without.
const _: () = assert!(
    match BUILT_IN_CLIENT_ID {
        Some(id) => ClientId::fits(id),
        None => true,
    },
    "KEYFOB_DEFAULT_CLIENT_ID: expected printable ASCII without a blank at either end"
);

const APPS: &str = VENDOR;
const CONSOLE: &str = "https://platform.claude.com";
const API: &str = "https://api.anthropic.com";
const TOKEN: &str = "https://platform.claude.com/v1/oauth/token";

pub(super) fn default_scopes() -> Scopes {
    Scopes::parse("user:profile user:inference").unwrap_or_default()
}

/// No built-in provider gives a token that lasts longer than a year and a day.
const LONGEST: u64 = 366 * DAY;
const DAY: u64 = 24 * 3600;

impl Environment {
    /// Refuses a wish for a token that lasts longer than its provider ever gives, where that is known.
    ///
    /// # Errors
    /// [`Id::Usage`].
    pub fn may_last(&self, seconds: u64) -> Result<()> {
        if seconds <= LONGEST || !matches!(self.name.as_str(), "production" | "staging" | "local") {
            return Ok(());
        }
        let what = format!("environment `{}` gives no token for {} days", self.name, seconds / DAY);
        let why = format!("{} lets one last for {} days at most", self.issuer(), LONGEST / DAY);
        Err(Error::new(Id::Usage, what, why).because(Cause::TooLong { days: LONGEST / DAY - 1 }))
    }
}

fn console_scopes() -> Scopes {
    Scopes::parse("org:create_api_key user:profile").unwrap_or_default()
}

/// Its endpoints are fixed. How it spells its issuer is not known.
pub(super) fn production() -> Environment {
    Environment {
        issuer_is_known: false,
        endpoints: Endpoints {
            token_url: Some(TOKEN.into()),
            ..Endpoints::relative(Some(API), Some(APPS), Some(CONSOLE))
        },
        api_base: Some(API.into()),
        apps_base: Some(APPS.into()),
        console_base: Some(CONSOLE.into()),
        client_id: BUILT_IN_CLIENT_ID.and_then(|id| ClientId::parse(id).ok()),
        scopes: default_scopes(),
        console_scopes: console_scopes(),
        dialect: dialect_of(VENDOR),
        ..Environment::bare("production", VENDOR)
    }
}

/// Works out of the box; its issuer is the API base.
pub(super) fn local(bases: &Bases) -> Environment {
    Environment {
        endpoints: Endpoints::relative(Some(&bases.api), Some(&bases.apps), Some(&bases.console)),
        api_base: Some(bases.api.clone()),
        apps_base: Some(bases.apps.clone()),
        console_base: Some(bases.console.clone()),
        client_id: ClientId::parse("keyfob-local").ok(),
        scopes: default_scopes(),
        console_scopes: console_scopes(),
        ..Environment::bare("local", &bases.api)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_built_in_scopes_are_scopes() {
        use alloc::string::ToString;
        assert_eq!(super::default_scopes().to_string(), "user:profile user:inference");
        assert_eq!(super::console_scopes().to_string(), "org:create_api_key user:profile");
    }

    /// A token that is too long-lived is refused without a request only if the longest lifetime is known.
    #[test]
    fn a_token_may_last_as_long_as_its_provider_lets_it() {
        use super::{Environment, LONGEST};
        for name in ["production", "staging", "local"] {
            let environment = Environment::bare(name, "https://i.example");
            assert!(
                environment.may_last(LONGEST).is_ok() && environment.may_last(LONGEST + 1).is_err(),
                "{name}"
            );
        }
        assert!(Environment::bare("work", "https://i.example").may_last(LONGEST + 1).is_ok());
    }
}
