//! The issues: what is wrong with the thing, and what was said about it.

use crate::error::TrackerError;
use countersign::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many issues there may be.
const ISSUES_MAX: usize = 10_000;
/// How many comments an issue may have.
const COMMENTS_MAX: usize = 1000;
/// The longest summary, in bytes.
const SUMMARY_MAX: usize = 200;
/// The longest description or comment, in bytes.
pub(crate) const TEXT_MAX: usize = 64 * 1024;

/// All issues, by number.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Board {
    issues: BTreeMap<u64, Issue>,
}

/// One of them.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Issue {
    pub(crate) number: u64,
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) author: String,
    /// Milliseconds since 1970.
    pub(crate) created_at: u64,
    pub(crate) open: bool,
    pub(crate) comments: Vec<Comment>,
    pub(crate) attachments: Vec<Attachment>,
}

/// What somebody said about an issue.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Comment {
    pub(crate) author: String,
    pub(crate) at: u64,
    pub(crate) text: String,
}

/// A file of an issue, whose bytes are in a file of its own.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Attachment {
    /// 32 random digits: its name in the folder and in links.
    pub(crate) id: String,
    /// What whoever sent it calls it.
    pub(crate) name: String,
    /// What its first bytes say that it is.
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
}

/// What a file is, as far as a browser may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Kind {
    Png,
    Jpeg,
    Gif,
    Webp,
    /// To be saved, and never shown.
    Other,
}

impl Kind {
    /// By the bytes that such a file begins with; what its sender says is not asked.
    pub(crate) fn of(head: &[u8]) -> Self {
        match head {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Self::Png,
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Self::Gif,
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Self::Webp,
            _ => Self::Other,
        }
    }

    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Other => "application/octet-stream",
        }
    }

    pub(crate) const fn is_image(self) -> bool {
        !matches!(self, Self::Other)
    }
}

/// What a new issue holds.
#[derive(Clone, Debug)]
pub(crate) struct NewIssue {
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) author: String,
    pub(crate) attachments: Vec<Attachment>,
}

impl Board {
    pub(crate) fn find(&self, number: u64) -> Option<&Issue> {
        self.issues.get(&number)
    }

    /// The newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Issue> {
        self.issues.values().rev()
    }

    pub(crate) fn len(&self) -> usize {
        self.issues.len()
    }

    /// The attachment of an id.
    pub(crate) fn attachment(&self, id: &str) -> Option<&Attachment> {
        let mut all = self.issues.values().flat_map(|issue| &issue.attachments);
        all.find(|attachment| attachment.id == id)
    }

    pub(crate) fn add(&mut self, new: NewIssue, now: Timestamp) -> Result<u64, TrackerError> {
        if self.issues.len() >= ISSUES_MAX {
            return rule("there are as many issues as there may be");
        }
        let summary = new.summary.trim();
        if summary.is_empty() || summary.len() > SUMMARY_MAX {
            return rule("an issue has a summary of 1 to 200 bytes");
        }
        if new.description.len() > TEXT_MAX {
            return rule("a description has at most 64 KiB");
        }
        let last = self.issues.keys().next_back();
        let number = last.map_or(1, |last| last.saturating_add(1));
        let issue = Issue {
            number,
            summary: summary.to_owned(),
            description: new.description,
            author: new.author,
            created_at: now.as_millis(),
            open: true,
            comments: Vec::new(),
            attachments: new.attachments,
        };
        self.issues.insert(number, issue);
        Ok(number)
    }

    pub(crate) fn comment(&mut self, number: u64, comment: Comment) -> Result<(), TrackerError> {
        if comment.text.trim().is_empty() || comment.text.len() > TEXT_MAX {
            return rule("a comment has 1 byte to 64 KiB");
        }
        match self.issues.get_mut(&number) {
            Some(issue) if issue.comments.len() < COMMENTS_MAX => {
                issue.comments.push(comment);
                Ok(())
            }
            Some(_) => rule("the issue has as many comments as it may have"),
            None => rule("there is no such issue"),
        }
    }

    pub(crate) fn set_open(&mut self, number: u64, open: bool) -> Result<(), TrackerError> {
        match self.issues.get_mut(&number) {
            Some(issue) => {
                issue.open = open;
                Ok(())
            }
            None => rule("there is no such issue"),
        }
    }
}

fn rule<T>(said: &str) -> Result<T, TrackerError> {
    Err(TrackerError::Rule(said.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_first_bytes_say() {
        for (head, kind) in [
            (b"\x89PNG\r\n\x1a\n....".as_slice(), Kind::Png),
            (b"\xff\xd8\xff\xe0", Kind::Jpeg),
            (b"GIF89a", Kind::Gif),
            (b"RIFF....WEBPVP8", Kind::Webp),
            (b"<svg onload=alert(1)>", Kind::Other),
            (b"<html>", Kind::Other),
            (b"", Kind::Other),
        ] {
            assert_eq!(Kind::of(head), kind, "{head:?}");
        }
    }
}
