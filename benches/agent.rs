//! The agent: what one request costs beside agents that keep other things, and what ten thousand who are only connected cost
//! everybody else.

mod idle;
mod peers;

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    stage::{self, Program, Result, Stage},
    statistics::{median, ms, quantile, ratio, us},
};

use self::peers::{OidcAgent, SshAgent};

/// On a kept connection, with a connection for each.
const REQUESTS: usize = 20_000;
const CONNECTIONS: usize = 3000;
/// Of the two commands.
const COMMANDS: usize = 500;

/// A question as docs/agent.md has it.
const QUESTION: &[u8] =
    b"POST /v1/token HTTP/1.1\r\nHost: keyfob\r\nKeyfob: 1\r\nContent-Length: 17\r\n\r\n{\"min_valid\":300}";

pub(crate) fn run(program: &Program) -> Result<()> {
    let stage = Stage::start(program, Duration::ZERO, None)?;
    stage.sign_in("default")?;
    // On one core: else it is the kernel's choice, anew in each run, whether an answer has to wake another core.
    stage::confined(0, || {
        let agent = Agent::start(&stage)?;
        kept(&agent)?;
        connected(&stage, &agent)
    })?;
    idle::run(&stage)
}

/// One request after another, on a connection to each of the two agents.
fn kept(agent: &Agent) -> Result<()> {
    let peer = SshAgent::start()?;
    let (mut ours, mut theirs) = (agent.connect()?, UnixStream::connect(peer.socket())?);
    let (mut asked, mut listed) = (Vec::new(), Vec::new());
    for turn in 0..REQUESTS + 200 {
        let one = timed(|| ask(&mut ours))?;
        let other = timed(|| peers::list(&mut theirs))?;
        // The first of them find everything cold.
        if turn >= 200 {
            asked.push(one);
            listed.push(other);
        }
    }
    println!(
        "| agent: a token, on a kept connection | {} (90th percentile {}) | **{:.2} ×** (`ssh-agent` lists its key, {}) | 3.5 × |",
        us(median(&asked)),
        us(quantile(&asked, 90)),
        ratio(median(&asked), median(&listed)),
        us(median(&listed))
    );
    Ok(())
}

/// A connection for each request: what a program pays that asks once.
fn connected(stage: &Stage<'_>, agent: &Agent) -> Result<()> {
    let peer = OidcAgent::start(stage)?;
    let (mut asked, mut given) = (Vec::new(), Vec::new());
    for turn in 0..CONNECTIONS + 50 {
        let one = timed(|| ask(&mut agent.connect()?))?;
        let other = timed(|| peer.token())?;
        if turn >= 50 {
            asked.push(one);
            given.push(other);
        }
    }
    println!(
        "| agent: connect, and ask for a token | {} (90th percentile {}) | **{:.2} ×** (`oidc-agent`, {}) | below 1 × |",
        us(median(&asked)),
        us(quantile(&asked, 90)),
        ratio(median(&asked), median(&given)),
        us(median(&given))
    );
    let empty = tempfile::tempdir()?;
    let (mut ours, mut theirs) = (stage.command(&["token"]), peer.command("oidc-token"));
    ours.env("KEYFOB_HOME", empty.path().join("home"))
        .env("KEYFOB_AGENT", &agent.socket)
        .stdout(Stdio::null());
    theirs.arg("bench");
    let (mut asked, mut given) = (Vec::new(), Vec::new());
    for turn in 0..COMMANDS + 10 {
        let one = timed(|| succeeds(&mut ours))?;
        let other = timed(|| succeeds(&mut theirs))?;
        if turn >= 10 {
            asked.push(one);
            given.push(other);
        }
    }
    println!(
        "| agent: `keyfob token` that asks it | {} (90th percentile {}) | **{:.2} ×** (`oidc-token`, {}) | below 1 × |",
        ms(median(&asked)),
        ms(quantile(&asked, 90)),
        ratio(median(&asked), median(&given)),
        ms(median(&given))
    );
    Ok(())
}

fn succeeds(command: &mut Command) -> Result<()> {
    if command.status()?.success() { Ok(()) } else { Err("a command got no token".into()) }
}

fn timed(act: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let begin = Instant::now();
    act()?;
    Ok(begin.elapsed())
}

/// Asks for a token, and checks that it got one.
fn ask(stream: &mut UnixStream) -> Result<()> {
    stream.write_all(QUESTION)?;
    let (mut octets, mut length) = ([0; 8192], 0);
    while !is_whole(&octets[..length])? {
        match stream.read(&mut octets[length..])? {
            0 => return Err("the agent has hung up".into()),
            more => length += more,
        }
    }
    Ok(())
}

/// Whether this is all of an answer with a token.
fn is_whole(octets: &[u8]) -> Result<bool> {
    let text = str::from_utf8(octets)?;
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(false) };
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("the agent refused: {body}").into());
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    Ok(body.len() >= length.unwrap_or(usize::MAX))
}

/// An agent that runs.
struct Agent {
    child: Child,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

impl Agent {
    fn start(stage: &Stage<'_>) -> Result<Self> {
        // The path of a socket has to be short, and its directory is made by the agent.
        let dir = tempfile::tempdir()?;
        let socket = dir.path().join("agent/socket");
        let words =
            ["agent", "--socket", socket.to_str().ok_or("the temporary directory's name is no text")?];
        let mut child = stage.command(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        if Path::new(line.trim_end()) != socket {
            return Err("the agent does not listen".into());
        }
        Ok(Self { child, socket, _dir: dir })
    }

    fn connect(&self) -> Result<UnixStream> {
        Ok(UnixStream::connect(&self.socket)?)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
