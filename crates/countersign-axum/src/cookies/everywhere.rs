//! Taking a cookie away wherever it may have been set: a person whose browser holds two of one
//! name gets nothing but refusals until one of them goes, and only a page of ours can take it.

use super::{CookiePlan, HOST, Role, header, without};
use cookie::Expiration;
use cookie::time::{Duration, OffsetDateTime};
use http::HeaderValue;
use std::net::IpAddr;

/// The most places that are named in one answer, so that its head stays within what proxies take.
const PLACES_MAX: usize = 24;

impl CookiePlan {
    /// Takes a cookie away from every place that a request for `path` on `host` may have it from:
    /// from `host` and each domain above it, and from each path above `path` (RFC 6265, section
    /// 5.4). Its own place is the first.
    pub(crate) fn clear_everywhere(
        &self,
        role: Role,
        host: Option<&str>,
        path: &str,
    ) -> Vec<HeaderValue> {
        let mut cleared: Vec<_> = self.clear(role).into_iter().collect();
        // Browsers let such a name stand in one place alone.
        if without(self.name(role), HOST).is_some() {
            return cleared;
        }
        let domains = domains_of(host.unwrap_or_default());
        for path in paths_of(path) {
            for domain in &domains {
                let mut cookie = self.bare(role, "");
                cookie.set_path(path);
                match domain {
                    Some(domain) => cookie.set_domain(*domain),
                    None => cookie.unset_domain(),
                }
                cookie.set_max_age(Duration::ZERO);
                cookie.set_expires(Expiration::from(OffsetDateTime::UNIX_EPOCH));
                let value = header(&cookie).filter(|value| !cleared.contains(value));
                cleared.extend(value);
                if cleared.len() >= PLACES_MAX {
                    return cleared;
                }
            }
        }
        cleared
    }
}

/// The host alone, and every domain that it is in, but for the last label, which takes no cookie.
fn domains_of(host: &str) -> Vec<Option<&str>> {
    let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    let mut domains = vec![None];
    let mut rest = host;
    while let Some((_, above)) = rest.split_once('.').filter(|_| !is_address) {
        domains.push(Some(rest));
        rest = above;
    }
    domains
}

/// The paths above a path, and itself: a cookie of `/a` or of `/a/` comes with `/a/b`.
fn paths_of(path: &str) -> Vec<&str> {
    // What ends an attribute cannot stand in one, and nobody could have set a cookie there.
    let fits = |path: &&str| path.bytes().all(|c| c.is_ascii_graphic() && c != b';');
    let slashes = path.match_indices('/').skip(1);
    let above = slashes.flat_map(|(at, _)| [path.get(..at), path.get(..=at)]);
    let mut paths: Vec<_> = std::iter::once("/")
        .chain(above.flatten())
        .chain([path])
        .filter(fits)
        .collect();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_that_a_cookie_may_come_from_is_named() {
        for (path, paths) in [
            ("/", &["/"] as &[&str]),
            ("/a", &["/", "/a"]),
            ("/a/", &["/", "/a", "/a/"]),
            ("/a/b", &["/", "/a", "/a/", "/a/b"]),
            ("/a/b;c/d", &["/", "/a", "/a/"]),
        ] {
            assert_eq!(paths_of(path), paths, "{path}");
        }
        for (host, domains) in [
            ("", &[None] as &[Option<&str>]),
            ("localhost", &[None]),
            ("127.0.0.1", &[None]),
            ("[::1]", &[None]),
            ("example.org", &[None, Some("example.org")]),
            (
                "a.example.org",
                &[None, Some("a.example.org"), Some("example.org")],
            ),
        ] {
            assert_eq!(domains_of(host), domains, "{host}");
        }
    }
}
