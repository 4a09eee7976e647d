//! Arguments of `token`, `header` and `exec`.

use std::{str::FromStr, time::Duration};

use clap::{Args, ValueEnum};
#[cfg(feature = "serve")]
use keyfob::internals::core::config::agent::SinkFormat;
use keyfob::{Purpose, internals::core::login::record::Generation};

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob token                                 prints the token
  keyfob token --min-valid 600                 valid for at least ten minutes, if it can be renewed
  keyfob token --wait 60                       waits for a provider that is busy, for up to a minute
  keyfob token --json                          with headers, expiry, source and a handle
  keyfob token --rejected HANDLE               after a 401: renews it if it is still the newest
  keyfob token --for https://api.example.com   only if that is a host of the environment
  keyfob token --id-token                      the ID token, which says who signed in
  git -c credential.helper='!keyfob token --format git-credential' fetch")]
pub(crate) struct Token {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Only if it may go to this address: a host of the environment
    #[arg(long = "for", value_name = "URL", conflicts_with_all = ["id_token", "format"])]
    pub(crate) address: Option<String>,
    /// Print it in the format of another tool
    #[arg(long, value_name = "TOOL", conflicts_with = "json")]
    pub(crate) format: Option<Format>,
    /// Print the login's ID token instead of the access token
    #[arg(long, conflicts_with_all = ["access_token", "remote"])]
    pub(crate) id_token: bool,
    /// Hand out the access token where a format is for the ID token (kubernetes)
    #[arg(long)]
    pub(crate) access_token: bool,
    /// What git wants to have done: it adds that itself
    #[arg(hide = true, requires = "format")]
    pub(crate) action: Option<String>,
}

/// Who reads the token.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// Output of a git credential helper, for the provider's own hosts and those under `hosts` in the configuration
    GitCredential,
    /// An ExecCredential for kubectl, with the ID token: see `keyfob setup kubernetes`
    Kubernetes,
    /// `NAME=value`, for environment files; not for a token that a shell would act on
    Env,
}

/// What an API answered 401 to.
#[derive(Clone, Debug)]
pub(crate) enum Rejected {
    /// A state of a login.
    Login(Generation),
    /// A key of the helper's, by its fingerprint.
    Key(String),
}

/// How the handle of a helper's key begins; its fingerprint follows.
pub(crate) const HELPER_KEY: &str = "api-key-helper:";

impl FromStr for Rejected {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(fingerprint) = text.strip_prefix(HELPER_KEY) else {
            return text.parse().map(Self::Login);
        };
        let fits = fingerprint.len() == 12 && fingerprint.bytes().all(|b| b.is_ascii_hexdigit());
        if fits {
            Ok(Self::Key(fingerprint.into()))
        } else {
            Err("does not end with a fingerprint of 12 digits")
        }
    }
}

/// What `token`, `header` and `exec` need of a credential.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Wanted {
    /// Renew unless it is valid for at least this much longer: seconds, or 5m, 2h
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = super::time::min_valid)]
    pub(crate) min_valid: i64,
    /// After a 401: the `handle` of what was rejected, as `token --json` and `header --json` give it
    #[arg(long, value_name = "HANDLE")]
    pub(crate) rejected: Option<Rejected>,
    /// Wait up to this long (seconds, or 5m, 2h) where the provider says "later", cannot be reached, or another process keeps the login
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = super::time::wait)]
    pub(crate) wait: u64,
    /// For a remote connection (WebSocket) instead of the API
    #[arg(long)]
    pub(crate) remote: bool,
    /// Set by `token`, for the ID token.
    #[arg(skip)]
    pub(crate) id_token: bool,
    /// Set by `serve`: how long the asker waits for any answer. An agent is told, and nothing is tried again for it.
    #[arg(skip)]
    pub(crate) within: Option<Duration>,
}

impl Wanted {
    pub(crate) const fn purpose(&self) -> Purpose {
        match (self.id_token, self.remote) {
            (true, _) => Purpose::IdToken,
            (false, true) => Purpose::Remote,
            (false, false) => Purpose::Api,
        }
    }
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob header | curl -H @- URL   one request; the header is in no argument
  keyfob header --min-valid 600    for a long request
  keyfob header --for https://api.example.com/ | curl -H @- https://api.example.com/
                                   nothing, unless URL is at a host of the environment
  keyfob header --format headers-helper
                                   for a server of Claude Code's, as its `headersHelper`")]
pub(crate) struct Header {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Only if it may go to this address: a host of the environment
    #[arg(long = "for", value_name = "URL", conflicts_with = "format")]
    pub(crate) address: Option<String>,
    /// Print them in the format of another tool
    #[arg(long, value_name = "TOOL", conflicts_with = "json")]
    pub(crate) format: Option<HeaderFormat>,
}

/// Who reads the headers.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum HeaderFormat {
    /// One object of JSON, as a `headersHelper` of Claude Code prints it; empty for a server that is no host of the environment
    HeadersHelper,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  keyfob exec -- my-agent --task 7         the token on a pipe
  keyfob exec --env API_TOKEN -- my-tool   the token in the variable API_TOKEN
  keyfob exec --file AWS_WEB_IDENTITY_TOKEN_FILE=id-token -- my-tool
                                           a file that always holds a valid ID token; its path in the variable
  keyfob exec --proxy --allow /v1/messages -- my-agent
                                           a base URL and a token of this run; never the credential

CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR holds the pipe's number. KEYFOB_API_HEADERS holds the headers that
the provider demands beside the token, if it does.
The program replaces the keyfob process, so its exit code and signals are its own; 126 means that it
cannot be executed, 127 that it is not there. A program that runs longer than the token is valid calls
`keyfob token`, reads a file of `--file`, or asks the agent of `--agent`: with these two, keyfob stays as its parent.")]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Pass it in this variable instead of a pipe
    #[arg(long, value_name = "NAME", value_parser = variable)]
    pub(crate) env: Option<String>,
    /// Give it an agent to ask instead of a token: for one that runs longer than a token, where it has no login
    #[cfg(feature = "serve")]
    #[arg(long, conflicts_with = "env")]
    pub(crate) agent: bool,
    /// Keep a file fresh for it, and put its path into this variable: the token, or in another format (header, json, id-token,
    /// credentials); may be repeated
    #[cfg(feature = "serve")]
    #[arg(long, value_name = "NAME[=FORMAT]", value_parser = file, conflicts_with = "env")]
    pub(crate) file: Vec<FileFor>,
    /// Give it a proxy that adds the credential to its requests, and no credential at all
    #[cfg(feature = "serve")]
    #[arg(long, conflicts_with_all = ["env", "agent", "file", "min_valid", "rejected", "remote"])]
    pub(crate) proxy: bool,
    #[cfg(feature = "serve")]
    #[command(flatten)]
    pub(crate) through: super::proxy::Through,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

/// A file that is kept fresh for one program.
#[cfg(feature = "serve")]
#[derive(Clone, Debug)]
pub(crate) struct FileFor {
    /// Holds its path.
    pub(crate) variable: String,
    pub(crate) format: SinkFormat,
}

#[cfg(feature = "serve")]
fn file(text: &str) -> Result<FileFor, &'static str> {
    let (name, format) = match text.split_once('=') {
        None => (text, Some(SinkFormat::Token)),
        Some((name, word)) => (name, SinkFormat::from_word(word)),
    };
    let format = format.ok_or("the format is token, header, json, id-token or credentials")?;
    Ok(FileFor { variable: variable(name)?, format })
}

fn variable(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(fits) {
        return Err("a variable's name has letters, digits and _, and does not begin with a digit");
    }
    Ok(text.to_owned())
}
