//! Command-line arguments.

#[cfg(feature = "serve")]
mod agent;
mod credential_helper;
mod credentials;
mod init;
mod inspect;
mod logins;
#[cfg(feature = "serve")]
mod proxy;
mod serve;
mod setup;
mod time;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use keyfob::Source;

#[cfg(feature = "serve")]
pub(crate) use self::{
    agent::{Agent, AgentCommand, AgentStatus, Kept},
    proxy::{Listen, Proxy, ProxyCommand, ProxyStatus, Scrub, Through},
};
pub(crate) use self::{
    credential_helper::{CredentialHelper, HelperTool, NAMES, by_name},
    credentials::{Exec, Format, HELPER_KEY, Header, HeaderFormat, Rejected, Token, Wanted},
    init::{Init, Provider},
    inspect::Inspect,
    logins::{
        Device, DeviceCommand, Login, Logout, Profiles, ProfilesCommand, SetupToken, SetupTokenCommand,
        Switch, TokenKind,
    },
    serve::Serve,
    setup::{
        How, Kubernetes, Setup, SetupAws, SetupAzure, SetupCargo, SetupCodex, SetupFile, SetupHosts,
        SetupPnpm, SetupTool,
    },
};

/// Signs a person or a machine in once and hands every program a valid credential.
#[derive(Debug, Parser)]
#[command(
    name = "keyfob",
    bin_name = "keyfob",
    version,
    disable_help_subcommand = true,
    max_term_width = 100
)]
#[command(after_help = "Examples:
  keyfob init                        set up your provider, and sign in
  keyfob login                       sign in through the browser
  keyfob exec -- my-agent            run a program with the credential on a pipe
  keyfob header | curl -H @- URL     one request
  keyfob status                      the account, the credential and its expiry

Exit codes: 0 done, 1 not signed in (status, whoami), 2 usage, 3 a variable or file,
4 sign-in needed, 5 refused by the provider, 6 unreachable, 7 store, 70 bug")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    /// Without one, the help is shown.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The name of a command, if this word is one: the first such word of a command line is what was typed.
pub(crate) fn command_name(word: &std::ffi::OsStr) -> Option<String> {
    let word = word.to_str()?;
    <Arguments as clap::CommandFactory>::command()
        .find_subcommand(word)
        .map(|found| found.get_name().to_owned())
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "For every command")]
pub(crate) struct Global {
    /// Use this directory for configuration and logins (also KEYFOB_HOME)
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Use this login and no other credential (also KEYFOB_PROFILE)
    #[arg(long, global = true, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// Use this configured environment (also KEYFOB_ENVIRONMENT)
    #[arg(long, global = true, value_name = "ENVIRONMENT")]
    pub(crate) environment: Option<String>,
    /// Approve the custom OAuth URLs listed in this file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) approved: Option<PathBuf>,
    /// Use this source or fail; never use another
    #[arg(long, global = true, value_name = "SOURCE")]
    pub(crate) only: Option<Source>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set up a provider: write it into the configuration, and sign in
    Init(Init),
    /// Sign in
    Login(Login),
    /// Revoke the login and remove it from this machine
    Logout(Logout),
    /// Print a valid access token
    Token(Token),
    /// Print the headers to send, one `Name: value` per line
    Header(Header),
    /// Run a program with the credential on a pipe, and with no other one of the contract
    Exec(Exec),
    /// Answer git, docker, cargo and other tools in their own protocol
    CredentialHelper(CredentialHelper),
    /// Answer a program that asks line by line: what the packages for Python, Node, Go and Ruby run
    Serve(Serve),
    /// Show who is signed in, with what and until when
    Status(Status),
    /// Show the effect of each variable of the contract
    Env(Env),
    /// Set keyfob up in another tool, or take it out again
    Setup(Setup),
    /// Create a long-lived token, for CI and other machines
    SetupToken(SetupToken),
    /// Check everything that could keep a login from working
    Doctor(Doctor),
    /// Show what a token says of itself, and who vouches for it
    Inspect(Inspect),
    /// Show the account, in one line
    #[command(after_help = "Examples:
  keyfob whoami            the account, its profile and environment
  keyfob whoami --json     for scripts

Exit code: as of `keyfob status`.")]
    Whoami,
    /// List the logins of this machine; choose, rename or remove a profile
    Profiles(Profiles),
    /// Make another profile the one that counts
    Switch(Switch),
    /// Enrol this machine as a trusted device of the account, or remove it
    Device(Device),
    /// Open a WebSocket to the session endpoint; sends and prints lines
    Connect(Connect),
    /// Run the agent: it hands out the login's access tokens over a unix socket
    #[cfg(feature = "serve")]
    Agent(Agent),
    /// Run the proxy: it adds the login's access token to requests for one origin
    #[cfg(feature = "serve")]
    Proxy(Proxy),
    /// Run a development provider on loopback
    #[cfg(feature = "dev-server")]
    DevServer(DevServer),
    /// Run an end-to-end demo against a built-in provider: sign in, hand over, renew, sign out
    #[cfg(feature = "dev-server")]
    Demo(Demo),
    /// Print completions for a shell, or install them
    #[command(after_help = "Examples:
  keyfob completions bash --install     installs them and prints where
  keyfob completions bash --uninstall   removes them again
  keyfob completions zsh > _keyfob      to install them yourself")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
        /// Install them in your data directory instead of printing them
        #[arg(long)]
        install: bool,
        /// Remove what --install wrote
        #[arg(long, conflicts_with = "install")]
        uninstall: bool,
    },
    /// Show a page of the manual, or install all of them
    Man(Man),
    /// Show the help of a command
    #[command(after_help = "Examples:
  keyfob help                the commands
  keyfob help profiles use   one of them")]
    Help {
        /// The command
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Show the version
    #[command(after_help = "Example:\n  keyfob version")]
    Version,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob man                            the page of keyfob itself
  keyfob man config                     the configuration file; also environment and errors
  keyfob man profiles use               the page of a command
  keyfob man --install                  then: man keyfob, man keyfob-login
  keyfob man --uninstall                removes them again
  keyfob man --out DIR                  to package them

In a pipe it prints a page as troff, for `man -l -` or `mandoc`.")]
pub(crate) struct Man {
    /// The command or subject; without one, the page of keyfob itself
    #[arg(value_name = "PAGE")]
    pub(crate) page: Vec<String>,
    /// Write every page into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "page")]
    pub(crate) out: Option<PathBuf>,
    /// Install them in your data directory, and say how `man` finds them
    #[arg(long, conflicts_with_all = ["page", "out"])]
    pub(crate) install: bool,
    /// Remove what --install wrote
    #[arg(long, conflicts_with_all = ["page", "out", "install"])]
    pub(crate) uninstall: bool,
    /// Print docs/errors.md
    #[arg(long, hide = true, conflicts_with_all = ["page", "out", "install", "uninstall"])]
    pub(crate) errors: bool,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob status              who, with what and until when, and what will bite
  keyfob status --all        also every source in its order, account, client and scopes
  keyfob status --verify     also asks the provider whether it accepts the credential
  keyfob status --json       for scripts

Exit code: 0 if a program would get a credential, 1 if nobody has signed in, otherwise what `keyfob token` would
end with, such as 4 for a login that has ended. With --verify also 5 if the provider rejects it and 6 if it cannot be
asked. A token that is over cannot be asked about before `keyfob token` has renewed it: \"Not verified\", 0.")]
pub(crate) struct Status {
    /// Show every source in its order and everything known of the login
    #[arg(long)]
    pub(crate) all: bool,
    /// Show what a remote connection (WebSocket) would use instead of the API
    #[arg(long)]
    pub(crate) remote: bool,
    /// Ask the provider whether it accepts the credential
    #[arg(long)]
    pub(crate) verify: bool,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob env            every variable: set, unset or malformed, and its effect
  keyfob env --json     the same for scripts, without any secret")]
pub(crate) struct Env {
    /// Print the reference page
    #[arg(long)]
    pub(crate) markdown: bool,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob doctor          variables, store, locks, provider, clock, sources
  keyfob doctor --fix    repairs permissions and what an interrupted renewal left behind")]
pub(crate) struct Doctor {
    /// Repair permissions and what an interrupted renewal left behind
    #[arg(long)]
    pub(crate) fix: bool,
    /// Run the commands the configuration names (`api_key_helper`, `client_secret_command`) once; at a terminal it is asked
    #[arg(long)]
    pub(crate) run_helper: bool,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob connect                         to the session endpoint of the environment
  keyfob connect wss://api.example.com/v1/session/ws
                                         to another URL on the environment's origin

Lines of standard input are sent as text frames, text frames are printed as lines.
When the provider closes the connection because the credential expired, keyfob renews it and reconnects.")]
pub(crate) struct Connect {
    /// Another URL on the environment's origin
    pub(crate) url: Option<String>,
}

#[cfg(feature = "dev-server")]
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  keyfob dev-server                              on port 3000, which USE_LOCAL_OAUTH=1 uses
  keyfob init --issuer http://localhost:3000 --client-id keyfob-local   signs in there as at your own provider
  keyfob dev-server --port 0 --auto-approve      prints its base URL as the first line
  keyfob dev-server --fault 503=2                the next two renewals fail
  keyfob dev-server --access-token-ttl 60 --log requests.jsonl")]
pub(crate) struct DevServer {
    /// Listen on this port; 0 lets the system choose
    #[arg(long, value_name = "N", default_value_t = 3000)]
    pub(crate) port: u16,
    /// Also listen on this port, as the sign-in page or console of an environment with several hosts
    #[arg(long, value_name = "N")]
    pub(crate) page_port: Vec<u16>,
    /// Answer the sign-in page automatically
    #[arg(long)]
    pub(crate) auto_approve: bool,
    /// Require every machine that signs in to become a trusted device
    #[arg(long)]
    pub(crate) require_device: bool,
    /// Demand what Anthropic's own provider demands: JSON bodies, and the header anthropic-beta
    #[arg(long)]
    pub(crate) vendor: bool,
    /// Lifetime of access tokens
    #[arg(long, value_name = "SECONDS")]
    pub(crate) access_token_ttl: Option<u64>,
    /// Delay every response
    #[arg(long, value_name = "MS")]
    pub(crate) latency: Option<u64>,
    /// Accept a rotated refresh token again for this long
    #[arg(long, value_name = "SECONDS")]
    pub(crate) reuse_grace: Option<u64>,
    /// Inject a fault, COUNT times or always
    #[arg(long, value_name = "KIND[=COUNT]")]
    pub(crate) fault: Vec<String>,
    /// Register this client; with a secret it is confidential
    #[arg(long, value_name = "ID[:SECRET]")]
    pub(crate) client: Vec<String>,
    /// Register this client, which proves itself with the private half of this public key (PEM, JWK or JWK Set)
    #[arg(long, value_name = "ID=FILE")]
    pub(crate) client_key: Vec<String>,
    /// Append one JSON line for every request
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// Keep logins in this file across restarts
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
}

#[cfg(feature = "dev-server")]
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob demo                sign in yourself
  keyfob demo --yes          answers the sign-in page automatically
  keyfob demo --yes --json   says what happened in one object on standard output

It also shows what three programs do to a login that they share without keyfob. Nothing of it
stays, wherever Ctrl-C ends it.

The object of --json: v (1), account, handed_over {status}, renewal {processes, accepted,
requests, generation_before, generation_after}, without_keyfob {clients, renewed, refused,
accepted}, revocation.")]
pub(crate) struct Demo {
    /// Answer the sign-in page automatically
    #[arg(long)]
    pub(crate) yes: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_parser_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// `--help` teaches: every command shows how it is used, and what it shows is understood.
    #[test]
    fn every_command_has_examples_that_parse() {
        fn check(command: &clap::Command, path: &str) -> usize {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = help.split("Example").nth(1).unwrap_or_default();
            let shown: Vec<_> = examples.lines().filter(|line| line.starts_with("  ")).collect();
            let commands: Vec<_> = shown.iter().filter_map(|line| command_in(line)).collect();
            assert!(!commands.is_empty(), "{path} has no example");
            for words in &commands {
                let words: Vec<_> = words.iter().filter(|word| **word != "URL").collect();
                let parsed = Arguments::try_parse_from(&words);
                assert!(parsed.is_ok(), "{path}: {words:?}: {}", parsed.unwrap_err());
            }
            let own = path.rsplit(' ').next().unwrap_or("");
            assert!(commands.iter().any(|words| words.contains(&own)), "{path} shows other commands only");
            let below = command.get_subcommands().filter(|below| !below.is_hide_set());
            commands.len()
                + below.map(|below| check(below, &format!("{path} {}", below.get_name()))).sum::<usize>()
        }
        assert!(check(&Arguments::command(), "keyfob") > 40);
    }

    /// What the pages show in their shell examples, this version understands.
    #[test]
    fn the_pages_show_commands_that_exist() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let listed = [docs.clone(), docs.join("how-to")].map(|dir| std::fs::read_dir(dir).expect("pages"));
        let paths = listed.into_iter().flatten().map(|entry| entry.expect("a page").path());
        let paths = paths.filter(|path| path.extension().is_some_and(|end| end == "md"));
        let pages: Vec<String> = paths
            .chain([docs.join("../README.md")])
            .map(|path| std::fs::read_to_string(path).expect("a page"))
            .collect();
        let blocks = pages.iter().flat_map(|page| page.split("```"));
        let shell = blocks.filter(|block| block.starts_with("sh\n") || block.starts_with("sh "));
        let shell = shell.filter_map(|block| Some(block.split_once('\n')?.1));
        let shown: Vec<_> = shell.flat_map(str::lines).filter_map(command_in).collect();
        assert!(shown.len() > 30, "only {} were found", shown.len());
        for words in shown {
            let parsed = Arguments::try_parse_from(&words);
            assert!(parsed.is_ok(), "{}: {}", words.join(" "), parsed.unwrap_err());
        }
    }

    /// The words of the first keyfob command in a line of shell. What follows two blanks explains it.
    fn command_in(line: &str) -> Option<Vec<&str>> {
        let line = line.trim_start().split("  ").next()?;
        let mut words = line.split_whitespace().skip_while(|word| {
            !word
                .strip_suffix("keyfob")
                .is_some_and(|before| before.is_empty() || before.ends_with(['(', '!']))
        });
        words.next()?;
        let mut command = vec!["keyfob"];
        for word in words {
            if command.last() == Some(&"--rejected") {
                command.push("0123456789abcdef0123456789abcdef:7");
                break;
            }
            if word.contains(['<', '>']) {
                break;
            }
            let end = word.find([')', '"', '\'']);
            match &word[..end.unwrap_or(word.len())] {
                end if end.is_empty() || end.starts_with(['#', '|', '&', '<', '>', ';']) => break,
                word => command.push(word),
            }
            if end.is_some() {
                break;
            }
        }
        Some(command)
    }
}
