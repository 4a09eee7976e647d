//! `token --format kubernetes` with its real consumer: kubectl asks for a credential and sends it to a server.

use std::process::Command;

use crate::{
    authority::Valid,
    company::Company,
    front::Front,
    support::{Ran, program},
};

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
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(&config).args(["get", "--raw", "/v1/whoami"]);
        kubectl.env_clear();
        for (name, value) in company.keyfob(&[]).get_envs() {
            kubectl.envs(value.map(|value| (name, value)));
        }
        kubectl.env("HOME", company.dir());
        Ran::from(kubectl.output().expect("kubectl, from Debian's kubernetes-client or from its makers"))
    };
    for version in ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"] {
        let ran = get(version);
        // Debian's kubectl is older than the stable version of the answer.
        if version.ends_with("/v1") && ran.err.contains("no kind \"ExecCredential\" is registered") {
            continue;
        }
        let answer = ran.answer();
        assert!(answer.contains("\"credential\":[\"bearer\"]"), "{version}: {ran:?}");
        assert!(answer.contains("account_uuid"), "{version}: {ran:?}");
    }
}
