//! Hazard: a forged request that passes for one of our own pages, and an own page that does not.

use super::*;
use http::HeaderValue;

const NONE: &str = "-";

fn wall(same_site: bool) -> Wall {
    Wall {
        trusted: vec![Origin::parse("https://shop.example.net").unwrap()],
        same_site,
    }
}

/// Judges a POST to `https://issues.example.org`, or to `host`.
fn judged(wall: &Wall, host: &str, site: &str, origin: &str) -> Result<(), Foreign> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (http::header::HOST, host),
        (SEC_FETCH_SITE, site),
        (ORIGIN, origin),
    ] {
        for value in value.split(" AND ").filter(|value| *value != NONE) {
            headers.append(&name, HeaderValue::from_str(value).unwrap());
        }
    }
    wall.judge(&Method::POST, &Uri::from_static("/issue"), &headers, true)
}

#[test]
fn the_matrix_of_site_and_origin() {
    const OWN: &str = "https://issues.example.org";
    const SIBLING: &str = "https://www.example.org";
    const FOREIGN: &str = "https://evil.example";
    const TRUSTED: &str = "https://shop.example.net";
    let ok: Result<(), Foreign> = Ok(());
    // Site, origin, verdict; and the verdict where the rest of the site is taken in.
    let cases = [
        (NONE, NONE, ok, ok),
        (NONE, OWN, ok, ok),
        (NONE, "https://ISSUES.example.org:443", ok, ok),
        (NONE, TRUSTED, ok, ok),
        (NONE, "null", Err(Foreign::Opaque), Err(Foreign::Opaque)),
        (NONE, SIBLING, Err(Foreign::Origin), Err(Foreign::Origin)),
        (NONE, FOREIGN, Err(Foreign::Origin), Err(Foreign::Origin)),
        (
            NONE,
            "http://issues.example.org",
            Err(Foreign::Origin),
            Err(Foreign::Origin),
        ),
        (
            NONE,
            "https://issues.example.org:8443",
            Err(Foreign::Origin),
            Err(Foreign::Origin),
        ),
        (
            NONE,
            "chrome-extension://abc",
            Err(Foreign::Origin),
            Err(Foreign::Origin),
        ),
        (
            NONE,
            "https://issues.example.org AND x",
            Err(Foreign::Malformed),
            Err(Foreign::Malformed),
        ),
        ("same-origin", NONE, ok, ok),
        ("same-origin", OWN, ok, ok),
        ("same-origin", "null", ok, ok),
        ("same-origin", TRUSTED, ok, ok),
        (
            "same-origin",
            FOREIGN,
            Err(Foreign::Origin),
            Err(Foreign::Origin),
        ),
        ("none", NONE, ok, ok),
        ("none", "null", ok, ok),
        ("none", FOREIGN, Err(Foreign::Origin), Err(Foreign::Origin)),
        ("same-site", NONE, Err(Foreign::SameSite), ok),
        ("same-site", SIBLING, Err(Foreign::SameSite), ok),
        ("same-site", "null", Err(Foreign::SameSite), ok),
        ("same-site", TRUSTED, ok, ok),
        (
            "cross-site",
            NONE,
            Err(Foreign::CrossSite),
            Err(Foreign::CrossSite),
        ),
        (
            "cross-site",
            OWN,
            Err(Foreign::CrossSite),
            Err(Foreign::CrossSite),
        ),
        (
            "cross-site",
            "null",
            Err(Foreign::CrossSite),
            Err(Foreign::CrossSite),
        ),
        (
            "cross-site",
            FOREIGN,
            Err(Foreign::CrossSite),
            Err(Foreign::CrossSite),
        ),
        ("cross-site", TRUSTED, ok, ok),
        (
            "Same-Origin",
            OWN,
            Err(Foreign::Malformed),
            Err(Foreign::Malformed),
        ),
        ("", OWN, Err(Foreign::Malformed), Err(Foreign::Malformed)),
        (
            "same-origin AND same-origin",
            OWN,
            Err(Foreign::Malformed),
            Err(Foreign::Malformed),
        ),
        (
            "same-origin AND cross-site",
            TRUSTED,
            Err(Foreign::Malformed),
            Err(Foreign::Malformed),
        ),
    ];
    for (site, origin, narrow, wide) in cases {
        for host in [
            "issues.example.org",
            "issues.example.org:443",
            "Issues.Example.ORG",
        ] {
            let case = format!("{host} {site} {origin}");
            assert_eq!(judged(&wall(false), host, site, origin), narrow, "{case}");
            assert_eq!(
                judged(&wall(true), host, site, origin),
                wide,
                "{case}, wide"
            );
        }
    }
}

/// A trusted host is trusted as it was named: over TLS, and at its port.
#[test]
fn the_twin_of_a_trusted_origin_without_tls_or_at_another_port_is_foreign() {
    for twin in [
        "http://shop.example.net",
        "http://shop.example.net:443",
        "https://shop.example.net:8443",
        "https://shop.example.net.",
        "https://www.shop.example.net",
    ] {
        for (site, foreign) in [
            (NONE, Foreign::Origin),
            ("same-origin", Foreign::Origin),
            ("same-site", Foreign::SameSite),
            ("cross-site", Foreign::CrossSite),
        ] {
            let verdict = judged(&wall(false), "issues.example.org", site, twin);
            assert_eq!(verdict, Err(foreign), "{site} {twin}");
        }
    }
}

#[test]
fn without_a_host_that_is_said_once_no_origin_is_our_own() {
    for host in [
        NONE,
        "issues.example.org AND issues.example.org",
        "issues.example.org:",
        "",
    ] {
        let verdict = judged(&wall(false), host, NONE, "https://issues.example.org");
        assert_eq!(verdict, Err(Foreign::Origin), "{host}");
    }
}

#[test]
fn safe_methods_may_come_from_anywhere() {
    let mut headers = HeaderMap::new();
    headers.insert(SEC_FETCH_SITE, HeaderValue::from_static("cross-site"));
    headers.insert(ORIGIN, HeaderValue::from_static("https://evil.example"));
    let uri = Uri::from_static("/");
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
        assert_eq!(wall(false).judge(&method, &uri, &headers, true), Ok(()));
    }
    let own = Method::from_bytes(b"get").unwrap();
    for method in [
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        own,
    ] {
        assert_eq!(
            wall(false).judge(&method, &uri, &headers, true),
            Err(Foreign::CrossSite)
        );
    }
}

#[test]
fn a_loopback_page_may_do_without_tls_and_where_there_is_none_any_page_may() {
    for host in ["localhost:3000", "127.0.0.1:3000", "[::1]:3000"] {
        let own = format!("http://{host}");
        assert_eq!(judged(&wall(false), host, NONE, &own), Ok(()), "{host}");
    }
    let mut headers = HeaderMap::new();
    headers.insert(ORIGIN, HeaderValue::from_static("http://issues.lan"));
    let uri: Uri = "http://issues.lan/issue".parse().unwrap();
    let judge = |over_tls| wall(false).judge(&Method::POST, &uri, &headers, over_tls);
    assert_eq!((judge(false), judge(true)), (Ok(()), Err(Foreign::Origin)));
}

#[test]
fn an_origin_is_scheme_host_and_port_and_nothing_else() {
    for text in [
        "",
        "https://",
        "https://a/",
        "https://a?",
        "https://u@a",
        "ftp://a",
        "a",
        "https://a:",
        "https://a:0x1",
        "https://a:65536",
        "https://a:+80",
        "https://[::1",
        "https://[]",
        "HTTPS://a",
        "https://a b",
        "https://a#b",
        "https://*.example.org",
    ] {
        assert_eq!(Origin::parse(text), None, "{text}");
    }
    let same = [
        ("https://a", "https://a:443"),
        ("http://a", "http://A:80"),
        ("https://[::1]", "https://[::1]:443"),
    ];
    for (one, other) in same {
        assert_eq!(Origin::parse(one).unwrap(), Origin::parse(other).unwrap());
    }
}
