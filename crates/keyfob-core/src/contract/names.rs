//! Variable names as constants. Use these instead of string literals.
#![expect(missing_docs, reason = "the table says what each of them means")]

pub const OAUTH_TOKEN: &str = "CLAUDE_CODE_OAUTH_TOKEN";
pub const OAUTH_DESCRIPTOR: &str = "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR";
pub const API_KEY_DESCRIPTOR: &str = "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR";
pub const WEBSOCKET_DESCRIPTOR: &str = "CLAUDE_CODE_WEBSOCKET_AUTH_FILE_DESCRIPTOR";
pub const SESSION_TOKEN: &str = "CLAUDE_CODE_SESSION_ACCESS_TOKEN";
pub const SESSION_TOKEN_FILE: &str = "CLAUDE_SESSION_INGRESS_TOKEN_FILE";
/// The server that a `headersHelper` of Claude Code's is asked for.
pub const MCP_SERVER: &str = "CLAUDE_CODE_MCP_SERVER_URL";
/// Where Claude Code has its settings.
pub const SETTINGS_DIR: &str = "CLAUDE_CONFIG_DIR";
pub const REFRESH_TOKEN: &str = "CLAUDE_CODE_OAUTH_REFRESH_TOKEN";
pub const SCOPES: &str = "CLAUDE_CODE_OAUTH_SCOPES";
pub const CLIENT_ID: &str = "CLAUDE_CODE_OAUTH_CLIENT_ID";
pub const CUSTOM_URL: &str = "CLAUDE_CODE_CUSTOM_OAUTH_URL";
pub const ACCOUNT_UUID: &str = "CLAUDE_CODE_ACCOUNT_UUID";
pub const ORGANIZATION_UUID: &str = "CLAUDE_CODE_ORGANIZATION_UUID";
pub const USER_EMAIL: &str = "CLAUDE_CODE_USER_EMAIL";
pub const TAGGED_ID: &str = "CLAUDE_CODE_ACCOUNT_TAGGED_ID";
pub const HELPER_TTL: &str = "CLAUDE_CODE_API_KEY_HELPER_TTL_MS";
pub const DEVICE_TOKEN: &str = "CLAUDE_TRUSTED_DEVICE_TOKEN";
pub const USE_LOCAL: &str = "USE_LOCAL_OAUTH";
pub const USE_STAGING: &str = "USE_STAGING_OAUTH";
pub const API_BASE: &str = "CLAUDE_LOCAL_OAUTH_API_BASE";
pub const APPS_BASE: &str = "CLAUDE_LOCAL_OAUTH_APPS_BASE";
pub const CONSOLE_BASE: &str = "CLAUDE_LOCAL_OAUTH_CONSOLE_BASE";
pub const AUTH_TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";
pub const API_KEY: &str = "ANTHROPIC_API_KEY";

// The vendor's variables for federation.
pub const FEDERATION_RULE: &str = "ANTHROPIC_FEDERATION_RULE_ID";
pub const FEDERATION_ORGANIZATION: &str = "ANTHROPIC_ORGANIZATION_ID";
pub const SERVICE_ACCOUNT: &str = "ANTHROPIC_SERVICE_ACCOUNT_ID";
pub const WORKSPACE: &str = "ANTHROPIC_WORKSPACE_ID";
pub const IDENTITY_TOKEN: &str = "ANTHROPIC_IDENTITY_TOKEN";
pub const IDENTITY_TOKEN_FILE: &str = "ANTHROPIC_IDENTITY_TOKEN_FILE";

/// What a service manager gives a unit (systemd.exec(5)).
pub const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

// What GitHub Actions gives a job that may ask for an identity token.
pub const GITHUB_TOKEN_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
pub const GITHUB_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
pub const GITHUB: &str = "GITHUB_ACTIONS";
/// What of a job decides on whose identity token it gets: GitHub makes the subject of these, as a repository sets it up.
/// An environment is in no variable, but a job declares it.
pub const GITHUB_JOB: [&str; 7] = [
    "GITHUB_SERVER_URL",
    "GITHUB_REPOSITORY",
    "GITHUB_REPOSITORY_ID",
    "GITHUB_REF",
    "GITHUB_EVENT_NAME",
    "GITHUB_WORKFLOW_REF",
    "GITHUB_JOB",
];

// What a host program hands its own children. None of it is read here; a program that gets keyfob's credential must not have
// it too, or it would ask its host instead.
pub const SDK_REFRESHES: &str = "CLAUDE_CODE_SDK_HAS_OAUTH_REFRESH";
pub const HOST_REFRESHES: &str = "CLAUDE_CODE_SDK_HAS_HOST_AUTH_REFRESH";
pub const GATEWAY_TOKEN: &str = "CLAUDE_CODE_GATEWAY_TOKEN";
pub const GATEWAY_DESCRIPTOR: &str = "CLAUDE_CODE_GATEWAY_TOKEN_FILE_DESCRIPTOR";
pub const BRIDGE_TOKEN: &str = "CLAUDE_BRIDGE_OAUTH_TOKEN";

// OpenTelemetry's own, as far as they decide something here. The rest is read by its exporter.
pub const METRICS_EXPORTER: &str = "OTEL_METRICS_EXPORTER";
pub const SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
pub const OTLP_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
pub const METRICS_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL";
pub const INCLUDE_ACCOUNT: &str = "OTEL_METRICS_INCLUDE_ACCOUNT_UUID";

// Set by `exec` for a keyfob below it, each with a descriptor that shows what a person chose on the command line.
pub const CHOSEN_HOME: &str = "KEYFOB_CHOSEN_HOME";
pub const CHOSEN_APPROVED: &str = "KEYFOB_CHOSEN_APPROVED";
