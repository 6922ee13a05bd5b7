//! A mail as a file: headers and one HTML part (RFC 5322, RFC 2045).

use countersign::Timestamp;
use serde::Serialize;

/// A mail.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: String,
    /// What stands in `Message-ID`, without brackets.
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    pub(crate) subject: String,
    pub(crate) html: String,
}

/// An image in it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Picture {
    pub(crate) src: String,
    pub(crate) name: String,
}

impl Mail {
    /// The file's bytes.
    pub(crate) fn text(&self) -> String {
        let headers = [
            ("From", self.from.clone()),
            ("To", self.to.clone()),
            ("Message-ID", format!("<{}>", self.id)),
            ("Date", date(self.at)),
            ("Subject", encoded_words(&self.subject)),
            ("MIME-Version", "1.0".to_owned()),
            ("Content-Type", "text/html; charset=utf-8".to_owned()),
            ("Content-Transfer-Encoding", "quoted-printable".to_owned()),
        ];
        let headers = headers.map(|(name, value)| format!("{name}: {value}\r\n"));
        format!("{}\r\n{}", headers.concat(), quoted_printable(&self.html))
    }
}

/// A date as mails have it (RFC 5322, section 3.3).
fn date(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = at.to_string();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or("00");
    // The first day of 1970 was a Thursday.
    let day = usize::try_from(at.as_secs() / 86_400 % 7).unwrap_or(0);
    let month = part(5, 7).parse::<usize>().unwrap_or(1).saturating_sub(1);
    format!(
        "{}, {} {} {} {} +0000",
        DAYS.get(day).unwrap_or(&"Thu"),
        part(8, 10),
        MONTHS.get(month).unwrap_or(&"Jan"),
        part(0, 4),
        part(11, 19),
    )
}

/// A header's text in encoded words (RFC 2047), in lines of at most 76 characters, so that
/// nothing in it can begin another header.
fn encoded_words(text: &str) -> String {
    let mut words = vec![String::new()];
    for c in text.chars() {
        let mut buffer = [0_u8; 4];
        let bytes = c.encode_utf8(&mut buffer).bytes();
        let letter: String = bytes.map(|byte| format!("={byte:02X}")).collect();
        let letter = match c {
            c if c.is_ascii_alphanumeric() => c.to_string(),
            ' ' => "_".to_owned(),
            _ => letter,
        };
        match words.last_mut() {
            Some(word) if word.len().saturating_add(letter.len()) <= 48 => word.push_str(&letter),
            _ => words.push(letter),
        }
    }
    let words = words.iter().map(|word| format!("=?UTF-8?Q?{word}?="));
    words.collect::<Vec<_>>().join("\r\n ")
}

/// Text in lines of at most 76 characters of ASCII (RFC 2045, section 6.7).
fn quoted_printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut width = 0_usize;
        let mut bytes = line.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let last = bytes.peek().is_none();
            let plain = match byte {
                b' ' | b'\t' => !last,
                b'=' => false,
                byte => byte.is_ascii_graphic(),
            };
            let letter = match plain {
                true => char::from(byte).to_string(),
                false => format!("={byte:02X}"),
            };
            if width.saturating_add(letter.len()) > 75 {
                out.push_str("=\r\n");
                width = 0;
            }
            width = width.saturating_add(letter.len());
            out.push_str(&letter);
        }
        out.push_str("\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            from: "tracker@localhost".to_owned(),
            to: "ann@localhost".to_owned(),
            id: "1@localhost".to_owned(),
            at: Timestamp::from_millis(1_795_341_600_000),
            subject: "#1 Rain\r\nBcc: everybody@localhost".to_owned(),
            html: format!("<p>caf\u{e9} = {}\n.\n", "x".repeat(100)),
        }
    }

    #[test]
    fn a_subject_begins_no_other_header() {
        let text = mail().text();
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!headers.contains("\r\nBcc"), "{headers}");
        assert!(
            headers.contains("Date: Sun, 22 Nov 2026 10:00:00 +0000"),
            "{headers}"
        );
    }

    #[test]
    fn every_line_is_short_and_of_ascii() {
        let mut long = mail();
        long.subject = "\u{e9}".repeat(100);
        let text = long.text();
        assert!(text.is_ascii());
        assert!(text.lines().all(|line| line.len() <= 76), "{text}");
        assert!(text.contains("caf=C3=A9 =3D x"));
    }
}
