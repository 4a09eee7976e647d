//! The proxy: used for everything but loopback, with its password, which is shown nowhere; its failures do not affect
//! the login.

use crate::{
    authority::Valid,
    company::{Company, HOST, IN_VAIN},
    front::{Front, wrapped},
    proxy::Manner,
};
use keyfob_testkit::Ran;

/// A failure of the proxy is reported as the proxy's, and costs the login nothing.
#[test]
fn an_ill_proxy_costs_no_login() {
    let company = Company::new();
    company.login();
    let seen = company.front.seen().len();
    for (manner, cause, said) in [
        (Manner::Strict, "proxy-password", "wants a user name and password (407)"),
        (Manner::Refusing, "proxy-failed", "did not connect"),
        (Manner::Dying, "proxy-failed", "did not connect"),
        (Manner::Lying, "cut-off", "oauth.company.test through"),
        (Manner::Babbling, "proxy-failed", "is not whole HTTP"),
        (Manner::Hanging, "proxy-failed", "took too long"),
    ] {
        company.proxy.behaves(manner);
        let mut command = company.keyfob(&["token", "--json"]);
        let told = company.in_vain_for(cause, &mut command);
        assert!(told.contains(said) && told.contains("the proxy http://127.0.0.1:"), "{manner:?}: {told}");
    }
    company.proxy.behaves(Manner::Kind);
    // Nobody listens on port 9: the proxy is gone.
    let told = company.in_vain(company.keyfob(&["token", "--json"]).env("HTTPS_PROXY", "http://127.0.0.1:9"));
    assert!(told.contains("the proxy http://127.0.0.1:9 refused the connection"), "{told}");
    let proxy = "http://proxy.invalid:3128";
    let told = company.in_vain(company.keyfob(&["token", "--json"]).env("HTTPS_PROXY", proxy));
    assert!(told.contains(proxy), "{told}");
    assert_eq!(company.front.seen().len(), seen, "nothing of all that reached the provider");
    company.run(&["token"]).answer();
    assert_eq!((company.server.grants().refreshes, company.server.grants().reuses), (1, 0));
}

/// Its user name and password are sent only to it: no page, error or report contains them.
#[test]
fn a_proxys_password_is_shown_nowhere() {
    let company = Company::new();
    company.proxy.behaves(Manner::Strict);
    let url = |password: &str| format!("http://ada:{password}@{}", company.proxy.address());
    let with = |password: &str, words: &[&str]| {
        let mut command = company.keyfob(words);
        command.env("HTTPS_PROXY", url(password));
        command
    };
    // The browser has its own way: it is let through.
    company.proxy.behaves(Manner::Kind);
    company.login();
    company.proxy.behaves(Manner::Strict);
    company.expire();
    let ran = Ran::from(with("hunter2", &["token"]).output().expect("it runs"));
    ran.answer();
    assert_eq!(company.server.grants().refreshes, 1);
    assert!(company.proxy.asked().iter().any(|line| line.ends_with("Basic YWRhOmh1bnRlcjI=")));

    let told = company.in_vain(&mut with("wrong-secret", &["token", "--json"]));
    assert!(told.contains("407"), "{told}");
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["env", "--json"],
        &["token"],
    ] {
        let ran = Ran::from(with("wrong-secret", words).output().expect("it runs"));
        let said = format!("{}{}", ran.out, ran.err);
        assert!(!said.contains("wrong-secret") && !said.contains("ada:"), "{words:?}: {said}");
        if words.len() == 1 && words[0] != "token" {
            let proxy = format!("http://{}", company.proxy.address());
            assert!(said.contains(&proxy), "{words:?} shows the proxy: {said}");
            assert!(said.contains("company.pem"), "{words:?} shows the certificates: {said}");
        }
    }
    for wrong in ["http://ada:wrong-secret@", "socks5://ada:wrong-secret@127.0.0.1:1080"] {
        // A login that cools down asks nobody; signing in does.
        let told = company.run_with("HTTPS_PROXY", Some(wrong), &["login", "--no-browser", "--json"]);
        assert!(!told.failed(3, "proxy-malformed").err.contains("wrong-secret"), "{told:?}");
    }
}

/// The way to the proxy itself may be TLS too. Its certificate is its own: what is wrong with that is the proxy's.
#[test]
fn a_proxy_that_speaks_tls() {
    let company = Company::new();
    company.login();
    company.proxy.behaves(Manner::Strict);
    let tls = |name: &str| wrapped(company.authority.server(name, Valid::Now), company.proxy.address());
    let proxy = |port: u16| format!("https://ada:hunter2@localhost:{port}");
    company.expire();
    let port = tls("localhost");
    let mut command = company.keyfob(&["token"]);
    Ran::from(command.env("HTTPS_PROXY", proxy(port)).output().expect("it runs")).answer();
    assert_eq!(company.server.grants().refreshes, 1);

    let port = tls("proxy.company.test");
    let told = company.in_vain(company.keyfob(&["token", "--json"]).env("HTTPS_PROXY", proxy(port)));
    let said = format!("that of another host, not of the proxy https://localhost:{port}");
    assert!(told.contains(&said), "{told}");
    let told = company.in_vain(
        company.keyfob(&["token", "--json"]).env("HTTPS_PROXY", proxy(port)).env_remove("SSL_CERT_FILE"),
    );
    assert!(told.contains("the certificate of the proxy https://localhost:"), "{told}");
}

/// `NO_PROXY` bypasses the proxy, without which this name cannot be resolved; loopback never goes through the proxy.
#[test]
fn no_proxy_hosts_and_loopback_bypass_the_proxy() {
    let company = Company::new();
    company.login();
    let asked = company.proxy.asked().len();
    for list in [HOST, "company.test", ".company.test", "else.test,oauth.company.test:443", "*"] {
        let told = company.in_vain(company.keyfob(&["token", "--json"]).env("NO_PROXY", list));
        assert!(told.contains(HOST) && !told.contains("the proxy http"), "{list}: {told}");
    }
    assert_eq!(company.proxy.asked().len(), asked);
    company.expire();
    assert!(company.keyfob(&["token"]).env("NO_PROXY", "pany.test").status().expect("it runs").success());
    assert_eq!(company.proxy.asked().len(), asked + 1);

    // https on loopback: by name and by number.
    for name in ["localhost", "127.0.0.1"] {
        let tls = company.authority.server(name, Valid::Now);
        let front = Front::start(name, tls, None);
        let port = front.address().port();
        company.approve(&format!("[[approved]]\nurl = \"https://{name}:{port}/authorize\"\n"));
        let asked = company.proxy.asked().len();
        let url = format!("https://{name}:{port}/authorize");
        let told = company.run_with("CLAUDE_CODE_CUSTOM_OAUTH_URL", Some(&url), &IN_VAIN);
        told.failed(5, "metadata-invalid");
        assert_eq!(front.asked("GET /.well-known/"), 2, "{told:?}");
        assert_eq!(company.proxy.asked().len(), asked);
    }
}
