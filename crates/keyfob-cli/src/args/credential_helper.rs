//! Arguments of `credential-helper`, and the names under which tools run the program.

use std::{ffi::OsString, path::Path};

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  ln -s \"$(command -v keyfob)\" ~/.local/bin/docker-credential-keyfob
                                        the tool finds the helper by that name
  keyfob credential-helper git get      the same as git-credential-keyfob get

Each tool says which host it wants a credential for. It gets one for the provider's own hosts and for those under
`hosts` in the configuration; for any other it is told in its own words that there is none.")]
pub(crate) struct CredentialHelper {
    #[command(subcommand)]
    pub(crate) tool: HelperTool,
}

/// The tools, each with what it calls its helper with.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum HelperTool {
    /// Answer git, as git-credential-keyfob
    #[command(after_help = "Examples:
  keyfob credential-helper git get   the same as git-credential-keyfob get
  git config --global credential.https://git.example.com.helper keyfob

A token that the host refuses is renewed, so that the next run brings another.")]
    Git {
        /// What git wants to have done: get, store or erase; without it, what git brings tells that
        action: Option<String>,
    },
    /// Answer Bazel, uv and others that follow the credential helper specification, as bazel-credential-keyfob
    #[command(after_help = "Examples:
  keyfob credential-helper bazel get   the same as bazel-credential-keyfob get
  bazel build --credential_helper=*.example.com=/usr/local/bin/bazel-credential-keyfob //...")]
    Bazel {
        /// What the tool wants to have done: get
        action: String,
        /// Others may follow, and mean nothing here
        #[arg(hide = true)]
        more: Vec<String>,
    },
    /// Answer docker, podman, skopeo and buildah, as docker-credential-keyfob
    #[command(after_help = "Examples:
  keyfob credential-helper docker get   the same as docker-credential-keyfob get
  {\"credHelpers\": {\"registry.example.com\": \"keyfob\"}}   in ~/.docker/config.json")]
    Docker {
        /// What docker wants to have done: get, list, store or erase
        action: String,
    },
    /// Answer Terraform and OpenTofu, as terraform-credentials-keyfob
    #[command(after_help = "Examples:
  keyfob credential-helper terraform get tf.example.com   the same as terraform-credentials-keyfob get tf.example.com
  credentials_helper \"keyfob\" {}      in ~/.terraformrc")]
    Terraform {
        /// What Terraform wants to have done: get, store or forget
        action: String,
        /// The host it is for
        host: String,
    },
    /// Answer cargo, as cargo-credential-keyfob
    #[command(after_help = "Examples:
  keyfob credential-helper cargo   the same as cargo-credential-keyfob
  [registries.company]
  index = \"sparse+https://crates.example.com/index/\"
  credential-provider = [\"cargo-credential-keyfob\"]      in ~/.cargo/config.toml")]
    Cargo {
        /// Set by cargo
        #[arg(long, hide = true)]
        cargo_plugin: bool,
    },
    /// Answer pnpm, as pnpm-credential-keyfob
    #[command(after_help = "Examples:
  keyfob credential-helper pnpm   the same as pnpm-credential-keyfob
  //npm.example.com/:tokenHelper=/home/you/.local/bin/pnpm-credential-keyfob      in ~/.npmrc

pnpm does not say which registry it asks for: the token goes to the one that the line is for.")]
    Pnpm,
    /// Answer pip and uv, as the command keyring
    #[command(after_help = "Examples:
  keyfob credential-helper keyring get https://pypi.example.com/simple/ oauth2
  ln -s \"$(command -v keyfob)\" ~/.local/bin/keyring
  pip install --keyring-provider subprocess --index-url https://oauth2@pypi.example.com/simple/ NAME
  uv pip install --keyring-provider subprocess --index-url https://oauth2@pypi.example.com/simple/ NAME")]
    Keyring {
        /// What the tool wants to have done: get, the address of the index, and the user
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        words: Vec<String>,
    },
    /// Answer Google's libraries with the ID token, as an executable source (AIP-4117)
    #[command(after_help = "Examples:
  GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 keyfob credential-helper google   what the library gets
  \"credential_source\": {\"executable\": {\"command\": \"keyfob credential-helper google\"}}
                                        in the file that GOOGLE_APPLICATION_CREDENTIALS names

The library runs it if GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES is 1.")]
    Google,
}

/// The names of the program, and what each answers.
pub(crate) const NAMES: [(&str, &str); 7] = [
    ("git-credential-keyfob", "git"),
    ("bazel-credential-keyfob", "bazel"),
    ("docker-credential-keyfob", "docker"),
    ("terraform-credentials-keyfob", "terraform"),
    ("cargo-credential-keyfob", "cargo"),
    ("pnpm-credential-keyfob", "pnpm"),
    // The name is the one that pip and uv run.
    ("keyring", "keyring"),
];

/// The command line in full, if the program was run under one of its other names.
pub(crate) fn by_name(words: &[OsString]) -> Option<Vec<OsString>> {
    let name = Path::new(words.first()?).file_name()?;
    let (_, tool) = NAMES.iter().find(|(known, _)| *known == name)?;
    let full = ["keyfob", "credential-helper", tool].map(OsString::from);
    Some(full.into_iter().chain(words[1..].iter().cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_a_command() {
        let full = |words: &[&str]| by_name(&words.iter().map(OsString::from).collect::<Vec<_>>());
        let is = ["keyfob", "credential-helper", "git", "--profile", "work", "get"].map(OsString::from);
        assert_eq!(full(&["/usr/bin/git-credential-keyfob", "--profile", "work", "get"]), Some(is.into()));
        for other in ["keyfob", "git-credential-keyfob-old", "git", ""] {
            assert_eq!(full(&[other, "get"]), None);
        }
        assert_eq!(full(&[]), None);
    }
}
