//! Which authorities are trusted: the company's, given by `SSL_CERT_FILE`, and no other in its place.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
    thread,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    authority::{Authority, Valid},
    company::{Company, HOST, IN_VAIN},
};
use keyfob_testkit::{Ran, now};

/// A certificate error is reported, and costs the login nothing: no token is sent, and it stays usable.
#[test]
fn tls_error_names_what_is_wrong_with_the_certificate() {
    let company = Company::new();
    company.login();
    let good = company.authority.server(HOST, Valid::Now);
    for (certificate, cause, said) in [
        (
            company.authority.server(HOST, Valid::NoLonger),
            "certificate-expired",
            "the certificate of oauth.company.test has expired",
        ),
        (company.authority.server(HOST, Valid::NotYet), "certificate-early", "is not valid yet"),
        (
            company.authority.server("other.company.test", Valid::Now),
            "certificate-name",
            "the certificate is that of another host, not of oauth.company.test",
        ),
        (
            Authority::new().server(HOST, Valid::Now),
            "certificate-issuer",
            "the certificate of oauth.company.test is not trusted here",
        ),
    ] {
        company.front.shows(certificate);
        let seen = company.front.seen().len();
        let told = company.in_vain_for(cause, &mut company.keyfob(&["token", "--json"]));
        assert!(told.contains(said), "{told}");
        assert_eq!(company.front.seen().len(), seen, "somebody who is not believed is told nothing");
        company.front.shows(good.clone());
        company.run(&["token"]).answer();
    }
    // Signing in says it as well.
    company.front.shows(company.authority.server(HOST, Valid::NoLonger));
    let told = company.run(&IN_VAIN);
    assert!(told.failed(6, "unreachable").err.contains("has expired"), "{told:?}");
}

type Stranger = fn(TcpStream);

/// Whatever listens there and does not speak TLS gets no token, and takes none away.
#[test]
fn tls_error_for_a_host_that_speaks_plain_http() {
    let company = Company::new();
    company.login();
    let hangs = |stream: TcpStream| drop(stream.take(u64::MAX).read_to_end(&mut Vec::new()));
    let closes = |mut stream: TcpStream| drop(stream.read(&mut [0; 16]));
    let speaks_http = |mut stream: TcpStream| {
        drop(stream.read(&mut [0; 4096]));
        drop(stream.write_all(b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"));
        drop(stream.read(&mut [0; 4096]));
    };
    let strangers: [(Stranger, &str, &str); 3] = [
        (closes, "cut-off", "oauth.company.test"),
        (speaks_http, "not-tls", "no secure connection to oauth.company.test"),
        // Whoever keeps silent behind a proxy may be the proxy, which is what can be looked at here.
        (hangs, "proxy-failed", "oauth.company.test through the proxy"),
    ];
    for (stranger, cause, said) in strangers {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        company.proxy.knows("oauth.company.test:443", listener.local_addr().expect("a port"));
        let serving = thread::spawn(move || listener.accept().map(|(stream, _)| stranger(stream)));
        let told = company.in_vain_for(cause, &mut company.keyfob(&["token", "--json"]));
        assert!(told.contains(said), "{told}");
        serving.join().expect("it has served").expect("a connection");
    }
    company.proxy.knows("oauth.company.test:443", company.front.address());
    company.run(&["token"]).answer();
}

#[test]
fn tls_error_for_an_unknown_authority() {
    let company = Company::new();
    let told = company.run_with("SSL_CERT_FILE", None, &IN_VAIN);
    assert!(told.failed(6, "unreachable").err.contains(HOST), "{told:?}");
    assert!(told.err.contains("SSL_CERT_FILE"), "{told:?}");

    company.login();
    let mut without = company.keyfob(&["token", "--json"]);
    let told = company.in_vain(without.env_remove("SSL_CERT_FILE"));
    assert!(told.contains(HOST) && told.contains("SSL_CERT_FILE"), "{told}");
    company.run(&["token"]).answer();
}

/// A directory of certificates is the other way to name them. Both are read by every process, wherever it stands: the
/// one that renews stands in the root directory.
#[test]
fn certificates_by_file_and_by_directory() {
    let company = Company::new();
    let certs = company.dir().join("certs");
    fs::create_dir(&certs).expect("a directory");
    // Named by its hash, as `openssl rehash` does; what is in the file decides, not its name.
    fs::copy(company.ca_file(), certs.join("0a1b2c3d.0")).expect("a file of ours");
    let with = |words: &[&str]| {
        let mut command = company.keyfob(words);
        command.env_remove("SSL_CERT_FILE").env("SSL_CERT_DIR", &certs);
        command
    };
    company.login_by(&mut with(&["login", "--no-browser"])).answer();
    company.expire();
    assert!(with(&["token"]).output().expect("it runs").status.success());
    assert_eq!(company.server.grants().refreshes, 1);

    // What names nothing stops what uses the network, and nothing else.
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        for (value, said) in [("company.pem", "absolute"), ("/no/such/place", "there is no such")] {
            let is_told = |ran: &Ran| ran.err.contains(name) && ran.err.contains(said);
            let run = |words: &[&str]| {
                let mut command = company.keyfob(words);
                command.env_remove("SSL_CERT_FILE").env(name, value);
                Ran::from(command.output().expect("it runs"))
            };
            company.edit(fresh);
            let at_hand = run(&["token"]);
            assert!(!at_hand.answer().is_empty() && is_told(&at_hand), "{at_hand:?}");
            assert!(is_told(&run(&["status"])), "{name}");
            company.expire();
            for words in [&["token", "--json"][..], &IN_VAIN] {
                let told = run(words);
                assert!(is_told(told.failed(3, "ca-file-malformed")), "{told:?}");
            }
        }
    }
    assert_eq!(company.server.grants().refreshes, 1, "nothing was spent for it");
    // Of several directories one may be missing.
    company.expire();
    let both = format!("/no/such/place:{}", certs.display());
    let mut command = company.keyfob(&["token"]);
    command.env_remove("SSL_CERT_FILE").env("SSL_CERT_DIR", both);
    assert!(command.output().expect("it runs").status.success());
    assert_eq!(company.server.grants().refreshes, 2);
    // A path need not be text. One that leads nowhere leaves nobody to believe, whatever it is made of.
    company.expire();
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        let mut command = company.keyfob(&["token", "--json"]);
        command.env_remove("SSL_CERT_FILE").env(name, OsStr::from_bytes(b"/tmp/\xff.pem"));
        let told = Ran::from(command.output().expect("it runs"));
        assert!(told.failed(3, "ca-file-malformed").err.contains(name), "{told:?}");
    }
    // A file without a certificate in it leaves nobody to believe.
    let empty = company.dir().join("empty.pem");
    fs::write(&empty, "not a certificate\n").expect("a file of ours");
    let mut command = company.keyfob(&["token", "--json"]);
    let told = company.in_vain_for("no-certificates", command.env("SSL_CERT_FILE", &empty));
    assert!(told.contains("SSL_CERT_FILE"), "{told}");
}

/// A repository sets variables and holds files: together they would decide whom we believe.
#[test]
fn a_repository_brings_no_certificates() {
    let company = Company::new();
    let repository = company.dir().join("repository");
    fs::create_dir_all(repository.join(".git")).expect("a directory");
    fs::create_dir_all(repository.join("certs")).expect("a directory");
    fs::create_dir_all(repository.join("src")).expect("a directory");
    let file = repository.join("ca.pem");
    fs::copy(company.ca_file(), &file).expect("a file of ours");
    let link = company.dir().join("link.pem");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    company.login();
    let asked = company.proxy.asked();
    let run = |words: &[&str], (name, value): (&str, &Path)| {
        let mut command = company.keyfob(words);
        command.env(name, value).current_dir(repository.join("src"));
        Ran::from(command.output().expect("it runs"))
    };
    let open = company.dir().join("open.pem");
    fs::copy(company.ca_file(), &open).expect("a file of ours");
    fs::set_permissions(&open, PermissionsExt::from_mode(0o666)).expect("a file of ours");
    let certs = repository.join("certs");
    for named in [
        ("SSL_CERT_FILE", file.as_path()),
        ("SSL_CERT_FILE", &link),
        ("SSL_CERT_DIR", &certs),
        ("SSL_CERT_FILE", &open),
    ] {
        company.edit(fresh);
        assert!(
            run(&["token"], named).err.contains(named.0),
            "a token that is at hand needs nobody to believe"
        );
        company.expire();
        for words in [&["token", "--json"][..], &["login", "--no-browser", "--json"]] {
            let told = run(words, named);
            assert!(told.failed(3, "ca-file-unsafe").err.contains(named.0), "{told:?}");
        }
        for words in [&["status", "--verify"][..], &["doctor"]] {
            let told = run(words, named);
            assert!(told.code == Some(3) && format!("{told:?}").contains(named.0), "{told:?}");
        }
        company.edit(fresh);
    }
    // Signing out always runs: here, and not there.
    let told = run(&["logout"], ("SSL_CERT_FILE", &file));
    assert!(told.answer().is_empty() && told.err.contains("removed here but not revoked"), "{told:?}");
    assert!(company.records().is_empty(), "removed here");
    assert_eq!(company.proxy.asked(), asked, "nobody was asked anything");
}

/// Which mark makes a certificate that is named here useless is said: other programs take it.
#[test]
fn tls_error_for_a_ca_certificate_used_by_a_host() {
    let company = Company::new();
    company.login();
    let (server, pem) = Authority::of_its_own(HOST);
    let own = company.dir().join("own.pem");
    fs::write(&own, pem).expect("a file of ours");
    company.front.shows(server);
    let told = company
        .in_vain_for("certificate-kind", company.keyfob(&["token", "--json"]).env("SSL_CERT_FILE", &own));
    assert!(told.contains("CA:TRUE") && told.contains("CA:FALSE"), "{told}");
}

/// OpenSSL's form with trust settings behind each certificate (x509(1), `-trustout`), among words and a damaged one.
#[test]
fn certificates_as_openssl_writes_them() {
    let company = Company::new();
    let pem = fs::read_to_string(company.ca_file()).expect("a file of ours");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let mut der = BASE64_STANDARD.decode(body).expect("PEM");
    // X509_CERT_AUX: SEQUENCE { SEQUENCE { OID id-kp-serverAuth } }.
    der.extend([0x30, 0x0c, 0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01]);
    let wrapped = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = wrapped.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    let text = format!(
        "Company roots\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n\
         -----BEGIN TRUSTED CERTIFICATE-----\n{}\n-----END TRUSTED CERTIFICATE-----\n",
        lines.join("\n")
    );
    fs::write(company.ca_file(), text).expect("a file of ours");
    company.login();
}

fn fresh(record: &mut Value) {
    record["issued_at"] = json!(now());
    record["expires_at"] = json!(now() + 3600);
}
