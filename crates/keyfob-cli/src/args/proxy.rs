//! Arguments of `proxy`, and of `exec --proxy`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use keyfob_serve::Rule;

#[derive(Clone, Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  keyfob proxy --to https://api.example.com         at a unix socket, for this user
  keyfob proxy --to https://api.example.com --allow /v1/messages --allow /v1/models
                                                    only that
  keyfob proxy --to https://api.example.com --listen 127.0.0.1:8080 --info ~/run/proxy.json
                                                    on loopback, for whoever has the token in that file
  curl --unix-socket /run/user/1000/keyfob/proxy.sock http://localhost/v1/models
                                                    one request through it
  keyfob proxy status                               how much was asked, and whether there is a token

Each request for what is allowed gets the credential, and goes to that origin alone. Its own credentials are
dropped, and answers lose what they show of ours. A 401 renews once, for all who ask. To start a program with a
proxy of its own: `keyfob exec --proxy`. That it cannot go another way is for a sandbox to see to."
)]
pub(crate) struct Proxy {
    #[command(subcommand)]
    pub(crate) command: Option<ProxyCommand>,
    #[command(flatten)]
    pub(crate) through: Through,
    /// Where to listen: unix:PATH or 127.0.0.1:PORT (0: any); by default a unix socket in XDG_RUNTIME_DIR
    #[arg(long, value_name = "ADDRESS", value_parser = listen)]
    pub(crate) listen: Option<Listen>,
    /// Also answer this user, by number, at a unix socket; may be repeated
    #[arg(long, value_name = "UID")]
    pub(crate) for_uid: Vec<u32>,
    /// Write address, process and token into this file, which only you can read
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) info: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ProxyCommand {
    /// Show where a proxy forwards to, how much it was asked, and whether it has a token
    Status(ProxyStatus),
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob proxy status                              of the usual socket of this user
  keyfob proxy status --info ~/run/proxy.json      of the one that wrote this file
  keyfob proxy status --json                       for scripts

Exit code: 0 if it has a token to add, otherwise what `keyfob token` would end with.")]
pub(crate) struct ProxyStatus {
    /// The socket of the proxy; by default that of `keyfob proxy`
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, conflicts_with = "info")]
    pub(crate) socket: Option<PathBuf>,
    /// The file that the proxy wrote (`--info`), for one on loopback
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) info: Option<PathBuf>,
}

/// Where requests go, and which.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Through {
    /// Forward to this origin, with a path to what is below it; or NAME of a [proxy.NAME]. By default what the configuration has, or the API of the environment
    #[arg(long, value_name = "URL")]
    pub(crate) to: Option<String>,
    /// Forward only this: /PATH and what is below it, or 'METHOD /PATH'; may be repeated
    #[arg(long, value_name = "RULE", value_parser = rule)]
    pub(crate) allow: Vec<Rule>,
    /// Where the credential is looked for in answers, and covered; by default in bodies too
    #[arg(long, value_name = "WHERE")]
    pub(crate) scrub: Option<Scrub>,
    /// The origin may have an address of a private network
    #[arg(long)]
    pub(crate) private: bool,
    /// Append a line of JSON for each request to this file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) log: Option<PathBuf>,
}

impl Through {
    /// Whether anything of it was named.
    pub(crate) fn is_chosen(&self) -> bool {
        let Self { to, allow, scrub, private, log } = self;
        to.is_some() || !allow.is_empty() || scrub.is_some() || *private || log.is_some()
    }
}

/// Where the credential is looked for in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scrub {
    /// In their headers and bodies, which then come uncompressed; the default
    Body,
    /// In their headers
    Headers,
}

/// Where the proxy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    Unix(PathBuf),
    Loopback(SocketAddr),
}

fn listen(text: &str) -> Result<Listen, &'static str> {
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.is_empty() { Err("expected a path") } else { Ok(Listen::Unix(path.into())) };
    }
    let address: SocketAddr = text.parse().map_err(|_| "expected unix:PATH, 127.0.0.1:PORT or [::1]:PORT")?;
    if !address.ip().is_loopback() {
        return Err("it listens on loopback alone: 127.0.0.1:PORT or [::1]:PORT");
    }
    Ok(Listen::Loopback(address))
}

fn rule(text: &str) -> Result<Rule, &'static str> {
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_at_a_socket_or_on_loopback() {
        assert_eq!(listen("unix:/run/p"), Ok(Listen::Unix("/run/p".into())));
        assert!(matches!(listen("127.0.0.1:0"), Ok(Listen::Loopback(_))));
        assert!(matches!(listen("[::1]:80"), Ok(Listen::Loopback(_))));
        for wrong in ["unix:", "0.0.0.0:80", "10.0.0.1:80", "localhost:80", "127.0.0.1", "/run/p", ""] {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
    }
}
