//! The table of the contract: its twenty variables, and a few others it refers to.

use alloc::string::ToString;

use crate::{
    Secret,
    contract::{
        Kind, State, Variable, names,
        settings::{ClientId, Descriptor, Scopes},
        values::{self, Expected},
        variable::shown,
    },
    secret::Unfit,
};

macro_rules! secret {
    ($field:ident) => {
        |settings, text| secret(&mut settings.$field, text)
    };
}

macro_rules! descriptor {
    ($field:ident, $name:expr) => {
        |settings, text| {
            let number = values::descriptor(text)?;
            settings.$field = Some(Descriptor { number, variable: $name });
            Ok(shown(&number))
        }
    };
}

macro_rules! value {
    ($parse:expr, $($field:ident).+) => {
        |settings, text| {
            let value = $parse(text)?;
            let state = shown(&value);
            settings.$($field).+ = value.into();
            Ok(state)
        }
    };
}

fn secret(slot: &mut Option<Secret>, text: &str) -> Result<State, Expected> {
    let secret = Secret::visible(text).map_err(|why| match why {
        Unfit::Empty => "expected a token, and there is none",
        Unfit::LineBreak => "expected one token without a line break",
        Unfit::Blank => "expected one token without a blank",
        Unfit::NotAscii => "expected visible ASCII only",
        Unfit::Control => "expected visible ASCII without control characters",
    })?;
    let fingerprint = Some(secret.fingerprint());
    *slot = Some(secret);
    Ok(State::Set { value: None, fingerprint })
}

/// The twenty variables, in the order of the contract.
pub const VARIABLES: [Variable; 20] = [
    Variable {
        name: names::OAUTH_TOKEN,
        kind: Kind::Secret,
        default: "unset",
        example: "oauth_token_abc123",
        about: "Access token, sent unchanged as `Authorization: Bearer`. `ANTHROPIC_AUTH_TOKEN` takes \
            precedence. It is never renewed, because its expiry is unknown.",
        apply: secret!(oauth_token),
    },
    Variable {
        name: names::OAUTH_DESCRIPTOR,
        kind: Kind::Descriptor,
        default: "unset",
        example: "4",
        about: "The same token, read from an inherited descriptor.",
        apply: descriptor!(oauth_descriptor, names::OAUTH_DESCRIPTOR),
    },
    Variable {
        name: names::API_KEY_DESCRIPTOR,
        kind: Kind::Descriptor,
        default: "unset",
        example: "3",
        about: "API key, read from an inherited descriptor and sent as `X-Api-Key`.",
        apply: descriptor!(api_key_descriptor, names::API_KEY_DESCRIPTOR),
    },
    Variable {
        name: names::WEBSOCKET_DESCRIPTOR,
        kind: Kind::Descriptor,
        default: "unset",
        example: "5",
        about: "Credential for remote and bridge (WebSocket) connections, read from an inherited descriptor.",
        apply: descriptor!(websocket_descriptor, names::WEBSOCKET_DESCRIPTOR),
    },
    Variable {
        name: names::SESSION_TOKEN,
        kind: Kind::Secret,
        default: "unset",
        example: "session_token_xyz",
        about: "Credential of one session, for remote and bridge connections.",
        apply: secret!(session_token),
    },
    Variable {
        name: names::REFRESH_TOKEN,
        kind: Kind::Secret,
        default: "unset",
        example: "refresh_token_abc",
        about: "Refresh token that starts a login without a person. It is exchanged on first use; from then on the \
            rotated token is in the store, in a separate record keyed by this value's fingerprint. A restart \
            continues from that record and never uses the value again, not even after `keyfob logout`. If the \
            store does not persist (a fresh container each time), a single-use token works once.",
        apply: secret!(refresh_token),
    },
    Variable {
        name: names::SCOPES,
        kind: Kind::Scopes,
        default: "the environment's scopes",
        example: "openid profile email offline_access",
        about: "Scopes to request, separated by spaces. With a refresh token, never more than it was granted.",
        apply: |settings, text| {
            let scopes = Scopes::parse(text)?;
            let state = shown(&scopes);
            settings.scopes = Some(scopes);
            Ok(state)
        },
    },
    Variable {
        name: names::CLIENT_ID,
        kind: Kind::Text,
        default: "the environment's client id",
        example: "custom_client_id_123",
        about: "OAuth client id.",
        apply: |settings, text| {
            let id = ClientId::parse(text)?;
            let state = shown(&id.as_str());
            settings.client_id = Some(id);
            Ok(state)
        },
    },
    Variable {
        name: names::CUSTOM_URL,
        kind: Kind::Url,
        default: "unset",
        example: "https://oauth.company.com/authorize",
        about: "Authorization endpoint of another provider. It must be on the approved list, which is never read \
            from a place that a variable names.",
        apply: |settings, text| {
            let url = values::url(text)?;
            if url.scheme() != "https" {
                return Err("expected a URL that begins with https://");
            }
            settings.custom_url = Some(text.to_string());
            Ok(shown(&url))
        },
    },
    Variable {
        name: names::ACCOUNT_UUID,
        kind: Kind::Uuid,
        default: "looked up",
        example: "550e8400-e29b-41d4-a716-446655440000",
        about: "Account for reports and metrics; if set, it is not looked up.",
        apply: value!(values::uuid, presets.account_uuid),
    },
    Variable {
        name: names::ORGANIZATION_UUID,
        kind: Kind::Uuid,
        default: "looked up",
        example: "550e8400-e29b-41d4-a716-446655440001",
        about: "Organisation for reports and metrics; if set, it is not looked up.",
        apply: value!(values::uuid, presets.organization_uuid),
    },
    Variable {
        name: names::USER_EMAIL,
        kind: Kind::Email,
        default: "looked up",
        example: "user@company.com",
        about: "E-mail address for reports and metrics; if set, it is not looked up.",
        apply: value!(values::email, presets.email),
    },
    Variable {
        name: names::TAGGED_ID,
        kind: Kind::Text,
        default: "a keyed hash of the account UUID",
        example: "acct_12345_prod",
        about: "Account id in OpenTelemetry metrics.",
        apply: value!(values::tag, presets.tagged_id),
    },
    Variable {
        name: names::HELPER_TTL,
        kind: Kind::Millis,
        default: "300000",
        example: "300000",
        about: "Time in milliseconds for which the output of the API key helper is reused; 0 disables reuse.",
        apply: value!(values::integer, helper_ttl_ms),
    },
    Variable {
        name: names::DEVICE_TOKEN,
        kind: Kind::Secret,
        default: "the stored one",
        example: "device_token_xyz",
        about: "Trusted-device token. If set, this machine is not enrolled; it takes precedence over the stored \
            one and is never written to the store.",
        apply: secret!(device_token),
    },
    Variable {
        name: names::USE_LOCAL,
        kind: Kind::Boolean,
        default: "false",
        example: "1",
        about: "Use the local provider, at the three local bases.",
        apply: value!(values::boolean, local),
    },
    Variable {
        name: names::USE_STAGING,
        kind: Kind::Boolean,
        default: "false",
        example: "1",
        about: "Use the staging provider. Its endpoints are not public; they come from the configuration file.",
        apply: value!(values::boolean, staging),
    },
    Variable {
        name: names::API_BASE,
        kind: Kind::LoopbackUrl,
        default: "http://localhost:3000",
        example: "http://localhost:3001",
        about: "Base of the local provider's token, profile, revocation, device and session endpoints, and its \
            issuer.",
        apply: value!(values::loopback_base, bases.api),
    },
    Variable {
        name: names::APPS_BASE,
        kind: Kind::LoopbackUrl,
        default: "http://localhost:3000",
        example: "http://localhost:3001/apps",
        about: "Base of the local provider's sign-in page.",
        apply: value!(values::loopback_base, bases.apps),
    },
    Variable {
        name: names::CONSOLE_BASE,
        kind: Kind::LoopbackUrl,
        default: "http://localhost:3000",
        example: "http://localhost:3001/console",
        about: "Base of the local provider's console page, for accounts that use API keys.",
        apply: value!(values::loopback_base, bases.console),
    },
];

/// Variables the contract refers to without counting them. They are read and checked like the twenty.
pub const REFERENCED: &[Variable] = &[
    Variable {
        name: names::AUTH_TOKEN,
        kind: Kind::Secret,
        default: "unset",
        example: "auth_token_abc",
        about: "Bearer token, used before every other source. One leading `Bearer ` is accepted.",
        apply: |settings, text| {
            secret(&mut settings.auth_token, text.strip_prefix("Bearer ").unwrap_or(text))
        },
    },
    Variable {
        name: names::API_KEY,
        kind: Kind::Secret,
        default: "unset",
        example: "api_key_abc",
        about: "API key, sent as `X-Api-Key`.",
        apply: secret!(api_key),
    },
    Variable {
        name: names::FEDERATION_RULE,
        kind: Kind::Text,
        default: "unset",
        example: "fdrl_abc123",
        about: "Federation at the vendor: the rule that is to fit the identity token of this machine. If set, identity tokens are exchanged in the environments `production`, `staging` and `local`.",
        apply: value!(values::identifier, federation.rule),
    },
    Variable {
        name: names::FEDERATION_ORGANIZATION,
        kind: Kind::Text,
        default: "unset",
        example: "550e8400-e29b-41d4-a716-446655440001",
        about: "Federation at the vendor: the organisation that has the rule.",
        apply: value!(values::identifier, federation.organization),
    },
    Variable {
        name: names::SERVICE_ACCOUNT,
        kind: Kind::Text,
        default: "unset",
        example: "svac_abc123",
        about: "Federation at the vendor: the service account that the access token acts as.",
        apply: value!(values::identifier, federation.service_account),
    },
    Variable {
        name: names::WORKSPACE,
        kind: Kind::Text,
        default: "unset",
        example: "wrkspc_abc123",
        about: "Federation at the vendor: the workspace that the access token is for, or `default`.",
        apply: value!(values::identifier, federation.workspace),
    },
    Variable {
        name: names::IDENTITY_TOKEN,
        kind: Kind::Secret,
        default: "unset",
        example: "identity.token.abc",
        about: "Federation at the vendor: the identity token (a JWT). `ANTHROPIC_IDENTITY_TOKEN_FILE` takes precedence. `exec` removes it from the environment of its program.",
        apply: |settings, text| secret(&mut settings.federation.identity_token, text),
    },
    Variable {
        name: names::IDENTITY_TOKEN_FILE,
        kind: Kind::Text,
        default: "unset",
        example: "/var/run/secrets/tokens/identity",
        about: "Federation at the vendor: the absolute path of a file that holds a fresh identity token. It is read anew for each exchange, and must obey the rule for paths that variables name.",
        apply: value!(values::absolute, federation.identity_token_file),
    },
];

/// What else is read, for the documents: name and meaning.
pub const DESCRIBED: &[(&str, &str)] = &[
    (
        "KEYFOB_HOME",
        "One directory for configuration and logins, instead of the XDG directories. Refused inside the current repository.",
    ),
    (
        "KEYFOB_PROFILE",
        "The login to use, like `--profile`. Every other source is then passed over, API keys too.",
    ),
    ("KEYFOB_ENVIRONMENT", "The configured environment to use, like `--environment`."),
    (
        "KEYFOB_AGENT",
        "The socket of an agent (`keyfob agent`), or its inherited descriptor (`fd:N`), which is asked where there is no login. A \
         path is refused inside the current repository and where others could put theirs.",
    ),
    (
        "XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR",
        "The directories for configuration, for logins, and for temporary files.",
    ),
    (
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY",
        "Proxies (http and https), and the hosts that are reached directly. Loopback is never proxied. A malformed value \
         is an error only for what uses the network.",
    ),
    (
        "SSL_CERT_FILE, SSL_CERT_DIR",
        "CA certificates to trust instead of the system's. Absolute paths, refused inside the current repository and where \
         others can write. A refused path is an error only for what uses the network.",
    ),
    (
        "OTEL_METRICS_EXPORTER, OTEL_SDK_DISABLED",
        "`otlp` sends metrics; any other value, or none, disables them.",
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL, \
         OTEL_EXPORTER_OTLP_METRICS_PROTOCOL, OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TIMEOUT",
        "Where and how metrics are sent, as OpenTelemetry defines it. The only supported protocol is `http/protobuf`.",
    ),
    (
        "OTEL_METRICS_INCLUDE_ACCOUNT_UUID",
        "`false` keeps `user.account_uuid` and `user.account_id` out of the metrics.",
    ),
    (
        "KUBERNETES_EXEC_INFO",
        "The version of ExecCredential that a Kubernetes client requests from `token --format kubernetes`, and the cluster where it is \
         told to name it: one that is no host of the environment gets no token.",
    ),
    (
        "GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE",
        "The kind of token that one of Google's libraries wants from `credential-helper google`.",
    ),
    (
        names::MCP_SERVER,
        "The server that Claude Code wants headers for, from `header --format headers-helper`.",
    ),
    (
        names::SESSION_TOKEN_FILE,
        "A file with the credential of a session, which a runner keeps fresh. It is read where `CLAUDE_CODE_SESSION_ACCESS_TOKEN` \
         is not set, says of itself that it has ended, or was rejected. Only you may be able to read it; refused inside the \
         current repository and where others can change the way to it.",
    ),
    (
        "CREDENTIALS_DIRECTORY",
        "Where systemd has put what it gives a unit (`LoadCredential=`). Read where the configuration names a secret or a key as \
         `$CREDENTIALS_DIRECTORY/NAME`. Refused inside the current repository and where others can change the way to it.",
    ),
    (
        "KUBECONFIG",
        "The kubeconfig that `setup kubernetes` changes. Refused inside the current repository and where others can write.",
    ),
    (
        "GIT_CONFIG_GLOBAL, DOCKER_CONFIG, CARGO_HOME, TF_CLI_CONFIG_FILE, NPM_CONFIG_USERCONFIG, CLAUDE_CONFIG_DIR, CODEX_HOME, AWS_CONFIG_FILE",
        "Where git, docker, cargo, Terraform, pnpm, Claude Code, codex and AWS have what `setup` changes. Refused inside the current \
         repository and where others can write.",
    ),
    (
        "CLAUDE_CODE_SDK_HAS_OAUTH_REFRESH, CLAUDE_CODE_SDK_HAS_HOST_AUTH_REFRESH, CLAUDE_CODE_GATEWAY_TOKEN, \
         CLAUDE_CODE_GATEWAY_TOKEN_FILE_DESCRIPTOR, CLAUDE_BRIDGE_OAUTH_TOKEN",
        "What a host program passes to its own children. Not read; `exec` removes it from the environment of its program.",
    ),
    (
        "KEYFOB_API_HEADERS",
        "Set by `exec` for its program, not read: the headers that must go with an OAuth access token, `Name: value`, one on a \
         line. None is secret.",
    ),
    (
        "ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN, GITHUB_ACTIONS",
        "What GitHub Actions gives a job. With `permissions: id-token: write` an identity token can be asked for there, and is \
         exchanged where federation is wanted.",
    ),
    (
        "GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_REPOSITORY_ID, GITHUB_REF, GITHUB_EVENT_NAME, GITHUB_WORKFLOW_REF, GITHUB_JOB",
        "What a job of GitHub Actions is. Jobs that differ in one of them share no access token got by federation.",
    ),
    ("NO_COLOR", "Disables colours on a terminal."),
    ("BROWSER", "The browser to open."),
];

const _: () = assert!(VARIABLES.len() == 20);
