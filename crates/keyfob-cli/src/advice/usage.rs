//! Usage errors, in the three lines of every failure: takes the parser's message apart, and translates the command
//! names of other tools that newcomers type.

use std::ffi::OsString;

use clap::{
    CommandFactory,
    error::{ContextKind, ContextValue, ErrorKind},
};
use keyfob::{Error, ErrorId as Id};

use super::words::{list, nearest, quoted};
use crate::args::Arguments;

/// The name in other tools, and what to type here.
const COMMANDS: &[(&str, &str)] = &[
    ("use", "`keyfob switch PROFILE` makes another profile the one that counts"),
    ("list", "`keyfob profiles` lists the logins"),
    ("ls", "`keyfob profiles` lists the logins"),
    ("accounts", "`keyfob profiles` lists the logins"),
    ("run", "`keyfob exec -- PROGRAM` runs a program with the credential"),
    ("refresh", "nothing has to be refreshed: `keyfob token` renews when that is due"),
    ("renew", "nothing has to be renewed: `keyfob token` renews when that is due"),
    ("config", "`keyfob init` writes the configuration file; `keyfob man config` describes it"),
    ("configure", "`keyfob init` writes the configuration file; `keyfob man config` describes it"),
    ("setup", "`keyfob init` sets up a provider"),
    ("signin", "`keyfob login` signs in"),
    ("sign-in", "`keyfob login` signs in"),
    ("signout", "`keyfob logout` signs out"),
    ("sign-out", "`keyfob logout` signs out"),
    ("me", "`keyfob whoami` says who is signed in"),
    ("who", "`keyfob whoami` says who is signed in"),
    ("info", "`keyfob status` says who is signed in, with what and until when"),
    ("show", "`keyfob status` says who is signed in, with what and until when"),
    ("get", "`keyfob token` prints the token"),
    ("get-token", "`keyfob token` prints the token"),
    ("print-token", "`keyfob token` prints the token"),
    ("check", "`keyfob doctor` checks everything"),
];

/// The same for options.
const OPTIONS: &[(&str, &str)] = &[
    ("--web", "leave it out: `keyfob login` opens a browser by itself"),
    ("--browser", "leave it out: `keyfob login` opens a browser by itself"),
    ("--headless", "`keyfob login --no-browser` prints the address, `keyfob login --device` shows a code"),
    ("--no-launch-browser", "`keyfob login --no-browser` prints the address"),
    ("--device-code", "`keyfob login --device` shows a code"),
    ("--scopes", "write them into `scopes` of the environment: `keyfob man config`"),
    ("--scopes-add", "write them into `scopes` of the environment: `keyfob man config`"),
    ("--account", "a login is named by its profile: `--profile PROFILE`"),
    ("--user", "a login is named by its profile: `--profile PROFILE`"),
    ("--force", "ask for more than is left: `keyfob token --min-valid 1h`"),
    ("--force-refresh", "ask for more than is left: `keyfob token --min-valid 1h`"),
    ("-v", "`keyfob --version` prints the version, `keyfob doctor` checks everything"),
    ("--verbose", "leave it out: every failure says why, and `keyfob doctor` checks everything"),
];

/// Converts a mistake on the command line into a failure.
pub(crate) fn error(error: &clap::Error, words: &[OsString]) -> Error {
    let unknown_command = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    let path = commands(words, unknown_command);
    let command =
        std::iter::once("keyfob").chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(list(texts.iter().map(String::as_str))),
        Some(ContextValue::StyledStr(text)) => Some(text.to_string()),
        _ => None,
    };
    // The parser offers several, and not the nearest first.
    let first = |kind, word: &str| match error.get(kind) {
        Some(ContextValue::Strings(texts)) => {
            let nearest = nearest(word, texts.iter().map(String::as_str)).map(str::to_owned);
            nearest.or_else(|| texts.first().cloned())
        }
        _ => text(kind),
    };
    let help = format!("see `{command} --help`");
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let (what, why, hint) = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            let hint = match (&*word, first(ContextKind::SuggestedSubcommand, &word)) {
                ("auth" | "account", _) => format!("leave `{word}` out: `keyfob {}`", behind(words, &word)),
                (word, meant) => COMMANDS
                    .iter()
                    .find(|(theirs, _)| *theirs == word && path.is_empty())
                    .map(|(_, ours)| (*ours).to_owned())
                    .or_else(|| meant.map(|meant| format!("did you mean `{command} {meant}`?")))
                    .unwrap_or(help),
            };
            (
                format!("`{command}` has no command `{word}`"),
                "`keyfob help` lists the commands there are".into(),
                hint,
            )
        }
        ErrorKind::UnknownArgument => {
            unknown(&path, &command, &argument, first(ContextKind::SuggestedArg, &argument), help)
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::InvalidUtf8 => {
            let value = text(ContextKind::InvalidValue).unwrap_or_default();
            let known = text(ContextKind::ValidValue);
            let source = std::error::Error::source(error).map(ToString::to_string);
            let why = match (known, source) {
                (Some(known), _) => format!("expected one of {known}"),
                (None, Some(why)) => why,
                (None, None) => "it cannot be read".into(),
            };
            let hint = match first(ContextKind::SuggestedValue, &value) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("correct it; {help}"),
            };
            let what = if value.is_empty() {
                format!("{argument} wants a value")
            } else {
                format!("{argument} cannot be `{value}`")
            };
            (what, why, hint)
        }
        ErrorKind::MissingRequiredArgument => {
            let hint = match path.first().map(String::as_str) {
                Some("exec") => "name the program behind `--`: `keyfob exec -- PROGRAM`".into(),
                _ => format!("add it; {help}"),
            };
            (format!("`{command}` needs {argument}"), "it is missing".into(), hint)
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            (format!("`{command}` needs a command"), "none follows it".into(), help)
        }
        ErrorKind::ArgumentConflict => {
            let other = text(ContextKind::PriorArg).unwrap_or_else(|| "another option".into());
            let why = if other == argument {
                "it can be given once".to_owned()
            } else {
                format!("it cannot be used together with {other}")
            };
            (format!("{argument} does not fit here"), why, format!("leave one of them out; {help}"))
        }
        _ => {
            let text = error.render().to_string();
            let line = text.lines().next().unwrap_or_default();
            let why = line.strip_prefix("error: ").unwrap_or(line).to_owned();
            ("the command line is not understood".into(), why, help)
        }
    };
    Error::new(Id::Usage, what, why).hint(hint)
}

/// An option or a word that is not known there.
fn unknown(
    path: &[String],
    command: &str,
    argument: &str,
    meant: Option<String>,
    help: String,
) -> (String, String, String) {
    let theirs = argument.split('=').next().unwrap_or_default();
    if !argument.starts_with('-') {
        let what = format!("`{command}` does not take the word `{argument}`");
        if path.first().is_some_and(|command| command == "exec") {
            let hint = format!("put `--` before the program: `keyfob exec -- {}`", quoted(argument));
            return (what, "a program stands behind `--`".into(), hint);
        }
        return (what, "it takes none in this place".into(), help);
    }
    let hint = OPTIONS
        .iter()
        .find(|(option, _)| *option == theirs)
        .map(|(_, ours)| (*ours).to_owned())
        .or_else(|| meant.map(|meant| format!("did you mean `{meant}`?")))
        .unwrap_or(help);
    (format!("`{command}` has no option {argument}"), "it is not one of its options".into(), hint)
}

/// The commands that the words lead through, up to the one that is unknown: `profiles use`.
fn commands(words: &[OsString], unknown: Option<&str>) -> Vec<String> {
    let mut command = Arguments::command();
    let mut path = Vec::new();
    for word in words
        .iter()
        .skip(1)
        .map_while(|word| word.to_str())
        .take_while(|word| *word != "--" && Some(*word) != unknown)
    {
        if let Some(below) = command.find_subcommand(word) {
            path.push(below.get_name().to_owned());
            command = below.clone();
        }
    }
    path
}

/// The command that follows a word as other tools use it, or else the most likely one.
fn behind(words: &[OsString], word: &str) -> String {
    let next = words.iter().filter_map(|word| word.to_str()).skip_while(|other| *other != word).nth(1);
    let is_ours = |next: &&str| Arguments::command().find_subcommand(next).is_some();
    next.filter(is_ours).unwrap_or("login").to_owned()
}

/// Whether JSON output was requested, where the parser failed before reporting it.
pub(crate) fn wants_json(words: &[OsString]) -> bool {
    words.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::advice;

    /// The three lines for this command line, which could not be parsed.
    fn told(line: &str) -> [String; 3] {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let Err(wrong) = Arguments::try_parse_from(&words) else { panic!("{line} is understood") };
        let told = advice::told(&error(&wrong, &words));
        [told.what, told.why, told.hint]
    }

    #[test]
    fn what_is_wrong_is_named_with_the_way_out() {
        let cases = [
            ("keyfob logn", "`keyfob` has no command `logn`", "did you mean `keyfob login`?"),
            ("keyfob auth login", "`keyfob` has no command `auth`", "leave `auth` out: `keyfob login`"),
            ("keyfob auth status", "`keyfob` has no command `auth`", "leave `auth` out: `keyfob status`"),
            ("keyfob use work", "`keyfob` has no command `use`", "`keyfob switch PROFILE`"),
            ("keyfob list", "`keyfob` has no command `list`", "`keyfob profiles`"),
            ("keyfob run ls", "`keyfob` has no command `run`", "`keyfob exec -- PROGRAM`"),
            ("keyfob refresh", "`keyfob` has no command `refresh`", "`keyfob token` renews"),
            ("keyfob config", "`keyfob` has no command `config`", "`keyfob init`"),
            ("keyfob -v", "`keyfob` has no option -v", "`keyfob --version`"),
            ("keyfob login --web", "`keyfob login` has no option --web", "opens a browser by itself"),
            ("keyfob login --scopes a", "`keyfob login` has no option --scopes", "`keyfob man config`"),
            (
                "keyfob login --headless",
                "`keyfob login` has no option --headless",
                "`keyfob login --no-browser`",
            ),
            ("keyfob status --verfy", "`keyfob status` has no option --verfy", "did you mean `--verify`?"),
            ("keyfob status --x=1", "`keyfob status` has no option --x", "see `keyfob status --help`"),
            ("keyfob exec ls", "`keyfob exec` does not take the word `ls`", "`keyfob exec -- ls`"),
            ("keyfob exec", "`keyfob exec` needs", "`keyfob exec -- PROGRAM`"),
            ("keyfob token --min-valid 5x", "--min-valid <TIME> cannot be `5x`", "correct it"),
            ("keyfob login --timeout 0", "--timeout <TIME> cannot be `0`", "correct it"),
            ("keyfob login --email notmail", "--email <ADDRESS> cannot be `notmail`", "correct it"),
            (
                "keyfob token --format kubernets",
                "--format <TOOL> cannot be `kubernets`",
                "did you mean `kubernetes`?",
            ),
            ("keyfob token --json --format env", "--json does not fit here", "leave one of them out"),
            ("keyfob token --profile", "--profile <PROFILE> wants a value", "correct it"),
            ("keyfob profiles rename", "`keyfob profiles rename` needs", "add it"),
        ];
        for (line, what, hint) in cases {
            let said = told(line);
            assert!(said[0].starts_with(what) && said[2].contains(hint), "{line}: {said:#?}");
            assert!(!said[1].is_empty() && !said[1].contains('\n'), "{line}: {said:#?}");
        }
    }

    #[test]
    fn a_value_is_told_with_what_is_expected() {
        assert!(told("keyfob token --min-valid 5x")[1].contains("also with a unit: 90s, 5m"));
        assert!(told("keyfob token --only nobody")[1].contains("auth-token, api-key-descriptor"));
        assert!(told("keyfob token --format x")[1].contains("expected one of git-credential, kubernetes"));
    }

    /// Every keyfob command in a hint is a valid command line.
    #[test]
    fn what_other_tools_say_is_answered_with_commands_that_parse() {
        for (theirs, ours) in COMMANDS.iter().chain(OPTIONS) {
            for command in ours.split('`').skip(1).step_by(2).filter(|text| text.starts_with("keyfob ")) {
                let parsed = Arguments::try_parse_from(command.split(' '));
                let shown = parsed.as_ref().is_err_and(|error| !error.use_stderr());
                assert!(shown || parsed.is_ok(), "{theirs}: {command}");
            }
        }
    }
}
