//! `docs/environment.md`, generated from the table of variables.

use keyfob::core::contract::{DESCRIBED, Kind, REFERENCED, VARIABLES, Variable, names};

/// The reference page of all variables.
pub(crate) fn page() -> String {
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
            "| [`{}`](#{}) | [{}](#what-passes) | {} |\n",
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
    page.push_str("\n## The twenty\n");
    VARIABLES.iter().for_each(|v| row(&mut page, v));
    page.push_str("\n## Referred to\n");
    REFERENCED.iter().for_each(|v| row(&mut page, v));
    page.push_str("\n## Also read\n\n| variable | meaning |\n|---|---|\n");
    for (name, about) in DESCRIBED {
        page.push_str(&format!("| `{}` | {about} |\n", name.replace(", ", "`, `")));
    }
    page
}

fn what_passes(page: &mut String) {
    page.push_str(
        "\n## What passes\n\nNothing is trimmed, repaired or guessed. A name that the environment holds twice \
         with different\nvalues, and a value that is not UTF-8, are malformed whatever the type.\n\n\
         | type | what passes |\n|---|---|\n",
    );
    for kind in Kind::ALL {
        page.push_str(&format!("| {} | {} |\n", kind.word(), kind.rule()));
    }
}

fn which_wins(page: &mut String) {
    page.push_str(&format!(
        "\n## Which credential wins\n\n\
         The first source that is present wins; a present one that is broken stops the search with its error.\n\
         `keyfob status` says which it is, what it shadows and why each earlier one was passed over. A 401 never\n\
         moves on to another source.\n\n\
         For API requests:\n\n\
         1. `{}` → `Authorization: Bearer`\n\
         2. `{}` → `X-Api-Key`\n\
         3. `{}` → `X-Api-Key`\n\
         4. the configuration's `api_key_helper` → `X-Api-Key` and `Authorization: Bearer`\n\
         5. `{}` → `Authorization: Bearer`\n\
         6. `{}` → `Authorization: Bearer`\n\
         7. the login seeded by `{}`, renewed when due → `Authorization: Bearer`\n\
         8. the stored login of the profile, issuer and client, renewed when due → `Authorization: Bearer`\n\n\
         `prefer = \"oauth\"` in the configuration file moves 5 to 8 ahead of 2 to 4.\n\n\
         For remote and bridge connections: `{}`, then\n\
         `{}`, then 5 to 8, never an API key; and the device token beside it\n\
         as `X-Trusted-Device-Token`, when one is known.\n",
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
         `{}`, `{}` and `{}` each choose one, and exclude one\n\
         another. They outrank `--environment` and `KEYFOB_ENVIRONMENT`, which outrank the configuration's\n\
         `environment`; without any of them it is production. `{}` and\n\
         `{}` count with every provider; the three local bases are always checked and\n\
         count only with the local one.\n",
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
         A pipe, a socket or a regular file. It is made close-on-exec at once, read once to its end (at most\n\
         64 KiB, at most 5 s), closed, and what it said is kept in memory; one final newline is taken off. A\n\
         regular file is read without moving its offset. A descriptor that is not open, empty, a directory or\n\
         only for writing is an error that names the variable and the number. `keyfob env` and `keyfob status`\n\
         never drain one, and no child inherits one.\n\n\
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
