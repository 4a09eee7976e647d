//! The provider as a process: installed once from the lock file, started on a free port, its output captured.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::proxy::locked;
use keyfob_testkit::until;

pub(super) struct Provider {
    pub(super) issuer: String,
    said: Arc<Mutex<Vec<Value>>>,
    marks: AtomicU32,
    process: Child,
    // It ends with this.
    _stdin: ChildStdin,
}

/// Where it is installed: never in the source tree.
fn installed() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("providers/oidc-provider");
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oidc-provider");
        keyfob_testkit::npm(&source, &place);
        fs::copy(source.join("server.mjs"), place.join("server.mjs")).expect("a file of ours");
        place
    })
}

impl Provider {
    /// Starts it with access tokens that last so many seconds.
    pub(super) fn start(ttl: u32) -> Self {
        let mut process = Command::new(keyfob_testkit::node(installed()))
            .arg("server.mjs")
            .arg(ttl.to_string())
            .current_dir(installed())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need node and npm");
        let stdin = process.stdin.take().expect("a pipe");
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let issuer = lines.next().expect("it says its issuer");
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        thread::spawn(move || {
            for line in lines {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "text": line }));
                locked(&heard).push(line);
            }
        });
        Self { issuer, said, marks: AtomicU32::new(0), process, _stdin: stdin }
    }

    /// How often it has said something with these members.
    pub(super) fn said(&self, members: &Value) -> usize {
        self.catch_up();
        let members = members.as_object().expect("an object");
        let has = |line: &&Value| members.iter().all(|(name, value)| line.get(name) == Some(value));
        locked(&self.said).iter().filter(has).count()
    }

    /// Every answer has been logged, but the pipe may lag for a moment.
    fn catch_up(&self) {
        let mark = format!("/mark/{}", self.marks.fetch_add(1, Ordering::Relaxed));
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        agent.get(format!("{}{mark}", self.issuer)).call().expect("an answer");
        let mark = json!({ "mark": mark });
        until("its words", || locked(&self.said).contains(&mark).then_some(()));
    }

    /// The lines that have this member.
    pub(super) fn lines(&self, member: &str) -> Vec<Value> {
        self.catch_up();
        locked(&self.said).iter().filter(|line| line.get(member).is_some()).cloned().collect()
    }

    /// The private key that its clients prove themselves with by this algorithm, in PEM.
    pub(super) fn key(&self, algorithm: &str) -> String {
        let line = self.lines("key").into_iter().find(|line| line["key"] == algorithm).expect("a key");
        line["pem"].as_str().expect("a text").to_owned()
    }

    pub(super) fn renewals(&self) -> usize {
        self.said(&json!({ "granted": "refresh_token" }))
    }

    /// Nothing it refused, revoked unasked, or broke over.
    pub(super) fn has_no_complaint(&self) {
        self.catch_up();
        let said = locked(&self.said);
        let bad: Vec<_> =
            said.iter().filter(|line| line.get("error").is_some() || line.get("broken").is_some()).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }

    /// Its introspection answer about a token, for its confidential client (RFC 7662).
    pub(super) fn is_active(&self, token: &str) -> bool {
        self.introspect(token)["active"] == true
    }

    fn introspect(&self, token: &str) -> Value {
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
        let mut answer = agent
            .post(format!("{}/token/introspection", self.issuer))
            .header("Content-Type", "application/x-www-form-urlencoded")
            // `inspector:the-inspectors-secret`
            .header("Authorization", "Basic aW5zcGVjdG9yOnRoZS1pbnNwZWN0b3JzLXNlY3JldA==")
            .send(body)
            .expect("an answer");
        let text = answer.body_mut().read_to_string().expect("text");
        serde_json::from_str(&text).expect("JSON")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
