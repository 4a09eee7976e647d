//! The command `keyfob`, built for the tests beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyfob_cli::main()
}
