//! The keys of the configuration file as data: where each belongs, and what it holds. The reader itself is derived (see
//! [`super::RawConfig`]), and a test keeps the two consistent; this is for code that describes a key to people.

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Above the first section.
    Top,
    /// Under `[environments.NAME]`.
    Environment,
    /// Under `[environments.NAME.federation]`.
    Federation,
    /// Under `[proxy.NAME]`.
    Proxy,
    /// Under `[telemetry]`.
    Telemetry,
    /// Under `[agent.doors.NAME]`.
    Door,
    /// Under `[[agent.sink]]`.
    Sink,
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Text in quotes.
    Text,
    /// A list of texts.
    Texts,
    /// A list of numbers.
    Numbers,
    /// `true` or `false`.
    Boolean,
    /// The number of a port.
    Port,
    /// A table of texts.
    Table,
}

impl Holds {
    /// What is expected in such a key, for people.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Text => "expected text in quotes",
            Self::Texts => "expected a list of texts: [\"one\", \"another\"]",
            Self::Numbers => "expected a list of numbers: [1000, 1001]",
            Self::Boolean => "expected true or false, without quotes",
            Self::Table => "expected a table of texts: { name = \"value\" }",
            Self::Port => "expected a number from 1 to 65535, without quotes",
        }
    }
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Where it belongs.
    pub section: Section,
    /// What it holds.
    pub holds: Holds,
}

/// Every key there is. Tables with keys of their own are none: `environments`, `federation`, `proxy`, `telemetry`, and
/// `agent` with its `doors` and `sink`.
pub const KEYS: &[Key] = &[
    top("prefer", Holds::Text),
    top("api_key_helper", Holds::Text),
    top("api_key_helper_env", Holds::Texts),
    top("environment", Holds::Text),
    top("device_grant", Holds::Boolean),
    top("seal", Holds::Text),
    top("store", Holds::Text),
    environment("issuer", Holds::Text),
    environment("client_id", Holds::Text),
    environment("grant", Holds::Text),
    environment("client_secret_file", Holds::Text),
    environment("client_secret_command", Holds::Text),
    environment("client_key_file", Holds::Text),
    environment("client_key_command", Holds::Text),
    environment("client_key_id", Holds::Text),
    environment("client_auth", Holds::Text),
    environment("scopes", Holds::Texts),
    environment("redirect", Holds::Text),
    environment("port", Holds::Port),
    environment("prompt", Holds::Text),
    environment("dead_refresh_words", Holds::Texts),
    environment("hosts", Holds::Texts),
    environment("pkce", Holds::Text),
    environment("resource", Holds::Texts),
    environment("authorize_parameters", Holds::Table),
    environment("device_parameters", Holds::Table),
    environment("token_parameters", Holds::Table),
    environment("token_body", Holds::Text),
    environment("token_headers", Holds::Table),
    environment("api_headers", Holds::Table),
    environment("api_base", Holds::Text),
    environment("apps_base", Holds::Text),
    environment("console_base", Holds::Text),
    environment("authorize_url", Holds::Text),
    environment("token_url", Holds::Text),
    environment("revoke_url", Holds::Text),
    environment("introspect_url", Holds::Text),
    environment("device_url", Holds::Text),
    environment("profile_url", Holds::Text),
    environment("userinfo_url", Holds::Text),
    federation("grant", Holds::Text),
    federation("body", Holds::Text),
    federation("identity_token", Holds::Text),
    federation("identity_token_file", Holds::Text),
    federation("identity_token_variable", Holds::Text),
    federation("identity_token_command", Holds::Text),
    federation("identity_token_audience", Holds::Text),
    federation("single_use", Holds::Boolean),
    federation("scopes", Holds::Texts),
    federation("audience", Holds::Texts),
    federation("resource", Holds::Texts),
    federation("subject_token_type", Holds::Text),
    federation("requested_token_type", Holds::Text),
    federation("members", Holds::Table),
    proxy("to", Holds::Text),
    proxy("allow", Holds::Texts),
    proxy("scrub", Holds::Text),
    proxy("private", Holds::Boolean),
    proxy("base_url_variable", Holds::Text),
    proxy("token_variable", Holds::Text),
    Key { name: "email", section: Section::Telemetry, holds: Holds::Boolean },
    door("socket", Holds::Text),
    door("profile", Holds::Text),
    door("hosts", Holds::Texts),
    door("headers_only", Holds::Boolean),
    door("scopes", Holds::Texts),
    door("audience", Holds::Texts),
    door("resource", Holds::Texts),
    door("no_rejected", Holds::Boolean),
    door("lifetime", Holds::Text),
    door("uids", Holds::Numbers),
    door("log", Holds::Text),
    sink("path", Holds::Text),
    sink("format", Holds::Text),
    sink("mode", Holds::Text),
    sink("profile", Holds::Text),
];

const fn top(name: &'static str, holds: Holds) -> Key {
    Key { name, section: Section::Top, holds }
}

const fn environment(name: &'static str, holds: Holds) -> Key {
    Key { name, section: Section::Environment, holds }
}

const fn federation(name: &'static str, holds: Holds) -> Key {
    Key { name, section: Section::Federation, holds }
}

const fn door(name: &'static str, holds: Holds) -> Key {
    Key { name, section: Section::Door, holds }
}

const fn sink(name: &'static str, holds: Holds) -> Key {
    Key { name, section: Section::Sink, holds }
}

const fn proxy(name: &'static str, holds: Holds) -> Key {
    Key { name, section: Section::Proxy, holds }
}

impl Key {
    /// The key of this name in this section.
    #[must_use]
    pub fn find(section: Section, name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.section == section && key.name == name)
    }
}
