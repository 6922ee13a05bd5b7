//! A client that is no browser: scripts with access tokens, and thieves.

use reqwest::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder};
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) cookies: Vec<String>,
    pub(crate) body: String,
}

pub(crate) async fn get(url: &str) -> Answer {
    send(asked(Method::GET, url)).await
}

/// With cookies that somebody may have taken out of a browser.
pub(crate) async fn get_with(url: &str, cookies: &str) -> Answer {
    send(asked(Method::GET, url).header(COOKIE, cookies)).await
}

/// With an access token; posts where there is something to be sent.
pub(crate) async fn bearer(url: &str, token: &str, json: Option<&str>) -> Answer {
    let request = match json {
        Some(json) => asked(Method::POST, url)
            .header("content-type", "application/json")
            .body(json.to_owned()),
        None => asked(Method::GET, url),
    };
    send(request.header(AUTHORIZATION, format!("Bearer {token}"))).await
}

/// With several `Authorization` headers.
pub(crate) async fn bearers(url: &str, tokens: &[&str]) -> Answer {
    let mut request = asked(Method::GET, url);
    for token in tokens {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    send(request).await
}

fn asked(method: Method, url: &str) -> RequestBuilder {
    let client = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60));
    client.build().unwrap().request(method, url)
}

async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let cookies = response.headers().get_all(SET_COOKIE).iter();
    let cookies = cookies.map(|value| value.to_str().unwrap().to_owned());
    Answer {
        status: response.status().as_u16(),
        cookies: cookies.collect(),
        body: response.text().await.unwrap(),
    }
}

impl Answer {
    /// The value of a cookie that is set.
    pub(crate) fn cookie(&self, name: &str) -> String {
        let value = |cookie: &String| {
            let (own, rest) = cookie.split_once('=')?;
            let value = rest.split(';').next()?;
            (own == name).then(|| value.to_owned())
        };
        let found = self.cookies.iter().find_map(value);
        found.unwrap_or_else(|| panic!("no cookie {name} in {self:?}"))
    }

    /// What stands between two texts, the first time.
    pub(crate) fn between(&self, front: &str, back: &str) -> String {
        let (_, rest) = self.body.split_once(front).unwrap();
        rest.split_once(back).unwrap().0.to_owned()
    }
}
