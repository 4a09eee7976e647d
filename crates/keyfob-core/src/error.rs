//! The error type: a kind for programs, a stable id for scripts and documentation, three lines for people.

use alloc::{
    borrow::Cow,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;

/// What sort of failure it is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The command line makes no sense.
    Usage,
    /// A variable, a configuration file or an approved list is malformed, contradictory or unsafe.
    Contract,
    /// A person has to sign in.
    LoginNeeded,
    /// The provider answered and said no, or answered something that must not be believed.
    Refused,
    /// No answer, or "later". Everything is kept; trying again is right.
    Unreachable,
    /// The disk, its locks or its permissions; what the machine is short of.
    Store,
    /// A bug in keyfob.
    Bug,
}

impl Kind {
    /// Every kind, in the order of the exit codes.
    pub const ALL: &[Self] = &[
        Self::Usage,
        Self::Contract,
        Self::LoginNeeded,
        Self::Refused,
        Self::Unreachable,
        Self::Store,
        Self::Bug,
    ];

    /// What it is about, in the words of the documents.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Usage => "wrong usage of the command line",
            Self::Contract => "a wrong variable or configuration file",
            Self::LoginNeeded => "a person has to sign in",
            Self::Refused => "refused by the provider",
            Self::Unreachable => "unreachable, or asked to wait; nothing is lost",
            Self::Store => "the store, or this machine",
            Self::Bug => "a bug in keyfob",
        }
    }

    /// The exit code of the command, stable across versions.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Contract => 3,
            Self::LoginNeeded => 4,
            Self::Refused => 5,
            Self::Unreachable => 6,
            Self::Store => 7,
            Self::Bug => 70,
        }
    }
}

macro_rules! ids {
    ($($name:ident $word:literal $kind:ident $advice:literal,)*) => {
        /// The stable name of one failure. [`Id::ALL`] is the table the documents are made from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Id { $(#[doc = concat!("`", $word, "`: ", $advice)] $name,)* }

        impl Id {
            /// Every id, in the order of the documents.
            pub const ALL: &[Id] = &[$(Id::$name,)*];

            /// The word scripts match on.
            #[must_use]
            pub const fn word(self) -> &'static str { match self { $(Id::$name => $word,)* } }

            /// The id of this word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|id| id.word() == word)
            }

            /// What sort of failure it is.
            #[must_use]
            pub const fn kind(self) -> Kind { match self { $(Id::$name => Kind::$kind,)* } }

            /// The one thing to do, where the place that failed knows nothing better.
            #[must_use]
            pub const fn advice(self) -> &'static str { match self { $(Id::$name => $advice,)* } }
        }
    };
}

ids! {
    Usage "usage" Usage "see `keyfob --help`",
    VariableMalformed "variable-malformed" Contract "correct the variable or unset it; `keyfob env` shows all of them",
    VariablesConflict "variables-conflict" Contract "unset all of them but one",
    UrlNotApproved "url-not-approved" Contract "ask whoever runs this machine to add it to /etc/keyfob/approved.toml, or pass `--approved FILE`",
    ApprovedListUnsafe "approved-list-unsafe" Contract "make the file writable by its owner alone",
    ApprovedListMalformed "approved-list-malformed" Contract "correct the file; docs/configuration.md shows one",
    ConfigMalformed "config-malformed" Contract "correct the file; docs/configuration.md shows one",
    ConfigUnsafe "config-unsafe" Contract "make yourself the owner of the file, and the only one who can write it",
    HomeUnsafe "home-unsafe" Contract "choose a directory of your own outside the repository, or choose this one explicitly with `--home DIR`",
    CaFileUnsafe "ca-file-unsafe" Contract "name certificates outside the repository, where no other user can write, or unset it",
    CaFileMalformed "ca-file-malformed" Contract "name the absolute path of a file of PEM certificates (or of a directory of them), or unset it",
    ProxyMalformed "proxy-malformed" Contract "write it as http://host:port, or unset it",
    EnvironmentUnknown "environment-unknown" Contract "define it in the configuration file under `environments`",
    EnvironmentIncomplete "environment-incomplete" Contract "add the missing endpoint to the configuration file under `environments`",
    ClientIdMissing "client-id-missing" Contract "use an API key, a token from the vendor's own `setup-token` in CLAUDE_CODE_OAUTH_TOKEN, or set CLAUDE_CODE_OAUTH_CLIENT_ID to a client registered for you",
    DescriptorNotOpen "descriptor-not-open" Contract "open it for this process (for example 3<FILE), or unset the variable",
    DescriptorUnusable "descriptor-unusable" Contract "pass a readable pipe, socket or file",
    DescriptorContent "descriptor-content" Contract "write one token and nothing else to it",
    HelperFailed "helper-failed" Contract "run the configured api_key_helper by hand and look at its output",
    ClientSecret "client-secret" Contract "make the file readable by you alone (chmod 600), or run the command by hand and look at its output",
    DeviceGrantOff "device-grant-off" Contract "use `keyfob login --no-browser`, which accepts a pasted code, or change the configuration",
    SourceExcluded "source-excluded" Contract "drop `--only`, or provide that source",
    LoginNeeded "login-needed" LoginNeeded "run `keyfob login`",
    LoginRefused "login-refused" LoginNeeded "sign in again: `keyfob login`",
    LoginChanged "login-changed" LoginNeeded "try again: the login was replaced or signed out in the meantime",
    SeedSpent "seed-spent" LoginNeeded "create a new refresh token, and keep the store on a persistent volume",
    RejectedStale "rejected-stale" Refused "the newest token was rejected right after it was issued; check the response of the API",
    LoginDenied "login-denied" Refused "try again, and approve the request on the page",
    CallbackInvalid "callback-invalid" Refused "start again with `keyfob login`",
    StateMismatch "state-mismatch" Refused "paste the code from the page that this run opened",
    IssuerMismatch "issuer-mismatch" Refused "do not continue: the response came from a different provider",
    IdTokenInvalid "id-token-invalid" Refused "do not continue: somebody else may have been signed in; report it to the provider",
    IdTokenUnread "id-token-unread" Refused "continue: the login is valid; only its account may be unknown",
    OtherAccount "other-account" Refused "sign in as the account that is wanted, or say `--replace` to put this one in its place",
    ProviderRefused "provider-refused" Refused "see the provider's message above; `keyfob doctor` checks the setup",
    AnswerInvalid "answer-invalid" Refused "report it to the provider; nothing was lost",
    MetadataInvalid "metadata-invalid" Refused "set the endpoints in the configuration or in the approved list",
    TokenShort "token-short" Refused "ask for less with `--min-valid`, or renew more often",
    Unreachable "unreachable" Unreachable "check the network and the proxy, then try again; the login is kept",
    CoolingDown "cooling-down" Unreachable "wait as long as stated; the login is kept",
    OutcomeUnknown "outcome-unknown" Unreachable "try again; the login is kept, and asked for again after growing pauses",
    RenewalEnded "renewal-ended" Unreachable "try again; nothing was spent and the login is kept",
    LoginTimeout "login-timeout" Unreachable "start again with `keyfob login`; `--no-browser` accepts a pasted code",
    LeaseBusy "lease-busy" Store "wait for that process, or end it; nothing was changed",
    LocksMissing "locks-missing" Store "keep the store on a local filesystem: set KEYFOB_HOME to a directory there",
    StoreUnsafe "store-unsafe" Store "restrict it to yourself: chmod 700 the directory, chmod 600 the files",
    StoreCorrupt "store-corrupt" Store "sign in again; the damaged file was kept",
    StoreNewer "store-newer" Store "use the newer keyfob that wrote it",
    StoreReadOnly "store-read-only" Store "make the store writable; the login is kept",
    StoreFailed "store-failed" Store "make room or mend the disk, then try again; the login is kept",
    KeyStoreUnavailable "key-store-unavailable" Store "make the key store reachable and unlock it, then try again; the login is kept",
    SystemFailed "system-failed" Store "free what this machine is short of (open files, memory, processes), then try again; the login is kept",
    NoHome "no-home" Store "set HOME or KEYFOB_HOME",
    ExecFailed "exec-failed" Usage "check the command after `--`",
    Bug "bug" Bug "please report it with the lines above",
}

/// A failure: what failed (by the user's own name for it), why, and one thing to do.
///
/// `Display` is one line for logs, [`core::error::Error::source`] the system's or a library's own error where there is
/// one. The command prints [`Error::what`], [`Error::why`] and [`Error::advice`] on three lines.
///
/// No text in it ever holds a secret or the raw body of a reply. Texts that came from outside are escaped
/// before they are put in (RFC 6749 §5.2 treats `error_description` as untrusted).
///
/// ```
/// use keyfob_core::{Error, Id};
///
/// let error = Error::new(Id::LoginNeeded, "no login for profile `work`", "nobody signed in yet");
/// assert_eq!(error.exit_code(), 4);
/// assert_eq!(error.to_string(), "no login for profile `work`: nobody signed in yet");
/// assert_eq!(error.advice(), "run `keyfob login`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(alloc::boxed::Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    id: Id,
    what: String,
    why: String,
    hint: Cow<'static, str>,
    also: Vec<Error>,
    source: Option<Cause>,
}

/// The error underneath. Two failures are the same when they say the same, whatever caused them.
#[derive(Clone, Debug)]
struct Cause(Arc<dyn core::error::Error + Send + Sync>);

impl PartialEq for Cause {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Cause {}

impl Error {
    /// A failure with the advice of its id.
    pub fn new(id: Id, what: impl Into<String>, why: impl Into<String>) -> Self {
        let hint = Cow::Borrowed(id.advice());
        // Here, so that no path and no word of a provider's has to be remembered: none moves the cursor or forges a line.
        let (what, why) = (harmless(what.into()), harmless(why.into()));
        Self(alloc::boxed::Box::new(Inner { id, what, why, hint, also: Vec::new(), source: None }))
    }

    /// A failure that another error caused: that one says why, and is the [`core::error::Error::source`]. Only for
    /// errors whose text holds neither a secret nor anything from outside.
    pub fn caused_by(
        id: Id,
        what: impl Into<String>,
        cause: impl core::error::Error + Send + Sync + 'static,
    ) -> Self {
        let mut error = Self::new(id, what, cause.to_string());
        error.0.source = Some(Cause(Arc::new(cause)));
        error
    }

    /// The same with better advice than the table has.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = match hint.into() {
            Cow::Owned(text) => Cow::Owned(harmless(text)),
            ours => ours,
        };
        self
    }

    /// One error out of all that were found: people correct everything in one go.
    #[must_use]
    pub fn all(errors: Vec<Error>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let mut first = errors.next()?;
        first.0.also.extend(errors);
        Some(first)
    }

    /// The stable name.
    #[must_use]
    pub fn id(&self) -> Id {
        self.0.id
    }

    /// The sort of failure, for programs that decide.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.id.kind()
    }

    /// The exit code of the command.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.kind().exit_code()
    }

    /// What failed, by the user's own name for it.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Why.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.0.why
    }

    /// One thing to do.
    #[must_use]
    pub fn advice(&self) -> &str {
        &self.0.hint
    }

    /// The other failures found in the same look, without this one.
    #[must_use]
    pub fn also(&self) -> &[Error] {
        &self.0.also
    }

    /// One line, for JSON and logs: what `Display` shows, without the other failures.
    #[must_use]
    pub fn message(&self) -> String {
        alloc::format!("{}: {}", self.what(), self.why())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what(), self.why())?;
        self.also().iter().try_for_each(|other| write!(f, "; {other}"))
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.0.source.as_ref().map(|cause| &*cause.0 as _)
    }
}

/// Makes text from outside harmless for a terminal, a log and a three-line error: control, bidirectional
/// and invisible characters are escaped, and it ends after 200 characters.
#[must_use]
pub fn escape(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => escape_whole(&text[..end]) + "…",
        None => escape_whole(text),
    }
}

fn harmless(text: String) -> String {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) { text } else { escape_whole(&text) }
}

/// The same for text of any length.
#[must_use]
pub fn escape_whole(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
        if c.is_control() || hidden {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeSet, string::ToString, vec};

    #[test]
    fn every_id_is_a_word_with_advice() {
        let words: BTreeSet<_> = Id::ALL.iter().map(|id| id.word()).collect();
        assert_eq!(words.len(), Id::ALL.len(), "two ids share a word");
        for id in Id::ALL {
            assert!(id.word().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", id.word());
            assert!(!id.advice().is_empty() && !id.advice().ends_with('.'), "{}", id.word());
        }
    }

    #[test]
    fn all_problems_are_told() {
        let one = Error::new(Id::VariableMalformed, "A", "a");
        let two = Error::new(Id::VariableMalformed, "B", "b");
        let both = Error::all(vec![one, two]).expect("two");
        assert_eq!(both.to_string(), "A: a; B: b");
        assert_eq!(Error::all(vec![]), None);
    }

    #[test]
    fn text_from_outside_cannot_move_the_cursor() {
        let error =
            Error::new(Id::Usage, "/x\u{1b}[2J\nerror: all is well", "a\rb").hint(String::from("c\u{7}d"));
        assert_eq!(error.what(), "/x\\u{1b}[2J\\u{a}error: all is well");
        assert_eq!((error.why(), error.advice()), ("a\\u{d}b", "c\\u{7}d"));
        assert_eq!(escape("a\u{1b}[2Jb\u{202e}c\u{9b}"), "a\\u{1b}[2Jb\\u{202e}c\\u{9b}");
        assert_eq!(escape(&"x".repeat(300)).chars().count(), 201);
    }
}
