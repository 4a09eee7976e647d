//! The words the command understands.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Parser, Subcommand, ValueEnum};
use keyfob::{Source, core::record::Generation};

/// Signs a person or a machine in once and hands every program a valid credential.
#[derive(Debug, Parser)]
#[command(name = "keyfob", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "Examples:
  keyfob login                       sign in through the browser
  keyfob exec -- my-agent            run a program with the credential on a pipe
  curl -H \"$(keyfob header)\" URL     one request
  keyfob status                      who am I, with what, until when

Exit codes: 0 done, 1 not signed in (status), 2 usage, 3 a variable or file, 4 sign-in needed,
5 refused by the provider, 6 unreachable, 7 store, 70 bug")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "For every command")]
pub(crate) struct Global {
    /// Use this directory for configuration and logins (also KEYFOB_HOME)
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Use this login; inherited OAuth tokens then do not count (also KEYFOB_PROFILE)
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Use this configured environment (also KEYFOB_ENVIRONMENT)
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// Approve the custom OAuth URLs this file lists
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) approved: Option<PathBuf>,
    /// Use this source or fail, never another one
    #[arg(long, global = true, value_name = "SOURCE", value_parser = source)]
    pub(crate) only: Option<Source>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

fn source(text: &str) -> Result<Source, String> {
    let all = || Source::ALL.map(Source::name).join(", ");
    text.parse().map_err(|()| format!("the sources are {}", all()))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in
    Login(Login),
    /// Revoke the login and remove it from this machine
    Logout(Logout),
    /// Print a valid access token
    Token(Token),
    /// Print the header to send, one `Name: value` a line
    Header(Header),
    /// Run a program with the credential, and without the others in its environment
    Exec(Exec),
    /// Say who is signed in, with what, until when, and what would win
    Status(Status),
    /// Say what each variable of the contract does now
    Env(Env),
    /// Mint a token that lasts, for CI and other machines
    SetupToken(SetupToken),
    /// Look for everything that could keep a login from working
    Doctor(Doctor),
    /// List the logins of this machine, or choose the one that counts when none is named
    Profiles(Profiles),
    /// Make this machine a trusted device of the account, or no longer
    Device(Device),
    /// Open a WebSocket to the session endpoint: lines in, lines out
    Connect(Connect),
    /// Run a provider to develop against, on loopback
    DevServer(DevServer),
    /// Show the whole way on a provider of its own: sign in, hand over, renew, sign out
    Demo(Demo),
    /// Print completions for a shell, or put them where it looks for them
    #[command(after_help = "Examples:
  keyfob completions bash --install     says where it put them
  keyfob completions zsh > _keyfob      for a place of your own")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
        /// Write them into your own data directory instead of printing them
        #[arg(long)]
        install: bool,
    },
    /// Print the manual page, or write all of them into a directory
    #[command(after_help = "Examples:
  keyfob man --install                  then: man keyfob, man keyfob-login
  keyfob man --out DIR                  one page for each command
  keyfob man --errors                   every error id, and what to do")]
    Man {
        /// Write one page for each command here
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Write them into your own data directory, where man looks for them
        #[arg(long, conflicts_with = "out")]
        install: bool,
        /// Print the page of error ids instead
        #[arg(long, conflicts_with_all = ["out", "install"])]
        errors: bool,
    },
    /// Open an address in the browser, for `login`
    #[command(hide = true)]
    Browse {
        /// The address
        url: String,
    },
    /// Send what a run counted
    #[command(hide = true)]
    ExportMetrics {
        /// This is the process that sends
        #[arg(long)]
        detached: bool,
    },
    /// Ask the provider who it sees, for `demo`
    #[command(hide = true)]
    Whoami {
        /// The provider's base
        base: String,
    },
}

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

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob token                                 the token, alone on a line
  keyfob token --min-valid 600                 good for at least ten minutes, where it can be renewed
  keyfob token --json                          with expiry, login, generation and source
  keyfob token --rejected LOGIN:GENERATION     after a 401: renews only if that is still the newest
  git -c credential.helper='!keyfob token --format git-credential #' fetch")]
pub(crate) struct Token {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Print it as another tool reads it
    #[arg(long, value_name = "TOOL", conflicts_with = "json")]
    pub(crate) format: Option<Format>,
}

/// Who reads the token.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// A git credential helper's answer
    GitCredential,
    /// An ExecCredential for kubectl
    Kubernetes,
    /// JSON in the manner of an AWS credential process
    AwsProcess,
    /// `NAME=value`, for files of variables
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

impl FromStr for Rejected {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(fingerprint) = text.strip_prefix("api-key-helper:") else {
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
    /// Renew unless it is good for so many seconds more
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=31_536_000))]
    pub(crate) min_valid: i64,
    /// After a 401: the login and generation that were rejected, or api-key-helper and the key's
    /// fingerprint, as `token --json` names them
    #[arg(long, value_name = "LOGIN:GENERATION")]
    pub(crate) rejected: Option<Rejected>,
    /// For a remote connection (WebSocket) instead of the API
    #[arg(long)]
    pub(crate) remote: bool,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  curl -H \"$(keyfob header)\" URL   one request
  keyfob header --min-valid 600     for a request that takes long")]
pub(crate) struct Header {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  keyfob exec -- my-agent --task 7         the token on a pipe, named by CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR
  keyfob exec --env API_TOKEN -- my-tool   the token in a variable of this name

The program takes keyfob's place: its exit code and signals are its own. A program that runs longer than
the token asks `keyfob token` again.")]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Hand it over in this variable instead of a pipe
    #[arg(long, value_name = "NAME", value_parser = variable)]
    pub(crate) env: Option<String>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

fn variable(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(fits) {
        return Err("a variable's name has letters, digits and _, and does not begin with a digit");
    }
    Ok(text.to_owned())
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob status              what wins, until when, and what it shadows
  keyfob status --verify     also asks the provider whether it accepts the credential
  keyfob status --json       for scripts; exit code 1: not signed in")]
pub(crate) struct Status {
    /// Say what a remote connection (WebSocket) would use instead of the API
    #[arg(long)]
    pub(crate) remote: bool,
    /// Ask the provider whether it accepts the credential
    #[arg(long)]
    pub(crate) verify: bool,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob env            every variable: set, unset or wrong, and what it does now
  keyfob env --json     the same for scripts, without any secret")]
pub(crate) struct Env {
    /// Print the reference page
    #[arg(long)]
    pub(crate) markdown: bool,
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

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob doctor          variables, store, locks, provider, clock, sources
  keyfob doctor --fix    mends permissions and what an interrupted renewal left")]
pub(crate) struct Doctor {
    /// Mend permissions and what an interrupted renewal left behind
    #[arg(long)]
    pub(crate) fix: bool,
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

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob connect                         to the session endpoint of the environment
  keyfob connect wss://api.example.com/v1/session/ws
                                         to another address on the environment's own origin

Lines of standard input are sent as text frames, text frames are printed as lines.
When the provider closes for an expired credential it is renewed and the connection opened again.")]
pub(crate) struct Connect {
    /// Another address on the environment's own origin
    pub(crate) url: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  keyfob dev-server                              on port 3000, where USE_LOCAL_OAUTH=1 looks
  keyfob dev-server --port 0 --auto-approve      its base URL is the first line of stdout
  keyfob dev-server --fault 503=2                the next two renewals fail
  keyfob dev-server --access-token-ttl 60 --log requests.jsonl")]
pub(crate) struct DevServer {
    /// Listen on this port; 0 lets the system choose
    #[arg(long, value_name = "N", default_value_t = 3000)]
    pub(crate) port: u16,
    /// Answer the sign-in page automatically
    #[arg(long)]
    pub(crate) auto_approve: bool,
    /// Ask every machine that somebody signs in on to become a trusted device
    #[arg(long)]
    pub(crate) require_device: bool,
    /// Lifetime of access tokens
    #[arg(long, value_name = "SECONDS")]
    pub(crate) access_token_ttl: Option<u64>,
    /// Wait before every answer
    #[arg(long, value_name = "MS")]
    pub(crate) latency: Option<u64>,
    /// Accept a just-rotated refresh token once more for so long
    #[arg(long, value_name = "SECONDS")]
    pub(crate) reuse_grace: Option<u64>,
    /// Plan a fault, so many times or for ever
    #[arg(long, value_name = "KIND[=COUNT]")]
    pub(crate) fault: Vec<String>,
    /// Know this client; with a secret it is confidential
    #[arg(long, value_name = "ID[:SECRET]")]
    pub(crate) client: Vec<String>,
    /// Append one JSON line for every request
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// Keep logins in this file across restarts
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob demo          sign in yourself
  keyfob demo --yes    the page is answered automatically")]
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
        let pages = [
            include_str!("../../../README.md"),
            include_str!("../../../docs/guide.md"),
            include_str!("../../../docs/wire.md"),
        ];
        let shell =
            pages.iter().flat_map(|page| page.split("```")).filter_map(|block| block.strip_prefix("sh\n"));
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
            let end = word.find([')', '"']);
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
