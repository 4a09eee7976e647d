//! The command `keyfob`, built for the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyfob_cli::main()
}
