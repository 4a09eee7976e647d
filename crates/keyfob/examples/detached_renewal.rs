//! Renews in a process that outlives this one: `cargo run --example detached_renewal`.
//!
//! A refresh token is spent when the provider has answered, and what it answered must reach the disk. A host that is
//! killed in between loses the login, unless something else is waiting for the answer.

use std::process::ExitCode;

use keyfob::{Choices, Client, Detached, Purpose, Result};

/// The first argument that makes this program the worker. No argument of its own may look like it.
const WORKER: &str = "internal:renew-login";

fn main() -> ExitCode {
    // Before anything else: the worker holds nothing of its caller's, and must open nothing of its own.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == WORKER) {
        return Detached::work(arguments);
    }
    report(expires_at())
}

fn expires_at() -> Result<String> {
    let client = Client::new(Choices::new())?.renewing_in(Detached::this_program([WORKER]));
    let grant = client.grant(Purpose::Api)?;
    Ok(grant.expires_at().map_or("nobody knows".into(), |end| end.to_string()))
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program, not a library")]
fn report(outcome: Result<String>) -> ExitCode {
    match outcome {
        Ok(end) => println!("good until {end}"),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(error.exit_code());
        }
    }
    ExitCode::SUCCESS
}
