//! Hints about signing in and the signed-in account.

use keyfob::internals::core::{Cause, contract::names};

use super::{
    choice::Choice,
    situation::{Here, Login, Situation},
    words::{homely, list, nearest, quoted},
};

pub(super) fn choose(cause: &Cause, situation: &Situation) -> Option<Choice> {
    Some(match cause {
        // A door of an agent's, or another login of this home: what is chosen here is not what is meant.
        Cause::NotSignedIn { profile, .. } if !profile.is_empty() && *profile != situation.here().profile => {
            format!("run `keyfob --profile {} login`", quoted(profile)).into()
        }
        Cause::NotSignedIn { .. } => not_signed_in(situation),
        Cause::LoginEnded { .. } => "sign in again: `keyfob login`".into(),
        Cause::NoRefreshToken { .. } => {
            "sign in again: `keyfob login`; a scope such as `offline_access` gets a login that can be renewed".into()
        }
        Cause::IdTokenScope { environment } => format!(
            "add `openid` to the scopes of {} and sign in again: `keyfob login`; where the access token is meant, say \
             `--access-token`",
            situation.scopes_of(environment)
        )
        .into(),
        Cause::IdTokenNotSent {} => {
            "sign in again: `keyfob login`; if it has no ID token then, ask whoever runs the provider to allow the scope \
             `openid` to this client"
                .into()
        }
        Cause::IdTokenEnded { .. } => {
            "sign in again for a new one: `keyfob login`; where the access token is meant, say `--access-token`".into()
        }
        Cause::IdTokenOfMachine {} => {
            "sign in as a person in an environment without `grant = \"client_credentials\"`, or say `--access-token`"
                .into()
        }
        Cause::SeedEnded { variable } => {
            format!("put another refresh token into {variable}, or unset {variable} and run `keyfob login`").into()
        }
        Cause::SeedSpent { variable } => format!(
            "sign in and put a new refresh token into {variable}; keep the logins on a volume that lasts (KEYFOB_HOME), \
             for each token works once"
        )
        .into(),
        Cause::NoClientId { environment, vendor } => no_client_id(environment, *vendor, situation),
        Cause::PersonNotWanted { .. } => {
            "run `keyfob token`: it asks for a token when one is needed, and nobody has to sign in".into()
        }
        Cause::ProfileName { .. } => {
            "choose another name: 1 to 64 letters, digits and the characters - _ . @ +".into()
        }
        Cause::Declined {} => "start again, and allow the request on the page".into(),
        Cause::ScopeUnknown { .. } => scope_unknown(situation),
        Cause::RequestRefused {} => format!(
            "compare client_id, scopes and redirect of {} with what the provider registered",
            situation.this_section()
        )
        .into(),
        Cause::ClientUnknown { environment, secret: true, .. } => format!(
            "compare client_id and its secret in {} with what the provider registered",
            situation.section(environment)
        )
        .into(),
        Cause::ClientUnknown { environment, secret: false, .. } => format!(
            "compare client_id in {} (or {}) with what the provider registered; a client that has a secret needs \
             `client_secret_file` beside it",
            situation.section(environment),
            names::CLIENT_ID
        )
        .into(),
        Cause::AssertionRefused { environment, .. } => format!(
            "register the public half of the key in {} with the provider, under the id of client_key_id if that is set; \
             `keyfob doctor` compares the clocks",
            situation.section(environment)
        )
        .into(),
        Cause::ClientAuthOffered { environment, .. } => format!(
            "in {}, set client_auth to one of them, or name the endpoints yourself (token_url and others) if the \
             metadata is wrong",
            situation.section(environment)
        )
        .into(),
        Cause::CodeRefused {} => "start again: `keyfob login`; a code works once, and for a few minutes".into(),
        Cause::NotAnAnswer {} => {
            "paste the whole address of the last page, or the `code#state` that it shows".into()
        }
        Cause::OtherAttempt {} => "paste what the page shows that this run opened".into(),
        Cause::NobodyAnswered { paste: true } => {
            "start again with more time, for example `keyfob login --no-browser --timeout 1800`".into()
        }
        Cause::NobodyAnswered { paste: false } => {
            "start again: `keyfob login`; with `keyfob login --no-browser` the code can be pasted".into()
        }
        Cause::InputEnded {} => "run it in a terminal, or write the code to its standard input".into(),
        Cause::CodeExpired {} => "start again: `keyfob login --device`, and type the code in sooner".into(),
        Cause::NoCodes { .. } => "use `keyfob login --no-browser`, and paste what the page shows".into(),
        Cause::PortTaken { .. } => {
            "go on without it: `keyfob login --paste` asks for the code that the page shows".into()
        }
        Cause::RotatedKept {} => "run `keyfob token`, which goes on with the refresh token that was kept".into(),
        Cause::AnotherAccount {} => {
            {
            "to have both, give it a profile of its own: `keyfob --profile NAME login`; to put it in the place of that one: \
             `keyfob login --replace`"
                .into()
        }
        }
        Cause::KeptBeside { profile } => Choice {
            what: None,
            why: Some(format!("it was kept as profile `{profile}`, and the login that was there stays")),
            hint: format!(
                "use it as it is: `keyfob --profile {} status`; `--replace` would have put it in the other's place",
                quoted(profile)
            ),
        },
        Cause::AccountUnknown {} => {
            "continue: the login is valid; reports do not name the account until the next sign-in".into()
        }
        Cause::TooOldToEnroll {} => {
            "sign in again and enrol within ten minutes: `keyfob login`, then `keyfob device enroll`".into()
        }
        Cause::DeviceTokenSet { variable } => format!("unset {variable} to enrol this machine itself").into(),
        Cause::DeviceUnreadable {} => {
            "enrol it again: `keyfob device forget`, then `keyfob device enroll`".into()
        }
        Cause::OpenedTwice {} => "end this with Ctrl-C and use `keyfob login --no-browser`".into(),
        Cause::AnswerNotTaken {} => "copy the address of the page that says so, and paste it here".into(),
        Cause::TokenEnded {} => "check this machine's clock, then start again: `keyfob login`".into(),
        Cause::NotRevoked {} => {
            "revoke it on the provider's own page: until its tokens expire they work for whoever has a copy".into()
        },
        _ => return None,
    })
}

fn scope_unknown(situation: &Situation) -> Choice {
    Choice {
        what: Some("the provider refused the request, before asking anybody".into()),
        why: None,
        hint: format!("correct the scopes of {}", situation.this_section()),
    }
}

fn no_client_id(environment: &str, vendor: bool, situation: &Situation) -> Choice {
    let here = situation.here();
    if let Some(choice) = elsewhere(situation, here) {
        return choice;
    }
    if !vendor {
        return format!("set client_id of {}", situation.section(environment)).into();
    }
    Choice {
        what: Some("no provider is set up yet".into()),
        why: Some(format!(
            "keyfob ships no client id for environment `{environment}`: one identifies one application, and another's \
             must not be used"
        )),
        hint: "name yours: `keyfob init --issuer URL --client-id ID` (to try it first: `keyfob demo`); an API key or a \
               token from the vendor's own `setup-token` needs none"
            .into(),
    }
}

fn not_signed_in(situation: &Situation) -> Choice {
    let here = situation.here();
    if here.profile.is_empty() {
        return "run `keyfob login`".into();
    }
    if let Some(choice) = another_profile(situation, here).or_else(|| elsewhere(situation, here)) {
        return choice;
    }
    if !here.has_client
        && let Some(environment) = &here.environment
    {
        return no_client_id(environment, !here.environments.contains(environment), situation);
    }
    let sign_in = "run `keyfob login`";
    match &situation.given.home {
        Some(home) => Choice {
            why: Some(format!("there is no login in {}, which --home chose", homely(home))),
            hint: format!("{sign_in}, or leave `--home` out"),
            what: None,
        },
        None => sign_in.into(),
    }
}

/// A login exists for this very environment, in another profile.
fn another_profile(situation: &Situation, here: &Here) -> Option<Choice> {
    let same = |login: &&Login| Some(&login.environment) == here.environment.as_ref();
    let others: Vec<&str> = here.logins.iter().filter(same).map(|login| &*login.profile).collect();
    let first = others.first()?;
    let meant = nearest(&here.profile, others.iter().copied());
    let again = situation.given.command();
    let hint = match (meant, here.pinned) {
        (Some(meant), _) => format!("if you meant `{meant}`: `keyfob --profile {} {again}`", quoted(meant)),
        (None, true) => format!(
            "name one of them, or sign in to this one: `keyfob --profile {} login`",
            quoted(&here.profile)
        ),
        (None, false) => format!("name one: `keyfob --profile {} {again}`", quoted(first)),
    };
    Some(Choice {
        what: Some(format!("nobody has signed in to profile `{}`", here.profile)),
        why: Some(format!("you have: {}", list(others))),
        hint,
    })
}

/// A login exists, for another environment.
fn elsewhere(situation: &Situation, here: &Here) -> Option<Choice> {
    let other = |login: &&Login| Some(&login.environment) != here.environment.as_ref();
    let same_profile = |login: &&Login| login.profile == here.profile;
    let login = here
        .logins
        .iter()
        .filter(other)
        .find(same_profile)
        .or_else(|| here.logins.iter().find(other).filter(|_| !here.pinned))?;
    let environment = here.environment.as_deref()?;
    let name = &login.environment;
    let again = situation.given.command();
    let who = login.account.as_ref().map(|account| format!(" as {account}")).unwrap_or_default();
    let variable = match &**name {
        "local" => Some(names::USE_LOCAL),
        "staging" => Some(names::USE_STAGING),
        _ => None,
    };
    let unset = variable.map(|variable| format!("; {variable} is not set")).unwrap_or_default();
    let profile = if login.profile == here.profile {
        String::new()
    } else {
        format!("--profile {} ", quoted(&login.profile))
    };
    let command = format!("`keyfob --environment {} {profile}{again}`", quoted(name));
    let by = match here.chosen_by {
        "default" => "chosen by default".to_owned(),
        by => format!("chosen by {by}"),
    };
    // A variable that chooses the provider outranks the flag.
    let hint = match (variable, here.chosen_by) {
        (_, by) if by.starts_with("USE_") || by == names::CUSTOM_URL => format!("unset {by}, then {command}"),
        (Some(variable), _) => format!("export {variable}=1, or {command}"),
        (None, _) => format!("{command} (KEYFOB_ENVIRONMENT={} makes it stay)", quoted(name)),
    };
    Some(Choice {
        what: Some(format!("not signed in to environment `{environment}` ({by})")),
        why: Some(format!("you are signed in to `{name}`{who}{unset}")),
        hint,
    })
}

#[cfg(test)]
mod tests {
    use keyfob::{Error, ErrorId as Id};

    use super::*;
    use crate::advice::{Given, Told, choose};

    fn login(profile: &str, environment: &str, account: &str) -> Login {
        Login {
            profile: profile.into(),
            environment: environment.into(),
            account: Some(account.into()).filter(|account: &String| !account.is_empty()),
        }
    }

    /// A user of `production`, which has no client id unless one is configured, with these logins.
    fn here(logins: Vec<Login>) -> Here {
        Here {
            profile: "default".into(),
            environment: Some("production".into()),
            chosen_by: "default",
            has_client: true,
            logins,
            ..Here::default()
        }
    }

    fn told(given: Given, here: Here) -> Told {
        let cause = Cause::NotSignedIn { profile: String::new(), environment: String::new() };
        let error = Error::new(Id::LoginNeeded, "no credential", "nobody has signed in").because(cause);
        choose(&error, &Situation::of(given, here))
    }

    fn lines(told: &Told) -> [&str; 3] {
        [&told.what, &told.why, &told.hint]
    }

    #[test]
    fn a_login_in_another_environment_is_named_with_the_way_to_it() {
        let local = told(Given::default(), here(vec![login("default", "local", "ada@company.com")]));
        assert_eq!(
            lines(&local),
            [
                "not signed in to environment `production` (chosen by default)",
                "you are signed in to `local` as ada@company.com; USE_LOCAL_OAUTH is not set",
                "export USE_LOCAL_OAUTH=1, or `keyfob --environment local token`",
            ]
        );
        let given = Given { command: Some("header".into()), ..Given::default() };
        let work = told(given, here(vec![login("default", "work", "")]));
        assert_eq!(work.why, "you are signed in to `work`");
        assert_eq!(work.hint, "`keyfob --environment work header` (KEYFOB_ENVIRONMENT=work makes it stay)");
        // A variable outranks the flag: it has to go first.
        let here = Here { chosen_by: names::USE_LOCAL, ..here(vec![login("default", "work", "")]) };
        let told = told(Given::default(), here);
        assert_eq!(told.hint, "unset USE_LOCAL_OAUTH, then `keyfob --environment work token`");
    }

    #[test]
    fn a_profile_that_nobody_signed_in_to_is_told_with_those_there_are() {
        let there = || vec![login("default", "production", ""), login("work", "production", "")];
        let named = |name: &str| {
            let given = Given { profile: Some(name.into()), ..Given::default() };
            told(given, Here { profile: name.into(), pinned: true, ..here(there()) })
        };
        assert_eq!(
            lines(&named("wrok")),
            [
                "nobody has signed in to profile `wrok`",
                "you have: default, work",
                "if you meant `work`: `keyfob --profile work token`",
            ]
        );
        let other = named("home");
        assert_eq!(other.hint, "name one of them, or sign in to this one: `keyfob --profile home login`");
        let unnamed = told(Given::default(), here(vec![login("work", "production", "")]));
        assert_eq!(unnamed.hint, "name one: `keyfob --profile work token`");
    }

    #[test]
    fn where_nothing_is_set_up_the_way_in_is_named() {
        let fresh = told(Given::default(), Here { has_client: false, ..here(Vec::new()) });
        assert_eq!(fresh.what, "no provider is set up yet");
        assert!(fresh.hint.contains("`keyfob init --issuer URL --client-id ID`"), "{fresh:?}");
        assert!(fresh.hint.contains("`keyfob demo`"), "{fresh:?}");
    }

    #[test]
    fn a_home_that_was_chosen_is_repeated() {
        let given = Given { home: Some("/tmp/o ther".into()), ..Given::default() };
        let told = told(given, here(Vec::new()));
        assert_eq!(told.why, "there is no login in /tmp/o ther, which --home chose");
        assert_eq!(told.hint, "run `keyfob --home '/tmp/o ther' login`, or leave `--home` out");
    }
}
