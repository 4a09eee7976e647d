//! `keyfob device enroll|status|forget`: trusted devices.

use std::process::ExitCode;

use keyfob::{
    Error,
    internals::{core::contract::names, trusted_device::Forgotten, world::system::machine_name},
};

use crate::{
    args::{Device, DeviceCommand, Global},
    output::report::{Report, Result},
    session,
};

pub(crate) fn run(global: &Global, args: &Device) -> Result {
    let setup = session::setup(global);
    setup.check_network()?;
    let client = session::client(global, setup);
    match &args.command {
        DeviceCommand::Enroll { name } => {
            let device = client.enroll_device(&name.clone().unwrap_or_else(machine_name))?;
            let end = device.expires_at.map(|end| end.to_string());
            if global.json {
                Report::json(&serde_json::json!({ "device_id": device.id, "expires_at": end }))?;
            } else {
                let end = end.unwrap_or_default();
                Report::say(&format!("This machine is a trusted device until {end}."));
            }
            Ok(ExitCode::SUCCESS)
        }
        DeviceCommand::Status => {
            let device = client.device()?;
            if global.json {
                Report::json(&serde_json::json!({
                    "enrolled": device.is_some(),
                    "from": device.as_ref().map(|d| if d.id.is_some() { "store" } else { names::DEVICE_TOKEN }),
                    "device_id": device.as_ref().and_then(|d| d.id.clone()),
                    "expires_at": device.as_ref().and_then(|d| d.expires_at).map(|end| end.to_string()),
                }))?;
            } else {
                Report::answer(&match &device {
                    None => "Not a trusted device. Run `keyfob device enroll`.".into(),
                    Some(d) if d.id.is_none() => format!("{} names this device.", names::DEVICE_TOKEN),
                    Some(d) => format!(
                        "A trusted device until {}.",
                        d.expires_at.map(|end| end.to_string()).unwrap_or_default()
                    ),
                })?;
            }
            Ok(ExitCode::from(u8::from(device.is_none())))
        }
        DeviceCommand::Forget => {
            let forgotten = client.forget_device()?;
            if let Forgotten::OnlyHere(error) = &forgotten {
                let what = "the token was removed here, but the provider still lists this device";
                Report::warn(
                    &Error::new(error.id(), what, error.why()).hint("take it off on the provider's own page"),
                );
            }
            if global.json {
                let provider = match &forgotten {
                    Forgotten::Nothing => None,
                    Forgotten::Everywhere => Some("confirmed"),
                    Forgotten::OnlyHere(_) => Some("failed"),
                };
                let report = serde_json::json!({ "forgotten": provider.is_some(), "provider": provider });
                Report::json(&report)?;
            }
            match forgotten {
                Forgotten::Nothing => Report::say("There was no device token to forget."),
                Forgotten::Everywhere => Report::say("This machine is no longer a trusted device."),
                Forgotten::OnlyHere(_) => {}
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}
