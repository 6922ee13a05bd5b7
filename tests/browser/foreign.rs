//! Another server on this machine: under other names it is a sibling of the tracker's or another
//! site altogether, and says what the test puts there.

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse as _};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// Pages by their paths.
type Pages = Arc<Mutex<BTreeMap<String, String>>>;

#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) port: u16,
    pages: Pages,
}

impl Foreign {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let pages = Pages::default();
        let shown = Arc::clone(&pages);
        let router = Router::new().fallback(move |uri: Uri| {
            let page = shown.lock().unwrap().get(uri.path()).cloned();
            async move {
                match page {
                    Some(page) => Html(page).into_response(),
                    None => StatusCode::NOT_FOUND.into_response(),
                }
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, pages }
    }

    pub(crate) fn put(&self, path: &str, body: &str) {
        let page = format!("<!DOCTYPE html><title>Elsewhere</title>{body}");
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    pub(crate) fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port)
    }
}
