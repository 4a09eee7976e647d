//! `keyfob setup aws|azure`: the file that the agent keeps for them, in keyfob's own configuration, and the profile of AWS that leads
//! to it. That both are understood is shown where they run (`tests/consumers`).
#![expect(clippy::disallowed_methods, reason = "a test ends a real program")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use keyfob_testkit::{Ran, Sandbox, until};

use crate::id_tokens;

const ROLE: &str = "arn:aws:iam::123456789012:role/team/agent";
const SET_UP: [&str; 4] = ["setup", "aws", "--role", ROLE];

/// What a person has in the two files.
const CONFIG: &str =
    "# mine\n[environments.local]\nscopes = [\"openid\"] # both\n\n[[agent.sink]]\npath = \"/run/mine\"";
const AWS: &str = "# mine\n[default]\nregion = eu-west-1\n\n[profile keyfob2]\noutput = json\n";

fn aws(s: &Sandbox) -> PathBuf {
    s.home.path().join(".aws/config")
}

fn config(s: &Sandbox) -> PathBuf {
    s.home.home().join("config.toml")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sandbox() -> Sandbox {
    let s = Sandbox::new();
    fs::create_dir_all(s.home.home()).expect("ours");
    s
}

fn with(config_text: &str, aws_text: &str) -> Sandbox {
    let s = sandbox();
    fs::create_dir_all(s.home.path().join(".aws")).expect("ours");
    fs::write(config(&s), config_text).expect("ours");
    fs::write(aws(&s), aws_text).expect("ours");
    s
}

#[test]
fn both_files_get_keyfob_and_lose_it_again() {
    for newline in ["\n", "\r\n"] {
        let (mine, theirs) = (CONFIG.replace('\n', newline), AWS.replace('\n', newline));
        let s = with(&mine, &theirs);
        let kept = s.home.home().join("kept/aws-id-token");
        let shown = s.json(&[&SET_UP[..], &["--dry-run"]].concat());
        assert_eq!(
            (&shown["would_change"], &shown["also"]["would_change"]),
            (&true.into(), &true.into()),
            "{shown}"
        );
        assert_eq!((read(&config(&s)), read(&aws(&s))), (mine.clone(), theirs.clone()), "only shown");
        assert!(!kept.parent().expect("a directory").exists());

        let ran = s.run(&SET_UP);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(
            ran.err.contains("web_identity_token_file") && ran.err.contains("[[agent.sink]]"),
            "both are shown: {ran:?}"
        );
        let (config_now, aws_now) = (read(&config(&s)), read(&aws(&s)));
        assert!(config_now.starts_with(&mine) && aws_now.starts_with(&theirs));
        let profile = format!(
            "[profile keyfob]{newline}role_arn = {ROLE}{newline}web_identity_token_file = {}",
            kept.display()
        );
        assert!(aws_now.contains(&profile), "{aws_now}");
        assert!(
            config_now.contains(&format!("path = \"{}\"{newline}format = \"id-token\"", kept.display())),
            "{config_now}"
        );
        let again = s.json(&SET_UP);
        assert_eq!(
            (&again["would_change"], &again["also"]["would_change"]),
            (&false.into(), &false.into()),
            "{again}"
        );

        let undone = s.json(&["setup", "aws", "--undo"]);
        assert_eq!(
            (&undone["changed"], &undone["also"]["changed"]),
            (&true.into(), &true.into()),
            "{undone}"
        );
        assert_eq!((read(&config(&s)), read(&aws(&s))), (mine, theirs), "octet by octet");
        assert!(!kept.parent().expect("a directory").exists());
        assert_eq!(s.json(&["setup", "aws", "--undo"])["also"]["would_change"], false);
    }
}

#[test]
fn files_that_were_made_are_removed_again() {
    let s = sandbox();
    assert_eq!(s.run(&SET_UP).code, Some(0));
    assert_eq!(s.run(&["setup", "azure"]).code, Some(0));
    assert!(aws(&s).exists() && read(&config(&s)).matches("[[agent.sink]]").count() == 2);
    assert_eq!(s.run(&["setup", "aws", "--undo"]).code, Some(0));
    assert!(!aws(&s).exists() && read(&config(&s)).contains("azure-id-token"), "Azure's stays");
    assert_eq!(s.run(&["setup", "azure", "--undo"]).code, Some(0));
    assert!(!config(&s).exists() && !s.home.home().join("kept").exists());
}

#[test]
fn azure_is_told_its_variables() {
    let s = sandbox();
    let ran = s.run(&["--profile", "work", "setup", "azure"]);
    let kept = s.home.home().join("kept/azure-id-token");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains(&format!("AZURE_FEDERATED_TOKEN_FILE={}", kept.display())), "{ran:?}");
    assert!(ran.err.contains("AZURE_CLIENT_ID") && ran.err.contains("`keyfob agent`"), "{ran:?}");
    assert!(read(&config(&s)).contains("format = \"id-token\"\nprofile = \"work\"\n"));
}

/// The agent that reads the configuration is what keeps the file.
#[test]
fn the_agent_keeps_what_was_set_up() {
    let s = id_tokens::signed_in(&["openid", "offline_access"]);
    let ran = id_tokens::command(&s, &SET_UP).output().expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let mut agent = id_tokens::command(&s, &["agent"]).spawn().expect("it starts");
    let named = read(&aws(&s));
    let named =
        named.lines().find_map(|line| line.strip_prefix("web_identity_token_file = ")).expect("a file");
    until("the token", || {
        let token = s.record()["id_token"].as_str().map(str::to_owned);
        (fs::read_to_string(named).ok() == token).then_some(())
    });
    let ended = Command::new("kill").arg(agent.id().to_string()).status().expect("it runs");
    assert!(ended.success() && agent.wait().expect("it ends").success());
    assert!(!Path::new(named).exists());
}

#[test]
fn what_cannot_be_set_up_is_left() {
    let inline = "agent = { sink = [{ path = \"/run/mine\" }] }\n";
    for (config_text, aws_text, words, code, id) in [
        (CONFIG, "[profile keyfob]\nregion = x\n", &[][..], 2, "usage"),
        (CONFIG, "[ profile   keyfob ]\n", &[], 2, "usage"),
        (CONFIG, "[profile keyfob] # mine\nregion = x\n", &[], 2, "usage"),
        (CONFIG, "[profile \"keyfob\"]\nregion = x\n", &[], 2, "usage"),
        (CONFIG, AWS, &["--aws-profile", "default"], 2, "usage"),
        (CONFIG, AWS, &["--environment", "local"], 2, "usage"),
        (CONFIG, AWS, &["--keep", "/srv/a;b"], 2, "usage"),
        (CONFIG, AWS, &["--keep", "/run/mine"], 3, "config-malformed"),
        (inline, AWS, &[], 3, "config-malformed"),
    ] {
        let s = with(config_text, aws_text);
        for more in [&["--json"][..], &["--dry-run", "--json"]] {
            Ran::from(s.output(&[&SET_UP[..], words, more].concat())).failed(code, id);
        }
        assert_eq!(
            (read(&config(&s)), read(&aws(&s))),
            (config_text.to_owned(), aws_text.to_owned()),
            "{words:?}"
        );
        assert!(!s.home.home().join("kept").exists());
    }
    let s = with(CONFIG, AWS);
    for role in [
        "",
        "agent",
        "arn:aws:iam::12:role/a",
        "arn:aws:iam::123456789012:user/a",
        "arn:aws:iam::123456789012:role/a\n[x]",
    ] {
        Ran::from(s.output(&["setup", "aws", "--role", role, "--json"])).failed(2, "usage");
    }
    for name in ["", "a]", "a b", "a\nb"] {
        Ran::from(s.output(&[&SET_UP[..], &["--aws-profile", name, "--json"]].concat())).failed(2, "usage");
    }
    Ran::from(s.output(&["setup", "aws", "--json"])).failed(2, "usage");
    assert_eq!((read(&config(&s)), read(&aws(&s))), (CONFIG.into(), AWS.into()));
}

#[test]
fn no_link_is_written_through() {
    for file in [aws as fn(&Sandbox) -> PathBuf, config] {
        let s = with(CONFIG, AWS);
        let elsewhere = s.home.path().join("dotfiles");
        fs::rename(file(&s), &elsewhere).expect("ours");
        symlink(&elsewhere, file(&s)).expect("ours");
        let before = read(&elsewhere);
        Ran::from(s.output(&[&SET_UP[..], &["--json"]].concat())).failed(3, "config-unsafe");
        assert_eq!(read(&elsewhere), before);
        assert_eq!((read(&config(&s)), read(&aws(&s))), (CONFIG.into(), AWS.into()), "neither is written");
    }
}

/// What a person has added to a section stays, and so does the file of the token where another of AWS' files was named.
#[test]
fn what_others_need_stays() {
    let s = with(CONFIG, AWS);
    assert_eq!(s.run(&SET_UP).code, Some(0));
    let added = format!("{}region = eu-north-1\n", read(&aws(&s)));
    fs::write(aws(&s), &added).expect("ours");
    let other_role = ["setup", "aws", "--role", "arn:aws:iam::123456789012:role/other"];
    for (words, text) in [(&other_role, added.replace(ROLE, other_role[3])), (&SET_UP, added)] {
        assert_eq!(s.run(words).code, Some(0));
        assert_eq!(read(&aws(&s)), text, "another role, in the same place");
    }
    assert_eq!(s.run(&["setup", "aws", "--undo"]).code, Some(0));
    assert_eq!(read(&aws(&s)), format!("{AWS}[profile keyfob]\nregion = eu-north-1\n"));

    let s = with(CONFIG, AWS);
    let other = s.home.path().join("other");
    let other_words = [&SET_UP[..], &["--file", other.to_str().expect("UTF-8")]].concat();
    assert_eq!((s.run(&SET_UP).code, s.run(&other_words).code), (Some(0), Some(0)));
    let ran = s.run(&["setup", "aws", "--file", other.to_str().expect("UTF-8"), "--undo"]);
    assert!(ran.code == Some(0) && ran.err.contains("Stays: "), "{ran:?}");
    assert!(!other.exists() && read(&config(&s)).contains("aws-id-token"));
}

/// A repository can set the variable.
#[test]
fn aws_variable_leads_into_no_repository() {
    let s = with(CONFIG, AWS);
    let repository = s.home.path().join("repository");
    fs::create_dir_all(repository.join(".git")).expect("ours");
    let path = repository.join("here");
    let mut command = s.keyfob([&SET_UP[..], &["--json"]].concat());
    let ran =
        Ran::from(command.current_dir(&repository).env("AWS_CONFIG_FILE", &path).output().expect("it runs"));
    ran.failed(3, "home-unsafe");
    assert!(!path.exists() && read(&config(&s)) == CONFIG);
}
