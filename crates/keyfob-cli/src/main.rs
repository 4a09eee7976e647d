//! The command `keyfob`.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyfob_cli::main()
}
