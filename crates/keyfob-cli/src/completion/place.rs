//! The position in the parser where a line ends, and so what may follow.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command};

use super::{candidate::Candidate, line::Line};

/// The kind of the current word.
pub(super) enum Place<'p> {
    /// A command or a flag.
    Word(Vec<Candidate>),
    /// The value of an argument; `before` is the part before it in the same word (`--profile=`).
    Value { argument: &'p Arg, before: &'p str },
    /// A word of another program's command line, which begins with the word at this place.
    Program(usize),
}

/// Follows the line through the parser. Also collects the value of `--home`.
pub(super) fn find<'p>(parser: &'p Command, line: &'p Line) -> (Place<'p>, Option<PathBuf>) {
    let mut walk =
        Walk { command: parser, waiting: None, positions: 0, only_positions: false, used: Vec::new() };
    let mut home = None;
    for (at, word) in line.words.iter().enumerate().skip(1) {
        if let Some(argument) = walk.waiting.take() {
            if argument.get_id() == "home" {
                home = Some(word);
            }
            continue;
        }
        if word == "--" && !walk.only_positions {
            if walk.command.get_positionals().any(Arg::is_last_set) {
                return (Place::Program(at + 1), None);
            }
            walk.only_positions = true;
        } else if word.starts_with('-') && !walk.only_positions {
            walk.option(word);
        } else if let Some(command) = walk.command.find_subcommand(word).filter(|_| !walk.only_positions) {
            walk = Walk { command, positions: 0, used: Vec::new(), ..walk };
        } else {
            walk.positions += 1;
        }
    }
    (walk.end(&line.current), home.map(|home| expanded(home)))
}

/// A path as the shell would pass it on: the typed text still has its tilde.
fn expanded(path: &str) -> PathBuf {
    let variables = keyfob::internals::world::system::env::variables();
    match (path.strip_prefix("~/"), variables.text("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.into(),
    }
}

struct Walk<'p> {
    command: &'p Command,
    /// The option whose value comes next.
    waiting: Option<&'p Arg>,
    positions: usize,
    only_positions: bool,
    used: Vec<&'p Arg>,
}

impl<'p> Walk<'p> {
    fn option(&mut self, word: &str) {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let is_it = |argument: &&Arg| match (name.strip_prefix("--"), name.strip_prefix('-')) {
            (Some(long), _) => argument.get_long() == Some(long),
            (None, Some(short)) => argument.get_short().is_some_and(|letter| short.ends_with(letter)),
            (None, None) => false,
        };
        let Some(argument) = self.command.get_arguments().find(is_it) else { return };
        self.used.push(argument);
        if value.is_none() && argument.get_action().takes_values() {
            self.waiting = Some(argument);
        }
    }

    fn end(self, current: &'p str) -> Place<'p> {
        if let Some(argument) = self.waiting {
            return Place::Value { argument, before: "" };
        }
        if current.starts_with('-') && !self.only_positions {
            let with_value = current.find('=').map(|at| current.split_at(at + 1));
            if let Some((before, _)) = with_value {
                let long = before.trim_matches(['-', '=']);
                let named = |argument: &&Arg| argument.get_long() == Some(long);
                return match self.command.get_arguments().find(named) {
                    Some(argument) => Place::Value { argument, before },
                    None => Place::Word(Vec::new()),
                };
            }
            let mut flags = self.flags();
            flags.extend(self.separator());
            return Place::Word(flags);
        }
        let mut positions = self.command.get_positionals().filter(|position| !position.is_last_set());
        let position = positions.nth(self.positions).filter(|position| !position.is_hide_set());
        if let Some(argument) = position {
            return Place::Value { argument, before: "" };
        }
        if self.positions > 0 {
            return Place::Word(Vec::new());
        }
        let commands = self.command.get_subcommands().filter(|command| !command.is_hide_set());
        let mut words: Vec<_> =
            commands.map(|command| Candidate::new(command.get_name(), command.get_about())).collect();
        words.extend(self.separator());
        Place::Word(words)
    }

    /// Every flag that could still be given.
    fn flags(&self) -> Vec<Candidate> {
        let may_come = |argument: &&Arg| {
            let again = matches!(argument.get_action(), ArgAction::Append | ArgAction::Count);
            !argument.is_hide_set()
                && (again || !self.used.iter().any(|used| used.get_id() == argument.get_id()))
        };
        let arguments = self.command.get_arguments().filter(may_come);
        let flags = arguments.filter_map(|argument| {
            Some(Candidate::new(format!("--{}", argument.get_long()?), argument.get_help()))
        });
        flags.collect()
    }

    /// The `--` that must stand before another program.
    fn separator(&self) -> Option<Candidate> {
        self.command
            .get_positionals()
            .any(Arg::is_last_set)
            .then(|| Candidate { word: "--".into(), about: "the program and its arguments follow".into() })
    }
}
