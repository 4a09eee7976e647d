//! Hints for errors of which only the id is known.

use keyfob::ErrorId as Id;

use super::{choice::Choice, situation::Situation};

pub(super) fn hint(id: Id, situation: &Situation) -> Choice {
    let kept = |hint: &str| -> Choice { format!("{hint}{}", situation.kept()).into() };
    match id {
        Id::Usage => "see `keyfob --help`",
        Id::VariableMalformed => "correct the variable or unset it; `keyfob env` shows all of them",
        Id::VariablesConflict => "unset all of them but one",
        Id::UrlNotApproved => {
            "ask whoever runs this machine to add it to /etc/keyfob/approved.toml, or pass `--approved FILE`"
        }
        Id::ApprovedListUnsafe => "make the file writable by its owner alone",
        Id::ApprovedListMalformed => "correct the file; `keyfob man config` shows one",
        Id::ConfigMalformed => "correct the file; `keyfob man config` describes every key",
        Id::ConfigUnsafe => "make yourself the owner of the file, and the only one who can write it",
        Id::HomeUnsafe => "choose a directory that is yours alone: `--home DIR`",
        Id::CaFileUnsafe => "name certificates outside the repository, where no other user can write, or unset it",
        Id::CaFileMalformed => {
            "name the absolute path of a file of PEM certificates (or of a directory of them), or unset it"
        }
        Id::ProxyMalformed => "write it as http://HOST:PORT, or unset it",
        Id::EnvironmentUnknown => "define it in the configuration file under `environments`; see `keyfob man config`",
        Id::EnvironmentIncomplete => {
            "add the missing endpoint to the configuration file under `environments`; see `keyfob man config`"
        }
        Id::ClientIdMissing => "name yours: `keyfob init --issuer URL --client-id ID`",
        Id::DescriptorNotOpen => "open it for this process (for example 3<FILE), or unset the variable",
        Id::DescriptorUnusable => "pass a readable pipe, socket or file",
        Id::DescriptorContent => "write one token and nothing else to it",
        Id::HelperFailed => "run the configured api_key_helper by hand and look at its output",
        Id::ClientSecret => "check the file or command that `keyfob man config` describes under `client_secret_file`",
        Id::ClientKey => "check the file or command that `keyfob man config` describes under `client_key_file`",
        Id::ClientKeyKind => {
            "make one of the right kind, for example `openssl genpkey -algorithm EC -pkeyopt \
             ec_paramgen_curve:P-256 -out FILE`, and register its public half"
        }
        Id::ClientAuthUnsupported => "set client_auth to what the provider takes; see `keyfob man config`",
        Id::IdentityTokenMissing => "let whatever gives this machine its identity put a fresh token there, then try again",
        Id::IdentityTokenExpired | Id::IdentityTokenUsed => {
            "have a fresh identity token put in its place, then try again"
        }
        Id::FederationRefused => "compare the rule at the provider with what `keyfob doctor` shows of the identity token",
        Id::DeviceGrantOff => {
            "use `keyfob login --no-browser`, which accepts a pasted code, or change the configuration"
        }
        Id::AgentUnsafe => {
            "let KEYFOB_AGENT name the absolute path of a socket that you or root made, outside the repository"
        }
        Id::AgentRefused => "ask through another door of the agent, or sign in here: `keyfob login`",
        Id::AgentAbsent => "start it where the login is: `keyfob agent`; or sign in here: `keyfob login`",
        Id::ProxyRefused => "ask for what its rules allow (`--allow`), with the token and the address that it gave",
        Id::OriginRefused => {
            "list the origin under `hosts` of the environment, or give `--private` if its address is one of your own network"
        }
        Id::SourceExcluded => "leave `--only` out, or provide that source",
        Id::LoginNeeded => "run `keyfob login`",
        Id::LoginRefused => "sign in again: `keyfob login`",
        Id::SessionFile => "let the runner write one token into a file that only you can read, or unset the variable",
        Id::SessionEnded => "start the session anew, or let its runner keep the file of its credential fresh",
        Id::JwtInvalid => "do not rely on it: ask whoever gave it to you for another one",
        Id::JwtUnverified => "name the keys of its issuer: `keyfob inspect --jwks URL`",
        Id::IdTokenMissing => "sign in with the scope `openid`: `keyfob login`",
        Id::LoginChanged => "try again; `keyfob status` shows who is signed in now",
        Id::SeedSpent => {
            "put a new refresh token into the variable, and keep the logins on a volume that lasts (KEYFOB_HOME)"
        }
        Id::RejectedStale => "look at what the API says in its answer: another token would be rejected as well",
        Id::LoginDenied => "try again, and approve the request on the page",
        Id::CallbackInvalid => "start again: `keyfob login`",
        Id::StateMismatch => "paste the code from the page that this run opened",
        Id::IssuerMismatch => "do not continue: the response came from a different provider",
        Id::IdTokenInvalid => {
            "do not continue: somebody else may have been signed in; report it to the provider"
        }
        Id::IdTokenUnread => "continue: the login is valid; only its account may be unknown",
        Id::OtherAccount => {
            "sign in as the account that is wanted, or give `--replace` to put this one in its place"
        }
        Id::ProviderRefused => "check the set-up: `keyfob doctor`",
        Id::AnswerInvalid => "report it to the provider; nothing was lost",
        Id::MetadataInvalid => "set the endpoints in the configuration file; see `keyfob man config`",
        Id::TokenShort => "ask for less with `--min-valid`, or ask again more often",
        Id::Unreachable => return kept("check the network and the proxy, then try again"),
        Id::CoolingDown => return kept("wait as long as said, or let `keyfob token --wait 60` wait for you"),
        Id::OutcomeUnknown => return kept("try again; the provider is asked after growing pauses"),
        Id::RenewalEnded => return kept("try again; nothing was spent"),
        Id::LoginTimeout => "start again: `keyfob login`",
        Id::LeaseBusy => "wait for that process, or end it; nothing was changed",
        Id::LocksMissing => "keep the logins on a local file system: set KEYFOB_HOME to a directory there",
        Id::StoreUnsafe => "run `keyfob doctor --fix`, which makes the directory and its files yours alone",
        Id::StoreCorrupt => "sign in again: `keyfob login`; the damaged file was kept",
        Id::StoreNewer => "use the newer version that wrote it",
        Id::StoreReadOnly => return kept("make the directory of the logins writable for you"),
        Id::StoreFailed => return kept("check the disk, then try again"),
        Id::KeyStoreUnavailable => {
            return kept("make the key store reachable and unlock it, then try again");
        }
        Id::SystemFailed => {
            return kept("free what this machine is short of (open files, memory, processes), then try again");
        }
        Id::NoHome => "set HOME or KEYFOB_HOME",
        Id::ExecFailed => "check the program after `--`",
        Id::Bug => "please report it with the lines above",
        _ => "see `keyfob man errors`",
    }
    .into()
}
