//! Arguments of `setup`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  keyfob setup git               git asks keyfob for the hosts of the environment; shows the change first
  keyfob setup git --dry-run     shows it and writes nothing
  keyfob setup git --undo        takes it out again

A tool is set up for the provider's own hosts and those under `hosts` in the configuration, and for no other.")]
pub(crate) struct Setup {
    #[command(subcommand)]
    pub(crate) tool: SetupTool,
}

/// The tools, each with what it needs to be told.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SetupTool {
    /// Let git ask keyfob for the hosts of the environment
    #[command(after_help = "Examples:
  keyfob setup git                            for every host that the environment lists
  keyfob setup git https://git.example.com    for this one
  keyfob setup git --undo                     takes it out again

What it writes into your git configuration:
  [credential \"https://git.example.com\"]
      helper =
      helper = !keyfob credential-helper git")]
    Git(SetupHosts),
    /// Let docker, podman, skopeo and buildah ask keyfob for the hosts of the environment
    #[command(after_help = "Examples:
  keyfob setup docker                         for every host that the environment lists
  keyfob setup docker registry.example.com    for this registry
  keyfob setup docker --undo                  takes it out again

What it writes into ~/.docker/config.json, and a link docker-credential-keyfob in ~/.local/bin:
  \"credHelpers\": {\"registry.example.com\": \"keyfob\"}")]
    Docker(SetupHosts),
    /// Let cargo ask keyfob for a registry
    #[command(after_help = "Examples:
  keyfob setup cargo       for each registry in your configuration whose index is at a host of the environment
  keyfob setup cargo --registry company --index sparse+https://crates.example.com/index/
                           adds the registry too
  keyfob setup cargo --undo

What it writes into the registry's table in ~/.cargo/config.toml, and a link in ~/.local/bin:
  credential-provider = [\"cargo-credential-keyfob\"]")]
    Cargo(SetupCargo),
    /// Let Terraform and OpenTofu ask keyfob
    #[command(after_help = "Examples:
  keyfob setup terraform
  keyfob --profile work setup terraform    for the login of that profile
  keyfob setup terraform --undo            takes it out again

What it writes into ~/.terraformrc, and a link in ~/.terraform.d/plugins:
  credentials_helper \"keyfob\" {}")]
    Terraform(SetupFile),
    /// Let Bazel ask keyfob for the hosts of the environment
    #[command(after_help = "Examples:
  keyfob setup bazel                      for every host that the environment lists
  keyfob setup bazel cache.example.com    for this one
  keyfob setup bazel --undo               takes it out again

What it writes into ~/.bazelrc, and a link in ~/.local/bin:
  common --credential_helper=HOST=/home/you/.local/bin/bazel-credential-keyfob")]
    Bazel(SetupHosts),
    /// Let pnpm ask keyfob for the hosts of the environment
    #[command(after_help = "Examples:
  keyfob setup pnpm --accept-http                    for every host that the environment lists
  keyfob setup pnpm --accept-http npm.example.com    for this registry
  keyfob setup pnpm --undo                           takes it out again

pnpm names a registry without its scheme. In a project whose .npmrc says registry=http://npm.example.com/ it sends the
token unencrypted: keyfob sets it up for another machine only if you accept that.

What it writes into ~/.npmrc, and a link in ~/.local/bin:
  //npm.example.com/:tokenHelper=/home/you/.local/bin/pnpm-credential-keyfob")]
    Pnpm(SetupPnpm),
    /// Let Claude Code get its key from keyfob
    #[command(after_help = "Examples:
  keyfob setup claude-code
  keyfob --profile work setup claude-code    with the login of that profile
  keyfob setup claude-code --undo            takes it out again

What it writes into ~/.claude/settings.json:
  \"apiKeyHelper\": \"keyfob token --for \\\"${ANTHROPIC_BASE_URL:-https://api.anthropic.com}\\\"\"")]
    ClaudeCode(SetupFile),
    /// Let codex get the bearer token of a model provider from keyfob
    #[command(after_help = "Examples:
  keyfob setup codex       for each provider in your configuration whose base_url is at a host of the environment
  keyfob setup codex --provider company --base-url https://api.example.com/v1
                           adds the provider too
  keyfob setup codex --undo

What it writes into ~/.codex/config.toml:
  [model_providers.company.auth]
  command = \"keyfob\"
  args = [\"token\", \"--for\", \"https://api.example.com/v1\"]")]
    Codex(SetupCodex),
    /// Let AWS' programs take a role with the ID token of the login
    #[command(after_help = "Examples:
  keyfob setup aws --role arn:aws:iam::123456789012:role/agent
  keyfob --profile work setup aws --role arn:aws:iam::123456789012:role/agent --aws-profile work
  keyfob setup aws --undo                                          takes it out again

What it writes into ~/.aws/config:
  [profile keyfob]
  role_arn = arn:aws:iam::123456789012:role/agent
  web_identity_token_file = /home/you/.local/state/keyfob/kept/aws-id-token

And into keyfob's own configuration, so that `keyfob agent` keeps that file fresh:
  [[agent.sink]]
  path = \"/home/you/.local/state/keyfob/kept/aws-id-token\"
  format = \"id-token\"")]
    Aws(SetupAws),
    /// Let Azure's libraries sign in with the ID token of the login
    #[command(after_help = "Examples:
  keyfob setup azure           says which variables to set
  keyfob setup azure --undo    takes it out again

What it writes into keyfob's own configuration, so that `keyfob agent` keeps that file fresh:
  [[agent.sink]]
  path = \"/home/you/.local/state/keyfob/kept/azure-id-token\"
  format = \"id-token\"")]
    Azure(SetupAzure),
    /// Give kubectl a user whose credential is the ID token of the login
    Kubernetes(Kubernetes),
}

/// A tool that is told of hosts.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SetupHosts {
    /// For these hosts of the environment [default: those that it lists]
    #[arg(value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// The file to change [default: where the tool looks for it]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SetupPnpm {
    /// For these hosts of the environment [default: those that it lists]
    #[arg(value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// Accept that a project can have pnpm send the token unencrypted
    #[arg(long)]
    pub(crate) accept_http: bool,
    /// The file to change [default: where the tool looks for it]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: How,
}

/// A tool that asks for every host.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SetupFile {
    /// The file to change [default: where the tool looks for it]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SetupCargo {
    /// For this registry of the configuration [default: all at a host of the environment]
    #[arg(long, value_name = "NAME")]
    pub(crate) registry: Option<String>,
    /// Add the registry with this index
    #[arg(long, value_name = "URL", requires = "registry", conflicts_with = "undo")]
    pub(crate) index: Option<String>,
    /// The file to change [default: config.toml in CARGO_HOME, else in ~/.cargo]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SetupCodex {
    /// For this model provider of the configuration [default: all at a host of the environment]
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Add the provider with this address
    #[arg(long, value_name = "URL", requires = "provider", conflicts_with = "undo")]
    pub(crate) base_url: Option<String>,
    /// The file to change [default: config.toml in CODEX_HOME, else in ~/.codex]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SetupAws {
    /// The role that is taken, which trusts the provider of the login
    #[arg(long, value_name = "ARN", required_unless_present = "undo", value_parser = role)]
    pub(crate) role: Option<String>,
    /// The profile of AWS to write, in the place of one that keyfob has written before
    #[arg(long, value_name = "NAME", default_value = "keyfob", value_parser = aws_profile)]
    pub(crate) aws_profile: String,
    /// The file to keep the ID token in [default: below keyfob's own state]
    #[arg(long, value_name = "FILE")]
    pub(crate) keep: Option<PathBuf>,
    /// The file to change [default: what AWS_CONFIG_FILE names, else ~/.aws/config]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SetupAzure {
    /// The file to keep the ID token in [default: below keyfob's own state]
    #[arg(long, value_name = "FILE")]
    pub(crate) keep: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: How,
}

/// The ARN of a role (AWS IAM, "IAM identifiers").
fn role(text: &str) -> Result<String, String> {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let is_account = |part: &str| part.len() == 12 && part.bytes().all(|c| c.is_ascii_digit());
    let is_name = |part: &str| part.bytes().all(|c| c.is_ascii_alphanumeric() || b"/+=,.@_-".contains(&c));
    match parts[..] {
        ["arn", partition, "iam", "", account, name]
            if partition.starts_with("aws")
                && is_name(partition)
                && is_account(account)
                && name.strip_prefix("role/").is_some_and(|name| !name.is_empty() && is_name(name)) =>
        {
            Ok(text.to_owned())
        }
        _ => Err("expected one such as arn:aws:iam::123456789012:role/agent".into()),
    }
}

/// What goes between brackets on a line of AWS' configuration.
fn aws_profile(text: &str) -> Result<String, String> {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"+=,.@_-".contains(&c);
    if text.is_empty() || !text.bytes().all(is_plain) {
        return Err("expected letters, digits, and any of +=,.@_-".into());
    }
    Ok(text.to_owned())
}

/// What every tool can be told.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct How {
    /// Show the change and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Take out what was written before
    #[arg(long)]
    pub(crate) undo: bool,
    /// Write it without asking
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  keyfob setup kubernetes                                the user `keyfob` in ~/.kube/config, or where KUBECONFIG says
  keyfob --profile work setup kubernetes --user work     another name, for the login of the profile `work`
  keyfob setup kubernetes --undo                         takes it out again

The user it writes:
  users:
  - name: keyfob
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1
        command: keyfob
        args: [token, --format, kubernetes]
        interactiveMode: Never")]
pub(crate) struct Kubernetes {
    /// The name of the user in the kubeconfig
    #[arg(long, value_name = "NAME", default_value = "keyfob")]
    pub(crate) user: String,
    /// The kubeconfig to change [default: what KUBECONFIG names, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Hand out the access token instead of the ID token
    #[arg(long)]
    pub(crate) access_token: bool,
    /// Only for clusters whose address is at a host of the environment: kubectl says which it is
    #[arg(long)]
    pub(crate) only_hosts: bool,
    #[command(flatten)]
    pub(crate) how: How,
}
