//! The choice of an environment.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
};

use crate::provider::{
    Endpoints, built_in,
    environment::{Discovery, Environment, origin},
};
use crate::{
    Cause, Error, Id, Result,
    config::{Config, Configured, approved::ApprovedList},
    contract::{
        names,
        settings::{Scopes, Settings},
        values,
    },
    error::escape,
    oauth::federation::{Federation, Identity},
};

/// Decides which provider is meant: the contract's variables, then the name that was chosen, then the
/// configuration's, then production. Sends no request.
///
/// ```
/// use keyfob_core::{
///     config::{Config, approved::ApprovedList},
///     contract::{self, Variables},
///     provider::resolve,
/// };
///
/// let variables: Variables =
///     [("USE_LOCAL_OAUTH".to_string(), Some("1".to_string()))].into_iter().collect();
/// let settings = contract::read(&variables).settings;
/// let local = resolve(&settings, &Config::default(), None, &ApprovedList::default())?;
/// assert_eq!(local.token_url()?, "http://localhost:3000/v1/oauth/token");
/// assert_eq!(local.require_client_id()?.as_str(), "keyfob-local");
/// # Ok::<(), keyfob_core::Error>(())
/// ```
///
/// # Errors
/// [`Id::UrlNotApproved`], [`Id::EnvironmentUnknown`], [`Id::EnvironmentIncomplete`].
pub fn resolve(
    settings: &Settings,
    config: &Config,
    chosen: Option<&str>,
    approved: &ApprovedList,
) -> Result<Environment> {
    let by_name = || chosen.or(config.environment.as_deref()).unwrap_or("production");
    let name = match settings {
        Settings { local: true, .. } => "local",
        Settings { staging: true, .. } => "staging",
        Settings { custom_url: Some(_), .. } => "custom",
        _ => by_name(),
    };
    let configured = config.environments.get(name);
    let mut environment = match (name, configured) {
        ("production", _) => built_in::production().with(configured),
        ("local", _) => built_in::local(&settings.bases).with(configured),
        ("custom", _) => custom(settings.custom_url.as_deref(), approved)?.with(configured),
        ("staging", _) => staging(configured)?,
        (name, Some(configured)) => of_configuration(name, configured)?,
        (name, None) => {
            let what = format!("there is no environment `{}`", escape(name));
            let why = "the configuration file does not define it";
            return Err(Error::new(Id::EnvironmentUnknown, what, why).because(Cause::EnvironmentNotFound {
                name: name.to_string(),
                known: config.environments.keys().cloned().collect(),
            }));
        }
    };
    if let Some(configured) = configured {
        environment.hosts.clone_from(&configured.hosts);
        environment.pkce_is_assumed = configured.pkce_is_assumed;
        environment.dialect = configured.ways.over(&environment.dialect);
        environment.authorize_parameters.clone_from(&configured.ways.authorize_parameters);
        environment.device_parameters.clone_from(&configured.ways.device_parameters);
    }
    environment.federation = federation(name, settings, configured);
    if let Some(id) = &settings.client_id {
        // A secret belongs to the client it was written beside.
        if environment.client_id.as_ref() != Some(id) {
            environment.confidential = None;
        }
        environment.client_id = Some(id.clone());
    }
    if let Some(scopes) = &settings.scopes {
        environment.scopes = scopes.clone();
        environment.console_scopes = scopes.clone();
    }
    Ok(environment)
}

/// The exchange of identity tokens: as it is configured, and in the vendor's own environments with what the vendor's
/// variables say. Elsewhere those are not meant: an identity token is for one provider.
fn federation(name: &str, settings: &Settings, configured: Option<&Configured>) -> Option<Federation> {
    let configured = configured.and_then(|configured| configured.federation.clone());
    let said = &settings.federation;
    let vendor = matches!(name, "production" | "staging" | "local");
    if !vendor || (said.rule.is_none() && configured.is_none()) {
        return configured;
    }
    let mut federation = match (configured, &said.rule) {
        (Some(configured), None) => configured,
        (Some(configured), Some(_)) if configured.vendor => configured,
        _ => Federation::of_vendor(Identity::Surroundings),
    };
    if !federation.vendor {
        return Some(federation);
    }
    for (member, value) in [
        ("federation_rule_id", &said.rule),
        ("organization_id", &said.organization),
        ("service_account_id", &said.service_account),
        ("workspace_id", &said.workspace),
    ] {
        if let Some(value) = value {
            federation.members.insert(member.to_string(), value.clone());
        }
    }
    // A file is read anew for each exchange; a variable holds what it held when the job began.
    if let Some(path) = &said.identity_token_file {
        federation.identity =
            Identity::File { path: path.clone(), variable: Some(names::IDENTITY_TOKEN_FILE) };
    } else if said.identity_token.is_some() {
        federation.identity = Identity::Variable(names::IDENTITY_TOKEN.to_string());
    }
    Some(federation)
}

fn staging(configured: Option<&Configured>) -> Result<Environment> {
    let none = "it has no public endpoints, and the configuration file names none";
    of_configuration("staging", configured.ok_or_else(|| incomplete("staging", none))?)
}

fn incomplete(name: &str, why: &str) -> Error {
    Error::new(Id::EnvironmentIncomplete, format!("the environment `{name}` is incomplete"), why)
        .because(Cause::EnvironmentLacks { environment: name.into(), key: "issuer".into() })
}

/// An environment from the configuration alone. Its own endpoints go first; then what its issuer's metadata
/// says; then the paths below its bases.
fn of_configuration(name: &str, configured: &Configured) -> Result<Environment> {
    let explicit = configured.endpoints.clone();
    let relative = Endpoints::relative(
        configured.api_base.as_deref(),
        configured.apps_base.as_deref(),
        configured.console_base.as_deref(),
    );
    // A machine needs no page to sign in on.
    let pageless = configured.machine.is_some() || configured.federation.is_some();
    let suffices = |endpoints: &Endpoints| {
        (pageless || endpoints.authorize_url.is_some()) && endpoints.token_url.is_some()
    };
    let discovers = configured.issuer.is_some() && !suffices(&explicit);
    let (endpoints, discovery) = if discovers {
        (explicit, Discovery::Needed { origin: None, relative: Box::new(relative) })
    } else {
        (explicit.or(&relative), Discovery::Done)
    };
    let issuer = match (&configured.issuer, &endpoints.token_url) {
        (Some(issuer), _) => issuer.clone(),
        (None, Some(token)) if suffices(&endpoints) => origin(token),
        _ => {
            let why =
                "it names neither an `issuer` nor both `authorize_url` and `token_url` (or their bases)";
            return Err(incomplete(name, why));
        }
    };
    let scopes = match &configured.scopes {
        Some(scopes) => scopes.clone(),
        None if pageless => Scopes::default(),
        None => built_in::default_scopes(),
    };
    Ok(Environment {
        issuer_is_known: configured.issuer.is_some(),
        endpoints,
        api_base: configured.api_base.clone(),
        apps_base: configured.apps_base.clone(),
        console_base: configured.console_base.clone(),
        client_id: configured.client_id.clone(),
        console_scopes: scopes.clone(),
        scopes,
        redirect_is_name: configured.redirect_is_name,
        port: configured.port,
        prompt: configured.prompt.clone(),
        dead_refresh_words: configured.dead_refresh_words.clone(),
        machine: configured.machine.clone(),
        confidential: configured.confidential.clone(),
        discovery,
        ..Environment::bare(name, &issuer)
    })
}

/// The provider of an approved URL. It inherits nothing of production's.
fn custom(url: Option<&str>, approved: &ApprovedList) -> Result<Environment> {
    let url = url.ok_or_else(|| {
        incomplete("custom", &format!("{} names no authorization endpoint", names::CUSTOM_URL))
            .because(Cause::EnvironmentLacks { environment: "custom".into(), key: names::CUSTOM_URL.into() })
    })?;
    let entry = approved.verdict(url)?;
    let authorize_url = values::url(url).map_or_else(|_| url.to_string(), String::from);
    let endpoints = Endpoints { authorize_url: Some(authorize_url), ..entry.endpoints.clone() };
    let complete = endpoints.token_url.is_some();
    let scopes = built_in::default_scopes();
    Ok(Environment {
        endpoints,
        console_scopes: scopes.clone(),
        scopes,
        discovery: if complete {
            Discovery::Done
        } else {
            Discovery::Needed { origin: Some(entry.origin().to_string()), relative: Box::default() }
        },
        ..Environment::bare("custom", &entry.issuer)
    })
}

impl Environment {
    /// A built-in row with what the configuration may add: client id, scopes, spelling of the redirect.
    fn with(mut self, configured: Option<&Configured>) -> Self {
        let Some(configured) = configured else { return self };
        if let Some(id) = &configured.client_id {
            self.client_id = Some(id.clone());
            self.confidential.clone_from(&configured.confidential);
        }
        if let Some(scopes) = &configured.scopes {
            self.scopes = scopes.clone();
            self.console_scopes = scopes.clone();
        }
        self.redirect_is_name = configured.redirect_is_name;
        self.port = configured.port;
        self.prompt.clone_from(&configured.prompt);
        self.dead_refresh_words.clone_from(&configured.dead_refresh_words);
        self
    }
}
