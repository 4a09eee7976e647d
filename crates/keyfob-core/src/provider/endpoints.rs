//! The absolute endpoint URLs of one provider.

use alloc::{
    format,
    string::{String, ToString},
};

use serde::{Deserialize, Serialize};

macro_rules! endpoints {
    ($($(#[doc = $doc:literal])* $field:ident $word:literal,)*) => {
        /// Where a provider is asked. Stored with every login minted there: renewal uses these and no others.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Endpoints {
            $($(#[doc = $doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $field: Option<String>,)*
        }

        impl Endpoints {
            /// Those that are known, with a name for each.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
                [$(($word, self.$field.as_deref()),)*].into_iter().filter_map(|(word, url)| Some((word, url?)))
            }

            /// These, and the others' where these are missing.
            #[must_use]
            pub fn or(self, other: &Self) -> Self {
                Self { $($field: self.$field.or_else(|| other.$field.clone()),)* }
            }
        }
    };
}

endpoints! {
    /// Authorization endpoint (RFC 6749 §3.1).
    authorize_url "authorize",
    /// The console's authorization endpoint, for accounts that use API keys.
    console_authorize_url "console",
    /// Token endpoint (RFC 6749 §3.2).
    token_url "token",
    /// Revocation endpoint (RFC 7009).
    revoke_url "revoke",
    /// Introspection endpoint (RFC 7662).
    introspect_url "introspect",
    /// Device authorization endpoint (RFC 8628).
    device_url "device",
    /// The profile: account, organisation, e-mail.
    profile_url "profile",
    /// OpenID Connect UserInfo.
    userinfo_url "userinfo",
    /// Which credential the provider saw.
    whoami_url "whoami",
    /// Trusted devices.
    devices_url "devices",
    /// The session's WebSocket.
    session_url "session",
}

impl Endpoints {
    /// The API endpoints below a base.
    fn below(api: &str) -> Self {
        let at = |path: &str| Some(format!("{api}{path}"));
        let socket = match api.split_once("://") {
            Some(("https", rest)) => Some(format!("wss://{rest}/v1/session/ws")),
            Some((_, rest)) => Some(format!("ws://{rest}/v1/session/ws")),
            None => None,
        };
        Self {
            token_url: at("/v1/oauth/token"),
            revoke_url: at("/v1/oauth/revoke"),
            introspect_url: at("/v1/oauth/introspect"),
            device_url: at("/v1/oauth/device/code"),
            profile_url: at("/api/oauth/profile"),
            whoami_url: at("/v1/whoami"),
            devices_url: at("/api/auth/trusted_devices"),
            session_url: socket,
            ..Self::default()
        }
    }

    /// All endpoints below the bases there are.
    #[must_use]
    pub fn relative(api: Option<&str>, apps: Option<&str>, console: Option<&str>) -> Self {
        let page = |base: Option<&str>| base.map(|base| format!("{base}/oauth/authorize"));
        Self {
            authorize_url: page(apps),
            console_authorize_url: page(console),
            ..api.map(Self::below).unwrap_or_default()
        }
    }

    /// Where to ask who it is, if this provider has such a place.
    #[must_use]
    pub fn identity_url(&self) -> Option<String> {
        self.profile_url.as_ref().or(self.userinfo_url.as_ref()).map(ToString::to_string)
    }
}
