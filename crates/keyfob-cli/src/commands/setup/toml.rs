//! TOML files of other tools: read with their comments, and written again as they were but for what was meant.

use std::path::Path;

use keyfob::Error;
use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::tool;

/// The document of a text.
pub(super) fn read(file: &Path, text: Option<&str>) -> Result<DocumentMut, Error> {
    let text = text.unwrap_or_default();
    text.parse().map_err(|error: toml_edit::TomlError| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        tool::odd(file, text.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1, "it is not TOML")
    })
}

/// The text of a document, with the ends of lines that it had. `None`: nothing is in it.
pub(super) fn written(document: &DocumentMut, old: Option<&str>) -> Option<String> {
    let text = document.to_string();
    if text.trim().is_empty() {
        return None;
    }
    let crlf = old.is_some_and(|old| old.contains("\r\n")) && !text.contains("\r\n");
    Some(if crlf { text.replace('\n', "\r\n") } else { text })
}

/// A table of tables, made where there is none, without a heading of its own.
pub(super) fn tables<'d>(document: &'d mut DocumentMut, name: &str) -> Option<&'d mut dyn TableLike> {
    let all = document.entry(name).or_insert_with(|| {
        let mut all = Table::new();
        all.set_implicit(true);
        Item::Table(all)
    });
    all.as_table_like_mut()
}

/// The words of a string or of an array of them.
pub(super) fn words(item: Option<&Item>) -> Vec<&str> {
    match item.and_then(Item::as_value) {
        Some(Value::String(text)) => vec![text.value()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Gives the heading of a new table the comment that says whose it is, and a blank line above where something is.
pub(super) fn sign(table: &mut Table, tool: &str, is_first: bool) {
    let above = if is_first { "" } else { "\n" };
    table.decor_mut().set_prefix(format!("{above}{}\n", note(tool)));
}

/// Whether the table was signed.
pub(super) fn is_signed(item: &Item, tool: &str) -> bool {
    let prefix = item.as_table().and_then(|table| table.decor().prefix()).and_then(|raw| raw.as_str());
    prefix.is_some_and(|prefix| prefix.trim() == note(tool))
}

fn note(tool: &str) -> String {
    super::block::note(tool)
}
