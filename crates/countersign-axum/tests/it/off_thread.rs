//! Hazard: a request that has to read the disk and holds up every other task of the runtime.

use crate::application::{World, principal};
use countersign::core::Key;
use countersign::store::{MemoryStore, Store};
use countersign::{
    DeviceQuery, Engine, Label, Maintenance, Method, NewLogIn, NewSeries, Presented, SeriesState,
};
use countersign_axum::{CountersignLayer, TurnedAway, Visit};
use countersign_testkit::{Gated, ManualClock, samples};
use http::{Request, StatusCode};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::{Layer as _, ServiceExt as _};

/// An engine whose store can be held back, with a device of alice's.
fn gated() -> (Engine, Arc<Gated>, countersign::Remembered) {
    let store = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let engine = Engine::builder()
        .clock(ManualClock::default())
        .maintenance(Maintenance::HostDriven)
        .open_store(Arc::clone(&store) as Arc<dyn Store>, &samples::keys())
        .unwrap();
    let request = NewSeries {
        principal: principal("alice"),
        label: Label::new("a browser").unwrap(),
    };
    let device = engine.remember().start(request).wait().unwrap();
    (engine, store, device)
}

#[tokio::test(flavor = "current_thread")]
async fn a_slow_disk_holds_up_the_request_that_needs_it_and_no_other_task() {
    let (engine, store, device) = gated();
    let layer = CountersignLayer::new(engine).unwrap();
    let service = layer.layer(tower::service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(StatusCode::OK)
    }));
    let keys = [Key::SYSTEM, Key::series(device.selector)];
    let gate = store.hold_next_load(&keys);
    let cookie = format!("__Host-seraph.rememberme.cookie={}", device.token.expose());
    let request = Request::get("/").header("cookie", cookie).body(()).unwrap();
    let slow = tokio::spawn(service.clone().oneshot(request));
    // The runtime has one thread: were it held up, the gate would open by its patience alone.
    let reached = Arc::clone(&gate);
    let reached = tokio::task::spawn_blocking(move || reached.is_reached());
    assert!(reached.await.unwrap(), "nothing was read");
    let quick = service
        .oneshot(Request::get("/").body(()).unwrap())
        .await
        .unwrap();
    assert_eq!(quick.status(), StatusCode::OK);
    assert!(!slow.is_finished());
    gate.open();
    let answer = slow.await.unwrap().unwrap();
    assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
}

/// A handler answers while a log-in of its own is under way, which then comes too late.
#[tokio::test]
async fn a_log_in_that_is_done_after_the_head_was_sent_leaves_nothing() {
    for remember in [false, true] {
        too_late(remember).await;
    }
}

async fn too_late(remember: bool) {
    let (engine, store, _) = gated();
    let mallory = principal("mallory");
    let layer = CountersignLayer::new(engine.clone()).unwrap();
    let (send, done) = tokio::sync::oneshot::channel();
    let send = Arc::new(Mutex::new(Some(send)));
    let login = NewLogIn::new(mallory.clone(), Method::Password, Duration::ZERO);
    let service = layer.layer(tower::service_fn(move |request: Request<()>| {
        let visit = request.extensions().get::<Visit>().unwrap().clone();
        let (login, send) = (login.clone(), send.lock().unwrap().take().unwrap());
        tokio::spawn(async move {
            let label = remember.then(|| Label::new("a browser").unwrap());
            let _ = send.send(visit.log_in(login, label).await);
        });
        async {
            // The other task gets its turn, and waits for the disk.
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(StatusCode::OK)
        }
    }));
    let key = Key::principal(samples::keyring().principal_key(&mallory));
    let gate = store.hold_next_load(&[Key::SYSTEM, key]);
    let answer = service
        .oneshot(Request::get("/").body(()).unwrap())
        .await
        .unwrap();
    assert!(!answer.headers().contains_key("set-cookie"));
    let reached = Arc::clone(&gate);
    let reached = tokio::task::spawn_blocking(move || reached.is_reached());
    assert!(reached.await.unwrap(), "nothing was read");
    gate.open();
    assert!(matches!(done.await.unwrap(), Err(TurnedAway::TooLate(_))));
    let sessions = engine.sessions().list(mallory.clone()).wait().unwrap();
    assert!(sessions.is_empty());
    engine.flush().wait().unwrap();
    let mut query = DeviceQuery::default();
    query.principal = Some(mallory);
    let devices = engine.remember().list(query).wait().unwrap().devices;
    assert!(
        devices
            .iter()
            .all(|device| device.state != SeriesState::Live),
        "{devices:?}"
    );
}

#[test]
fn what_is_in_memory_changes_no_thread() {
    let world = World::new();
    let engine = &world.engine;
    let login = NewLogIn::new(principal("sam"), Method::Password, Duration::ZERO);
    let session = engine.log_in(None, login, None).wait().unwrap().session;
    let token = world.issue("tina", &[]);
    let bearer = format!("Bearer {}", token.token.expose());
    let by_session = Presented {
        session: Some(session.token.expose().as_bytes()),
        ..Presented::default()
    };
    let by_token = Presented {
        authorization: Some(bearer.as_bytes()),
        ..Presented::default()
    };
    for presented in [by_session, by_token] {
        engine.authenticate(presented).wait().unwrap();
        let pending = engine.off_thread(|engine| engine.authenticate(presented));
        assert!(pending.is_ready(), "{presented:?}");
    }
    assert!(
        engine
            .off_thread(|engine| engine.authenticate(Presented::default()))
            .is_ready()
    );
}
