//! Arguments of `setup`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  keyfob setup kubernetes                 adds a user to your kubeconfig; shows the change first
  keyfob setup kubernetes --dry-run       shows it and writes nothing
  keyfob setup kubernetes --undo          takes it out again")]
pub(crate) struct Setup {
    #[command(subcommand)]
    pub(crate) tool: SetupTool,
}

/// The tools, each with what it needs to be told.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SetupTool {
    /// Give kubectl a user whose credential is the ID token of the login
    Kubernetes(Kubernetes),
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
    #[command(flatten)]
    pub(crate) how: How,
}
