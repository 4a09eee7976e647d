//! Arguments of `login`, `logout`, `profiles`, `device` and `setup-token`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob login                 opens the browser; also accepts a pasted code
  keyfob login --no-browser    prints the sign-in URL on stdout and waits
  keyfob login --issuer https://login.company.com --client-id agents
                               sets up a provider first, as `keyfob init` does
  keyfob login --device --qr   shows a code to type on another device
  keyfob login --copy          copies the URL to the clipboard of your own machine
  keyfob login --paste         if the browser cannot reach this machine: the page shows a code")]
pub(crate) struct Login {
    /// Open the browser even if CLAUDE_CODE_OAUTH_REFRESH_TOKEN is set, which otherwise signs in without a page
    #[arg(long, conflicts_with_all = ["no_browser", "paste", "device", "with_token"])]
    pub(crate) browser: bool,
    /// Do not open a browser; print the sign-in URL on stdout
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Use the provider's page that shows a code to copy instead of a callback
    #[arg(long)]
    pub(crate) paste: bool,
    /// Sign in with a code typed on another device
    #[arg(long, conflicts_with_all = ["no_browser", "paste", "console", "port", "with_token"])]
    pub(crate) device: bool,
    /// Also show the URL as a QR code
    #[arg(long, conflicts_with = "with_token")]
    pub(crate) qr: bool,
    /// Copy the URL to the clipboard of the machine with the terminal (OSC 52)
    #[arg(long, conflicts_with = "with_token")]
    pub(crate) copy: bool,
    /// Sign in at the console, for accounts that use API keys
    #[arg(long)]
    pub(crate) console: bool,
    /// Listen for the callback on this port
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    /// Take a token somebody already has, from stdin or a hidden prompt, instead of using a browser
    #[arg(long, value_name = "KIND", conflicts_with_all = ["no_browser", "paste", "console", "port", "email"])]
    pub(crate) with_token: Option<TokenKind>,
    /// Suggest this account to the provider; another one's sign-in is not saved without a question
    #[arg(long, value_name = "ADDRESS", value_parser = super::time::email)]
    pub(crate) email: Option<String>,
    /// Save the sign-in also when another account is stored there, or another one signed in than --email says
    #[arg(long)]
    pub(crate) replace: bool,
    /// Give up after this long: seconds, or 5m, 2h
    #[arg(long, value_name = "TIME", default_value = "600", value_parser = super::time::timeout)]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) provider: super::Provider,
}

/// What sort of token stdin holds.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TokenKind {
    /// A refresh token; exchanged at once
    Refresh,
    /// An access token; used as it is
    Access,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob logout                  revokes at the provider first, and reports whether that worked
  keyfob logout --profile work   ends only that login
  keyfob logout --all            ends every login on this machine")]
pub(crate) struct Logout {
    /// Sign out of every login on this machine
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  keyfob profiles                      lists them; `*` is the one that counts
  keyfob profiles use work             makes it the one that counts; also: keyfob switch work
  keyfob profiles rename work ada      its logins stay signed in
  keyfob profiles remove work          signs out of it first")]
pub(crate) struct Profiles {
    #[command(subcommand)]
    pub(crate) command: Option<ProfilesCommand>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ProfilesCommand {
    /// List the logins of this machine
    #[command(after_help = "Example:\n  keyfob profiles list")]
    List,
    /// Make this profile the one that counts when none is named
    #[command(after_help = "Example:\n  keyfob profiles use work")]
    Use(Switch),
    /// Give a profile another name; its logins stay signed in
    #[command(after_help = "Example:\n  keyfob profiles rename work ada")]
    Rename {
        /// The name it has
        #[arg(value_name = "PROFILE")]
        from: String,
        /// The name it gets
        #[arg(value_name = "NAME")]
        to: String,
    },
    /// Sign out of every login of a profile and remove it
    #[command(after_help = "Example:\n  keyfob profiles remove work")]
    Remove {
        /// The name of the profile
        #[arg(value_name = "PROFILE")]
        name: String,
    },
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  keyfob switch work   the same as keyfob profiles use work")]
pub(crate) struct Switch {
    /// The name of the profile
    #[arg(value_name = "PROFILE")]
    pub(crate) name: String,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  keyfob device enroll --name laptop   within ten minutes of signing in
  keyfob device status                 exit code 1: not enrolled
  keyfob device forget")]
pub(crate) struct Device {
    #[command(subcommand)]
    pub(crate) command: DeviceCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Enrol this machine; the login must be younger than ten minutes
    #[command(after_help = "Example:\n  keyfob device enroll --name laptop")]
    Enroll {
        /// The name under which the provider lists it
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Show whether this machine is enrolled; exit code 1 if not
    #[command(after_help = "Example:\n  keyfob device status")]
    Status,
    /// Remove this machine from the account's devices
    #[command(after_help = "Example:\n  keyfob device forget")]
    Forget,
}

#[derive(Clone, Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  keyfob setup-token --name ci --out token.txt   writes the token to a new file with mode 0600
  keyfob setup-token list                        lists the tokens created here, without their values
  keyfob setup-token revoke ci < token.txt       ends that one

Use it as CLAUDE_CODE_OAUTH_TOKEN. It cannot be renewed: `keyfob status` shows when it expires."
)]
pub(crate) struct SetupToken {
    #[command(subcommand)]
    pub(crate) command: Option<SetupTokenCommand>,
    /// Its lifetime in days
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) days: u64,
    /// A name that says what it is for
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Write it to this new file instead of printing it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Do not open a browser
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Use the provider's page that shows a code to copy instead of a callback
    #[arg(long)]
    pub(crate) paste: bool,
    /// Give up after this long: seconds, or 5m, 2h
    #[arg(long, value_name = "TIME", default_value = "600", value_parser = super::time::timeout)]
    pub(crate) timeout: u64,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SetupTokenCommand {
    /// List the tokens created here and when they expire
    #[command(after_help = "Example:\n  keyfob setup-token list")]
    List,
    /// End a token at the provider; it is not kept here, so it is read from stdin or a hidden prompt
    #[command(after_help = "Example:\n  keyfob setup-token revoke ci < token.txt")]
    Revoke {
        /// The name it was created with
        name: String,
    },
}
