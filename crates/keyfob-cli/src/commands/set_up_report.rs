//! The messages printed while a provider is set up.

use std::path::Path;

use keyfob::internals::{core::provider::offer::Offer, world::system::shown};

use crate::{
    config_edit,
    output::{
        manner::Manner,
        report::Report,
        terminal::{plain, plain_whole},
    },
};

/// The provider's relevant capabilities.
pub(crate) fn offer(offer: &Offer) {
    Report::say(&format!("\nThe provider {} offers:", plain(&offer.issuer)));
    let lines = [
        ("sign-in page", offer.endpoints.authorize_url.clone().unwrap_or_default()),
        ("tokens", offer.endpoints.token_url.clone().unwrap_or_default()),
        (
            "device codes",
            match &offer.endpoints.device_url {
                Some(url) => url.clone(),
                None => "no: `keyfob login --device` will not work there".into(),
            },
        ),
        (
            "revocation",
            match &offer.endpoints.revoke_url {
                Some(url) => url.clone(),
                None => "no: `keyfob logout` can only forget the login".into(),
            },
        ),
        (
            "PKCE",
            if offer.says_s256 { "S256".into() } else { "it does not say; S256 is sent all the same".into() },
        ),
        (
            "OpenID Connect",
            if offer.openid { "yes: it says who signed in" } else { "no: a login may have no name" }.into(),
        ),
        ("refresh tokens", refresh(offer).into()),
    ];
    for (label, value) in lines {
        Report::show(&Manner::of_messages().hanging(&format!("  {label:<16}{}", plain(&value)), 16));
    }
    Report::say("");
}

fn refresh(offer: &Offer) -> &'static str {
    match offer.renews(offer.usual_scopes().into_iter()) {
        Some(true) if offer.usual_scopes().contains(&"offline_access") => "with the scope offline_access",
        Some(_) => "yes",
        None => "it does not say: without one, a login ends with its access token",
    }
}

/// The same for programs.
pub(crate) fn json(offer: &Offer) -> serde_json::Value {
    serde_json::json!({
        "authorization_endpoint": offer.endpoints.authorize_url,
        "token_endpoint": offer.endpoints.token_url,
        "device_authorization_endpoint": offer.endpoints.device_url,
        "revocation_endpoint": offer.endpoints.revoke_url,
        "says_s256": offer.says_s256,
        "openid": offer.openid,
        "scopes": offer.scopes,
    })
}

/// The lines that a change adds and removes.
pub(crate) fn change(path: &Path, old: &str, new: &str) {
    if old == new {
        return;
    }
    let heading = if old.is_empty() { "will hold" } else { "will change" };
    Report::say(&format!("\n{} {heading}:\n", shown(path)));
    let manner = Manner::of_messages();
    for line in config_edit::difference(old, new) {
        let line = plain_whole(&line);
        Report::show(&match line.split_at(1) {
            ("-", _) => format!("  {}", manner.bad(&line)),
            // Where there was nothing, all of it is new.
            (_, rest) if old.is_empty() => format!(" {rest}").trim_end().to_owned(),
            _ => format!("  {}", manner.good(&line)).trim_end().to_owned(),
        });
    }
    Report::say("");
}

/// The redirect URI that must be registered with the provider.
pub(crate) fn redirect(address: &str, client_id: &str, port: Option<u16>) {
    Report::say(&format!(
        "\nThe provider must know this redirect address of the client `{}`. Register it there, if it is not yet:\n",
        plain(client_id)
    ));
    Report::show(&format!("  {}\n", Manner::of_messages().bold(address)));
    Report::say(match port {
        Some(_) => "It is compared as a whole, port included.\n",
        None => {
            "The port may be any (RFC 8252 §7.3). If the provider insists on a port or on the name localhost, run this again with \
             `--port` or `--redirect localhost`, and `--replace`.\n"
        }
    });
}
