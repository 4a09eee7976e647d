//! Completions and manual pages, made from the parser itself.

use std::{fs, io, path::Path, process::ExitCode};

use clap::CommandFactory;
use keyfob::{Error, Id};

use crate::{
    args::Arguments,
    report::{Report, Result},
};

pub(crate) fn completions(shell: clap_complete::Shell) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "keyfob", &mut script);
    Report::answer(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn manual(out: Option<&Path>, errors: bool) -> Result {
    if errors {
        Report::answer(keyfob::core::error::markdown().trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let failed =
        |error: io::Error| Error::new(Id::Usage, "the manual pages cannot be written", error.to_string());
    match out {
        Some(dir) => {
            fs::create_dir_all(dir).map_err(failed)?;
            clap_mangen::generate_to(Arguments::command(), dir).map_err(failed)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut page).map_err(failed)?;
            Report::answer(String::from_utf8_lossy(&page).trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
