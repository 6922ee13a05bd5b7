//! Hazard: a request of a foreign page that passes for one of our own, or a page of ours that does
//! not (S7).
//!
//! An input's first byte chooses whether there is TLS, whether the rest of the site is trusted, and
//! what credentials come with the request. Its first line goes on with the method and what is asked
//! for; each further line is a header of those that tell where a request comes from, or of those
//! that must not. They go through the layer, and a plain second reading of the rules says what must
//! come of it.
#![no_main]

use core::future::ready;
use core::time::Duration;
use std::sync::{LazyLock, Mutex};

use axum_core::body::Body;
use axum_core::response::Response;
use countersign::{Expiry, NewLogIn, NewToken, Principal, ScopeSet, TokenName};
use countersign_axum::{
    CountersignLayer, CountersignService, Foreign, PageFuture, Pages, TurnedAway, Visit,
};
use countersign_fuzz::edge::{Inside, fresh_engine};
use countersign_fuzz::small;
use countersign_testkit::samples;
use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, ORIGIN, REFERER, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use libfuzzer_sys::fuzz_target;
use tower_layer::Layer;
use tower_service::Service;

const TRUSTED: &str = "https://shop.example.net";
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const HEADERS: [HeaderName; 5] = [ORIGIN, SITE, HOST, UPGRADE, REFERER];
const ORIGIN_MAX: usize = 320;

static WORLDS: LazyLock<Mutex<[World; 4]>> =
    LazyLock::new(|| Mutex::new([0, 1, 2, 3].map(|n| World::new(n & 1 == 0, n & 2 != 0))));

fuzz_target!(|input: &[u8]| {
    let Some((choice, text)) = input.split_first() else {
        return;
    };
    let mut worlds = WORLDS.lock().expect("a target ends with its first panic");
    let world = &mut worlds[usize::from(choice & 3)];
    let Some(request) = request(text) else {
        return;
    };
    let (mut parts, ()) = request.into_parts();
    let ruled = world.ruled(&parts.method, &parts.uri, &parts.headers);
    let (cookie, bearer) = (world.session.clone(), world.bearer.clone());
    let basic = HeaderValue::from_static("Basic eDp5");
    let (cookie, authorization, who) = match (choice >> 2) & 3 {
        0 => (Some(cookie), None, Some(samples::name(0))),
        1 => (Some(cookie), Some(bearer), Some(samples::name(0))),
        2 => (None, Some(bearer), Some(samples::name(1))),
        _ => (None, Some(basic), None),
    };
    let expected = match cookie.is_none() && who.is_some() {
        // A page on another site cannot make a browser send somebody's token.
        true => Ok(who),
        false => ruled.map(|()| who),
    };
    parts.headers.extend(cookie.map(|value| (COOKIE, value)));
    let authorization = authorization.map(|value| (AUTHORIZATION, value));
    parts.headers.extend(authorization);
    let shown = format!("{parts:?}");
    let came = world.asked(Request::from_parts(parts, ()));
    assert_eq!(came, expected, "{shown}");
});

/// What became of a request: who came in, or why nobody did.
type Came = Result<Option<Principal>, Foreign>;

fn request(text: &[u8]) -> Option<Request<()>> {
    let mut lines = text.split(|&byte| byte == b'\n');
    let mut words = lines.next()?.split(|&byte| byte == b' ');
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(words.next()?).ok()?;
    *request.uri_mut() = Uri::try_from(words.next()?).ok()?;
    for line in lines {
        let at = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..at]).ok()?;
        let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?;
        if HEADERS.contains(&name) {
            request.headers_mut().append(name, value);
        }
    }
    Some(request)
}

/// A header that must come once: `Err` where it comes twice or is no text.
fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    match values.as_slice() {
        [] => Ok(None),
        [value] => value.to_str().map(Some).map_err(|_| ()),
        _ => Err(()),
    }
}

/// A host as browsers write it, and its port, read from the front.
fn place(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.to_ascii_lowercase();
    // An address of version 6 stands between brackets.
    let (name, rest, others) = match text.strip_prefix('[') {
        Some(address) => {
            let (address, rest) = address.split_once(']')?;
            (address, rest, "abcdef:.")
        }
        None => {
            let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            (name, rest, "abcdefghijklmnopqrstuvwxyz-._")
        }
    };
    let port = match rest {
        "" => None,
        rest => Some(rest.strip_prefix(':')?),
    };
    let is_of = |text: &str, others: &str| {
        let mut text = text.chars();
        text.all(|c| c.is_ascii_digit() || others.contains(c))
    };
    let plain = is_of(name, others) && port.is_none_or(|port| is_of(port, ""));
    if name.is_empty() || !plain {
        return None;
    }
    let port = port.map(str::parse).transpose().ok()?;
    Some((text[..text.len() - rest.len()].to_owned(), port))
}

/// Whether an origin is of TLS, its host, and its port.
fn origin(text: &str) -> Option<(bool, String, u16)> {
    let (tls, rest) = match text.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix("http://")?),
    };
    let (host, port) = place(rest)?;
    Some((tls, host, port.unwrap_or(if tls { 443 } else { 80 })))
}

/// An engine with a session and a token, and an application behind a layer that trusts somebody.
struct World {
    tls: bool,
    same_site: bool,
    session: HeaderValue,
    bearer: HeaderValue,
    service: CountersignService<Inside>,
}

impl World {
    fn new(tls: bool, same_site: bool) -> Self {
        let mut draft = small(64, 16);
        draft.remember_me.cookie_secure = tls;
        let engine = fresh_engine(draft.build().expect("a policy"));
        let (name, method) = (samples::name(0), countersign::Method::Password);
        let login = NewLogIn::new(name, method, Duration::ZERO);
        let session = engine.sessions().log_in(None, login).wait().expect("room");
        let token = NewToken {
            principal: samples::name(1),
            name: TokenName::new("ci").expect("a name"),
            scopes: ScopeSet::EMPTY,
            expiry: Expiry::Never,
        };
        let issued = engine.access().issue(token).wait().expect("room");
        let prefix = if tls { "__Host-" } else { "" };
        let cookie = format!("{prefix}session={}", session.token.expose());
        let bearer = format!("Bearer {}", issued.token.expose());
        let layer = CountersignLayer::builder(engine)
            .pages(Reasons)
            .trusted_origin(TRUSTED);
        let layer = if same_site {
            layer.trust_same_site()
        } else {
            layer
        };
        Self {
            tls,
            same_site,
            session: cookie.parse().expect("a header"),
            bearer: bearer.parse().expect("a header"),
            service: layer.build().expect("an origin").layer(Inside(inside)),
        }
    }

    /// What the rules say of a request that comes by a cookie, or by none.
    fn ruled(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Foreign> {
        let safe = ["GET", "HEAD", "OPTIONS", "TRACE"].contains(&method.as_str());
        if safe && !headers.contains_key(UPGRADE) {
            return Ok(());
        }
        let (Ok(site), Ok(from)) = (once(headers, &SITE), once(headers, &ORIGIN)) else {
            return Err(Foreign::Malformed);
        };
        let known = ["same-origin", "none", "same-site", "cross-site"];
        let malformed = site.is_some_and(|site| !known.contains(&site))
            || from.is_some_and(|from| from.len() > ORIGIN_MAX);
        if malformed {
            return Err(Foreign::Malformed);
        }
        let page = from.and_then(origin);
        if page.is_some() && page == origin(TRUSTED) {
            return Ok(());
        }
        match (site, from) {
            (Some("cross-site"), _) => Err(Foreign::CrossSite),
            (Some("same-site"), _) if self.same_site => Ok(()),
            (Some("same-site"), _) => Err(Foreign::SameSite),
            (_, None) | (Some(_), Some("null")) => Ok(()),
            (None, Some("null")) => Err(Foreign::Opaque),
            _ if page.is_some_and(|page| self.is_own(page, uri, headers)) => Ok(()),
            _ => Err(Foreign::Origin),
        }
    }

    /// Whether a page is of the host that the request is sent to, and nobody on the way can have
    /// put it there.
    fn is_own(&self, page: (bool, String, u16), uri: &Uri, headers: &HeaderMap) -> bool {
        let host = match uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => once(headers, &HOST).ok().flatten(),
        };
        let Some((host, port)) = host.and_then(place) else {
            return false;
        };
        let (tls, name, number) = page;
        let here = ["localhost", "127.0.0.1", "[::1]"].contains(&name.as_str());
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        (name, number) == (host, port) && (tls || here || !self.tls)
    }

    fn asked(&mut self, request: Request<()>) -> Came {
        let Ok(response) = futures_executor::block_on(self.service.call(request));
        let came = response.extensions().get::<Came>();
        let came = came.cloned();
        came.unwrap_or_else(|| panic!("turned away for something else: {}", response.status()))
    }
}

/// Pages that tell why.
struct Reasons;

impl Pages for Reasons {
    fn page<'a>(&'a self, turned_away: &'a TurnedAway, _: &'a Visit) -> PageFuture<'a> {
        let mut page = Response::new(Body::empty());
        *page.status_mut() = turned_away.status();
        if let TurnedAway::Foreign(foreign) = turned_away {
            page.extensions_mut().insert(Came::Err(foreign.reason));
        }
        Box::pin(ready(Some(page)))
    }
}

/// What stands behind the layer.
fn inside(request: &Request<()>) -> Response {
    let visit = request.extensions().get::<Visit>();
    let visit = visit.expect("the layer stands before it");
    let mut response = Response::new(Body::empty());
    response
        .extensions_mut()
        .insert(Came::Ok(visit.principal()));
    response
}
