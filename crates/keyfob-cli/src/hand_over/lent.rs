//! A credential that an agent lends, where there is no login at hand. `KEYFOB_AGENT` names its socket.

use keyfob::{Error, internals::setup::Setup};

#[cfg(not(feature = "serve"))]
pub(crate) use without::{instead, is_named};

#[cfg(feature = "serve")]
pub(crate) use with::{Place, instead, is_named, judge, named, said, told};

/// Whose login an agent lends, as `status` and `whoami` tell it.
pub(crate) struct Lender {
    pub(crate) socket: String,
    pub(crate) door: String,
    pub(crate) environment: String,
    pub(crate) profile: String,
    pub(crate) account: Option<String>,
    pub(crate) handle: Option<String>,
    pub(crate) expires_in: Option<i64>,
    /// Why there is no token now.
    pub(crate) problem: Option<Error>,
}

/// The agent that is named, as it is now. `None`: none is named.
pub(crate) fn lender(setup: &Setup) -> Option<Result<Lender, Error>> {
    #[cfg(feature = "serve")]
    return with::lender(setup);
    #[cfg(not(feature = "serve"))]
    let _ = setup;
    #[cfg(not(feature = "serve"))]
    None
}

/// A build that has no agent and asks none.
#[cfg(not(feature = "serve"))]
mod without {
    use keyfob::{Client, Error, Grant, Purpose};

    use crate::args::{Global, Wanted};

    pub(crate) fn instead(
        error: Error,
        _: &Global,
        _: &Client,
        _: Purpose,
        _: &Wanted,
        _: Option<&str>,
    ) -> Result<Grant, Error> {
        Err(error)
    }

    pub(crate) fn is_named(_: &Client) -> bool {
        false
    }
}

#[cfg(feature = "serve")]
mod with {
    use std::{
        ffi::OsStr,
        fmt, fs,
        os::{
            fd::{IntoRawFd as _, OwnedFd, RawFd},
            unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
        },
        path::{Path, PathBuf},
        time::Duration,
    };

    use keyfob::{
        Client, Error, Grant, Purpose, Source,
        internals::{
            core::{Cause, Id},
            credential::grant::{Lent, lent},
            setup::Setup,
            world::{
                Clock as _,
                system::{clock::SystemClock, env as environment, fd, shown},
            },
        },
    };
    use keyfob_serve::{Answer, Asked, Line, Refused};
    use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};

    use super::Lender;
    use crate::{
        args::{Global, Rejected, Wanted},
        session::chosen_by_a_variable,
    };

    const VARIABLE: &str = "KEYFOB_AGENT";

    /// What an agent lends, if one is named and there is nothing else to use; otherwise the error as it was. With the origin
    /// that it is to go to, the agent judges whether it may: the environment is the agent's, and may be another than ours.
    pub(crate) fn instead(
        error: Error,
        global: &Global,
        client: &Client,
        purpose: Purpose,
        wanted: &Wanted,
        origin: Option<&str>,
    ) -> Result<Grant, Error> {
        // A device's token, which goes with a remote connection, is never lent.
        if purpose != Purpose::Api || !is_without_login(&error, client) {
            return Err(error);
        }
        let Some(place) = named(client.setup()) else { return Err(error) };
        let place = place?;
        let rejected = match &wanted.rejected {
            Some(Rejected::Login(generation)) => Some(generation.clone()),
            _ => None,
        };
        let setup = client.setup();
        let asked = Asked {
            profile: setup.pinned.then(|| setup.profile_name().to_owned()),
            environment: chosen_environment(global, setup),
            min_valid: Duration::from_secs(wanted.min_valid.unsigned_abs()),
            rejected,
            origin: origin.map(str::to_owned),
            wait: wanted.within.or_else(|| (wanted.wait > 0).then(|| Duration::from_secs(wanted.wait))),
        };
        let granted = place.line().token(&asked).map_err(|refused| told(&place, refused))?;
        let by = match &granted.profile {
            Some(profile) => format!("lent by the agent at {place}: profile `{profile}` there"),
            None => format!("lent by the agent at {place}"),
        };
        Ok(lent(
            purpose,
            Lent {
                credential: granted.token,
                headers: granted.headers.into_iter().map(|(name, value)| (name.into(), value)).collect(),
                generation: granted.generation,
                profile: granted.profile,
                // By its own count, whatever the two clocks say.
                expires_at: granted.expires_in.map(|left| SystemClock.now().plus(left)),
                warning: granted.warning.map(|warning| said(&place, warning)),
                by,
            },
        ))
    }

    /// Whether an agent would be asked if nobody has signed in here.
    pub(crate) fn is_named(client: &Client) -> bool {
        named(client.setup()).is_some()
    }

    /// Whether it failed because nobody has signed in here, and for no other reason.
    fn is_without_login(error: &Error, client: &Client) -> bool {
        match error.id() {
            Id::LoginNeeded => matches!(error.cause(), Some(Cause::NotSignedIn { .. })),
            Id::SourceExcluded => client.confined_to() == Some(Source::Login),
            _ => false,
        }
    }

    /// The environment that was chosen here, if one was: an agent for another one is not to answer.
    fn chosen_environment(global: &Global, setup: &Setup) -> Option<String> {
        let is_chosen = global.environment.is_some()
            || environment::variables().text("KEYFOB_ENVIRONMENT").is_some_and(|text| !text.is_empty())
            || chosen_by_a_variable(&setup.settings).is_some()
            || setup.config.environment.is_some();
        setup.environment.as_ref().filter(|_| is_chosen).map(|environment| environment.name.clone())
    }

    pub(super) fn lender(setup: &Setup) -> Option<Result<Lender, Error>> {
        Some(named(setup)?.and_then(|place| {
            let standing = place.line().status().map_err(|refused| told(&place, refused))?;
            Ok(Lender {
                socket: place.to_string(),
                door: standing.door,
                environment: standing.environment,
                profile: standing.profile,
                account: standing.account,
                handle: standing.handle,
                expires_in: standing.expires_in,
                problem: standing.problem.map(|problem| said(&place, problem)),
            })
        }))
    }

    /// Where an agent is.
    pub(crate) enum Place {
        Path(PathBuf),
        /// An inherited descriptor, and its number.
        Descriptor(RawFd, OwnedFd),
    }

    impl Place {
        pub(crate) fn line(&self) -> Line<'_> {
            match self {
                Self::Path(path) => Line::to(path),
                Self::Descriptor(_, descriptor) => Line::through(descriptor),
            }
        }
    }

    impl fmt::Display for Place {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Path(path) => f.write_str(&shown(path)),
                Self::Descriptor(number, _) => write!(f, "descriptor {number}"),
            }
        }
    }

    /// The agent that the variable names, if it is set.
    pub(crate) fn named(setup: &Setup) -> Option<Result<Place, Error>> {
        let octets = environment::variables().path(VARIABLE).filter(|octets| !octets.is_empty())?;
        if let Some(number) = octets.strip_prefix(b"fd:") {
            return Some(inherited(number));
        }
        let path = PathBuf::from(OsStr::from_bytes(octets));
        let what = format!("{VARIABLE} names {}, which is not used", shown(&path));
        Some(judge(setup, &path, what).map(|()| Place::Path(path)))
    }

    /// The descriptor of this number. It stays open, and is inherited by what `exec` runs.
    fn inherited(number: &[u8]) -> Result<Place, Error> {
        let what = || format!("{VARIABLE} is malformed");
        let digits =
            str::from_utf8(number).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()));
        let number: RawFd =
            digits.and_then(|text| text.parse().ok()).filter(|number| *number > 2).ok_or_else(|| {
                Error::new(
                    Id::VariableMalformed,
                    what(),
                    "expected the absolute path of a socket, or fd:N with a number above 2",
                )
            })?;
        let taken = || {
            let there = fd::take(number)?;
            let ours = there.try_clone()?;
            fcntl_setfd(&there, fcntl_getfd(&there)? - FdFlags::CLOEXEC)?;
            // Others below this process use it too.
            let _ = there.into_raw_fd();
            Ok::<_, std::io::Error>(ours)
        };
        let failed = |error| {
            let what = format!("{VARIABLE} names descriptor {number}, which is not open");
            // Some close whatever their children would inherit: Claude Code, and Python's `subprocess` by default.
            Error::caused_by(Id::DescriptorNotOpen, what, error)
                .hint("let what runs between `keyfob exec --agent` and this pass it on, or name an agent's socket instead")
        };
        Ok(Place::Descriptor(number, taken().map_err(failed)?))
    }

    /// Refuses a path where a repository, or another user, could put their own socket.
    pub(crate) fn judge(setup: &Setup, path: &Path, what: String) -> Result<(), Error> {
        setup.around.judge(path).map_err(|refusal| {
            Error::new(Id::AgentUnsafe, what.clone(), refusal.to_string()).maybe_because(refusal.cause(path))
        })?;
        match fs::symlink_metadata(path) {
            Ok(meta) if is_strange(meta.uid()) => {
                let why = format!("it belongs to user {}, who is neither you nor root", meta.uid());
                Err(Error::new(Id::AgentUnsafe, what, why).because(other_owner(path, meta.uid())))
            }
            _ => Ok(()),
        }
    }

    fn is_strange(uid: u32) -> bool {
        uid != 0 && uid != rustix::process::geteuid().as_raw()
    }

    fn strange(path: &Path, owner: u32) -> Error {
        let what = format!("the socket {} is not used", shown(path));
        Error::new(Id::AgentUnsafe, what, format!("user {owner} listens there, who is neither you nor root"))
            .because(other_owner(path, owner))
    }

    fn other_owner(path: &Path, owner: u32) -> Cause {
        Cause::OtherOwner { path: path.display().to_string(), owner, us: rustix::process::geteuid().as_raw() }
    }

    /// Why an agent gave nothing, as an error.
    pub(crate) fn told(place: &Place, refused: Refused) -> Error {
        let what = format!("the agent at {place} does not answer");
        match (refused, place) {
            (Refused::Absent(error), Place::Path(_))
                if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) =>
            {
                Error::caused_by(Id::AgentAbsent, what, error)
                    .hint("start the sandbox with `keyfob exec --agent`, or let it open unix sockets")
            }
            (Refused::Absent(error), _) => Error::caused_by(Id::AgentAbsent, what, error),
            (Refused::Stranger(owner), Place::Path(path)) => strange(path, owner),
            (Refused::Stranger(owner), _) => {
                Error::new(Id::AgentUnsafe, what, format!("it is user {owner}'s"))
            }
            (Refused::Silent, _) => Error::new(Id::AgentAbsent, what, "no answer came in time"),
            (Refused::NoAnswer(why), _) => Error::new(Id::AgentAbsent, what, why),
            (Refused::Said(answer), _) => said(place, answer),
        }
    }

    /// What an agent said, as an error of the same id. What it advises is to be done where it runs.
    pub(crate) fn said(place: &Place, answer: Answer) -> Error {
        let why = format!("{} (says the agent at {place})", answer.why);
        // No command of ours: what was given on this command line is not repeated in it.
        let hint = format!("where the agent runs: {}", answer.hint.replace('`', "'"));
        let cause = answer.cause.as_deref().and_then(of_door);
        Error::new(answer.id.unwrap_or(Id::AgentRefused), answer.what, why).hint(hint).maybe_because(cause)
    }

    /// Why a door gives nothing: of the causes that an agent tells, those that say all in their word.
    fn of_door(word: &str) -> Option<Cause> {
        let all = [
            Cause::DoorHost {},
            Cause::DoorLogin {},
            Cause::DoorNarrow {},
            Cause::DoorRejected {},
            Cause::DoorClosed {},
            Cause::DoorStranger {},
            Cause::NotLent {},
        ];
        all.into_iter().find(|cause| cause.word() == word)
    }
}
