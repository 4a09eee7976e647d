//! The possible causes of each error.

use keyfob::internals::core::{Cause, Id};

/// Errors of reading or writing files.
const FILES: &[Id] = &[
    Id::StoreUnsafe,
    Id::StoreFailed,
    Id::StoreReadOnly,
    Id::HomeUnsafe,
    Id::ConfigUnsafe,
    Id::ApprovedListUnsafe,
    Id::AgentUnsafe,
    Id::ClientSecret,
    Id::ClientKey,
    Id::IdentityTokenMissing,
    Id::SessionFile,
    Id::Usage,
];
/// Errors of requests to a provider.
const NETWORK: &[Id] = &[Id::Unreachable, Id::OutcomeUnknown, Id::CoolingDown, Id::ProviderRefused];

/// The ids of the errors that can have this cause.
pub(crate) fn ids_of(cause: &Cause) -> &'static [Id] {
    match cause {
        Cause::NotSignedIn { .. } => &[Id::LoginNeeded],
        Cause::LoginEnded { .. } => &[Id::LoginRefused],
        Cause::NoRefreshToken { .. } => &[Id::LoginNeeded],
        Cause::IdTokenScope { .. }
        | Cause::IdTokenNotSent {}
        | Cause::IdTokenEnded { .. }
        | Cause::IdTokenOfMachine {} => &[Id::IdTokenMissing],
        Cause::SeedEnded { .. } => &[Id::LoginNeeded, Id::LoginRefused],
        Cause::SeedSpent { .. } => &[Id::SeedSpent],
        Cause::NoClientId { .. } => &[Id::ClientIdMissing],
        Cause::PersonNotWanted { .. } => &[Id::Usage],
        Cause::ProfileName { .. } => &[Id::Usage, Id::VariableMalformed, Id::StoreCorrupt],
        Cause::Declined {} => &[Id::LoginDenied],
        Cause::ScopeUnknown { .. } | Cause::RequestRefused {} => &[Id::LoginDenied, Id::ProviderRefused],
        Cause::ClientUnknown { .. } | Cause::AssertionRefused { .. } | Cause::CodeRefused {} => {
            &[Id::ProviderRefused]
        }
        Cause::ClientAuthOffered { .. } => &[Id::ClientAuthUnsupported],
        Cause::NotAnAnswer {} => &[Id::CallbackInvalid],
        Cause::OtherAttempt {} | Cause::OpenedTwice {} => &[Id::StateMismatch],
        Cause::AnswerNotTaken {} => &[Id::CallbackInvalid],
        Cause::TokenEnded {} => &[Id::AnswerInvalid],
        Cause::NobodyAnswered { .. } | Cause::InputEnded {} | Cause::CodeExpired {} => &[Id::LoginTimeout],
        Cause::NoCodes { .. } => &[Id::DeviceGrantOff, Id::EnvironmentIncomplete],
        Cause::PortTaken { .. } => &[Id::Unreachable],
        Cause::RotatedKept {} => &[Id::AnswerInvalid, Id::ProviderRefused, Id::Unreachable],
        Cause::AnotherAccount {} | Cause::KeptBeside { .. } => &[Id::OtherAccount],
        Cause::AccountUnknown {} => &[Id::Unreachable],
        Cause::TooOldToEnroll {} => &[Id::LoginNeeded],
        Cause::DeviceTokenSet { .. } => &[Id::Usage],
        Cause::DeviceUnreadable {} => &[Id::StoreCorrupt],
        Cause::NotRevoked {} => &[Id::StoreCorrupt, Id::Unreachable],
        Cause::TokenRejected { .. } | Cause::TokenNotAllowed { .. } => &[Id::ProviderRefused],
        Cause::RejectedSource { .. } | Cause::RejectedOther {} => &[Id::ProviderRefused],
        Cause::WouldBeDrained {} => &[Id::DescriptorUnusable],
        Cause::NoSession {} => &[Id::EnvironmentIncomplete],
        Cause::ForeignOrigin {} => &[Id::UrlNotApproved],
        Cause::DoorHost {}
        | Cause::DoorLogin {}
        | Cause::DoorNarrow {}
        | Cause::DoorRejected {}
        | Cause::DoorClosed {}
        | Cause::DoorStranger {}
        | Cause::NotLent {} => &[Id::AgentRefused],
        Cause::RejectedNewest {} => &[Id::RejectedStale],
        Cause::IssuerSpelling { .. } | Cause::NoMetadata { .. } => &[Id::MetadataInvalid],
        Cause::Busy { .. } => &[Id::Unreachable],
        Cause::CoolingDown { .. } => &[Id::CoolingDown],
        Cause::Uncertain {} => &[Id::OutcomeUnknown],
        Cause::NameNotFound { .. }
        | Cause::ConnectionRefused { .. }
        | Cause::TooSlow { .. }
        | Cause::CutOff { .. }
        | Cause::NoConnection { .. }
        | Cause::ProxyFailed { .. }
        | Cause::ProxyPassword { .. }
        | Cause::CertificateIssuer { .. }
        | Cause::CertificateExpired { .. }
        | Cause::CertificateEarly { .. }
        | Cause::CertificateName { .. }
        | Cause::CertificateKind { .. }
        | Cause::NoCertificates {}
        | Cause::NotTls { .. } => NETWORK,
        Cause::OtherOwner { .. }
        | Cause::OpenToOthers { .. }
        | Cause::WritableByOthers { .. }
        | Cause::NotADirectory { .. }
        | Cause::NotAFile { .. }
        | Cause::Missing { .. }
        | Cause::NoPermission { .. }
        | Cause::ReadOnly { .. } => FILES,
        Cause::DiskFull { .. } | Cause::DiskFailed { .. } => &[Id::StoreFailed],
        Cause::SecondName { .. } => &[Id::StoreUnsafe],
        Cause::Exists { .. } => &[Id::Usage],
        Cause::NotAbsolute { .. } | Cause::InRepository { .. } | Cause::WorkingDirectoryGone {} => {
            &[Id::HomeUnsafe, Id::AgentUnsafe, Id::IdentityTokenMissing, Id::SessionFile]
        }
        Cause::RuntimeRefused { .. } => &[Id::HomeUnsafe],
        Cause::MachineShort {} => &[Id::SystemFailed],
        Cause::RecoveredElsewhere { .. } | Cause::RecoveredLogin { .. } | Cause::MountedFile { .. } => {
            &[Id::StoreFailed]
        }
        Cause::NotesUnreadable { .. } | Cause::SetAside { .. } => &[Id::StoreCorrupt],
        Cause::TooLong { .. } | Cause::NameTaken { .. } | Cause::NotMinted {} => &[Id::Usage],
        Cause::Mendable {} => &[Id::StoreUnsafe, Id::StoreFailed],
        Cause::Interrupted {} => &[Id::OutcomeUnknown],
        Cause::OwnVariable { .. } => &[Id::VariableMalformed],
        Cause::BrowserVariable {} => &[Id::Usage],
        Cause::ConfigSyntax { .. }
        | Cause::ConfigKeyUnknown { .. }
        | Cause::ConfigKeyMisplaced { .. }
        | Cause::KeyRenamed { .. }
        | Cause::ConfigValue { .. } => &[Id::ConfigMalformed],
        Cause::ConfigIsALink { .. } => &[Id::ConfigUnsafe],
        Cause::SameDescriptor { .. } => &[Id::VariablesConflict],
        Cause::EnvironmentNotFound { .. } => &[Id::EnvironmentUnknown],
        Cause::EnvironmentLacks { .. } => &[Id::EnvironmentIncomplete],
        Cause::CommandFailed { .. } => {
            &[Id::HelperFailed, Id::ClientSecret, Id::ClientKey, Id::IdentityTokenMissing]
        }
        Cause::UnitCredentials { .. } => &[Id::ClientSecret, Id::ClientKey],
        Cause::IdentityVariableUnset { .. }
        | Cause::IdentityPermission {}
        | Cause::IdentityNotAsked { .. }
        | Cause::IdentityServiceUnknown { .. }
        | Cause::IdentityUnreadable { .. } => &[Id::IdentityTokenMissing],
        Cause::IdentityExpired { .. } => &[Id::IdentityTokenExpired],
        Cause::IdentityUsed { .. } => &[Id::IdentityTokenUsed],
        Cause::IdentityUncertain { .. } => &[Id::OutcomeUnknown],
        Cause::IdentityNotAccepted { .. } | Cause::DoorScope { .. } | Cause::LoginNotExchanged { .. } => {
            &[Id::FederationRefused]
        }
        Cause::NotNarrowed { .. } => &[Id::FederationRefused, Id::AnswerInvalid],
        Cause::FederationLacks { .. } => &[Id::EnvironmentIncomplete],
        Cause::SecretEmpty { .. } => &[Id::ClientSecret, Id::ClientKey, Id::SessionFile],
        Cause::HeldByProcess { .. } => &[Id::LeaseBusy],
        Cause::KernelForgot {}
        | Cause::KeyMissing {}
        | Cause::KeyStoreMissing {}
        | Cause::KeyStoreLocked {}
        | Cause::KeyStoreSilent {}
        | Cause::KeyStoreSession {}
        | Cause::KeyStoreFull {}
        | Cause::KeyStoreEmpty {}
        | Cause::KeyStoreItem {}
        | Cause::KeyStoreFailed {}
        | Cause::BusAddress {} => &[Id::KeyStoreUnavailable],
        Cause::ClockWrong {} => &[Id::Unreachable],
        Cause::ProgramNotFound { .. } | Cause::ProgramNotExecutable { .. } => &[Id::ExecFailed],
        _ => &[],
    }
}
