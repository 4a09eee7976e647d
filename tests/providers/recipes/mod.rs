//! The recipes of docs/how-to/providers.md, each tried against a provider that behaves as that provider documents: at the
//! very hosts that the recipe names, over TLS, with the very text of the page. What the page says to register is what the
//! provider knows.

mod rows;

use std::{
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rows::{Row, rows};
use serde_json::Value;

use crate::{
    authority::{Authority, Valid},
    company::browse,
    desk::Desk,
    front::Front,
    proxy::Proxy,
    stub::{Rotation, Stub},
};
use keyfob_testkit::Ran;

/// What the page says of one provider.
#[derive(Clone)]
struct Recipe {
    /// The first block of its section.
    config: String,
    /// The first address on loopback in it.
    redirect: Option<String>,
}

fn page() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/how-to/providers.md");
    fs::read_to_string(page).expect("the page")
}

fn recipe(title: &str) -> Recipe {
    let page = page();
    let section = page.split("\n## ").find(|section| section.lines().next() == Some(title));
    let section = section.unwrap_or_else(|| panic!("the page has no section {title}"));
    let config = section.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let spans = section.split("```").step_by(2).flat_map(|text| text.split('`').skip(1).step_by(2));
    let redirect = spans
        .into_iter()
        .find(|span| span.starts_with("http://127.0.0.1") || span.starts_with("http://localhost"));
    Recipe { config: config.expect("a block").to_owned(), redirect: redirect.map(str::to_owned) }
}

/// The provider at its hosts, and a user on their network.
struct Internet {
    authority: Authority,
    proxy: Proxy,
    stub: Stub,
    _hosts: Vec<Front>,
    desk: Desk,
}

impl Internet {
    fn new(row: &Row, recipe: &Recipe) -> Self {
        let (authority, proxy) = (Authority::new(), Proxy::start());
        let stub = Stub::start(|_| {
            let mut manners = (row.manners)();
            if let Some(redirect) = &recipe.redirect {
                manners.registered.clone_from(redirect);
            }
            manners
        });
        let hosts = (row.manners)().hosts().into_iter().map(|name| {
            let front = Front::start(&name, authority.server(&name, Valid::Now), Some(stub.base_url()));
            proxy.knows(&format!("{name}:443"), front.address());
            front
        });
        let hosts = hosts.collect();
        let mut desk = Desk::configured("");
        // The only word of the page that is another here: where the user's home is.
        let config = recipe.config.replace("/home/you/.config/keyfob", desk.home().to_str().expect("UTF-8"));
        fs::write(desk.home().join("config.toml"), config).expect("a file of ours");
        Desk::keep(&desk.home().join("client-secret"), rows::SECRET);
        authority.write(&desk.path().join("authority.pem"));
        desk.set("SSL_CERT_FILE", desk.path().join("authority.pem").to_str().expect("UTF-8"));
        desk.set("HTTPS_PROXY", proxy.url());
        Self { authority, proxy, stub, _hosts: hosts, desk }
    }

    /// Signs in on the provider's page. `None`: the page refused.
    fn login(&self) -> Option<Ran> {
        self.desk.login_unless_refused(&[], |url| browse(&self.authority, &self.proxy, url))
    }

    /// Signs in with a code for another device.
    fn login_elsewhere(&self) -> Ran {
        let (child, shown) = self.desk.login_elsewhere();
        assert_eq!(shown["user_code"], "WDJB-MJHT", "{shown}");
        Ran::from(child.wait_with_output().expect("it ends"))
    }

    fn complains_of_nothing(&self) {
        assert_eq!(self.stub.complaints(), [""; 0]);
    }
}

/// Providers that compare the whole redirect address are registered with the port that the page names, the same for all of
/// them: it is one test's at a time.
fn with_the_port() -> MutexGuard<'static, ()> {
    static PORT: Mutex<()> = Mutex::new(());
    PORT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From the sign-in to its end, by the page's own words.
#[track_caller]
fn works(row: &Row) {
    let there = Internet::new(row, &recipe(row.title));
    let sign_in = || {
        if row.has_page {
            there.login().expect("the page leads back").answer();
        } else {
            there.login_elsewhere().answer();
        }
    };
    sign_in();
    there.complains_of_nothing();
    let status = there.desk.json(&["status", "--json"]);
    assert_eq!(status["identity"]["email"], "ada@company.test", "{status}");
    let lifetime = |record: &Value| {
        record["expires_at"].as_i64().zip(record["issued_at"].as_i64()).map(|(end, begin)| end - begin)
    };
    let record = there.desk.record();
    assert_eq!(lifetime(&record), (row.manners)().lifetime.map(i64::from), "{record}");

    for name in row.sends {
        let asked = there.stub.seen().into_iter().filter(|seen| seen.parameters.contains_key(*name));
        assert!(asked.count() > 0, "`{name}` is sent");
    }

    // Renewed, with whatever this provider makes of a refresh token.
    let first = there.desk.run(&["token"]).answer().to_owned();
    for _ in 0..2 {
        let before = there.desk.record();
        there.desk.expire();
        assert_ne!(there.desk.run(&["token"]).answer(), first);
        let rotated = there.desk.record()["refresh_token"] != before["refresh_token"];
        assert_eq!(rotated, (row.manners)().rotation != Rotation::Never);
    }
    there.complains_of_nothing();

    // An answer that was lost on its way: the refresh token before is used again. It costs the login only where there is no
    // grace, as the page says.
    let spent = there.desk.record()["refresh_token"].clone();
    there.desk.expire();
    there.desk.run(&["token"]).answer();
    there.desk.edit(|record| record["refresh_token"] = spent);
    there.desk.expire();
    let told = there.desk.run(&["token", "--json"]);
    if (row.manners)().rotation == Rotation::Strict {
        told.failed(4, "login-refused");
        sign_in();
    }
    there.desk.run(&["token"]).answer();

    // Who signed in, for a server that asks that: all but GitHub say so.
    let id_token = there.desk.run(&["token", "--id-token"]);
    if (row.manners)().is_discovered {
        assert_eq!(claims(id_token.answer())["iss"], (row.manners)().issuer, "{id_token:?}");
    } else {
        assert_ne!(id_token.code, Some(0), "{id_token:?}");
    }

    // A refresh token that is dead, in this provider's word for it: a person has to sign in, and that helps.
    there.stub.forgets();
    there.desk.expire();
    let word = (row.manners)().dead.1;
    let told = there.desk.run(&["token", "--json"]);
    assert!(told.failed(4, "login-refused").err.contains(word), "{told:?}");
    sign_in();
    there.desk.run(&["token"]).answer();

    if row.has_page && row.has_device {
        there.login_elsewhere().answer();
        there.desk.run(&["token"]).answer();
        let asked =
            there.stub.seen().into_iter().find(|seen| seen.path.contains("device")).expect("a request");
        assert!(row.sends.iter().all(|name| asked.parameters.contains_key(*name)), "{asked:?}");
    }
    there.complains_of_nothing();

    let out = there.desk.run(&["logout", "--json"]);
    let answer: Value = serde_json::from_str(&out.out).expect("JSON");
    let has_revocation = (row.manners)().endpoints.iter().any(|(name, _)| *name == "revocation_endpoint");
    let wanted = if has_revocation { "confirmed" } else { "impossible" };
    assert_eq!(answer["logged_out"][0]["revocation"], wanted, "{out:?}");
    assert_eq!(there.desk.run(&["token", "--json"]).code, Some(4));
}

/// What a JWT claims (RFC 7519 §3).
fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

/// Nothing in a recipe is for show: without one of these keys the provider refuses, or gives no refresh token.
#[track_caller]
fn needs_its_keys(row: &Row) {
    for key in row.needs {
        let mut recipe = recipe(row.title);
        let is_it = |line: &&str| line.split('=').next().is_some_and(|name| name.trim() == *key);
        assert_eq!(recipe.config.lines().filter(is_it).count(), 1, "{}: {key}", row.title);
        let kept: Vec<_> = recipe.config.lines().filter(|line| !is_it(line)).collect();
        recipe.config = kept.join("\n");
        let there = Internet::new(row, &recipe);
        let works = there.login().is_some_and(|ran| ran.code == Some(0));
        assert!(
            !works || there.desk.record().get("refresh_token").is_none_or(Value::is_null),
            "{}: {key}",
            row.title
        );
    }
}

/// GitHub's page wants the secret that its codes for devices do without, and reads it in the form only.
#[test]
fn recipe_for_github_with_a_secret_signs_in_on_the_page() {
    let row = rows().into_iter().find(|row| row.title == "GitHub").expect("a row");
    let mut recipe = recipe(row.title);
    assert!(page().contains("client_auth = \"client_secret_post\""));
    let there = Internet::new(&row, &recipe);
    let ran = there.login().expect("the page leads back");
    assert!(ran.code == Some(5) && ran.err.contains("secret"), "{ran:?}");
    recipe.config += "client_secret_file = \"/home/you/.config/keyfob/client-secret\"\nclient_auth = \"client_secret_post\"\n";
    let there = Internet::new(&row, &recipe);
    there.login().expect("the page leads back").answer();
    there.desk.expire();
    there.desk.run(&["token"]).answer();
    there.complains_of_nothing();
}

/// What the page warns of: an issuer in another spelling is another issuer (OpenID Connect Discovery §4.3).
#[test]
fn recipe_with_another_spelling_of_the_issuer_is_refused() {
    const TENANT: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
    let _alone = with_the_port();
    for (title, right, wrong, why) in [
        ("Microsoft Entra ID", TENANT, "common", TENANT),
        ("Microsoft Entra ID", TENANT, "company.onmicrosoft.com", TENANT),
        ("Auth0", "auth0.com/\"", "auth0.com\"", "write issuer = \"https://company.eu.auth0.com/\""),
    ] {
        let row = rows().into_iter().find(|row| row.title == title).expect("a row");
        let mut recipe = recipe(title);
        recipe.config = recipe.config.replacen(right, wrong, 1);
        let there = Internet::new(&row, &recipe);
        let ran = there.login().expect("nobody is sent to a page");
        assert!(ran.code == Some(5) && ran.err.contains(why), "{title}, {wrong}: {ran:?}");
        assert!(there.stub.seen().iter().all(|seen| seen.path.contains("/.well-known/")), "{title}");
    }
}

/// The page, the table and the tests are the same eight.
#[test]
fn every_recipe_of_the_page_is_tried() {
    let page = page();
    let sections: Vec<_> = page
        .split("\n## ")
        .skip(1)
        .filter(|section| section.contains("```toml"))
        .filter_map(|section| section.lines().next())
        .collect();
    let titles: Vec<_> = rows().iter().map(|row| row.title).collect();
    assert_eq!(sections, titles);
}

macro_rules! recipes {
    ($($name:ident: $title:literal),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                let row = rows().into_iter().find(|row| row.title == $title).expect("a row");
                let _alone = recipe(row.title).config.contains("\nport = ").then(with_the_port);
                works(&row);
                needs_its_keys(&row);
            }
        )+

        #[test]
        fn every_row_has_a_test() {
            assert_eq!(rows().iter().map(|row| row.title).collect::<Vec<_>>(), [$($title),+]);
        }
    };
}

recipes! {
    recipe_for_google: "Google",
    recipe_for_entra: "Microsoft Entra ID",
    recipe_for_okta: "Okta",
    recipe_for_auth0: "Auth0",
    recipe_for_keycloak: "Keycloak",
    recipe_for_github: "GitHub",
    recipe_for_gitlab: "GitLab",
    recipe_for_dex: "Dex",
}
