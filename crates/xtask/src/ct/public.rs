//! Where something that was computed of a secret becomes public on purpose, line by line.
//!
//! What a comparison says becomes public as it leaves the comparison, which `ct/` sees to. What is
//! here is the rest: whether a text has the form of a credential. All of these look at every byte,
//! or at none before they know the answer, and tell the same of all secrets. A report of any other
//! line is a leak.

use super::report::Report;

/// A line at which a branch may depend on a secret.
pub(super) struct Line {
    /// Below the root.
    pub(super) file: &'static str,
    /// The line, without the blanks around it. By its text and not by its number, so that it
    /// is looked at again when it changes, and not when one above it does.
    pub(super) text: &'static str,
}

pub(super) const LINES: &[Line] = &[
    // Whether all digits are digits, and no group is too large: after all of them were read.
    Line {
        file: "crates/countersign-core/src/base62.rs",
        text: "if u128::from_ne_bytes(bad) != 0 {",
    },
    Line {
        file: "crates/countersign-core/src/base62.rs",
        text: "if over != 0 {",
    },
    // Whether the checksum fits.
    Line {
        file: "crates/countersign-core/src/token.rs",
        text: "if self.checksum.over(&covered) != u32::from_be_bytes(sum) {",
    },
    // Whether all digits of a signature are digits.
    Line {
        file: "crates/countersign-core/src/image/base64url.rs",
        text: "decode_into(text, &mut bytes)?;",
    },
    // Where the value of the cookie for scripts is cut: not within its token, whatever that is.
    Line {
        file: "crates/countersign-core/src/csrf/cookie.rs",
        text: "(parts.next(), parts.next(), parts.next(), parts.next())",
    },
    // Whether a bearer token ends with what is none of it, and whether all of it may stand there.
    Line {
        file: "crates/countersign-core/src/header.rs",
        text: "&& blanks.contains(last)",
    },
    Line {
        file: "crates/countersign-core/src/header.rs",
        text: "_ if token.len() < rest.len() && is_b64token(token) => Ok(token),",
    },
];

/// Whether a report is of a line that is listed.
pub(super) fn is_listed(report: &Report, line_at: impl Fn(&str, usize) -> Option<String>) -> bool {
    LINES.iter().any(|line| {
        // What the language's own libraries do in the line's name.
        let mut frames = report.frames.iter();
        let frame = frames.find(|frame| !is_of_the_language(&frame.path));
        frame.is_some_and(|frame| {
            frame.path.ends_with(line.file)
                && line_at(line.file, frame.line).is_some_and(|text| text.trim() == line.text)
        })
    })
}

/// What the compiler has put in from the libraries that come with it.
pub(super) fn is_of_the_language(path: &str) -> bool {
    path.contains("/library/core/") || path.contains("/library/std/")
}

#[cfg(test)]
mod tests {
    use super::super::report::Frame;
    use super::*;
    use crate::process::root;

    const LISTED: &Line = &LINES[0];

    fn report(frames: &[(&str, usize)]) -> Report {
        let frames = frames.iter().map(|&(path, line)| Frame {
            function: "f".to_owned(),
            path: path.to_owned(),
            line,
        });
        Report {
            what: "Conditional jump".to_owned(),
            frames: frames.collect(),
        }
    }

    fn listed(frames: &[(&str, usize)]) -> bool {
        is_listed(&report(frames), |file, line| {
            let is_it = (file, line) == (LISTED.file, 7);
            is_it.then(|| format!("    {}", LISTED.text))
        })
    }

    #[test]
    fn a_report_is_of_the_innermost_line_that_is_ours() {
        let ours = format!("/x/{}", LISTED.file);
        let core = "/rustc/5980/library/core/src/cmp.rs";
        assert!(listed(&[(&ours, 7)]));
        assert!(listed(&[(core, 3), (&ours, 7), ("/x/other.rs", 1)]));
        assert!(!listed(&[(&ours, 8)]));
        assert!(!listed(&[("/x/other.rs", 1), (&ours, 7)]));
        assert!(!listed(&[("/y/crc32fast-1.5.4/src/lib.rs", 1), (&ours, 7)]));
        assert!(!listed(&[]));
    }

    #[test]
    fn every_listed_line_is_there_once() {
        for line in LINES {
            let text = std::fs::read_to_string(root().join(line.file)).unwrap();
            let found = text.lines().filter(|text| text.trim() == line.text);
            assert_eq!(found.count(), 1, "{}: {}", line.file, line.text);
        }
    }
}
