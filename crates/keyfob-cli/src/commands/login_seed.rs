//! `keyfob login` where a variable holds a refresh token: it is exchanged at once, and no page is opened.

use std::process::ExitCode;

use keyfob::{
    Client, Error, Purpose, Source,
    internals::core::{Id, contract::names},
};

use super::login_answer;
use crate::{
    args::{Global, Login},
    hand_over::shadows,
    output::{
        manner::Manner,
        report::{Report, Result},
        terminal,
    },
    telemetry,
};

/// Whether the variable signs in: it is set, no profile is named (which would mean that one's own login), and nothing was
/// given that is about a page.
pub(crate) fn signs_in(client: &Client, args: &Login) -> bool {
    let page =
        args.browser || args.no_browser || args.paste || args.device || args.console || args.copy || args.qr;
    let page = page || args.port != 0 || args.email.is_some();
    !page && !client.setup().pinned && client.setup().settings.refresh_token.is_some()
}

/// Exchanges it, unless that was done before: then its login is renewed when that is due.
pub(crate) fn exchange(global: &Global, client: Client) -> Result {
    let winner = client.survey(Purpose::Api).winner;
    let client = client.only(Source::RefreshToken);
    client.grant(Purpose::Api)?;
    let record = client.seeded_record()?.ok_or_else(|| {
        Error::new(Id::LoginChanged, "the login of the variable is gone", "somebody signed it out meanwhile")
    })?;
    telemetry::signed_in("seed", Ok(&record.identity));
    let shadow = winner.filter(|winner| *winner != Source::RefreshToken).map(|winner| {
        let what = format!("the login of {} will not be used", names::REFRESH_TOKEN);
        shadows::of_a_login(winner, &what, "--only refresh-token")
    });
    if global.json {
        Report::json(&login_answer::json(&client, &record, &serde_json::Value::Null, shadow.as_ref()))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(shadow) = &shadow {
        Report::warn(shadow);
    }
    let who =
        record.identity.known_name().map_or(String::new(), |name| format!(" as {}", terminal::plain(name)));
    let mark = Manner::of_messages().mark(true);
    Report::say(&format!(
        "{mark}Signed in{who} with the refresh token in {}, at {}. `keyfob login --browser` opens a page instead.",
        names::REFRESH_TOKEN,
        record.issuer
    ));
    Ok(ExitCode::SUCCESS)
}
