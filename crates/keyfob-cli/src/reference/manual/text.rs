//! A page as text, for a terminal without `man`.

use super::page::{Block, Page, Span};
use crate::output::manner::Manner;

/// The whole page, its lines broken where this screen ends.
pub(crate) fn render(page: &Page, manner: Manner) -> String {
    let mut lines = vec![
        format!("{}({})", page.name.to_uppercase(), page.section),
        String::new(),
        manner.bold("NAME"),
        manner.prose(&format!("    {} - {}", page.name, page.about)),
    ];
    let text = |text: &[Span]| text.iter().map(|span| shown(span, manner)).collect::<String>();
    for block in &page.blocks {
        // What belongs together stands together: only the entries of a list have no empty line before them.
        if !matches!(block, Block::Entry { .. }) {
            lines.push(String::new());
        }
        match block {
            Block::Section(title) => lines.push(manner.bold(&title.to_uppercase())),
            Block::Subsection(title) => lines.push(format!("  {}", manner.bold(title))),
            Block::Paragraph(words) => lines.push(manner.prose(&format!("    {}", text(words)))),
            Block::Item { term, about } => {
                lines.push(format!("    {}", text(term)));
                lines.push(manner.prose(&format!("        {}", text(about))));
            }
            Block::Entry { mark, text: words } => {
                lines.push(manner.hanging(&format!("    {mark} {}", text(words)), mark.chars().count() + 1));
            }
            Block::Example(example) => lines.extend(example.lines().map(|line| format!("        {line}"))),
        }
    }
    lines.retain({
        // After a heading comes its text at once.
        let mut after_heading = false;
        let headings: Vec<_> = page.blocks.iter().filter_map(|block| heading(block, manner)).collect();
        move |line| {
            let keep = !(after_heading && line.is_empty());
            after_heading = headings.contains(line) || (after_heading && !keep);
            keep
        }
    });
    lines.join("\n")
}

fn heading(block: &Block, manner: Manner) -> Option<String> {
    match block {
        Block::Section(title) => Some(manner.bold(&title.to_uppercase())),
        Block::Subsection(title) => Some(format!("  {}", manner.bold(title))),
        _ => None,
    }
}

fn shown(span: &Span, manner: Manner) -> String {
    match span {
        Span::Plain(text) | Span::Variable(text) => text.clone(),
        Span::Literal(text) => manner.bold(text),
    }
}
