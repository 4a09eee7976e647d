//! Hints about what a door of an agent does not give. They are told where the agent is asked, and are for where it runs.

use keyfob::internals::core::Cause;

use super::choice::Choice;

pub(super) fn choose(cause: &Cause) -> Option<Choice> {
    let hint = match cause {
        Cause::DoorHost {} => {
            "list the origin under `hosts` of the environment, and of a narrow door (`--host`), if the credential may go there"
        }
        Cause::DoorLogin {} => {
            "ask without naming a profile or an environment, or open a door for that login: `keyfob agent --profile NAME`"
        }
        Cause::DoorNarrow {} => "name the address that the credential is for: `keyfob header --for URL`",
        Cause::DoorRejected {} => {
            "use the token that there is until it ends, or ask through a door without `--no-rejected`"
        }
        Cause::DoorClosed {} => "open it again: `keyfob agent`; `--lifetime` says for how long",
        Cause::DoorStranger {} => "name the user when the agent is started: `keyfob agent --for-uid UID`",
        Cause::NotLent {} => {
            "unset what is used in place of the login, or name the login: `keyfob agent --profile NAME`"
        }
        _ => return None,
    };
    Some(hint.into())
}
