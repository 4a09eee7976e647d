//! Arguments of `agent`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keyfob::internals::core::{config::agent::SinkFormat, provider::web_origin};

#[derive(Clone, Debug, Default, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  keyfob agent                                      until Ctrl-C; prints the path of its socket. With [agent] in
                                                    the configuration: all the doors and files there
  keyfob agent --socket /run/user/1000/ci.sock --profile ci --lifetime 8h
                                                    a narrower door, for the login of a profile
  keyfob agent --socket ~/.agent/api.sock --host https://api.example.com
                                                    headers for requests to one host alone
  keyfob agent --keep ~/run/token --keep header:$HOME/run/header
                                                    also two files that always hold the newest
  keyfob agent --idle 15m                           from a socket unit of systemd
  keyfob agent status                               whose login, until when, how much it was asked

Whoever has the socket needs no login: with KEYFOB_AGENT=PATH, `keyfob token`, `header` and `exec` ask the
agent where there is none. Only this user, root and those of --for-uid may ask."
)]
pub(crate) struct Agent {
    #[command(subcommand)]
    pub(crate) command: Option<AgentCommand>,
    /// Listen at this path; by default in XDG_RUNTIME_DIR
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    pub(crate) socket: Option<PathBuf>,
    /// Give headers for requests to this origin alone (they hold the token: this stops mistakes); may be repeated
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub(crate) host: Vec<String>,
    /// Give headers only, for a request that is named (they hold the token: this stops mistakes)
    #[arg(long)]
    pub(crate) headers_only: bool,
    /// Narrow the tokens to this scope: the provider exchanges them (RFC 8693); may be repeated
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Vec<String>,
    /// Narrow the tokens to this audience, as the provider names it; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) audience: Vec<String>,
    /// Narrow the tokens to this resource, by its address; may be repeated
    #[arg(long, value_name = "URI")]
    pub(crate) resource: Vec<String>,
    /// Renew no token because it was rejected: who asks cannot make the provider renew the login
    #[arg(long)]
    pub(crate) no_rejected: bool,
    /// Keep a file fresh too: the token, or what the format in front says: header, json, id-token, credentials; may be repeated
    #[arg(long, value_name = "[FORMAT:]PATH", value_parser = kept)]
    pub(crate) keep: Vec<Kept>,
    /// End when nobody has asked for this time; for a socket that a service manager listens at
    #[arg(long, value_name = "TIME", value_parser = super::time::lifetime)]
    pub(crate) idle: Option<u64>,
    /// End after this time: seconds, or 5m, 2h, 1d
    #[arg(long, value_name = "TIME", value_parser = super::time::lifetime)]
    pub(crate) lifetime: Option<u64>,
    /// Also answer this user, by number; may be repeated
    #[arg(long, value_name = "UID")]
    pub(crate) for_uid: Vec<u32>,
    /// Append a line of JSON for each request to this file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) log: Option<PathBuf>,
}

impl Agent {
    /// Whether it describes a door of its own: then the configured ones are left alone.
    pub(crate) fn is_of_one_door(&self) -> bool {
        let Self {
            command: _,
            idle: _,
            socket,
            host,
            headers_only,
            scope,
            audience,
            resource,
            no_rejected,
            keep,
            lifetime,
            for_uid,
            log,
        } = self;
        socket.is_some()
            || !host.is_empty()
            || *headers_only
            || !scope.is_empty()
            || !audience.is_empty()
            || !resource.is_empty()
            || *no_rejected
            || !keep.is_empty()
            || lifetime.is_some()
            || !for_uid.is_empty()
            || log.is_some()
    }
}

/// A file to keep fresh.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) format: SinkFormat,
    pub(crate) path: PathBuf,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Show whose login an agent has, until when, and how much it was asked
    Status(AgentStatus),
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob agent status                  of KEYFOB_AGENT, or else of this user: of each door in the configuration
  keyfob agent status --json           for scripts

Exit code: 0 if it has a token to give, otherwise what `keyfob token` would end with.")]
pub(crate) struct AgentStatus {
    /// The socket of the agent; by default that of KEYFOB_AGENT, or else of `keyfob agent`
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    pub(crate) socket: Option<PathBuf>,
}

fn kept(text: &str) -> Result<Kept, &'static str> {
    let named = text.split_once(':').and_then(|(word, path)| Some((SinkFormat::from_word(word)?, path)));
    let (format, path) = named.unwrap_or((SinkFormat::Token, text));
    if path.is_empty() { Err("expected a path") } else { Ok(Kept { format, path: path.into() }) }
}

fn origin(text: &str) -> Result<String, &'static str> {
    let is_bare = text.split_once("://").is_some_and(|(_, rest)| !rest.trim_end_matches('/').contains('/'));
    let origin = web_origin(text).filter(|_| is_bare && !text.contains(['?', '#']));
    origin.ok_or("expected https://HOST or https://HOST:PORT; http for this machine alone")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_has_a_format() {
        let is = |text| kept(text).map(|kept| (kept.format, kept.path.display().to_string()));
        assert_eq!(is("/run/t"), Ok((SinkFormat::Token, "/run/t".into())));
        assert_eq!(is("json:/run/t:x"), Ok((SinkFormat::Json, "/run/t:x".into())));
        assert_eq!(is("header:t"), Ok((SinkFormat::Header, "t".into())));
        assert_eq!(is("C:/t"), Ok((SinkFormat::Token, "C:/t".into())));
        assert!(is("token:").is_err());
    }

    #[test]
    fn a_host_is_an_origin() {
        assert_eq!(origin("https://API.example.com/").as_deref(), Ok("https://api.example.com"));
        assert_eq!(origin("http://127.0.0.1:3000").as_deref(), Ok("http://127.0.0.1:3000"));
        for wrong in
            ["api.example.com", "https://a.example/v1", "https://a.example?x", "http://a.example", ""]
        {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
