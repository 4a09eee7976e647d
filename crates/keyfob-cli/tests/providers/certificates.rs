//! Whom to believe: the company's own authority, told by `SSL_CERT_FILE`, and nobody else in its place.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::ffi::OsStrExt,
    thread,
};

use crate::{
    authority::{Authority, Valid},
    company::{Company, HOST, IN_VAIN},
    support::Ran,
};

/// What is wrong with a certificate is said, and costs the login nothing: neither a token nor its good name.
#[test]
fn what_is_wrong_with_a_certificate() {
    let company = Company::new();
    company.login();
    let good = company.authority.server(HOST, Valid::Now);
    for (certificate, said) in [
        (
            company.authority.server(HOST, Valid::NoLonger),
            "the certificate of oauth.company.test has expired",
        ),
        (company.authority.server(HOST, Valid::NotYet), "is not valid yet"),
        (
            company.authority.server("other.company.test", Valid::Now),
            "the certificate is that of another host, not of oauth.company.test",
        ),
        (
            Authority::new().server(HOST, Valid::Now),
            "the certificate of oauth.company.test is not trusted here",
        ),
    ] {
        company.front.shows(certificate);
        let seen = company.front.seen().len();
        let told = company.in_vain(&mut company.keyfob(&["token", "--json"]));
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
fn a_host_without_tls() {
    let company = Company::new();
    company.login();
    let hangs = |stream: TcpStream| drop(stream.take(u64::MAX).read_to_end(&mut Vec::new()));
    let closes = |mut stream: TcpStream| drop(stream.read(&mut [0; 16]));
    let speaks_http = |mut stream: TcpStream| {
        drop(stream.read(&mut [0; 4096]));
        drop(stream.write_all(b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"));
        drop(stream.read(&mut [0; 4096]));
    };
    let strangers: [(Stranger, &str); 3] = [
        (closes, "oauth.company.test"),
        (speaks_http, "no secure connection to oauth.company.test"),
        (hangs, "oauth.company.test through the proxy"),
    ];
    for (stranger, said) in strangers {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        company.proxy.knows("oauth.company.test:443", listener.local_addr().expect("a port"));
        let serving = thread::spawn(move || listener.accept().map(|(stream, _)| stranger(stream)));
        let told = company.in_vain(&mut company.keyfob(&["token", "--json"]));
        assert!(told.contains(said), "{told}");
        serving.join().expect("it has served").expect("a connection");
    }
    company.proxy.knows("oauth.company.test:443", company.front.address());
    company.run(&["token"]).answer();
}

#[test]
fn an_unknown_authority() {
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

    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        for (value, said) in [("company.pem", "absolute"), ("/no/such/place", "there is no such")] {
            let told = company.run_with(name, Some(value), &["token", "--json"]);
            let told = &told.failed(3, "ca-file-malformed").err;
            assert!(told.contains(name) && told.contains(said), "{told}");
        }
    }
    // What is no text could not be checked, and would be read all the same.
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        let mut command = company.keyfob(&["token", "--json"]);
        command.env(name, OsStr::from_bytes(b"/tmp/\xff.pem"));
        let told = Ran::from(command.output().expect("it runs"));
        assert!(told.failed(3, "variable-malformed").err.contains(name), "{told:?}");
    }
    // A file without a certificate in it leaves nobody to believe.
    let empty = company.dir().join("empty.pem");
    fs::write(&empty, "not a certificate\n").expect("a file of ours");
    let mut command = company.keyfob(&["token", "--json"]);
    let told = company.in_vain(command.env("SSL_CERT_FILE", &empty));
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
    for (name, value) in
        [("SSL_CERT_FILE", &file), ("SSL_CERT_FILE", &link), ("SSL_CERT_DIR", &repository.join("certs"))]
    {
        let mut command = company.keyfob(&["token", "--json"]);
        command.env(name, value).current_dir(repository.join("src"));
        let told = Ran::from(command.output().expect("it runs"));
        assert!(told.failed(3, "ca-file-unsafe").err.contains(name), "{told:?}");
    }
    assert_eq!(company.proxy.asked(), [""; 0], "before any network use");
}
