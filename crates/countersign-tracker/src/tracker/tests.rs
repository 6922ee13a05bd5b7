//! Hazard: whoever knows the old password is let in after it has been changed; or what fails inside
//! is told to whoever asks.

use super::*;
use crate::options::PasswordCost;
use crate::trouble::Trouble;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use countersign::{DeviceQuery, Principal};
use http_body_util::BodyExt as _;
use std::time::Duration;
use tokio::time::timeout;
use tower::ServiceExt as _;

const OLD: &str = "the old password";

fn tracker(dir: &Path) -> Tracker {
    let mut options = TrackerOptions::loopback(dir);
    options.password_cost = PasswordCost::for_tests();
    Tracker::open(options).unwrap()
}

fn cookies(response: &Response<Body>) -> String {
    let cookies = response.headers().get_all(SET_COOKIE).iter();
    let pairs = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
    pairs.collect::<Vec<_>>().join("; ")
}

async fn body_of(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A log-in as the page for it sends it.
async fn log_in(router: &Router, password: &str) -> Request<Body> {
    let page = Request::get("/log-in").body(Body::empty()).unwrap();
    let page = router.clone().oneshot(page).await.unwrap();
    let cookies = cookies(&page);
    let page = body_of(page).await;
    let (_, token) = page.split_once("name=\"atl_token\" value=\"").unwrap();
    let token = token.split('"').next().unwrap();
    let form = format!("atl_token={token}&name=ada&password={password}&remember=1");
    Request::post("/log-in")
        .header(COOKIE, cookies)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap()
}

#[tokio::test]
async fn a_log_in_by_a_password_that_is_changed_while_it_is_compared_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let tracker = tracker(dir.path());
    tracker.add_user("ada", OLD, false).await.unwrap();
    let (app, router) = (&tracker.app, tracker.router().unwrap());
    for changed in [false, true] {
        let request = log_in(&router, "the+old+password").await;
        // It has read the hash, and waits for its turn to be compared with it.
        let turns = app.passwords.hold_all_turns().await;
        let mut asked = Box::pin(router.clone().oneshot(request));
        let waited = timeout(Duration::from_millis(20), &mut asked).await;
        assert!(waited.is_err(), "{waited:?}");
        if changed {
            let old = app.users.read().find("ada").unwrap().hash.clone();
            let change = move |users: &mut Users| users.replace_hash("ada", &old, "new".to_owned());
            app.users.change(change).await.unwrap();
            let ada = Principal::new("ada").unwrap();
            let ended = app.engine.credentials_changed(ada, None, None);
            ended.await.unwrap();
        }
        drop(turns);
        let answer = asked.await.unwrap();
        let ada = Principal::new("ada").unwrap();
        let open = app.engine.sessions().list(ada.clone()).await.unwrap().len();
        let devices = app.engine.remember().list(DeviceQuery::of(ada));
        let devices = devices.await.unwrap().devices;
        let live = devices.iter().filter(|device| device.usable).count();
        if changed {
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
            assert_eq!(
                (open, live),
                (0, 0),
                "the one of before ended with the change"
            );
        } else {
            assert_eq!(answer.headers()[LOCATION], "/");
            assert_eq!((open, live), (1, 1));
        }
    }
}

#[tokio::test]
async fn of_two_changes_of_a_password_the_one_made_under_the_old_one_is_none() {
    let mut users = Users::default();
    let now = countersign::Timestamp::ZERO;
    users.add("ada", "first".to_owned(), false, now).unwrap();
    users
        .replace_hash("ada", "first", "second".to_owned())
        .unwrap();
    let late = users.replace_hash("ada", "first", "third".to_owned());
    assert!(late.unwrap_err().to_string().contains("meanwhile"));
    assert!(users.has_hash("ada", "second") && !users.has_hash("ada", "first"));
    assert!(!users.has_hash("bob", "second"));
    users.replace_hash("bob", "", "x".to_owned()).unwrap_err();
}

#[derive(Debug)]
struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _: &mut [u8]) -> Result<(), String> {
        Err("the generator is broken".to_owned())
    }
}

#[tokio::test]
async fn without_randomness_nothing_has_a_name_and_nobody_is_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut tracker = Tracker::open(TrackerOptions::loopback(dir.path())).unwrap();
    Arc::get_mut(&mut tracker.app).unwrap().entropy = Arc::new(NoEntropy);
    let error = tracker.app.random_name().unwrap_err();
    let response = Trouble::from(error).into_response();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
