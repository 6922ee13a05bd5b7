//! A tracker in memory's reach, and a browser as far as cookies and forms go.

use axum::Router;
use axum::body::Body;
use axum::http::header::{COOKIE, HeaderMap, SET_COOKIE};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use countersign_testkit::ManualClock;
use countersign_tracker::{PasswordCost, Tracker, TrackerOptions};
use http_body_util::BodyExt as _;
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;
use tower::ServiceExt as _;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const PASSWORD: &str = "correct horse battery";
/// The first bytes of a PNG, which is all that is looked at.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";
const BOUNDARY: &str = "----B";

/// A tracker with an administrator, ada, and a user, ben.
pub(crate) struct World {
    pub(crate) tracker: Tracker,
    pub(crate) clock: ManualClock,
    pub(crate) dir: TempDir,
    app: Router,
}

/// Keeps cookies, and knows the page that it is on.
#[derive(Clone)]
pub(crate) struct Client {
    app: Router,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_cost(PasswordCost::for_tests()).await
    }

    /// One in which hashing a password takes its time.
    pub(crate) async fn with_cost(cost: PasswordCost) -> Self {
        let world = Self::at(tempfile::tempdir().unwrap(), ManualClock::default(), cost);
        world.tracker.add_user("ada", PASSWORD, true).await.unwrap();
        world
            .tracker
            .add_user("ben", PASSWORD, false)
            .await
            .unwrap();
        world
    }

    /// The same after a restart.
    pub(crate) async fn reopened(self) -> Self {
        self.tracker.engine().close().await.unwrap();
        drop((self.app, self.tracker));
        Self::at(self.dir, self.clock, PasswordCost::for_tests())
    }

    fn at(dir: TempDir, clock: ManualClock, cost: PasswordCost) -> Self {
        let mut options = TrackerOptions::loopback(dir.path()).with_clock(clock.clone());
        options.password_cost = cost;
        options.base_url = Some("http://tracker.example.org".to_owned());
        let tracker = Tracker::open(options).unwrap();
        let app = tracker.router().unwrap();
        Self {
            tracker,
            clock,
            dir,
            app,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client {
            app: self.app.clone(),
            cookies: BTreeMap::new(),
        }
    }

    /// A client that is signed in.
    pub(crate) async fn signed_in(&self, name: &str) -> Client {
        let mut client = self.client();
        assert_eq!(
            client.log_in(name, PASSWORD).await.status,
            StatusCode::SEE_OTHER
        );
        client
    }
}

impl Client {
    pub(crate) async fn log_in(&mut self, name: &str, password: &str) -> Page {
        let page = self.get("/log-in").await;
        let fields = [("name", name), ("password", password), ("next", "/")];
        self.post("/log-in", &page.token(), &fields).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, "", Body::empty()).await
    }

    /// A form of the page that it is on.
    pub(crate) async fn post(&mut self, path: &str, token: &str, fields: &[(&str, &str)]) -> Page {
        let all = [("atl_token", token)];
        let all = all
            .iter()
            .chain(fields)
            .map(|(name, text)| format!("{name}={}", encoded(text)));
        let body = all.collect::<Vec<_>>().join("&");
        let kind = "application/x-www-form-urlencoded";
        self.send(Method::POST, path, kind, Body::from(body)).await
    }

    /// The same with its own token, from `page`.
    pub(crate) async fn submit(&mut self, page: &str, to: &str, fields: &[(&str, &str)]) -> Page {
        let token = self.get(page).await.token();
        self.post(to, &token, fields).await
    }

    /// The form for a new issue, with a file where one is given.
    pub(crate) async fn create(&mut self, token: &str, summary: &str, file: Option<&[u8]>) -> Page {
        let mut body = Vec::new();
        let fields = [
            ("atl_token", token),
            ("summary", summary),
            ("description", "Since\nMonday"),
        ];
        for (name, text) in fields {
            let head = format!("Content-Disposition: form-data; name=\"{name}\"");
            body.extend(format!("--{BOUNDARY}\r\n{head}\r\n\r\n{text}\r\n").into_bytes());
        }
        let (name, bytes) = match file {
            Some(bytes) => ("a.png", bytes),
            None => ("", [].as_slice()),
        };
        let head = format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"");
        body.extend(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").into_bytes());
        body.extend(bytes);
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.send(Method::POST, "/issues", &kind, Body::from(body))
            .await
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        kind: &str,
        body: Body,
    ) -> Page {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "tracker.example.org")
            .header("accept", "text/html")
            .header("sec-fetch-site", "same-origin");
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        self.ask(request.body(body).unwrap()).await
    }

    pub(crate) async fn ask(&mut self, request: Request<Body>) -> Page {
        let request = self.with_cookies(request);
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        for cookie in parts.headers.get_all(SET_COOKIE) {
            let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            match attributes.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        Page {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// An answer whose body was not taken in yet.
    pub(crate) async fn open(&self, path: &str) -> Response<Body> {
        let request = self.with_cookies(Request::get(path).body(Body::empty()).unwrap());
        self.app.clone().oneshot(request).await.unwrap()
    }

    fn with_cookies(&self, mut request: Request<Body>) -> Request<Body> {
        let pairs = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let pairs = pairs.collect::<Vec<_>>().join("; ");
        if !pairs.is_empty() {
            let value = HeaderValue::from_str(&pairs).unwrap();
            request.headers_mut().insert(COOKIE, value);
        }
        request
    }

    /// Who the pages say that one is.
    pub(crate) async fn who(&mut self) -> Option<String> {
        self.get("/").await.text("id=\"who\">", "<")
    }

    /// Talks to the API with an access token.
    pub(crate) async fn api(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        json: &str,
    ) -> Page {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "tracker.example.org")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        self.ask(request.body(Body::from(json.to_owned())).unwrap())
            .await
    }
}

impl Page {
    /// What stands between two texts, the first time.
    pub(crate) fn text(&self, front: &str, back: &str) -> Option<String> {
        let (_, rest) = self.body.split_once(front)?;
        Some(rest.split_once(back)?.0.to_owned())
    }

    /// The form token on the page.
    pub(crate) fn token(&self) -> String {
        let token = self.text("name=\"atl_token\" value=\"", "\"");
        token.unwrap_or_else(|| panic!("no form on {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// How often a text stands there.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.body.matches(text).count()
    }

    /// What became of a lost form.
    pub(crate) fn verdict(&self) -> Option<String> {
        self.text("data-verdict=\"", "\"")
    }
}

fn encoded(text: &str) -> String {
    let plain = |c: &u8| c.is_ascii_alphanumeric() || b"-_.".contains(c);
    let letters = text.bytes().map(|c| match plain(&c) {
        true => char::from(c).to_string(),
        false => format!("%{c:02X}"),
    });
    letters.collect()
}
