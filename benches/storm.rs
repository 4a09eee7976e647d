//! The storm: many processes at once with an expired token, compared with as many with a fresh one and one round trip.

use std::{
    io::Read,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use crate::{
    stage::{Program, Result, Stage},
    statistics::{median, ms, ratio},
};

/// A provider across the country.
const LATENCY: Duration = Duration::from_millis(100);

pub(crate) fn run(program: &Program) -> Result<()> {
    let stage = Stage::start(program, LATENCY, None)?;
    let login = stage.sign_in("default")?;
    let mut by_hand = stage.sign_in("other")?.refresh_token()?;
    for (processes, rounds) in [(64, 15), (512, 7)] {
        let (mut fresh, mut ended, mut trips) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            fresh.push(storm(&stage, processes)?);
            trips.push(by_hand.round_trip()?);
            login.expire()?;
            ended.push(storm(&stage, processes)?);
        }
        let (fresh, ended, trip) = (median(&fresh), median(&ended), median(&trips));
        println!(
            "| {processes} processes at once, token expired | {} | **{:.2} ×** (fresh token, {}, plus a round trip, {}) | 1.2 × |",
            ms(ended),
            ratio(ended, fresh + trip),
            ms(fresh),
            ms(trip)
        );
    }
    Ok(())
}

/// From the first start to the last end. All must get the same token: then one of them renewed, or none.
fn storm(stage: &Stage<'_>, processes: usize) -> Result<Duration> {
    let mut command = stage.command(&["token"]);
    command.stdout(Stdio::piped());
    let begin = Instant::now();
    let children: Vec<Child> = (0..processes).map(|_| command.spawn()).collect::<Result<_, _>>()?;
    let mut tokens = Vec::new();
    for mut child in children {
        let mut token = String::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_string(&mut token)?;
        }
        if !child.wait()?.success() {
            return Err("a process of the storm failed".into());
        }
        tokens.push(token);
    }
    let time = begin.elapsed();
    tokens.dedup();
    if tokens.len() == 1 { Ok(time) } else { Err("the storm got more than one token".into()) }
}
