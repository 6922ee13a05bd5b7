//! Issue of tokens that are on disk when they are acknowledged, to 64 at once (P11): the engine on
//! its redb file, beside SQLite that waits for the disk as well.
//!
//! SQLite in both of its fair designs: a connection for each writer, and one for all behind a
//! mutex. Both put one row a commit, as statements on their own do. Files lie side by side in the
//! directory for temporary files, which must be on a disk to tell anything: `TMPDIR` names another.
//! Arguments: `--quick` for fewer issues and rounds.

use countersign::Engine;
use countersign_benches::report::{HEADER, each};
use countersign_benches::{Shuffle, engine_on, issue_together, roomy_policy, store_at, timed};
use countersign_peers::kept::{self, SCOPES, principal};
use countersign_peers::sqlite::{INSERT_TOKEN, TOKENS, durable};
use countersign_peers::{Comparison, Options};
use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::sync::Mutex;
use std::thread;

const ISSUERS: usize = 64;

fn main() {
    let options = Options::parse();
    println!("{HEADER}");
    let dir = tempfile::tempdir().unwrap();
    let ours = engine(&dir.path().join("state.redb"));
    let theirs = Sqlite::at(&dir.path().join("state.sqlite"));
    let (many, few) = (options.each(ISSUERS * 50), options.each(ISSUERS * 8));
    let (mut our, mut own, mut shared) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=options.rounds(11) {
        let rounds = [
            each(timed(|| issue(&ours, many)), many),
            each(timed(|| theirs.with_own_connections(few)), few),
            each(timed(|| theirs.behind_a_mutex(few)), few),
        ];
        // Once for what is cold.
        if round > 0 {
            for (kept, took) in [&mut our, &mut own, &mut shared].into_iter().zip(rounds) {
                kept.push(took);
            }
        }
    }
    theirs.count((options.rounds(11) + 1) * 2 * few);

    let faster: Vec<f64> = own
        .iter()
        .zip(&shared)
        .map(|(own, shared)| own.min(*shared))
        .collect();
    tell("sqlite, a connection each", None, &our, &own);
    tell("sqlite, one behind a mutex", None, &our, &shared);
    tell("sqlite, the faster of both", Some(5.0), &our, &faster);
}

fn tell(peer: &str, at_least: Option<f64>, our: &[f64], their: &[f64]) {
    let comparison = Comparison {
        id: "P11",
        what: format!("durable issue, {ISSUERS} issuers, {peer}"),
        peer,
        at_least,
        rounds: our.len(),
    };
    comparison.tell(our, their);
}

fn engine(path: &Path) -> Engine {
    let mut draft = roomy_policy(0).to_draft();
    draft.access_tokens.max_live_per_principal = 1000;
    draft.access_tokens.max_kept_per_principal = 1000;
    engine_on(store_at(path, 1 << 30), draft.build().unwrap())
}

fn issue(engine: &Engine, many: usize) {
    let issued = issue_together(engine, many, ISSUERS);
    assert_eq!(issued.len(), many);
}

/// A file, and whoever writes to it.
struct Sqlite {
    own: Vec<Mutex<Connection>>,
    shared: Mutex<Connection>,
}

impl Sqlite {
    fn at(path: &Path) -> Self {
        let shared = durable(path);
        shared.execute_batch(TOKENS).unwrap();
        Self {
            own: (0..ISSUERS).map(|_| Mutex::new(durable(path))).collect(),
            shared: Mutex::new(shared),
        }
    }

    fn with_own_connections(&self, many: usize) {
        together(many, |issuer| &self.own[issuer]);
    }

    fn behind_a_mutex(&self, many: usize) {
        together(many, |_| &self.shared);
    }

    fn count(&self, expected: usize) {
        let count = "SELECT COUNT(*) FROM tokens";
        let connection = self.shared.lock().unwrap();
        let found: i64 = connection.query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(found, i64::try_from(expected).unwrap());
    }
}

/// Issues tokens from many threads at once, each over the connection that is its own.
fn together<'a>(many: usize, connection: impl Fn(usize) -> &'a Mutex<Connection> + Sync) {
    let issuer = |issuer: usize| {
        let mut shuffle = Shuffle::new();
        for n in 0..many / ISSUERS {
            let secret = kept::secret(&mut shuffle);
            let digest: [u8; 32] = Sha256::digest(&secret).into();
            let ends = kept::tomorrow_ms().cast_signed();
            let name = principal(n * ISSUERS + issuer);
            let connection = connection(issuer).lock().unwrap();
            let mut insert = connection.prepare_cached(INSERT_TOKEN).unwrap();
            let id: Option<i64> = None;
            let put = insert.execute(params![id, digest, ends, name, SCOPES]);
            assert_eq!(put.unwrap(), 1);
        }
    };
    thread::scope(|scope| {
        for number in 0..ISSUERS {
            scope.spawn(move || issuer(number));
        }
    });
}
