//! The error type: a kind for programs, a stable id for scripts and documentation, a cause from which the program that
//! talks to a person chooses the one thing to do.

use alloc::{
    borrow::Cow,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;

use crate::cause::Cause;

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
    ($($name:ident $word:literal $kind:ident $when:literal,)*) => {
        /// The stable name of one failure. [`Id::ALL`] is the table the documents are made from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Id { $(#[doc = concat!("`", $word, "`: ", $when, ".")] $name,)* }

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

            /// When it happens, for documents.
            #[must_use]
            pub const fn when(self) -> &'static str { match self { $(Id::$name => $when,)* } }
        }
    };
}

ids! {
    Usage "usage" Usage "the command line is not understood, or asks for something that cannot be done",
    VariableMalformed "variable-malformed" Contract "a variable is set to something that it cannot mean",
    VariablesConflict "variables-conflict" Contract "variables that exclude one another are set at the same time",
    UrlNotApproved "url-not-approved" Contract "an address was named that nobody has approved for credentials",
    ApprovedListUnsafe "approved-list-unsafe" Contract "the approved list cannot be trusted: others could have written it, or it cannot be read",
    ApprovedListMalformed "approved-list-malformed" Contract "the approved list has a mistake in it",
    ConfigMalformed "config-malformed" Contract "the configuration file has a mistake in it",
    ConfigUnsafe "config-unsafe" Contract "the configuration file cannot be trusted: others could have written it, or it cannot be read",
    HomeUnsafe "home-unsafe" Contract "a directory that a variable names cannot be trusted with logins",
    CaFileUnsafe "ca-file-unsafe" Contract "SSL_CERT_FILE or SSL_CERT_DIR names certificates that others could change",
    CaFileMalformed "ca-file-malformed" Contract "SSL_CERT_FILE or SSL_CERT_DIR names something that holds no certificates",
    ProxyMalformed "proxy-malformed" Contract "a variable names a proxy that cannot be used",
    EnvironmentUnknown "environment-unknown" Contract "an environment was chosen that is not configured",
    EnvironmentIncomplete "environment-incomplete" Contract "the environment lacks an endpoint that this needs",
    ClientIdMissing "client-id-missing" Contract "there is no client id to sign in with",
    DescriptorNotOpen "descriptor-not-open" Contract "a variable names a descriptor that is not open",
    DescriptorUnusable "descriptor-unusable" Contract "a variable names a descriptor that cannot be read, or must not be read here",
    DescriptorContent "descriptor-content" Contract "a descriptor does not hold exactly one credential",
    SessionFile "session-file" Contract "the file of a session's credential cannot be trusted or read, or holds no token",
    HelperFailed "helper-failed" Contract "the configured `api_key_helper` gave no key",
    ClientSecret "client-secret" Contract "the client's secret cannot be read, or the command that prints it failed",
    ClientKey "client-key" Contract "the client's private key cannot be read, or the command that prints it failed",
    ClientKeyKind "client-key-kind" Contract "the client's private key is of a kind that keyfob cannot sign with, or that the provider does not take",
    ClientAuthUnsupported "client-auth-unsupported" Contract "the provider does not take the way in which the client is to prove itself",
    DeviceGrantOff "device-grant-off" Contract "the configuration forbids signing in with a code on another device",
    AgentUnsafe "agent-unsafe" Contract "the socket of an agent lies where somebody else could put theirs in its place, or is somebody else's",
    SourceExcluded "source-excluded" Contract "the only source that may be used has no credential",
    LoginNeeded "login-needed" LoginNeeded "there is no credential, and a person has to sign in to get one",
    LoginRefused "login-refused" LoginNeeded "the provider has ended the login; the stored record is kept",
    IdTokenMissing "id-token-missing" LoginNeeded "the login has no ID token, or none that is still valid",
    LoginChanged "login-changed" LoginNeeded "the login was replaced or signed out while it was in use",
    SessionEnded "session-ended" LoginNeeded "the credential of a session says itself that it has ended",
    SeedSpent "seed-spent" LoginNeeded "the refresh token in a variable has been used up",
    RejectedStale "rejected-stale" Refused "the newest token was rejected, and another one would be rejected as well",
    LoginDenied "login-denied" Refused "the sign-in was declined",
    CallbackInvalid "callback-invalid" Refused "what came back from the sign-in page cannot be understood",
    StateMismatch "state-mismatch" Refused "what came back belongs to another sign-in than this one",
    IssuerMismatch "issuer-mismatch" Refused "what came back is from another provider than the one that was asked",
    IdTokenInvalid "id-token-invalid" Refused "the ID token is false: nobody must be signed in with it",
    IdTokenUnread "id-token-unread" Refused "the ID token is not understood; the login is valid without it",
    JwtInvalid "jwt-invalid" Refused "a JWT was not signed by who it says it is from, or has ended",
    JwtUnverified "jwt-unverified" Refused "whether a JWT was signed by who it says it is from cannot be found out here",
    OtherAccount "other-account" Refused "another account signed in than the one that is stored or was asked for",
    IdentityTokenMissing "identity-token-missing" Refused "there is no identity token of this machine to exchange, or what is there is none",
    IdentityTokenExpired "identity-token-expired" Refused "the identity token of this machine has expired, and was not exchanged",
    IdentityTokenUsed "identity-token-used" Refused "the identity token of this machine was exchanged before, and is good for one exchange",
    FederationRefused "federation-refused" Refused "the provider does not accept the identity token of this machine, or no rule of it fits",
    ProviderRefused "provider-refused" Refused "the provider answered, and said no",
    AnswerInvalid "answer-invalid" Refused "the provider's answer cannot be used; nothing was lost",
    MetadataInvalid "metadata-invalid" Refused "the provider's metadata is missing, or is not that of this provider",
    AgentRefused "agent-refused" Refused "the agent that KEYFOB_AGENT names gives no such credential through this door",
    ProxyRefused "proxy-refused" Refused "the proxy does not forward this request, or does not know who asks",
    OriginRefused "origin-refused" Refused "the credential is not for this origin, or its address is one that no credential goes to",
    TokenShort "token-short" Refused "the provider gives tokens for less time than was asked for",
    Unreachable "unreachable" Unreachable "no answer came, or the answer was \"later\"",
    CoolingDown "cooling-down" Unreachable "the last attempt failed a short while ago, and the next one has to wait",
    OutcomeUnknown "outcome-unknown" Unreachable "the request was sent and its answer was lost; the login is kept",
    RenewalEnded "renewal-ended" Unreachable "the process that renewed was ended before it asked; nothing was spent",
    AgentAbsent "agent-absent" Unreachable "the agent that KEYFOB_AGENT names does not answer",
    LoginTimeout "login-timeout" Unreachable "nobody finished the sign-in in time",
    LeaseBusy "lease-busy" Store "another process is renewing the login and does not come to an end",
    LocksMissing "locks-missing" Store "the file system of the store has no locks",
    StoreUnsafe "store-unsafe" Store "the stored logins are open to other users, or belong to one",
    StoreCorrupt "store-corrupt" Store "a stored login is damaged; the damaged file was kept",
    StoreNewer "store-newer" Store "a stored login was written by a newer version",
    StoreReadOnly "store-read-only" Store "the stored logins can be read but not changed",
    StoreFailed "store-failed" Store "the disk refused to read or to write",
    KeyStoreUnavailable "key-store-unavailable" Store "the login is sealed, and its key cannot be had",
    SystemFailed "system-failed" Store "this machine is short of open files, memory or processes",
    NoHome "no-home" Store "there is no home directory to keep logins in",
    ExecFailed "exec-failed" Usage "the program could not be started",
    Bug "bug" Bug "something happened that must not happen",
}

/// A failure: what failed (by the user's own name for it), and why.
///
/// `Display` is one line for logs, [`core::error::Error::source`] the system's or a library's own error where there is
/// one. [`Error::cause`] says why as a type, with the data that a program needs to advise a person what to do: only the
/// program knows its own commands, and which of them were used.
///
/// No text in it ever holds a secret or the raw body of a reply. Texts that came from outside are escaped
/// before they are put in (RFC 6749 §5.2 treats `error_description` as untrusted).
///
/// ```
/// use keyfob_core::{Cause, Error, Id};
///
/// let error = Error::new(Id::LoginNeeded, "no login for profile `work`", "nobody signed in yet")
///     .because(Cause::NotSignedIn { profile: "work".into(), environment: "production".into() });
/// assert_eq!(error.exit_code(), 4);
/// assert_eq!(error.to_string(), "no login for profile `work`: nobody signed in yet");
/// assert!(matches!(error.cause(), Some(Cause::NotSignedIn { profile, .. }) if profile == "work"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(alloc::boxed::Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    id: Id,
    what: String,
    why: String,
    cause: Option<Cause>,
    hint: Option<Cow<'static, str>>,
    also: Vec<Error>,
    source: Option<Underneath>,
}

/// The error underneath. Two failures are the same when they say the same, whatever caused them.
#[derive(Clone, Debug)]
struct Underneath(Arc<dyn core::error::Error + Send + Sync>);

impl PartialEq for Underneath {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Underneath {}

impl Error {
    /// A failure.
    pub fn new(id: Id, what: impl Into<String>, why: impl Into<String>) -> Self {
        // Here, so that no path and no word of a provider's has to be remembered: none moves the cursor or forges a line.
        let (what, why) = (harmless(what.into()), harmless(why.into()));
        Self(alloc::boxed::Box::new(Inner {
            id,
            what,
            why: without_number(why),
            cause: None,
            hint: None,
            also: Vec::new(),
            source: None,
        }))
    }

    /// A failure that another error caused: that one says why, and is the [`core::error::Error::source`]. Only for
    /// errors whose text holds neither a secret nor anything from outside.
    pub fn caused_by(
        id: Id,
        what: impl Into<String>,
        cause: impl core::error::Error + Send + Sync + 'static,
    ) -> Self {
        let mut error = Self::new(id, what, cause.to_string());
        error.0.source = Some(Underneath(Arc::new(cause)));
        error
    }

    /// The same, with its cause.
    #[must_use]
    pub fn because(mut self, cause: Cause) -> Self {
        self.0.cause = Some(cause);
        self
    }

    /// The same, with its cause where that is known.
    #[must_use]
    pub fn maybe_because(self, cause: impl Into<Option<Cause>>) -> Self {
        match cause.into() {
            Some(cause) => self.because(cause),
            None => self,
        }
    }

    /// The same with the advice of the program that reports it. The library gives none: it gives a [`Cause`].
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(match hint.into() {
            Cow::Owned(text) => Cow::Owned(harmless(text)),
            ours => ours,
        });
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

    /// Why, as a type, where that is known.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        self.0.cause.as_ref()
    }

    /// The text given to [`Error::hint`].
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
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

/// The text of a system's error without the number that is added to it: a person cannot do anything with that, and
/// `source` has it.
fn without_number(mut text: String) -> String {
    const BEFORE: &str = " (os error ";
    while let Some(start) = text.find(BEFORE) {
        let number = &text[start + BEFORE.len()..];
        match number.find(')') {
            Some(end) if number[..end].bytes().all(|b| b.is_ascii_digit()) => {
                text.replace_range(start..=start + BEFORE.len() + end, "");
            }
            _ => break,
        }
    }
    text
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
    fn every_id_is_a_word_with_a_meaning() {
        let words: BTreeSet<_> = Id::ALL.iter().map(|id| id.word()).collect();
        assert_eq!(words.len(), Id::ALL.len(), "two ids share a word");
        for id in Id::ALL {
            assert!(id.word().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", id.word());
            assert!(!id.when().is_empty() && !id.when().ends_with('.'), "{}", id.word());
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

    /// A number is of no use to the user, and a sentence goes on after it.
    #[test]
    fn the_number_of_a_system_error_is_left_out() {
        let said = |why: &str| Error::new(Id::StoreFailed, "a", why).why().to_string();
        assert_eq!(said("No such file or directory (os error 2)"), "No such file or directory");
        assert_eq!(said("x: Not permitted (os error 1); y (os error 13)!"), "x: Not permitted; y!");
        assert_eq!(said("it said (os error two)"), "it said (os error two)");
    }

    #[test]
    fn causes_are_words_with_meanings_and_survive_being_handed_on() {
        let samples = Cause::samples();
        let words: BTreeSet<_> = samples.iter().map(Cause::word).collect();
        assert_eq!(words.len(), samples.len(), "two causes share a word");
        for cause in samples {
            assert!(!cause.when().is_empty() && !cause.when().ends_with('.'), "{}", cause.word());
            let text = serde_json::to_string(&cause).expect("it can be written");
            assert_eq!(serde_json::from_str::<Cause>(&text).expect("it can be read"), cause, "{text}");
        }
    }

    #[test]
    fn text_from_outside_cannot_move_the_cursor() {
        let error =
            Error::new(Id::Usage, "/x\u{1b}[2J\nerror: all is well", "a\rb").hint(String::from("c\u{7}d"));
        assert_eq!(error.what(), "/x\\u{1b}[2J\\u{a}error: all is well");
        assert_eq!((error.why(), error.advice()), ("a\\u{d}b", Some("c\\u{7}d")));
        assert_eq!(escape("a\u{1b}[2Jb\u{202e}c\u{9b}"), "a\\u{1b}[2Jb\\u{202e}c\\u{9b}");
        assert_eq!(escape(&"x".repeat(300)).chars().count(), 201);
    }

    #[test]
    fn each_kind_has_a_title_of_its_own() {
        let titles: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.title()).collect();
        assert!(titles.len() == Kind::ALL.len() && !titles.contains(""), "{titles:?}");
    }

    /// Failures are compared by what they say: an error underneath cannot be compared.
    #[test]
    fn a_cause_says_why_and_is_the_source() {
        let error = || Error::caused_by(Id::Usage, "a", core::fmt::Error);
        assert_eq!(error(), error());
        assert_ne!(
            error(),
            Error::new(Id::Usage, "a", error().why()),
            "one is caused by another, one is not"
        );
        let source = core::error::Error::source(&error()).map(ToString::to_string);
        assert_eq!(source.as_deref(), Some(error().why()));
        assert!(core::error::Error::source(&Error::new(Id::Usage, "a", "b")).is_none());
    }
}
