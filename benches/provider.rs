//! How many refresh grants per second the development provider gives on one core, compared with the requests it can
//! answer at all.

use std::time::{Duration, Instant};

use crate::stage::{Program, RefreshToken, Result, Stage};

const CLIENTS: usize = 4;
const TIME: Duration = Duration::from_secs(3);

pub(crate) fn run(program: &Program) -> Result<()> {
    let stage = Stage::start(program, Duration::ZERO, Some(0))?;
    let mut tokens = Vec::new();
    for client in 0..CLIENTS {
        tokens.push(stage.sign_in(&format!("client{client}"))?.refresh_token()?);
    }
    let nothing = count(&stage, &mut tokens, |_, connection| {
        connection.request("GET", "http://localhost/nothing", "").map(|_| ())
    })?;
    let grants = count(&stage, &mut tokens, RefreshToken::spend)?;
    println!(
        "| refresh grants of the development provider, one core | {grants:.0} per second | \
         {:.2} × its empty responses ({nothing:.0} per second) | |",
        grants / nothing
    );
    Ok(())
}

/// How often a second, over a connection each.
fn count(
    stage: &Stage<'_>,
    tokens: &mut [RefreshToken],
    act: fn(&mut RefreshToken, &mut crate::stage::Connection) -> Result<()>,
) -> Result<f64> {
    let connections: Vec<_> = tokens.iter().map(|_| stage.connect()).collect::<Result<_>>()?;
    let begin = Instant::now();
    let counts = std::thread::scope(|scope| {
        let clients = tokens.iter_mut().zip(connections).map(|(token, mut connection)| {
            scope.spawn(move || {
                let mut count = 0_u32;
                while begin.elapsed() < TIME {
                    act(token, &mut connection).map_err(|error| error.to_string())?;
                    count += 1;
                }
                Ok(count)
            })
        });
        let clients: Vec<_> = clients.collect();
        clients
            .into_iter()
            .map(|client| client.join().map_err(|_| "a client failed".to_owned())?)
            .collect::<Result<Vec<u32>, String>>()
    })?;
    Ok(f64::from(counts.iter().sum::<u32>()) / begin.elapsed().as_secs_f64())
}
