//! Hints about the configuration file.

use std::path::Path;

use keyfob::internals::core::Cause;

use super::{
    choice::Choice,
    situation::Situation,
    words::{homely, list, nearest},
};

pub(super) fn choose(cause: &Cause, situation: &Situation) -> Option<Choice> {
    let at = |path: &str, line: u64| format!("{}, line {line}", homely(Path::new(path)));
    Some(match cause {
        Cause::ConfigSyntax { path, line } => {
            format!("correct {}; `keyfob man config` shows a whole file", at(path, *line)).into()
        }
        Cause::ConfigKeyUnknown { nearest: Some(nearest), .. } => {
            format!("if you meant `{nearest}`, write that; `keyfob man config` lists every key").into()
        }
        Cause::ConfigKeyUnknown { path, line, .. } => {
            format!("remove {}; `keyfob man config` lists every key", at(path, *line)).into()
        }
        Cause::ConfigKeyMisplaced { place, .. } => {
            format!("move it {place}; `keyfob man config` lists every key").into()
        }
        Cause::KeyRenamed { line, now } => format!("write `{now}` in place of `{line}`").into(),
        Cause::ConfigValue { path, line, .. } => {
            format!("correct {}; `keyfob man config` lists every key", at(path, *line)).into()
        }
        Cause::ConfigIsALink { path } => {
            format!("put those lines into {} yourself", homely(Path::new(path))).into()
        }
        Cause::SameDescriptor { .. } => "give each credential a descriptor of its own".into(),
        Cause::EnvironmentNotFound { name, known } => {
            let built_in = ["production", "staging", "local"];
            match nearest(name, known.iter().map(String::as_str).chain(built_in)) {
                Some(meant) => format!("if you meant `{meant}`, say so").into(),
                None if known.is_empty() => {
                    format!("set it up: `keyfob init {name}`, or choose one of {}", list(built_in)).into()
                }
                None => format!(
                    "choose one of {}, or set it up: `keyfob init {name}`",
                    list(known.iter().map(String::as_str).chain(built_in))
                )
                .into(),
            }
        }
        Cause::EnvironmentLacks { environment, key } => {
            format!("set {key} of {}; see `keyfob man config`", situation.section(environment)).into()
        }
        _ => return None,
    })
}
