//! Prints the sign-in URL, then waits for the callback or a pasted code, whichever arrives first.

use std::{
    io::{self, Read},
    process::ExitCode,
    sync::mpsc::Receiver,
    time::Duration,
};

use keyfob::{
    Client, Error, LoginOptions, Revocation, Secret, SignedIn, TokenKind,
    internals::{
        core::{Cause, Id, contract::names},
        core::{login::sealed::KeyStore, secret::strip_newline, source::Purpose},
        setup::Setup,
        trusted_device::Enrolment,
    },
};

use crate::{
    advice,
    args::{Global, Init, Login, Provider},
    commands::{browser, login_answer, login_seed, set_up::set_up},
    hand_over::shadows,
    output::{
        self, Qr, hidden,
        manner::Manner,
        report::{Failure, Report, Result},
        terminal::{self, Screen},
    },
    session, telemetry,
};

pub(crate) fn run(global: &Global, args: &Login) -> Result {
    counted(args, sign_in(global, args))
}

/// Records why a sign-in failed.
fn counted(args: &Login, result: Result) -> Result {
    if let Err(Failure::Error(error)) = &result {
        telemetry::signed_in(method(args), Err(error));
    }
    result
}

fn method(args: &Login) -> &'static str {
    match args {
        Login { with_token: Some(_), .. } => "token",
        Login { device: true, .. } => "device",
        Login { paste: true, .. } => "paste",
        _ => "browser",
    }
}

fn sign_in(global: &Global, args: &Login) -> Result {
    if args.provider.issuer.is_none() {
        return through(global, args, session::setup(global));
    }
    let Provider { issuer, client_id, scope } = args.provider.clone();
    let wanted = Init { issuer, client_id, scope, ..Init::default() };
    match set_up(global, &wanted, true)? {
        Some(done) => through(global, args, done.setup),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Signs in to the environment of this set-up.
pub(crate) fn with_setup(global: &Global, args: &Login, setup: Setup) -> Result {
    counted(args, through(global, args, setup))
}

/// Fails if no provider is set up, or none for people: errors about later input would then be misleading.
pub(crate) fn can_be_signed_in_to(client: &Client) -> keyfob::Result<()> {
    let environment = client.environment()?;
    environment.for_a_person()?;
    environment.require_client_id().map(drop)
}

fn through(global: &Global, args: &Login, setup: Setup) -> Result {
    setup.check_network()?;
    let client = session::client(global, setup);
    can_be_signed_in_to(&client)?;
    let patience = Duration::from_secs(args.timeout);
    let clipboard = if args.copy { Some(Screen::for_copy()?) } else { None };
    if let Some(kind) = args.with_token {
        let kind = match kind {
            crate::args::TokenKind::Refresh => TokenKind::Refresh,
            crate::args::TokenKind::Access => TokenKind::Access,
        };
        warn_of_shadow(&client);
        let word = if kind == TokenKind::Refresh { "the refresh token" } else { "the access token" };
        let token = brought(word, patience)?;
        let signed_in = client.login_with(kind, token, &|error| {
            args.replace || (terminal::has_person() && agrees(error, &terminal::lines(), patience))
        })?;
        return tell(global, args, &client, &signed_in);
    }
    if login_seed::signs_in(&client, args) {
        return login_seed::exchange(global, client);
    }
    warn_of_shadow(&client);
    if args.device {
        return with_code(global, args, &client, clipboard.as_ref());
    }
    let opens = !args.no_browser && !args.paste;
    if opens && let Some(why) = browser::not_possible(client.setup()) {
        somebody(&why)?;
    }
    let mut how =
        LoginOptions::new().console(args.console).paste(args.paste).port(args.port).tell(advice::told_error);
    if let Some(email) = &args.email {
        how = how.hint(email);
    }
    let attempt = client.begin_login(&how)?;
    let environment = client.environment()?;
    if let Some(detour) = attempt.detour() {
        Report::warn(&detour.clone().hint("the page will show a code instead: paste that one here"));
    }
    Report::say(&format!(
        "Signing in to profile `{}` at {} (environment `{}`). Open this address:",
        client.setup().profile_name(),
        environment.issuer(),
        environment.name
    ));
    Report::say("");
    // On one undecorated line: a wrapped or padded address is the commonest way to fail.
    if global.json {
        Report::event(&serde_json::json!({ "event": "open", "url": attempt.url() }))?;
    } else if opens && attempt.listens() {
        Report::answer(attempt.page())?;
        Report::say("\nor, in a browser on another machine:\n");
        Report::say(attempt.url());
    } else {
        Report::answer(attempt.url())?;
    }
    Report::say("");
    show(attempt.url(), &format!("sign in at {}", environment.issuer()), clipboard.as_ref());
    if opens && let Err(why) = browser::open(client.setup(), attempt.page()) {
        somebody(&why)?;
    }
    // RFC 8628 is made for this: the browser sits on another machine than the one that listens.
    if attempt.listens() && attempt.offers_code() && terminal::is_far_away() {
        Report::say(
            "The browser is on another machine? `keyfob login --device` needs neither callback nor paste.",
        );
    }
    let prompt = prompt(attempt.listens());
    if args.qr {
        let smaller = attempt.offers_code().then_some("`keyfob login --device --qr` needs less room.");
        draw(attempt.url(), prompt, smaller);
    }
    Report::say(prompt);
    let pasted = terminal::lines();
    let mut mistaken = |error: &Error| {
        Report::tell(error);
        Report::say(&format!("\n{prompt}"));
    };
    let signed_in = attempt.wait(Some(&pasted), patience, &mut mistaken, &|error| {
        args.replace || agrees(error, &pasted, patience)
    })?;
    tell(global, args, &client, &signed_in)
}

/// The event that is awaited.
pub(crate) fn prompt(listens: bool) -> &'static str {
    if listens {
        "Waiting for the browser. If its last page does not load, paste its address here:"
    } else {
        "Paste the code the page shows here:"
    }
}

/// Without a browser that can be opened, a user has to open the URL. A job has no user, and must fail now rather than
/// when its time-out expires.
pub(crate) fn somebody(no_browser: &str) -> Result<()> {
    if terminal::is_watched() || !terminal::has_input_ended() {
        return Ok(());
    }
    let why = format!("{no_browser}; and there is no terminal, and nothing on standard input");
    let error = Error::new(Id::LoginNeeded, "nobody is here to sign in", why);
    Err(error
        .hint(
            format!(
                "a job uses a token: run `keyfob setup-token` where a browser is, and give it to the job in {}; a person may use \
                 `keyfob login --device`, and whoever follows the address by other means `--no-browser`",
                names::OAUTH_TOKEN
            ),
        )
        .into())
}

/// Asks the user whether to save another account's sign-in. Without a user at the terminal, it is not saved.
fn agrees(error: &Error, lines: &Receiver<keyfob::Result<String>>, patience: Duration) -> bool {
    if !terminal::has_person() {
        return false;
    }
    Report::say(&format!(
        "\n{}.\nSave it all the same, in the place of the login that is there? [y/N]",
        error.what()
    ));
    lines
        .recv_timeout(patience)
        .is_ok_and(|line| line.is_ok_and(|line| matches!(line.trim(), "y" | "Y" | "yes")))
}

/// Other ways to open a URL that has been printed: a link, the clipboard.
pub(crate) fn show(address: &str, text: &str, clipboard: Option<&Screen>) {
    if let Some(screen) = Screen::find() {
        screen.link(address, text);
    }
    if let Some(screen) = clipboard {
        screen.copy(address);
    }
}

/// A URL as a QR code, if there is room for it and the lines below it; otherwise the room it needs, and smaller
/// alternatives.
fn draw(address: &str, below: &str, smaller: Option<&str>) {
    let manner = Manner::of_messages();
    let note = output::qr_note(manner);
    let below = [note.unwrap_or_default(), below].join("\n");
    // One line more for the cursor, or for what is typed.
    match output::qr(address, manner.prose(below.trim_start()).lines().count() + 1) {
        Qr::Picture(picture) => {
            Report::show(&picture);
            note.into_iter().for_each(Report::say);
        }
        Qr::NoRoom(told) => Report::say([&told, smaller.unwrap_or_default()].join(" ").trim_end()),
    }
}

/// The code of RFC 8628: shown large, beside the URL and, if wanted, with both as a QR code.
fn with_code(global: &Global, args: &Login, client: &Client, clipboard: Option<&Screen>) -> Result {
    let patience = Duration::from_secs(args.timeout);
    let attempt = client.begin_device_login()?.within(patience);
    if global.json {
        Report::event(&serde_json::json!({
            "event": "code",
            "verification_uri": attempt.verification_uri(),
            "verification_uri_complete": attempt.verification_uri_complete(),
            "user_code": attempt.user_code(),
            "expires_in": attempt.expires_in().as_secs(),
        }))?;
    } else {
        let environment = client.environment()?;
        Report::say(&format!(
            "Signing in to profile `{}` at {} (environment `{}`). Open this address on any device:\n",
            client.setup().profile_name(),
            environment.issuer(),
            environment.name
        ));
        Report::answer(attempt.verification_uri())?;
        Report::say("");
    }
    let complete = attempt.verification_uri_complete();
    let address = complete.unwrap_or(attempt.verification_uri());
    show(address, "type the code", clipboard);
    let waiting = |left: i64| format!("Waiting. The code is good for {left} s more.");
    if args.qr {
        // The code comes last: whatever scrolls away, it is what has to be typed or compared.
        let code = format!("Type this code, or check that the page shows it:\n    {}", attempt.user_code());
        let below = format!("{code}\n{}", waiting(attempt.expires_in().as_secs().cast_signed()));
        draw(address, &below, None);
        Report::say(&code);
    } else if !global.json {
        Report::say(&format!("and type this code:\n\n    {}\n", attempt.user_code()));
        if let Some(complete) = complete {
            Report::say(&format!("or open this one, and check that it shows the same code:\n{complete}\n"));
        }
    }
    let mut told = i64::MAX;
    let mut left = |left| {
        // A countdown that can be read in a log: once a minute, not once a second.
        if told.saturating_sub(left) >= 60 {
            told = left;
            Report::say(&waiting(left));
        }
    };
    let confirm = |error: &Error| {
        args.replace || (terminal::has_person() && agrees(error, &terminal::lines(), patience))
    };
    let signed_in =
        attempt.wait(args.email.as_deref(), &mut left, &confirm).map_err(|error| match error.cause() {
            Some(Cause::NobodyAnswered { .. }) => {
                error.hint("start again with more time: `keyfob login --device --timeout 1800`")
            }
            _ => error,
        })?;
    tell(global, args, client, &signed_in)
}

fn tell(global: &Global, args: &Login, client: &Client, signed_in: &SignedIn) -> Result {
    let record = signed_in.record();
    telemetry::signed_in(method(args), Ok(&record.identity));
    if let Some(error) = signed_in.unidentified() {
        Report::warn(error);
    }
    if let Some(Revocation::Failed(why)) = signed_in.replaced() {
        let what = "the login that this one replaces could not be revoked";
        Report::warn(&Error::new(Id::Unreachable, what, terminal::plain(why)).because(Cause::NotRevoked {}));
    }
    if let Some(Revocation::Impossible(why)) = signed_in.replaced() {
        Report::say(&format!("The login this one replaces was not revoked: {why}."));
    }
    if !signed_in.left_open().is_empty() {
        Report::say(&format!("The provider's metadata does not name {}.", signed_in.left_open().join(", ")));
    }
    match signed_in.device() {
        Enrolment::Enrolled(device) => Report::say(&format!(
            "The provider asked for it: this machine is a trusted device until {}.",
            device.expires_at.map(|end| end.to_string()).unwrap_or_default()
        )),
        Enrolment::Failed(error) => Report::warn(
            &Error::new(
                error.id(),
                "the provider asks for a trusted device, and this machine could not be made one",
                error.why(),
            )
            .hint("try again within ten minutes: `keyfob device enroll`"),
        ),
        Enrolment::NotNeeded => {}
    }
    if global.json {
        let device = match signed_in.device() {
            Enrolment::Enrolled(device) => serde_json::json!({
                "device_id": device.id, "expires_at": device.expires_at.map(|t| t.to_string())
            }),
            Enrolment::NotNeeded | Enrolment::Failed(_) => serde_json::Value::Null,
        };
        Report::json(&login_answer::json(client, record, &device, shadow(client).as_ref()))?;
    } else {
        let who = record
            .identity
            .known_name()
            .map_or(String::new(), |name| format!(" as {}", terminal::plain(name)));
        let mark = Manner::of_messages().mark(true);
        Report::say(&format!("{mark}Signed in{who}: profile `{}` at {}.", record.profile, record.issuer));
        if client.setup().config.seal == Some(KeyStore::Kernel) {
            Report::say(
                "It is sealed with a key that the kernel forgets when this machine restarts: sign in again then.",
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Warns before the user makes any effort.
fn warn_of_shadow(client: &Client) {
    if let Some(shadow) = shadow(client) {
        Report::warn(&shadow);
    }
}

/// A login that is saved but will not be used is the most common surprise: report which credential wins.
fn shadow(client: &Client) -> Option<Error> {
    let winner = client.survey(Purpose::Api).winner?;
    if winner == keyfob::Source::Login {
        return None;
    }
    Some(shadows::of_a_login(winner, "the new login will be saved but not used", "--only login"))
}

/// The same limit as for a descriptor.
const LARGEST_TOKEN: usize = 64 * 1024;

/// One whole token: from a pipe or a file, with at most a newline after it; or from a user, who is prompted for it.
pub(crate) fn brought(word: &str, patience: Duration) -> Result<Secret> {
    if terminal::is_typed() {
        let prompt = format!("Paste {word} and press Enter. It is not shown:");
        let text = hidden::ask(&prompt, patience)?;
        let wrong = |why: String| {
            Error::new(Id::Usage, "what was pasted is no token", why).hint("paste one token and nothing else")
        };
        return Ok(Secret::visible(&text).map_err(|why| wrong(format!("it {why}")))?);
    }
    let wrong = |why: String| {
        Error::new(Id::Usage, "standard input does not hold a token", why)
            .hint("write one token and nothing else to it")
    };
    let mut text = zeroize::Zeroizing::new(String::with_capacity(LARGEST_TOKEN + 2));
    let read = io::stdin().lock().take(LARGEST_TOKEN as u64 + 2).read_to_string(&mut text);
    read.map_err(|error| wrong(error.kind().to_string()))?;
    if strip_newline(&text).len() > LARGEST_TOKEN {
        return Err(wrong("it holds more than 64 KiB".into()).into());
    }
    Ok(Secret::visible(strip_newline(&text)).map_err(|why| wrong(why.sentence().into()))?)
}
