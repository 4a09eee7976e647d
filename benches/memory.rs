//! The peak memory of `keyfob token`. Its answer goes into a full pipe, so that it blocks after allocating everything
//! it needs; then the kernel's high-water mark is read.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::stage::{Program, Result, Stage};

pub(crate) fn run(program: &Program) -> Result<()> {
    let stage = Stage::start(program, Duration::ZERO, None)?;
    let login = stage.sign_in("default")?;
    let token = peak(&mut stage.command(&["token"]))?;
    let cat = peak(Command::new("/bin/cat").arg(&login.path).env_clear())?;
    #[expect(clippy::cast_precision_loss, reason = "kilobytes of a process")]
    let (mib, ratio) = (token as f64 / 1024.0, token as f64 / cat as f64);
    println!("| peak memory of `keyfob token` | {mib:.2} MiB | {ratio:.2} × `cat` | under 4 MiB |");
    Ok(())
}

/// The kilobytes of memory a command has had at most when it wants to write.
fn peak(command: &mut Command) -> Result<u64> {
    let (mut reader, mut writer) = io::pipe()?;
    // 64 KiB is what a pipe holds.
    writer.write_all(&[b'\n'; 65536])?;
    let mut child = command.stdout(Stdio::from(writer)).spawn()?;
    // The command keeps the writing end; without this the pipe would never end.
    command.stdout(Stdio::null());
    let proc = Path::new("/proc").join(child.id().to_string());
    let begin = Instant::now();
    // `pipe_write` is where a process waits for a full pipe; where the kernel does not tell, wait a moment.
    let stands = || match fs::read_to_string(proc.join("wchan")) {
        Ok(place) if place.len() > 1 => place.contains("pipe_write"),
        _ => begin.elapsed() > Duration::from_millis(300),
    };
    while !stands() && begin.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = fs::read_to_string(proc.join("status"))?;
    io::copy(&mut reader, &mut io::sink())?;
    child.wait()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next());
    Ok(peak.ok_or("the kernel does not tell the peak")?.parse()?)
}
