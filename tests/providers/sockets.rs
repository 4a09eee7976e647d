//! `keyfob connect` takes the same path as every request: TLS, the company's authority, the proxy, no redirects.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use crate::{
    company::{Company, HOST},
    front::Answer,
    proxy::Manner,
};
use keyfob_testkit::{Home, Ran, provider, until};

const SESSION: &str = "wss://oauth.company.test/v1/session/ws";

/// A company whose approval names its token endpoint: then nothing but the socket is asked for.
fn company() -> Company {
    let company = Company::new();
    company.approve(
        "[[approved]]\nurl = \"https://oauth.company.test/oauth\"\n\
         token_url = \"https://oauth.company.test/v1/oauth/token\"\n",
    );
    company.login();
    company
}

/// Sends a line and takes its echo, then says good-bye.
fn converse(command: &mut Command) -> (String, Ran) {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the command starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    writeln!(stdin, "hello").expect("it reads");
    let mut echo = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut echo).expect("text");
    drop(stdin);
    (echo, child.wait_with_output().expect("it ends").into())
}

#[test]
fn a_socket_through_tls_and_the_proxy() {
    let company = company();
    let asked = company.proxy.asked().len();
    let (echo, ran) = converse(&mut company.keyfob(&["connect", SESSION]));
    assert!(echo.contains("hello"), "{echo:?} {ran:?}");
    ran.answer();
    assert_eq!(company.proxy.asked()[asked..], ["CONNECT oauth.company.test:443 HTTP/1.1 -"]);

    // With its password, which is shown nowhere.
    company.proxy.behaves(Manner::Strict);
    let mut command = company.keyfob(&["connect", SESSION]);
    command.env("HTTPS_PROXY", format!("http://ada:hunter2@{}", company.proxy.address()));
    let (echo, ran) = converse(&mut command);
    assert!(echo.contains("hello"), "{echo:?} {ran:?}");
    assert!(!ran.err.contains("hunter2"));
}

/// Its output while it tries again, until it is killed.
fn tried(command: &mut Command) -> String {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the command starts");
    let mut said = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    said.read_line(&mut line).expect("text");
    child.kill().expect("our child");
    child.wait().expect("our child");
    line
}

/// The credential is never visible to an untrusted server or to a proxy.
#[test]
fn websocket_never_leaves_the_environment_origin() {
    let company = company();
    let seen = company.front.seen().len();
    let mut stranger = company.keyfob(&["connect", SESSION]);
    let said = tried(stranger.env_remove("SSL_CERT_FILE"));
    assert!(said.contains("SSL_CERT_FILE") && said.contains(HOST), "{said}");
    for manner in [Manner::Strict, Manner::Refusing, Manner::Dying, Manner::Lying, Manner::Babbling] {
        company.proxy.behaves(manner);
        let said = tried(&mut company.keyfob(&["connect", SESSION]));
        assert!(said.contains("the proxy http://127.0.0.1:"), "{manner:?}: {said}");
    }
    assert_eq!(company.front.seen().len(), seen);
    company.proxy.behaves(Manner::Kind);

    let evil = company.host("evil.company.test", Some(company.server.base_url()));
    company
        .front
        .answers("GET /v1/session/ws", Answer::redirect(302, "wss://evil.company.test/v1/session/ws"));
    let ran = company.run(&["connect", SESSION, "--json"]);
    assert!(ran.failed(5, "provider-refused").err.contains("302"), "{ran:?}");
    assert_eq!(evil.connections(), 0);
}

/// Loopback is never proxied: not even with a proxy that would be glad to.
#[test]
fn a_socket_on_loopback() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    let company = Company::new();
    let mut command = sandbox.keyfob(["connect"]);
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"] {
        command.env(name, company.proxy.url());
    }
    let (echo, ran) = converse(&mut command);
    assert!(echo.contains("hello"), "{echo:?} {ran:?}");
    let socket = || server.requests().iter().any(|request| request.path == "/v1/session/ws").then_some(());
    until("the socket", socket);
    assert_eq!(company.proxy.asked(), [""; 0]);
}
