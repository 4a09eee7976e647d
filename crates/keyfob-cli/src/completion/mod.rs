//! Completion of a command line that is being typed in bash, zsh or fish.
//!
//! The script that a shell loads knows nothing of keyfob's commands. It sends the words typed so far to this program
//! (`internal/complete.rs`), which answers with the candidates: a word of the parser, a profile of this machine, an
//! environment of the configuration. So an installed script is never out of date. Completion never uses the network,
//! takes a lease, opens a sealed login or reads a token, and prints nothing but candidates into the user's prompt.

mod candidate;
mod line;
mod place;
mod values;

use std::fmt::Write as _;

use clap::CommandFactory;
use clap_complete::Shell;

pub(crate) use self::line::{Dialect, Line};
use self::{candidate::Candidate, place::Place};
use crate::args::Arguments;

/// The script that a shell loads. For bash, zsh and fish it queries this program; for the others it is generated from
/// the parser, without the values of this machine.
pub(crate) fn script(shell: Shell) -> Vec<u8> {
    match shell {
        Shell::Bash => include_bytes!("keyfob.bash").to_vec(),
        Shell::Zsh => include_bytes!("keyfob.zsh").to_vec(),
        Shell::Fish => include_bytes!("keyfob.fish").to_vec(),
        other => {
            let mut script = Vec::new();
            clap_complete::generate(other, &mut Arguments::command(), "keyfob", &mut script);
            script
        }
    }
}

/// The candidates for the end of the line, in the scripts' format: the first line gives the kind of value, the others
/// are candidates with their meanings after a tab.
pub(crate) fn answer(line: &Line) -> String {
    let mut parser = Arguments::command();
    parser.build();
    let (place, home) = place::find(&parser, line);
    let (candidates, before) = match place {
        Place::Program(at) => return format!("command {}\n", line.number_of(at)),
        Place::Word(candidates) => (candidates, ""),
        Place::Value { argument, before } => {
            if let Some(kind) = values::files(argument) {
                return format!("{kind}\n");
            }
            (values::of(argument, home), before)
        }
    };
    let mut answer = String::from("values\n");
    for Candidate { word, about } in candidates {
        if let Some(word) = line.shown(&format!("{before}{word}")) {
            let about = about.lines().next().unwrap_or("");
            let _ = writeln!(answer, "{word}\t{about}");
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(dialect: Dialect, words: &[&str]) -> Vec<String> {
        let line = Line::of(dialect, words.iter().map(|word| (*word).to_owned()).collect());
        answer(&line.expect("a line"))
            .lines()
            .map(|line| line.split('\t').next().unwrap_or("").into())
            .collect()
    }

    fn zsh(words: &[&str]) -> Vec<String> {
        complete(Dialect::Plain, &[&["keyfob"], words].concat())
    }

    #[test]
    fn commands_and_flags_are_offered_and_nothing_hidden() {
        let words = zsh(&[""]);
        assert_eq!(words[0], "values");
        for command in Arguments::command().get_subcommands() {
            assert_eq!(words.iter().any(|word| word == command.get_name()), !command.is_hide_set());
        }
        assert!(words.iter().all(|word| !word.contains("internal") && !word.starts_with('-')), "{words:?}");
        let flags = zsh(&["login", "--copy", "--"]);
        assert!(flags.contains(&"--qr".into()) && flags.contains(&"--profile".into()), "{flags:?}");
        assert!(!flags.contains(&"--copy".into()), "once is enough: {flags:?}");
        assert!(zsh(&["--json", "profiles", ""]).contains(&"use".into()));
        assert!(zsh(&["completions", ""]).contains(&"zsh".into()));
        assert_eq!(zsh(&["no-such-command", ""]), ["values"]);
    }

    #[test]
    fn values_are_offered_by_what_they_are() {
        assert!(zsh(&["--only", ""]).contains(&"api-key".into()));
        assert!(zsh(&["token", "--only="]).contains(&"--only=login".into()));
        assert!(zsh(&["token", "--format", ""]).contains(&"git-credential".into()));
        assert!(zsh(&["--environment", ""]).contains(&"local".into()));
        assert!(zsh(&["man", ""]).contains(&"config".into()));
        assert_eq!(zsh(&["--home", ""]), ["directories"]);
        assert_eq!(zsh(&["--home=/tmp/",]), ["directories"]);
        assert_eq!(zsh(&["setup-token", "--out", ""]), ["files"]);
        assert_eq!(zsh(&["login", "--port", ""]), ["values"], "a number is nobody's file");
    }

    /// A new argument that is a profile gets its completion through the name of its value.
    #[test]
    fn arguments_that_name_a_profile_say_so() {
        let parser = Arguments::command();
        let value = |path: &[&str], position: usize| {
            let command = path.iter().fold(&parser, |at, name| at.find_subcommand(name).expect("a command"));
            let argument = command.get_positionals().nth(position).expect("an argument");
            argument.get_value_names().expect("a value")[0].to_string()
        };
        for path in [&["profiles", "use"][..], &["profiles", "rename"], &["profiles", "remove"], &["switch"]]
        {
            assert_eq!(value(path, 0), "PROFILE", "{path:?}");
        }
        assert_eq!(value(&["profiles", "rename"], 1), "NAME", "a new name is nobody's yet");
    }

    #[cfg(feature = "dev-server")]
    #[test]
    fn faults_are_offered_in_bash_too_where_a_colon_ends_a_word() {
        assert!(zsh(&["dev-server", "--fault", ""]).contains(&"code:late".into()));
        let words =
            ["keyfob dev-server --fault code:la", "keyfob", "dev-server", "--fault", "code", ":", "la"];
        assert_eq!(complete(Dialect::Bash, &words), ["values", "late"]);
        let words = ["keyfob dev-server --fault code:", "keyfob", "dev-server", "--fault", "code", ":"];
        assert!(complete(Dialect::Bash, &words).contains(&"drop-after".into()));
    }

    #[test]
    fn the_program_of_exec_completes_as_the_shell_would() {
        assert_eq!(zsh(&["exec", "--", "git", "ch"]), ["command 3"]);
        assert_eq!(zsh(&["exec", "--min-valid", "5", "--", ""]), ["command 5"]);
        assert_eq!(zsh(&["exec", ""]), ["values", "--"]);
        // Bash breaks `--profile=work` into three words, and counts them.
        let line =
            ["keyfob --profile=work exec -- gi", "keyfob", "--profile", "=", "work", "exec", "--", "gi"];
        assert_eq!(complete(Dialect::Bash, &line), ["command 6"]);
    }

    #[test]
    fn bash_gets_what_comes_after_its_own_break() {
        let words = ["keyfob --only=log", "keyfob", "--only", "=", "log"];
        assert_eq!(complete(Dialect::Bash, &words), ["values", "login"]);
        let words = ["keyfob 'login' --cop", "keyfob", "'login'", "--cop"];
        assert_eq!(complete(Dialect::Bash, &words), ["values", "--copy"]);
    }
}
