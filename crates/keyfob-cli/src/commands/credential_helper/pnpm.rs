//! pnpm: its `tokenHelper` is run without a word and says nothing of a host. What it prints goes to the registry that the
//! person's `.npmrc` has it under, and to no other.

use std::process::ExitCode;

use crate::{
    args::{Global, Wanted},
    hand_over::grant,
    output::report::{Report, Result},
};

/// pnpm puts `Bearer` in front where no scheme is.
#[expect(clippy::disallowed_methods, reason = "pnpm asked for it, for the registry it is set up for")]
pub(super) fn answer(global: &Global) -> Result {
    let grant = grant::grant(global, &Wanted::default())?;
    Report::answer(grant.credential().expose())?;
    Ok(ExitCode::SUCCESS)
}
