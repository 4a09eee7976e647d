//! `keyfob setup terraform`: the credentials helper in the CLI configuration of Terraform and OpenTofu, and the link below
//! their plugins.

use std::path::{Path, PathBuf};

use keyfob::Error;

use super::{
    block::Blocks,
    link::Link,
    place::home,
    tool::{self, Tool, chosen},
};
use crate::args::{Global, SetupFile};

pub(super) struct Terraform<'a> {
    pub(super) global: &'a Global,
    pub(super) args: &'a SetupFile,
}

const BLOCK: &str = "credentials_helper";

const BLOCKS: Blocks = Blocks {
    tool: "terraform",
    own: &|at, line| match at {
        0 => line.starts_with("credentials_helper \"keyfob\" {"),
        1 => line.starts_with("  args = ["),
        _ => at == 2 && line == "}",
    },
    sections: false,
};

impl Tool for Terraform<'_> {
    fn name(&self) -> &'static str {
        "terraform"
    }

    fn file(&self) -> Result<PathBuf, Error> {
        let variable = Some(("TF_CLI_CONFIG_FILE", ""));
        tool::file(self.args.file.as_ref(), "terraform", variable, ".terraformrc")
    }

    /// Terraform looks for it there, and not in PATH.
    fn link(&self) -> Result<Option<Link>, Error> {
        let path = home("terraform")?.join(".terraform.d/plugins/terraform-credentials-keyfob");
        Link::at(path, true).map(Some)
    }

    fn change(&self, file: &Path, text: Option<&str>, undo: bool) -> Result<Option<String>, Error> {
        let rest = text.map(|text| BLOCKS.without(text));
        let blocks = rest.as_deref().map_or(Ok(Vec::new()), top_level);
        let blocks = blocks.map_err(|line| tool::odd(file, line, "a bracket or a quote has no end"))?;
        if undo {
            return Ok(rest.filter(|rest| !rest.is_empty()));
        }
        // Terraform takes one alone.
        if let Some((line, _)) = blocks.iter().find(|(_, name)| name == BLOCK) {
            return Err(tool::taken(file, &format!("line {line} names another credentials helper")));
        }
        Ok(Some(BLOCKS.with(text, &[self.block()?])))
    }

    fn part(&self) -> Result<String, Error> {
        Ok(self.block()?.join("\n"))
    }

    fn next(&self, undo: bool) -> Vec<String> {
        if undo {
            return Vec::new();
        }
        vec!["It answers for the hosts of the environment, for others Terraform goes on without.".into()]
    }
}

impl Terraform<'_> {
    fn block(&self) -> Result<Vec<String>, Error> {
        let words = chosen(self.global)?;
        if words.is_empty() {
            return Ok(vec!["credentials_helper \"keyfob\" {}".into()]);
        }
        // HCL reads a string as JSON does, but for templates.
        let text = |word: &String| {
            serde_json::Value::from(word.as_str()).to_string().replace("${", "$${").replace("%{", "%%{")
        };
        let words: Vec<_> = words.iter().map(text).collect();
        Ok(vec![
            "credentials_helper \"keyfob\" {".into(),
            format!("  args = [{}]", words.join(", ")),
            "}".into(),
        ])
    }
}

/// The first word of each line that is in no block, with its number. An error is the line that is not closed.
fn top_level(text: &str) -> Result<Vec<(usize, String)>, usize> {
    let (mut found, mut open, mut comment) = (Vec::new(), Vec::new(), false);
    for (at, line) in text.lines().enumerate() {
        if open.is_empty() && !comment {
            let word: String =
                line.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
            found.push((at + 1, word));
        }
        let (mut quoted, mut letters) = (false, line.chars().peekable());
        while let Some(letter) = letters.next() {
            let next = letters.peek().copied();
            match letter {
                '*' if comment && next == Some('/') => {
                    letters.next();
                    comment = false;
                }
                _ if comment => {}
                '\\' if quoted => drop(letters.next()),
                '"' => quoted = !quoted,
                _ if quoted => {}
                '#' => break,
                '/' if next == Some('/') => break,
                '/' if next == Some('*') => comment = true,
                '{' | '[' => open.push(at + 1),
                '}' | ']' => drop(open.pop().ok_or(at + 1)?),
                _ => {}
            }
        }
        if quoted {
            return Err(at + 1);
        }
    }
    open.pop().map_or(Ok(found), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_outside_of_blocks() {
        let text = "# credentials_helper\nplugin_cache_dir = \"{\"\n/* x {\n*/\ncredentials \"a\" {\n  credentials_helper = 1\n}\n\
                    credentials_helper \"b\" {}\n";
        let words = top_level(text).expect("it is read");
        let helpers: Vec<_> = words.iter().filter(|(_, word)| word == BLOCK).map(|(line, _)| *line).collect();
        assert_eq!(helpers, [8]);
        assert_eq!(top_level("a {\n}\n}\n"), Err(3));
        assert_eq!(top_level("a {\nb = [\n"), Err(2));
        assert_eq!(top_level("a = \"x\n"), Err(1));
    }
}
