//! Arguments of `init`, and those of `login` that set a provider up on the way.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A provider that is not configured yet.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "To set up a provider")]
pub(crate) struct Provider {
    /// The provider's issuer: the address that its metadata is found at
    #[arg(long, value_name = "URL", requires = "client_id")]
    pub(crate) issuer: Option<String>,
    /// The client id that the provider registered
    #[arg(long, value_name = "ID", requires = "issuer")]
    pub(crate) client_id: Option<String>,
    /// Ask for this scope; may be repeated [default: openid, email and offline_access, if offered]
    #[arg(long, value_name = "SCOPE", requires = "issuer")]
    pub(crate) scope: Vec<String>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob init                                       asks for the provider, then signs in
  keyfob init --issuer https://login.company.com --client-id agents
                                                    sets up the environment `work`, then signs in
  keyfob init staff --issuer https://id.example.org --client-id agents --port 8000 --no-login
                                                    another name, a fixed callback port, and no sign-in
  keyfob init --seal secret-service                 seals logins with a key in the desktop's keyring

What was there stays: comments, order, and every other key. Running it again changes nothing.")]
pub(crate) struct Init {
    /// The name of the environment [default: work]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The provider's issuer: the address that its metadata is found at
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// The client id that the provider registered
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// Ask for this scope; may be repeated [default: openid, email and offline_access, if offered]
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Vec<String>,
    /// The file of the client's secret, for a provider that gives one to installed applications
    #[arg(long, value_name = "FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// The file of the client's private key, for a provider that has its public half
    #[arg(long, value_name = "FILE", conflicts_with = "client_secret_file")]
    pub(crate) client_key_file: Option<PathBuf>,
    /// The host in the redirect address, if the provider insists on one
    #[arg(long, value_name = "HOST")]
    pub(crate) redirect: Option<Redirect>,
    /// Always listen for the callback on this port, if the provider insists on one
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Seal logins with a key that is kept there
    #[arg(long, value_name = "WHERE")]
    pub(crate) seal: Option<Seal>,
    /// Change an environment that is there already and says something else
    #[arg(long)]
    pub(crate) replace: bool,
    /// Do not sign in
    #[arg(long)]
    pub(crate) no_login: bool,
    /// Do not open a browser; print the sign-in URL on stdout
    #[arg(long, conflicts_with = "no_login")]
    pub(crate) no_browser: bool,
    /// Sign in with a code typed on another device
    #[arg(long, conflicts_with_all = ["no_login", "no_browser"])]
    pub(crate) device: bool,
    /// Give up the sign-in after this many seconds
    #[arg(long, value_name = "TIME", default_value = "600", value_parser = super::time::timeout)]
    pub(crate) timeout: u64,
}

/// The host of the callback.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Redirect {
    /// The address, as recommended
    #[value(name = "127.0.0.1")]
    Literal,
    /// The name, which some providers demand
    Localhost,
}

impl Redirect {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Literal => "127.0.0.1",
            Self::Localhost => "localhost",
        }
    }
}

/// Where the key that seals logins is kept.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Seal {
    /// Nowhere: a login is a file that only you can read
    File,
    /// In the keyring of the desktop
    SecretService,
    /// In the kernel, until this machine restarts
    Kernel,
}

impl Seal {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::SecretService => "secret-service",
            Self::Kernel => "kernel",
        }
    }
}
