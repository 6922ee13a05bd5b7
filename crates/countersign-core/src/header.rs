//! Credentials as they are presented: the value of a header, or a line out of a log.
//!
//! Pure cutting of bytes, without allocation: what comes out is a slice of what went in, and
//! whether it is good is decided elsewhere. Any bytes are taken, of any length; a caller that
//! reads from a stranger bounds them first, and [`LINE_FRAME_MAX`] says by how much a line may be
//! longer than its credential. Nothing here is a full parser of HTTP.

use memchr::memchr;

/// How many bytes the longest frame has around a credential: the header's name, the scheme, and
/// one blank behind each.
pub const LINE_FRAME_MAX: usize = "Authorization: Bearer ".len();

/// Why the value of an `Authorization` header carries no bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotBearer {
    /// Another scheme, or none.
    #[error("the scheme is not `Bearer`")]
    Scheme,
    /// The scheme stands alone.
    #[error("no token stands behind `Bearer`")]
    Missing,
    /// What stands behind the scheme is not one token.
    #[error("what stands behind `Bearer` is not one token of A-Z a-z 0-9 and -._~+/")]
    Token,
}

/// The token in the value of an `Authorization` header (RFC 6750, section 2.1).
///
/// The scheme is taken in any case (RFC 9110, section 11.1), one or more spaces follow it, and
/// then one `b64token` and nothing else.
///
/// # Errors
/// Why there is none.
pub fn bearer(value: &[u8]) -> Result<&[u8], NotBearer> {
    let rest = strip_word(value, b"bearer").ok_or(NotBearer::Scheme)?;
    let token = rest.without_leading(b" ");
    match (rest, token) {
        // The name of a scheme goes on: it is another one.
        ([next, ..], _) if is_tchar(*next) => Err(NotBearer::Scheme),
        (_, []) => Err(NotBearer::Missing),
        _ if token.len() < rest.len() && is_b64token(token) => Ok(token),
        _ => Err(NotBearer::Token),
    }
}

/// What one line presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// A credential, as far as its frame tells.
    Credential(&'a [u8]),
    /// The pairs of a `Cookie` header.
    Cookies(&'a [u8]),
    /// A frame without a credential in it.
    Malformed,
}

/// Takes a line apart: a bare credential, `Bearer ...`, `Authorization: Bearer ...`, or
/// `Cookie: ...`, without its line ending.
#[must_use]
pub fn presented(line: &[u8]) -> Presented<'_> {
    if let Some(value) = strip_word(line, b"authorization:") {
        let found = bearer(value.without_leading(b" \t").without_trailing(b" \t"));
        return found.map_or(Presented::Malformed, Presented::Credential);
    }
    if let Some(value) = strip_word(line, b"cookie:") {
        return Presented::Cookies(value);
    }
    match bearer(line) {
        Ok(token) => Presented::Credential(token),
        // No frame at all: the line is the credential.
        Err(NotBearer::Scheme) if !line.is_empty() => Presented::Credential(line),
        Err(_) => Presented::Malformed,
    }
}

/// The names and values of a `Cookie` header (RFC 6265, section 4.2.1), as they stand there but
/// for the blanks around them. What is no pair is passed over.
///
/// Only spaces and tabs are blanks. A browser takes a cookie whose name begins with another blank
/// of Unicode from any host of the domain: were that taken off, it would pass for one whose prefix
/// (`__Host-`) keeps those hosts out.
pub fn cookie_pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = Some(header);
    let pieces = core::iter::from_fn(move || {
        let all = rest?;
        let end = memchr(b';', all).unwrap_or(all.len());
        let (piece, behind) = all.split_at_checked(end)?;
        rest = behind.get(1..);
        Some(piece)
    });
    pieces.filter_map(|piece| {
        let (name, value) = piece.split_at_checked(memchr(b'=', piece)?)?;
        Some((bare(name), bare(value.get(1..)?)))
    })
}

fn bare(part: &[u8]) -> &[u8] {
    part.without_leading(b" \t").without_trailing(b" \t")
}

/// The same without the quotes that may stand around a value.
pub fn cookies(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    cookie_pairs(header).map(|(name, value)| {
        let bare = value
            .strip_prefix(b"\"")
            .and_then(|value| value.strip_suffix(b"\""));
        (name, bare.unwrap_or(value))
    })
}

/// What follows `word`, which is given in lower case and taken in any.
fn strip_word<'a>(bytes: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(word.len())?;
    front.eq_ignore_ascii_case(word).then_some(rest)
}

/// A character of a scheme's name (RFC 9110, section 5.6.2).
fn is_tchar(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c)
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
fn is_b64token(bytes: &[u8]) -> bool {
    let body = bytes.without_trailing(b"=");
    // All of them, and without a branch on any: which they are is a secret.
    let strangers = body.iter().fold(0, |found, &c| found | stranger(c));
    !body.is_empty() && strangers == 0
}

/// Zero for a character of a `b64token`'s body.
fn stranger(c: u8) -> u8 {
    let is_letter = (c | 0x20).wrapping_sub(b'a') < 26;
    let is_number = c.wrapping_sub(b'0') < 10;
    let marks = b"-._~+/".iter();
    let is_mark = marks.fold(false, |found, &mark| found | (c == mark));
    u8::from(!(is_letter | is_number | is_mark))
}

/// Trimming of only those bytes that a grammar names: `trim_ascii` takes line ends too.
trait TrimOf {
    fn without_leading(&self, blanks: &[u8]) -> &[u8];
    fn without_trailing(&self, blanks: &[u8]) -> &[u8];
}

impl TrimOf for [u8] {
    fn without_leading(&self, blanks: &[u8]) -> &[u8] {
        let mut rest = self;
        while let [first, others @ ..] = rest
            && blanks.contains(first)
        {
            rest = others;
        }
        rest
    }

    fn without_trailing(&self, blanks: &[u8]) -> &[u8] {
        let mut rest = self;
        while let [others @ .., last] = rest
            && blanks.contains(last)
        {
            rest = others;
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bearer_value_gives_its_token_and_nothing_around_it() {
        let good: [(&[u8], &[u8]); 6] = [
            (b"Bearer abc", b"abc"),
            (b"bearer abc", b"abc"),
            (b"BEARER    abc", b"abc"),
            (b"Bearer a-b._~+/==", b"a-b._~+/=="),
            (b"Bearer Bearer", b"Bearer"),
            (b"Bearer 0", b"0"),
        ];
        for (value, token) in good {
            assert_eq!(bearer(value), Ok(token), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn a_value_that_is_not_one_bearer_token_says_why() {
        let bad: [(&[u8], NotBearer); 20] = [
            (b"", NotBearer::Scheme),
            (b"Bear", NotBearer::Scheme),
            (b"Basic abc", NotBearer::Scheme),
            (b"Bearerabc", NotBearer::Scheme),
            (b"Bearer-abc", NotBearer::Scheme),
            (b"Bearer\tabc", NotBearer::Token),
            (b"Bearer,abc", NotBearer::Token),
            (b"Bearer=abc", NotBearer::Token),
            (b"Bearer/abc", NotBearer::Token),
            (b" Bearer abc", NotBearer::Scheme),
            (b"Bearer", NotBearer::Missing),
            (b"Bearer  ", NotBearer::Missing),
            (b"Bearer abc def", NotBearer::Token),
            (b"Bearer abc ", NotBearer::Token),
            (b"Bearer abc, Bearer def", NotBearer::Token),
            (b"Bearer a=b", NotBearer::Token),
            (b"Bearer a,,b", NotBearer::Token),
            (b"Bearer ==", NotBearer::Token),
            (b"Bearer a\0b", NotBearer::Token),
            (b"Bearer \xff", NotBearer::Token),
        ];
        for (value, why) in bad {
            assert_eq!(bearer(value), Err(why), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn every_character_of_a_bearer_token_is_one_of_its_grammar() {
        for c in 0..=255_u8 {
            let is_allowed = c.is_ascii_alphanumeric() || b"-._~+/".contains(&c);
            let value = [b"Bearer a".as_slice(), &[c], b"z"].concat();
            assert_eq!(bearer(&value).is_ok(), is_allowed, "{}", c.escape_ascii());
        }
    }

    #[test]
    fn a_line_is_taken_out_of_any_of_its_frames() {
        let lines: [(&[u8], Presented<'_>); 16] = [
            (b"abc", Presented::Credential(b"abc")),
            (b"Bearer abc", Presented::Credential(b"abc")),
            (b"Authorization: Bearer abc", Presented::Credential(b"abc")),
            (b"authorization:bearer abc", Presented::Credential(b"abc")),
            (
                b"AUTHORIZATION: \t Bearer  abc \t",
                Presented::Credential(b"abc"),
            ),
            (b"abc def", Presented::Credential(b"abc def")),
            (b"\0\xff", Presented::Credential(b"\0\xff")),
            (b"Bearers", Presented::Credential(b"Bearers")),
            (b"Cookie: a=b", Presented::Cookies(b" a=b")),
            (b"cookie:", Presented::Cookies(b"")),
            (b"", Presented::Malformed),
            (b"Bearer", Presented::Malformed),
            (b"Bearer abc def", Presented::Malformed),
            (b"Authorization:", Presented::Malformed),
            (b"Authorization: Bearer", Presented::Malformed),
            (b"Authorization: Basic abc", Presented::Malformed),
        ];
        for (line, expected) in lines {
            assert_eq!(presented(line), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn cookie_pairs_come_without_blanks_and_quotes() {
        let found: Vec<_> = cookies(b" a=b; c=\"d\" ;e;=f; g=h=i; j=\"").collect();
        let expected: [(&[u8], &[u8]); 5] = [
            (b"a", b"b"),
            (b"c", b"d"),
            (b"", b"f"),
            (b"g", b"h=i"),
            (b"j", b"\""),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn only_spaces_and_tabs_are_blanks_around_a_cookie() {
        let planted: [&[u8]; 6] = [
            b"\xc2\x85__Host-a=b",
            b"\xc2\xa0__Host-a=b",
            b"\xe2\x80\x80__Host-a=b",
            b"\xe3\x80\x80__Host-a=b",
            b"\x0b__Host-a=b",
            b"\x0c__Host-a=b",
        ];
        for header in planted {
            let named = cookie_pairs(header).filter(|(name, _)| *name == b"__Host-a");
            assert_eq!(named.count(), 0, "{}", header.escape_ascii());
        }
        let found: Vec<_> = cookie_pairs(b"a=\xc2\xa0b\xc2\xa0;\t __Host-a = \"c\"\t").collect();
        let expected: [(&[u8], &[u8]); 2] = [(b"a", b"\xc2\xa0b\xc2\xa0"), (b"__Host-a", b"\"c\"")];
        assert_eq!(found, expected);
    }

    proptest! {
        /// What is cut out lies at the end of the value, and is one token of its grammar.
        #[test]
        fn whatever_is_presented_is_a_piece_of_the_line(line in ".{0,12}[ -~]{0,40}") {
            match presented(line.as_bytes()) {
                Presented::Credential(found) => prop_assert!(
                    line.as_bytes().trim_ascii_end().ends_with(found.trim_ascii_end())
                ),
                Presented::Cookies(found) => prop_assert!(line.as_bytes().ends_with(found)),
                Presented::Malformed => {}
            }
        }

        #[test]
        fn every_token_of_the_grammar_comes_back_out(
            token in "[A-Za-z0-9._~+/-]{1,80}={0,2}",
            blanks in " {1,4}",
        ) {
            let value = format!("beARer{blanks}{token}");
            prop_assert_eq!(bearer(value.as_bytes()), Ok(token.as_bytes()));
            let line = format!("Authorization: {value}");
            prop_assert_eq!(presented(line.as_bytes()), Presented::Credential(token.as_bytes()));
        }
    }
}
