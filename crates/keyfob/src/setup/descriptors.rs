//! Credentials on inherited descriptors: taken over at startup, inspected without consuming them, read once.

use std::{
    io::{self, IsTerminal, Read},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::FileExt,
    },
    time::{Duration, Instant},
};

use keyfob_core::{Error, Id, Result, Secret, error::escape, secret::strip_newline};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{FileType, OFlags, Timespec, fcntl_getfl, fstat},
};
use zeroize::Zeroizing;

use crate::world::system::fd;

/// No credential is larger.
const LARGEST: usize = 64 * 1024;
/// How long a writer may take, all in all.
const PATIENCE: Duration = Duration::from_secs(5);

/// An inherited descriptor that was taken over and looks usable. Its content has not been touched.
#[derive(Debug)]
pub struct Inherited {
    variable: &'static str,
    number: i32,
    descriptor: OwnedFd,
    kind: FileType,
}

impl Inherited {
    /// Takes over the descriptor a variable names.
    ///
    /// # Errors
    /// [`Id::DescriptorNotOpen`], [`Id::DescriptorUnusable`].
    pub fn take(variable: &'static str, number: i32) -> Result<Self> {
        if number == 0 && io::stdin().is_terminal() {
            return Err(unusable(variable, number, "it is standard input, and that is a terminal"));
        }
        let descriptor = fd::take(number).map_err(|_| {
            let what = format!("{variable} names descriptor {number}, which is not open");
            let why = "the parent process did not open it for this one, or closed it before it started";
            Error::new(Id::DescriptorNotOpen, what, why)
        })?;
        Self::inspect(variable, number, descriptor)
    }

    /// Accepts a descriptor a host hands over as a value.
    ///
    /// # Errors
    /// [`Id::DescriptorUnusable`].
    pub fn given(variable: &'static str, descriptor: OwnedFd) -> Result<Self> {
        Self::inspect(variable, descriptor.as_raw_fd(), descriptor)
    }

    fn inspect(variable: &'static str, number: i32, descriptor: OwnedFd) -> Result<Self> {
        let system = |error: rustix::io::Errno| unusable(variable, number, &error.to_string());
        let mode = fcntl_getfl(&descriptor).map_err(system)?;
        let stat = fstat(&descriptor).map_err(system)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::Directory => return Err(unusable(variable, number, "it is a directory")),
            _ if mode & OFlags::RWMODE == OFlags::WRONLY || fd::only_shows(mode) => {
                return Err(unusable(variable, number, "it is open for writing only"));
            }
            FileType::RegularFile if stat.st_size == 0 => {
                return Err(content(variable, number, "it is empty"));
            }
            _ => {}
        }
        Ok(Self { variable, number, descriptor, kind })
    }

    /// The variable that names it.
    #[must_use]
    pub fn variable(&self) -> &'static str {
        self.variable
    }

    /// The number, for reports.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.number
    }

    /// Whether it could not be read again: all but a regular file, whose offset is not moved.
    #[must_use]
    pub fn is_emptied_by_reading(&self) -> bool {
        self.kind != FileType::RegularFile
    }

    /// Reads it to the end, once, and closes it. A regular file is read from its beginning without moving its
    /// offset: others may share that.
    ///
    /// # Errors
    /// [`Id::DescriptorContent`] when it is empty, too large, too slow, or not one token.
    pub fn read(self) -> Result<Secret> {
        let wrong = |why: &str| content(self.variable, self.number, why);
        let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST + 1));
        if self.kind == FileType::RegularFile {
            let file = std::fs::File::from(self.descriptor);
            let mut chunk = Zeroizing::new([0; 4096]);
            while bytes.len() <= LARGEST {
                let offset = bytes.len() as u64;
                match file
                    .read_at(&mut chunk[..], offset)
                    .map_err(|error| wrong(&error.kind().to_string()))?
                {
                    0 => break,
                    n => bytes.extend_from_slice(&chunk[..n]),
                }
            }
        } else {
            #[expect(clippy::disallowed_methods, reason = "a time-out, which the wall clock must not move")]
            let begun = Instant::now();
            let mut stream = std::fs::File::from(self.descriptor);
            let mut chunk = Zeroizing::new([0; 4096]);
            while bytes.len() <= LARGEST {
                wait(&stream, begun).map_err(|why| wrong(&why))?;
                match stream.read(&mut chunk[..]) {
                    Ok(0) => break,
                    Ok(n) => bytes.extend_from_slice(&chunk[..n]),
                    Err(error)
                        if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                    }
                    Err(error) => return Err(wrong(&error.kind().to_string())),
                }
            }
        }
        if bytes.len() > LARGEST {
            return Err(wrong("it holds more than 64 KiB"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not text"))?;
        Secret::visible(strip_newline(text)).map_err(|why| wrong(why.as_str()))
    }
}

/// Waits for the writer, without changing the mode of a description others share.
fn wait(stream: &std::fs::File, begun: Instant) -> Result<(), String> {
    let left = PATIENCE.saturating_sub(begun.elapsed());
    let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
    match poll(&mut [PollFd::new(&stream.as_fd(), PollFlags::IN)], Some(&timeout)) {
        Ok(0) => Err("its writer took longer than 5 s".into()),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(escape(&error.to_string())),
    }
}

fn unusable(variable: &str, number: i32, why: &str) -> Error {
    Error::new(
        Id::DescriptorUnusable,
        format!("{variable} names descriptor {number}, which cannot be used"),
        why,
    )
}

fn content(variable: &str, number: i32, why: &str) -> Error {
    let what = format!("{variable} names descriptor {number}, which does not hold a credential");
    Error::new(Id::DescriptorContent, what, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Seek, SeekFrom, Write},
        os::unix::net::UnixStream,
    };

    fn read(descriptor: impl Into<OwnedFd>) -> Result<Secret> {
        Inherited::given("TEST_FD", descriptor.into())?.read()
    }

    fn why(descriptor: impl Into<OwnedFd>) -> String {
        read(descriptor).expect_err("refused").why().to_owned()
    }

    fn file(content: &[u8]) -> std::fs::File {
        let fd = rustix::fs::memfd_create("keyfob-test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = std::fs::File::from(fd);
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn pipes_sockets_and_files_at_their_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        let slow = move || {
            for part in ["ses", "ame", "\n"] {
                std::thread::sleep(Duration::from_millis(30));
                writer.write_all(part.as_bytes()).unwrap();
            }
        };
        let slow = std::thread::Builder::new().spawn(slow).unwrap();
        assert!(read(reader).unwrap().same_as("sesame"));
        slow.join().unwrap();

        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"sesame\r\n").unwrap();
        drop(theirs);
        assert!(read(ours).unwrap().same_as("sesame"));

        let mut at_end = file(b"sesame");
        let shared = at_end.try_clone().unwrap();
        assert!(read(shared).unwrap().same_as("sesame"));
        at_end.seek(SeekFrom::Start(2)).unwrap();
        assert!(read(at_end.try_clone().unwrap()).unwrap().same_as("sesame"));
        assert_eq!(at_end.stream_position().unwrap(), 2, "the offset others share has not moved");
    }

    #[test]
    fn what_is_no_credential_is_refused() {
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        assert_eq!(why(reader), "is empty");
        assert_eq!(why(file(b"")), "it is empty");
        assert_eq!(why(file(b"two tokens")), "has a blank inside");
        assert_eq!(why(file(b"a\n\n")), "has a line break inside");
        assert_eq!(why(file(&vec![b'x'; LARGEST + 1])), "it holds more than 64 KiB");
        assert_eq!(why(file(b"\xff\xfe")), "it is not text");
        let (_reader, writer) = io::pipe().unwrap();
        assert_eq!(why(writer), "it is open for writing only");
        assert_eq!(why(std::fs::File::open("/").unwrap()), "it is a directory");
    }

    #[test]
    fn a_number_that_is_not_open_is_named() {
        let error = Inherited::take("TEST_FD", 987).expect_err("not open");
        assert_eq!(error.id(), Id::DescriptorNotOpen);
        assert!(error.what().contains("TEST_FD names descriptor 987"));
    }
}
