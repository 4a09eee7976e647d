//! Opens a URL in the browser, from a process that has no credential to pass on. It leaves the session first, so that
//! Ctrl-C and a closed terminal affect the command, not a browser that outlives it.

use std::process::ExitCode;

use keyfob::{Error, internals::core::Id};

use crate::output::report::Result;

pub(super) fn run(url: &str) -> Result {
    let known = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    if !known {
        return Err(Error::new(Id::Usage, "the address cannot be opened", "it is not a web address").into());
    }
    let _ = rustix::process::setsid();
    let opened = webbrowser::open_browser_with_options(
        webbrowser::Browser::Default,
        url,
        webbrowser::BrowserOptions::new().with_suppress_output(true),
    );
    match opened {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Error::caused_by(Id::Unreachable, "no browser could be started", error)
            .hint("open the address yourself")
            .into()),
    }
}
