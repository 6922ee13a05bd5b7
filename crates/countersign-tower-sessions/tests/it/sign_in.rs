//! axum-login on the store: log in, a page for members, log out, and the ids on the way.

use crate::browser::{Answer, SetCookie, get, get_with};
use crate::support::{Home, load, principal, store};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get as on_get;
use axum_login::tower_sessions::SessionManagerLayer;
use axum_login::{AuthManagerLayerBuilder, AuthUser, AuthnBackend, UserId, login_required};
use countersign_tower_sessions::CountersignStore;
use std::convert::Infallible;

#[derive(Clone, Debug)]
struct User {
    id: i64,
    password: String,
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.password.as_bytes()
    }
}

/// Everybody whose number is below a hundred, with the number for a password.
#[derive(Clone, Debug)]
struct Users;

impl AuthnBackend for Users {
    type User = User;
    type Credentials = i64;
    type Error = Infallible;

    async fn authenticate(&self, id: i64) -> Result<Option<User>, Infallible> {
        self.get_user(&id).await
    }

    async fn get_user(&self, id: &UserId<Self>) -> Result<Option<User>, Infallible> {
        let password = id.to_string();
        let user = User { id: *id, password };
        Ok((*id < 100).then_some(user))
    }
}

type AuthSession = axum_login::AuthSession<Users>;

fn app() -> (Router, CountersignStore, Home) {
    let (store, home) = store();
    let app = app_on(store.clone());
    (app, store, home)
}

fn app_on(store: CountersignStore) -> Router {
    let members = async |auth: AuthSession| auth.user.unwrap().id.to_string();
    let visit = async |auth: AuthSession| auth.session.insert("seen", 1).await.unwrap();
    let log_in = async |mut auth: AuthSession, Path(id): Path<i64>| {
        let Some(user) = auth.authenticate(id).await.unwrap() else {
            return StatusCode::UNAUTHORIZED;
        };
        auth.login(&user).await.unwrap();
        StatusCode::OK
    };
    let log_out = async |mut auth: AuthSession| {
        auth.logout().await.unwrap();
    };
    let sessions = SessionManagerLayer::new(store);
    let auth = AuthManagerLayerBuilder::new(Users, sessions).build();
    Router::new()
        .route("/members", on_get(members))
        .route_layer(login_required!(Users))
        .route("/visit", on_get(visit))
        .route("/login/{id}", on_get(log_in))
        .route("/logout", on_get(log_out))
        .layer(auth)
}

async fn members(app: &Router, cookie: &SetCookie) -> Answer {
    get(app, "/members", Some(cookie)).await
}

#[track_caller]
fn is_member(answer: &Answer, name: &str) {
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::OK, name)
    );
}

#[track_caller]
fn is_stranger(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

fn id_of(cookie: &SetCookie) -> tower_sessions::session::Id {
    cookie.value.parse().unwrap()
}

#[tokio::test]
async fn in_and_out_again() {
    let (app, store, _home) = app();
    is_stranger(&get(&app, "/members", None).await);
    is_stranger(&get(&app, "/login/100", None).await);
    let logged_in = get(&app, "/login/7", None).await;
    let cookie = logged_in.cookie();
    is_member(&members(&app, cookie).await, "7");
    let listed = store.engine().sessions().list(principal("7")).wait();
    assert_eq!(listed.unwrap().len(), 1);
    let logged_out = get(&app, "/logout", Some(cookie)).await;
    assert_eq!(logged_out.cookie().value, "");
    // The old cookie, should somebody have kept it, is worth nothing.
    is_stranger(&members(&app, cookie).await);
    assert_eq!(store.engine().sessions().counts().all, 0);
}

#[tokio::test]
async fn logging_in_changes_the_id_and_keeps_what_was_there() {
    let (app, store, _home) = app();
    let visited = get(&app, "/visit", None).await;
    let before = visited.cookie();
    let logged_in = get(&app, "/login/7", Some(before)).await;
    let after = logged_in.cookie();
    assert_ne!(before.value, after.value);
    is_member(&members(&app, after).await, "7");
    is_stranger(&members(&app, before).await);
    assert_eq!(load(&store, id_of(before)).await, None);
    assert!(
        load(&store, id_of(after))
            .await
            .unwrap()
            .data
            .contains_key("seen")
    );
}

#[tokio::test]
async fn a_planted_cookie_is_not_logged_in_with_its_victim() {
    let (app, store, _home) = app();
    // One that the attacker got from the application, and one that they made up.
    let visited = get(&app, "/visit", None).await;
    for planted in [
        visited.cookie().sent(),
        "id=AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    ] {
        let logged_in = get_with(&app, "/login/7", Some(&planted)).await;
        is_member(&members(&app, logged_in.cookie()).await, "7");
        is_stranger(&get_with(&app, "/members", Some(&planted)).await);
    }
    let listed = store.engine().sessions().list(principal("7")).wait();
    assert_eq!(listed.unwrap().len(), 2);
}

#[tokio::test]
async fn whose_credentials_changed_is_out_everywhere_and_can_come_back() {
    let (app, store, _home) = app();
    let (one, other) = (
        get(&app, "/login/7", None).await,
        get(&app, "/login/7", None).await,
    );
    let bob = get(&app, "/login/8", None).await;
    let engine = store.engine();
    let changed = engine.credentials_changed(principal("7"), None, None);
    changed.wait().unwrap();
    is_stranger(&members(&app, one.cookie()).await);
    is_stranger(&members(&app, other.cookie()).await);
    is_member(&members(&app, bob.cookie()).await, "8");
    let again = get(&app, "/login/7", Some(one.cookie())).await;
    is_member(&members(&app, again.cookie()).await, "7");
}

#[tokio::test]
async fn logging_in_over_somebody_else_is_an_error_and_logs_nobody_in() {
    let (app, _store, _home) = app();
    let ann = get(&app, "/login/7", None).await;
    let over = get(&app, "/login/8", Some(ann.cookie())).await;
    assert_eq!(over.status, StatusCode::INTERNAL_SERVER_ERROR);
    is_member(&members(&app, ann.cookie()).await, "7");
    get(&app, "/logout", Some(ann.cookie())).await;
    let bob = get(&app, "/login/8", Some(ann.cookie())).await;
    is_member(&members(&app, bob.cookie()).await, "8");
}

#[tokio::test]
async fn who_is_logged_in_stays_so_over_a_restart() {
    let home = Home::new();
    let engine = home.open();
    let app = app_on(CountersignStore::new(engine.clone()));
    let logged_in = get(&app, "/login/7", None).await;
    drop(app);
    engine.close().wait().unwrap();
    drop(engine);
    let app = app_on(CountersignStore::new(home.open()));
    is_member(&members(&app, logged_in.cookie()).await, "7");
}
