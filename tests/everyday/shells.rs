//! Completions as the shells load them, and manual pages as man-db and mandoc check them.
#![expect(clippy::disallowed_methods, reason = "tests start the shells")]

use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::screen::{Screen, until};

use keyfob_testkit::{Sandbox, stderr};

/// The command under the name that people have it by: shells complete what they find.
fn own_name(s: &Sandbox) {
    let bin = s.home.path().join("bin");
    if !bin.exists() {
        std::fs::create_dir_all(&bin).expect("ours");
        std::os::unix::fs::symlink(keyfob_testkit::program(), bin.join("keyfob")).expect("ours");
    }
}

/// The output of a program that must succeed.
#[track_caller]
fn printed(s: &Sandbox, program: &str, words: &[&str]) -> String {
    let output = Command::new(program)
        .args(words)
        .env_clear()
        .env("HOME", s.home.path())
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TERM", "dumb")
        .current_dir(s.home.path())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {}", stderr(&output));
    let all = [output.stdout, output.stderr].concat();
    String::from_utf8(all).expect("text")
}

fn install(s: &Sandbox, words: &[&str]) -> PathBuf {
    let path = PathBuf::from(s.out(words).trim_end());
    assert!(path.starts_with(s.home.path()) && path.exists(), "{}", path.display());
    path
}

/// A shell in a terminal, with a user who presses TAB.
struct Shell<'s> {
    screen: Screen,
    child: std::process::Child,
    name: &'s str,
}

impl<'s> Shell<'s> {
    /// An interactive shell that has just read its own start-up files, in a home where two people's logins and an
    /// environment are.
    fn start(s: &'s Sandbox, name: &'s str) -> Self {
        own_name(s);
        let config = "[environments.company]\nissuer = \"https://id.company.example\"\nclient_id = \"x\"\n";
        std::fs::write(s.home.home().join("config.toml"), config).expect("ours");
        let screen = Screen::new(200);
        let mut command = Command::new(name);
        match name {
            "bash" => {
                let rc = "PS1='ready> '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'\n\
                          source /usr/share/bash-completion/bash_completion\n";
                std::fs::write(s.home.path().join(".bashrc"), rc).expect("ours");
                command.arg("-i");
            }
            "zsh" => {
                let dir = s.home.path().join(".local/share/zsh/site-functions");
                let rc = format!(
                    "PS1='ready> '; unsetopt beep; unset zle_bracketed_paste; fpath=({} $fpath)\n\
                     autoload -U compinit; compinit -D -u\n",
                    dir.display()
                );
                std::fs::write(s.home.path().join(".zshrc"), rc).expect("ours");
                command.arg("-i");
            }
            _ => {
                let rc = "function fish_prompt; echo -n 'ready> '; end; set -g fish_greeting\n\
                          set -g fish_autosuggestion_enabled 0\n";
                std::fs::write(s.home.path().join(".config/fish/config.fish"), rc).expect("ours");
            }
        }
        command.env_clear().env("HOME", s.home.path()).env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
        let bin = s.home.path().join("bin");
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
        command.env("KEYFOB_HOME", s.home.home()).current_dir(s.home.path());
        let child = screen.start(&command);
        screen.shows("ready> ");
        Self { screen, child, name }
    }

    /// Types a line that ends in a TAB, and runs what has become of it behind `echo`: the shell's own last word on it.
    #[track_caller]
    fn completes(&self, typed: &str, completed: &str) {
        let before = self.screen.text().len();
        self.screen.type_in(&format!("{typed}\t"));
        // What TAB has added stands on the screen before the line is run: a shell drops what is typed meanwhile.
        let last = completed.rsplit([' ', '=', ':']).next().unwrap_or(completed);
        let shown = || plain(&self.screen.text()[before..]);
        until(&format!("{}: {typed:?} to become {completed:?}: {}", self.name, shown()), || {
            shown().contains(last)
        });
        self.screen.type_in("\u{15}");
        self.ready();
    }

    /// Types a line, presses TAB until the shell lists what fits, and checks the list.
    #[track_caller]
    fn offers(&self, typed: &str, offered: &[&str], not: &[&str]) {
        let before = self.screen.text().len();
        self.screen.type_in(&format!("{typed}\t\t"));
        let shown = || plain(&self.screen.text()[before..]);
        for word in offered {
            until(&format!("{}: {typed:?} to offer {word:?}", self.name), || shown().contains(word));
        }
        for word in not {
            assert!(!shown().contains(word), "{}: {typed:?} offers {word:?}: {}", self.name, shown());
        }
        self.screen.type_in("\u{15}");
        self.ready();
    }

    /// An empty line again, and a shell that reads it.
    #[track_caller]
    fn ready(&self) {
        static MARK: AtomicUsize = AtomicUsize::new(0);
        let mark = MARK.fetch_add(1, Ordering::Relaxed);
        // The answer is on the screen, and the question, which looks otherwise, may be too.
        self.screen.type_in(&format!("echo rea'dy'-{mark}\n"));
        self.screen.shows(&format!("ready-{mark}"));
    }

    fn end(mut self) {
        self.screen.type_in("exit\n");
        self.child.wait().expect("it ends");
    }
}

/// Without the sequences of a terminal.
fn plain(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic()).map_or(after.len(), |at| at + 1);
        rest = &after[end..];
    }
    plain + rest
}

/// Real TABs: a command, a flag, the values of this machine, a program and its own completions.
#[test]
fn tab_completes_in_every_shell() {
    for name in ["bash", "zsh", "fish"] {
        let s = Sandbox::new();
        s.sign_in("work", "ada@example.com");
        s.sign_in("ada@home", "ada@example.com");
        install(&s, &["completions", name, "--install"]);
        let shell = Shell::start(&s, name);
        shell.completes("keyfob logi", "keyfob login");
        shell.completes("keyfob login --cop", "keyfob login --copy");
        shell.completes("keyfob token --profile wo", "keyfob token --profile work");
        shell.completes("keyfob token --profile=wo", "keyfob token --profile=work");
        shell.completes("keyfob --environment comp", "keyfob --environment company");
        shell.completes("keyfob --only websock", "keyfob --only websocket-descriptor");
        shell.completes("keyfob profiles use ada", "keyfob profiles use ada@home");
        shell.completes(
            "keyfob dev-server --fault duplicate-r",
            "keyfob dev-server --fault duplicate-refresh-token",
        );
        shell
            .completes("keyfob dev-server --fault code:odd", "keyfob dev-server --fault code:odd-token-type");
        shell.completes("keyfob profiles rename wo", "keyfob profiles rename work");
        shell.completes("keyfob profiles remove wo", "keyfob profiles remove work");
        shell.completes("keyfob switch wo", "keyfob switch work");
        shell.completes("keyfob man conf", "keyfob man config");
        std::fs::create_dir(s.home.path().join("a-directory")).expect("ours");
        shell.completes("keyfob --home a-dir", "keyfob --home a-directory");
        shell.completes("keyfob exec -- setpri", "keyfob exec -- setpriv");
        shell.completes(
            "keyfob exec --profile work -- ls a-dir",
            "keyfob exec --profile work -- ls a-directory",
        );
        shell.offers("keyfob ", &["login", "status"], &["browse", "export-metrics", "internal"]);
        shell.offers("keyfob --profile ", &["work", "ada@home"], &["bin", "config.toml"]);
        shell.offers("keyfob exec ", &["--"], &["bin"]);
        shell.end();
    }
}

/// Another program's completion also works after `exec --`.
#[test]
fn tab_completes_the_words_of_the_program_that_is_run() {
    for name in ["bash", "zsh", "fish"] {
        let s = Sandbox::new();
        s.sign_in("work", "ada@example.com");
        install(&s, &["completions", name, "--install"]);
        // A completion of the shell's own, so that no other package decides what this sees.
        let (place, completion) = match name {
            "bash" => {
                (".local/share/bash-completion/completions/agent", "complete -W 'checkout cherry' agent\n")
            }
            "zsh" => {
                (".local/share/zsh/site-functions/_agent", "#compdef agent\n_values agent checkout cherry\n")
            }
            _ => (".config/fish/completions/agent.fish", "complete -c agent -f -a 'checkout cherry'\n"),
        };
        let place = s.home.path().join(place);
        std::fs::create_dir_all(place.parent().expect("a directory")).expect("ours");
        std::fs::write(place, completion).expect("ours");
        own_name(&s);
        std::os::unix::fs::symlink("/bin/true", s.home.path().join("bin/agent")).expect("ours");
        let shell = Shell::start(&s, name);
        shell.completes("keyfob exec -- agent checko", "keyfob exec -- agent checkout");
        shell.completes(
            "keyfob exec --min-valid 60 -- agent --x cherr",
            "keyfob exec --min-valid 60 -- agent --x cherry",
        );
        shell.offers("keyfob exec -- agent che", &["checkout", "cherry"], &[]);
        shell.end();
    }
}

/// Whatever is wrong on this machine, a prompt stays clean: no error, no network, no lock, no opened login.
#[test]
fn completing_says_nothing_but_what_fits() {
    let s = Sandbox::new();
    s.sign_in("work", "ada@example.com");
    let ask = |words: &[&str]| {
        let typed: String = words.iter().map(|word| format!("{word}\0")).collect();
        let before = s.server.requests().len();
        let output = s.feed(&["internal:complete", "zsh"], &typed);
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{words:?}");
        assert_eq!(s.server.requests().len(), before, "{words:?} asks nobody");
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(ask(&["keyfob", "--profile", ""]), "values\nwork\t\n");
    let lock = s.home.idle();
    assert_eq!(
        ask(&["keyfob", "--profile", ""]),
        "values\nwork\t\n",
        "a lease that somebody has is not waited for"
    );
    drop(lock);
    std::fs::write(s.home.home().join("config.toml"), "this is = not [toml").expect("ours");
    assert!(ask(&["keyfob", "--environment", ""]).contains("production"));
    assert_eq!(ask(&["keyfob", "--home", "/nonexistent", "--profile", ""]), "values\n");
    assert_eq!(
        ask(&["keyfob", "--nonsense", "more", "nonsense", "--profile="]),
        "values\n--profile=work\t\n"
    );
    for odd in [&[][..], &["keyfob"], &["", ""], &["keyfob", "exec", "--", "--"]] {
        ask(odd);
    }
}

#[test]
fn the_completion_of_bash_says_what_loads_it() {
    let s = Sandbox::new();
    let output = s.output(&["completions", "bash", "--install"]);
    assert!(stderr(&output).contains("bash-completion"), "{}", stderr(&output));
}

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn manual_pages_are_read_without_complaint() {
    let s = Sandbox::new();
    let dir = install(&s, &["man", "--install"]);
    let pages = files(&dir);
    assert!(pages.len() > 20, "{pages:?}");
    for page in &pages {
        let page = page.to_str().expect("text");
        assert_eq!(printed(&s, "groff", &["-man", "-ww", "-z", "-Tutf8", page]), "", "{page}");
        // A page is the same whenever it is made, so it has no date.
        let lint =
            Command::new("mandoc").args(["-T", "lint", "-W", "warning", page]).output().expect("mandoc");
        let said = String::from_utf8(lint.stdout).expect("text");
        let said: Vec<_> = said.lines().filter(|line| !line.contains("missing date")).collect();
        assert!(said.is_empty(), "{said:#?}");
    }
    for section in
        ["man1/keyfob-login.1", "man5/keyfob-config.5", "man7/keyfob-errors.7", "man7/keyfob-environment.7"]
    {
        assert!(dir.join(section).exists(), "{section}");
    }
}

/// An ordinary user of Debian, whose `man` looks below the directories of PATH: what `--install` says makes it find them.
#[test]
fn the_installed_manual_is_found_by_an_ordinary_user() {
    let home = tempfile::Builder::new().prefix("keyfob-reader-").tempdir().expect("a directory");
    let keyfob = home.path().join("keyfob");
    keyfob_testkit::copy_of_program(&keyfob);
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).expect("ours");
    // Root is no ordinary user; anybody else is one already.
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(home.path(), Some(65534), Some(65534)).expect("root may");
    }
    let run = |program: &Path, words: &[&str], more: &[(&str, String)]| {
        let mut command = Command::new(program);
        command
            .args(words)
            .env_clear()
            .env("HOME", home.path())
            .current_dir(home.path())
            .env("LC_ALL", "C.UTF-8");
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("MANPAGER", "cat").envs(more.iter().cloned());
        if is_root {
            command.uid(65534).gid(65534);
        }
        let output = command.output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output))
    };
    let man = Path::new("man");
    let found = |page: &str, more: &[(&str, String)]| run(man, &["-w", page], more).0;

    let (ended_well, dir, said) = run(&keyfob, &["man", "--install"], &[]);
    assert!(ended_well, "{said}");
    assert!(said.contains("`man` does not look there yet"), "{said}");
    assert!(!found("keyfob", &[]), "nothing had to be said");
    // The line that was given, as a login shell reads it.
    let line = said.lines().map(str::trim).find(|line| line.starts_with("export MANPATH=")).expect("a line");
    let shell = Path::new("/bin/sh");
    let (_, manpath, _) = run(shell, &["-c", &format!("{line}; printf %s \"$MANPATH\"")], &[]);
    let with_line = [("MANPATH", manpath)];
    for page in ["keyfob", "keyfob-login", "keyfob-config", "keyfob-errors", "ls"] {
        assert!(found(page, &with_line), "{page}");
    }
    let (_, shown, _) = run(man, &["keyfob-config"], &with_line);
    assert!(shown.contains("api_key_helper"), "{shown}");

    // Whoever has ~/.local/bin in PATH needs no line, and is told none.
    let path = [("PATH", format!("{}/.local/bin:/usr/bin:/bin", home.path().display()))];
    let (_, again, said) = run(&keyfob, &["man", "--install"], &path);
    assert_eq!((again, said.contains("MANPATH")), (dir, false), "{said}");
    assert!(said.contains("man keyfob-login") && found("keyfob-login", &path), "{said}");
}

/// At a terminal a page is shown as people read it, with `man` and without.
#[test]
fn a_person_sees_no_troff() {
    let s = Sandbox::new();
    own_name(&s);
    for path in ["/usr/local/bin:/usr/bin:/bin", "/nowhere"] {
        let screen = Screen::new(80);
        let keyfob = s.home.path().join("bin/keyfob");
        // What starts it is found by its own path, what it starts by this one.
        let mut command = Command::new("/usr/bin/env");
        command.arg(format!("PATH={path}")).arg(keyfob).args(["man", "profiles", "use"]);
        command.env_clear().env("HOME", s.home.path()).env("PATH", "/usr/bin:/bin").env("TERM", "xterm");
        command.env("LC_ALL", "C.UTF-8").env("MANPAGER", "cat").current_dir(s.home.path());
        let mut child = screen.start(&command);
        assert!(child.wait().expect("it ends").success(), "{}", screen.text());
        // Bold is a letter printed twice, where the pager does not make something else of it.
        let shown =
            plain(&screen.shows("keyfob-errors")).split('\u{8}').fold(String::new(), |mut text, part| {
                text.pop();
                text + part
            });
        assert!(shown.contains("keyfob-profiles-use") && shown.contains("EXIT STATUS"), "{shown}");
        assert!(!shown.contains(".TH ") && !shown.contains("\\fB"), "{shown}");
    }
    let output = s.output(&["man", "no", "such"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there is no manual page `no such`"), "{}", stderr(&output));
}
