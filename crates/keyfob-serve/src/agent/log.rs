//! The access log: one line of JSON for each request. It names whose credential was handed to whom, and holds none.

use std::{
    fs::File,
    io::Write as _,
    sync::{Mutex, PoisonError},
};

use serde::Serialize;

/// Where the lines go.
#[derive(Debug)]
pub(crate) struct Log(Mutex<File>);

/// A request, as it was answered.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) time: String,
    pub(crate) door: &'a str,
    pub(crate) uid: Option<u32>,
    /// `None`: that process has ended, or the system does not say.
    pub(crate) pid: Option<i32>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The origin that headers were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<&'a str>,
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) login: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<u64>,
}

impl Log {
    pub(crate) fn new(file: File) -> Self {
        Self(Mutex::new(file))
    }

    /// Appends a line, in one write. One that cannot be written is no reason to refuse a token.
    pub(crate) fn write(&self, line: &impl Serialize) {
        if let Ok(mut text) = serde_json::to_vec(line) {
            text.push(b'\n');
            let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
        }
    }
}
