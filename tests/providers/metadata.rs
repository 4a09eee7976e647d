//! Provider metadata are trusted only where they can be: RFC 8414 and OpenID Connect Discovery over TLS.

use serde_json::{Value, json};

use crate::{
    company::{AUTHORIZE, Company, HOST, IN_VAIN},
    front::Answer,
};

const EVIL: &str = "evil.company.test";

fn honest() -> Value {
    json!({
        "issuer": format!("https://{HOST}"),
        "authorization_endpoint": AUTHORIZE,
        "token_endpoint": format!("https://{HOST}/v1/oauth/token"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    })
}

#[test]
fn false_metadata_is_rejected() {
    let company = Company::new();
    let evil = company.host(EVIL, Some(company.server.base_url()));
    let elsewhere = format!("https://{EVIL}/v1/oauth/token");
    let lies = [
        ("issuer", json!("https://other.company.test"), "it is that of `https://other.company.test`"),
        (
            "issuer",
            json!(format!("https://{HOST}/")),
            "the issuer must be exactly what the provider calls itself",
        ),
        ("authorization_endpoint", json!(format!("https://{HOST}/elsewhere")), "is not the custom URL"),
        ("authorization_endpoint", Value::Null, "is not the custom URL"),
        ("token_endpoint", json!(elsewhere), "its `token_endpoint` is not on the approved"),
        ("token_endpoint", json!(format!("http://{HOST}/token")), "its `token_endpoint`"),
        ("token_endpoint", json!(format!("https://{HOST}:8443/token")), "is not on the approved"),
        ("revocation_endpoint", json!(elsewhere), "its `revocation_endpoint` is not on the approved"),
        ("device_authorization_endpoint", json!(elsewhere), "is not on the approved"),
        ("userinfo_endpoint", json!(elsewhere), "is not on the approved"),
        ("code_challenge_methods_supported", json!(["plain"]), "S256 is not among them"),
        ("code_challenge_methods_supported", json!([]), "S256 is not among them"),
    ];
    for (member, lie, said) in lies {
        let mut document = honest();
        document[member] = lie.clone();
        company.front.answers("GET /.well-known/", Answer::json(&document));
        let told = company.run(&IN_VAIN);
        assert!(told.failed(5, "metadata-invalid").err.contains(said), "{member} {lie}: {told:?}");
    }
    assert_eq!(evil.connections(), 0);
    assert_eq!(company.server.requests().len(), 0, "nobody was sent to the sign-in page");
    assert!(company.records().is_empty());

    // The honest document itself is believed, also where it is silent about PKCE: Entra and Cognito are, and take S256.
    for methods in [json!(["S256", "plain"]), Value::Null] {
        let mut document = honest();
        document["code_challenge_methods_supported"] = methods.clone();
        company.front.answers("GET /.well-known/", Answer::json(&document));
        company.login();
        let url = company.front.seen().into_iter().rfind(|seen| seen.line.contains("/oauth/authorize?"));
        let url = url.expect("the page was opened").line;
        assert!(url.contains("code_challenge_method=S256"), "{methods}: {url}");
    }
}

/// The first place answers every path with a page, or with nothing of this issuer's: the second one is asked.
#[test]
fn openid_configuration_is_tried_after_rfc_8414() {
    let page = |kind: &str, body: &str| Answer {
        status: 200,
        headers: vec![("Content-Type", kind.to_owned())],
        body: body.to_owned(),
    };
    let mut other = honest();
    other["issuer"] = json!("https://other.company.test");
    for (title, first) in [
        ("a page", page("text/html", "<!doctype html><title>app</title>")),
        ("nothing", page("text/plain", "")),
        ("false", page("application/json", "false")),
        ("an empty object", page("application/json", "{}")),
        ("another issuer's", Answer::json(&other)),
        ("an error", Answer::empty(500)),
    ] {
        let company = Company::new();
        company.front.answers("GET /.well-known/oauth-authorization-server", first);
        company.login();
        let asked = company.front.asked("GET /.well-known/openid-configuration");
        assert_eq!(asked, 1, "{title}");
    }
}

/// A provider that does not announce S256 keeps everything else that its metadata names; what it leaves open is said once.
#[test]
fn what_metadata_leaves_open_is_said_at_sign_in() {
    let company = Company::new();
    let mut document = honest();
    document["code_challenge_methods_supported"] = json!(["plain"]);
    document["device_authorization_endpoint"] = json!(format!("https://{HOST}/v1/oauth/device/code"));
    company.front.answers("GET /.well-known/", Answer::json(&document));
    company.run(&IN_VAIN).failed(5, "metadata-invalid");

    company.configure("[environments.custom]\npkce = \"assume\"\n");
    let told = company.login_by(&mut company.keyfob(&["login", "--no-browser"]));
    assert_eq!(told.code, Some(0), "{told:?}");
    let said = |told: &keyfob_testkit::Ran| told.err.split_whitespace().collect::<Vec<_>>().join(" ");
    let open = "metadata does not name a revocation endpoint (a logout here ends nothing there).";
    assert!(said(&told).contains(open), "{told:?}");
    let url = company.front.seen().into_iter().rfind(|seen| seen.line.contains("/oauth/authorize?"));
    assert!(url.expect("the page was opened").line.contains("code_challenge_method=S256"));
    assert_eq!(company.record()["endpoints"]["device_url"], document["device_authorization_endpoint"]);
    let later = company.run(&["token"]);
    assert_eq!((later.code, later.err.as_str()), (Some(0), ""), "once");

    // Silence about PKCE is told, until the configuration says that it is known; and the revocation endpoint is kept.
    document["code_challenge_methods_supported"] = Value::Null;
    document["revocation_endpoint"] = json!(format!("https://{HOST}/v1/oauth/revoke"));
    company.front.answers("GET /.well-known/", Answer::json(&document));
    let told = company.login_by(&mut company.keyfob(&["login", "--no-browser"]));
    assert!(told.code == Some(0) && !told.err.contains("does not name"), "{told:?}");
    assert_eq!(company.record()["endpoints"]["revoke_url"], document["revocation_endpoint"]);
    company.configure("");
    let told = company.login_by(&mut company.keyfob(&["login", "--no-browser"]));
    assert!(said(&told).contains("does not name PKCE with S256 (it is used all the same"), "{told:?}");
}

/// Nothing is followed to another place: not for the metadata, not for a code, and least of all for a refresh token.
#[test]
fn no_redirect_is_followed() {
    let company = Company::new();
    let evil = company.host(EVIL, Some(company.server.base_url()));
    let to = |path: &str| format!("https://{EVIL}{path}");
    for status in [301, 302, 303, 307, 308] {
        let answer = Answer::redirect(status, &to("/.well-known/oauth-authorization-server"));
        company.front.answers("GET /.well-known/", answer);
        let told = company.run(&IN_VAIN);
        let said = format!("answered {status}");
        assert!(told.failed(5, "metadata-invalid").err.contains(&said), "{told:?}");
    }
    company.front.recovers();

    company.front.answers("POST /v1/oauth/token", Answer::redirect(307, &to("/v1/oauth/token")));
    let mut login = company.keyfob(&["login", "--no-browser"]);
    let told = company.login_by(&mut login);
    assert!(told.code == Some(6) && told.err.contains("(a redirect), which is not followed"), "{told:?}");
    company.front.recovers();

    company.login();
    for status in [301, 302, 303, 307, 308] {
        company.front.answers("POST /v1/oauth/token", Answer::redirect(status, &to("/v1/oauth/token")));
        company.expire();
        let told = company.run(&["token", "--json"]);
        assert!(told.failed(6, "unreachable").err.contains("not followed"), "{told:?}");
        company.edit(|record| {
            record.as_object_mut().expect("an object").remove("cooldown");
        });
    }
    // A token that can be asked about.
    company.front.recovers();
    company.run(&["token"]).answer();
    company.front.answers("POST /v1/oauth/revoke", Answer::redirect(307, &to("/v1/oauth/revoke")));
    company.front.answers("GET ", Answer::redirect(307, &to("/oauth/userinfo")));
    let told = company.run(&["status", "--verify"]);
    assert_ne!(told.code, Some(0), "{told:?}");
    let told = company.run(&["logout", "--json"]);
    assert!(told.out.contains("307"), "not confirmed: {told:?}");
    assert_eq!(evil.connections(), 0, "{:?}", evil.seen());
}

/// RFC 8414 §3.1 first, with the well-known part between host and path; then OpenID's.
#[test]
fn where_metadata_is_looked_for() {
    let company = Company::new();
    let asked = |company: &Company| -> Vec<String> {
        let lines = company.front.seen().into_iter().map(|seen| seen.line);
        lines.filter(|line| line.contains("well-known")).collect()
    };
    company.login();
    assert_eq!(asked(&company), ["GET /.well-known/oauth-authorization-server HTTP/1.1"], "one is enough");

    company.front.answers("GET /.well-known/oauth-authorization-server", Answer::empty(404));
    company.login();
    assert_eq!(
        asked(&company)[1..],
        [
            "GET /.well-known/oauth-authorization-server HTTP/1.1",
            "GET /.well-known/openid-configuration HTTP/1.1"
        ]
    );

    let company = Company::new();
    let approval = "[[approved]]\nurl = \"https://oauth.company.test/oauth\"\n\
                    issuer = \"https://oauth.company.test/tenants/7\"\n";
    company.approve(approval);
    company.front.answers("GET /.well-known/", Answer::empty(404));
    company.front.answers("GET /tenants/7/.well-known/", Answer::empty(404));
    let told = company.run(&IN_VAIN);
    assert!(told.failed(5, "metadata-invalid").err.contains("404"), "{told:?}");
    told.because("metadata-invalid", "no-metadata");
    assert_eq!(
        asked(&company),
        [
            "GET /.well-known/oauth-authorization-server/tenants/7 HTTP/1.1",
            "GET /tenants/7/.well-known/openid-configuration HTTP/1.1"
        ]
    );
}

/// If an approval names its endpoints, no metadata are requested, and those endpoints are used.
#[test]
fn approved_entry_endpoints_are_used_without_discovery() {
    let company = Company::new();
    let mut lie = honest();
    lie["issuer"] = json!("https://other.company.test");
    company.front.answers("GET /.well-known/", Answer::json(&lie));
    company.approve(
        "[[approved]]\nurl = \"https://oauth.company.test/oauth\"\n\
         token_url = \"https://oauth.company.test/console/v1/oauth/token\"\n\
         revoke_url = \"https://oauth.company.test/console/v1/oauth/revoke\"\n",
    );
    company.login();
    company.expire();
    company.run(&["token"]).answer();
    assert!(company.run(&["logout", "--json"]).answer().contains("confirmed"));
    assert_eq!(company.front.asked("GET /.well-known/"), 0);
    assert_eq!(company.front.asked("POST /console/v1/oauth/token"), 2);
    assert_eq!(company.front.asked("POST /console/v1/oauth/revoke"), 1);
    assert_eq!(company.front.asked("GET /oauth/userinfo"), 0, "without such an endpoint nobody is looked up");
}

/// A URL that is not approved is refused before any request or prompt.
#[test]
fn what_is_not_approved_is_not_asked() {
    let company = Company::new();
    company.host(EVIL, None);
    for url in [
        "https://evil.company.test/oauth/authorize",
        "https://oauth.company.test/oauthorize",
        "https://oauth.company.test:8443/oauth/authorize",
        "http://oauth.company.test/oauth/authorize",
        "https://ada@oauth.company.test/oauth/authorize",
        "https://oauth.company.test./oauth/authorize",
        "https://oauth.company.test/oauth/../authorize",
        "https://oauth.company.test/oauth/%2e%2e/authorize",
        "https://oauth.company.test/oauth/authorize?client_id=theirs",
        "https://oauth.company.test/oauth/authorize?redirect_uri=https://evil.company.test/",
        "https://oauth.company.test/oauth/authorize?a=b&SCOPE=all",
        "https://oauth.company.test/oauth/authorize#x",
    ] {
        for words in [&IN_VAIN[..], &["token", "--json"]] {
            let told = company.run_with("CLAUDE_CODE_CUSTOM_OAUTH_URL", Some(url), words);
            let answer: Value = serde_json::from_str(&told.out).unwrap_or_default();
            assert_eq!(told.code, Some(3), "{url}: {told:?}");
            assert!(
                answer["error"]["message"].to_string().contains("CLAUDE_CODE_CUSTOM_OAUTH_URL"),
                "{told:?}"
            );
        }
    }
    assert_eq!(company.proxy.asked(), [""; 0]);

    // A query of the provider's own is kept, ours comes after it.
    let url = format!("{AUTHORIZE}?tenant=7");
    let mut login = company.keyfob(&["login", "--no-browser"]);
    company.login_by(login.env("CLAUDE_CODE_CUSTOM_OAUTH_URL", &url)).answer();
    assert_eq!(company.front.asked("GET /oauth/authorize?tenant=7&response_type=code"), 1);
}

/// A configured environment trusts its issuer with where its endpoints are: large providers have a host for each.
#[test]
fn a_configured_issuer_may_have_hosts() {
    let company = Company::new();
    let tokens = company.host("tokens.company.test", Some(company.server.base_url()));
    let mut document = honest();
    document["token_endpoint"] = json!("https://tokens.company.test/v1/oauth/token");
    document["revocation_endpoint"] = json!("https://tokens.company.test/v1/oauth/revoke");
    company.front.answers("GET /.well-known/", Answer::json(&document));
    std::fs::create_dir_all(company.dir().join("home")).expect("a directory");
    let config = format!("[environments.work]\nissuer = \"https://{HOST}\"\nclient_id = \"keyfob-local\"\n");
    std::fs::write(company.dir().join("home/config.toml"), config).expect("a file of ours");
    let work = |words: &[&str]| {
        let mut command = company.keyfob(&["--environment", "work"]);
        command.args(words).env_remove("CLAUDE_CODE_CUSTOM_OAUTH_URL");
        command
    };
    company.login_by(&mut work(&["login", "--no-browser"])).answer();
    company.expire();
    assert!(work(&["token"]).status().expect("it runs").success());
    assert_eq!((tokens.asked("POST /v1/oauth/token"), company.front.asked("POST ")), (2, 0));
    assert!(work(&["logout"]).status().expect("it runs").success());
    assert_eq!(tokens.asked("POST /v1/oauth/revoke"), 1);

    // But never to http, and never in another issuer's name.
    for (member, lie) in
        [("token_endpoint", "http://tokens.company.test/token"), ("issuer", "https://tokens.company.test")]
    {
        let mut document = document.clone();
        document[member] = json!(lie);
        company.front.answers("GET /.well-known/", Answer::json(&document));
        let told = keyfob_testkit::Ran::from(work(&IN_VAIN).output().expect("it runs"));
        told.failed(5, "metadata-invalid");
    }
}
