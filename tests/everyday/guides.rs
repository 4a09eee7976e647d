//! The commands that README and `docs/` show, run as they stand: page by page, block after block in one shell, in a
//! separate network, so that the development provider has the port that the pages name.
//!
//! The words after a block's opening backquotes say what it is:
//!
//! - `sh`: it runs and succeeds. `sh exit=4`: it ends with that code.
//! - `console`: a `$` precedes each command, followed by its output; `…` stands for anything.
//! - `needs="THING"`: something that no page explains how to get is provided first. See [`provide`] for the list.
//! - `instead="ADDRESS=ADDRESS"`: replaces an example address of the page with one of the test.
//! - `not-run="REASON"`: it does not run here. The reason is printed.
#![expect(clippy::disallowed_methods, reason = "tests start a shell")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Made from the table of variables, and tested as one (`tests/cases`).
const GENERATED: &str = "environment.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    for dir in ["docs", "docs/how-to"] {
        let entries =
            fs::read_dir(root().join(dir)).expect("pages").map(|entry| entry.expect("a page").path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    pages.retain(|page| !page.ends_with(GENERATED));
    pages.sort();
    pages
}

/// A block of a page.
struct Block {
    /// `sh` or `console`.
    kind: String,
    words: BTreeMap<String, String>,
    lines: Vec<String>,
    at: usize,
}

fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut open) = (Vec::new(), None::<(usize, Block)>);
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(head), None) => {
                let (kind, words) = head.split_once([' ', ',']).unwrap_or((head, ""));
                let words = if kind == "rust" { BTreeMap::new() } else { words_of(words) };
                open = Some((indent, Block { kind: kind.into(), words, lines: Vec::new(), at: number + 1 }));
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            (None, Some((outer, block))) => block.lines.push(line[indent.min(*outer)..].to_owned()),
            (None, None) => {}
        }
    }
    blocks
}

/// `a=b c="d e"`.
fn words_of(text: &str) -> BTreeMap<String, String> {
    let (mut words, mut rest) = (BTreeMap::new(), text.trim());
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect("a quote that ends"),
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        words.insert(name.trim().to_owned(), value.to_owned());
        rest = after.trim();
    }
    words
}

/// The things a block may need, and how each is provided.
fn provide(thing: &str) -> &'static str {
    match thing {
        "a token in CLAUDE_CODE_OAUTH_TOKEN" => "export CLAUDE_CODE_OAUTH_TOKEN=$(keyfob token)\n",
        "refresh-token.txt" => {
            "KEYFOB_HOME=$HOME/elsewhere keyfob login >/dev/null 2>&1\n\
             sed -n 's/.*\"refresh_token\": \"\\(.*\\)\",/\\1/p' elsewhere/logins/*.json > refresh-token.txt\n"
        }
        "keyfob and a program in ~/work" => "mkdir work && cp bin/my-agent \"$PROGRAM\" work\n",
        "a program in ~/work" => "mkdir work && cp bin/my-agent work\n",
        "hosts" => {
            "mkdir -p .config/keyfob\n\
             printf '[environments.local]\\nhosts = [\"https://crates.company.com\"]\\n' > .config/keyfob/config.toml\n"
        }
        other => panic!("no block can need {other:?}"),
    }
}

/// How the stage of a page is set before its first block.
fn stage(page: &Path) -> &'static str {
    let provider = "keyfob dev-server --client agents > /dev/null 2>&1 &\n\
                    until curl -s -o /dev/null http://localhost:3000/; do sleep 0.05; done\n";
    match page.file_name().and_then(|name| name.to_str()) {
        // They begin with a machine that has nothing yet.
        Some("README.md" | "tutorial.md") if !page.ends_with("docs/README.md") => "",
        Some("own-provider.md") => provider,
        _ => {
            "keyfob dev-server > /dev/null 2>&1 &\n\
             until curl -s -o /dev/null http://localhost:3000/; do sleep 0.05; done\n\
             export USE_LOCAL_OAUTH=1\n\
             keyfob login > /dev/null 2>&1\n"
        }
    }
}

/// Stand-ins for programs that the pages name but that do not exist: each does what the page says such a program does.
/// Also the user who signs in.
fn stand_ins(bin: &Path) {
    let keyfob = format!(
        "#!/bin/bash\n\
         # Every sign-in page answers itself, and whoever is given an address opens it.\n\
         case $1 in\n\
         dev-server) shift; exec {0} dev-server --auto-approve \"$@\" ;;\n\
         login | init) case \" $* \" in *' --no-browser '*)\n\
         {0} \"$@\" | while read -r line; do\n\
         echo \"$line\"; case $line in http*) browser \"$line\" ;; esac\n\
         done; exit ;; esac ;;\n\
         esac\n\
         exec {0} \"$@\"\n",
        keyfob_testkit::program()
    );
    let agent = "#!/bin/bash\n\
                 # Behind a proxy it has neither a token nor what leads to one, whatever it tries.\n\
                 if [ -n \"${ANTHROPIC_BASE_URL:-}\" ]; then\n\
                 umount ~/.local/state 2> /dev/null; unshare -Urm umount ~/.local/state 2> /dev/null\n\
                 [ ! -e ~/.local/state/keyfob ] && [ ! -e ~/.config/keyfob ] || exit 9\n\
                 curl -sS -m 60 http://localhost:3000/v1/whoami > /dev/null 2>&1 && exit 9\n\
                 exec curl -sSf -o /dev/null -H \"x-api-key: $ANTHROPIC_AUTH_TOKEN\" \"$ANTHROPIC_BASE_URL/v1/whoami\"\n\
                 fi\n\
                 case ${KEYFOB_AGENT:-} in fd:*) exec /work/\"${PROGRAM##*/}\" token > /dev/null ;; esac\n\
                 fd=${CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR:?}\n\
                 [ -z \"${CLAUDE_CODE_OAUTH_TOKEN:-}\" ] || exit 9\n\
                 printf 'Authorization: Bearer %s\\n' \"$(cat <&\"$fd\")\" |\n\
                 curl -sSf -o /dev/null -H @- http://localhost:3000/v1/whoami && echo \"my-agent has worked\"\n";
    let browser = "#!/bin/bash\n\
                   # It returns at once, as those of a desktop do.\n\
                   curl -sL -o /dev/null --retry 50 --retry-connrefused --retry-delay 0 \"$1\" > /dev/null 2>&1 &\n";
    let tool = "#!/bin/bash\n[ -n \"$API_TOKEN\" ]\n";
    fs::create_dir_all(bin).expect("ours");
    for (name, text) in [
        ("keyfob", &*keyfob),
        ("my-agent", agent),
        ("browser", browser),
        ("a-tool-that-wants-a-variable", tool),
    ] {
        keyfob_testkit::script(&bin.join(name), text);
    }
}

/// The script of a page, the expected output of its console blocks, and why the others do not run.
struct Script {
    text: String,
    printed: Vec<(PathBuf, String, Vec<String>)>,
    left_out: Vec<String>,
    commands: usize,
}

fn script(page: &Path, home: &Path) -> Script {
    let text = fs::read_to_string(page).expect("a page");
    let name = page.strip_prefix(root()).expect("of this repository").display();
    let mut script =
        Script { text: stage(page).into(), printed: Vec::new(), left_out: Vec::new(), commands: 0 };
    for block in blocks(&text) {
        if !["sh", "console"].contains(&&*block.kind) {
            let known = ["toml", "json", "yaml", "rust", "text", "http", "ini"];
            assert!(known.contains(&&*block.kind), "{name}:{}: a block of {:?}", block.at, block.kind);
            continue;
        }
        for word in block.words.keys() {
            let known = ["exit", "needs", "instead", "not-run"];
            assert!(known.contains(&&**word), "{name}:{}: what is {word:?}?", block.at);
        }
        if let Some(reason) = block.words.get("not-run") {
            assert!(reason.len() > 10, "{name}:{}: say why", block.at);
            script.left_out.push(format!("{name}:{}: {reason}", block.at));
            continue;
        }
        if let Some(thing) = block.words.get("needs") {
            script.text += provide(thing);
        }
        let mut lines = block.lines.join("\n");
        for change in block.words.get("instead").iter().flat_map(|words| words.split(' ')) {
            let (shown, run) = change.split_once('=').expect("ADDRESS=ADDRESS");
            assert!(lines.contains(shown), "{name}:{}: {shown} is not there", block.at);
            lines = lines.replace(shown, run);
        }
        let _ = writeln!(script.text, "echo {name}:{} > {}", block.at, home.join("at").display());
        if block.kind == "sh" {
            script.commands += lines.lines().filter(|line| line.contains("keyfob")).count();
            match block.words.get("exit") {
                None => script.text += &format!("{lines}\n"),
                Some(code) => {
                    script.text += &format!("code=0; ( {lines}\n) || code=$?; [ \"$code\" = {code} ]\n");
                }
            }
            continue;
        }
        let mut wanted: Vec<(String, Vec<String>)> = Vec::new();
        for line in lines.lines() {
            match (line.strip_prefix("$ "), wanted.last_mut()) {
                (Some(command), _) => wanted.push((command.into(), Vec::new())),
                (None, Some((_, printed))) => printed.push(line.into()),
                (None, None) => panic!("{name}:{}: a console block begins with a command", block.at),
            }
        }
        for (command, printed) in wanted {
            let out = home.join(format!("printed-{}", script.printed.len()));
            script.commands += 1;
            script.text += &format!("{{ {command}\n}} > {} 2>&1 || true\n", out.display());
            script.printed.push((out, format!("{name}:{}: $ {command}", block.at), printed));
        }
    }
    script
}

/// Whether a text matches the page: `…` is anything within a line, or, alone, any lines.
fn is_like(printed: &[&str], shown: &[&str]) -> bool {
    match (printed, shown) {
        ([], []) => true,
        (_, ["…", rest @ ..]) => (0..=printed.len()).any(|skip| is_like(&printed[skip..], rest)),
        ([first, others @ ..], [line, rest @ ..]) => {
            let parts: Vec<_> = line.split('…').collect();
            let [begin, between @ .., end] = parts.as_slice() else {
                return first == line && is_like(others, rest);
            };
            let inner = first.strip_prefix(begin).and_then(|left| left.strip_suffix(end));
            let found = between.iter().try_fold(inner.unwrap_or(""), |left, part| {
                left.find(part).map(|at| &left[at + part.len()..])
            });
            inner.is_some() && found.is_some() && is_like(others, rest)
        }
        _ => false,
    }
}

#[test]
fn what_pages_show_is_compared_with_gaps() {
    assert!(
        is_like(&["a b c"], &["a … c"])
            && is_like(&["a b c"], &["a…"])
            && is_like(&["x", "y", "z"], &["…", "z"])
    );
    assert!(!is_like(&["a b c"], &["a … d"]) && !is_like(&["a b"], &["a"]) && !is_like(&["x", "y"], &["x"]));
}

/// Every command of every page runs, or the page says why not.
#[test]
fn the_commands_of_the_pages_run() {
    let (mut commands, mut left_out, mut failed) = (0, Vec::new(), Vec::new());
    for page in pages() {
        let home = tempfile::Builder::new().prefix("keyfob-guide-").tempdir().expect("a directory");
        let bin = home.path().join("bin");
        stand_ins(&bin);
        let script = script(&page, home.path());
        commands += script.commands;
        left_out.extend(script.left_out);
        if script.commands == 0 {
            continue;
        }
        let whole = format!(
            "set -euo pipefail\nip link set lo up\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{}",
            script.text
        );
        let log = fs::File::create(home.path().join("log")).expect("ours");
        let is_root = rustix::process::geteuid().is_root();
        let mut command = Command::new("timeout");
        command.args(["400", "unshare", if is_root { "-n" } else { "-Urn" }, "bash", "-c", &whole]);
        command.env_clear().env("HOME", home.path()).current_dir(home.path()).stdin(Stdio::null());
        command.env("PATH", format!("{}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", bin.display()));
        command
            .env("BROWSER", bin.join("browser"))
            .env("PROGRAM", keyfob_testkit::program())
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "dumb");
        command.stdout(log.try_clone().expect("ours")).stderr(log);
        let ended = command.status().expect("unshare of util-linux");
        let read = |path: PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        if !ended.success() {
            let (at, log) = (read(home.path().join("at")), read(home.path().join("log")));
            failed.push(format!("{}ended with {ended}: {log}", at.trim_end().to_owned() + " "));
            continue;
        }
        for (out, what, shown) in script.printed {
            let printed = keyfob_testkit::without_waits(read(out).as_bytes()).1;
            let shown: Vec<_> = shown.iter().map(String::as_str).collect();
            if !is_like(&printed.lines().collect::<Vec<_>>(), &shown) {
                failed.push(format!("{what}\nprints\n{printed}\nand not\n{}", shown.join("\n")));
            }
        }
    }
    // Past the capture of the test's output: what is left out is said, not found out.
    let mut told = format!("the pages' commands: {commands} run, {} blocks do not:\n", left_out.len());
    left_out.iter().for_each(|reason| told += &format!("  {reason}\n"));
    let _ = std::io::stderr().lock().write_all(told.as_bytes());
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    assert!(commands > 40, "only {commands} were found");
}
