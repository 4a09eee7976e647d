//! Descriptors of every kind, opened at the number a case names.

use std::{
    fs::File,
    io::{self, PipeWriter, Seek, SeekFrom, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::Duration,
};

use rustix::io::{FdFlags, fcntl_setfd};

use crate::{
    blanks::Blanks,
    case::{Descriptor, DescriptorKind as Kind},
};

/// While one of our descriptors may be inherited, no other thread starts a process: an inherited writer would keep a
/// pipe open forever.
static STARTING: Mutex<()> = Mutex::new(());

/// Numbers nothing else has: descriptors pass through them on the way to the numbers asked for.
const AWAY: usize = 900;

/// The descriptors of one process, made before it starts.
pub(crate) struct Handed {
    /// Where each goes. `None`: the number must not be open.
    places: Vec<(u32, Option<OwnedFd>)>,
    /// Files that share their offset with the process.
    files: Vec<(u32, u64, File)>,
    writers: Vec<thread::JoinHandle<()>>,
    /// Writers that stay and never write, readers of what is for writing.
    kept: Vec<OwnedFd>,
}

impl Handed {
    pub(crate) fn make(descriptors: &[Descriptor], blanks: &Blanks, home: &Path) -> io::Result<Self> {
        let mut handed = Self { places: vec![], files: vec![], writers: vec![], kept: vec![] };
        for one in descriptors {
            let mut content = blanks.fill(&one.content).into_bytes();
            content.resize(content.len().max(one.size), b'x');
            let place = handed.one(one, content, blanks, home)?;
            handed.places.push((one.number, place));
        }
        Ok(handed)
    }

    fn one(
        &mut self,
        one: &Descriptor,
        content: Vec<u8>,
        blanks: &Blanks,
        home: &Path,
    ) -> io::Result<Option<OwnedFd>> {
        match one.kind {
            Kind::Pipe => self.pipe(content, |mut writer, content| writer.write_all(content)),
            Kind::Late => self.pipe(content, |mut writer, content| {
                thread::sleep(Duration::from_millis(300));
                writer.write_all(content)
            }),
            Kind::Slow => self.pipe(content, |mut writer, content| {
                for piece in content.chunks(content.len().div_ceil(4).max(1)) {
                    thread::sleep(Duration::from_millis(60));
                    writer.write_all(piece)?;
                }
                Ok(())
            }),
            Kind::Silent => {
                let (reader, writer) = io::pipe()?;
                self.kept.push(writer.into());
                Ok(Some(reader.into()))
            }
            Kind::WriteOnly => {
                let (reader, writer) = io::pipe()?;
                self.kept.push(reader.into());
                Ok(Some(writer.into()))
            }
            Kind::Socket => {
                let (ours, mut theirs) = UnixStream::pair()?;
                theirs.write_all(&content)?;
                Ok(Some(ours.into()))
            }
            Kind::File => {
                let path = home.join(format!("descriptor-{}", one.number));
                std::fs::write(&path, content)?;
                self.shared(one, &path)
            }
            Kind::Path => self.shared(one, Path::new(&blanks.fill(&one.path))),
            Kind::Directory => Ok(Some(File::open(home)?.into())),
            Kind::Closed => Ok(None),
        }
    }

    fn pipe(
        &mut self,
        content: Vec<u8>,
        write: fn(PipeWriter, &[u8]) -> io::Result<()>,
    ) -> io::Result<Option<OwnedFd>> {
        let (reader, writer) = io::pipe()?;
        // In a thread, because more than a pipe holds is written while it is read. That the reader gives up is its
        // good right.
        self.writers.push(thread::spawn(move || drop(write(writer, &content))));
        Ok(Some(reader.into()))
    }

    fn shared(&mut self, one: &Descriptor, path: &Path) -> io::Result<Option<OwnedFd>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(one.offset))?;
        self.files.push((one.number, one.offset, file.try_clone()?));
        Ok(Some(file.into()))
    }

    /// Starts the program with the descriptors in their places, which only the shell can do without `unsafe`.
    pub(crate) fn start(&mut self, mut command: Command) -> io::Result<Child> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let alone = STARTING.lock().expect("nobody panics here");
        if self.places.is_empty() {
            return command.spawn();
        }
        // First out of the way of the numbers asked for, then onto them: bash takes any number.
        let mut script = String::new();
        for (at, (number, place)) in self.places.iter().enumerate() {
            let away = AWAY + at;
            script += &match place {
                Some(fd) => format!("exec {away}<&{}-; ", fd.as_raw_fd()),
                None => format!("exec {number}<&-; "),
            };
        }
        for (at, (number, place)) in self.places.iter().enumerate() {
            if place.is_some() {
                script += &format!("exec {number}<&{}-; ", AWAY + at);
            }
        }
        let mut bash = Command::new("/bin/bash");
        bash.args(["-c", &(script + r#"exec "$0" "$@""#)])
            .arg(command.get_program())
            .args(command.get_args());
        bash.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        bash.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(dir) = command.get_current_dir() {
            bash.current_dir(dir);
        }
        for (_, place) in &self.places {
            if let Some(fd) = place {
                fcntl_setfd(fd, FdFlags::empty())?;
            }
        }
        let child = bash.spawn();
        // Closed here: the process has them now, and the end of a writer must show.
        self.places.clear();
        drop(alone);
        child
    }

    /// Their state afterwards: the offset of a shared file is unchanged.
    pub(crate) fn check(self, problems: &mut Vec<String>) {
        for (number, before, mut file) in self.files {
            let after = file.stream_position().expect("a file has an offset");
            if after != before {
                problems.push(format!("the offset of descriptor {number} went from {before} to {after}"));
            }
        }
        drop(self.kept);
        for writer in self.writers {
            writer.join().expect("a writer only writes");
        }
    }
}
