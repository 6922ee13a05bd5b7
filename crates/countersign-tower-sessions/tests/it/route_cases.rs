//! What tower-sessions asks of every store through its layer, case by case and under its names
//! (its `tests/common`), of both versions.

use crate::browser::{SetCookie, get, get_with};
use crate::support::{Home, store};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get as on_get;
use time::{Duration, OffsetDateTime};

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;

#[track_caller]
fn lasts(cookie: &SetCookie, expected_s: Option<i64>) {
    match (cookie.max_age_s(), expected_s) {
        (None, None) => {}
        (Some(age), Some(expected)) if (age - expected).abs() <= 1 => {}
        (age, expected) => panic!("{age:?} and not {expected:?}"),
    }
}

#[track_caller]
fn is_strict(cookie: &SetCookie) {
    assert_eq!(cookie.name, "id");
    assert_eq!(cookie.attribute("httponly"), Some(""));
    assert_eq!(cookie.attribute("samesite"), Some("strict"));
    assert_eq!(cookie.attribute("secure"), Some(""));
    assert_eq!(cookie.attribute("path"), Some("/"));
}

#[track_caller]
fn is_removal(cookie: &SetCookie) {
    assert_eq!((cookie.value.as_str(), cookie.max_age_s()), ("", Some(0)));
    assert_eq!(cookie.attribute("path"), Some("/"));
}

macro_rules! cases {
    ($version:ident, $project:ident) => {
        mod $version {
            use super::*;
            use $project::{Expiry, Session, SessionManagerLayer};

            fn routes() -> Router {
                Router::new()
                    .route("/", on_get(|_: Session| async { "Hello, world!" }))
                    .route(
                        "/insert",
                        on_get(async |session: Session| {
                            session.insert("foo", 42).await.unwrap();
                        }),
                    )
                    .route(
                        "/get",
                        on_get(async |session: Session| {
                            session
                                .get::<usize>("foo")
                                .await
                                .unwrap()
                                .unwrap()
                                .to_string()
                        }),
                    )
                    .route(
                        "/get_value",
                        on_get(async |session: Session| {
                            format!("{:?}", session.get_value("foo").await.unwrap())
                        }),
                    )
                    .route(
                        "/remove_value",
                        on_get(async |session: Session| {
                            session.remove_value("foo").await.unwrap();
                        }),
                    )
                    .route(
                        "/cycle_id",
                        on_get(async |session: Session| {
                            session.cycle_id().await.unwrap();
                        }),
                    )
                    .route(
                        "/flush",
                        on_get(async |session: Session| {
                            session.flush().await.unwrap();
                        }),
                    )
                    .route(
                        "/set_expiry",
                        on_get(async |session: Session| {
                            let tomorrow = OffsetDateTime::now_utc() + Duration::days(1);
                            session.set_expiry(Some(Expiry::AtDateTime(tomorrow)));
                        }),
                    )
                    .route(
                        "/remove_expiry",
                        on_get(async |session: Session| {
                            session.set_expiry(Some(Expiry::OnSessionEnd));
                        }),
                    )
            }

            fn app(max_age: Option<Duration>, domain: Option<&'static str>) -> (Router, Home) {
                let (store, home) = store();
                let mut layer = SessionManagerLayer::new(store).with_secure(true);
                if let Some(max_age) = max_age {
                    layer = layer.with_expiry(Expiry::OnInactivity(max_age));
                }
                if let Some(domain) = domain {
                    layer = layer.with_domain(domain);
                }
                (routes().layer(layer), home)
            }

            fn app_for_an_hour() -> (Router, Home) {
                app(Some(Duration::hours(1)), None)
            }

            #[tokio::test]
            async fn no_session_set() {
                let (app, _home) = app_for_an_hour();
                assert_eq!(get(&app, "/", None).await.cookie, None);
            }

            #[tokio::test]
            async fn bogus_session_cookie() {
                let (app, _home) = app_for_an_hour();
                let bogus = "AAAAAAAAAAAAAAAAAAAAAA";
                let answer = get_with(&app, "/insert", Some(&format!("id={bogus}"))).await;
                assert_eq!(answer.status, StatusCode::OK);
                assert_ne!(answer.cookie().value, bogus);
            }

            #[tokio::test]
            async fn malformed_session_cookie() {
                let (app, _home) = app_for_an_hour();
                let answer = get_with(&app, "/", Some("id=malformed")).await;
                assert_eq!(answer.status, StatusCode::OK);
                assert_ne!(answer.cookie().value, "malformed");
            }

            #[tokio::test]
            async fn insert_session() {
                let (app, _home) = app_for_an_hour();
                let answer = get(&app, "/insert", None).await;
                is_strict(answer.cookie());
                assert!(answer.cookie().max_age_s().is_some_and(|age| age <= HOUR_S));
            }

            #[tokio::test]
            async fn session_max_age() {
                let (app, _home) = app(None, None);
                let answer = get(&app, "/insert", None).await;
                is_strict(answer.cookie());
                lasts(answer.cookie(), None);
            }

            #[tokio::test]
            async fn get_session() {
                let (app, _home) = app_for_an_hour();
                let inserted = get(&app, "/insert", None).await;
                let got = get(&app, "/get", inserted.cookie.as_ref()).await;
                assert_eq!((got.status, got.body.as_str()), (StatusCode::OK, "42"));
            }

            #[tokio::test]
            async fn get_no_value() {
                let (app, _home) = app_for_an_hour();
                assert_eq!(get(&app, "/get_value", None).await.body, "None");
            }

            #[tokio::test]
            async fn remove_last_value() {
                let (app, _home) = app_for_an_hour();
                let inserted = get(&app, "/insert", None).await;
                let cookie = inserted.cookie.as_ref();
                get(&app, "/remove_value", cookie).await;
                assert_eq!(get(&app, "/get_value", cookie).await.body, "None");
            }

            #[tokio::test]
            async fn cycle_session_id() {
                let (app, _home) = app_for_an_hour();
                let first = get(&app, "/insert", None).await;
                let second = get(&app, "/cycle_id", first.cookie.as_ref()).await;
                assert_ne!(first.cookie().value, second.cookie().value);
                let got = get(&app, "/get", second.cookie.as_ref()).await;
                assert_eq!(got.body, "42");
            }

            #[tokio::test]
            async fn flush_session() {
                let (app, _home) = app_for_an_hour();
                let inserted = get(&app, "/insert", None).await;
                let flushed = get(&app, "/flush", inserted.cookie.as_ref()).await;
                is_removal(flushed.cookie());
            }

            #[tokio::test]
            async fn flush_with_domain() {
                let (app, _home) = app(Some(Duration::hours(1)), Some("localhost"));
                let inserted = get(&app, "/insert", None).await;
                let flushed = get(&app, "/flush", inserted.cookie.as_ref()).await;
                is_removal(flushed.cookie());
                assert_eq!(flushed.cookie().attribute("domain"), Some("localhost"));
            }

            #[tokio::test]
            async fn set_expiry() {
                let (app, _home) = app(Some(Duration::hours(1)), Some("localhost"));
                let inserted = get(&app, "/insert", None).await;
                lasts(inserted.cookie(), Some(HOUR_S));
                let set = get(&app, "/set_expiry", inserted.cookie.as_ref()).await;
                lasts(set.cookie(), Some(DAY_S));
            }

            #[tokio::test]
            async fn change_expiry_type() {
                let (session_end, _home) = app(None, Some("localhost"));
                let inserted = get(&session_end, "/insert", None).await;
                lasts(inserted.cookie(), None);
                let set = get(&session_end, "/set_expiry", inserted.cookie.as_ref()).await;
                lasts(set.cookie(), Some(DAY_S));
                let (inactivity, _home) = app(Some(Duration::hours(1)), Some("localhost"));
                let inserted = get(&inactivity, "/insert", None).await;
                lasts(inserted.cookie(), Some(HOUR_S));
                let removed = get(&inactivity, "/remove_expiry", inserted.cookie.as_ref()).await;
                lasts(removed.cookie(), None);
            }
        }
    };
}

cases!(current, tower_sessions);
cases!(under_axum_login, tower_sessions_0_14);
