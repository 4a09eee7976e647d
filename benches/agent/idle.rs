//! Ten thousand who are connected and ask nothing, and a thousand who come at once.

use std::{
    fs,
    io::{Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    time::{Duration, Instant},
};

use rustix::{
    event::epoll,
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::{
    agent::{Agent, QUESTION, ask, is_whole},
    stage::{Result, Stage},
    statistics::{median, ms, ratio},
};

const IDLE: usize = 10_000;
const STORM: usize = 1000;
/// Turns, each of so many storms without and with them.
const TURNS: usize = 4;
const STORMS: usize = 8;

pub(super) fn run(stage: &Stage<'_>) -> Result<()> {
    // The agent inherits the usual soft limit, and has to raise it by itself.
    let limit = raised()?;
    let agent = Agent::start(stage)?;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut refused = 0;
    let mut storms = |times: &mut Vec<Duration>| -> Result<()> {
        for _ in 0..STORMS {
            refused += storm(&agent, times)?;
        }
        Ok(())
    };
    let (mut silent, mut asked) = (0, 0);
    for turn in 0..TURNS {
        storms(&mut without)?;
        let before = resident(&agent)?;
        let mut idle = (0..IDLE).map(|_| agent.connect()).collect::<Result<Vec<_>>>()?;
        // All of them have been accepted when one that came last has its answer.
        ask(&mut agent.connect()?)?;
        let silently = resident(&agent)?;
        for stream in &mut idle {
            ask(stream)?;
        }
        if turn == 0 {
            silent = silently.saturating_sub(before);
            asked = resident(&agent)?.saturating_sub(before);
        }
        storms(&mut with)?;
    }
    let (without, with) = (median(&without), median(&with));
    println!(
        "| agent: {STORM} clients at once beside {IDLE} idle ones, {refused} refused | {} | **{:.2} ×** (alone, {}) | 1.5 × |",
        ms(with),
        ratio(with, without),
        ms(without)
    );
    #[expect(clippy::cast_precision_loss, reason = "kilobytes of a process")]
    let each = |kilobytes: u64| kilobytes as f64 / IDLE as f64;
    println!(
        "| agent: memory for an idle client that has asked | {:.2} KiB | {:.2} KiB for one that has not | 12 KiB |",
        each(asked),
        each(silent)
    );
    Ok(())
}

/// The limit of descriptors, whose hard half is made large enough if that may be done.
fn raised() -> Result<Rlimit> {
    let enough = (IDLE + STORM + 512) as u64;
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.map(|maximum| maximum.max(enough));
    let wanted = Rlimit { current: Some(1024), maximum };
    setrlimit(Resource::Nofile, wanted)
        .map_err(|_| format!("{enough} descriptors are needed: `ulimit -Hn`"))?;
    Ok(getrlimit(Resource::Nofile))
}

/// Kilobytes of the agent that are in memory.
fn resident(agent: &Agent) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.child.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next());
    Ok(line.ok_or("the kernel does not tell the memory")?.parse()?)
}

/// Connects as often as that at once, and asks on each; adds the time from each connect to its answer. Returns how many were
/// refused.
fn storm(agent: &Agent, times: &mut Vec<Duration>) -> Result<usize> {
    let address = SocketAddrUnix::new(&agent.socket)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let (mut clients, mut refused) = (Vec::with_capacity(STORM), 0);
    for number in 0..STORM {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let begin = Instant::now();
        // A queue that is full is `EAGAIN` to who does not wait.
        match connect(&socket, &address) {
            Err(Errno::AGAIN | Errno::CONNREFUSED) => refused += 1,
            connected => connected?,
        }
        let mut stream = UnixStream::from(socket);
        if refused == 0 {
            stream.write_all(QUESTION)?;
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
        }
        clients.push((stream, begin, Vec::new()));
    }
    if refused > 0 {
        return Ok(refused);
    }
    let (mut left, mut octets) = (STORM, [0; 8192]);
    let mut events = Vec::with_capacity(256);
    while left > 0 {
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let (stream, begin, answer) = &mut clients[usize::try_from(event.data.u64())?];
            match stream.read(&mut octets)? {
                0 => return Err("the agent has hung up on one of a storm".into()),
                more => answer.extend_from_slice(&octets[..more]),
            }
            if is_whole(answer)? {
                times.push(begin.elapsed());
                epoll::delete(&epoll, &*stream)?;
                left -= 1;
            }
        }
    }
    Ok(0)
}
