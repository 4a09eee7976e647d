//! Answers and requests that go on: events, and a gigabyte in each direction.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    proxy::{
        Proxy,
        servers::{EVENTS, LARGE, Origin},
    },
    stage::{Result, Stage},
    statistics::{median, quantile, us},
};

/// Answers with events, of each way.
const TURNS: usize = 4;
/// How often a gigabyte comes down.
const DOWNLOADS: usize = 3;

pub(super) fn run(stage: &Stage<'_>, origin: &Origin) -> Result<()> {
    let ours = Proxy::start(stage, origin.base(), &[])?;
    let bare = Proxy::start(stage, origin.base(), &["--scrub", "headers"])?;
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        events(("unused", origin.base()), origin, &mut direct)?;
        events(ours.address(), origin, &mut through)?;
    }
    println!(
        "| proxy: first octet of an event, later than direct | **{}** (90th percentile {}) | {} against {} | 1 ms |",
        us(median(&through).saturating_sub(median(&direct))),
        us(quantile(&through, 90).saturating_sub(quantile(&direct, 90))),
        us(median(&through)),
        us(median(&direct))
    );
    // Everything that is needed is there.
    download(ours.address(), LARGE >> 6)?;
    let before = ours.peak()?;
    let (mut looked, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..DOWNLOADS {
        looked.push(download(ours.address(), LARGE)?);
        plain.push(download(bare.address(), LARGE)?);
    }
    let down = ours.peak()?;
    upload(ours.address())?;
    let up = ours.peak()?;
    #[expect(clippy::cast_precision_loss, reason = "kilobytes of a process")]
    let mib = |kilobytes: u64| kilobytes as f64 / 1024.0;
    println!(
        "| proxy: peak memory after 1 GiB down and 1 GiB up | {:.2} MiB | {:.2} MiB before, {:.2} MiB between | flat |",
        mib(up),
        mib(before),
        mib(down)
    );
    #[expect(clippy::cast_precision_loss, reason = "mebibytes of an answer")]
    let speed = |times: &[Duration]| (LARGE >> 20) as f64 / median(times).as_secs_f64();
    println!(
        "| proxy: 1 GiB of events with covering in bodies | {:.0} MiB a second | **{:.2} ×** (without, {:.0}) | 0.7 × |",
        speed(&looked),
        speed(&looked) / speed(&plain),
        speed(&plain)
    );
    Ok(())
}

/// Asks, and returns when the head of the answer has come.
fn ask((token, base): (&str, &str), head: &str) -> Result<BufReader<TcpStream>> {
    let host = base.trim_start_matches("http://");
    let stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(1 << 18, stream);
    let request = format!("{head}\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
    reader.get_mut().write_all(request.as_bytes())?;
    Ok(reader)
}

fn answered(reader: &mut BufReader<TcpStream>) -> Result<()> {
    let mut first = String::new();
    reader.read_line(&mut first)?;
    if !first.starts_with("HTTP/1.1 200") {
        return Err(format!("not answered: {first}").into());
    }
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    Ok(())
}

/// The time from when each event leaves to when it is here.
fn events(to: (&str, &str), origin: &Origin, times: &mut Vec<Duration>) -> Result<()> {
    let mut reader = ask(to, "GET /events HTTP/1.1")?;
    answered(&mut reader)?;
    let (mut line, mut seen) = (Vec::new(), 0);
    while seen < EVENTS {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Err("the events end".into());
        }
        if line.starts_with(b"event: ") {
            let now = Instant::now();
            times.push(now.saturating_duration_since(origin.sent()?));
            seen += 1;
        }
    }
    Ok(())
}

/// Takes so much of a large answer, and hangs up.
fn download(from: (&str, &str), octets: u64) -> Result<Duration> {
    let begin = Instant::now();
    let mut reader = ask(from, "GET /large HTTP/1.1")?;
    answered(&mut reader)?;
    let taken = std::io::copy(&mut reader.take(octets), &mut std::io::sink())?;
    if taken == octets { Ok(begin.elapsed()) } else { Err("the answer was cut".into()) }
}

fn upload(to: (&str, &str)) -> Result<()> {
    let mut reader = ask(to, &format!("POST /up HTTP/1.1\r\nContent-Length: {LARGE}"))?;
    let part = vec![b'x'; 1 << 16];
    for _ in 0..LARGE >> 16 {
        reader.get_mut().write_all(&part)?;
    }
    answered(&mut reader)
}
