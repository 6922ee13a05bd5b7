//! Reading lines of any length and any bytes in a bounded piece of memory.

use std::io::{self, BufRead as _, BufReader, Read};

const BUFFER: usize = 64 * 1024;
/// What may end a line.
const ENDING: usize = b"\r\n".len();

/// One line, without its ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It is longer than anything that is looked at, and was let go of as it was read.
    TooLong,
}

/// Lines out of a stream, of which no more than the longest that counts is ever held.
#[derive(Debug)]
pub(super) struct Lines<R> {
    from: BufReader<R>,
    line: Vec<u8>,
    max: usize,
    bytes: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(from: R, max: usize) -> Self {
        // One piece of memory for all lines: it never grows, and nothing is copied out of it.
        let line = Vec::with_capacity(max.saturating_add(ENDING));
        Self {
            from: BufReader::with_capacity(BUFFER, from),
            line,
            max,
            bytes: 0,
        }
    }

    /// Whether the next line is not all here yet, so that reading it may take time.
    pub(super) fn may_wait(&self) -> bool {
        !self.from.buffer().contains(&b'\n')
    }

    /// Bytes that were read so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line; the last one need not be ended.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let limit = u64::try_from(self.max.saturating_add(ENDING)).unwrap_or(u64::MAX);
        let read = (&mut self.from)
            .take(limit)
            .read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        let mut skipped = 0;
        match self.line.pop_if(|last| *last == b'\n') {
            Some(_) => drop(self.line.pop_if(|last| *last == b'\r')),
            None if self.line.len() > self.max => skipped = self.from.skip_until(b'\n')?,
            None => {}
        }
        let passed = u64::try_from(read.saturating_add(skipped)).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(passed);
        Ok(Some(match self.line.len() > self.max {
            true => Line::TooLong,
            false => Line::Whole(&self.line),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that has no end in memory: one letter over and over, then what follows.
    fn letters(count: u64, then: &'static [u8]) -> impl Read {
        io::repeat(b'a').take(count).chain(then)
    }

    fn all(from: impl Read, max: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(from, max);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
            assert_eq!(
                lines.line.capacity(),
                max.saturating_add(ENDING),
                "the memory for a line has grown"
            );
        }
        found
    }

    #[test]
    fn a_line_of_any_length_is_passed_over_in_bounded_memory() {
        for length in [10 << 20, 100 << 20] {
            let found = all(letters(length, b"\nnext\n"), 100);
            assert_eq!(found, [None, Some(b"next".to_vec())]);
        }
        assert_eq!(
            all(letters(10 << 20, b""), 100),
            [None],
            "one that never ends"
        );
    }

    #[test]
    fn the_longest_line_is_whole_and_one_byte_more_is_not() {
        for ending in [&b"\n"[..], b"\r\n", b""] {
            for (length, fits) in [(99, true), (100, true), (101, false), (102, false)] {
                let from = letters(length, b"").chain(ending);
                let length = usize::try_from(length).unwrap();
                let expected = fits.then(|| vec![b'a'; length]);
                assert_eq!(all(from, 100), [expected], "{length} and {ending:?}");
            }
        }
    }

    #[test]
    fn any_bytes_are_a_line_and_only_a_line_feed_ends_one() {
        let from = &b"\0\xff\xfe\n\n\r\n\r\r\na\rb\nlast"[..];
        let expected: [&[u8]; 6] = [b"\0\xff\xfe", b"", b"", b"\r", b"a\rb", b"last"];
        let expected: Vec<_> = expected.iter().map(|line| Some(line.to_vec())).collect();
        assert_eq!(all(from, 100), expected);
        assert!(all(&b""[..], 100).is_empty());
    }

    #[test]
    fn who_waits_for_a_verdict_is_noticed() {
        let mut lines = Lines::new(&b"a\nb\nc"[..], 100);
        assert!(lines.may_wait(), "nothing was read yet");
        lines.next().unwrap();
        assert!(!lines.may_wait());
        lines.next().unwrap();
        assert!(lines.may_wait(), "the rest may go on");
        lines.next().unwrap();
        assert_eq!(lines.bytes(), 5);
    }
}
