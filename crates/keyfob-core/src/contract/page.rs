//! `docs/environment.md`, from the table.

use alloc::{format, string::String};

use super::{DESCRIBED, REFERENCED, VARIABLES, Variable, names};

/// The reference page of all variables.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Environment variables\n\n\
         <!-- Made from the table in crates/keyfob-core/src/contract/table.rs:\n     \
         cargo run -p keyfob-cli -- env --markdown > docs/environment.md -->\n\n\
         Set to the empty string is unset. A variable that is set but malformed is an error (exit code 3) before\n\
         any network use, never a fall-through to another identity; all malformed ones are told together. Every\n\
         set variable is checked, used or not. The value of a secret never appears in an error, a log, an\n\
         argument, or the environment of a child that was not meant to have it. `keyfob env` shows what each\n\
         one does now.\n\n\
         | variable | type | default |\n|---|---|---|\n",
    );
    for v in &VARIABLES {
        page.push_str(&format!(
            "| [`{}`](#{}) | {} | {} |\n",
            v.name,
            anchor(v.name),
            v.kind.word(),
            v.default
        ));
    }
    page.push_str(&format!(
        "\n## Which credential wins\n\n\
         The first source that is present wins; a present one that is broken stops the search with its error.\n\n\
         For API requests:\n\n\
         1. `{}`\n2. `{}`\n3. `{}`\n4. the configuration's `api_key_helper`\n5. `{}`\n6. `{}`\n\
         7. the login seeded by `{}`\n8. the stored login of the profile, issuer and client\n\n\
         `prefer = \"oauth\"` in the configuration file moves 5 to 8 ahead of 2 to 4. For remote connections:\n\
         `{}`, `{}`, then 5 to 8;\nnever an API key.\n\n## The twenty\n",
        names::AUTH_TOKEN,
        names::API_KEY_DESCRIPTOR,
        names::API_KEY,
        names::OAUTH_TOKEN,
        names::OAUTH_DESCRIPTOR,
        names::REFRESH_TOKEN,
        names::SESSION_TOKEN,
        names::WEBSOCKET_DESCRIPTOR,
    ));
    VARIABLES.iter().for_each(|v| row(&mut page, v));
    page.push_str("\n## Referred to\n");
    REFERENCED.iter().for_each(|v| row(&mut page, v));
    page.push_str("\n## Also read\n\n| variable | meaning |\n|---|---|\n");
    for (name, about) in DESCRIBED {
        page.push_str(&format!("| `{}` | {about} |\n", name.replace(", ", "`, `")));
    }
    page
}

fn row(page: &mut String, v: &Variable) {
    page.push_str(&format!(
        "\n### `{}`\n\n{}\n\nType: {}. Default: {}.\n\n```sh\n{}\n```\n",
        v.name,
        v.about,
        v.kind.word(),
        v.default,
        v.export()
    ));
}

fn anchor(name: &str) -> String {
    name.to_ascii_lowercase()
}
