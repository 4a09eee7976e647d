//! `keyfob credential-helper TOOL`: answers a tool in its own protocol, a file for each. What is the same for all is in
//! `asked.rs`.

mod asked;
mod bazel;
mod cargo;
mod docker;
mod google;
mod keyring;
mod pnpm;
mod terraform;

use crate::{
    args::{Global, HelperTool, Wanted},
    commands::git,
    output::report::Result,
};

pub(crate) fn run(global: &Global, tool: &HelperTool) -> Result {
    match tool {
        HelperTool::Git { action } => git::answer(global, action.as_deref(), &Wanted::default()),
        HelperTool::Bazel { action, .. } => bazel::answer(global, action),
        HelperTool::Docker { action } => docker::answer(global, action),
        HelperTool::Terraform { action, host } => terraform::answer(global, action, host),
        HelperTool::Cargo { .. } => cargo::answer(global),
        HelperTool::Pnpm => pnpm::answer(global),
        HelperTool::Keyring { words } => keyring::answer(global, words),
        HelperTool::Google => google::answer(global),
    }
}
