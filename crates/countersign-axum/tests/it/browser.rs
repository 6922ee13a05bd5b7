//! A browser as far as cookies go, and what it gets to see.

use crate::application::World;
use axum::Router;
use axum::body::Body;
use http::header::{COOKIE, HeaderMap, HeaderName, SET_COOKIE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use std::collections::BTreeMap;
use tower::ServiceExt as _;

pub(crate) const SESSION: &str = "__Host-session";
pub(crate) const REMEMBER: &str = "__Host-seraph.rememberme.cookie";
pub(crate) const SCRIPTS: &str = "atlassian.xsrf.token";

/// Keeps cookies by name and sends them back.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) app: Router,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A request that is being put together.
pub(crate) struct Asking<'a> {
    browser: &'a mut Browser,
    request: http::request::Builder,
    pub(crate) body: Body,
}

impl Browser {
    pub(crate) fn new(world: &World) -> Self {
        Self {
            app: world.app.clone(),
            cookies: BTreeMap::new(),
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> Asking<'_> {
        self.ask(Method::GET, path)
    }

    /// As one of our own pages does it.
    pub(crate) fn post(&mut self, path: &str) -> Asking<'_> {
        self.ask(Method::POST, path)
            .header("sec-fetch-site", "same-origin")
    }

    pub(crate) fn ask(&mut self, method: Method, path: &str) -> Asking<'_> {
        let request = Request::builder().method(method).uri(path);
        Asking {
            request: request.header("host", "issues.example.org"),
            browser: self,
            body: Body::empty(),
        }
    }

    /// The browser is closed and opened again: cookies without an age are gone.
    pub(crate) fn restart(&mut self) {
        self.cookies.retain(|name, _| name == REMEMBER);
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.cookies.contains_key(name)
    }

    pub(crate) async fn log_in(&mut self, name: &str) {
        let reply = self.post(&format!("/log-in/{name}")).send().await;
        assert_eq!(reply.body, "in");
    }

    pub(crate) async fn log_in_remembered(&mut self, name: &str) {
        let reply = self
            .post(&format!("/log-in-remembered/{name}"))
            .send()
            .await;
        assert_eq!(reply.body, "in");
    }

    /// Who the application takes it for.
    pub(crate) async fn who(&mut self) -> String {
        self.get("/").send().await.body
    }

    /// A form token, as a page would hold it.
    pub(crate) async fn token(&mut self) -> String {
        let reply = self.get("/token").send().await;
        assert_eq!(reply.status, StatusCode::OK);
        reply.body
    }
}

impl Asking<'_> {
    pub(crate) fn header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Self {
        let name: HeaderName = name.as_ref().parse().unwrap();
        let value = HeaderValue::from_bytes(value.as_ref()).unwrap();
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn html(self) -> Self {
        self.header("accept", "text/html,*/*;q=0.8")
    }

    pub(crate) fn form(mut self, body: &str) -> Self {
        self.body = Body::from(body.to_owned());
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    pub(crate) fn multipart(mut self, body: Body) -> Self {
        self.body = body;
        self.header("content-type", "multipart/form-data; boundary=B")
    }

    pub(crate) async fn send(self) -> Reply {
        let mut request = self.request.body(self.body).unwrap();
        if !self.browser.cookies.is_empty() && !request.headers().contains_key(COOKIE) {
            let pairs = self.browser.cookies.iter();
            let pairs: Vec<_> = pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let value = HeaderValue::from_str(&pairs.join("; ")).unwrap();
            request.headers_mut().insert(COOKIE, value);
        }
        let response = self.browser.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let reply = Reply {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        self.browser.keep(&reply);
        reply
    }
}

/// A browser that is signed in as sam, and a form token of its session.
pub(crate) async fn signed_in(world: &World) -> (Browser, String) {
    let mut browser = Browser::new(world);
    browser.log_in("sam").await;
    let token = browser.token().await;
    (browser, token)
}

impl Browser {
    fn keep(&mut self, reply: &Reply) {
        for cookie in reply.cookies() {
            let cookie = cookie::Cookie::parse(cookie).unwrap();
            match cookie.max_age() == Some(cookie::time::Duration::ZERO) {
                true => self.cookies.remove(cookie.name()),
                false => self
                    .cookies
                    .insert(cookie.name().into(), cookie.value().into()),
            };
        }
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map_or("", |value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} more than once");
        value
    }

    pub(crate) fn cookies(&self) -> Vec<&str> {
        let cookies = self.headers.get_all(SET_COOKIE).iter();
        cookies.map(|cookie| cookie.to_str().unwrap()).collect()
    }

    /// The one cookie of this name that it sets or clears.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let mut found = self.cookies().into_iter().filter(|cookie| {
            cookie
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('='))
        });
        let cookie = found.next();
        assert!(found.next().is_none(), "{name} more than once");
        cookie
    }

    pub(crate) fn sets(&self, name: &str) -> bool {
        self.cookie(name)
            .is_some_and(|cookie| !cookie.contains("Max-Age=0"))
    }

    pub(crate) fn clears(&self, name: &str) -> bool {
        self.cookie(name)
            .is_some_and(|cookie| cookie.contains("; Max-Age=0;"))
    }
}
