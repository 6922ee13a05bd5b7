//! Telling code from comments and literals, so that a word in a string is not taken for code.
//!
//! This is no Rust lexer: it knows just enough to find where comments and literals end.

/// The code of a source, with comments and the contents of literals blanked.
/// Lines and columns stay where they were.
pub(super) fn code_of(text: &str) -> String {
    let mut code = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let mut previous = b'\n';
    while let Some(&first) = rest.first() {
        let (kind, length) = token(rest, previous);
        let (token, after) = rest.split_at(length.clamp(1, rest.len()));
        match kind {
            Kind::Code => code.extend_from_slice(token),
            Kind::Blank => code.extend(token.iter().map(blanked)),
        }
        previous = token.last().copied().unwrap_or(first);
        rest = after;
    }
    String::from_utf8_lossy(&code).into_owned()
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Code,
    Blank,
}

fn blanked(byte: &u8) -> u8 {
    if *byte == b'\n' { b'\n' } else { b' ' }
}

/// What stands at the start of `rest`, and how long it is.
fn token(rest: &[u8], previous: u8) -> (Kind, usize) {
    match rest {
        [b'/', b'/', ..] => (Kind::Blank, find(rest, b"\n").unwrap_or(rest.len())),
        [b'/', b'*', ..] => (Kind::Blank, block_comment(rest)),
        [b'"', ..] => (Kind::Blank, quoted(rest, b'"')),
        [b'\'', b'\\', ..] | [b'\'', _, b'\'', ..] => (Kind::Blank, quoted(rest, b'\'')),
        [b'r', ..] if !is_name(previous) || previous == b'b' => match raw_string(rest) {
            Some(length) => (Kind::Blank, length),
            None => (Kind::Code, 1),
        },
        _ => (Kind::Code, 1),
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Block comments nest.
fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0_usize;
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        let step = if here.starts_with(b"/*") {
            depth = depth.saturating_add(1);
            2
        } else if here.starts_with(b"*/") {
            depth = depth.saturating_sub(1);
            2
        } else {
            1
        };
        at = at.saturating_add(step);
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a literal from its opening quote to its closing one.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut escaped = false;
    for (at, &byte) in rest.iter().enumerate().skip(1) {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else if byte == quote {
            return at.saturating_add(1);
        }
    }
    rest.len()
}

/// The length of `r"..."`, `r#"..."#` and so on; none for a raw identifier or a plain name.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest
        .iter()
        .skip(1)
        .take_while(|&&byte| byte == b'#')
        .count();
    let open = hashes.saturating_add(2);
    if rest.get(open.saturating_sub(1)) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes.saturating_add(1), b'#');
    let end = rest.get(open..).and_then(|body| find(body, &close));
    Some(end.map_or(rest.len(), |end| {
        end.saturating_add(open).saturating_add(close.len())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_stays() {
        for (source, left) in [
            ("a // b\nc", "a\nc"),
            ("a /* b /* c */ d */ e", "a e"),
            (r#"f("x \" y", 'z', '"', '\'')"#, "f(, , , )"),
            ("r#\"a \" b\"# + br\"\\\" + r#type", "+ b + r#type"),
            (
                "fn f<'a>(x: &'a str) -> char { 'b' }",
                "fn f<'a>(x: &'a str) -> char { }",
            ),
            ("for x in 1..2 {}", "for x in 1..2 {}"),
            ("\"never closed", ""),
            ("/* never closed", ""),
        ] {
            let code = code_of(source);
            assert_eq!(code.len(), source.len(), "{source}");
            assert_eq!(squeezed(&code), squeezed(left), "{source}");
        }
    }

    fn squeezed(text: &str) -> String {
        text.replace(' ', "")
    }
}
