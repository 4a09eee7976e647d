//! The lines of the questions.

use std::{
    io::{self, BufRead, Read as _},
    sync::mpsc::SyncSender,
};

use super::event::Event;

/// The longest line, without its end.
pub(super) const LONGEST: u64 = 64 * 1024;

/// Reads to the end, and tells what comes. A line that is too long is dropped to its end, and costs no memory.
pub(super) fn read(mut input: impl BufRead, tell: &SyncSender<Event>) {
    loop {
        let event = match line(&mut input) {
            Ok(Some(line)) if line.trim_ascii().is_empty() => continue,
            Ok(Some(line)) if line.len() as u64 > LONGEST => match skip(&mut input) {
                Ok(()) => Event::TooLong,
                Err(_) => Event::End,
            },
            Ok(Some(line)) => Event::Line(line),
            Ok(None) | Err(_) => Event::End,
        };
        let is_end = matches!(event, Event::End);
        if tell.send(event).is_err() || is_end {
            return;
        }
    }
}

/// One line without its end, or as much of it as says that it is too long. `None`: there is no more.
fn line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if input.take(LONGEST + 1).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(Some(line))
}

/// Drops the rest of a line.
fn skip(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let (used, is_end) = match input.fill_buf()? {
            [] => return Ok(()),
            some => some.iter().position(|b| *b == b'\n').map_or((some.len(), false), |at| (at + 1, true)),
        };
        input.consume(used);
        if is_end {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn told(text: &[u8]) -> Vec<String> {
        let (tell, told) = sync_channel(16);
        read(text, &tell);
        drop(tell);
        told.iter()
            .map(|event| match event {
                Event::Line(line) => format!("line of {}", line.len()),
                Event::TooLong => "too long".into(),
                Event::End => "end".into(),
                Event::Done { .. } => unreachable!("nobody answers here"),
            })
            .collect()
    }

    #[test]
    fn a_line_is_bounded_and_what_follows_it_is_read() {
        let fits = usize::try_from(LONGEST).unwrap();
        let long = [vec![b'x'; fits], b"\n".to_vec(), vec![b'x'; fits + 1], b"\n{}\n".to_vec()].concat();
        assert_eq!(told(&long), [&format!("line of {fits}"), "too long", "line of 2", "end"]);
        assert_eq!(told(b"{}"), ["line of 2", "end"], "the last line needs no end");
        assert_eq!(told(b"\n  \n"), ["end"], "an empty line is no question");
        assert_eq!(told(&vec![b'x'; 3 * fits]), ["too long", "end"]);
    }
}
