//! `keyfob init`: sets up a provider, then signs in there.

use std::process::ExitCode;

use keyfob::{Error, internals::core::Id};

use crate::{
    args::{Global, Init, Login},
    commands::{browser, login, set_up},
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
    // A browser can be missing while a job runs this: what was written stays, and that is said.
    let opens = !args.no_browser && !args.device;
    if opens && let Some(why) = browser::not_possible(&done.setup) {
        let name = done.told["environment"].as_str().unwrap_or_default();
        login::somebody(&why).map_err(|_| nobody_yet(name, &why))?;
    }
    let login =
        Login { no_browser: args.no_browser, device: args.device, timeout: args.timeout, ..Login::default() };
    login::with_setup(global, &login, done.setup)
}

fn nobody_yet(environment: &str, no_browser: &str) -> Error {
    let what = format!("environment `{environment}` is set up, but nobody is here to sign in to it");
    let why = format!("{no_browser}; and there is no terminal, and nothing on standard input");
    Error::new(Id::LoginNeeded, what, why).hint(
        "sign in where somebody is: `keyfob login --device` needs no browser here; a job that only sets up says `--no-login`",
    )
}
