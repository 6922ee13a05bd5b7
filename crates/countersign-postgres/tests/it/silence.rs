//! Hazard: a connection that ends on one side alone, so that the server goes on with what nobody
//! waits for any more.

use crate::support::{BOUND, is_there, key, make, until};
use countersign_core::{Batch, Expect, Version};
use countersign_postgres::PostgresOptions;
use countersign_store::{CommitError, Store as _};
use countersign_testkit::postgres::{Cluster, Options};
use countersign_testkit::samples;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes connections on to a server. Cut, the near sides end, and the server is told nothing.
struct Between {
    port: u16,
    near: Arc<Mutex<Vec<TcpStream>>>,
}

impl Between {
    fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let near = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&near);
        // Both ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                kept.lock().unwrap().push(client.try_clone().unwrap());
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pass(client, server));
                thread::spawn(move || pass(back.0, back.1));
            }
        });
        Self { port, near }
    }

    fn cut(&self) {
        for client in self.near.lock().unwrap().drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to
            .write_all(bytes.get(..count).unwrap_or_default())
            .is_err()
        {
            break;
        }
    }
    // Neither side is closed: it would tell the other one.
    std::mem::forget((from, to));
}

#[test]
fn a_commit_that_the_server_would_still_do_is_not_done_beside_the_one_that_is_sent_anew() {
    let Some(cluster) = Cluster::start_or_skip(&Options::new().fsync(false)) else {
        return;
    };
    let primary = cluster.primary();
    let between = Between::start(primary.port());
    let connection = format!(
        "host=127.0.0.1 port={} user=countersign dbname=postgres",
        between.port
    );
    let options = PostgresOptions::new(&connection).unwrap();
    let options = options.staleness(BOUND).allow_lossy_crash();
    let store = options.open(samples::keyring()).unwrap();
    let made = make(&store, 1).unwrap();
    // Somebody holds the record, so that the commit waits in the middle of its transaction.
    let held = primary.begin_sql(
        "begin; select 1 from countersign.record where kind = 4 for update; select pg_sleep(600)",
    );
    let count = |what: &str| {
        let all = "select count(*) from pg_stat_activity where";
        primary
            .sql(&format!("{all} {what}"))
            .parse::<u64>()
            .unwrap()
    };
    until("the lock", || count("wait_event = 'PgSleep'") == 1);
    let told = thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut batch = Batch::grow();
            let expect = Expect::Version(Version::new(made.0));
            batch.put(key(1), expect, samples::usage(2));
            store.commit(batch).wait()
        });
        let locked = "wait_event_type = 'Lock' and application_name = 'countersign'";
        until("the commit to wait", || count(locked) == 1);
        between.cut();
        until("the commit to be sent anew", || {
            store.status().unanswered > 0 && count(locked) > 0
        });
        // Time for it to get behind the first one, if that is there still.
        thread::sleep(std::time::Duration::from_millis(500));
        primary.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'",
        );
        drop(held);
        waiting.join().unwrap()
    });
    assert!(told.is_ok(), "{told:?}");
    assert_eq!(
        primary.sql("select count(*) from countersign.change_log"),
        "2"
    );
}

#[test]
fn a_connection_that_answers_no_more_is_read_by_no_more() {
    let Some(cluster) = Cluster::start_or_skip(&Options::new().fsync(false)) else {
        return;
    };
    let primary = cluster.primary();
    let options = PostgresOptions::new(&cluster.connection_string()).unwrap();
    let options = options
        .readers(2)
        .answer_within(std::time::Duration::from_secs(2));
    let store = options.allow_lossy_crash().open(samples::keyring());
    let store = store.unwrap();
    make(&store, 1).unwrap();
    for _ in 0..4 {
        assert!(is_there(&store, 1));
    }
    let of_readers = |what: &str| {
        let from = "from pg_stat_activity where query like 'SELECT version, envelope%'";
        primary.sql(&format!("select {what} {from}"))
    };
    assert_eq!(of_readers("count(*)"), "2");
    let process = of_readers("min(pid)").parse().unwrap();
    primary.pause_one(process);
    // The first that meets it takes half of its time, and goes by another one then.
    for _ in 0..6 {
        assert!(is_there(&store, 1));
    }
    // The stopped one, and one in its place.
    assert_eq!(of_readers("count(*)"), "3");
    primary.resume_one(process);
}

#[test]
fn a_connection_that_answers_no_more_is_written_by_no_more_and_waited_for_once() {
    let Some(cluster) = Cluster::start_or_skip(&Options::new().fsync(false)) else {
        return;
    };
    let primary = cluster.primary();
    let options = PostgresOptions::new(&cluster.connection_string()).unwrap();
    let options = options.commit_within(std::time::Duration::from_secs(2));
    let store = options.allow_lossy_crash().open(samples::keyring());
    let store = store.unwrap();
    make(&store, 1).unwrap();
    let of_writer = primary.sql(
        "select min(pid) from pg_stat_activity where query = 'COMMIT'
            and application_name = 'countersign'",
    );
    let process = of_writer.parse().unwrap();
    primary.pause_one(process);
    let put = |number: u64| {
        let mut batch = Batch::grow();
        batch.put(key(number), Expect::Absent, samples::usage(number));
        store.commit(batch)
    };
    let sent = put(2);
    // Once that one is on its way, the next has to wait.
    thread::sleep(std::time::Duration::from_millis(300));
    let behind = put(3);
    assert!(matches!(sent.wait(), Err(CommitError::Unknown(_))));
    // It was sent by another connection, or nowhere.
    let behind = behind.wait();
    assert!(
        matches!(behind, Ok(_) | Err(CommitError::NotApplied(_))),
        "{behind:?}"
    );
    assert_eq!(is_there(&store, 3), behind.is_ok());
    assert!(put(4).wait().is_ok());
    primary.resume_one(process);
}
