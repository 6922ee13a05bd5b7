//! Hazard: a form that is carried out though its page's token is not where it must be, or whose
//! fields come to the handler as others than were sent (S4, S6).
//!
//! An input's lines up to an empty one are the values of `Content-Type` headers, and of headers
//! with a token where they say so; the rest is the body of a POST, which goes through the layer and
//! the extractor of its kind. A second reading says what must come of it, and of a multipart whose
//! heads no browser writes at least what must not. Four bytes stand for what no mutation would hit
//! upon: 1 for a token as a page holds it, 2 for the cookie that scripts send as one, 3 for the
//! token of another session, and 4 for a moment in which nothing of the body is there.
#![no_main]

use std::sync::{LazyLock, Mutex};

use axum_core::body::Body;
use countersign_fuzz::forms::{Came, Field, Paused, World};
use countersign_fuzz::multipart::{self, Piece, holds};
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderName};
use http::{HeaderValue, Request, StatusCode};
use libfuzzer_sys::fuzz_target;

const FIELD: &str = "atl_token";
const HEADERS: [&str; 2] = ["x-csrf-token", "x-atlassian-token"];
const URLENCODED: &[u8] = b"application/x-www-form-urlencoded";
/// Below every bound on what is gathered.
const BODY_MAX: usize = 2000;

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(Mutex::default);

fuzz_target!(|input: &[u8]| {
    let mut world = WORLD.lock().expect("a target ends with its first panic");
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &[] as &[u8]),
    };
    let sent = Sent::new(&world, head, body);
    let Some(request) = sent.request(&world).filter(|_| sent.body.len() <= BODY_MAX) else {
        return;
    };
    let (came, shown) = (world.asked(request), input.escape_ascii());
    match sent.expected(&world) {
        Some(expected) => assert_eq!(came, expected, "{shown}"),
        None => {
            assert!(!came.status.is_server_error(), "{shown}");
            let fields = came.fields.as_deref();
            let permitted = fields.is_none_or(|fields| sent.permits(&world, fields));
            assert!(permitted, "{fields:?} of {shown}");
        }
    }
});

/// A POST.
struct Sent {
    kinds: Vec<Vec<u8>>,
    tokens: Vec<(HeaderName, Vec<u8>)>,
    body: Vec<u8>,
    /// The body, cut where it is held back.
    paused: Vec<Vec<u8>>,
}

impl Sent {
    fn new(world: &World, head: &[u8], body: &[u8]) -> Self {
        let (mut kinds, mut tokens) = (Vec::new(), Vec::new());
        let lines = head.split(|&byte| byte == b'\n');
        for line in lines.filter(|line| !line.is_empty()) {
            let line = world.filled(line);
            let token = HEADERS.into_iter().find_map(|name| {
                let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
                Some((HeaderName::from_static(name), value.to_vec()))
            });
            match token {
                Some(token) => tokens.push(token),
                None => kinds.push(line),
            }
        }
        let pieces = body.split(|&byte| byte == 4);
        let paused: Vec<_> = pieces.map(|piece| world.filled(piece)).collect();
        Self {
            kinds,
            tokens,
            body: paused.concat(),
            paused,
        }
    }

    fn is_upload(&self) -> bool {
        let mut kinds = self.kinds.iter();
        kinds.any(|kind| kind.starts_with(b"multipart/"))
    }

    fn request(&self, world: &World) -> Option<Request<Body>> {
        let body = Body::from_stream(Paused::new(self.paused.clone()));
        let path = if self.is_upload() { "/upload" } else { "/form" };
        let mut request = Request::post(path).header(ACCEPT, "text/html");
        request = request.header(COOKIE, format!("__Host-session={}", world.session));
        for kind in &self.kinds {
            request = request.header(CONTENT_TYPE, HeaderValue::from_bytes(kind).ok()?);
        }
        for (name, token) in &self.tokens {
            request = request.header(name, HeaderValue::from_bytes(token).ok()?);
        }
        request.body(body).ok()
    }

    /// Whether the token in the headers is good, where there is one.
    fn by_header(&self, world: &World) -> Option<bool> {
        match self.tokens.as_slice() {
            [] => None,
            [(_, token)] => Some(world.is_good(token)),
            _ => Some(false),
        }
    }

    fn expected(&self, world: &World) -> Option<Came> {
        let [kind] = self.kinds.as_slice() else {
            return Some(Came::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        };
        match self.is_upload() {
            true => self.expected_of_upload(world),
            false => Some(self.expected_of_pairs(world, kind)),
        }
    }

    fn expected_of_pairs(&self, world: &World, kind: &[u8]) -> Came {
        let essence = kind.split(|&byte| byte == b';').next().unwrap_or(kind);
        let readable = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
        if !essence.trim_ascii().eq_ignore_ascii_case(URLENCODED) || !kind.iter().all(readable) {
            return Came::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        let pairs = form_urlencoded::parse(&self.body).into_owned();
        let (tokens, others): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| name == FIELD);
        let good = match (self.by_header(world), tokens.as_slice()) {
            (Some(good), _) => good,
            (None, [(_, token)]) => world.is_good(token.as_bytes()),
            (None, _) => false,
        };
        if !good {
            return Came::refused(StatusCode::FORBIDDEN);
        }
        let others = others.into_iter();
        let fields = others.map(|(name, text)| Field::text(name, text));
        Came::with(Some(fields.collect()), StatusCode::OK)
    }

    /// The parts of a multipart, and whether it is whole; `None` where no browser writes it so.
    fn pieces(&self) -> Option<(Vec<Piece<'_>>, bool)> {
        let [kind] = self.kinds.as_slice() else {
            return None;
        };
        multipart::cut(&self.body, multipart::boundary(kind)?)
    }

    fn expected_of_upload(&self, world: &World) -> Option<Came> {
        let (pieces, whole) = self.pieces()?;
        let by_header = self.by_header(world);
        let (mut fields, mut found) = (Vec::new(), by_header == Some(true));
        if by_header == Some(false) {
            return Some(Came::refused(StatusCode::FORBIDDEN));
        }
        for piece in &pieces {
            let (name, is_file) = piece.plain()?;
            if is_file && !found {
                return Some(Came::refused(StatusCode::FORBIDDEN));
            }
            let reads = |content: &&[u8]| is_file || str::from_utf8(content).is_ok();
            let is_token = name == FIELD && !is_file;
            let second = is_token && found && by_header.is_none();
            let Some(content) = piece.content.filter(reads).filter(|_| !second) else {
                let fields = found.then_some(fields);
                return Some(Came::with(fields, StatusCode::BAD_REQUEST));
            };
            if is_token && !found && !world.is_good(content) {
                return Some(Came::refused(StatusCode::FORBIDDEN));
            }
            found |= is_token;
            if !is_token {
                let (name, content) = (name.to_owned(), content.to_vec());
                fields.push(Field {
                    name,
                    is_file,
                    content,
                });
            }
        }
        let status = match (whole, found) {
            (true, true) => StatusCode::OK,
            (true, false) => StatusCode::FORBIDDEN,
            (false, _) => StatusCode::BAD_REQUEST,
        };
        Some(Came::with(found.then_some(fields), status))
    }

    /// Whether a handler may have seen these fields of a multipart, whoever is right about the
    /// names of its parts.
    fn permits(&self, world: &World, fields: &[Field]) -> bool {
        let by_header = self.by_header(world);
        let Some((pieces, _)) = self.pieces() else {
            let somewhere = || world.good.iter().any(|token| holds(&self.body, token));
            return by_header.unwrap_or_else(somewhere);
        };
        let is_file = |piece: &&Piece<'_>| piece.plain().is_some_and(|(_, is_file)| is_file);
        let mut in_front = pieces.iter().take_while(|piece| !is_file(piece));
        let is_token = |piece: &Piece<'_>| {
            let is_good = piece.content.is_some_and(|content| world.is_good(content));
            is_good && holds(piece.head, FIELD)
        };
        let mut left = pieces.iter();
        let mut was_sent =
            |field: &Field| left.any(|piece| piece.content == Some(field.content.as_slice()));
        by_header.unwrap_or_else(|| in_front.any(is_token)) && fields.iter().all(&mut was_sent)
    }
}
