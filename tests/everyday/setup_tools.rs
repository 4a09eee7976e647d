//! `keyfob setup git|docker|cargo|terraform|bazel|pnpm|claude-code|codex`: what comes into each tool's file, and that it goes
//! again, octet by octet. That the tools understand it is shown where they run (`tests/consumers`).

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
};

use keyfob_testkit::{Ran, Sandbox, program};

/// The tool's word, where its file is, what a person may have there, and what keyfob's part says.
struct Case {
    tool: &'static str,
    file: &'static str,
    mine: &'static str,
    part: &'static str,
    link: Option<&'static str>,
    broken: (&'static str, &'static str),
}

const HOST: &str = "https://tools.company.example";

const CASES: [Case; 8] = [
    Case {
        tool: "git",
        file: ".gitconfig",
        mine: "# mine\n[user]\n\tname = Ada ; me\n[credential]\n\thelper = store",
        part: "[credential \"https://tools.company.example\"]\n\thelper =\n\thelper = !",
        link: None,
        broken: ("[user]\n\tname = Ada\n[core\n", "line 3"),
    },
    Case {
        tool: "docker",
        file: ".docker/config.json",
        mine: "{\n\t\"auths\": {\n\t\t\"other\": {\"auth\": \"c2VjcmV0\"}\n\t},\n\t\"credHelpers\": {\n\t\t\"x.example\": \"pass\"\n\t}\n}",
        part: "\"tools.company.example\": \"keyfob\"",
        link: Some(".local/bin/docker-credential-keyfob"),
        broken: ("{\n  \"auths\": {},\n}\n", "line 3"),
    },
    Case {
        tool: "cargo",
        file: ".cargo/config.toml",
        mine: "# mine\n[build] # fast\njobs = 4\n\n[registries.company]\nindex = 'sparse+https://tools.company.example/index/' # ours\n\n\
               [registries.other]\nindex = \"sparse+https://evil.example/\"\n# end\n",
        part: "cargo-credential-keyfob\"]",
        link: Some(".local/bin/cargo-credential-keyfob"),
        broken: ("[build]\njobs = 4\n[registries.company\n", "line 3"),
    },
    Case {
        tool: "terraform",
        file: ".terraformrc",
        mine: "# mine\nplugin_cache_dir = \"$HOME/{\"\ncredentials \"app.example\" {\n  token = \"x\"\n}\n",
        part: "credentials_helper \"keyfob\" {}",
        link: Some(".terraform.d/plugins/terraform-credentials-keyfob"),
        broken: ("host \"a\" {\n}\ncredentials \"b\" {\n", "line 3"),
    },
    Case {
        tool: "bazel",
        file: ".bazelrc",
        mine: "# mine\nbuild --jobs=4\ncommon --credential_helper=other.example=/usr/bin/other",
        part: "common --credential_helper=tools.company.example=/",
        link: Some(".local/bin/bazel-credential-keyfob"),
        broken: ("common --credential_helper=tools.company.example=/usr/bin/other\n", "line 1"),
    },
    Case {
        tool: "pnpm",
        file: ".npmrc",
        mine: "; mine\nregistry=https://tools.company.example/\r\n//other.example/:_authToken=secret\r\n",
        part: "//tools.company.example/:tokenHelper=/",
        link: Some(".local/bin/pnpm-credential-keyfob"),
        broken: ("a=b\n//tools.company.example/:_authToken=secret\n", "line 2"),
    },
    Case {
        tool: "claude-code",
        file: ".claude/settings.json",
        mine: "{\n  \"env\": {\n    \"ANTHROPIC_BASE_URL\": \"https://tools.company.example\"\n  },\n  \"model\": \"opus\"\n}\n",
        part: " token --for \\\"${ANTHROPIC_BASE_URL:-https://api.anthropic.com}\\\"\"",
        link: None,
        broken: ("{\n  \"model\": opus\n}\n", "line 2"),
    },
    Case {
        tool: "codex",
        file: ".codex/config.toml",
        mine: "model = \"m\" # mine\n\n[model_providers.company]\nbase_url = \"https://tools.company.example/v1\"\n\n\
               [model_providers.other]\nbase_url = \"https://evil.example/v1\"\nenv_key = \"KEY\"\n\n[tui]\n",
        part: "[model_providers.company.auth]\ncommand = \"",
        link: None,
        broken: ("model = \"m\"\nmodel = \"n\"\n", "line 2"),
    },
];

impl Case {
    /// The command line that sets it up.
    fn words<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        let accepted: &[&str] = if self.tool == "pnpm" { &["--accept-http"] } else { &[] };
        [&["setup", self.tool], accepted, more].concat()
    }

    fn file(&self, s: &Sandbox) -> PathBuf {
        s.home.path().join(self.file)
    }

    /// A home with this in the tool's file.
    fn with(&self, text: &str) -> Sandbox {
        let s = sandbox();
        let file = self.file(&s);
        fs::create_dir_all(file.parent().expect("a directory")).expect("ours");
        fs::write(&file, text).expect("ours");
        fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).expect("ours");
        s
    }

    fn read(&self, s: &Sandbox) -> String {
        fs::read_to_string(self.file(s)).unwrap_or_else(|error| panic!("{}: {error}", self.tool))
    }
}

fn sandbox() -> Sandbox {
    let s = Sandbox::new();
    fs::create_dir_all(s.home.home()).expect("ours");
    let config = format!("[environments.local]\nhosts = [\"{HOST}\"]\n");
    fs::write(s.home.home().join("config.toml"), config).expect("ours");
    s
}

#[test]
fn a_persons_file_gets_keyfob_and_loses_it_again() {
    for case in &CASES {
        let s = case.with(case.mine);
        let shown = s.json(&case.words(&["--dry-run"]));
        assert_eq!((&shown["would_change"], &shown["changed"]), (&true.into(), &false.into()), "{shown}");
        assert_eq!(case.read(&s), case.mine, "only shown");
        let ran = s.run(&case.words(&[]));
        assert_eq!(ran.code, Some(0), "{}: {ran:?}", case.tool);
        let text = case.read(&s);
        assert!(text.contains(case.part), "{}: {text}", case.tool);
        assert!(ran.err.contains(case.part.lines().next().expect("a line")), "it is shown: {ran:?}");
        assert!(!ran.err.contains("secret") && !ran.err.contains("c2VjcmV0"), "{ran:?}");
        for line in case.mine.lines() {
            assert!(text.contains(line), "{}: {line} in {text}", case.tool);
        }
        assert!(
            !text.contains("evil.example\"\ncredential") && text.matches("keyfob setup").count() <= 1,
            "{text}"
        );
        let mode = fs::metadata(case.file(&s)).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o640, "{}", case.tool);
        let link = case.link.map(|link| s.home.path().join(link));
        if let Some(link) = &link {
            assert_eq!(fs::read_link(link).expect("a link"), PathBuf::from(program()));
        }
        let again = s.json(&case.words(&[]));
        assert_eq!((&again["would_change"], case.read(&s)), (&false.into(), text), "{}", case.tool);
        let undone = s.json(&["setup", case.tool, "--undo"]);
        assert_eq!(undone["changed"], true, "{undone}");
        assert_eq!(case.read(&s), case.mine, "{}: octet by octet", case.tool);
        assert!(link.is_none_or(|link| fs::symlink_metadata(link).is_err()), "{}", case.tool);
        assert_eq!(s.json(&["setup", case.tool, "--undo"])["would_change"], false);
    }
}

#[test]
fn a_file_that_was_made_is_removed_again() {
    let add: [(&str, &[&str]); 8] = [
        ("git", &[]),
        ("docker", &[]),
        ("cargo", &["--registry", "company", "--index", "sparse+https://tools.company.example/index/"]),
        ("terraform", &[]),
        ("bazel", &[]),
        ("pnpm", &["--accept-http"]),
        ("claude-code", &[]),
        ("codex", &["--provider", "company", "--base-url", "https://tools.company.example/v1"]),
    ];
    for (case, (tool, words)) in CASES.iter().zip(add) {
        assert_eq!(case.tool, tool);
        let s = sandbox();
        let api = format!("[environments.local]\nhosts = [\"{HOST}\", \"https://api.anthropic.com\"]\n");
        fs::write(s.home.home().join("config.toml"), api).expect("ours");
        let ran = s.run(&[&["setup", tool], words].concat());
        assert_eq!(ran.code, Some(0), "{tool}: {ran:?}");
        let text = case.read(&s);
        assert!(text.contains("keyfob") && !text.starts_with('\n'), "{text}");
        let mode = fs::metadata(case.file(&s)).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{tool}");
        assert_eq!(s.run(&["setup", tool, "--undo"]).code, Some(0));
        assert!(!case.file(&s).exists(), "{tool}: {}", case.read(&s));
    }
}

#[test]
fn what_cannot_be_changed_is_left_and_named_by_its_line() {
    for case in &CASES {
        let (text, line) = case.broken;
        let s = case.with(text);
        let ran = Ran::from(s.output(&case.words(&["--json"])));
        ran.failed(2, "usage");
        let name = case.file.rsplit('/').next().expect("a name");
        assert!(ran.err.contains(line) && ran.err.contains(name), "{}: {ran:?}", case.tool);
        assert!(!ran.err.contains("secret"), "{ran:?}");
        assert_eq!(case.read(&s), text);
        assert!(case.link.is_none_or(|link| fs::symlink_metadata(s.home.path().join(link)).is_err()));

        let s = case.with(case.mine);
        let elsewhere = s.home.path().join("dotfiles");
        fs::rename(case.file(&s), &elsewhere).expect("ours");
        symlink(&elsewhere, case.file(&s)).expect("ours");
        Ran::from(s.output(&case.words(&["--json"]))).failed(3, "config-unsafe");
        assert_eq!(fs::read_to_string(&elsewhere).expect("ours"), case.mine);
    }
}

#[test]
fn another_host_is_refused() {
    let s = sandbox();
    for words in [
        &["git", "https://evil.example"][..],
        &["docker", "evil.example"],
        &["bazel", "http://tools.company.example"],
        &["pnpm", "tools.company.example:8443"],
        &["claude-code"],
        &["cargo", "--registry", "a", "--index", "sparse+https://evil.example/"],
        &["codex", "--provider", "a", "--base-url", "https://evil.example/v1"],
        &["cargo"],
        &["codex", "--provider", "none"],
    ] {
        let ran = Ran::from(s.output(&[&["setup"], words, &["--json"]].concat()));
        ran.failed(2, "usage");
    }
    fs::write(s.home.home().join("config.toml"), "").expect("ours");
    let ran = s.run(&["setup", "git"]);
    assert!(ran.code == Some(2) && ran.err.contains("lists none under `hosts`"), "{ran:?}");
    for case in &CASES {
        assert!(!case.file(&s).exists(), "{}", case.tool);
    }
}

/// What is another program's stays, be it the helper in the file or what lies where the link would.
#[test]
fn what_is_there_already_is_not_replaced() {
    for (tool, file, text) in [
        ("docker", ".docker/config.json", "{\"credHelpers\": {\"tools.company.example\": \"pass\"}}"),
        ("terraform", ".terraformrc", "credentials_helper \"other\" {}\n"),
        ("claude-code", ".claude/settings.json", "{\"apiKeyHelper\": \"pass show key\"}"),
        (
            "cargo",
            ".cargo/config.toml",
            "[registries.a]\nindex = \"https://tools.company.example/\"\ncredential-provider = \"cargo:token\"\n",
        ),
        (
            "codex",
            ".codex/config.toml",
            "[model_providers.a]\nbase_url = \"https://tools.company.example/\"\nenv_key = \"KEY\"\n",
        ),
    ] {
        let s = sandbox();
        let path = s.home.path().join(file);
        fs::create_dir_all(path.parent().expect("a directory")).expect("ours");
        fs::write(&path, text).expect("ours");
        Ran::from(s.output(&["setup", tool, "--json"])).failed(2, "usage");
        assert_eq!(fs::read_to_string(&path).expect("ours"), text);
        assert_eq!(s.run(&["setup", tool, "--undo"]).code, Some(0));
        assert_eq!(fs::read_to_string(&path).expect("ours"), text, "not keyfob's");
    }
    let s = sandbox();
    let link = s.home.path().join(".local/bin/docker-credential-keyfob");
    fs::create_dir_all(link.parent().expect("a directory")).expect("ours");
    fs::write(&link, "mine").expect("ours");
    Ran::from(s.output(&["setup", "docker", "--json"])).failed(2, "usage");
    assert_eq!(fs::read_to_string(&link).expect("ours"), "mine");
    assert!(!s.home.path().join(".docker/config.json").exists());
    assert_eq!(s.run(&["setup", "docker", "--undo"]).code, Some(0), "it is not in the way of that");
    assert_eq!(fs::read_to_string(&link).expect("ours"), "mine");
    // One that led to a keyfob which is gone is led to this one.
    fs::remove_file(&link).expect("ours");
    symlink("/nowhere/keyfob", &link).expect("ours");
    assert_eq!(s.run(&["setup", "docker"]).code, Some(0));
    assert_eq!(fs::read_link(&link).expect("a link"), PathBuf::from(program()));
}

/// The words of this command line hold when the tool runs the program; a tool that passes none is not set up as if it did.
#[test]
fn a_login_that_was_chosen_is_written_down() {
    for (tool, words) in
        [("git", "--profile work credential-helper git"), ("terraform", "args = [\"--profile\", \"work\"]")]
    {
        let s = sandbox();
        assert_eq!(s.run(&["--profile", "work", "setup", tool]).code, Some(0));
        let case = CASES.iter().find(|case| case.tool == tool).expect("a case");
        assert!(case.read(&s).contains(words), "{}", case.read(&s));
        assert_eq!(s.run(&["setup", tool, "--undo"]).code, Some(0));
        assert!(!case.file(&s).exists());
    }
    let s = sandbox();
    for tool in ["docker", "bazel", "pnpm"] {
        Ran::from(s.output(&["--profile", "work", "setup", tool, "--json"])).failed(2, "usage");
    }
}

/// A repository can set the variables that lead to these files.
#[test]
fn a_variable_leads_into_no_repository() {
    let s = sandbox();
    let repository = s.home.path().join("repository");
    fs::create_dir_all(repository.join(".git")).expect("ours");
    let path = repository.join("here");
    for (tool, variable) in [
        ("git", "GIT_CONFIG_GLOBAL"),
        ("docker", "DOCKER_CONFIG"),
        ("cargo", "CARGO_HOME"),
        ("terraform", "TF_CLI_CONFIG_FILE"),
        ("pnpm", "NPM_CONFIG_USERCONFIG"),
        ("claude-code", "CLAUDE_CONFIG_DIR"),
        ("codex", "CODEX_HOME"),
    ] {
        let mut command = s.keyfob(["setup", tool, "--json"]);
        let ran = Ran::from(command.current_dir(&repository).env(variable, &path).output().expect("it runs"));
        ran.failed(3, "home-unsafe");
        assert!(!path.exists(), "{tool}");
    }
}

/// Direnv lets a repository put a directory of its own into PATH. What lies there is named in no file of the person's, though it
/// leads to keyfob today.
#[test]
fn no_program_of_a_repository_is_written_down() {
    for (tool, name) in [
        ("bazel", "bazel-credential-keyfob"),
        ("pnpm", "pnpm-credential-keyfob"),
        ("docker", "docker-credential-keyfob"),
        ("cargo", "cargo-credential-keyfob"),
        ("git", "git-credential-keyfob"),
        ("claude-code", "keyfob"),
    ] {
        let case = CASES.iter().find(|case| case.tool == tool).expect("a case");
        let s = case.with(case.mine);
        let repository = s.home.path().join("visited-repository");
        let bin = repository.join("bin");
        fs::create_dir_all(repository.join(".git")).expect("ours");
        fs::create_dir_all(&bin).expect("ours");
        for name in [name, "keyfob"] {
            if fs::symlink_metadata(bin.join(name)).is_err() {
                symlink(program(), bin.join(name)).expect("ours");
            }
        }
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let mut command = s.keyfob(case.words(&[]));
        let ran = Ran::from(command.current_dir(&repository).env("PATH", &path).output().expect("it runs"));
        assert_eq!(ran.code, Some(0), "{tool}: {ran:?}");
        let text = case.read(&s);
        assert!(text.contains("keyfob") && !text.contains("visited-repository"), "{tool}: {text}");
        // A name alone would be looked up in the repository's directory first.
        assert!(!text.contains("[\"cargo-credential-keyfob") && !text.contains("!keyfob"), "{tool}: {text}");
        assert!(!text.contains("\"keyfob token"), "{tool}: {text}");
        if let Some(link) = case.link {
            let target = fs::read_link(s.home.path().join(link)).expect("a link of the person's");
            assert_eq!(target, PathBuf::from(program()), "{tool}");
        }
    }
}

/// Where JSON or TOML has several things on one line, that line changes, and is not shown.
#[test]
fn other_peoples_secrets_are_not_shown() {
    for (tool, text) in [
        (
            "claude-code",
            "{\n  \"env\": {\"X_TOKEN\": \"hunter-2\", \"ANTHROPIC_BASE_URL\": \"https://tools.company.example\"}\n}\n",
        ),
        (
            "claude-code",
            "{\n  \"env\": {\n    \"ANTHROPIC_BASE_URL\": \"https://tools.company.example\"\n  },\n  \"token\": \"hunter-2\"}\n",
        ),
        ("docker", "{\"auths\": {\"other\": {\"auth\": \"hunter-2\"}}\n}\n"),
        ("docker", "{\"auths\": {\"other\": {\"auth\": \"hunter-2\"}}}"),
        (
            "cargo",
            "registries = { company = { index = \"sparse+https://tools.company.example/index/\", token = \"hunter-2\" } }\n\n\
             [build]\njobs = 4\n",
        ),
        (
            "codex",
            "model = \"m\"\nmodel_providers = { company = { base_url = \"https://tools.company.example/v1\", \
             http_headers = { K = \"hunter-2\" } } }\n",
        ),
    ] {
        let case = CASES.iter().find(|case| case.tool == tool).expect("a case");
        let s = case.with(text);
        for words in [&["--dry-run"][..], &[], &["--undo", "--dry-run"], &["--undo"]] {
            let ran = s.run(&[&["setup", tool], words].concat());
            assert_eq!(ran.code, Some(0), "{tool}: {ran:?}");
            assert!(ran.err.contains("keyfob") && !ran.err.contains("hunter-2"), "{words:?}: {ran:?}");
            assert!(!ran.out.contains("hunter-2"), "{words:?}: {ran:?}");
            assert!(case.read(&s).contains("hunter-2"));
        }
        assert_eq!(case.read(&s), text, "{tool}: octet by octet");
    }
}

/// What the shell installer has brought is not `setup`'s to remove, nor what another file may still need.
#[test]
fn links_of_others_stay() {
    let s = sandbox();
    let link = s.home.path().join(".local/bin/docker-credential-keyfob");
    let list = s.home.path().join(".local/share/keyfob/installed");
    for dir in [&link, &list] {
        fs::create_dir_all(dir.parent().expect("a directory")).expect("ours");
    }
    symlink(program(), &link).expect("ours");
    fs::write(&list, "dir bin\nlink:keyfob bin/docker-credential-keyfob\n").expect("ours");
    assert_eq!(s.run(&["setup", "docker"]).code, Some(0));
    assert_eq!(s.run(&["setup", "docker", "--undo"]).code, Some(0));
    assert!(fs::symlink_metadata(&link).is_ok(), "the installer's");

    fs::remove_file(&list).expect("ours");
    let other = s.home.path().join("other.json");
    let other = other.to_str().expect("UTF-8");
    assert_eq!(s.run(&["setup", "docker", "--file", other]).code, Some(0));
    let ran = s.run(&["setup", "docker", "--file", other, "--undo"]);
    assert!(ran.code == Some(0) && ran.err.contains("Stays: "), "{ran:?}");
    assert!(fs::symlink_metadata(&link).is_ok(), "another file may need it");
    assert_eq!(s.run(&["setup", "docker", "--undo"]).code, Some(0));
    assert!(fs::symlink_metadata(&link).is_err(), "it goes with the usual file");
}

/// A line of pnpm's has no scheme: a project chooses that.
#[test]
fn pnpm_is_set_up_for_another_machine_only_if_http_is_accepted() {
    let case = CASES.iter().find(|case| case.tool == "pnpm").expect("a case");
    let s = case.with(case.mine);
    let ran = Ran::from(s.output(&["setup", "pnpm", "--json"]));
    ran.failed(2, "usage");
    assert!(ran.err.contains("unencrypted") && ran.err.contains("--accept-http"), "{ran:?}");
    assert_eq!(case.read(&s), case.mine);
    let config = "[environments.local]\nhosts = [\"http://127.0.0.1:4873\", \"https://127.0.0.1:4874\"]\n";
    fs::write(s.home.home().join("config.toml"), config).expect("ours");
    assert_eq!(s.run(&["setup", "pnpm"]).code, Some(0), "nobody is on the way to this machine");
    assert!(case.read(&s).contains("//127.0.0.1:4873/:tokenHelper=/"));
}

#[test]
fn doctor_names_a_link_whose_program_is_gone() {
    let s = sandbox();
    assert_eq!(s.run(&["setup", "docker"]).code, Some(0));
    let tools = |s: &Sandbox| {
        let output = s.output(&["doctor", "--json"]);
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let all = said["findings"].as_array().expect("a list").clone();
        all.into_iter().find(|finding| finding["subject"] == "tools")
    };
    assert_eq!(tools(&s), None);
    let link = s.home.path().join(".local/bin/docker-credential-keyfob");
    fs::remove_file(&link).expect("ours");
    symlink("/nowhere/keyfob", &link).expect("ours");
    let finding = tools(&s).expect("it is named");
    assert_eq!(finding["state"], "note");
    assert!(
        finding["text"].as_str().is_some_and(|text| text.contains("docker-credential-keyfob")),
        "{finding}"
    );
}
