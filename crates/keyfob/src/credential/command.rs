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
