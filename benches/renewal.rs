//! The cost of a renewal beyond the provider's answer: the whole of `keyfob token` with an expired token, with its
//! locks, its separate process and its syncs to a real disk, less the time of the same grant without keyfob.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    stage::{Program, Result, Stage},
    statistics::{median, ms, quantile, ratio},
};

const ROUNDS: usize = 300;

pub(crate) fn run(program: &Program) -> Result<()> {
    let stage = Stage::start(program, Duration::ZERO, None)?;
    let login = stage.sign_in("default")?;
    let mut by_hand = stage.sign_in("other")?.refresh_token()?;
    let mut command = stage.command(&["token"]);
    command.stdout(Stdio::null());
    let (mut renewals, mut answers, mut own) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        login.expire()?;
        let answer = by_hand.round_trip()?;
        let begin = Instant::now();
        if !command.spawn()?.wait()?.success() {
            return Err("a renewal failed".into());
        }
        let renewal = begin.elapsed();
        own.push(renewal.saturating_sub(answer));
        renewals.push(renewal);
        answers.push(answer);
    }
    println!(
        "| renewal, less the provider's response | {} (90th percentile {}) | {:.1} × the response ({}) | under 5 ms |",
        ms(median(&own)),
        ms(quantile(&own, 90)),
        ratio(median(&renewals), median(&answers)),
        ms(median(&answers))
    );
    Ok(())
}
