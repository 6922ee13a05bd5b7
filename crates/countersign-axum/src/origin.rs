//! The second wall against forged requests: what a browser says of where a request comes from.
//!
//! `Sec-Fetch-Site` is set by the browser and cannot be set by a page (Fetch Metadata); `Origin`
//! is older and says the same less precisely. The first wall is the form token: this one stands
//! for the form whose host forgot it, and keeps forged requests away from everything else.
//! A client that is no browser sends neither header and is let through: it has no cookies of
//! somebody else.

use http::header::{HeaderMap, HeaderName, ORIGIN, UPGRADE};
use http::{Method, Uri};
use std::fmt;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The longest `Origin` that is looked at: a host name has at most 253 bytes.
const ORIGIN_MAX: usize = 320;

/// Why a request that would change something is not taken for one of our own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Foreign {
    /// The browser says that it comes from another site.
    CrossSite,
    /// The browser says that it comes from another host of the same site.
    SameSite,
    /// Its `Origin` is another than the host that it is sent to.
    Origin,
    /// Its `Origin` is `null`: a sandboxed frame, a file, or a page that hides it.
    Opaque,
    /// The headers are said twice or do not read.
    Malformed,
}

impl Foreign {
    /// The word that scripts rely on.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::CrossSite => "cross_site",
            Self::SameSite => "same_site",
            Self::Origin => "foreign_origin",
            Self::Opaque => "opaque_origin",
            Self::Malformed => "malformed",
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The scheme of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// An origin of the web: scheme, host and port, written as browsers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

impl Origin {
    /// Reads `https://host` or `http://host:port`, and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://")? {
            ("https", rest) => (Scheme::Https, rest),
            ("http", rest) => (Scheme::Http, rest),
            _ => return None,
        };
        let (host, port) = host_and_port(rest)?;
        Some(Self {
            scheme,
            host,
            port: port.unwrap_or_else(|| scheme.port()),
        })
    }

    fn is_of(&self, host: &str, port: Option<u16>) -> bool {
        // Behind a proxy that ends TLS we do not know our own scheme: the origin's decides which
        // port is meant where the host names none.
        self.host == host && self.port == port.unwrap_or_else(|| self.scheme.port())
    }

    fn is_loopback(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "[::1]")
    }
}

/// A host in lower case, and a port where one is named.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.rsplit_once(':') {
        // The colons of an address of version 6 stand between brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let fits = match inner {
        Some(address) => address
            .bytes()
            .all(|c| c.is_ascii_hexdigit() || c == b':' || c == b'.'),
        None => host
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c)),
    };
    let digits = |port: &&str| !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit());
    let port = match port {
        Some(port) => Some(Some(port).filter(digits)?.parse().ok()?),
        None => None,
    };
    let empty = inner.unwrap_or(host).is_empty();
    (fits && !empty).then(|| (host.to_ascii_lowercase(), port))
}

/// What may send requests that change something, besides our own pages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wall {
    pub(crate) trusted: Vec<Origin>,
    pub(crate) same_site: bool,
}

/// What a request says of where it comes from.
enum Said<'a> {
    Nothing,
    Once(&'a str),
    Unreadable,
}

impl Wall {
    /// Judges a request. `over_tls` says that our own pages are served over TLS alone.
    pub(crate) fn judge(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        over_tls: bool,
    ) -> Result<(), Foreign> {
        // Safe methods change nothing (RFC 9110, section 9.2.1): they may come from anywhere. What
        // opens a socket is one by its name alone: whatever is sent through it comes in by it.
        if method.is_safe() && !headers.contains_key(UPGRADE) {
            return Ok(());
        }
        let from = self.origin_of(uri, headers, over_tls)?;
        match (self.site_of(headers)?, from) {
            // A page that sends no referrer has its origin written as `null`.
            (_, Whence::Trusted)
            | (Site::Taken, _)
            | (Site::Own, Whence::Nowhere | Whence::Own | Whence::Opaque)
            | (Site::Unsaid, Whence::Nowhere | Whence::Own) => Ok(()),
            (Site::Same, _) => Err(Foreign::SameSite),
            (Site::Cross, _) => Err(Foreign::CrossSite),
            (Site::Own | Site::Unsaid, Whence::Foreign) => Err(Foreign::Origin),
            (Site::Unsaid, Whence::Opaque) => Err(Foreign::Opaque),
        }
    }

    fn site_of(&self, headers: &HeaderMap) -> Result<Site, Foreign> {
        Ok(match said(headers, &SEC_FETCH_SITE) {
            Said::Nothing => Site::Unsaid,
            // `none` is a request of the user's own: a bookmark, the address bar.
            Said::Once("same-origin" | "none") => Site::Own,
            Said::Once("same-site") if self.same_site => Site::Taken,
            Said::Once("same-site") => Site::Same,
            Said::Once("cross-site") => Site::Cross,
            Said::Once(_) | Said::Unreadable => return Err(Foreign::Malformed),
        })
    }

    fn origin_of(&self, uri: &Uri, headers: &HeaderMap, over_tls: bool) -> Result<Whence, Foreign> {
        let text = match said(headers, &ORIGIN) {
            Said::Nothing => return Ok(Whence::Nowhere),
            Said::Once("null") => return Ok(Whence::Opaque),
            Said::Once(text) if text.len() <= ORIGIN_MAX => text,
            Said::Once(_) | Said::Unreadable => return Err(Foreign::Malformed),
        };
        // A scheme that is none of the web's, such as a browser extension's, is foreign.
        let Some(origin) = Origin::parse(text) else {
            return Ok(Whence::Foreign);
        };
        if self.trusted.contains(&origin) {
            return Ok(Whence::Trusted);
        }
        let own = addressed(uri, headers).is_some_and(|(host, port)| origin.is_of(&host, port));
        // A page that came without TLS may have been put there on the way.
        let genuine = !over_tls || origin.scheme == Scheme::Https || origin.is_loopback();
        Ok(match own && genuine {
            true => Whence::Own,
            false => Whence::Foreign,
        })
    }
}

/// What `Sec-Fetch-Site` says.
#[derive(Clone, Copy)]
enum Site {
    Unsaid,
    Own,
    /// Our site's, all of which is trusted.
    Taken,
    /// Our site's.
    Same,
    Cross,
}

/// Where a request's `Origin` lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whence {
    Nowhere,
    Opaque,
    Own,
    Trusted,
    Foreign,
}

fn said<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Said<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Said::Nothing,
        (Some(value), None) => value.to_str().map_or(Said::Unreadable, Said::Once),
        (Some(_), Some(_)) => Said::Unreadable,
    }
}

/// The host that the request is sent to, said once.
pub(crate) fn addressed(uri: &Uri, headers: &HeaderMap) -> Option<(String, Option<u16>)> {
    if let Some(authority) = uri.authority() {
        return host_and_port(authority.as_str());
    }
    match said(headers, &http::header::HOST) {
        Said::Once(host) => host_and_port(host),
        Said::Nothing | Said::Unreadable => None,
    }
}

#[cfg(test)]
mod tests;
