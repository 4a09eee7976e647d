//! Every grant with every way to prove who asks, from the sign-in to the revocation. The table of docs/conformance.md is made
//! from the one here; `KEYFOB_WRITE=1` writes it.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Browser, Provider, login};
use crate::desk::Desk;
use keyfob_testkit::{Ran, until};

/// As it is registered at the provider, with everything in it that a naive header would get wrong.
const SECRET: &str = "s3cr%t:of+the&client";

/// The file that has it, or the key.
const PROOF: &str = "proof";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grant {
    Code,
    Device,
    ClientCredentials,
}

const GRANTS: [(Grant, &str); 3] = [
    (Grant::Code, "authorization code"),
    (Grant::Device, "device code"),
    (Grant::ClientCredentials, "client credentials"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    None,
    Basic,
    Post,
    /// `private_key_jwt` with the algorithm of this name (RFC 7523 §2.2).
    Key(&'static str),
}

impl Proof {
    /// How its clients are called at the provider.
    const fn suffix(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::Key(algorithm) => algorithm,
        }
    }

    /// Its name in the metadata (RFC 8414 §2), and the algorithm.
    fn shown(self) -> String {
        match self {
            Self::Key(algorithm) => format!("`private_key_jwt`, {algorithm}"),
            _ => format!("`{}`", self.suffix()),
        }
    }

    /// The configuration of a client that proves itself so, and the file of what it proves itself with.
    fn configured(self, provider: &Provider, file: &Path) -> String {
        match self {
            Self::None => String::new(),
            Self::Basic | Self::Post => {
                Desk::keep(file, SECRET);
                format!("client_secret_file = {file:?}\nclient_auth = {:?}\n", self.suffix())
            }
            Self::Key(algorithm) => {
                Desk::keep(file, &provider.key(algorithm));
                format!("client_key_file = {file:?}\nclient_key_id = \"{algorithm}-key\"\n")
            }
        }
    }
}

/// A user or a machine with this client. The provider takes nothing but the proof that the client is registered with.
fn desk(provider: &Provider, grant: Grant, proof: Proof) -> Desk {
    let (client, keys) = match (grant, proof) {
        (Grant::ClientCredentials, _) => {
            (format!("machine-{}", proof.suffix()), "grant = \"client_credentials\"\n")
        }
        (_, Proof::None) => ("agents".to_owned(), ""),
        _ => (format!("agents-{}", proof.suffix()), ""),
    };
    let scopes = match grant {
        Grant::ClientCredentials => "",
        _ => "scopes = [\"openid\", \"email\", \"offline_access\"]\n",
    };
    let desk = Desk::configured("");
    let proof = proof.configured(provider, &desk.home().join(PROOF));
    let issuer = &provider.issuer;
    let config = format!(
        "environment = \"work\"\n[environments.work]\nissuer = {issuer:?}\nclient_id = {client:?}\n{keys}{scopes}{proof}"
    );
    fs::write(desk.home().join("config.toml"), config).expect("a file of ours");
    desk
}

/// Signs in, renews twice with what was rotated, and revokes.
#[track_caller]
fn cell(grant: Grant, proof: Proof) {
    let provider = Provider::start(3600);
    let desk = desk(&provider, grant, proof);
    match grant {
        Grant::Code => {
            login(&desk, &Browser::new("ada")).answer();
        }
        Grant::Device => {
            let (child, shown) = desk.login_elsewhere();
            let code = shown["user_code"].as_str().expect("a code");
            until("a question", || (provider.said(&super::pending()) > 0).then_some(()));
            Browser::typing("ada", code).open(shown["verification_uri"].as_str().expect("an address"));
            Ran::from(child.wait_with_output().expect("it ends")).answer();
        }
        Grant::ClientCredentials => {}
    }
    let mut tokens = vec![desk.run(&["token"]).answer().to_owned()];
    let mut refresh_tokens = vec![desk.record()["refresh_token"].clone()];
    for _ in 0..2 {
        desk.expire();
        let token = desk.run(&["token"]).answer().to_owned();
        assert!(provider.is_active(&token) && !tokens.contains(&token), "a new one");
        tokens.push(token);
        let refresh_token = desk.record()["refresh_token"].clone();
        if grant == Grant::ClientCredentials {
            assert_eq!(refresh_token, Value::Null, "a machine asks anew (RFC 6749 §4.4.3)");
        } else {
            assert!(refresh_token.is_string() && !refresh_tokens.contains(&refresh_token), "rotated");
        }
        refresh_tokens.push(refresh_token);
    }
    let word = if grant == Grant::ClientCredentials { "client_credentials" } else { "refresh_token" };
    let asked = provider.said(&json!({ "granted": word }));
    assert_eq!(asked, if grant == Grant::ClientCredentials { 3 } else { 2 });

    let out = desk.json(&["logout", "--json"]);
    let asserted = provider.lines("asserted");
    assert_eq!(!asserted.is_empty(), matches!(proof, Proof::Key(_)));
    for (number, line) in asserted.iter().enumerate() {
        // RFC 7523 §3, and draft-ietf-oauth-rfc7523bis: the issuer alone, soon over, and never twice.
        assert_eq!(line["aud"], provider.issuer, "{line}");
        assert!(line["lasts"].as_i64().is_some_and(|seconds| (1..=60).contains(&seconds)), "{line}");
        assert!(asserted[..number].iter().all(|other| other["jti"] != line["jti"]), "{line}");
    }
    if matches!(proof, Proof::Key(_)) {
        let asks = if grant == Grant::Device {
            &["/device/auth", "/token", "/token/revocation"][..]
        } else {
            &["/token", "/token/revocation"]
        };
        let everywhere = asks.iter().all(|path| asserted.iter().any(|line| line["asserted"] == *path));
        assert!(everywhere, "{asserted:?}");
    }
    assert_eq!(out["logged_out"][0]["revocation"], "confirmed", "{out}");
    assert!(!provider.is_active(&tokens[2]), "revoked");
    if let Some(token) = refresh_tokens.last().and_then(Value::as_str) {
        assert!(!provider.is_active(token), "revoked");
    }
    if grant != Grant::Device {
        // A device is told "not yet" by an error.
        provider.has_no_complaint();
    }
}

macro_rules! matrix {
    ($($name:ident: $grant:ident, $proof:expr;)+) => {
        $(
            #[test]
            fn $name() {
                cell(Grant::$grant, $proof);
            }
        )+

        /// What is in the table, by the name of its test.
        const CELLS: &[(Grant, Proof, &str)] = &[$((Grant::$grant, $proof, stringify!($name))),+];
    };
}

matrix! {
    interop_code_with_a_public_client: Code, Proof::None;
    interop_code_with_client_secret_basic: Code, Proof::Basic;
    interop_code_with_client_secret_post: Code, Proof::Post;
    interop_code_with_private_key_jwt_es256: Code, Proof::Key("ES256");
    interop_code_with_private_key_jwt_rs256: Code, Proof::Key("RS256");
    interop_code_with_private_key_jwt_eddsa: Code, Proof::Key("EdDSA");
    interop_device_code_with_a_public_client: Device, Proof::None;
    interop_device_code_with_client_secret_basic: Device, Proof::Basic;
    interop_device_code_with_client_secret_post: Device, Proof::Post;
    interop_device_code_with_private_key_jwt_es256: Device, Proof::Key("ES256");
    interop_device_code_with_private_key_jwt_rs256: Device, Proof::Key("RS256");
    interop_device_code_with_private_key_jwt_eddsa: Device, Proof::Key("EdDSA");
    interop_client_credentials_with_client_secret_basic: ClientCredentials, Proof::Basic;
    interop_client_credentials_with_client_secret_post: ClientCredentials, Proof::Post;
    interop_client_credentials_with_private_key_jwt_es256: ClientCredentials, Proof::Key("ES256");
    interop_client_credentials_with_private_key_jwt_rs256: ClientCredentials, Proof::Key("RS256");
    interop_client_credentials_with_private_key_jwt_eddsa: ClientCredentials, Proof::Key("EdDSA");
}

/// The proofs in the order of their rows.
const PROOFS: [Proof; 6] =
    [Proof::None, Proof::Basic, Proof::Post, Proof::Key("ES256"), Proof::Key("RS256"), Proof::Key("EdDSA")];

fn table() -> String {
    let heads = GRANTS.map(|(_, head)| head).join(" | ");
    let mut table = format!("| the client proves itself by | {heads} |\n|---|---|---|---|\n");
    for proof in PROOFS {
        let cells = GRANTS.map(|(grant, _)| {
            let cell = CELLS.iter().find(|(known, by, _)| (*known, *by) == (grant, proof));
            cell.map_or("not for public clients (RFC 6749 §4.4)".to_owned(), |(_, _, name)| {
                format!("`{name}`")
            })
        });
        writeln!(table, "| {} | {} |", proof.shown(), cells.join(" | ")).expect("a text");
    }
    table
}

/// The page has the table of these tests, and no other.
#[test]
fn interop_matrix_is_the_one_of_the_page() {
    const MARKS: (&str, &str) = ("<!-- the matrix of matrix.rs -->\n", "<!-- its end -->");
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance.md"));
    let page = fs::read_to_string(&file).expect("the page");
    let (before, rest) = page.split_once(MARKS.0).expect("a beginning");
    let (there, after) = rest.split_once(MARKS.1).expect("an end");
    let table = table();
    if std::env::var_os("KEYFOB_WRITE").is_some() {
        fs::write(&file, format!("{before}{}{table}{}{after}", MARKS.0, MARKS.1)).expect("the page");
    } else {
        assert_eq!(there, table, "KEYFOB_WRITE=1 writes it");
    }
}

/// A client that cannot prove itself is refused, as what it is, and nothing is stored.
#[test]
fn interop_wrong_secret_is_refused() {
    let provider = Provider::start(3600);
    // Another process of the provider has other keys.
    let stranger = Provider::start(3600);
    for proof in [Proof::Basic, Proof::Post, Proof::Key("ES256")] {
        let machine = desk(&provider, Grant::ClientCredentials, proof);
        let person = desk(&provider, Grant::Code, proof);
        for desk in [&machine, &person] {
            let other =
                if let Proof::Key(algorithm) = proof { stranger.key(algorithm) } else { "another".into() };
            Desk::keep(&desk.home().join(PROOF), &other);
        }
        machine.run(&["token", "--json"]).failed(5, "provider-refused");
        let ran = login(&person, &Browser::new("ada"));
        assert!(ran.code == Some(5) && ran.err.contains("invalid_client"), "{ran:?}");
        assert!(!person.has_login());
    }
}
