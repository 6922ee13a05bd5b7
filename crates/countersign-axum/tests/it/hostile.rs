//! Hazard: a request out of which a stranger makes a panic or a 5xx: random cookies, headers,
//! methods and bodies, in pieces of what is valid and around it.

use crate::application::World;
use crate::browser::{Browser, REMEMBER, SCRIPTS, SESSION};
use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use tower::ServiceExt as _;

const REQUESTS: u32 = 10_000;

/// Draws what a hostile request is made of.
struct Dice {
    rng: ChaCha8Rng,
    /// Texts that are good somewhere.
    good: Vec<String>,
}

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.next_u64() % n as u64).unwrap()
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let len = self.below(most + 1);
        (0..len)
            .map(|_| self.rng.next_u32().to_le_bytes()[0])
            .collect()
    }

    /// A good text, one with a piece changed, or noise.
    fn text(&mut self) -> Vec<u8> {
        let at = self.below(self.good.len());
        let mut text = self.good[at].clone().into_bytes();
        match self.below(6) {
            0 | 1 => text,
            2 => {
                let at = self.below(text.len());
                text[at] = self.bytes(8).first().copied().unwrap_or(b'~');
                text
            }
            3 => {
                text.truncate(self.below(text.len()));
                text
            }
            4 => {
                text.extend(self.bytes(20));
                text
            }
            _ => self.bytes(60),
        }
    }

    fn cookies(&mut self) -> Vec<u8> {
        let mut cookies = Vec::new();
        for _ in 0..self.below(5) {
            let names = [
                SESSION,
                REMEMBER,
                SCRIPTS,
                "theme",
                "",
                "__host-session",
                "\u{2000}__Host-session",
                "\u{85}__Host-session",
                "a=b;",
            ];
            cookies.extend_from_slice(self.one_of(&names).as_bytes());
            cookies.extend_from_slice(self.one_of(&["=", "=", "=", "", " = ", "==\""]).as_bytes());
            cookies.extend(self.text());
            cookies.extend_from_slice(self.one_of(&["; ", ";", ",", ";;"]).as_bytes());
        }
        cookies
    }

    fn body(&mut self) -> (&'static str, Vec<u8>) {
        let mut body = Vec::new();
        match self.below(4) {
            0 => ("application/x-www-form-urlencoded", self.bytes(200)),
            1 => {
                for _ in 0..self.below(6) {
                    let names = ["atl_token=", "&summary=", "&label=", "&%zz=", "=&", "&&"];
                    body.extend_from_slice(self.one_of(&names).as_bytes());
                    body.extend(self.text());
                }
                ("application/x-www-form-urlencoded; charset=utf-8", body)
            }
            2 => {
                for _ in 0..self.below(6) {
                    let lines = [
                        "--B\r\nContent-Disposition: form-data; name=\"atl_token\"\r\n\r\n",
                        "--B\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\n",
                        "--B\r\nContent-Disposition: form-data; name=\"s\"\r\n\r\n",
                        "--B\r\nContent-Type: \"\r\n\r\n",
                        "--B--\r\n",
                        "\r\n\r\n",
                    ];
                    body.extend_from_slice(self.one_of(&lines).as_bytes());
                    body.extend(self.text());
                    body.extend_from_slice(b"\r\n");
                }
                ("multipart/form-data; boundary=B", body)
            }
            _ => (
                self.one_of(&["multipart/form-data", "text/plain", "a;b", ""]),
                self.bytes(50),
            ),
        }
    }

    fn request(&mut self) -> Request<Body> {
        let paths = [
            "/",
            "/mine",
            "/maybe",
            "/start",
            "/token",
            "/form",
            "/upload",
            "/attributes",
            "/api",
            "/count",
            "/renew",
            "/elevate",
            "/log-out",
            "/password",
            "/fresh",
            "/rude",
            "/nowhere",
            "/image/cat?jwt=",
            "/form?atl_token=x&%zz",
        ];
        let mut path = self.one_of(&paths).to_owned();
        if path.ends_with("jwt=") {
            let text = String::from_utf8_lossy(&self.text()).into_owned();
            path.extend(
                text.chars()
                    .filter(char::is_ascii_graphic)
                    .filter(|c| *c != '#'),
            );
        }
        let method = self.one_of(&["GET", "POST", "POST", "POST", "PUT", "HEAD", "ODD"]);
        let (kind, body) = self.body();
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        *request.uri_mut() = path.parse().unwrap_or_default();
        let names = [
            "cookie",
            "cookie",
            "cookie",
            "authorization",
            "origin",
            "sec-fetch-site",
            "host",
            "x-csrf-token",
            "x-atlassian-token",
            "accept",
            "content-type",
        ];
        let mut headers = vec![("content-type", kind.as_bytes().to_vec())];
        if self.below(2) == 0 {
            headers.push(("sec-fetch-site", b"same-origin".to_vec()));
        }
        for _ in 0..self.below(6) {
            let name = self.one_of(&names);
            let value = match name {
                "cookie" => self.cookies(),
                "authorization" => {
                    let scheme = self.one_of(&["Bearer ", "bearer  ", "Basic ", ""]);
                    [scheme.as_bytes().to_vec(), self.text()].concat()
                }
                "accept" => b"text/html".to_vec(),
                _ => self.text(),
            };
            headers.push((name, value));
        }
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request
                    .headers_mut()
                    .append(HeaderName::from_static(name), value);
            }
        }
        request
    }
}

#[tokio::test]
async fn ten_thousand_hostile_requests_meet_no_fault_of_ours() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in_remembered("sam").await;
    let mut good: Vec<String> = browser.cookies.values().cloned().collect();
    good.push(browser.token().await);
    good.push(
        world
            .issue("tina", &["repo:read"])
            .token
            .expose()
            .to_owned(),
    );
    let image = countersign::AttachmentId::new("cat").unwrap();
    let signed = world
        .engine
        .images()
        .sign(crate::application::principal("sam"), image);
    good.push(signed.wait().unwrap().text.expose().to_owned());
    let texts = [
        "https://issues.example.org",
        "null",
        "same-origin",
        "cross-site",
        "%00\u{e9}",
    ];
    good.extend(texts.map(str::to_owned));
    let rng = ChaCha8Rng::seed_from_u64(0x0ddb_a115);
    let mut dice = Dice { rng, good };
    let mut statuses: BTreeMap<u16, u32> = BTreeMap::new();
    let asked = std::env::var("COUNTERSIGN_HOSTILE_REQUESTS");
    let requests = asked.map_or(REQUESTS, |asked| asked.parse().unwrap());
    for n in 0..requests {
        let request = dice.request();
        let shown = format!("{n}: {request:?}");
        let response = world.app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        assert!(!status.is_server_error(), "{status} to {shown}");
        // However the cookies stood, there is one of a name.
        let set = response.headers().get_all("set-cookie").iter();
        let mut names: Vec<_> = set.map(|c| c.to_str().unwrap().split('=').next()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{shown}");
        *statuses.entry(status.as_u16()).or_default() += 1;
    }
    // Both what is good and what is not got through to the end.
    for status in [200, 400, 401, 403, 404, 415, 422] {
        assert!(statuses.contains_key(&status), "{statuses:?}");
    }
}
