//! Variables that cause programs to run: the browser, and how the session bus is reached. A repository that sets them
//! must not get a program that it contains executed.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use keyfob_core::{Cause, Error, Id, contract::Variables, error::escape};
use percent_encoding::{percent_decode_str, percent_encode};

use crate::{
    setup::trust::{Refusal, Surroundings},
    world::system::env,
};

/// The address of the session bus, if it may be used. Other ways than a socket run a program (`unixexec:`,
/// `autolaunch:`) or leave this machine (`tcp:`).
///
/// # Errors
/// Why there is none, to be read behind the name of a key store.
pub(crate) fn session_bus(variables: &Variables, around: &Surroundings) -> Result<String, String> {
    const NAME: &str = "DBUS_SESSION_BUS_ADDRESS";
    let refused = |why: String| format!("is not asked: {NAME} is refused ({why})");
    let judge = |path: &Path| around.judge(path).map_err(|refusal| refused(refusal.to_string()));
    let Some(addresses) = variables.text(NAME) else {
        let usual = || PathBuf::from(format!("/run/user/{}/bus", rustix::process::geteuid().as_raw()));
        let dir = env::path(variables, "XDG_RUNTIME_DIR").map(|dir| dir.join("bus"));
        let path = dir.filter(|path| around.judge(path).is_ok()).unwrap_or_else(usual);
        return Ok(format!("unix:path={}", percent_encode(path.as_os_str().as_bytes(), ESCAPED)));
    };
    for address in addresses.split(';').filter(|address| !address.is_empty()) {
        let Some(("unix", pairs)) = address.split_once(':') else {
            return Err(refused(format!("only `unix:` addresses are used, not {}", escape(address))));
        };
        for pair in pairs.split(',').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("path", path)) => {
                    let path: Vec<u8> = percent_decode_str(path).collect();
                    judge(Path::new(OsStr::from_bytes(&path)))?;
                }
                Some(("abstract" | "guid", _)) => {}
                _ => {
                    return Err(refused(format!("it has {}, which is no place to connect to", escape(pair))));
                }
            }
        }
    }
    Ok(addresses.to_owned())
}

/// D-Bus Specification, "Server Addresses": what need not be escaped.
const ESCAPED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'/').remove(b'.').remove(b'*');

/// What the environment of the browser is changed to: variables to leave out, or to shorten. Whatever leads into the
/// repository is one (a list of programs in `BROWSER`, of directories in `PATH` and `XDG_DATA_DIRS`, a bus). With what is
/// wrong with `BROWSER`, if anything is.
pub(crate) fn for_browser(
    variables: &Variables,
    around: &Surroundings,
) -> (Vec<(String, Option<OsString>)>, Option<Error>) {
    const BROWSER: &str = "BROWSER";
    let mut changes = Vec::new();
    for (name, value) in variables.all().filter(|(name, _)| *name != BROWSER) {
        let is_wrong = |part: &[u8]| match around.judge(Path::new(OsStr::from_bytes(part))) {
            Err(Refusal::Repository(_)) => true,
            Err(Refusal::Relative) => name == "PATH",
            _ => false,
        };
        let is_list = name == "PATH" || name.ends_with("_DIRS");
        let ends: &[u8] = if is_list { b":" } else { b":;,= " };
        if value.split(|octet| ends.contains(octet)).any(is_wrong) {
            let right: Vec<_> = value.split(|octet| *octet == b':').filter(|part| !is_wrong(part)).collect();
            changes.push((name.to_owned(), is_list.then(|| OsString::from_vec(right.join(&b':')))));
        }
    }
    let wrong = variables.text(BROWSER).and_then(|text| browser(text, around).err());
    if wrong.is_some() {
        changes.push((BROWSER.to_owned(), None));
    }
    (changes, wrong)
}

/// Whether `BROWSER` names nothing but programs of the person's: by a name alone, or by a path that passes the rule. What
/// follows one must be plain options: a shell, or an interpreter, would run any other word.
fn browser(text: &str, around: &Surroundings) -> Result<(), Error> {
    let refused = |why: String| {
        Error::new(Id::Usage, format!("BROWSER names {}, which is not started", escape(text)), why)
            .because(Cause::BrowserVariable {})
    };
    for command in text.split(':').filter(|command| !command.trim().is_empty()) {
        let mut words = command.split_ascii_whitespace();
        let program = words.next().unwrap_or_default();
        if program.contains('%') {
            return Err(refused("the name of a program holds no `%`".into()));
        }
        if program.contains('/') {
            around.judge_file(Path::new(program)).map_err(|refusal| refused(refusal.to_string()))?;
        }
        let plain = |word: &str| {
            let letters = |c: char| c.is_ascii_alphanumeric() || "-_=.".contains(c);
            word == "%s" || (word.len() > 2 && word.starts_with("--") && word.chars().all(letters))
        };
        if let Some(word) = words.find(|word| !plain(word)) {
            return Err(refused(format!("{} is neither an option nor %s", escape(word))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn repository() -> (tempfile::TempDir, Surroundings) {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("repo");
        fs::create_dir_all(repo.join(".git")).unwrap();
        fs::create_dir_all(repo.join("bin")).unwrap();
        fs::write(repo.join("evil.sh"), "").unwrap();
        fs::write(dir.path().join("browser"), "").unwrap();
        let around = Surroundings::of(Some(&repo));
        (dir, around)
    }

    fn set(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
    }

    /// D-Bus Specification, "Transports".
    #[test]
    fn only_a_socket_is_a_bus() {
        let (dir, around) = repository();
        let at = |address: &str| {
            let address = address.replace("DIR", dir.path().to_str().unwrap());
            session_bus(&set(&[("DBUS_SESSION_BUS_ADDRESS", &address)]), &around)
        };
        for right in [
            "unix:path=DIR/bus",
            "unix:abstract=/tmp/dbus-x,guid=00",
            "unix:path=DIR/bus,guid=00;unix:abstract=/tmp/x",
        ] {
            assert!(at(right).is_ok(), "{right}: {:?}", at(right));
        }
        for wrong in [
            "unixexec:path=DIR/repo/evil.sh,argv1=x",
            "unix:path=DIR/bus;unixexec:path=/bin/sh",
            "autolaunch:",
            "tcp:host=localhost,port=1",
            "nonce-tcp:host=localhost",
            "launchd:env=X",
            "unix:path=DIR/repo/bus",
            "unix:path=DIR/%72epo/bus",
            "unix:path=repo/bus",
            "unix:dir=DIR",
            "UNIX:path=DIR/bus",
            "DIR/bus",
        ] {
            let why = at(wrong).expect_err(wrong);
            assert!(why.contains("DBUS_SESSION_BUS_ADDRESS is refused"), "{why}");
        }
        let runtime = dir.path().join("repo").display().to_string();
        let usual = session_bus(&set(&[("XDG_RUNTIME_DIR", &runtime)]), &around).unwrap();
        assert!(usual.starts_with("unix:path=/run/user/"), "{usual}");
    }

    #[test]
    fn a_browser_is_a_program_of_the_persons() {
        let (dir, around) = repository();
        let told = |text: &str| browser(&text.replace("DIR", dir.path().to_str().unwrap()), &around);
        for right in ["firefox", "firefox --private-window %s:chromium", "DIR/browser", "/bin/true", ":"] {
            assert!(told(right).is_ok(), "{right}: {:?}", told(right));
        }
        for wrong in [
            "DIR/repo/evil.sh",
            "./evil.sh",
            "firefox:DIR/repo/evil.sh",
            "sh DIR/repo/evil.sh",
            "sh evil.sh",
            "sh -c id",
            "python3 -cprint(1)",
            "%c/evil.sh",
            "bin/../evil.sh",
        ] {
            assert!(told(wrong).is_err(), "{wrong}");
        }
    }

    /// What opens an address reads further variables: where desktop entries lie, where programs are looked for.
    #[test]
    fn nothing_leads_a_browser_into_the_repository() {
        let (dir, around) = repository();
        let repo = dir.path().join("repo").display().to_string();
        let variables = set(&[
            ("PATH", &format!("{repo}/bin:/usr/bin:.:/bin")),
            ("XDG_DATA_DIRS", &format!("/usr/share:{repo}/share")),
            ("XDG_DATA_HOME", &format!("{repo}/share")),
            ("DBUS_SESSION_BUS_ADDRESS", &format!("unixexec:path={repo}/evil.sh")),
            ("BROWSER", &format!("{repo}/evil.sh")),
            ("DISPLAY", ":0"),
            ("HOME", "/root"),
        ]);
        let (mut changes, wrong) = for_browser(&variables, &around);
        changes.sort();
        let shown =
            |value: &Option<OsString>| value.as_deref().map(|value| value.to_str().unwrap().to_owned());
        let changes: Vec<_> = changes.iter().map(|(name, value)| (name.as_str(), shown(value))).collect();
        let changes: Vec<_> = changes.iter().map(|(name, value)| (*name, value.as_deref())).collect();
        assert_eq!(
            changes,
            [
                ("BROWSER", None),
                ("DBUS_SESSION_BUS_ADDRESS", None),
                ("PATH", Some("/usr/bin:/bin")),
                ("XDG_DATA_DIRS", Some("/usr/share")),
                ("XDG_DATA_HOME", None),
            ]
        );
        assert!(wrong.is_some());
    }

    /// A path is octets: one that is not UTF-8 can lead into the repository too.
    #[test]
    fn what_is_no_text_leads_a_browser_nowhere_either() {
        let (dir, around) = repository();
        let with = |value: &str| [dir.path().as_os_str().as_bytes(), value.as_bytes(), b"\xff"].concat();
        let pairs = [
            ("PATH", [&with("/repo/bin")[..], b":/usr/bin:/\xff"].concat()),
            ("DBUS_SESSION_BUS_ADDRESS", [&b"unixexec:path="[..], &with("/repo/evil")].concat()),
            ("LESS", b"\xff".to_vec()),
        ];
        let variables = pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let (changes, _) = for_browser(&variables, &around);
        let path = OsStr::from_bytes(b"/usr/bin:/\xff").to_owned();
        assert_eq!(changes, [("DBUS_SESSION_BUS_ADDRESS".to_owned(), None), ("PATH".to_owned(), Some(path))]);
    }
}
