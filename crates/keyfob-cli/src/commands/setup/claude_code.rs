//! `keyfob setup claude-code`: the `apiKeyHelper` in the person's settings of Claude Code, a line that it gives to a shell.

use std::path::{Path, PathBuf};

use keyfob::{Error, internals::core::contract::names};
use serde_json::Value;

use super::{
    hosts::Hosts,
    json,
    place::command,
    tool::{self, Tool, chosen},
};
use crate::{
    advice::quoted,
    args::{Global, SetupFile},
};

pub(super) struct ClaudeCode<'a> {
    pub(super) global: &'a Global,
    pub(super) args: &'a SetupFile,
}

const KEY: &str = "apiKeyHelper";
const BASE: &str = "ANTHROPIC_BASE_URL";
/// Where it asks if nothing else is said.
const API: &str = "https://api.anthropic.com";

impl Tool for ClaudeCode<'_> {
    fn name(&self) -> &'static str {
        "claude-code"
    }

    fn file(&self) -> Result<PathBuf, Error> {
        let variable = Some((names::SETTINGS_DIR, "settings.json"));
        tool::file(self.args.file.as_ref(), "claude-code", variable, ".claude/settings.json")
    }

    fn shares_lines(&self) -> bool {
        true
    }

    fn change(&self, file: &Path, text: Option<&str>, undo: bool) -> Result<Option<String>, Error> {
        let odd = |odd: json::Odd| tool::odd(file, odd.line, &odd.why);
        let there = json::get(text, &[KEY]).map_err(odd)?;
        let is_own = there.as_ref().and_then(Value::as_str).is_some_and(is_ours);
        if undo {
            let Some(text) = text.filter(|_| is_own) else { return Ok(text.map(str::to_owned)) };
            let left = json::remove(text, &[KEY]).map_err(odd)?;
            return Ok(Some(left).filter(|left| !json::is_bare(left)));
        }
        if there.is_some() && !is_own {
            return Err(tool::taken(file, &format!("its `{KEY}` is another program")));
        }
        let base = json::get(text, &["env", BASE]).map_err(odd)?;
        Hosts::of(self.global)?.one(base.as_ref().and_then(Value::as_str).unwrap_or(API))?;
        let line = self.line()?;
        if there.as_ref().and_then(Value::as_str) == Some(&line) {
            return Ok(text.map(str::to_owned));
        }
        json::set(text, &[KEY], &line).map(Some).map_err(odd)
    }

    fn part(&self) -> Result<String, Error> {
        Ok(serde_json::json!({ KEY: self.line()? }).to_string())
    }

    fn next(&self, undo: bool) -> Vec<String> {
        if undo {
            return Vec::new();
        }
        vec![format!(
            "Claude Code runs that when it starts, and again every five minutes and after a 401 ({BASE} says for whom)."
        )]
    }
}

impl ClaudeCode<'_> {
    /// The helper is told by a variable alone whom Claude Code asks: `--for` gives nothing to a host that is none of the
    /// environment's.
    fn line(&self) -> Result<String, Error> {
        let mut words = vec![command()];
        words.extend(chosen(self.global)?);
        words.push("token".into());
        let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        Ok(format!("{} --for \"${{{BASE}:-{API}}}\"", words.join(" ")))
    }
}

fn is_ours(line: &str) -> bool {
    line.contains("keyfob") && line.contains(" token --for ")
}
