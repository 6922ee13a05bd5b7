//! A plain reading of `multipart/form-data`, in the one way in which browsers write it (RFC 7578).

/// A part of a form.
#[derive(Debug)]
pub struct Piece<'a> {
    /// Its headers, without the line that ends them.
    pub head: &'a [u8],
    /// What is in it; none where the form ends before it does.
    pub content: Option<&'a [u8]>,
}

impl Piece<'_> {
    /// Its name, and whether it is a file, where its head is as browsers write it.
    pub fn plain(&self) -> Option<(&str, bool)> {
        let head = str::from_utf8(self.head).ok()?;
        let (disposition, kind) = match head.split_once("\r\n") {
            Some((disposition, kind)) => (disposition, kind.strip_prefix("Content-Type: ")?),
            None => (head, "text/plain"),
        };
        let named = disposition.strip_prefix("Content-Disposition: form-data; name=\"")?;
        let (name, rest) = named.split_once('"')?;
        let file_name = match rest {
            "" => None,
            rest => Some(rest.strip_prefix("; filename=\"")?.strip_suffix('"')?),
        };
        let (kind, subkind) = kind.split_once('/')?;
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_lowercase());
        // A value that looks like another parameter is read in more than one way.
        let is_value = |text: &str| {
            let breaks = |c: char| c.is_control() || c == '"' || c == '\\';
            !text.contains(breaks) && !text.to_lowercase().contains("name")
        };
        let plain = is_word(kind) && is_word(subkind);
        let plain = plain && is_value(name) && file_name.is_none_or(is_value);
        plain.then_some((name, file_name.is_some() || kind != "text"))
    }
}

/// The boundary that a content type names, where that is written without quotes.
pub fn boundary(kind: &[u8]) -> Option<&[u8]> {
    let boundary = kind.strip_prefix(b"multipart/form-data; boundary=")?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    (!boundary.is_empty() && boundary.iter().all(plain)).then_some(boundary)
}

/// The parts of a form, and whether it has an end; none where it begins within a line.
pub fn cut<'a>(body: &'a [u8], boundary: &[u8]) -> Option<(Vec<Piece<'a>>, bool)> {
    let delimiter = [b"--", boundary].concat();
    let mut pieces = Vec::new();
    let Some((before, mut rest)) = split(body, &delimiter) else {
        return Some((pieces, false));
    };
    if !before.is_empty() && !before.ends_with(b"\r\n") {
        return None;
    }
    while !rest.starts_with(b"--") {
        let blanks = rest
            .iter()
            .take_while(|&&byte| matches!(byte, b' ' | b'\t'));
        let part = rest[blanks.count()..].strip_prefix(b"\r\n");
        let Some((head, content)) = part.and_then(|part| split(part, b"\r\n\r\n")) else {
            return Some((pieces, false));
        };
        let Some((content, after)) = split(content, &[b"\r\n", &delimiter[..]].concat()) else {
            let content = None;
            pieces.push(Piece { head, content });
            return Some((pieces, false));
        };
        let content = Some(content);
        pieces.push(Piece { head, content });
        rest = after;
    }
    Some((pieces, true))
}

/// Whether a text stands somewhere in these bytes.
pub fn holds(bytes: &[u8], text: &str) -> bool {
    split(bytes, text.as_bytes()).is_some()
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let from = bytes.windows(at.len()).position(|here| here == at)?;
    Some((&bytes[..from], &bytes[from + at.len()..]))
}
