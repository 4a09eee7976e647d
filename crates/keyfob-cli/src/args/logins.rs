//! Arguments of `login`, `logout`, `profiles`, `device` and `setup-token`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob login                 opens the browser; a pasted answer is accepted at the same time
  keyfob login --no-browser    prints the address on stdout and waits
  keyfob login --device --qr   shows a code to type on another device
  keyfob login --copy          the address in the clipboard of the machine you sit at
  keyfob login --paste         for machines no browser can reach: the page shows a code to copy")]
pub(crate) struct Login {
    /// Do not open a browser; print the address on stdout
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Use the provider's page that shows a code to copy instead of a callback
    #[arg(long)]
    pub(crate) paste: bool,
    /// Sign in with a code typed on another device
    #[arg(long, conflicts_with_all = ["no_browser", "paste", "console", "port", "with_token"])]
    pub(crate) device: bool,
    /// Show the address as a QR code too
    #[arg(long, conflicts_with = "with_token")]
    pub(crate) qr: bool,
    /// Put the address into the clipboard of the machine the terminal is shown on (OSC 52)
    #[arg(long, conflicts_with = "with_token")]
    pub(crate) copy: bool,
    /// Sign in at the console, for accounts that use API keys
    #[arg(long)]
    pub(crate) console: bool,
    /// Listen for the callback on this port
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    /// Take a token from stdin instead of signing in on a page
    #[arg(long, value_name = "KIND", conflicts_with_all = ["no_browser", "paste", "console", "port", "email"])]
    pub(crate) with_token: Option<TokenKind>,
    /// Suggest this account to the provider
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Option<String>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
}

/// What sort of token stdin holds.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TokenKind {
    /// A refresh token: exchanged at once
    Refresh,
    /// An access token: used as it is
    Access,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob logout                  revokes at the provider first, and says whether that worked
  keyfob logout --profile work   ends that login alone
  keyfob logout --all            ends every login on this machine")]
pub(crate) struct Logout {
    /// Sign out of every login on this machine
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  keyfob profiles            which there are
  keyfob profiles use work   the one that counts when none is named")]
pub(crate) struct Profiles {
    #[command(subcommand)]
    pub(crate) command: Option<ProfilesCommand>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ProfilesCommand {
    /// Make this profile the one that counts when none is named
    #[command(after_help = "Example:\n  keyfob profiles use work")]
    Use {
        /// Its name
        name: String,
    },
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
        /// The name the provider lists it under
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Say whether this machine is enrolled; exit code 1 when it is not
    #[command(after_help = "Example:\n  keyfob device status")]
    Status,
    /// Take this machine off the account's devices
    #[command(after_help = "Example:\n  keyfob device forget")]
    Forget,
}

#[derive(Clone, Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  keyfob setup-token --name ci --out token.txt   writes the token 0600 into a new file
  keyfob setup-token list                        what was minted here, without the tokens

Use it as CLAUDE_CODE_OAUTH_TOKEN. It cannot be renewed: `keyfob status` says when it ends."
)]
pub(crate) struct SetupToken {
    #[command(subcommand)]
    pub(crate) command: Option<SetupTokenCommand>,
    /// How long it is to last
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) days: u64,
    /// What it is for
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Write it into this new file instead of printing it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Do not open a browser
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Use the provider's page that shows a code to copy instead of a callback
    #[arg(long)]
    pub(crate) paste: bool,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SetupTokenCommand {
    /// Say what was minted here and when it ends
    #[command(after_help = "Example:\n  keyfob setup-token list")]
    List,
}
