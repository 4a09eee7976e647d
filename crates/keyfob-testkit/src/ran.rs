//! The result of a run of the command.

use std::process::Output;

use serde_json::Value;

/// The result of a run.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output, without the final newline.
    pub out: String,
    /// Standard error likewise, and without `waits`.
    pub err: String,
    /// The lines of standard error that say what has been waited for, for more than a second. On a busy machine there may
    /// be some in every run.
    pub waits: Vec<String>,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let (waits, err) = without_waits(&output.stderr);
        Self { code: output.status.code(), out: text(&output.stdout), err: err.trim_end().to_owned(), waits }
    }
}

/// What a run said, told apart: the waits that it reported, and the rest.
#[must_use]
pub fn without_waits(stderr: &[u8]) -> (Vec<String>, String) {
    let (mut waits, mut rest) = (Vec::new(), String::new());
    for line in String::from_utf8_lossy(stderr).split_inclusive('\n') {
        match line.trim_end() {
            wait if wait.starts_with("Waiting for ") && wait.ends_with(" ...") => waits.push(wait.to_owned()),
            _ => rest.push_str(line),
        }
    }
    (waits, rest)
}

impl Ran {
    /// The answer of a run that must have succeeded.
    #[track_caller]
    pub fn answer(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        &self.out
    }

    /// Checks that a `--json` run failed like this.
    #[track_caller]
    pub fn failed(&self, code: i32, id: &str) -> &Self {
        let answer: Value = serde_json::from_str(&self.out).unwrap_or_default();
        assert_eq!((self.code, answer["error"]["id"].as_str()), (Some(code), Some(id)), "{self:?}");
        self
    }

    /// Checks that a `--json` run failed with this id, because of this.
    #[track_caller]
    pub fn because(&self, id: &str, cause: &str) -> &Self {
        let answer: Value = serde_json::from_str(&self.out).unwrap_or_default();
        let error = &answer["error"];
        assert_eq!((error["id"].as_str(), error["cause"].as_str()), (Some(id), Some(cause)), "{self:?}");
        self
    }
}
