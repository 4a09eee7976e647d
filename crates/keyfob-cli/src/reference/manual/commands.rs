//! A page for each command, from the parser's help texts.

use clap::{Arg, Command};
use keyfob::internals::core::Kind;

use super::{
    descriptions,
    page::{Block, Page, Span, Text, literal, marked, plain},
};

/// The command and everything below it.
pub(super) fn pages(mut command: Command) -> Vec<Page> {
    command.build();
    let mut pages = Vec::new();
    add(&command, &[], &mut pages);
    pages
}

fn add(command: &Command, above: &[&Command], pages: &mut Vec<Page>) {
    let path: Vec<&Command> = above.iter().copied().chain([command]).collect();
    pages.push(page(&path));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        add(below, &path, pages);
    }
}

fn name(path: &[&Command]) -> String {
    path.iter().map(|command| command.get_name()).collect::<Vec<_>>().join("-")
}

fn page(path: &[&Command]) -> Page {
    let [above @ .., command] = path else { unreachable!("a path ends in its command") };
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut blocks = vec![Block::Section("Synopsis".into())];
    let mut usage = (*command).clone().render_usage().to_string();
    usage = usage.trim_start_matches("Usage:").to_owned();
    blocks.extend(usage.lines().map(|line| Block::Paragraph(vec![literal(line.trim())])));
    blocks.push(Block::Section("Description".into()));
    blocks.push(Block::Paragraph(marked(&sentence(&about))));
    let (examples, prose) = told_after(&after);
    blocks.extend(descriptions::of(&name(path)).iter().map(|paragraph| Block::Paragraph(marked(paragraph))));
    blocks.extend(prose.into_iter().map(|paragraph| Block::Paragraph(marked(&paragraph))));
    let below: Vec<_> = command.get_subcommands().filter(|below| !below.is_hide_set()).collect();
    if !below.is_empty() {
        blocks.push(Block::Section("Commands".into()));
        blocks.extend(below.iter().map(|below| {
            let page = name(&[path, &[*below]].concat());
            let about = below.get_about().map(ToString::to_string).unwrap_or_default();
            Block::Item { term: vec![literal(page), plain("(1)")], about: marked(&sentence(&about)) }
        }));
    }
    options(command, &mut blocks);
    exit_status(&mut blocks);
    environment(&mut blocks);
    files(&mut blocks);
    if !examples.is_empty() {
        blocks.push(Block::Section("Examples".into()));
        blocks.push(Block::Example(examples));
    }
    blocks.push(Block::Section("See also".into()));
    let mut others: Vec<String> =
        above.iter().enumerate().map(|(at, _)| name(&path[..=at]) + "(1)").collect();
    others.extend(["config(5)", "environment(7)", "errors(7)"].map(|page| format!("keyfob-{page}")));
    blocks.push(Block::Paragraph(vec![plain(others.join(", "))]));
    Page { name: name(path), section: '1', about, blocks }
}

fn sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// The part of the help after the options: its examples and paragraphs. The exit codes have their own section.
fn told_after(help: &str) -> (String, Vec<String>) {
    let (mut examples, mut prose) = (String::new(), Vec::new());
    for paragraph in help.split("\n\n") {
        match paragraph.split_once('\n') {
            Some((head, lines)) if head.starts_with("Example") => {
                let lines = lines.lines().map(|line| line.strip_prefix("  ").unwrap_or(line));
                examples = lines.collect::<Vec<_>>().join("\n");
            }
            _ if paragraph.starts_with("Exit codes") || paragraph.trim().is_empty() => {}
            _ => prose.push(paragraph.replace('\n', " ")),
        }
    }
    (examples, prose)
}

fn options(command: &Command, blocks: &mut Vec<Block>) {
    let shown: Vec<&Arg> = command.get_arguments().filter(|argument| !argument.is_hide_set()).collect();
    let (global, own): (Vec<&Arg>, Vec<&Arg>) =
        shown.into_iter().partition(|argument| argument.is_global_set());
    blocks.push(Block::Section("Options".into()));
    blocks.extend(own.into_iter().map(option));
    blocks.push(Block::Subsection("For every command".into()));
    blocks.extend(global.into_iter().map(option));
}

fn option(argument: &Arg) -> Block {
    let mut term: Text = Vec::new();
    let dashes = [
        argument.get_short().map(|letter| format!("-{letter}")),
        argument.get_long().map(|word| format!("--{word}")),
    ];
    for said in dashes.into_iter().flatten() {
        if !term.is_empty() {
            term.push(plain(", "));
        }
        term.push(literal(said));
    }
    let values =
        argument.get_value_names().filter(|_| argument.get_action().takes_values()).unwrap_or_default();
    for value in values {
        if !term.is_empty() {
            term.push(plain(" "));
        }
        term.push(Span::Variable(value.to_string()));
    }
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let mut about = marked(&sentence(&help));
    let possible = argument.get_possible_values();
    let words: Vec<_> = possible.iter().filter(|value| !value.is_hide_set()).collect();
    if argument.get_action().takes_values() && !words.is_empty() {
        about.push(plain(" One of"));
        for (at, value) in words.iter().enumerate() {
            about.push(plain(if at == 0 { " " } else { ", " }));
            about.push(literal(value.get_name()));
            if let Some(help) = value.get_help() {
                about.push(plain(" ("));
                about.extend(marked(&help.to_string()));
                about.push(plain(")"));
            }
        }
        about.push(plain("."));
    }
    let usual = argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
    let usual: Vec<_> = usual.collect();
    if argument.get_action().takes_values() && !usual.is_empty() {
        about.push(plain(format!(" Default: {}.", usual.join(" "))));
    }
    Block::Item { term, about }
}

fn exit_status(blocks: &mut Vec<Block>) {
    let item = |code: u8, title: &str| Block::Item {
        term: vec![literal(code.to_string())],
        about: marked(&sentence(title)),
    };
    blocks.push(Block::Section("Exit status".into()));
    blocks.push(item(0, "done"));
    blocks.push(item(1, "not so: not signed in (`status`), not enrolled (`device status`)"));
    blocks.extend(Kind::ALL.iter().map(|kind| item(kind.exit_code(), kind.title())));
    let exec = "A program that `keyfob exec` runs takes its place: its exit status is its own.";
    blocks.push(Block::Paragraph(marked(exec)));
}

fn environment(blocks: &mut Vec<Block>) {
    blocks.push(Block::Section("Environment".into()));
    let variables = [
        ("KEYFOB_HOME", "One directory for configuration and logins, as `--home`."),
        ("KEYFOB_PROFILE", "The profile, as `--profile`."),
        ("KEYFOB_ENVIRONMENT", "The environment, as `--environment`."),
        ("KEYFOB_AGENT", "The socket of an agent that is asked where there is no login: keyfob-agent(1)."),
        ("NO_COLOR", "Set and not empty: no colours."),
    ];
    blocks.extend(
        variables.map(|(name, about)| Block::Item { term: vec![literal(name)], about: marked(about) }),
    );
    let others = "Credentials, the provider, proxies, certificates and metrics have variables too: keyfob-environment(7). \
                  `keyfob env` shows the effect of those that are set.";
    blocks.push(Block::Paragraph(marked(others)));
}

fn files(blocks: &mut Vec<Block>) {
    blocks.push(Block::Section("Files".into()));
    let files = [
        ("~/.config/keyfob/config.toml", "The configuration: keyfob-config(5). `XDG_CONFIG_HOME` moves it."),
        (
            "~/.local/state/keyfob/logins/",
            "The logins, one file each, readable by you alone. `XDG_STATE_HOME` moves it.",
        ),
        ("~/.local/state/keyfob/profile", "The profile that counts when none is named."),
        ("/etc/keyfob/approved.toml", "The other providers that a variable may name, for every user."),
        ("~/.config/keyfob/approved.toml", "The same for you. No variable moves it."),
    ];
    blocks.extend(files.map(|(path, about)| Block::Item { term: vec![literal(path)], about: marked(about) }));
    let one = "`--home` and `KEYFOB_HOME` keep `config.toml`, `logins/` and `profile` in one directory.";
    blocks.push(Block::Paragraph(marked(one)));
}
