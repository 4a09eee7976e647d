//! The format of a `case.toml`. `tests/cases/README.md` explains it to authors.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// One directory: one test.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Case {
    /// The directory's name.
    #[serde(skip)]
    pub(crate) name: String,
    /// Its subject, in one sentence.
    pub(crate) about: String,
    /// The variables it is about.
    #[serde(default)]
    pub(crate) covers: Vec<String>,
    /// Every run must exit 3 and name each covered variable, and must not prompt.
    #[serde(default)]
    pub(crate) malformed: bool,
    /// Two neighbours of an order, of which the first wins.
    pub(crate) pair: Option<Pair>,
    /// Takes seconds of waiting: begun first.
    #[serde(default)]
    pub(crate) slow: bool,
    /// Why it cannot be played at a provider that demands what the vendor's does.
    pub(crate) not_at_the_vendors: Option<String>,
    #[serde(default)]
    pub(crate) provider: Provider,
    #[serde(default)]
    pub(crate) given: Given,
    /// Variables of every run. An empty text sets a variable to the empty text.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) descriptor: Vec<Descriptor>,
    pub(crate) run: Vec<Run>,
}

impl Case {
    /// Whether anything in it is asked of a provider.
    pub(crate) fn asks(&self) -> bool {
        let asks = |run: &Run| !run.traffic.is_empty() || run.whoami.is_some();
        !self.malformed
            && self.not_at_the_vendors.is_none()
            && (self.given.signed_in.is_some() || self.run.iter().any(asks))
    }
}

/// One step of an order.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pair {
    /// `api`, `api-oauth` (the same with `prefer = "oauth"`) or `remote`.
    pub(crate) order: String,
    pub(crate) wins: String,
    pub(crate) over: String,
}

impl Pair {
    /// The run every such case begins with: `status` reports the winning source and the shadowed ones, without
    /// prompting.
    fn status(&self) -> Run {
        let Self { order, wins, over } = self;
        let remote = if order == "remote" { ", \"--remote\"" } else { "" };
        let run = format!(
            r#"
            args = ["status", "--json"{remote}]
            json."winner.source" = "{wins}"
            json."considered.{wins}.outcome" = "here"
            json."considered.{over}.outcome" = "shadowed"
            "#
        );
        toml::from_str(&run).expect("a run")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Provider {
    pub(crate) access_token_ttl: Option<u64>,
    pub(crate) clients: Vec<String>,
    pub(crate) faults: Vec<String>,
}

/// The files that exist before the first run.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Given {
    /// Who has signed in, through the real command.
    pub(crate) signed_in: Option<String>,
    /// Nothing chooses the local provider.
    pub(crate) bare: bool,
    /// `config.toml`.
    pub(crate) config: Option<String>,
    /// Further files, by their path below the home.
    pub(crate) files: BTreeMap<String, String>,
}

/// A descriptor the command inherits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Descriptor {
    pub(crate) number: u32,
    pub(crate) kind: DescriptorKind,
    #[serde(default)]
    pub(crate) content: String,
    /// Fills up with `x` to this size.
    #[serde(default)]
    pub(crate) size: usize,
    /// Where a file's offset stands. It must stand there afterwards, too.
    #[serde(default)]
    pub(crate) offset: u64,
    /// For `path`.
    #[serde(default)]
    pub(crate) path: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DescriptorKind {
    /// The whole content is in a pipe, and the writer has gone.
    Pipe,
    /// Likewise a socket.
    Socket,
    /// A separate regular file.
    File,
    /// The existing file `path`.
    Path,
    /// A pipe whose writer comes after 300 ms.
    Late,
    /// A pipe whose writer writes in pieces.
    Slow,
    /// A pipe whose writer never writes and never goes.
    Silent,
    /// The writing end of a pipe.
    WriteOnly,
    /// A directory.
    Directory,
    /// Nothing at all.
    Closed,
}

/// One command, and everything it must and must not do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Run {
    /// The words after `keyfob`.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// A script for `sh` instead.
    pub(crate) shell: Option<String>,
    #[serde(default)]
    pub(crate) stdin: String,
    /// Variables of this run, over the case's.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Variables this run does not have.
    #[serde(default)]
    pub(crate) unset: Vec<String>,
    /// Whether it inherits the case's descriptors.
    #[serde(default = "yes")]
    pub(crate) descriptors: bool,
    /// Turns the provider's clock by so many seconds first.
    #[serde(default)]
    pub(crate) advance: i64,
    /// The stored access tokens have expired by this machine's clock.
    #[serde(default)]
    pub(crate) expire: bool,
    /// Follows the address the command prints, as a browser would.
    #[serde(default)]
    pub(crate) follow: bool,
    /// So many processes, of which `at-once` run at the same time. All of them must do the same.
    #[serde(default = "one")]
    pub(crate) times: usize,
    #[serde(default = "one")]
    pub(crate) at_once: usize,

    #[serde(default)]
    pub(crate) code: i32,
    /// Standard output, without the final newline.
    pub(crate) out: Option<String>,
    #[serde(default)]
    pub(crate) out_has: Vec<String>,
    #[serde(default)]
    pub(crate) out_lacks: Vec<String>,
    /// Standard error, likewise.
    pub(crate) err: Option<String>,
    #[serde(default)]
    pub(crate) err_has: Vec<String>,
    #[serde(default)]
    pub(crate) err_lacks: Vec<String>,
    /// Members of the JSON on standard output, by their path. A list's element goes by its index, `source` or `name`.
    #[serde(default)]
    pub(crate) json: BTreeMap<String, toml::Value>,
    /// Sends the headers on standard output to the provider, which must answer this.
    pub(crate) whoami: Option<Whoami>,
    /// Exactly these requests, in this order. None, unless said.
    #[serde(default)]
    pub(crate) traffic: Vec<String>,
    /// Files below the home, with their content.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// The files that must not be below the home.
    #[serde(default)]
    pub(crate) absent: Vec<String>,
    /// Keeps standard output for `{saved:NAME}`.
    pub(crate) save: Option<String>,
    /// Whether a credential may be on standard output. Known for `token`, `header` and `setup-token`.
    pub(crate) tells_secrets: Option<bool>,
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

impl Run {
    pub(crate) fn tells_secrets(&self) -> bool {
        let command = self.args.iter().find(|word| !word.starts_with('-')).map(String::as_str);
        let meant = matches!(command, Some("token" | "header" | "setup-token"));
        self.tells_secrets.unwrap_or(meant)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Whoami {
    #[serde(default = "ok")]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) credential: Vec<String>,
    pub(crate) account: Option<String>,
}

fn ok() -> u16 {
    200
}

/// Where the cases are.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// Every case, in the order of their names. One that cannot be read fails here, by its name.
pub(crate) fn all() -> Vec<Case> {
    let entries =
        fs::read_dir(directory()).expect("tests/cases").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Case {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    let text = fs::read_to_string(path.join("case.toml")).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut case: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}/case.toml: {error}"));
    assert!(!case.run.is_empty(), "{name}: a case without a run shows nothing");
    if let Some(pair) = &case.pair {
        case.run.insert(0, pair.status());
    }
    Case { name, ..case }
}
