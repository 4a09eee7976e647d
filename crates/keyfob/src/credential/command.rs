//! Reads the output of a configured command.

use zeroize::Zeroizing;

use crate::world::World;

/// What the command under this key of the configuration prints. That it takes long, and what it says on its standard
/// error although all is well, reaches the person: it may ask them to do something.
pub(crate) fn output(world: &World, key: &str, command: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let slow = || (world.notice)(&format!("The configured {key} has been running for ten seconds."));
    let ran = world.helper.run(command, &slow).map_err(|error| error.to_string())?;
    match ran.failure {
        Some(failure) if ran.said.is_empty() => Err(failure),
        Some(failure) => Err(format!("{failure}; it said: {}", ran.said)),
        None if ran.output.len() > 64 * 1024 => Err("it printed more than 64 KiB".into()),
        None => {
            if !ran.said.is_empty() {
                (world.notice)(&format!("{key}: {}", ran.said));
            }
            Ok(ran.output)
        }
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
    };

    /// A command that takes long, says something, and works.
    struct Slow;

    impl Helper for Slow {
        fn run(&self, _: &str, slow: &dyn Fn()) -> io::Result<Ran> {
            slow();
            let output = Zeroizing::new(b"key".to_vec());
            Ok(Ran { output, said: "tap your key".into(), failure: None })
        }

        fn variable(&self, _: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn whoever_waits_is_told_of_a_slow_command_and_what_it_says() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        let world = World {
            helper: Arc::new(Slow),
            notice: Arc::new(move |text| hears.lock().unwrap().push(text.to_owned())),
            ..Shared::new(Machine::new(Timestamp(1_000_000))).process(1)
        };
        assert_eq!(output(&world, "api_key_helper", "slow").unwrap()[..], b"key"[..]);
        let expected = [
            "The configured api_key_helper has been running for ten seconds.",
            "api_key_helper: tap your key",
        ];
        assert_eq!(heard.lock().unwrap()[..], expected);
    }
}
