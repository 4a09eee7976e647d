//! Eight providers as they document themselves, in what matters to a client. One row each; docs/how-to/providers.md has the
//! sources. Where a provider leaves something open, the row is the stricter reading.

use serde_json::json;

use crate::stub::{Asked, Manners, Rotation, asks_for, exact, loopback_with_any_port};

/// With everything in it that a naive header would get wrong.
pub(super) const SECRET: &str = "GOCSPX-s3cr%t:of+the&client";

pub(super) struct Row {
    /// Its heading on the page.
    pub(super) title: &'static str,
    pub(super) manners: fn() -> Manners,
    /// Whether the recipe signs in on a page. Else it is a code for another device alone.
    pub(super) has_page: bool,
    /// Whether `login --device` works with the same client.
    pub(super) has_device: bool,
    /// The keys without which it does not work.
    pub(super) needs: &'static [&'static str],
    /// Parameters that this provider wants to see.
    pub(super) sends: &'static [&'static str],
}

pub(super) fn rows() -> [Row; 8] {
    [
        Row {
            title: "Google",
            manners: google,
            has_page: true,
            // Codes for devices are for a client of another type.
            has_device: false,
            needs: &["client_secret_file", "authorize_parameters", "prompt", "scopes"],
            sends: &["access_type"],
        },
        Row {
            title: "Microsoft Entra ID",
            manners: entra,
            has_page: true,
            has_device: true,
            needs: &["redirect", "scopes"],
            sends: &[],
        },
        Row {
            title: "Okta",
            manners: okta,
            has_page: true,
            has_device: true,
            needs: &["port", "scopes"],
            sends: &[],
        },
        Row {
            title: "Auth0",
            manners: auth0,
            has_page: true,
            has_device: true,
            needs: &["port", "scopes"],
            sends: &["audience"],
        },
        Row {
            title: "Keycloak",
            manners: keycloak,
            has_page: true,
            has_device: true,
            needs: &["scopes"],
            sends: &[],
        },
        Row { title: "GitHub", manners: github, has_page: false, has_device: true, needs: &[], sends: &[] },
        Row {
            title: "GitLab",
            manners: gitlab,
            has_page: true,
            has_device: true,
            needs: &["scopes"],
            sends: &[],
        },
        Row {
            title: "Dex",
            manners: dex,
            has_page: true,
            has_device: true,
            needs: &["redirect", "scopes"],
            sends: &[],
        },
    ]
}

/// Endpoints by their names in the metadata: authorization, token, device, revocation, UserInfo, keys.
fn endpoints(urls: [&str; 6]) -> Vec<(&'static str, String)> {
    let names = [
        "authorization_endpoint",
        "token_endpoint",
        "device_authorization_endpoint",
        "revocation_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
    ];
    names
        .into_iter()
        .zip(urls)
        .filter(|(_, url)| !url.is_empty())
        .map(|(name, url)| (name, url.to_owned()))
        .collect()
}

fn below(base: &str, paths: [&str; 6]) -> Vec<(&'static str, String)> {
    let urls = paths.map(|path| if path.is_empty() { String::new() } else { format!("{base}{path}") });
    endpoints(urls.each_ref().map(String::as_str))
}

/// Everything that is asked for is one of these, or the page refuses.
fn unknown_scope(asked: &Asked, known: &[&str]) -> Option<&'static str> {
    let all = asked.get("scope").map_or("", String::as_str).split(' ');
    all.filter(|scope| !scope.is_empty()).any(|scope| !known.contains(&scope)).then_some("invalid_scope")
}

fn google() -> Manners {
    Manners {
        endpoints: endpoints([
            "https://accounts.google.com/o/oauth2/v2/auth",
            "https://oauth2.googleapis.com/token",
            "https://oauth2.googleapis.com/device/code",
            "https://oauth2.googleapis.com/revoke",
            "https://openidconnect.googleapis.com/v1/userinfo",
            "https://www.googleapis.com/oauth2/v3/certs",
        ]),
        client_id: "407408718192-example.apps.googleusercontent.com".into(),
        secret: Some(SECRET.into()),
        refuses: |asked| unknown_scope(asked, &["openid", "email", "profile"]),
        gives_refresh_token: |asked| {
            let says = |name: &str, value: &str| asked.get(name).is_some_and(|said| said == value);
            says("access_type", "offline") && says("prompt", "consent")
        },
        rotation: Rotation::Never,
        lifetime: Some(3599),
        ..Manners::by_the_book("https://accounts.google.com")
    }
}

fn entra() -> Manners {
    let tenant = "https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
    Manners {
        endpoints: endpoints([
            &format!("{tenant}/oauth2/v2.0/authorize"),
            &format!("{tenant}/oauth2/v2.0/token"),
            &format!("{tenant}/oauth2/v2.0/devicecode"),
            "",
            "https://graph.microsoft.com/oidc/userinfo",
            &format!("{tenant}/discovery/v2.0/keys"),
        ]),
        // It takes PKCE and does not say so.
        metadata: |document| {
            document.as_object_mut().expect("an object").remove("code_challenge_methods_supported");
        },
        client_id: "6731de76-14a6-49ae-97bc-6eba6914391e".into(),
        rotation: Rotation::Grace,
        lifetime: Some(4713),
        ..Manners::by_the_book(&format!("{tenant}/v2.0"))
    }
}

fn okta() -> Manners {
    let issuer = "https://company.okta.com/oauth2/default";
    Manners {
        endpoints: below(
            issuer,
            ["/v1/authorize", "/v1/token", "/v1/device/authorize", "/v1/revoke", "/v1/userinfo", "/v1/keys"],
        ),
        client_id: "0oab8eb55Kb9jdMIr5d6".into(),
        takes_redirect: exact,
        rotation: Rotation::Grace,
        ..Manners::by_the_book(issuer)
    }
}

fn auth0() -> Manners {
    Manners {
        endpoints: below(
            "https://company.eu.auth0.com",
            [
                "/authorize",
                "/oauth/token",
                "/oauth/device/code",
                "/oauth/revoke",
                "/userinfo",
                "/.well-known/jwks.json",
            ],
        ),
        client_id: "u7fA9dGk3mXq2LsV8bTzYc1WnR5eJh0P".into(),
        takes_redirect: exact,
        rotation: Rotation::Grace,
        dead: (403, "invalid_grant"),
        pending: (403, "authorization_pending"),
        lifetime: Some(86400),
        // The slash at the end is part of it.
        ..Manners::by_the_book("https://company.eu.auth0.com/")
    }
}

fn keycloak() -> Manners {
    let issuer = "https://login.company.com/realms/staff";
    Manners {
        endpoints: below(
            issuer,
            [
                "/protocol/openid-connect/auth",
                "/protocol/openid-connect/token",
                "/protocol/openid-connect/auth/device",
                "/protocol/openid-connect/revoke",
                "/protocol/openid-connect/userinfo",
                "/protocol/openid-connect/certs",
            ],
        ),
        refuses: |asked| unknown_scope(asked, &["openid", "email", "profile", "offline_access"]),
        // Without the scope they end with the person's session.
        gives_refresh_token: |_| true,
        // As the realm's setting "Revoke Refresh Token" has it. Without it old ones stay good.
        rotation: Rotation::Strict,
        lifetime: Some(300),
        ..Manners::by_the_book(issuer)
    }
}

fn github() -> Manners {
    Manners {
        endpoints: endpoints([
            "https://github.com/login/oauth/authorize",
            "https://github.com/login/oauth/access_token",
            "https://github.com/login/device/code",
            "",
            "https://api.github.com/user",
            "",
        ]),
        is_discovered: false,
        client_id: "Iv23liA1b2C3d4E5f6G7".into(),
        secret: Some(SECRET.into()),
        // Neither a code for a device nor what came of one needs the secret.
        wants_secret: |grant| grant == "authorization_code",
        takes_basic: false,
        gives_refresh_token: |_| true,
        rotation: Rotation::Strict,
        dead: (200, "bad_refresh_token"),
        pending: (200, "authorization_pending"),
        lifetime: Some(28800),
        is_form: true,
        always_succeeds: true,
        userinfo: json!({ "login": "ada", "id": 583_231, "type": "User", "email": "ada@company.test" }),
        ..Manners::by_the_book("https://github.com")
    }
}

fn gitlab() -> Manners {
    Manners {
        endpoints: below(
            "https://gitlab.com",
            [
                "/oauth/authorize",
                "/oauth/token",
                "/oauth/authorize_device",
                "/oauth/revoke",
                "/oauth/userinfo",
                "/oauth/discovery/keys",
            ],
        ),
        client_id: "2f5b7f0c9d1e4a6b8c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b".into(),
        refuses: |asked| unknown_scope(asked, &["openid", "email", "profile", "read_api"]),
        gives_refresh_token: |_| true,
        lifetime: Some(7200),
        ..Manners::by_the_book("https://gitlab.com")
    }
}

fn dex() -> Manners {
    let issuer = "https://login.company.com/dex";
    Manners {
        endpoints: below(issuer, ["/auth", "/token", "/device/code", "", "/userinfo", "/keys"]),
        // A public client without addresses of its own may be called at any port and path of this name.
        takes_redirect: |registered, asked| {
            asked.host_str() == Some("localhost") && loopback_with_any_port(registered, asked)
        },
        gives_refresh_token: |asked| asks_for(asked, "offline_access"),
        dead: (400, "invalid_request"),
        pending: (401, "authorization_pending"),
        lifetime: Some(86399),
        ..Manners::by_the_book(issuer)
    }
}
