//! `keyfob init`: sets up a provider, then signs in there.

use std::process::ExitCode;

use crate::{
    args::{Global, Init, Login},
    commands::{login, set_up},
    output::{
        report::{Report, Result},
        terminal,
    },
};

pub(crate) fn run(global: &Global, args: &Init) -> Result {
    let Some(done) = set_up::set_up(global, args, !args.no_login)? else { return Ok(ExitCode::SUCCESS) };
    let later = args.no_login || done.asked && !terminal::agrees("Sign in now?")?;
    if global.json && !later {
        // The answer will be that of the sign-in.
        let mut told = done.told.clone();
        told["event"] = "set-up".into();
        Report::event(&told)?;
    }
    if later {
        if global.json {
            Report::json(&done.told)?;
        }
        let name = done.told["environment"].as_str().unwrap_or_default();
        let is_default = done.told["default"] == true;
        let choice = if is_default { String::new() } else { format!("--environment {name} ") };
        Report::say(&format!("Sign in with: `keyfob {choice}login`"));
        return Ok(ExitCode::SUCCESS);
    }
    let login =
        Login { no_browser: args.no_browser, device: args.device, timeout: args.timeout, ..Login::default() };
    login::with_setup(global, &login, done.setup)
}
