//! Hazard: a request that two readers cut in two ways, or that comes in by one of two cookies of
//! one name, of which another host of the domain may have put the other there.
//!
//! An input's lines are the values of `Cookie` headers, and of `Authorization` headers where they
//! say so. They go through the layer of the HTTP edge, and a plain reading of the rules says what
//! must come of it. Three bytes stand for the texts of credentials, which no mutation would hit
//! upon: 1 for a session, 2 for a remembered device, 3 for an access token.
#![no_main]

use std::sync::{LazyLock, Mutex};

use axum_core::body::Body;
use axum_core::response::Response;
use countersign::{Expiry, Label, Method, NewLogIn, NewSeries, NewToken, ScopeSet, TokenName, Who};
use countersign_axum::{CountersignLayer, CountersignService, Visit};
use countersign_core::header::{cookie_pairs, cookies};
use countersign_fuzz::edge::{Inside, fresh_engine};
use countersign_fuzz::small;
use countersign_testkit::samples;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderValue, Request, StatusCode};
use libfuzzer_sys::fuzz_target;
use tower_layer::Layer;
use tower_service::Service;

const SESSION: &[u8] = b"__Host-session";
const REMEMBER: &[u8] = b"__Host-seraph.rememberme.cookie";
const COOKIE_BYTES_MAX: usize = 16 * 1024;

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| Mutex::new(World::new()));

fuzz_target!(|input: &[u8]| {
    let mut world = WORLD.lock().expect("a target ends with its first panic");
    let mut headers = Headers::default();
    for line in input.split(|&byte| byte == b'\n') {
        let value = world.filled(line);
        pairs(&value);
        match value.strip_prefix(b"Authorization:") {
            Some(value) => headers
                .authorization
                .push(value.trim_ascii_start().to_vec()),
            None => headers.cookies.push(value),
        }
    }
    let expected = headers.expected(&world);
    let Some(request) = headers.request() else {
        return;
    };
    let found = world.asked(request);
    assert_eq!(found, expected, "{headers:?}");
    if found == Came::By(Way::Remembered) {
        // Its secret has been used.
        *world = World::new();
    }
});

/// The pairs of one header, read a second time with other means.
fn pairs(value: &[u8]) {
    let expected: Vec<(&[u8], &[u8])> = by_the_grammar(value).collect();
    assert_eq!(cookie_pairs(value).collect::<Vec<_>>(), expected);
    for ((name, value), (same, bare)) in expected.into_iter().zip(cookies(value)) {
        let quoted = [b"\"", bare, b"\""].concat();
        assert!(name == same && (value == bare || value == quoted));
    }
}

fn by_the_grammar(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let trim = move |text: &'_ [u8]| -> (usize, usize) {
        let from = text
            .iter()
            .position(|byte| !blank(byte))
            .unwrap_or(text.len());
        let upto = text.iter().rposition(|byte| !blank(byte));
        (from, upto.map_or(from, |last| last + 1))
    };
    value.split(|&byte| byte == b';').filter_map(move |piece| {
        let mut parts = piece.splitn(2, |&byte| byte == b'=');
        let (name, value) = (parts.next()?, parts.next()?);
        let ((a, b), (c, d)) = (trim(name), trim(value));
        Some((&name[a..b], &value[c..d]))
    })
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    By(Way),
    TurnedAway(StatusCode),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Session,
    Token,
    Remembered,
    Nobody,
}

#[derive(Debug, Default)]
struct Headers {
    cookies: Vec<Vec<u8>>,
    authorization: Vec<Vec<u8>>,
}

impl Headers {
    fn request(&self) -> Option<Request<()>> {
        let mut request = Request::new(());
        let lists = [
            (COOKIE, &self.cookies),
            (AUTHORIZATION, &self.authorization),
        ];
        for (name, values) in lists {
            for value in values {
                let value = HeaderValue::from_bytes(value).ok()?;
                request.headers_mut().append(&name, value);
            }
        }
        Some(request)
    }

    fn values(&self, wanted: &[u8]) -> Vec<&[u8]> {
        let pairs = self.cookies.iter().flat_map(|value| by_the_grammar(value));
        let ours = pairs.filter(|(name, _)| *name == wanted);
        ours.map(|(_, value)| value).collect()
    }

    fn expected(&self, world: &World) -> Came {
        let bytes: usize = self.cookies.iter().map(Vec::len).sum();
        let (sessions, devices) = (self.values(SESSION), self.values(REMEMBER));
        if bytes > COOKIE_BYTES_MAX {
            return Came::TurnedAway(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        if self
            .authorization
            .len()
            .max(sessions.len())
            .max(devices.len())
            > 1
        {
            return Came::TurnedAway(StatusCode::BAD_REQUEST);
        }
        if sessions == [world.session.as_bytes()] {
            return Came::By(Way::Session);
        }
        match self.authorization.first().and_then(|value| bearer(value)) {
            Some(token) if token == Some(world.access.as_bytes()) => return Came::By(Way::Token),
            Some(_) => return Came::TurnedAway(StatusCode::UNAUTHORIZED),
            None => {}
        }
        match devices == [world.remember.as_bytes()] {
            true => Came::By(Way::Remembered),
            false => Came::By(Way::Nobody),
        }
    }
}

/// Whether a value is of the scheme `Bearer`, and the token that it has then, if there is one.
fn bearer(value: &[u8]) -> Option<Option<&[u8]>> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let name = |c: &u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(c);
    if !scheme.eq_ignore_ascii_case(b"bearer") || rest.first().is_some_and(name) {
        return None;
    }
    let token = rest
        .iter()
        .position(|&byte| byte != b' ')
        .map(|at| &rest[at..]);
    Some(token.filter(|_| rest.starts_with(b" ")))
}

/// An engine with a credential of each kind, and an application that tells who has come.
struct World {
    session: String,
    remember: String,
    access: String,
    service: CountersignService<Inside>,
}

impl World {
    fn new() -> Self {
        let draft = small(64, 16);
        let engine = fresh_engine(draft.build().expect("a policy"));
        let login = NewLogIn::new(
            samples::name(0),
            Method::Password,
            core::time::Duration::ZERO,
        );
        let session = engine.sessions().log_in(None, login).wait().expect("room");
        let device = NewSeries {
            principal: samples::name(1),
            label: Label::new("a browser").expect("a label"),
        };
        let remembered = engine.remember().start(device).wait().expect("room");
        let token = NewToken {
            principal: samples::name(2),
            name: TokenName::new("ci").expect("a name"),
            scopes: ScopeSet::EMPTY,
            expiry: Expiry::Never,
        };
        let issued = engine.access().issue(token).wait().expect("room");
        Self {
            session: session.token.expose().to_owned(),
            remember: remembered.token.expose().to_owned(),
            access: issued.token.expose().to_owned(),
            service: CountersignLayer::new(engine)
                .expect("cookies of the default")
                .layer(Inside(inside)),
        }
    }

    fn filled(&self, line: &[u8]) -> Vec<u8> {
        let mut filled = Vec::with_capacity(line.len());
        for byte in line {
            match byte {
                1 => filled.extend_from_slice(self.session.as_bytes()),
                2 => filled.extend_from_slice(self.remember.as_bytes()),
                3 => filled.extend_from_slice(self.access.as_bytes()),
                byte => filled.push(*byte),
            }
        }
        filled
    }

    fn asked(&mut self, request: Request<()>) -> Came {
        let Ok(response) = futures_executor::block_on(self.service.call(request));
        match response.extensions().get::<Way>() {
            Some(way) => Came::By(*way),
            None => Came::TurnedAway(response.status()),
        }
    }
}

/// What stands behind the layer.
fn inside(request: &Request<()>) -> Response {
    let visit = request.extensions().get::<Visit>();
    let who = visit.expect("the layer stands before it").who();
    let (way, whose) = match &who {
        Who::Session(_) => (Way::Session, Some(0)),
        Who::Token(_) => (Way::Token, Some(2)),
        Who::Remembered(_) => (Way::Remembered, Some(1)),
        _ => (Way::Nobody, None),
    };
    assert_eq!(
        who.principal(),
        whose.map(samples::name),
        "taken for another"
    );
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(way);
    response
}
