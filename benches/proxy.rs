//! The proxy beside nginx that adds a header: requests a second, what it adds to one, events as they come, memory, and
//! what covering the credential in bodies costs.

mod servers;
mod streams;

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    stage::{self, Program, Result, Stage},
    statistics::{median, ratio, us},
};

use self::servers::{Nginx, Origin};

/// Connections that are kept: as many as keep a proxy busy, and one, for what it adds to a request that finds it idle.
const CLIENTS: &str = "8";
const ALONE: &str = "1";
/// Turns of each, and how long one of them takes.
const TURNS: usize = 5;
const BUSY: &str = "2s";
const BRIEF: &str = "1s";
/// What proxies run on, and everything else.
const CORES: [usize; 2] = [0, 1];

pub(crate) fn run(program: &Program) -> Result<()> {
    // But for the proxies.
    stage::confined(CORES[1], || all(program))
}

fn all(program: &Program) -> Result<()> {
    let stage = Stage::start(program, Duration::ZERO, None)?;
    let (origin, own) = (Nginx::origin(CORES[1])?, Origin::start()?);
    let hosts = format!("[environments.local]\nhosts = [\"{}\", \"{}\"]\n", origin.base(), own.base());
    fs::write(stage.home().join("config.toml"), hosts)?;
    stage.sign_in("default")?;
    requests(&stage, &origin)?;
    streams::run(&stage, &own)
}

/// Requests that nginx answers from a small file.
fn requests(stage: &Stage<'_>, origin: &Nginx) -> Result<()> {
    let nginx = Nginx::proxy(origin, CORES[0])?;
    let ours = Proxy::start(stage, origin.base(), &[])?;
    let bare = Proxy::start(stage, origin.base(), &["--scrub", "headers"])?;
    let (direct, theirs) = (("unused", origin.base()), ("unused", nginx.base()));
    let ways = [direct, theirs, ours.address(), bare.address()];
    let (busy, alone) = (in_turns(ways, CLIENTS, BUSY)?, in_turns(ways, ALONE, BRIEF)?);
    let [direct, theirs, ours, bare] = busy;
    println!(
        "| proxy: requests a second, one core, {CLIENTS} connections | {:.0} | **{:.2} ×** (nginx, {:.0}; without either, {:.0}) | 0.5 × |",
        ours.rate,
        ours.rate / theirs.rate,
        theirs.rate,
        direct.rate
    );
    for (what, [direct, theirs, ours, _]) in
        [("time it adds to a request", alone), ("the same where 8 connections keep it busy", busy)]
    {
        let added = |load: Load| load.median.saturating_sub(direct.median);
        println!(
            "| proxy: {what} | {} | **{:.2} ×** (nginx, {}; without either, {}) | 2 × |",
            us(added(ours)),
            ratio(added(ours), added(theirs)),
            us(added(theirs)),
            us(direct.median)
        );
    }
    println!(
        "| proxy: requests a second with covering in bodies | {:.0} | **{:.2} ×** (without, {:.0}) | 0.7 × |",
        ours.rate,
        ours.rate / bare.rate,
        bare.rate
    );
    Ok(())
}

/// Each way in turns, with so many connections for so long.
fn in_turns(ways: [(&str, &str); 4], clients: &str, time: &str) -> Result<[Load; 4]> {
    let mut all: [Vec<Load>; 4] = Default::default();
    for turn in 0..TURNS {
        for number in 0..ways.len() {
            let this = (turn + number) % ways.len();
            all[this].push(load(ways[this], clients, time)?);
        }
    }
    Ok(all.map(|loads| Load::median(&loads)))
}

/// What `wrk` has measured.
#[derive(Clone, Copy)]
struct Load {
    rate: f64,
    median: Duration,
}

impl Load {
    fn median(loads: &[Self]) -> Self {
        let mut rates: Vec<_> = loads.iter().map(|load| load.rate).collect();
        rates.sort_unstable_by(f64::total_cmp);
        let medians: Vec<_> = loads.iter().map(|load| load.median).collect();
        Self { rate: rates[rates.len() / 2], median: median(&medians) }
    }
}

fn load((token, base): (&str, &str), clients: &str, time_of_it: &str) -> Result<Load> {
    let done = Command::new("wrk")
        .args(["-t1", "-c", clients, "-d", time_of_it, "--latency", "-H"])
        .arg(format!("Authorization: Bearer {token}"))
        .arg(format!("{base}/small.json"))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`wrk` (Debian: wrk) does not start: {error}"))?;
    let said = String::from_utf8(done.stdout)?;
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        return Err(format!("not every request was answered:\n{said}").into());
    }
    let of = |name: &str| said.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    let (rate, median) = (of("Requests/sec:"), of("50%").and_then(time));
    match (rate, median) {
        (Some(rate), Some(median)) => Ok(Load { rate: rate.parse()?, median }),
        _ => Err(format!("`wrk` has measured nothing: {}", String::from_utf8_lossy(&done.stderr)).into()),
    }
}

/// A time as `wrk` writes it: `95.00us`, `1.20ms`, `2.00s`.
fn time(text: &str) -> Option<Duration> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let (number, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * unit))
}

/// A program that is confined to this core.
fn on_core(core: usize, name: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string(), name]);
    command
}

/// Our proxy, on its core.
struct Proxy {
    child: Child,
    base: String,
    token: String,
    _dir: tempfile::TempDir,
}

impl Proxy {
    fn start(stage: &Stage<'_>, to: &str, words: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let info = dir.path().join("proxy.json");
        let plain = stage.command(&["proxy", "--to", to, "--listen", "127.0.0.1:0", "--info"]);
        // The same command, behind what confines it.
        let mut command = on_core(CORES[0], plain.get_program().to_str().ok_or("a path is no text")?);
        command.args(plain.get_args()).arg(&info).args(words).env_clear().current_dir("/");
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .spawn()
            .map_err(|error| format!("`taskset` (Debian: util-linux) does not start: {error}"))?;
        let mut base = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut base)?;
        }
        let info: Value = serde_json::from_slice(&fs::read(&info)?)?;
        let token = info["token"].as_str().ok_or("the proxy does not tell its token")?.to_owned();
        Ok(Self { child, base: base.trim_end().trim_end_matches('/').to_owned(), token, _dir: dir })
    }

    /// The token of this run, and where it listens.
    fn address(&self) -> (&str, &str) {
        (&self.token, &self.base)
    }

    /// The most kilobytes of memory that it has had so far.
    fn peak(&self) -> Result<u64> {
        // `taskset` has become it.
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next());
        Ok(peak.ok_or("the kernel does not tell the peak")?.parse()?)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
