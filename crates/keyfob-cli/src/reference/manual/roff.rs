//! A page as troff, with the macros of man(7), which man-db and mandoc both read.

use roff::{Inline, Roff, bold, italic, roman};

use super::page::{Block, Page, Span};

/// The whole file.
pub(crate) fn render(page: &Page) -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{} - {}", page.name, page.about))]);
    let mut after_heading = false;
    for block in &page.blocks {
        add(&mut roff, block, after_heading);
        after_heading = matches!(block, Block::Section(_) | Block::Subsection(_));
    }
    // Without a date: a page is the same whenever it is made.
    let version = env!("CARGO_PKG_VERSION");
    let head =
        format!(".TH {} {} \"\" \"keyfob {version}\" keyfob\n", page.name.to_uppercase(), page.section);
    (head + &roff.to_roff()).chars().map(escaped).collect()
}

/// Characters beyond ASCII by their number: not every reader knows the encoding of a file.
fn escaped(sign: char) -> String {
    if sign.is_ascii() { sign.into() } else { format!("\\[u{:04X}]", u32::from(sign)) }
}

fn add(roff: &mut Roff, block: &Block, after_heading: bool) {
    let paragraph = |roff: &mut Roff| {
        if !after_heading {
            roff.control("PP", []);
        }
    };
    match block {
        Block::Section(title) => {
            roff.control("SH", [&*title.to_uppercase()]);
        }
        Block::Subsection(title) => {
            roff.control("SS", [&**title]);
        }
        Block::Paragraph(text) => {
            paragraph(roff);
            roff.text(inlines(text));
        }
        Block::Item { term, about } => {
            roff.control("TP", []).text(inlines(term)).text(inlines(about));
        }
        Block::Entry { mark, text } => {
            roff.control("IP", [&**mark, "4"]).text(inlines(text));
        }
        Block::Example(lines) => {
            paragraph(roff);
            roff.control("RS", ["4"]).control("nf", []);
            for line in lines.lines() {
                roff.text([if line.is_empty() { roman("\u{a0}") } else { roman(line) }]);
            }
            roff.control("fi", []).control("RE", []);
        }
    }
}

fn inlines(text: &[Span]) -> Vec<Inline> {
    let inline = |span: &Span| match span {
        Span::Plain(text) => roman(text.clone()),
        Span::Literal(text) => bold(text.clone()),
        Span::Variable(text) => italic(text.clone()),
    };
    text.iter().map(inline).collect()
}
