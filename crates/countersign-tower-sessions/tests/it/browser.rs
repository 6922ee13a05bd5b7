//! What a browser does: requests to an application in process, and the one cookie that comes back.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// A cookie as a response sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Its attributes, in lower case, as they stand.
    attributes: Vec<String>,
}

impl SetCookie {
    /// The value of an attribute; empty for one that has none.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find_map(|attribute| {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            (key == name).then_some(value)
        })
    }

    pub(crate) fn max_age_s(&self) -> Option<i64> {
        self.attribute("max-age").map(|age| age.parse().unwrap())
    }

    /// As a request sends it back.
    pub(crate) fn sent(&self) -> String {
        format!("{}={}", self.name, self.value)
    }
}

/// What a request came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) cookie: Option<SetCookie>,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn cookie(&self) -> &SetCookie {
        self.cookie.as_ref().expect("no cookie was set")
    }
}

pub(crate) async fn get(app: &Router, uri: &str, cookie: Option<&SetCookie>) -> Answer {
    get_with(app, uri, cookie.map(SetCookie::sent).as_deref()).await
}

pub(crate) async fn get_with(app: &Router, uri: &str, cookie: Option<&str>) -> Answer {
    let mut request = Request::builder().uri(uri);
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    answer(response).await
}

async fn answer(response: Response<Body>) -> Answer {
    let cookie = response.headers().get(header::SET_COOKIE);
    let cookie = cookie.map(|header| read(header.to_str().unwrap()));
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer {
        status,
        cookie,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

fn read(header: &str) -> SetCookie {
    let mut parts = header.split("; ");
    let (name, value) = parts.next().unwrap().split_once('=').unwrap();
    SetCookie {
        name: name.to_owned(),
        value: value.to_owned(),
        attributes: parts.map(str::to_lowercase).collect(),
    }
}
