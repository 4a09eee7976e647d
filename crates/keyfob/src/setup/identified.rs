//! Whose identity tokens are exchanged, where a place is not the same for everybody who uses this home: a variable holds
//! another token in each job, and each job of GitHub's is somebody else.

use std::path::Path;

use keyfob_core::{
    Cause, Error, Id, Result, Secret,
    config::Config,
    contract::{Variables, names, settings::Settings},
    digest,
    oauth::{federation::Identity, identity_token::IdentityToken},
    provider::environment::Environment,
};

use crate::{
    setup::trust::Surroundings,
    world::system::{shown, withheld},
};

/// `keyfob exec` names here whose identity token was in which variable, by a hash: a keyfob that its program runs uses what was
/// got with it while that is good, and exchanges no other identity's token in its place.
pub const IDENTIFIED_BY: &str = "KEYFOB_IDENTIFIED_BY";

/// The environment that is on this machine.
const LOCAL: &str = "local";

/// Completes the environment's exchange by whose identity token it is.
///
/// # Errors
/// What `keyfob exec` put there is not what it puts there.
pub(super) fn identify(environment: &mut Environment, variables: &Variables) -> Result<()> {
    let above = above(variables)?;
    let Some(federation) = &mut environment.federation else { return Ok(()) };
    // The variable was meant before it was removed. A file that a variable names still comes before it.
    let named_file = matches!(federation.identity, Identity::File { variable: Some(_), .. });
    if federation.vendor && !named_file && above.is_some_and(|(name, _)| name == names::IDENTITY_TOKEN) {
        federation.identity = Identity::Variable(names::IDENTITY_TOKEN.into());
    }
    let opaque = federation.takes_opaque();
    federation.holder = match &federation.identity {
        Identity::Variable(name) => match variables.text(name) {
            Some(text) => Some(holder(text, opaque)),
            None => above.filter(|(above, _)| above == name).map(|(_, holder)| holder.into()),
        },
        Identity::GitHub | Identity::Surroundings => job(variables),
        Identity::File { .. } | Identity::Command(_) | Identity::Login { .. } => None,
    };
    Ok(())
}

/// Notes the variables that the configuration names for identity tokens, of whichever environment: no child gets them.
pub(super) fn withhold(config: &Config) {
    let all = config.environments.values().filter_map(|environment| environment.federation.as_ref());
    for federation in all {
        if let Identity::Variable(name) = &federation.identity {
            withheld::note(name);
        }
    }
}

/// Judges the file of identity tokens that a variable names, by the rule for every path that one does, whether it is to be
/// read or not.
///
/// # Errors
/// What stands against the path.
pub(super) fn file(settings: &Settings, around: &Surroundings) -> Result<()> {
    const NAME: &str = names::IDENTITY_TOKEN_FILE;
    let Some(path) = settings.federation.identity_token_file.as_deref().map(Path::new) else { return Ok(()) };
    around.judge(path).map_err(|refusal| {
        let what = format!("{NAME} names {}, which is refused", shown(path));
        Error::new(refusal.id(Id::IdentityTokenMissing), what, refusal.to_string())
            .maybe_because(refusal.cause(path))
    })
}

/// Whether what that file holds may be sent to this environment. Variables alone choose the local provider and its address, so
/// a repository's would send a file of this machine to whoever listens on loopback: the configuration has to want that.
///
/// # Errors
/// It does not.
pub(super) fn file_may_go(settings: &Settings, environment: &Environment, config: &Config) -> Result<()> {
    let named = settings.federation.identity_token_file.is_some() && environment.federation.is_some();
    let configured = config.environments.get(LOCAL).is_some_and(|local| local.federation.is_some());
    if !named || environment.name != LOCAL || configured {
        return Ok(());
    }
    let what = format!("{} is not read for environment `{LOCAL}`", names::IDENTITY_TOKEN_FILE);
    let why = "the configuration file names no federation there, and variables alone may not send a file to loopback";
    Err(Error::new(Id::EnvironmentIncomplete, what, why)
        .because(Cause::EnvironmentLacks { environment: LOCAL.into(), key: "federation".into() }))
}

/// What [`IDENTIFIED_BY`] is to say of this environment.
pub(super) fn told(environment: &Environment) -> Option<String> {
    let federation = environment.federation.as_ref()?;
    let Identity::Variable(name) = &federation.identity else { return None };
    Some(format!("{name}={}", federation.holder.as_deref()?))
}

/// What a `keyfob exec` above this process said: the variable, and whose token it held.
fn above(variables: &Variables) -> Result<Option<(&str, &str)>> {
    let Some(text) = variables.text(IDENTIFIED_BY) else { return Ok(None) };
    let is_hash = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    match text.split_once('=') {
        Some((name, holder)) if is_hash(holder) => Ok(Some((name, holder))),
        _ => {
            let why = "expected what `keyfob exec` puts there for the programs below it";
            Err(Error::new(Id::VariableMalformed, format!("{IDENTIFIED_BY} is malformed"), why)
                .because(Cause::OwnVariable { variable: IDENTIFIED_BY.into() }))
        }
    }
}

/// Whom the token names. What cannot be read is nobody's but its own: it is refused when it is to be exchanged.
fn holder(text: &str, opaque: bool) -> String {
    IdentityToken::read(text, opaque).map_or_else(
        |_| digest::name_of(["unreadable", &Secret::from(text.to_owned()).fingerprint()]),
        |token| token.holder(),
    )
}

/// Which job of GitHub Actions this is, if it is one.
fn job(variables: &Variables) -> Option<String> {
    let is_here = [names::GITHUB, names::GITHUB_TOKEN_URL].iter().any(|name| variables.text(name).is_some());
    let said = names::GITHUB_JOB.iter().map(|name| variables.text(name).unwrap_or_default());
    is_here.then(|| digest::name_of(["job"].into_iter().chain(said)))
}
