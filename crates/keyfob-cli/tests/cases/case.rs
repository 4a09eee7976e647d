//! A case as it is written: `tests/cases/<name>/case.toml`.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    #[serde(skip)]
    pub(crate) name: String,
    /// What it shows, in a sentence.
    pub(crate) about: String,
    /// The variables, or places in an order, it is about.
    #[serde(default)]
    pub(crate) covers: Vec<String>,
    /// Whether it is about a value that must be refused.
    #[serde(default)]
    pub(crate) malformed: bool,
    /// Whether the environment names the case's provider as the local one.
    #[serde(default = "yes")]
    pub(crate) local: bool,
    /// Secrets by name, and what each is.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, Kind>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) descriptors: BTreeMap<String, Descriptor>,
    /// Below the home directory. What ends in `.sh` may be run.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    #[serde(default, rename = "run")]
    pub(crate) runs: Vec<Run>,
    /// Everything the provider is asked, as `METHOD path status credentials`, in order. Not there: it does not matter.
    pub(crate) traffic: Option<Vec<String>>,
    /// Paths nobody may ask for.
    #[serde(default)]
    pub(crate) never: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A good access token of an account of its own.
    Access,
    /// A good refresh token of an account of its own.
    Refresh,
    /// A good API key of an account of its own.
    ApiKey,
    /// A text the provider does not know.
    Invented,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Descriptor {
    pub(crate) kind: Opened,
    #[serde(default)]
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Opened {
    File,
    Pipe,
    Socket,
    /// A pipe whose writer takes its time to begin.
    Late,
    /// A pipe whose writer writes an octet at a time.
    Slow,
    /// A pipe whose writer never says anything.
    Mute,
    WriteOnly,
    Directory,
    Closed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) words: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) stdin: String,
    /// Whether somebody opens the address it prints.
    #[serde(default)]
    pub(crate) browse: bool,
    /// How many of these run at once.
    #[serde(default = "one")]
    pub(crate) times: usize,
    #[serde(default)]
    pub(crate) code: i32,
    /// Parts of stdout.
    #[serde(default)]
    pub(crate) out: Vec<String>,
    /// Parts of stderr.
    #[serde(default)]
    pub(crate) err: Vec<String>,
    /// What stands where in the JSON on stdout: `winner.source`, `considered[login].outcome`.
    #[serde(default)]
    pub(crate) json: BTreeMap<String, toml::Value>,
    /// The secrets this run prints on purpose; `*` for one that was minted meanwhile.
    #[serde(default)]
    pub(crate) prints: Vec<String>,
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

/// Every case there is, by name.
pub(crate) fn all() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases");
    let mut cases = Vec::new();
    for entry in fs::read_dir(&dir).expect("the directory of the cases") {
        let path = entry.expect("an entry").path();
        if !path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(path.join("case.toml")).expect("a case has a case.toml");
        let case: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        cases.push(Case { name, ..case });
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}
