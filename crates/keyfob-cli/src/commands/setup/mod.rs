//! `keyfob setup TOOL`: writes keyfob into the configuration of another tool, and takes it out again.
//!
//! One tool is one file beside this one (`tool.rs`), which says where the tool's file is and what its text becomes. Everything else is
//! here and the same for all: what is refused, that the change is shown first, that a person is asked, and how it is written.

mod aws;
mod azure;
mod bazel;
mod block;
mod cargo;
mod claude_code;
mod codex;
mod docker;
mod git;
mod hosts;
mod json;
mod kept;
mod kubeconfig;
mod kubernetes;
mod link;
mod person_file;
mod place;
mod plan;
mod pnpm;
mod terraform;
mod toml;
mod tool;

use std::{path::PathBuf, process::ExitCode};

use keyfob::{
    Error,
    internals::{core::Id, world::system::shown},
};

pub(crate) use self::link::astray;
use self::{plan::Plan, tool::Tool};
use crate::{
    args::{Global, How, SetupTool},
    output::{
        report::{Report, Result},
        terminal,
    },
};

pub(crate) fn run(global: &Global, tool: &SetupTool) -> Result {
    let (tool, file, how): (Box<dyn Tool + '_>, &Option<PathBuf>, &How) = match tool {
        SetupTool::Git(args) => (Box::new(git::Git { global, args }), &args.file, &args.how),
        SetupTool::Docker(args) => (Box::new(docker::Docker { global, args }), &args.file, &args.how),
        SetupTool::Cargo(args) => (Box::new(cargo::Cargo { global, args }), &args.file, &args.how),
        SetupTool::Terraform(args) => {
            (Box::new(terraform::Terraform { global, args }), &args.file, &args.how)
        }
        SetupTool::Bazel(args) => (Box::new(bazel::Bazel { global, args }), &args.file, &args.how),
        SetupTool::Pnpm(args) => (Box::new(pnpm::Pnpm { global, args }), &args.file, &args.how),
        SetupTool::ClaudeCode(args) => {
            (Box::new(claude_code::ClaudeCode { global, args }), &args.file, &args.how)
        }
        SetupTool::Codex(args) => (Box::new(codex::Codex { global, args }), &args.file, &args.how),
        SetupTool::Aws(args) => (Box::new(aws::Aws { global, args }), &args.file, &args.how),
        SetupTool::Azure(args) => (Box::new(azure::azure(global, args)?), &None, &args.how),
        SetupTool::Kubernetes(args) => {
            (Box::new(kubernetes::Kubernetes { global, args }), &args.kubeconfig, &args.how)
        }
    };
    set_up(global, &*tool, file.is_some(), how)
}

/// `named`: the file was named for this call, and is perhaps one of several.
fn set_up(global: &Global, tool: &dyn Tool, named: bool, how: &How) -> Result {
    let also = tool.also()?;
    let main = Plan::of(tool, named, how)?;
    let stays = also.as_deref().filter(|_| how.undo && named);
    let also = also.as_deref().filter(|_| stays.is_none());
    let also = also.map(|tool| Plan::of(tool, false, how)).transpose()?;
    // What a file leads to is there before it, and goes after it.
    let mut plans: Vec<_> = also.iter().chain([&main]).collect();
    if how.undo {
        plans.reverse();
    }
    plans.iter().for_each(|plan| plan.show(how));
    if let Some(tool) = stays {
        Report::say(&format!("Stays: {}, which another file may need.", shown(&tool.file()?)));
    }
    let changes = plans.iter().any(|plan| plan.changes());
    if changes && !how.dry_run {
        if !how.yes && terminal::has_person() && !terminal::agrees("Write that?")? {
            let error =
                Error::new(Id::Usage, format!("{} was not changed", shown(&main.path)), "you said no");
            return Err(error.hint("run it again, or change the file yourself as shown").into());
        }
        plans.iter().try_for_each(|plan| plan.write(how))?;
    }
    for plan in plans.iter().filter(|plan| !(how.dry_run && plan.changes())) {
        Report::say(&plan.told(how));
    }
    if how.dry_run && changes {
        Report::say("Nothing was written (`--dry-run`).");
    }
    if !how.dry_run {
        tool.next(how.undo).iter().for_each(|line| Report::say(line));
    }
    if global.json {
        let mut told = main.json(how)?;
        told["also"] = also.map_or(Ok(serde_json::Value::Null), |plan| plan.json(how))?;
        Report::json(&told)?;
    }
    Ok(ExitCode::SUCCESS)
}
