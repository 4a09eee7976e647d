//! The endpoints that may be named in either file.

/// Declares what is read from a file, with the keys for endpoints behind its own.
///
/// `#[serde(flatten)]` would do it too, but not together with `deny_unknown_fields`: an unknown key would no longer be
/// reported with its line and the keys that exist.
macro_rules! with_endpoints {
    ($(#[$about:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$about])*
        pub struct $name {
            $($own)*
            pub token_url: Option<String>,
            pub revoke_url: Option<String>,
            pub introspect_url: Option<String>,
            pub device_url: Option<String>,
            pub profile_url: Option<String>,
            pub userinfo_url: Option<String>,
        }

        impl $name {
            /// The endpoints, each as `read` takes its key and its text.
            fn endpoints(&self, read: impl Fn(&str, Option<String>) -> Result<Option<String>>) -> Result<Endpoints> {
                Ok(Endpoints {
                    token_url: read("token_url", self.token_url.clone())?,
                    revoke_url: read("revoke_url", self.revoke_url.clone())?,
                    introspect_url: read("introspect_url", self.introspect_url.clone())?,
                    device_url: read("device_url", self.device_url.clone())?,
                    profile_url: read("profile_url", self.profile_url.clone())?,
                    userinfo_url: read("userinfo_url", self.userinfo_url.clone())?,
                    ..Endpoints::default()
                })
            }
        }
    };
}

pub(super) use with_endpoints;
