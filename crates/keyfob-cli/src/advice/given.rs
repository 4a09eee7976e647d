//! The options given on the command line that the next command to type must repeat.

use std::path::PathBuf;

use super::words::quoted;

/// The choices of this call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// `--home`.
    pub(crate) home: Option<PathBuf>,
    /// `--profile`.
    pub(crate) profile: Option<String>,
    /// `--environment`.
    pub(crate) environment: Option<String>,
    /// The command, as it was typed: `token`.
    pub(crate) command: Option<String>,
}

/// Commands whose meaning does not depend on home, profile or environment.
const INDIFFERENT: [&str; 5] = ["demo", "dev-server", "man", "completions", "help"];

impl Given {
    /// Repeats the given options in every keyfob command that a hint shows.
    pub(super) fn repeat(&self, hint: &str) -> String {
        const COMMAND: &str = "`keyfob ";
        let mut out = String::new();
        let mut rest = hint;
        while let Some(start) = rest.find(COMMAND) {
            let end = start + COMMAND.len();
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            let command = rest.split('`').next().unwrap_or_default();
            let first = command.split(' ').next().unwrap_or_default();
            if !INDIFFERENT.contains(&first) {
                for (flag, value) in self.flags() {
                    if !command.split(' ').any(|word| word == flag) {
                        out.push_str(&format!("{flag} {} ", quoted(&value)));
                    }
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// The flags, with their values.
    fn flags(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("--home", self.home.as_ref().map(|home| home.display().to_string())),
            ("--environment", self.environment.clone()),
            ("--profile", self.profile.clone()),
        ]
        .into_iter()
        .filter_map(|(flag, value)| Some((flag, value?)))
    }

    /// The command to type again, if the command line requested a credential.
    pub(super) fn command(&self) -> &str {
        self.command.as_deref().unwrap_or("token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_repeated_in_every_command_and_nowhere_else() {
        let given = Given {
            home: Some("/tmp/my home".into()),
            profile: Some("work".into()),
            environment: None,
            command: None,
        };
        assert_eq!(
            given.repeat("run `keyfob login`, or see `keyfob man errors`; `keyfob demo` tries it"),
            "run `keyfob --home '/tmp/my home' --profile work login`, or see `keyfob man errors`; `keyfob demo` tries it"
        );
        assert_eq!(
            given.repeat("`keyfob --profile home token`"),
            "`keyfob --home '/tmp/my home' --profile home token`"
        );
        assert_eq!(Given::default().repeat("run `keyfob login`"), "run `keyfob login`");
    }
}
