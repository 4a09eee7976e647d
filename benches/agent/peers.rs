//! The agents beside which ours is measured. Both are Debian's.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::stage::{Result, Stage};

/// `ssh-agent` with one key.
pub(super) struct SshAgent {
    child: Child,
    dir: tempfile::TempDir,
}

impl SshAgent {
    pub(super) fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (socket, key) = (dir.path().join("agent.sock"), dir.path().join("key"));
        let words = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
        run(Command::new("ssh-keygen").args(words(&["-q", "-t", "ed25519", "-N", "", "-f"])).arg(&key))?;
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("`ssh-agent` (Debian: openssh-client) does not start: {error}"))?;
        let agent = Self { child, dir };
        appears(&socket)?;
        run(Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket))?;
        Ok(agent)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.dir.path().join("agent.sock")
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Has it list its keys (RFC 9987): like a token, something that it has at hand.
pub(super) fn list(stream: &mut UnixStream) -> Result<()> {
    stream.write_all(&[0, 0, 0, 1, 11])?;
    let (mut octets, mut length) = ([0; 4096], 0);
    loop {
        if let Some((size, rest)) = octets[..length].split_first_chunk::<4>()
            && rest.len() >= usize::try_from(u32::from_be_bytes(*size))?
        {
            // SSH_AGENT_IDENTITIES_ANSWER with one of them.
            return if rest.starts_with(&[12, 0, 0, 0, 1]) { Ok(()) } else { Err("it lists no key".into()) };
        }
        match stream.read(&mut octets[length..])? {
            0 => return Err("ssh-agent has hung up".into()),
            more => length += more,
        }
    }
}

/// `oidc-agent` with a login at the same provider.
pub(super) struct OidcAgent {
    child: Child,
    dir: tempfile::TempDir,
}

/// RFC 7636, Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

impl OidcAgent {
    pub(super) fn start(stage: &Stage<'_>) -> Result<Self> {
        let refresh_token = offline(stage)?;
        let dir = tempfile::tempdir()?;
        let (socket, password) = (dir.path().join("agent.sock"), dir.path().join("password"));
        fs::write(&password, "sesame\n")?;
        let command = |name: &str| command(name, dir.path());
        let child = command("oidc-agent")
            .args(["-d", "--no-autoload", "-a"])
            .arg(&socket)
            .spawn()
            .map_err(|error| format!("`oidc-agent` (Debian: oidc-agent-cli) does not start: {error}"))?;
        appears(&socket)?;
        let mut account = command("oidc-gen");
        account.args(["bench", "-m", "--no-save", "--flow=refresh", "--prompt=none", "--confirm-default"]);
        account.args([
            "--client-id=keyfob-local",
            "--client-secret=",
            "--redirect-uri=http://localhost:4242",
        ]);
        account.arg(format!("--iss={}", stage.base())).arg(format!("--pw-file={}", password.display()));
        account.args(["--scope=openid offline_access", "--rt-env=BENCH_REFRESH_TOKEN"]);
        let agent = Self { child, dir };
        run(account.env("BENCH_REFRESH_TOKEN", refresh_token))?;
        Ok(agent)
    }

    /// One of its commands.
    pub(super) fn command(&self, name: &str) -> Command {
        command(name, self.dir.path())
    }

    /// Connects, and asks for a token, as docs/api-ipc of oidc-agent says.
    pub(super) fn token(&self) -> Result<()> {
        let mut stream = UnixStream::connect(self.dir.path().join("agent.sock"))?;
        stream.write_all(
            br#"{"request":"access_token","account":"bench","min_valid_period":300,"application_hint":"bench"}"#,
        )?;
        let (mut octets, mut length) = ([0; 8192], 0);
        loop {
            match stream.read(&mut octets[length..])? {
                0 => return Err("oidc-agent has hung up".into()),
                more => length += more,
            }
            // It neither says a length nor hangs up.
            if octets[..length].ends_with(b"}") {
                let is_token = str::from_utf8(&octets[..length])?.contains("\"access_token\"");
                return if is_token { Ok(()) } else { Err("oidc-agent gives no token".into()) };
            }
        }
    }
}

impl Drop for OidcAgent {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn command(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(name);
    command.env("OIDC_CONFIG_DIR", dir).env("OIDC_SOCK", dir.join("agent.sock")).env("HOME", dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Signs in with the scopes that oidc-agent asks for; returns the refresh token.
fn offline(stage: &Stage<'_>) -> Result<String> {
    let redirect = "http%3A%2F%2F127.0.0.1%3A1%2Fcallback";
    let url = format!(
        "{}/oauth/authorize?response_type=code&client_id=keyfob-local&redirect_uri={redirect}&state=bench\
         &scope=openid%20offline_access&code_challenge={CHALLENGE}&code_challenge_method=S256",
        stage.base()
    );
    let mut connection = stage.connect()?;
    let location = connection.request("GET", &url, "")?.header("location").unwrap_or_default();
    let code = location.split(['?', '&']).find_map(|part| part.strip_prefix("code="));
    let form = format!(
        "grant_type=authorization_code&client_id=keyfob-local&redirect_uri={redirect}&code_verifier={VERIFIER}&code={}",
        code.ok_or("the provider gives no code")?
    );
    let answer = connection.request("POST", &format!("{}/v1/oauth/token", stage.base()), &form)?;
    let answer: Value = serde_json::from_slice(&answer.body)?;
    Ok(answer["refresh_token"].as_str().ok_or("the provider gives no refresh token")?.to_owned())
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).status().map_err(|error| format!("`{name}`: {error}"))?;
    if done.success() { Ok(()) } else { Err(format!("`{name}` failed").into()) }
}

/// Waits until somebody listens there.
fn appears(socket: &Path) -> Result<()> {
    let begin = Instant::now();
    while UnixStream::connect(socket).is_err() {
        if begin.elapsed() > Duration::from_secs(30) {
            return Err(format!("nobody listens at {}", socket.display()).into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
