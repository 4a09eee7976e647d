//! At a terminal: output, pasted input, Ctrl-C, and what must not be written to a terminal.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    process::{Child, Stdio},
    time::Duration,
};

use crate::{
    screen::{Screen, until},
    visitor::Answer,
};
use keyfob_testkit::{Sandbox, stderr};

fn login(s: &Sandbox, screen: &Screen, words: &[&str]) -> Child {
    let words = ["login", "--no-browser"].iter().chain(words);
    screen.start(s.keyfob(words).env("TERM", "xterm-256color"))
}

fn records(s: &Sandbox) -> usize {
    let entries = std::fs::read_dir(s.logins()).map(|entries| entries.filter_map(Result::ok).collect());
    let entries: Vec<_> = entries.unwrap_or_default();
    entries.iter().filter(|entry| entry.path().extension().is_some_and(|end| end == "json")).count()
}

/// Whatever people copy, in every wrapping, while the callback is waited for as well.
#[test]
fn every_shape_of_paste_signs_in() {
    type Shape = fn(&Answer) -> String;
    let shapes: [(&str, Shape); 9] = [
        ("code#state", Answer::shown),
        ("the whole address", |answer| answer.url.clone()),
        ("its query", |answer| answer.query().to_owned()),
        ("a bare code", |answer| answer.parameter("code")),
        ("with bracketed-paste marks", |answer| format!("\u{1b}[200~{}\u{1b}[201~", answer.shown())),
        ("quoted", |answer| format!("  '{}' ", answer.url)),
        ("wrapped over lines", |answer| {
            let shown = answer.shown();
            let (one, rest) = shown.split_at(30);
            let (two, three) = rest.split_at(30);
            format!("{one}\r\n  {two}\n{three}")
        }),
        ("a wrapped address", |answer| {
            let (one, two) = answer.url.split_at(70);
            format!("<{one}\n{two}>")
        }),
        ("wrapped, quoted and marked", |answer| {
            let shown = answer.shown();
            let (one, two) = shown.split_at(40);
            format!("\u{1b}[200~\"{one}\n{two}\"\u{1b}[201~")
        }),
    ];
    for (name, shape) in shapes {
        let s = Sandbox::new();
        let screen = Screen::new(80);
        let mut child = login(&s, &screen, &[]);
        let answer = Answer::of(&screen.address());
        screen.type_in(&format!("{}\n", shape(&answer)));
        assert!(child.wait().expect("it ends").success(), "{name}: {}", screen.text());
        screen.shows("Signed in as dev@example.com: profile `default`");
        assert_eq!((s.server.grants().codes, s.server.grants().code_reuses), (1, 0), "{name}");
    }
}

/// A mistake is named, and the right answer is still waited for.
#[test]
fn mistakes_are_named_and_do_not_end_the_wait() {
    let s = Sandbox::new();
    let screen = Screen::new(80);
    let mut child = login(&s, &screen, &[]);
    let address = screen.address();
    let answer = Answer::of(&address);
    let before = s.server.grants();
    for (typed, told) in [
        (address.as_str(), "this is the address of the sign-in page, not its answer"),
        ("ada@example.com", "this looks like an e-mail address"),
        ("314159", "this looks like the code from an e-mail"),
        ("WDJB-MJHT", "this looks like a code for another device"),
        ("what do I type here?", "it has blanks in it"),
        (&format!("{}#another", answer.parameter("code")), "the part after `#` is that of another attempt"),
        ("https://id.example/done", "this address holds no code"),
        ("not-a-code-of-this-provider", "invalid_grant"),
    ] {
        screen.type_in(&format!("{typed}\n"));
        screen.shows(told);
        assert!(child.try_wait().expect("our child").is_none(), "{typed}: {}", screen.text());
    }
    assert_eq!((s.server.grants().codes, records(&s)), (before.codes, 0));
    screen.type_in(&format!("{}\n", answer.shown()));
    assert!(child.wait().expect("it ends").success(), "{}", screen.text());
}

/// Both at once: one exchange, one login, and the browser is shown the result.
#[test]
fn a_paste_while_the_callback_arrives() {
    for round in 0..6 {
        let s = Sandbox::new();
        let screen = Screen::new(80);
        let mut child = login(&s, &screen, &[]);
        let answer = Answer::of(&screen.address());
        // Whichever is first is not done before the other one has come.
        s.server.hold();
        screen.type_in(&format!("{}\n", answer.shown()));
        // A paste is judged after a moment: from the callback first to the paste first.
        if round == 5 {
            until("the exchange", || s.server.held() == 1);
        } else {
            std::thread::sleep(Duration::from_millis(90 * round));
        }
        let tab = answer.come();
        until("the exchange", || s.server.held() == 1);
        s.server.release();
        let title = tab.follow();
        assert_eq!(title, "You are signed in", "round {round}: {}", screen.text());
        assert!(child.wait().expect("it ends").success(), "{}", screen.text());
        let grants = s.server.grants();
        assert_eq!((grants.codes, grants.code_reuses, records(&s)), (1, 0, 1), "round {round}");
    }
}

/// Standard input may carry a credential, but no user types one: at a terminal it is refused without waiting for it.
#[test]
fn a_descriptor_that_is_the_terminal_is_refused() {
    for name in ["CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR"] {
        let s = Sandbox::new();
        let screen = Screen::new(200);
        let mut child = screen.start(s.keyfob(["token"]).env(name, "0").env("TERM", "xterm"));
        assert_eq!(child.wait().expect("it ends").code(), Some(3), "{}", screen.text());
        screen.shows(name);
        screen.shows("terminal");
        assert!(s.server.requests().is_empty());
    }
}

#[test]
fn ctrl_c_leaves_everything_as_it_was() {
    for words in [&["login", "--no-browser"][..], &["login", "--device"], &["login", "--paste"]] {
        let s = Sandbox::new();
        let screen = Screen::new(80);
        let modes = screen.modes();
        let mut child = screen.start(s.keyfob(words).env("TERM", "xterm"));
        screen.shows("http");
        // Before or while it waits: there is no difference.
        screen.type_in("half of a pas\u{3}");
        assert_eq!(child.wait().expect("it ends").signal(), Some(2), "{words:?}: {}", screen.text());
        assert_eq!(screen.modes(), modes);
        assert_eq!((records(&s), s.server.grants().codes), (0, 0));
        assert_eq!(s.output(&["status"]).status.code(), Some(1), "not signed in, and nothing in the way");
    }
}

#[test]
fn a_resize_does_not_disturb_the_wait() {
    let s = Sandbox::new();
    let screen = Screen::new(80);
    let mut child = login(&s, &screen, &[]);
    let answer = Answer::of(&screen.address());
    let shown = answer.shown();
    let (one, two) = shown.split_at(25);
    for (part, columns) in [(one, 40), (two, 200), ("\n", 80)] {
        screen.type_in(part);
        screen.resize(columns);
    }
    assert!(child.wait().expect("it ends").success(), "{}", screen.text());
}

/// An address of 600 characters in 80 columns: alone on a line of stdout, beside it a link, and in the clipboard.
#[test]
fn long_sign_in_url_is_printed_alone_and_copied() {
    let s = Sandbox::new();
    let screen = Screen::new(80);
    let hint = format!("{}@example.com", "a".repeat(400));
    let words = ["login", "--no-browser", "--copy", "--qr", "--email", &hint, "--replace"];
    let mut child = screen.start_piped(s.keyfob(words).env("TERM", "xterm"));
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut address = String::new();
    stdout.read_line(&mut address).expect("an address");
    let address = address.trim_end_matches('\n');
    assert!(address.len() > 600 && address.bytes().all(|b| b.is_ascii_graphic()), "{address:?}");
    let text = screen.shows("here:\r\n");
    let link = format!("\u{1b}]8;;{address}\u{1b}\\sign in at {}\u{1b}]8;;\u{1b}\\", s.server.base_url());
    assert!(text.contains(&link), "{text:?}");
    let clipboard = text.split("\u{1b}]52;c;").nth(1).expect("OSC 52").split('\u{7}').next().expect("an end");
    use base64::{Engine, prelude::BASE64_STANDARD};
    assert_eq!(BASE64_STANDARD.decode(clipboard).expect("base64"), address.as_bytes());
    // A code that this terminal would break into pieces helps nobody.
    assert!(!text.contains('█') && text.contains("The QR code needs"), "{text}");
    screen.type_in(&format!("{}\n", Answer::of(address).shown()));
    assert!(child.wait().expect("it ends").success(), "{}", screen.text());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "", "nothing but the address is on stdout");
}

/// The picture of a code to type fits into the smallest usual terminal, with the code below it; that of a whole address
/// needs a larger one, and says so.
#[test]
fn a_qr_code_is_shown_whole_or_not_at_all() {
    let s = Sandbox::new();
    for (words, lines, fits) in [
        (&["login", "--device", "--qr"][..], 24, true),
        (&["login", "--device", "--qr"], 15, false),
        (&["login", "--no-browser", "--qr"], 60, true),
        (&["login", "--no-browser", "--qr"], 24, false),
    ] {
        let screen = Screen::new(80);
        screen.set_size(80, lines);
        let mut child = screen.start(s.keyfob(words).env("TERM", "xterm"));
        let text = screen.shows("Waiting");
        child.kill().expect("our child");
        child.wait().expect("our child");
        // A terminal hands on as much as has been written so far: how much of the wait's own line, nobody can know.
        let (text, _) = text.split_once("Waiting").expect("what was waited for");
        let shown: Vec<_> = text.split("\r\n").collect();
        let is_picture = |line: &&str| line.contains('█') || line.contains('▀');
        let picture = shown.iter().filter(|line| is_picture(line)).count();
        assert_eq!(picture > 10, fits, "{words:?} in {lines}: {text}");
        let told = text.replace("\r\n", " ");
        assert_eq!(told.contains(&format!("this terminal has 80 and {lines}")), !fits, "{text}");
        let whole_address = words.contains(&"--no-browser");
        assert_eq!(
            told.contains("`keyfob login --device --qr` needs less room"),
            !fits && whole_address,
            "{text}"
        );
        if fits {
            // From its margin on, nothing has scrolled away when the wait begins: its line and the cursor's count too.
            let first = shown.iter().position(is_picture).expect("a picture") - 2;
            assert!(shown.len() + 1 - first < usize::from(lines), "{text}");
            // Black on white, whatever the terminal's own colours are.
            assert!(shown[first].starts_with("\u{1b}[30m\u{1b}[47m "), "{:?}", shown[first]);
        }
        if !whole_address {
            let last = shown.iter().rposition(|line| line.starts_with("    ")).expect("the code");
            assert_eq!(last + 2, shown.len(), "the code to type is the last thing above the wait: {text}");
        }
    }
}

/// What a screen knows nothing of is not sent to it, and what is no screen gets text alone.
#[test]
fn escape_sequences_reach_only_those_who_know_them() {
    let s = Sandbox::new();
    let shown = |words: &[&str], term: &[(&str, &str)]| {
        let screen = Screen::new(80);
        let mut child = screen.start(s.keyfob(words).envs(term.iter().copied()));
        if words == ["login", "--no-browser"] {
            screen.address();
            child.kill().expect("our child");
        }
        child.wait().expect("our child");
        screen.whole()
    };
    let (login, help, wrong): (&[&str], &[&str], &[&str]) =
        (&["login", "--no-browser"], &["login", "--help"], &["login", "--no-browsr"]);
    let (able, dumb) = (("TERM", "xterm-256color"), ("TERM", "dumb"));
    assert!(shown(login, &[able]).contains("\u{1b}]8;;http"));
    assert!(shown(help, &[able]).contains("\u{1b}["), "help has its colours, or this test sees none");
    for words in [login, help, wrong, &["status"], &["env"], &["doctor"], &["token"]] {
        assert!(!shown(words, &[dumb]).contains('\u{1b}'), "{words:?} on a dumb terminal");
        let plain = shown(words, &[able, ("NO_COLOR", "1")]);
        assert!(!plain.contains("\u{1b}["), "{words:?} with NO_COLOR: {plain:?}");
    }
    for words in [help, wrong, &["status"], &["doctor"], &["login", "--no-browser", "--timeout", "0"]] {
        let output = s.keyfob(words).env("TERM", "xterm").stdin(Stdio::null()).output().expect("it runs");
        let all = [output.stdout, output.stderr].concat();
        assert!(!all.contains(&0x1b), "{words:?} into a pipe: {}", String::from_utf8_lossy(&all));
    }
    // `--copy` without a terminal would put an escape sequence into a log: refused before anything is begun.
    for term in [dumb, able] {
        let refused = s.keyfob(["login", "--copy"]).env(term.0, term.1).stdin(Stdio::null()).output();
        let refused = refused.expect("it runs");
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(refused.stdout.is_empty() && stderr(&refused).contains("--copy cannot reach a clipboard"));
    }
}

/// A user's terminal gets bold, a mark, and line breaks between words.
#[test]
fn prose_is_dressed_and_wrapped_for_a_terminal_and_left_alone_for_a_pipe() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let variables = [("TERM", "xterm-256color"), ("LANG", "en_GB.UTF-8")];
    let screen = Screen::new(40);
    let mut child = screen.start(s.keyfob(["status"]).envs(variables));
    assert!(child.wait().expect("it ends").success());
    let text = screen.shows("; then it is renewed.");
    assert!(
        text.starts_with("\u{1b}[1m\u{1b}[32m✓\u{1b}[0m Signed in as \u{1b}[1mada@example.com"),
        "{text:?}"
    );
    assert!(
        screen.words().starts_with("✓ Signed in as ada@example.com. With the login of profile"),
        "{text:?}"
    );
    let plain = text.replace("\u{1b}[1m", "").replace("\u{1b}[32m", "").replace("\u{1b}[0m", "");
    assert!(plain.lines().all(|line| line.trim_end().chars().count() <= 40), "{plain}");
    assert!(plain.contains("environment `local`"), "a name in backquotes stays whole: {plain}");
    let piped = s.keyfob(["status"]).envs(variables).output().expect("it runs");
    let piped = String::from_utf8(piped.stdout).expect("text");
    assert!(
        piped.starts_with("Signed in as ada@example.com.\nWith the login of profile `default` in"),
        "{piped}"
    );
}

/// Without a user, a wait for input ends at once and says why; a wait for a browser goes on.
#[test]
fn login_without_a_terminal_ends_what_needs_a_person() {
    let s = Sandbox::new();
    let nobody = s.output(&["login", "--paste"]);
    assert_eq!(nobody.status.code(), Some(6), "{}", stderr(&nobody));
    assert!(stderr(&nobody).contains("standard input has ended"), "{}", stderr(&nobody));
    let wrong = s.feed(&["login", "--paste"], "ada@example.com\n");
    assert_eq!(wrong.status.code(), Some(5), "{}", stderr(&wrong));
    assert!(stderr(&wrong).contains("e-mail address"), "{}", stderr(&wrong));

    // Something that never ends and is no answer.
    for endless in ["/dev/zero", "/dev/urandom"] {
        let mut child = s
            .keyfob(["login", "--no-browser"])
            .stdin(std::fs::File::open(endless).expect("a device"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command runs");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut address).expect("an address");
        assert_eq!(Answer::of(address.trim()).follow(), "You are signed in", "{endless}");
        assert!(child.wait().expect("it ends").success(), "{endless}");
    }
}

/// At a terminal a sign-in of another account than the stored one is asked about.
#[test]
fn another_account_is_asked_about() {
    for (typed, saved) in [("n", false), ("", false), ("y", true)] {
        let s = Sandbox::new();
        s.sign_in("default", "ada@example.com");
        let screen = Screen::new(80);
        let mut child = login(&s, &screen, &[]);
        let answer = Answer::of(&screen.address());
        // The page does not wait with the person: it says where there is something to answer.
        assert_eq!(answer.follow(), "The terminal has a question");
        screen.shows("Save it all the same");
        screen.type_in(&format!("{typed}\n"));
        let code = child.wait().expect("it ends").code();
        assert_eq!(code, Some(if saved { 0 } else { 5 }), "{typed}: {}", screen.text());
        assert_eq!(s.json(&["status"])["identity"]["email"] == "dev@example.com", saved, "{typed}");
    }
}
