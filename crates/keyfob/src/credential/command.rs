//! Reads the output of a configured command.

use zeroize::Zeroizing;

use keyfob_core::error::escape;

use crate::{
    lasting::Wait,
    world::{Heard, World, waiting::Waiting},
};

/// At most this much of a command's messages is passed on.
const MOST_LINES: usize = 20;

/// The output of the command under this key of the configuration. The user is shown that it takes long, and what it
/// writes to its standard error: it may ask them to do something.
pub(crate) fn output(world: &World, key: &str, command: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut wait = Wait::new(world);
    let mut lines = 0;
    let mut hear = |heard: Heard<'_>| match heard {
        Heard::Slow => wait.tell(|| Waiting::Command { key: key.into() }),
        Heard::Said(text) => {
            for line in String::from_utf8_lossy(text).lines().filter(|line| !line.trim().is_empty()) {
                lines += 1;
                match lines {
                    ..=MOST_LINES => (world.notice)(&format!("{key}: {}", escape(line))),
                    n if n == MOST_LINES + 1 => (world.notice)(&format!("{key}: (more is not shown)")),
                    _ => {}
                }
            }
        }
    };
    let ran = world.helper.run(command, &mut hear).map_err(|error| error.to_string())?;
    match ran.failure {
        Some(failure) if ran.said.is_empty() => Err(failure),
        Some(failure) => Err(format!("{failure}; it said: {}", ran.said)),
        None if ran.output.len() > 64 * 1024 => Err("it printed more than 64 KiB".into()),
        None => Ok(ran.output),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use keyfob_core::Timestamp;

    use super::*;
    use crate::world::{
        Helper, Ran,
        simulated::{Machine, Shared},
        waiting::Progress,
    };

    /// A command that takes long, says something, and works.
    struct Slow;

    impl Helper for Slow {
        fn run(&self, _: &str, hear: &mut dyn FnMut(Heard<'_>)) -> io::Result<Ran> {
            hear(Heard::Slow);
            hear(Heard::Said(b"tap your \x1b[31mkey\n"));
            hear(Heard::Said("again\n".repeat(30).as_bytes()));
            let output = Zeroizing::new(b"key".to_vec());
            Ok(Ran { output, said: "again".into(), failure: None })
        }

        fn variable(&self, _: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn whoever_waits_is_told_of_a_slow_command_and_what_it_says() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        let told = heard.clone();
        let world = World {
            helper: Arc::new(Slow),
            progress: Some(Arc::new(move |progress| {
                told.lock().unwrap().push(match progress {
                    Progress::Waiting(what) => format!("waiting for {what}"),
                    Progress::Over => "over".into(),
                });
            })),
            notice: Arc::new(move |text| hears.lock().unwrap().push(text.to_owned())),
            ..Shared::new(Machine::new(Timestamp(1_000_000))).process(1)
        };
        assert_eq!(output(&world, "api_key_helper", "slow").unwrap()[..], b"key"[..]);
        let heard = heard.lock().unwrap();
        assert_eq!(heard[0], "waiting for the configured api_key_helper, which runs for at most a minute");
        assert_eq!(heard[1], "api_key_helper: tap your \\u{1b}[31mkey");
        assert_eq!(heard[2..21], ["api_key_helper: again"; 19]);
        assert_eq!(heard[21..], ["api_key_helper: (more is not shown)", "over"]);
    }
}
