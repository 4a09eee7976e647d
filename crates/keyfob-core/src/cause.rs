//! Why something failed, as a type: what a program needs to choose the one thing to do.
//!
//! An [`Id`](crate::Id) says what failed. The same failure has several causes (a certificate that is not trusted, a name
//! that is not found), and each wants another remedy. A cause is set where it is known and carries what the remedy has to
//! name, never a secret. It knows nothing of commands and flags: those belong to the program that talks to a person.

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};

use serde::{Deserialize, Serialize};

/// The placeholder for the data of a cause in a document.
trait Sample {
    fn sample(name: &str) -> Self;
}

impl Sample for String {
    fn sample(name: &str) -> Self {
        name.to_uppercase()
    }
}

impl Sample for Vec<String> {
    fn sample(_: &str) -> Self {
        vec!["work".to_owned()]
    }
}

impl Sample for Option<String> {
    fn sample(name: &str) -> Self {
        Some(String::sample(name))
    }
}

impl Sample for Option<i64> {
    fn sample(_: &str) -> Self {
        Some(30)
    }
}

impl Sample for i64 {
    fn sample(_: &str) -> Self {
        30
    }
}

impl Sample for u64 {
    fn sample(_: &str) -> Self {
        7
    }
}

impl Sample for u32 {
    fn sample(_: &str) -> Self {
        1000
    }
}

impl Sample for u16 {
    fn sample(_: &str) -> Self {
        429
    }
}

impl Sample for bool {
    fn sample(_: &str) -> Self {
        false
    }
}

macro_rules! causes {
    ($($name:ident $word:literal { $($field:ident: $kind:ty),* } $when:literal,)*) => {
        /// Why something failed. [`Error::cause`](crate::Error::cause) has it where it is known.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "cause")]
        #[non_exhaustive]
        pub enum Cause {
            $(
                #[doc = concat!("`", $word, "`: ", $when, ".")]
                #[serde(rename = $word)]
                $name {
                    $(
                        #[doc = concat!("The ", stringify!($field), " in question.")]
                        $field: $kind,
                    )*
                },
            )*
        }

        impl Cause {
            /// The word for scripts and documents.
            #[must_use]
            pub const fn word(&self) -> &'static str { match self { $(Self::$name { .. } => $word,)* } }

            /// When it is so, for documents.
            #[must_use]
            pub const fn when(&self) -> &'static str { match self { $(Self::$name { .. } => $when,)* } }

            /// One of each, in the order of the documents, with the names of its data in their place.
            #[must_use]
            pub fn samples() -> Vec<Self> {
                vec![$(Self::$name { $($field: Sample::sample(stringify!($field)),)* },)*]
            }
        }
    };
}

causes! {
    NotSignedIn "not-signed-in" { profile: String, environment: String }
        "nobody has signed in to this profile in this environment",
    LoginEnded "login-ended" { profile: String }
        "the provider has ended the login",
    NoRefreshToken "no-refresh-token" { profile: String }
        "the access token has expired, and nothing can renew it",
    IdTokenScope "id-token-scope" { environment: String }
        "the login was made without the scope that asks for an ID token",
    IdTokenNotSent "id-token-not-sent" {}
        "the provider sent no ID token that could be kept, although one was asked for",
    IdTokenEnded "id-token-ended" { profile: String }
        "the ID token has ended, and renewing the login brought no other",
    IdTokenOfMachine "id-token-of-machine" {}
        "the login is that of a machine's client, which gets no ID token",
    SeedEnded "seed-ended" { variable: String }
        "the login that started from the refresh token in a variable has ended",
    SeedSpent "seed-used" { variable: String }
        "the refresh token in a variable was used before, by somebody whose logins are not kept here",
    NoClientId "no-client-id" { environment: String, vendor: bool }
        "no client id is known for the environment",
    PersonNotWanted "client-credentials" { environment: String }
        "the environment is for a client that asks for itself",
    ProfileName "profile-name" { name: String }
        "this cannot be the name of a profile",

    Declined "declined" {}
        "somebody declined on the page",
    ScopeUnknown "scope-unknown" { scopes: String }
        "the provider does not know a scope that was asked for, or does not allow it to this client",
    RequestRefused "request-refused" {}
        "the provider refused the request before it asked anybody",
    ClientUnknown "client-unknown" { environment: String, client: String, secret: bool }
        "the provider does not know the client, or not with this secret",
    AssertionRefused "assertion-refused" { environment: String, client: String }
        "the provider does not accept what the client signed with its private key",
    ClientAuthOffered "client-auth-offered" { environment: String, offered: String }
        "the provider names the ways in which clients may prove themselves, and the configured one is not among them",
    CodeRefused "code-refused" {}
        "the provider did not accept the code: it had expired, was used before or belongs to another sign-in",
    NotAnAnswer "not-an-answer" {}
        "the text that was pasted is not what the sign-in page gave",
    OtherAttempt "other-attempt" {}
        "the answer belongs to another sign-in",
    NobodyAnswered "nobody-answered" { paste: bool }
        "nobody finished the sign-in in time",
    InputEnded "input-ended" {}
        "nothing can bring the code: standard input has ended, and no callback is waited for",
    CodeExpired "code-expired" {}
        "the code for the other device expired before anybody typed it in",
    NoCodes "no-codes" { environment: String }
        "the provider cannot sign in with a code on another device",
    PortTaken "port-taken" { port: u64 }
        "the callback's port cannot be listened on",
    RotatedKept "rotated-kept" {}
        "the token was exchanged, and the answer is odd otherwise; the new refresh token was kept",
    AnotherAccount "another-account" {}
        "another account signed in than the one that was meant",
    KeptBeside "kept-beside" { profile: String }
        "another account signed in; its login was kept in a profile of its own",
    AccountUnknown "account-unknown" {}
        "the login is good, but whose it is could not be found out",
    TooOldToEnroll "too-old-to-enroll" {}
        "a device can be enrolled only within ten minutes of signing in",
    DeviceTokenSet "device-token-set" { variable: String }
        "a variable holds a device token already",
    DeviceUnreadable "device-unreadable" {}
        "the stored device token cannot be read",
    OpenedTwice "opened-twice" {}
        "the address that begins the sign-in was opened twice",
    AnswerNotTaken "answer-not-taken" {}
        "the page's answer could not be taken by the callback",
    TokenEnded "token-ended" {}
        "the token that came had ended when it arrived",
    NotRevoked "not-revoked" {}
        "the login was removed here, but may still be good at the provider",

    TokenRejected "token-rejected" { status: u16 }
        "the provider does not accept the token",
    TokenNotAllowed "token-not-allowed" { status: u16 }
        "the provider knows the token, but does not let it ask whose it is",
    RejectedSource "rejected-source" { source: String }
        "a credential that is used as it is was rejected, and nothing can renew it",
    RejectedOther "rejected-other" {}
        "the key that was rejected is not the credential in use",
    WouldBeDrained "would-be-drained" {}
        "asking the provider would empty a descriptor that somebody else is to read",
    NoSession "no-session" {}
        "the environment names no address for remote connections",
    ForeignOrigin "foreign-origin" {}
        "a connection was asked for to a host that the credential is not for",
    DoorHost "door-host" {}
        "the credential, or this door of the agent, is not for that host",
    DoorLogin "door-login" {}
        "the door of the agent is for another profile or environment",
    DoorNarrow "door-narrow" {}
        "the door of the agent gives headers for a named request alone",
    DoorRejected "door-rejected" {}
        "the door of the agent renews nothing because it was rejected",
    DoorClosed "door-closed" {}
        "the time of the agent's door is over",
    DoorStranger "door-stranger" {}
        "the door of the agent is not open to this user",
    NotLent "not-lent" {}
        "what would be used where the agent runs is no login, and stays there",
    RejectedNewest "rejected-newest" {}
        "the token was rejected right after it was issued",
    IssuerSpelling "issuer-spelling" { environment: String, configured: String, told: String }
        "the provider calls itself by another issuer than the configuration",
    NoMetadata "no-metadata" { issuer: String }
        "the provider publishes no metadata where the standards put it",
    Busy "busy" { status: u16, seconds: Option<i64> }
        "the provider asked to come back later",
    CoolingDown "wait" { seconds: i64 }
        "an earlier attempt failed, and the pause after it is not over",
    Uncertain "uncertain" {}
        "the answer was lost on the way: the provider may have renewed the login or not",

    NameNotFound "name-not-found" { host: String }
        "the provider's name cannot be resolved",
    ConnectionRefused "connection-refused" { host: String }
        "nothing listens at the provider's address",
    TooSlow "too-slow" { host: String }
        "the provider did not answer in time",
    CutOff "cut-off" { host: String }
        "the connection ended before the answer was whole",
    NoConnection "no-connection" { host: String }
        "there is no way to the provider",
    ProxyFailed "proxy-failed" { proxy: String }
        "the proxy did not connect to the provider",
    ProxyPassword "proxy-password" { proxy: String }
        "the proxy wants a user name and a password",
    CertificateIssuer "certificate-issuer" { host: String }
        "the certificate was issued by an authority that this machine does not trust",
    CertificateExpired "certificate-expired" { host: String }
        "the certificate has expired",
    CertificateEarly "certificate-early" { host: String }
        "the certificate is not valid yet, or this machine's clock is wrong",
    CertificateName "certificate-name" { host: String }
        "the certificate belongs to another host",
    CertificateKind "certificate-kind" { host: String }
        "the certificate is an authority's and cannot be a host's",
    NoCertificates "no-certificates" {}
        "this machine has no certificates to trust",
    NotTls "not-tls" { host: String }
        "the other side does not speak TLS",

    OtherOwner "other-owner" { path: String, owner: u32, us: u32 }
        "the file or directory belongs to another user",
    OpenToOthers "open-to-others" { path: String, mode: u32, directory: bool }
        "other users can reach the file or directory",
    WritableByOthers "writable-by-others" { path: String, mode: u32 }
        "other users can change the file or directory, or what is in it",
    Missing "missing" { path: String }
        "the file or directory does not exist",
    NoPermission "no-permission" { path: String }
        "the system does not permit it",
    ReadOnly "read-only" { path: String }
        "the file system is mounted read-only",
    DiskFull "disk-full" { path: String }
        "the disk is full",
    DiskFailed "disk-failed" { path: String }
        "the disk reports an error",
    Exists "exists" { path: String }
        "a file of that name exists already",
    NotADirectory "not-a-directory" { path: String }
        "it is, or lies below, something that is not a directory",
    NotAFile "not-a-file" { path: String }
        "it is not a regular file",
    SecondName "second-name" { path: String }
        "the file has a second name (a hard link), under which it can be changed",
    NotAbsolute "not-absolute" { path: String }
        "the path is not absolute, and means another place in another directory",
    InRepository "in-repository" { path: String, root: String }
        "the path lies inside a repository, which must not choose it",
    RuntimeRefused "runtime-refused" { path: String }
        "XDG_RUNTIME_DIR names a directory that is not used",
    WorkingDirectoryGone "working-directory-gone" {}
        "the working directory has been removed",
    MachineShort "machine-short" {}
        "this machine is short of memory, open files or processes",
    RecoveredElsewhere "recovered-elsewhere" { path: String }
        "the disk refused it, and it was kept in another place",

    RecoveredLogin "recovered-login" { path: String }
        "the disk refused a new login, and it was kept in another place for a while",
    MountedFile "mounted-file" { path: String }
        "the file was replaced on the other side of a mount",
    TooLong "too-long" { days: u64 }
        "the provider gives no token for so long",
    NameTaken "name-taken" { name: String }
        "a token of that name was created here and has not ended",
    NotMinted "not-minted" {}
        "no token of that name was created here",
    Mendable "mendable" {}
        "it is open to others, and this user can mend it",
    NotesUnreadable "notes-unreadable" { path: String }
        "the notes about tokens that were created here cannot be read",
    SetAside "set-aside" { replaced: bool }
        "a damaged login was set aside",
    Interrupted "interrupted" {}
        "a renewal was interrupted, and left its files behind",
    OwnVariable "own-variable" { variable: String }
        "a variable that only keyfob sets itself holds something else",
    BrowserVariable "browser-variable" {}
        "BROWSER names a program that is not started",
    ConfigSyntax "config-syntax" { path: String, line: u64 }
        "a line of the file is not TOML",
    ConfigKeyUnknown "config-key-unknown" { path: String, line: u64, key: String, nearest: Option<String> }
        "a key of the file is unknown",
    ConfigKeyMisplaced "config-key-misplaced" { path: String, line: u64, key: String, place: String }
        "a key of the file stands in a part that it does not belong to",
    KeyRenamed "key-renamed" { line: String, now: String }
        "a key has another name now",
    ConfigValue "config-value" { path: String, line: u64, key: String }
        "the value of a key is malformed",
    ConfigIsALink "config-is-a-link" { path: String }
        "the configuration file is a link, which is not written through",
    SameDescriptor "same-descriptor" { number: u32 }
        "two variables name the same descriptor",
    EnvironmentNotFound "environment-not-found" { name: String, known: Vec<String> }
        "no environment of that name is configured",
    EnvironmentLacks "environment-lacks" { environment: String, key: String }
        "neither the configuration nor the provider's metadata names an endpoint that is needed",
    CommandFailed "command-failed" { key: String }
        "the configured command failed or printed nothing usable",
    UnitCredentials "unit-credentials" { name: String }
        "the service manager has given this process no credentials, or in a directory that is refused",
    IdentityVariableUnset "identity-variable-unset" { variable: String }
        "the variable that is to hold the identity token is not set",
    IdentityPermission "identity-permission" {}
        "the job of GitHub Actions may not ask for an identity token",
    IdentityNotAsked "identity-not-asked" { status: u16 }
        "the service that issues identity tokens did not issue one",
    IdentityServiceUnknown "identity-service-unknown" { variable: String, origin: String, environment: String }
        "the variable names a service of identity tokens that is not GitHub's, and no configuration allows it",
    IdentityUnreadable "identity-unreadable" { source: String }
        "what is to be an identity token is none",
    IdentityExpired "identity-expired" { source: String }
        "the identity token has expired, and nobody has put a fresh one in its place",
    IdentityUsed "identity-used" { source: String }
        "the identity token was exchanged before, and nobody has put a fresh one in its place",
    IdentityUncertain "identity-uncertain" { source: String }
        "the answer to an exchange was lost, and its identity token may have been used",
    IdentityNotAccepted "identity-not-accepted" { issuer: String, subject: String, audience: String }
        "the provider's rule does not fit who the identity token says this is",
    NotNarrowed "not-narrowed" { environment: String }
        "the provider does not exchange a login's access token for one that is good for less",
    DoorScope "door-scope" { scopes: String, environment: String }
        "a door asks for a scope that its login does not have, or that the provider does not allow to its client",
    LoginNotExchanged "login-not-exchanged" { profile: String, environment: String }
        "the provider does not take the login's access token as one to exchange, although it has just been renewed",
    FederationLacks "federation-lacks" { member: String, variable: String }
        "the vendor's exchange lacks a member that it cannot be without",
    SecretEmpty "secret-empty" { path: String }
        "the file of a secret holds no secret",

    HeldByProcess "held-by-process" { process: String }
        "another process is renewing the login",
    KernelForgot "kernel-forgot" {}
        "the kernel has forgotten the key that the login is sealed with, as it does when the machine restarts",
    KeyMissing "key-missing" {}
        "the keyring does not hold the key that the login is sealed with",
    KeyStoreMissing "key-store-missing" {}
        "the key store is not there, or this program or system cannot use it",
    KeyStoreLocked "key-store-locked" {}
        "the key store is locked",
    KeyStoreSilent "key-store-silent" {}
        "the key store does not answer",
    KeyStoreSession "key-store-session" {}
        "this process's session may not use the user's keys in the kernel",
    KeyStoreFull "key-store-full" {}
        "the user has as many keys in the kernel as are allowed",
    KeyStoreEmpty "key-store-empty" {}
        "the desktop has no default keyring",
    KeyStoreItem "key-store-item" {}
        "the key store holds something else in the place of the key",
    KeyStoreFailed "key-store-failed" {}
        "the key store answers with an error",
    BusAddress "bus-address" {}
        "DBUS_SESSION_BUS_ADDRESS names something that is not used",
    ClockWrong "clock-wrong" {}
        "this machine's clock and the provider's differ",
    ProgramNotFound "program-not-found" { program: String }
        "there is no such program",
    ProgramNotExecutable "program-not-executable" { program: String }
        "the program cannot be executed",
}
