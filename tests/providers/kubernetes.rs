//! `token --format kubernetes` and `setup kubernetes` with their real consumers: kubectl asks for a credential and sends it
//! to a server. A kubectl before 1.22, such as Debian's, does not know the stable version of the answer: then the Python
//! client is used, which is also in Debian.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    authority::{Authority, Valid},
    company::Company,
    front::{Answer, Front},
};
use keyfob_testkit::{Ran, Sandbox, program};

const PYTHON: &str = "\
from kubernetes import client, config
config.load_kube_config()
answer = client.ApiClient().call_api('/v1/whoami', 'GET', auth_settings=['BearerToken'], _preload_content=False)[0]
print(answer.data.decode())
";

/// Asks the cluster as somebody with this kubeconfig and this environment does.
fn ask(environment: &Command, home: &Path, config: &Path) -> Ran {
    let ask = |program: &str, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words).env_clear();
        for (name, value) in environment.get_envs() {
            command.envs(value.map(|value| (name, value)));
        }
        command.env("HOME", home).env("KUBECONFIG", config);
        Ran::from(command.output().unwrap_or_else(|error| panic!("{program}: {error}")))
    };
    // From Debian's kubernetes-client, or from its makers.
    let ran = ask("kubectl", &["get", "--raw", "/v1/whoami"]);
    if ran.err.contains("no kind \"ExecCredential\" is registered") {
        // From Debian's python3-kubernetes. It compares the version of the answer with the one it asked for.
        ask("/usr/bin/python3", &["-c", PYTHON])
    } else {
        ran
    }
}

/// A kubeconfig with this cluster, and these users.
fn kubeconfig(dir: &Path, authority: &Authority, cluster: &Front, user: &str, users: &str) -> PathBuf {
    let (config, certificates) = (dir.join("kubeconfig.yaml"), dir.join("cluster.pem"));
    authority.write(&certificates);
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{name: c, cluster: {{server: \"https://localhost:{}\", certificate-authority: {certificates:?}}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: {user}}}}}]\n{users}",
        cluster.address().port(),
    );
    std::fs::write(&config, text).expect("a file of ours");
    config
}

/// Without TLS a client would not even ask for a credential.
fn cluster(authority: &Authority, behind: Option<String>) -> Front {
    Front::start("localhost", authority.server("localhost", Valid::Now), behind)
}

#[test]
fn kubectl_sends_the_access_token_where_that_is_wanted() {
    let company = Company::new();
    company.login();
    let cluster = cluster(&company.authority, Some(company.server.base_url()));
    for version in ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"] {
        let users = format!(
            "users: [{{name: u, user: {{exec: {{apiVersion: {version}, interactiveMode: Never, command: {:?}, \
             args: [--approved, {:?}, token, --format, kubernetes, --access-token]}}}}}}]\n",
            program(),
            company.dir().join("approved.toml"),
        );
        let config = kubeconfig(company.dir(), &company.authority, &cluster, "u", &users);
        let ran = ask(&company.keyfob(&[]), company.dir(), &config);
        let answer = ran.answer();
        assert!(answer.contains("\"credential\":[\"bearer\"]"), "{version}: {ran:?}");
        assert!(answer.contains("account_uuid"), "{version}: {ran:?}");
    }
}

/// Kubernetes, "OpenID Connect Tokens": a cluster takes the ID token, not the access token.
#[test]
fn kubectl_sends_the_id_token_after_setup() {
    let s = Sandbox::new();
    let home = s.home.home();
    std::fs::create_dir_all(&home).expect("our directory");
    let config = format!(
        "environment = \"work\"\n[environments.work]\nissuer = \"{}\"\nclient_id = \"keyfob-local\"\n\
         scopes = [\"openid\", \"offline_access\"]\n",
        s.server.base_url()
    );
    std::fs::write(home.join("config.toml"), config).expect("our file");
    let keyfob = |words: &[&str]| {
        let mut command = s.keyfob(words);
        command.env_remove("USE_LOCAL_OAUTH");
        command
    };
    let run = |words: &[&str]| Ran::from(keyfob(words).output().expect("it runs"));
    let mut login = keyfob(&["login", "--no-browser"]).spawn().expect("it starts");
    let mut url = String::new();
    BufReader::new(login.stdout.take().expect("a pipe")).read_line(&mut url).expect("an address");
    let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
    let _ = agent.get(url.trim()).call();
    assert!(login.wait().expect("it ends").success());

    let authority = Authority::new();
    let cluster = cluster(&authority, None);
    cluster.answers("GET /v1/whoami", Answer::json(&serde_json::json!({ "kind": "Somebody" })));
    let config = kubeconfig(s.home.path(), &authority, &cluster, "keyfob", "users: []\n");
    let before = std::fs::read_to_string(&config).expect("ours");
    let words = ["setup", "kubernetes", "--kubeconfig", config.to_str().expect("text")];
    let ran = run(&words);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = ask(&keyfob(&[]), s.home.path(), &config);
    assert!(ran.answer().contains("Somebody"), "{ran:?}");
    let sent = format!("bearer {}", run(&["token", "--id-token"]).answer().to_ascii_lowercase());
    let seen = cluster.seen();
    assert!(seen.iter().any(|seen| seen.head.to_ascii_lowercase().contains(&sent)), "{seen:?}");
    assert_eq!(run(&[&words[..], &["--undo"]].concat()).code, Some(0));
    assert_eq!(std::fs::read_to_string(&config).expect("ours"), before, "octet by octet");
}
