//! `exec --proxy` towards a company's API: the certificates and the proxy on the way out are those of every other request.

use keyfob_testkit::Ran;

use crate::{
    authority::Authority,
    company::{Company, HOST},
    proxy::Manner,
};

/// Asks who the token is, by what bash alone can do.
const ASK: &str = "host=${ANTHROPIC_BASE_URL#http://}; exec 3<>/dev/tcp/${host%:*}/${host#*:}; \
     printf 'GET /v1/whoami HTTP/1.1\\r\\nhost: x\\r\\nauthorization: Bearer %s\\r\\nconnection: close\\r\\n\\r\\n' \
     \"$ANTHROPIC_AUTH_TOKEN\" >&3; cat <&3";

#[test]
fn requests_are_forwarded_with_tls_through_the_company_s_proxy() {
    let company = Company::new();
    company.login();
    company.proxy.behaves(Manner::Strict);
    let to = format!("https://{HOST}");
    let run = |password: &str, authority: Option<&std::path::Path>| {
        let mut command = company.keyfob(&["exec", "--proxy", "--to", &to, "--", "bash", "-c", ASK]);
        command.env("HTTPS_PROXY", format!("http://ada:{password}@{}", company.proxy.address()));
        if let Some(authority) = authority {
            command.env("SSL_CERT_FILE", authority);
        }
        Ran::from(command.output().expect("it runs"))
    };
    let ran = run("hunter2", None);
    assert!(ran.out.starts_with("HTTP/1.1 200"), "{ran:?}");
    assert!(company.proxy.asked().iter().any(|asked| asked.starts_with(&format!("CONNECT {HOST}:443"))));
    // Neither another password nor another authority leads there, and both are told as what they are.
    let ran = run("wrong", None);
    assert!(ran.out.starts_with("HTTP/1.1 502") && ran.out.contains("\"unreachable\""), "{ran:?}");
    assert!(!ran.out.contains("wrong"), "{ran:?}");
    let other = company.dir().join("other.pem");
    Authority::new().write(&other);
    let ran = run("hunter2", Some(&other));
    assert!(ran.out.starts_with("HTTP/1.1 502") && ran.out.contains("\"unreachable\""), "{ran:?}");
}
