//! Hazard: an id, which is the whole secret, is to be found where the session is: in a file, in
//! memory's dumps, in a log.

use crate::support::{Home, created, load, logged_in};
use countersign::{Engine, Event, Maintenance, Observer, RedbOptions, Refused, SessionEvent};
use countersign_tower_sessions::CountersignStore;
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::sync::{Arc, Mutex};
use tower_sessions::SessionStore as _;
use tower_sessions::session::Id;

/// Keeps what an engine tells as text.
#[derive(Clone, Debug, Default)]
struct Ears(Arc<Mutex<String>>);

impl Observer for Ears {
    fn event(&self, event: &Event) {
        writeln!(self.0.lock().unwrap(), "{event:?}").unwrap();
    }

    fn refused(&self, refused: &Refused) {
        writeln!(self.0.lock().unwrap(), "{refused:?}").unwrap();
    }

    fn session(&self, event: &SessionEvent) {
        writeln!(self.0.lock().unwrap(), "{event:?}").unwrap();
    }
}

/// How an id may be written.
fn spellings(id: Id) -> Vec<Vec<u8>> {
    let (little, big) = (id.0.to_le_bytes(), id.0.to_be_bytes());
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let texts = [
        id.to_string(),
        id.0.to_string(),
        hex(&little),
        hex(&big),
        format!("{little:?}"),
        format!("{big:?}"),
    ];
    let bytes = [little, big].into_iter().flat_map(|bytes| {
        // Half of it is as bad.
        let (a, b) = bytes.split_at(8);
        [a.to_vec(), b.to_vec()]
    });
    texts
        .into_iter()
        .map(String::into_bytes)
        .chain(bytes)
        .collect()
}

#[track_caller]
fn has_none(place: &str, bytes: &[u8], ids: &[Id]) {
    for spelling in ids.iter().flat_map(|id| spellings(*id)) {
        let found = bytes.windows(spelling.len()).any(|part| part == spelling);
        assert!(!found, "{place}: {}", String::from_utf8_lossy(&spelling));
    }
}

#[tokio::test]
async fn an_id_is_nowhere_but_with_who_presents_it() {
    let (home, ears) = (Home::new(), Ears::default());
    let engine = Engine::builder()
        .clock(home.clock.clone())
        .observer(ears.clone())
        .maintenance(Maintenance::HostDriven)
        .redb(RedbOptions::new().ballast_bytes(16 * 1024).spare_bytes(0));
    let engine = engine.open(home.dir.path().join("state.redb")).unwrap();
    let store = CountersignStore::new(engine.clone());
    let anonymous = created(&store, [("a", json!("kept"))]).await;
    let owned = created(&store, [logged_in("ann")]).await;
    let gone = created(&store, [logged_in("bob")]).await;
    store.delete(&gone.id).await.unwrap();
    let ids = [
        anonymous.id,
        owned.id,
        gone.id,
        // Never handed out; neither of its halves is one that other fields have by chance.
        Id(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210),
    ];
    for id in ids {
        load(&store, id).await;
    }
    store.save(&anonymous).await.unwrap();
    // What there is to print of it.
    let mut printed = format!("{store:?} {store:#?} {engine:?} {:?}", engine.stats());
    let page = (0..).map(|page| engine.sessions().page(page).wait().unwrap());
    for page in page.take_while(|page| !page.pages.eq(&0)).take(512) {
        write!(printed, "{page:?}").unwrap();
    }
    assert!(printed.contains("kept") || printed.contains("Description"));
    printed.push_str(&ears.0.lock().unwrap());
    has_none("a printed text", printed.as_bytes(), &ids);
    let over = "x".repeat(100_000);
    let mut large = load(&store, owned.id).await.unwrap();
    large.data.insert("a".to_owned(), json!(over));
    let refused = store.save(&large).await.unwrap_err();
    has_none(
        "an error",
        format!("{refused} {refused:?}").as_bytes(),
        &ids,
    );
    drop(store);
    engine.close().wait().unwrap();
    // What there is on disk.
    let snapshot = fs::read(home.snapshot()).unwrap();
    assert!(snapshot.windows(4).any(|part| part == b"kept"));
    for entry in fs::read_dir(home.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        has_none(&path.display().to_string(), &bytes, &ids);
    }
}

#[tokio::test]
async fn the_search_would_find_one() {
    let id = Id(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
    for spelling in spellings(id) {
        let text = [b"before ", &spelling[..], b" after"].concat();
        let caught = std::panic::catch_unwind(|| has_none("here", &text, &[id]));
        assert!(caught.is_err());
    }
}
