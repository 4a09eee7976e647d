//! Hints about identity tokens and their exchange.

use keyfob::internals::core::{Cause, contract::names};

use super::{choice::Choice, words::quoted};

pub(super) fn choose(cause: &Cause) -> Option<Choice> {
    let fresh = |source: &str, why: &str| -> Choice {
        match source {
            names::IDENTITY_TOKEN => format!(
                "name a file that is kept fresh in {} instead; a variable holds one token, {why}",
                names::IDENTITY_TOKEN_FILE
            )
            .into(),
            source if source.starts_with('/') => {
                format!("have whoever writes {source} put a fresh identity token there, then try again")
                    .into()
            }
            source if source.starts_with("the login of profile") => {
                "try again: the login is renewed by then".into()
            }
            "identity_token_command" => {
                "let the command of the configuration print a fresh identity token each time it runs".into()
            }
            _ => "start the job again: it is given a fresh identity token then".into(),
        }
    };
    Some(match cause {
        Cause::IdentityVariableUnset { variable } if variable == names::IDENTITY_TOKEN_FILE => {
            format!("name the file that holds the identity token of this machine in {variable}").into()
        }
        Cause::IdentityVariableUnset { variable } if variable == names::GITHUB_TOKEN_URL => {
            "run this in a job of GitHub Actions, or name another place of the identity token in the configuration".into()
        }
        Cause::IdentityVariableUnset { variable } => {
            format!("let the job set {variable} (GitLab: `id_tokens`), or name another place in the configuration").into()
        }
        Cause::IdentityPermission {} => "add `permissions: id-token: write` to the job of the workflow".into(),
        Cause::IdentityNotAsked { .. } => {
            "see whether GitHub Actions has an incident, and whether the audience is one it accepts".into()
        }
        Cause::IdentityServiceUnknown { variable, origin, environment } => format!(
            "unset {variable}; if {origin} is your own GitHub server, add it to `hosts` under [environments.{environment}]"
        )
        .into(),
        Cause::IdentityUnreadable { source } => {
            format!("see what writes {source}: an identity token is one signed JWT and nothing else").into()
        }
        Cause::IdentityExpired { source } => fresh(source, "which has ended"),
        Cause::IdentityUsed { source } => fresh(source, "which is good for one exchange"),
        Cause::IdentityUncertain { .. } => {
            "try again: the next identity token is fetched, and the one in doubt is not presented again".into()
        }
        Cause::IdentityNotAccepted { issuer, subject, audience } => format!(
            "let the rule at the provider fit issuer {issuer}, subject {subject} and audience {audience}"
        )
        .into(),
        Cause::NotNarrowed { environment } => format!(
            "let the provider's client for [environments.{environment}] exchange access tokens (RFC 8693), or give the door a profile of its own, \
             signed in with fewer scopes"
        )
        .into(),
        Cause::DoorScope { scopes, environment } => format!(
            "see which of {scopes} the login has (`keyfob status`), and leave the others out of the door (`--scope`, or `scopes` of [agent.doors.NAME]), \
             or add them to the scopes of [environments.{environment}] and sign in again"
        )
        .into(),
        Cause::LoginNotExchanged { profile, environment } => format!(
            "sign in again: `keyfob --profile {} login`; if it is refused then too, let the provider's client for [environments.{environment}] \
             exchange access tokens (RFC 8693)",
            quoted(profile)
        )
        .into(),
        Cause::FederationLacks { variable, .. } => format!("set {variable} beside {}", names::FEDERATION_RULE).into(),
        _ => return None,
    })
}
