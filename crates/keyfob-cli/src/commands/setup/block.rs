//! Lines of keyfob's in a text of lines: below a comment that says whose they are, at the end, and taken out again from
//! wherever they are then.

/// The comment above the lines. Its form is the same in every file that has comments with `#`.
pub(super) fn note(tool: &str) -> String {
    format!("# Written by `keyfob setup {tool}`, which takes it out again with `--undo`.")
}

/// Blocks of lines, each below the comment.
pub(super) struct Blocks<'a> {
    /// The tool's word on the command line.
    pub(super) tool: &'a str,
    /// Whether this is the n-th line of a block: lines that follow and are none stay.
    pub(super) own: &'a dyn Fn(usize, &str) -> bool,
    /// The first line of a block begins a section, which goes on to the next one.
    pub(super) sections: bool,
}

impl Blocks<'_> {
    /// The text with these blocks, in the place of those that were there before.
    pub(super) fn with(&self, text: Option<&str>, blocks: &[Vec<String>]) -> String {
        let text = text.unwrap_or_default();
        let newline = newline(text);
        let block = blocks.iter().flat_map(|block| self.noted(block)).collect::<Vec<_>>().join(newline);
        let rest = self.without(text);
        // The last line keeps what it ends with, so that taking the block out leaves it as it was.
        if rest.is_empty() || rest.ends_with('\n') {
            format!("{rest}{block}{newline}")
        } else {
            format!("{rest}{newline}{block}")
        }
    }

    /// The text with this block in the place of the one with the same first line, below which somebody has written more in its
    /// section. `None`: there is none.
    pub(super) fn in_place(&self, text: &str, block: &[String]) -> Option<String> {
        let note = note(self.tool);
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let is = |at: usize, what: &String| bare(&lines, at) == Some(what.as_str());
        let at = (0..lines.len()).find(|at| is(*at, &note) && is(at + 1, &block[0]))?;
        let end = self.end(&lines, at + 1);
        let newline = newline(text);
        let new = self.noted(block).join(newline);
        self.goes_on(&lines, end)
            .then(|| format!("{}{new}{newline}{}", lines[..at].concat(), lines[end..].concat()))
    }

    fn noted(&self, block: &[String]) -> Vec<String> {
        [&[note(self.tool)], block].concat()
    }

    /// Behind the last line of the block whose lines begin here.
    fn end(&self, lines: &[&str], first: usize) -> usize {
        let note = note(self.tool);
        let own =
            |at: &usize| bare(lines, *at).is_some_and(|line| line != note && (self.own)(at - first, line));
        (first..).find(|at| !own(at)).unwrap_or(first)
    }

    /// Whether somebody has added to the section that the block before this line begins.
    fn goes_on(&self, lines: &[&str], end: usize) -> bool {
        let says = |line: &&&str| !line.trim().is_empty() && !line.trim().starts_with(['#', ';']);
        let next = lines[end..].iter().find(says);
        self.sections && next.is_some_and(|line| !line.trim().starts_with('['))
    }

    /// The text without them.
    pub(super) fn without(&self, text: &str) -> String {
        let note = note(self.tool);
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let (mut kept, mut at, mut cut_at_end) = (Vec::new(), 0, false);
        while let Some(line) = bare(&lines, at) {
            if line != note {
                kept.push(lines[at]);
                (at, cut_at_end) = (at + 1, false);
                continue;
            }
            let first = at + 1;
            at = self.end(&lines, first);
            // The section keeps its beginning.
            if at > first && self.goes_on(&lines, at) {
                kept.push(lines[first]);
            }
            cut_at_end = at == lines.len() && !text.ends_with('\n');
        }
        let mut kept = kept.concat();
        if cut_at_end && kept.ends_with('\n') {
            kept.truncate(kept.len() - 1);
            kept.truncate(kept.len() - usize::from(kept.ends_with('\r')));
        }
        kept
    }
}

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// This line without its end.
fn bare<'a>(lines: &[&'a str], at: usize) -> Option<&'a str> {
    lines.get(at).map(|line| line.trim_end_matches(['\r', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIT: Blocks = Blocks {
        tool: "git",
        own: &|at, line| if at == 0 { line.starts_with('[') } else { at == 1 && line.contains("keyfob") },
        sections: true,
    };

    fn blocks() -> Vec<Vec<String>> {
        ["[a]", "[b]"].map(|head| vec![head.into(), "\thelper = keyfob".into()]).into()
    }

    #[test]
    fn lines_come_and_go() {
        for text in ["", "# mine\n[x]\n\ty = z\n", "no end", "one\r\ntwo\r\n", "one\r\ntwo", "\n\n"] {
            let new = GIT.with(Some(text), &blocks());
            assert!(new.starts_with(text), "{new:?}");
            assert_eq!(GIT.with(Some(&new), &blocks()), new, "twice is once");
            assert_eq!(GIT.without(&new), text, "{new:?}");
            assert_eq!(GIT.without(&GIT.with(Some(&new), &blocks()[..1])), text, "fewer than before");
        }
        assert_eq!(GIT.without("[a]\n\thelper = keyfob\n"), "[a]\n\thelper = keyfob\n", "not written by us");
    }

    /// What a person or git itself has written below stays, and in the section that it was written into.
    #[test]
    fn what_follows_stays() {
        let new = GIT.with(Some("a\n"), &blocks());
        assert_eq!(GIT.without(&format!("{new}[mine]\nkey = keyfob\n")), "a\n[mine]\nkey = keyfob\n");
        assert_eq!(GIT.without(&format!("{new}\tusername = ada\n")), "a\n[b]\n\tusername = ada\n");
    }
}
