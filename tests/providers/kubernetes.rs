//! `token --format kubernetes` with its real consumers: kubectl asks for a credential and sends it to a server. A
//! kubectl before 1.22, such as Debian's, does not know the stable version of the answer: then the Python client is
//! used, which is also in Debian.

use std::process::Command;

use crate::{authority::Valid, company::Company, front::Front};
use keyfob_testkit::{Ran, program};

const PYTHON: &str = "\
from kubernetes import client, config
config.load_kube_config()
answer = client.ApiClient().call_api('/v1/whoami', 'GET', auth_settings=['BearerToken'], _preload_content=False)[0]
print(answer.data.decode())
";

#[test]
fn kubectl_sends_the_token() {
    let company = Company::new();
    company.login();
    // Without TLS it would not even ask for one.
    let certificate = company.authority.server("localhost", Valid::Now);
    let cluster = Front::start("localhost", certificate, Some(company.server.base_url()));
    let config = company.dir().join("kubeconfig.yaml");
    let get = |version: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: \"https://localhost:{}\", certificate-authority: {:?}}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             users: [{{name: u, user: {{exec: {{apiVersion: {version}, interactiveMode: Never, command: {:?}, \
             args: [--approved, {:?}, token, --format, kubernetes]}}}}}}]\n",
            cluster.address().port(),
            company.ca_file(),
            program(),
            company.dir().join("approved.toml"),
        );
        std::fs::write(&config, text).expect("a file of ours");
        let ask = |program: &str, words: &[&str]| {
            let mut command = Command::new(program);
            command.args(words).env_clear();
            for (name, value) in company.keyfob(&[]).get_envs() {
                command.envs(value.map(|value| (name, value)));
            }
            command.env("HOME", company.dir()).env("KUBECONFIG", &config);
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
    };
    for version in ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"] {
        let ran = get(version);
        let answer = ran.answer();
        assert!(answer.contains("\"credential\":[\"bearer\"]"), "{version}: {ran:?}");
        assert!(answer.contains("account_uuid"), "{version}: {ran:?}");
    }
}
