//! Converts a page of `docs/` into a manual page.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::page::{Block, Page, Span, Text, literal, plain};

/// The pages of `docs/` that are also manual pages.
const OTHERS: [(&str, &str); 3] = [
    ("configuration.md", "keyfob-config(5)"),
    ("environment.md", "keyfob-environment(7)"),
    ("errors.md", "keyfob-errors(7)"),
];

/// The blocks of a page. Its title is not one: the page has a name.
pub(super) fn page(name: &str, section: char, about: &str, markdown: &str) -> Page {
    let mut writer = Writer::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        writer.take(event);
    }
    let others = OTHERS.iter().map(|(_, page)| *page).filter(|page| !page.starts_with(name));
    let others: Vec<_> = std::iter::once("keyfob(1)").chain(others).collect();
    writer.blocks.push(Block::Section("See also".into()));
    writer.blocks.push(Block::Paragraph(vec![plain(others.join(", "))]));
    Page { name: name.into(), section, about: about.into(), blocks: writer.blocks }
}

#[derive(Default)]
struct Writer {
    blocks: Vec<Block>,
    /// The text of the current block.
    text: Text,
    /// The enclosing lists, with the number of the next entry.
    lists: Vec<Option<u64>>,
    /// The heads of the table's columns, and the cells of its row.
    heads: Vec<String>,
    cells: Vec<Text>,
    /// The target of a link, if that is a page of the manual.
    leads_to: Vec<Option<&'static str>>,
    is_variable: bool,
}

impl Writer {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Text(text) if self.is_variable => self.text.push(Span::Variable(text.into_string())),
            Event::Text(text) => self.text.push(plain(text.into_string())),
            Event::Code(text) => self.text.push(literal(text.into_string())),
            Event::SoftBreak | Event::HardBreak => self.text.push(plain(" ")),
            Event::Start(tag) => self.begin(&tag),
            Event::End(tag) => self.end(tag),
            _ => {}
        }
    }

    fn begin(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::List(number) => {
                self.entry();
                self.lists.push(*number);
            }
            Tag::CodeBlock(_) => self.entry(),
            Tag::Emphasis => self.is_variable = true,
            Tag::Link { dest_url, .. } => {
                let file = dest_url.split('#').next().unwrap_or("");
                let page = OTHERS.iter().find(|(name, _)| file == *name).map(|(_, page)| *page);
                self.leads_to.push(page);
            }
            Tag::TableHead => self.heads.clear(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                let title: String = self.take_text().into_iter().map(words).collect();
                match level {
                    HeadingLevel::H1 => {}
                    HeadingLevel::H2 => self.blocks.push(Block::Section(title)),
                    _ => self.blocks.push(Block::Subsection(title)),
                }
            }
            TagEnd::Paragraph if self.lists.is_empty() => {
                let text = self.take_text();
                // What stands before the first heading introduces the page.
                if self.blocks.is_empty() {
                    self.blocks.push(Block::Section("Description".into()));
                }
                self.blocks.push(Block::Paragraph(text));
            }
            TagEnd::Paragraph | TagEnd::Item => self.entry(),
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::CodeBlock => {
                let lines: String = self.take_text().into_iter().map(words).collect();
                self.blocks.push(Block::Example(lines));
            }
            TagEnd::Emphasis => self.is_variable = false,
            TagEnd::Link => {
                if let Some(page) = self.leads_to.pop().flatten() {
                    self.text.push(plain(format!(", {page},")));
                }
            }
            TagEnd::TableCell => {
                let cell = self.take_text();
                self.cells.push(cell);
            }
            TagEnd::TableHead => {
                let cells = std::mem::take(&mut self.cells).into_iter();
                self.heads = cells.map(|cell| cell.into_iter().map(words).collect()).collect();
            }
            TagEnd::TableRow => self.row(),
            _ => {}
        }
    }

    fn take_text(&mut self) -> Text {
        std::mem::take(&mut self.text)
    }

    /// An entry of a list ends, or is interrupted by a block inside it.
    fn entry(&mut self) {
        let text = self.take_text();
        if text.is_empty() {
            return;
        }
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}.", *number - 1)
            }
            _ => "•".into(),
        };
        self.blocks.push(Block::Entry { mark, text });
    }

    /// A row becomes a term and its description: a table of long sentences cannot be read on a terminal.
    fn row(&mut self) {
        let mut cells = std::mem::take(&mut self.cells).into_iter();
        let (Some(term), mut about) = (cells.next(), cells.next().unwrap_or_default()) else { return };
        for (head, cell) in self.heads.iter().skip(2).zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            about.push(plain(format!(" ({head}: ")));
            about.extend(cell);
            about.push(plain(")"));
        }
        self.blocks.push(Block::Item { term, about });
    }
}

fn words(span: Span) -> String {
    match span {
        Span::Plain(text) | Span::Literal(text) | Span::Variable(text) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_block_is_kept() {
        let markdown = "# Title\n\nIntroduction to *it*.\n\n## One\n\n- a `b`\n- c\n  d\n\n1. x\n2. y\n\n### Two\n\n\
                        | key | meaning | default |\n|---|---|---|\n| `k` | says | 1 |\n| l | more | |\n\n\
                        ```sh\nrun this\n\nand that\n```\n\n<!-- nothing -->\n\nSee [errors](errors.md#x) and [w](wire.md).\n";
        let page = page("keyfob-x", '7', "about", markdown);
        let mut shown = String::new();
        for block in &page.blocks {
            let text = |text: &Text| text.iter().cloned().map(words).collect::<String>();
            shown += &match block {
                Block::Section(title) => format!("S {title}\n"),
                Block::Subsection(title) => format!("s {title}\n"),
                Block::Paragraph(words) => format!("p {}\n", text(words)),
                Block::Item { term, about } => format!("i {}: {}\n", text(term), text(about)),
                Block::Entry { mark, text: words } => format!("{mark} {}\n", text(words)),
                Block::Example(lines) => format!("e {lines}"),
            };
        }
        assert_eq!(
            shown,
            "S Description\np Introduction to it.\nS One\n• a b\n• c d\n1. x\n2. y\ns Two\ni k: says (default: 1)\n\
             i l: more\ne run this\n\nand that\np See errors, keyfob-errors(7), and w.\n\
             S See also\np keyfob(1), keyfob-config(5), keyfob-environment(7), keyfob-errors(7)\n"
        );
    }
}
