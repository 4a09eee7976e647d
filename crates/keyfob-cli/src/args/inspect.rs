//! Arguments of `inspect`.

use std::ffi::OsString;

use clap::Args;

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob token --id-token | keyfob inspect     the ID token of the login
  keyfob inspect < token.txt                   one that is in a file
  keyfob inspect --jwks keys.json < token.txt  verified with these keys

The token is read from standard input, never from the command line, which other users can read.

Exit code: 0 if it could be read and nothing speaks against it, 1 for a token that is no JWT, 5 if it was not signed by
its issuer or has ended, 6 if the keys could not be fetched.")]
pub(crate) struct Inspect {
    /// Verify it with the keys in this file, or at this address
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) jwks: Option<String>,
    /// Caught, so that no error repeats a token that somebody types here.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) typed: Vec<OsString>,
}
