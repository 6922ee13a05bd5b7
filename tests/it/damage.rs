//! Hazard: a bad disk or somebody with an editor changes what lies in the files, and a verdict
//! comes out wrong: who was shut out comes in, or one comes in as another.
//!
//! Each row of the store is edited by itself, and each file is harmed in every way that a disk or a
//! hex editor does it: `COUNTERSIGN_DAMAGED_FILES` asks for so many of these.

use crate::session_help::{log_in, touch};
use crate::support::{
    Dice, Home, asked, figures, is_in, issue, principal, remember, revoke, verify,
};
use countersign::core::Table;
use countersign::store::{OpenError, StoreError};
use countersign::{
    AttachmentId, Engine, Error, EventQuery, IssuedToken, OpenedSession, Remembered, TokenQuery,
};
use countersign_testkit::tamper;
use std::fs;
use std::path::PathBuf;

/// Files of a store, closed, with everything that a verdict depends on.
struct Scene {
    home: Home,
    file: Vec<u8>,
    /// The same file before anything in it was ended.
    older: Vec<u8>,
    live: Vec<IssuedToken>,
    dead: Vec<IssuedToken>,
    /// One that lives, and one that was logged out.
    sessions: [OpenedSession; 2],
    /// One that is remembered, and one that was forgotten.
    devices: [Remembered; 2],
    /// One that opens its attachment, and one whose attachment's were revoked.
    images: [(String, AttachmentId); 2],
    snapshot: Vec<u8>,
}

fn scene() -> Scene {
    let home = Home::new();
    let engine = home.open();
    let live: Vec<_> = ["ann", "bob", "ann"]
        .map(|name| issue(&engine, name))
        .into();
    let dead: Vec<_> = ["ann", "cid", "dan"]
        .map(|name| issue(&engine, name))
        .into();
    assert!(live.iter().all(|token| is_in(&engine, token)));
    let devices = ["ann", "bob"].map(|name| remember(&engine, name));
    let images = ["10001", "10002"].map(|name| {
        let attachment = AttachmentId::new(name).unwrap();
        let signed = engine.images().sign(principal("ann"), attachment.clone());
        let text = signed.wait().unwrap().text.expose().to_owned();
        (text, attachment)
    });
    engine.close().wait().unwrap();
    let older = fs::read(home.path()).unwrap();
    let engine = home.open();
    let sessions = ["ann", "bob"].map(|name| log_in(&engine, name));
    let out = engine.sessions().log_out(&sessions[1].session);
    out.wait().unwrap();
    let forgotten = engine.remember().revoke(devices[1].selector, None);
    forgotten.wait().unwrap();
    let revoked = engine.images().revoke(images[1].1.clone(), None);
    revoked.wait().unwrap();
    revoke(&engine, dead[0].selector);
    engine
        .access()
        .revoke_all_of(principal("cid"), None)
        .wait()
        .unwrap();
    engine
        .principals()
        .disable(principal("dan"), None)
        .wait()
        .unwrap();
    engine.close().wait().unwrap();
    let file = fs::read(home.path()).unwrap();
    let snapshot = fs::read(snapshot_of(&home)).unwrap();
    Scene {
        home,
        file,
        older,
        live,
        dead,
        sessions,
        devices,
        images,
        snapshot,
    }
}

fn snapshot_of(home: &Home) -> PathBuf {
    home.dir.path().join("state.sessions")
}

/// How many of the openings were refused, and how many tokens could not be judged.
#[derive(Debug, Default)]
struct Seen {
    refused: usize,
    opened: usize,
    unjudged: usize,
    signed_out: usize,
    /// How many were the whole older store.
    older: usize,
}

impl Scene {
    /// Opens what lies there now and judges every token; then puts the whole file back.
    fn judge(&self, seen: &mut Seen, what: &str) {
        match self.home.builder().open(self.home.path()) {
            Err(Error::Open(error)) => {
                let names = error.to_string();
                let path = self.home.path();
                assert!(names.contains(path.to_str().unwrap()), "{what}: {names}");
                assert_ne!(error, OpenError::NotFound(path), "{what}");
                seen.refused += 1;
            }
            // The system record is the first that is read.
            Err(Error::Store(StoreError::Damaged { .. }) | Error::NoSystemRecord) => {
                seen.refused += 1;
            }
            Err(other) => panic!("{what}: {other:?}"),
            Ok(engine) if what.starts_with("PagesStale") && self.is_older(&engine) => {
                seen.older += 1;
            }
            Ok(engine) => {
                seen.opened += 1;
                self.judge_all(&engine, seen, what);
            }
        }
        fs::write(self.home.path(), &self.file).unwrap();
        fs::write(snapshot_of(&self.home), &self.snapshot).unwrap();
    }

    /// Whether it is the store from before anything was ended, to the last credential: where every
    /// page that counts was put back, an older file was, and nothing can tell.
    fn is_older(&self, engine: &Engine) -> bool {
        let holds = |answer: Result<bool, Error>| answer.is_ok_and(|is_in| is_in);
        let mut tokens = self.live.iter().chain(&self.dead);
        let is_in = |token: &IssuedToken| {
            let verdict = engine.access().verify(token.token.expose()).wait();
            holds(verdict.map(|verdict| verdict.is_in()))
        };
        let remembered = |device: &Remembered| {
            let recall = engine.remember().check(device.token.expose()).wait();
            holds(recall.map(|recall| recall.is_in()))
        };
        let opens = |(text, attachment): &(String, AttachmentId)| {
            let verdict = engine.images().verify(text, attachment, None).wait();
            holds(verdict.map(|verdict| verdict.is_in()))
        };
        tokens.all(is_in) && self.devices.iter().all(remembered) && self.images.iter().all(opens)
    }

    fn judge_all(&self, engine: &Engine, seen: &mut Seen, what: &str) {
        for (number, token) in self.live.iter().chain(&self.dead).enumerate() {
            match engine.access().verify(token.token.expose()).wait() {
                Ok(verdict) => {
                    let alive = number < self.live.len();
                    if let Some(pass) = verdict.pass() {
                        assert!(alive, "{what}: token {number} came in");
                        assert_eq!(*pass.principal(), token.grant.principal, "{what}");
                    } else {
                        seen.unjudged += usize::from(alive);
                    }
                }
                Err(Error::Store(_) | Error::NoSystemRecord) => seen.unjudged += 1,
                Err(other) => panic!("{what}: {other:?}"),
            }
        }
        let [living, ended] = &self.sessions;
        seen.signed_out += usize::from(touch(engine, living).live().is_none());
        assert!(
            touch(engine, ended).live().is_none(),
            "{what}: who had logged out came in"
        );
        self.judge_devices_and_images(engine, seen, what);
        // Nothing else that reads records may panic on one either.
        let _ = engine.access().list(TokenQuery::default()).wait();
        let _ = engine
            .access()
            .list(TokenQuery::of(principal("ann")))
            .wait();
        let _ = engine.audit().list(Default::default()).wait();
        let _ = engine.maintain().wait();
        let _ = engine.close().wait();
    }
}

/// An answer, or that there is none because of damage.
fn judged<T>(answer: Result<T, Error>, seen: &mut Seen, what: &str) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(Error::Store(_) | Error::NoSystemRecord) => {
            seen.unjudged += 1;
            None
        }
        Err(other) => panic!("{what}: {other:?}"),
    }
}

impl Scene {
    fn judge_devices_and_images(&self, engine: &Engine, seen: &mut Seen, what: &str) {
        for (alive, device) in [true, false].into_iter().zip(&self.devices) {
            let recall = engine.remember().check(device.token.expose()).wait();
            let Some(recall) = judged(recall, seen, what) else {
                continue;
            };
            match recall.recalled() {
                Some(recalled) => {
                    assert!(alive, "{what}: a device that was forgotten came in");
                    assert_eq!(recalled.principal, device.series.principal, "{what}");
                }
                None => seen.unjudged += usize::from(alive),
            }
        }
        for (alive, (text, attachment)) in [true, false].into_iter().zip(&self.images) {
            let verdict = engine.images().verify(text, attachment, None).wait();
            if let Some(verdict) = judged(verdict, seen, what) {
                let opens = verdict.is_in();
                assert!(alive || !opens, "{what}: a link that was called back opens");
                seen.unjudged += usize::from(alive && !opens);
            }
        }
    }
}

#[test]
fn a_damaged_event_is_named_and_hides_no_other() {
    let scene = scene();
    let engine = scene.home.open();
    let log = |engine: &Engine| engine.audit().list(Default::default()).wait().unwrap();
    let whole = log(&engine).events;
    assert!(whole.len() > 4);
    engine.close().wait().unwrap();
    // In the middle, and as the last one, behind which there is nothing more.
    for number in [whole.len() / 2, whole.len() - 1] {
        let id = whole[number].id;
        let key = countersign::core::Key::event(id);
        let flip = |bytes: &mut Vec<u8>| bytes[15] ^= 1;
        assert!(tamper::edit(&scene.home.path(), key, flip).unwrap());
        let engine = scene.home.open();
        let page = log(&engine);
        assert_eq!(page.damaged, [id]);
        assert_eq!(page.events.len(), whole.len() - 1);
        assert!(page.at_end && page.next == whole.last().map(|event| event.id));
        // A query behind it does not tell it again.
        let mut query = EventQuery::default();
        query.after = Some(id);
        let behind = engine.audit().list(query).wait().unwrap();
        assert!(behind.damaged.is_empty());
        assert_eq!(behind.events, whole[number + 1..]);
        engine.close().wait().unwrap();
        assert!(tamper::edit(&scene.home.path(), key, flip).unwrap());
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_file_changes_no_verdict() {
    let scene = scene();
    let (mut dice, mut seen) = (Dice(5), Seen::default());
    for _ in 0..250 {
        let mut bytes = scene.file.clone();
        let at = dice.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.below(8);
        fs::write(scene.home.path(), bytes).unwrap();
        scene.judge(&mut seen, &format!("bit in byte {at}"));
    }
    assert!(seen.refused > 0 && seen.opened > 0, "{seen:?}");
    assert_eq!(seen.unjudged, 0, "what opens is whole");
}

#[test]
fn a_row_that_was_edited_moved_or_taken_away_lets_nobody_in() {
    let scene = scene();
    let mut seen = Seen::default();
    let path = scene.home.path();
    let tables = Table::ALL
        .into_iter()
        .map(Table::name)
        .chain([tamper::META]);
    for table in tables {
        let rows = tamper::rows(&path, table).unwrap();
        for (number, (id, bytes)) in rows.iter().enumerate() {
            let what = |how: &str| format!("{table} {number} {how}");
            let put = |bytes: Option<&[u8]>| tamper::put(&path, table, *id, bytes).unwrap();
            // Whether somebody is shut out is a bit of their principal's row.
            let every = table == Table::Principals.name();
            let step = if every { 1 } else { bytes.len().div_ceil(9) };
            for at in (0..bytes.len()).step_by(step) {
                let mut edited = bytes.clone();
                edited[at] ^= 1;
                put(Some(&edited));
                scene.judge(&mut seen, &what(&format!("edited at {at}")));
            }
            put(None);
            scene.judge(&mut seen, &what("taken away"));
            put(Some(&bytes[..bytes.len() / 2]));
            scene.judge(&mut seen, &what("cut"));
            put(Some(&[]));
            scene.judge(&mut seen, &what("emptied"));
            for (other, (_, foreign)) in rows.iter().enumerate().filter(|(at, _)| *at != number) {
                put(Some(foreign));
                scene.judge(&mut seen, &what(&format!("replaced by {other}")));
            }
        }
    }
    assert!(seen.unjudged > 0 && seen.refused > 0, "{seen:?}");
}

#[test]
fn a_damaged_record_is_named_and_hides_no_other() {
    let scene = scene();
    let token = &scene.live[0];
    let key = countersign::core::Key::grant(token.selector);
    let flip = |bytes: &mut Vec<u8>| bytes[15] ^= 1;
    assert!(tamper::edit(&scene.home.path(), key, flip).unwrap());
    let engine = scene.home.open();
    let tokens = engine.access();
    let error = tokens.verify(token.token.expose()).wait().unwrap_err();
    assert!(
        matches!(error, Error::Store(StoreError::Damaged { key: named, .. }) if named == key),
        "{error:?}"
    );
    assert_eq!(error.code(), "damaged");
    for (query, whole) in [
        (TokenQuery::default(), 5),
        (TokenQuery::of(principal("ann")), 2),
    ] {
        let page = tokens.list(query).wait().unwrap();
        assert_eq!(page.damaged, [token.selector]);
        assert_eq!((page.tokens.len(), page.next), (whole, None));
    }
    // The others of the same principal are judged, and can be ended.
    assert!(is_in(&engine, &scene.live[2]));
    revoke(&engine, scene.live[2].selector);
    assert!(verify(&engine, scene.live[1].token.expose()).is_in());
    assert!(issue(&engine, "ann").grant.end.is_none());
}

#[test]
fn an_edited_key_file_opens_nothing() {
    let scene = scene();
    let key_path = scene.home.key_path();
    let whole = fs::read(&key_path).unwrap();
    for at in 0..whole.len() {
        let mut edited = whole.clone();
        edited[at] ^= 1;
        fs::write(&key_path, &edited).unwrap();
        let error = scene.home.builder().open(scene.home.path()).unwrap_err();
        assert!(matches!(error, Error::Keys(_)), "byte {at}: {error:?}");
        assert!(fs::read(&key_path).unwrap() == edited);
    }
    fs::write(&key_path, whole).unwrap();
    assert!(is_in(&scene.home.open(), &scene.live[0]));
}

/// What a bad disk or a hex editor does to the bytes of a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Bit,
    Word,
    SectorZeroed,
    SectorGarbage,
    /// Two pages in each other's places.
    PagesSwapped,
    /// A page as it was before.
    PageStale,
    /// Many pages as they were before: writes that never reached the disk.
    PagesStale,
    /// Zeros from some place to the end.
    Zeroed,
    Cut,
    Grown,
    /// A byte among the first, where everything begins.
    Head,
}

const SECTOR: usize = 512;
const PAGE: usize = 4096;

impl Harm {
    const ALL: [Self; 11] = [
        Self::Bit,
        Self::Word,
        Self::SectorZeroed,
        Self::SectorGarbage,
        Self::PagesSwapped,
        Self::PageStale,
        Self::PagesStale,
        Self::Zeroed,
        Self::Cut,
        Self::Grown,
        Self::Head,
    ];

    fn done_to(self, bytes: &mut Vec<u8>, older: &[u8], dice: &mut Dice) {
        let len = bytes.len();
        let at = dice.below(len as u64) as usize;
        // The piece of some size that a byte lies in.
        let piece = |at: usize, size: usize| {
            let first = at / size * size;
            first..(first + size).min(len)
        };
        match self {
            Self::Bit => bytes[at] ^= 1 << dice.below(8),
            Self::Word => piece(at, 8).for_each(|at| bytes[at] = dice.roll() as u8),
            Self::SectorZeroed => bytes[piece(at, SECTOR)].fill(0),
            Self::SectorGarbage => {
                piece(at, SECTOR).for_each(|at| bytes[at] = dice.roll() as u8);
            }
            Self::PagesSwapped => {
                let other = dice.below(len as u64) as usize;
                let (one, other) = (piece(at, PAGE), piece(other, PAGE));
                for (a, b) in one.zip(other) {
                    bytes.swap(a, b);
                }
            }
            Self::PageStale => stale(bytes, older, piece(at, PAGE)),
            Self::PagesStale => {
                for page in (0..len).step_by(PAGE) {
                    if dice.below(2) == 0 {
                        stale(bytes, older, piece(page, PAGE));
                    }
                }
            }
            Self::Zeroed => bytes[at..].fill(0),
            Self::Cut => bytes.truncate(at),
            Self::Grown => bytes.extend((0..=dice.below(9000)).map(|n| n as u8)),
            Self::Head => {
                let at = dice.below(320.min(len as u64)) as usize;
                bytes[at] = dice.roll() as u8;
            }
        }
    }
}

fn stale(bytes: &mut [u8], older: &[u8], page: std::ops::Range<usize>) {
    if let Some(before) = older.get(page.clone()) {
        bytes[page].copy_from_slice(before);
    }
}

#[test]
fn harm_of_any_kind_to_any_of_the_files_changes_no_verdict() {
    let scene = scene();
    let key = fs::read(scene.home.key_path()).unwrap();
    let (mut dice, mut seen, mut harmed) = (Dice(11), Seen::default(), 0);
    let wanted = asked("COUNTERSIGN_DAMAGED_FILES", 400);
    while harmed < wanted {
        let harm = Harm::ALL[dice.below(Harm::ALL.len() as u64) as usize];
        let (path, whole, older) = match dice.below(10) {
            0 => (scene.home.key_path(), &key, &key),
            1 | 2 => (snapshot_of(&scene.home), &scene.snapshot, &scene.snapshot),
            _ => (scene.home.path(), &scene.file, &scene.older),
        };
        let mut bytes = whole.clone();
        harm.done_to(&mut bytes, older, &mut dice);
        if bytes == *whole {
            continue;
        }
        harmed += 1;
        fs::write(&path, &bytes).unwrap();
        let what = format!("{harm:?} number {harmed} in {}", path.display());
        if path == scene.home.key_path() {
            let opened = scene.home.builder().open(scene.home.path());
            assert!(matches!(opened, Err(Error::Keys(_))), "{what}: {opened:?}");
            seen.refused += 1;
            fs::write(&path, &key).unwrap();
        } else {
            scene.judge(&mut seen, &what);
        }
    }
    assert!(
        seen.refused > 0 && seen.opened > 0 && seen.signed_out > 0,
        "{seen:?}"
    );
    assert_eq!(seen.unjudged, 0, "what opens is whole");
    figures(&format!(
        "damage: {harmed} harmed files; {} refused, {} opened with every verdict right, {} of \
         these without a session that a harmed snapshot had; {} were the whole older store",
        seen.refused, seen.opened, seen.signed_out, seen.older
    ));
}
