//! Sets up a provider: fetches its metadata and writes it into the configuration. Used by `init` and `login --issuer`.

use keyfob::{
    Error,
    internals::{
        core::{
            Id,
            config::is_name,
            contract::{
                names,
                settings::{ClientId, Scopes},
                values,
            },
            provider::offer::Offer,
        },
        login::callback,
        provider,
        setup::{
            Setup,
            config_write::{self, Changed},
        },
        world::system::{self, env, files::Disk, shown},
    },
};

use crate::{
    args::{Global, Init},
    commands::set_up_report as report,
    config_edit::{self, Holds, Section, Wanted},
    output::{
        report::{Report, Result},
        terminal,
    },
    session,
};

/// The name of the environment to set up when none is given.
const USUAL: &str = "work";

/// What was set up.
pub(crate) struct Done {
    /// The run's set-up, which uses the new environment from now on.
    pub(crate) setup: Setup,
    /// Whether questions were asked: if so, a user is there to answer more.
    pub(crate) asked: bool,
    /// What was said, for programs.
    pub(crate) told: serde_json::Value,
}

/// Sets up the provider on the command line, and asks for missing values. `None`: there was no provider to set up.
pub(crate) fn set_up(global: &Global, args: &Init, will_sign_in: bool) -> Result<Option<Done>> {
    // The environment that is named is the one to set up, and need not be there.
    let mut setup = session::setup(&Global { environment: None, ..global.clone() });
    if let Some(error) = Error::all(setup.problems_but_the_choice()) {
        return Err(error.into());
    }
    let home = setup.require_home()?.clone();
    let world = system::world(setup.routes.clone());
    let text = config_write::text(&world, &home)?;
    let seal = args.seal.map(|seal| seal.word());
    let mut wanted = Wanted { environment: None, seal, replace: args.replace };
    let names_a_provider = args.issuer.is_some() || args.client_id.is_some() || args.name.is_some();
    if seal.is_some() && !names_a_provider {
        let new = config_edit::edited(&text, &wanted)?;
        report::change(&home.config, &text, &new);
        let changed = config_write::change(&world, &home, |text| config_edit::edited(text, &wanted))?;
        written(&home.config, &changed);
        if global.json {
            Report::json(
                &serde_json::json!({ "config": shown(&home.config), "changed": changed == Changed::Written }),
            )?;
        }
        return Ok(None);
    }
    setup.routes.check()?;
    let mut asking = Asking { asked: false };
    let name = name(global, args, &mut asking, &setup)?;
    let there = setup.config.environments.get(&name);
    let (issuer, offer) = offer(args, there.and_then(|it| it.issuer.clone()), &mut asking, &world)?;
    if offer.issuer != issuer {
        Report::say(&format!("The provider calls itself {}: that is what is used.", offer.issuer));
    }
    report::offer(&offer);
    let client_id = client_id(args, there.and_then(|it| it.client_id.clone()), &mut asking)?;
    let scopes = scopes(args, there.and_then(|it| it.scopes.clone()), &mut asking, &offer)?;
    for scope in scopes.iter().filter(|scope| offer.lacks(scope)) {
        Report::say(&format!("Note: the provider does not list the scope `{}`.", terminal::plain(scope)));
    }
    outvoted(&setup, &name, &client_id, &scopes, will_sign_in)?;

    let mut keys = vec![
        ("issuer", Holds::Text(offer.issuer.clone())),
        ("client_id", Holds::Text(client_id.as_str().to_owned())),
        ("scopes", Holds::Texts(scopes)),
    ];
    for (key, option, file) in [
        ("client_secret_file", "--client-secret-file", &args.client_secret_file),
        ("client_key_file", "--client-key-file", &args.client_key_file),
    ] {
        let Some(file) = file else { continue };
        let why = "the path is not UTF-8, which the configuration file is";
        let file = std::path::absolute(file).ok().and_then(|file| file.to_str().map(str::to_owned));
        let unwritten = || Error::new(Id::Usage, format!("{option} cannot be written down"), why);
        keys.push((key, Holds::Text(file.ok_or_else(unwritten)?)));
    }
    keys.extend(args.redirect.map(|redirect| ("redirect", Holds::Text(redirect.word().into()))));
    keys.extend(args.port.map(|port| ("port", Holds::Number(port.into()))));
    wanted.environment = Some(Section { name: name.clone(), keys });

    let new = config_edit::edited(&text, &wanted)?;
    report::change(&home.config, &text, &new);
    if asking.asked && new != text && !terminal::agrees("Write that?")? {
        return Err(Error::new(Id::Usage, "nothing was set up", "you said no")
            .hint("run it again with other answers")
            .into());
    }
    let changed = config_write::change(&world, &home, |text| config_edit::edited(text, &wanted))?;
    written(&home.config, &changed);
    setup.choose(&name, env::variables(), &Disk)?;
    let redirect = callback::to_register(setup.require_environment()?);
    report::redirect(&redirect, client_id.as_str(), setup.require_environment()?.port);
    let default = config_edit::default_environment(&new);
    let is_default = default.as_ref() == Some(&name);
    if let Some(other) = default.filter(|_| !is_default) {
        Report::say(&format!(
            "The default stays `{other}`: `keyfob --environment {name} …` uses this one, or change `environment` at the top \
             of the file."
        ));
    }
    let told = serde_json::json!({
        "environment": name,
        "default": is_default,
        "config": shown(&home.config),
        "changed": changed == Changed::Written,
        "issuer": offer.issuer,
        "client_id": client_id.as_str(),
        "redirect_uri": redirect,
        "offer": report::json(&offer),
    });
    Ok(Some(Done { setup, asked: asking.asked, told }))
}

fn written(path: &std::path::Path, changed: &Changed) {
    Report::say(&match changed {
        Changed::Written => format!("Written to {}.", shown(path)),
        Changed::Nothing => format!("{} says that already.", shown(path)),
    });
}

/// The user to ask, if there is one.
struct Asking {
    asked: bool,
}

impl Asking {
    /// Asks a question. Without a user at the terminal, `flag` should have answered it.
    fn ask(&mut self, flag: &str, question: &str, offered: Option<&str>) -> Result<String, Error> {
        if !terminal::has_person() {
            let what = format!("{flag} is missing");
            return Err(Error::new(Id::Usage, what, "there is no terminal to ask at")
                .hint("name both: `keyfob init --issuer URL --client-id ID`"));
        }
        self.asked = true;
        terminal::ask(question, offered)
    }

    /// Asks until the answer is valid.
    fn until<T>(
        &mut self,
        flag: &str,
        question: &str,
        offered: Option<&str>,
        mut read: impl FnMut(&str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            match read(&self.ask(flag, question, offered)?) {
                Ok(answer) => return Ok(answer),
                Err(error) => Report::tell(&error),
            }
        }
    }
}

/// The name of the environment.
fn name(global: &Global, args: &Init, asking: &mut Asking, setup: &Setup) -> Result<String, Error> {
    let named = match (&args.name, &global.environment) {
        (Some(one), Some(other)) if one != other => {
            let why = format!("the one is `{one}`, the other `{other}`");
            let error = Error::new(Id::Usage, "NAME and --environment both name the environment", why);
            return Err(error.hint("leave one of them out"));
        }
        (Some(name), _) | (None, Some(name)) => Some(name.clone()),
        (None, None) => env::variables().text("KEYFOB_ENVIRONMENT").map(str::to_owned),
    };
    match named {
        Some(name) => checked_name(&name),
        None if args.issuer.is_some() && args.client_id.is_some() => Ok(USUAL.into()),
        // What else is missing is told by its own flag.
        None if !terminal::has_person() => Ok(USUAL.into()),
        None => {
            Report::say(if setup.config.environments.is_empty() {
                "This sets up your OAuth or OpenID provider, and signs you in. What is in [brackets] is taken when you \
                 press Enter."
            } else {
                "This sets up one more provider, and signs you in. What is in [brackets] is taken when you press Enter."
            });
            asking.until("NAME", "Name for this environment", Some(USUAL), checked_name)
        }
    }
}

fn checked_name(name: &str) -> Result<String, Error> {
    let refused = |why: &str| {
        let what = format!("an environment cannot be called `{}`", terminal::plain(name));
        Err(Error::new(Id::Usage, what, why).hint("choose another name: `keyfob init NAME`"))
    };
    match name {
        "production" | "staging" | "local" | "custom" => refused("that one is built in"),
        name if is_name(name) => Ok(name.to_owned()),
        _ => refused("a name has letters, digits and the characters - _ ."),
    }
}

/// The issuer as intended, and what it offers.
fn offer(
    args: &Init,
    there: Option<String>,
    asking: &mut Asking,
    world: &keyfob::internals::world::World,
) -> Result<(String, Offer), Error> {
    let look = |text: &str| {
        let issuer = without_the_document(text);
        values::issuer(&issuer).map_err(|why| {
            let what = format!("`{}` is no issuer", terminal::plain(text));
            Error::new(Id::Usage, what, why).hint("name it as the provider does: https://login.company.com")
        })?;
        let offer = provider::offer(world, &issuer)?;
        Ok((issuer, offer))
    };
    match args.issuer.clone().or(there) {
        Some(issuer) => look(&issuer),
        None => asking.until("--issuer", "Issuer, the address of your provider (https://…)", None, look),
    }
}

/// The issuer whose metadata are served at this URL: users copy that from the provider's page.
fn without_the_document(text: &str) -> String {
    let Some((host, rest)) = text.split_once("/.well-known/") else { return text.to_owned() };
    // RFC 8414 §3.1 puts the issuer's path behind, OpenID Connect Discovery §4 before.
    let path = rest.split_once('/').map(|(_, path)| format!("/{path}")).unwrap_or_default();
    format!("{host}{path}")
}

fn client_id(args: &Init, there: Option<ClientId>, asking: &mut Asking) -> Result<ClientId, Error> {
    let read = |text: &str| {
        ClientId::parse(text).map_err(|why| {
            Error::new(Id::Usage, "this is no client id", why).hint("copy it from the provider's page")
        })
    };
    match (&args.client_id, there) {
        (Some(id), _) => read(id),
        (None, Some(id)) => Ok(id),
        (None, None) => asking.until("--client-id", "Client id, as the provider registered it", None, read),
    }
}

fn scopes(
    args: &Init,
    there: Option<Scopes>,
    asking: &mut Asking,
    offer: &Offer,
) -> Result<Vec<String>, Error> {
    let read = |text: &str| {
        let words: Vec<String> =
            text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        if words.is_empty() {
            return Ok(words);
        }
        Scopes::parse(&words.join(" ")).map(|_| words).map_err(|why| {
            Error::new(Id::Usage, "these are no scopes", why).hint("separate them by blanks: openid email")
        })
    };
    if !args.scope.is_empty() {
        return read(&args.scope.join(" "));
    }
    if let Some(scopes) = there {
        return Ok(scopes.iter().map(str::to_owned).collect());
    }
    let usual = offer.usual_scopes().join(" ");
    if !asking.asked {
        return read(&usual);
    }
    // Nothing to ask for is an answer too.
    let offered = if usual.is_empty() { "none" } else { &usual };
    asking.until("--scope", "Scopes to ask for", Some(offered), |text| {
        read(if text == "none" { "" } else { text })
    })
}

/// The contract's variables override the configuration. A sign-in now must not lead anywhere else.
fn outvoted(
    setup: &Setup,
    name: &str,
    client_id: &ClientId,
    scopes: &[String],
    will_sign_in: bool,
) -> Result<(), Error> {
    let settings = &setup.settings;
    let mut all = Vec::new();
    let mut note = |variable: &str, what: &str, why: String| {
        let what = format!("{variable} {what}");
        all.push(Error::new(Id::Usage, what, why).hint(if will_sign_in {
            format!("unset {variable}, or say `--no-login`")
        } else {
            format!("unset {variable} before you sign in")
        }));
    };
    if let Some((variable, other)) = session::chosen_by_a_variable(settings) {
        let why = format!("a sign-in would be to `{other}`, not to `{name}`");
        note(variable, "chooses another environment, whatever the configuration says", why);
    }
    if settings.client_id.as_ref().is_some_and(|id| id != client_id) {
        note(names::CLIENT_ID, "names another client id", "it comes before the configuration's".into());
    }
    if settings.scopes.as_ref().is_some_and(|set| !set.iter().eq(scopes.iter().map(String::as_str))) {
        note(names::SCOPES, "names other scopes", "it comes before the configuration's".into());
    }
    match Error::all(all.clone()) {
        Some(error) if will_sign_in => Err(error),
        _ => {
            all.iter().for_each(Report::warn);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_metadata_leads_to_the_issuer() {
        for (text, issuer) in [
            ("https://id.example/.well-known/openid-configuration", "https://id.example"),
            ("https://id.example/realms/a/.well-known/openid-configuration", "https://id.example/realms/a"),
            (
                "https://id.example/.well-known/oauth-authorization-server/realms/a",
                "https://id.example/realms/a",
            ),
            ("https://id.example/realms/a/", "https://id.example/realms/a/"),
        ] {
            assert_eq!(without_the_document(text), issuer);
        }
    }

    #[test]
    fn names_of_our_own_are_not_given_away() {
        for name in ["production", "staging", "local", "custom", "", "a b", "[x]", "a\u{1b}"] {
            let error = checked_name(name).expect_err(name);
            assert!(!error.what().contains('\u{1b}'), "{error}");
        }
        assert_eq!(checked_name("id.example-2_x").ok().as_deref(), Some("id.example-2_x"));
    }
}
