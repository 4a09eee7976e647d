//! The request log, without secrets: one line per request, in memory and in a file.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use serde::Serialize;

/// How many requests are kept in memory.
pub const REMEMBERED_REQUESTS: usize = 100_000;

/// One request, as it is logged. It never holds a token, a code, a secret or a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LoggedRequest {
    /// Unix milliseconds by the server's own clock, turned hands included.
    pub time: u64,
    /// The HTTP method.
    pub method: String,
    /// The path without query; long segments and tokens in it are shown as `…`.
    pub path: String,
    /// The status that was answered; 0 = the connection was closed without one.
    pub status: u16,
    /// The client, when it is a registered one.
    pub client_id: Option<String>,
    /// The grant type of a token request; `other` for one that this server does not know.
    pub grant_type: Option<String>,
    /// What became of it: `ok`, an OAuth error, or a more exact word such as `rotated`, `reuse-detected`,
    /// `fault:drop-after`.
    pub outcome: String,
    /// The public random id of the sign-in the request belongs to.
    pub family: Option<String>,
    /// The kinds of credential it brought: `bearer`, `api-key`, `device`, `basic`, `assertion`.
    pub credential: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<LoggedRequest>,
    file: Option<File>,
}

impl Log {
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = path.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
        Ok(Self { entries: VecDeque::new(), file })
    }

    pub(crate) fn write(&mut self, entry: LoggedRequest) {
        if let Some(file) = &mut self.file
            && let Ok(mut line) = serde_json::to_vec(&entry)
        {
            line.push(b'\n');
            // One write per line, so that readers never see half of one. A full disk must not stop the server.
            let _ = file.write_all(&line);
        }
        if self.entries.len() == REMEMBERED_REQUESTS {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn entries(&self) -> Vec<LoggedRequest> {
        self.entries.iter().cloned().collect()
    }
}

/// A path that is safe to log: a client may have put a token into it.
pub(crate) fn shown_path(path: &str) -> String {
    let segments = path.split('/').take(12).map(|segment| {
        let plain =
            segment.len() <= 48 && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if plain && !segment.starts_with("kdev-") { segment } else { "…" }
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_a_path_is_not_shown() {
        assert_eq!(shown_path("/v1/whoami"), "/v1/whoami");
        assert_eq!(shown_path("/x/kdev-at-abc"), "/x/…");
        assert_eq!(shown_path(&format!("/{}", "a".repeat(49))), "/…");
    }
}
