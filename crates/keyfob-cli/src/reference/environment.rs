//! `docs/environment.md`, generated from the table of variables.

use keyfob::internals::core::contract::{DESCRIBED, Kind, REFERENCED, VARIABLES, Variable, names};

/// The reference page of all variables.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "# Environment variables\n\n\
         <!-- Made from the table in crates/keyfob-core/src/contract/table.rs:\n     \
         cargo run -p keyfob-cli -- env --markdown > docs/environment.md -->\n\n\
         These are the variables that Claude Code defines for OAuth and API credentials, and that keyfob implements for\n\
         any program. A variable set to the empty string counts as unset. A malformed value is an error (exit code 3)\n\
         before any network use, never a fallback to another identity; all malformed variables are reported together.\n\
         Every variable that is set is checked, whether it is used or not. The value of a secret never appears in an\n\
         error, a log, an argument, or the environment of a process that was not meant to receive it. `keyfob env` shows\n\
         the current effect of each. The terms are explained in the [glossary](glossary.md).\n\n\
         | variable | type | default |\n|---|---|---|\n",
    );
    for v in &VARIABLES {
        page.push_str(&format!(
            "| [`{}`](#{}) | [{}](#types) | {} |\n",
            v.name,
            anchor(v.name),
            v.kind.word(),
            v.default
        ));
    }
    what_passes(&mut page);
    which_wins(&mut page);
    which_provider(&mut page);
    descriptors(&mut page);
    page.push_str("\n## The variables of the contract\n");
    VARIABLES.iter().for_each(|v| row(&mut page, v));
    page.push_str("\n## Variables that the contract refers to\n");
    REFERENCED.iter().for_each(|v| row(&mut page, v));
    page.push_str("\n## Other variables\n\n| variable | meaning |\n|---|---|\n");
    for (name, about) in DESCRIBED {
        page.push_str(&format!("| `{}` | {about} |\n", name.replace(", ", "`, `")));
    }
    page
}

fn what_passes(page: &mut String) {
    page.push_str(
        "\n## Types\n\nValues are never trimmed, repaired or guessed. Whatever the type, a value that is not UTF-8 is \
         malformed,\nand so is a variable that the environment contains twice with different values.\n\n\
         | type | accepted values |\n|---|---|\n",
    );
    for kind in Kind::ALL {
        page.push_str(&format!("| {} | {} |\n", kind.word(), kind.rule()));
    }
}

fn which_wins(page: &mut String) {
    page.push_str(&format!(
        "\n## Which credential wins\n\n\
         The first source that is present is used; if it is broken, that is an error, and no later source is tried.\n\
         `keyfob status --all` shows the source in use, those it shadows, and why each earlier one was skipped. A 401 never\n\
         leads to another source.\n\n\
         For API requests:\n\n\
         1. `{}` → `Authorization: Bearer`\n\
         2. `{}` → `X-Api-Key`\n\
         3. `{}` → `X-Api-Key`\n\
         4. the configuration's `api_key_helper` → `X-Api-Key` and `Authorization: Bearer`\n\
         5. `{}` → `Authorization: Bearer`\n\
         6. `{}` → `Authorization: Bearer`\n\
         7. the login that started from `{}`, renewed when due → `Authorization: Bearer`\n\
         8. the stored login of the profile, issuer and client, renewed when due → `Authorization: Bearer`\n\n\
         `prefer = \"oauth\"` in the configuration file puts 5 to 8 before 2 to 4. A profile that\n\
         is named for the call (`--profile`, `KEYFOB_PROFILE`) means exactly its login: every other source is passed\n\
         over, API keys too, with a warning.\n\n\
         For remote and bridge connections: `{}`, then\n\
         `{}`, then 5 to 8, never an API key. If a device token is known, it is\n\
         sent too, as `X-Trusted-Device-Token`.\n",
        names::AUTH_TOKEN,
        names::API_KEY_DESCRIPTOR,
        names::API_KEY,
        names::OAUTH_TOKEN,
        names::OAUTH_DESCRIPTOR,
        names::REFRESH_TOKEN,
        names::SESSION_TOKEN,
        names::WEBSOCKET_DESCRIPTOR,
    ));
}

fn which_provider(page: &mut String) {
    page.push_str(&format!(
        "\n## Which provider\n\n\
         `{}`, `{}` and `{}` each choose one; only one of\n\
         them may be set. They take precedence over `--environment` and `KEYFOB_ENVIRONMENT`, and these over\n\
         `environment` in the configuration file. The default is production. `{}` and\n\
         `{}` apply to every provider. The three local bases are always checked, but\n\
         used only with the local provider.\n",
        names::USE_LOCAL,
        names::USE_STAGING,
        names::CUSTOM_URL,
        names::CLIENT_ID,
        names::SCOPES,
    ));
}

fn descriptors(page: &mut String) {
    page.push_str(
        "\n## Descriptors\n\n\
         A descriptor may be a pipe, a socket or a regular file. It is made close-on-exec at once, read once to its end (at\n\
         most 64 KiB, at most 5 s) and closed; its content is kept in memory, without one final newline. A regular file\n\
         is read without moving its offset. A descriptor that is not open, empty, a directory or write-only is an error\n\
         that names the variable and the number. `keyfob env` and `keyfob status` never consume one, and no child\n\
         process inherits one.\n\n\
         ```sh\n",
    );
    page.push_str(&format!("{}=3 keyfob header 3<key.txt\n```\n", names::API_KEY_DESCRIPTOR));
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_environment_page_is_current() {
        let committed = super::super::committed("environment.md");
        assert!(
            committed == super::page(),
            "make it again: cargo run -p keyfob-cli -- env --markdown > docs/environment.md"
        );
    }
}
