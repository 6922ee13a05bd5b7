//! Hazard: a harness that does not do what it says. A server that lives on after its kill, a
//! commit that does not wait, or a process that stays behind would make other tests prove nothing.

#![cfg(test)]

use countersign_testkit::postgres::{After, Cluster, Options, Server, Statement, shared};
use countersign_testkit::{must_be, wait_until};
use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
/// As long as is looked at something that must not happen.
const GLANCE: Duration = Duration::from_millis(300);
/// In it, a test that is run as a process of its own finds that it is.
const CHILD: &str = "COUNTERSIGN_POSTGRES_CHILD";

fn quick() -> Options {
    Options::new().fsync(false)
}

fn synchronous() -> Options {
    quick().standbys(2).synchronous(1)
}

fn read(server: &Server) -> String {
    server.sql("select string_agg(v::text, ' ' order by v) from t")
}

/// Begins to write one more value, and sees that the commit waits for a standby.
#[track_caller]
fn write_that_waits(server: &Server, value: u8) -> Statement {
    let mut writing = server.begin_sql(&format!("insert into t values ({value})"));
    let waits = wait_until(PATIENCE, || {
        assert!(!writing.is_done(), "a commit did not wait for any standby");
        let waiting = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
        server.sql(waiting) == "1"
    });
    assert!(waits, "nothing waits for a standby");
    writing
}

/// The directory of a server's cluster.
fn home(connection: &str) -> PathBuf {
    let host = connection.strip_prefix("host=");
    PathBuf::from(host.unwrap().split(' ').next().unwrap())
}

/// Whether some process runs in a directory or below it.
fn is_run_in(directory: &Path) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let at = fs::read_link(process.path().join("cwd"));
        at.is_ok_and(|at| at.starts_with(directory))
    })
}

/// The segments of shared memory that a server of this machine has or has left behind.
fn segments(home: &Path) -> Vec<String> {
    let locks = fs::read_dir(home).unwrap().flatten();
    let locks =
        locks.filter_map(|data| fs::read_to_string(data.path().join("postmaster.pid")).ok());
    let segment = |lock: String| {
        let line = lock.lines().nth(6).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    locks.map(segment).collect()
}

fn is_there(segment: &str) -> bool {
    let all = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    all.lines()
        .any(|line| line.split_whitespace().nth(1) == Some(segment))
}

#[test]
fn what_was_acknowledged_is_there_after_the_primary_is_killed() {
    let Some(cluster) = Cluster::start_or_skip(&synchronous().fsync(true)) else {
        return;
    };
    let old = cluster.primary();
    old.sql("create table t (v int)");
    for value in 0..20 {
        old.sql(&format!("insert into t values ({value})"));
    }
    let written = read(old);
    old.kill();
    assert!(!old.is_running());
    assert!(old.try_sql("select 1").is_err());

    let new = cluster.failover(After::Synchronous);
    assert_ne!(new.name(), old.name());
    assert!(!new.is_standby());
    assert_eq!(read(new), written);
    // The one that remains is waited for, and has it.
    new.sql("insert into t values (20)");
    let other = new.sql("select application_name from pg_stat_replication");
    assert_eq!(
        new.sql("show synchronous_standby_names"),
        format!("ANY 1 ({other})")
    );
    let mut others = cluster.standbys().into_iter();
    let other = others.find(|one| one.name() == other).unwrap();
    other.catch_up(new);
    assert_eq!(read(other), format!("{written} 20"));
}

#[test]
fn an_old_primary_comes_back_as_a_standby_and_may_become_the_primary_again() {
    let Some(cluster) = Cluster::start_or_skip(&quick().standbys(1).synchronous(1)) else {
        return;
    };
    let first = cluster.primary();
    first.sql("create table t (v int); insert into t values (1)");
    first.kill();
    let second = cluster.failover(After::Synchronous);
    // No standby is left, and one is waited for all the same.
    let waits = write_that_waits(second, 2);
    cluster.rejoin(first);
    waits.answer().unwrap();
    second.kill();
    let third = cluster.failover(After::Alone);
    assert_eq!(third.name(), first.name());
    assert_eq!(read(third), "1 2");
    third.sql("insert into t values (3)");
    assert_eq!(read(third), "1 2 3");
}

#[test]
fn a_primary_that_nobody_killed_goes_on_beside_the_new_one_and_its_commits_wait() {
    let Some(cluster) = Cluster::start_or_skip(&synchronous()) else {
        return;
    };
    let old = cluster.primary();
    old.sql("create table t (v int); insert into t values (1)");
    old.pause();
    let new = cluster.failover(After::Synchronous);
    old.resume();
    let _waits = write_that_waits(old, 2);
    new.sql("insert into t values (3)");
    assert_eq!(read(new), "1 3");
}

#[test]
fn a_commit_waits_while_every_standby_is_cut_off_and_no_longer() {
    let Some(cluster) = Cluster::start_or_skip(&synchronous()) else {
        return;
    };
    let primary = cluster.primary();
    primary.sql("create table t (v int)");
    let [one, other] = *cluster.standbys() else {
        panic!("two standbys");
    };
    one.catch_up(primary);
    one.cut_replication();
    primary.sql("insert into t values (1)");
    other.cut_replication();
    let waits = write_that_waits(primary, 2);
    other.follow(primary);
    assert_eq!(waits.answer().unwrap(), "");
    other.catch_up(primary);
    assert_eq!(read(other), "1 2");
    assert_eq!(one.sql("select count(*) from t"), "0");
}

#[test]
fn what_commits_wait_for_is_in_force_once_it_is_set() {
    let Some(cluster) = Cluster::start_or_skip(&quick()) else {
        return;
    };
    let server = cluster.primary();
    server.sql("create table t (v int)");
    for value in 0..5 {
        server.set("synchronous_standby_names", "ANY 1 (nobody)");
        let waits = write_that_waits(server, value);
        server.set("synchronous_standby_names", "");
        waits.answer().unwrap();
    }
    assert_eq!(read(server), "0 1 2 3 4");
    // Also by a start.
    server.set("synchronous_standby_names", "ANY 1 (nobody)");
    server.stop();
    server.start();
    let _waits = write_that_waits(server, 5);
}

/// The checkpointer is who lets commits wait, and it may be late.
#[test]
fn what_commits_wait_for_is_not_taken_for_set_before_it_is_in_force() {
    let Some(cluster) = Cluster::start_or_skip(&quick()) else {
        return;
    };
    let server = cluster.primary();
    server.sql("create table t (v int)");
    let find = "select pid from pg_stat_activity where backend_type = 'checkpointer'";
    let checkpointer = server.sql(find).parse().unwrap();
    server.pause_one(checkpointer);
    thread::scope(|scope| {
        let setting = scope.spawn(|| server.set("synchronous_standby_names", "nobody"));
        let shown = || server.sql("show synchronous_standby_names") == "nobody";
        assert!(wait_until(PATIENCE, shown));
        let early = wait_until(GLANCE, || setting.is_finished());
        server.resume_one(checkpointer);
        assert!(!early);
    });
    let _waits = write_that_waits(server, 1);
}

#[test]
fn a_server_that_stands_still_gives_no_answer_and_then_goes_on() {
    let Some(cluster) = Cluster::start_or_skip(&quick()) else {
        return;
    };
    let server = cluster.primary();
    server.pause();
    assert!(server.is_running());
    assert!(!server.is_live());
    let mut asking = server.begin_sql("select 7");
    assert!(!wait_until(GLANCE, || asking.is_done()));
    server.resume();
    assert_eq!(asking.answer().unwrap(), "7");
    assert!(server.is_live());
    // One that stands still can be killed as well.
    server.pause();
    server.kill();
    server.start();
    assert_eq!(server.sql("select 8"), "8");
}

#[test]
fn one_process_stands_still_and_the_others_go_on() {
    let Some(cluster) = Cluster::start_or_skip(&quick()) else {
        return;
    };
    let server = cluster.primary();
    let mut asking = server.begin_sql("select pg_sleep(0.5)");
    let find = "select pid from pg_stat_activity where wait_event = 'PgSleep'";
    let mut pid = None;
    assert!(wait_until(PATIENCE, || {
        pid = server.sql(find).parse().ok();
        pid.is_some()
    }));
    let pid = must_be(pid, "a process that sleeps");
    server.pause_one(pid);
    assert!(!wait_until(Duration::from_millis(800), || asking.is_done()));
    assert_eq!(server.sql("select 1"), "1");
    server.resume_one(pid);
    asking.answer().unwrap();
    // A process of somebody else is left alone.
    let own = i32::try_from(std::process::id()).unwrap();
    assert!(panic::catch_unwind(AssertUnwindSafe(|| server.pause_one(own))).is_err());
}

#[test]
fn a_server_comes_back_with_what_it_had_and_where_it_was() {
    let Some(cluster) = Cluster::start_or_skip(&Options::new().setting("work_mem", "5MB")) else {
        return;
    };
    let server = cluster.primary();
    let port = server.port();
    assert!(port < 32_768);
    assert_eq!(server.sql("show work_mem; show fsync"), "5MB\non");
    server.sql("create table t (v int); insert into t values (1)");
    server.stop();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    server.start();
    server.sql("insert into t values (2)");
    server.kill();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    server.start();
    assert_eq!(read(server), "1 2");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert_eq!(server.port(), port);
}

#[test]
fn a_server_for_its_socket_alone_takes_no_port() {
    let Some(cluster) = Cluster::start_or_skip(&quick().socket_only()) else {
        return;
    };
    let server = cluster.primary();
    assert!(TcpStream::connect(("127.0.0.1", server.port())).is_err());
    assert_eq!(
        server.connection_string(),
        server.socket_connection_string()
    );
    assert_eq!(cluster.connection_string(), server.connection_string());
}

#[test]
fn every_server_is_named_in_one_connection_string() {
    let Some(cluster) = Cluster::start_or_skip(&quick().standbys(1)) else {
        return;
    };
    let [first, second] = cluster.servers() else {
        panic!("two servers");
    };
    let (one, other) = (first.port(), second.port());
    assert_eq!(
        cluster.connection_string(),
        format!("host=127.0.0.1,127.0.0.1 port={one},{other} user=countersign dbname=postgres")
    );
    assert!(second.is_standby());
    assert_eq!(second.sql("show cluster_name"), "n2");
    second.promote();
    second.sql("create table t (v int)");
}

#[test]
fn databases_of_the_shared_server_do_not_meet() {
    let Some(shared) = shared() else {
        return;
    };
    let (one, other) = (shared.database(), shared.database());
    one.sql("create table t (v int)");
    assert!(other.try_sql("select * from t").is_err());
    let name = one.sql("select current_database()");
    drop(one);
    let found = shared.sql(&format!(
        "select count(*) from pg_database where datname = '{name}'"
    ));
    assert_eq!(found, "0");
}

#[test]
fn nothing_is_left_of_a_cluster_that_is_dropped() {
    let Some(cluster) = Cluster::start_or_skip(&quick().standbys(2)) else {
        return;
    };
    let home = home(&cluster.primary().socket_connection_string());
    // One that was killed, one that came back with another's data, one that stands still.
    let [one, other] = *cluster.standbys() else {
        panic!("two standbys");
    };
    one.kill();
    let left = segments(&home);
    assert_eq!(left.len(), 3);
    one.rejoin(cluster.primary());
    one.kill();
    other.pause();
    let mut segments = segments(&home);
    segments.extend(left);
    assert!(segments.iter().any(|segment| is_there(segment)));
    assert!(is_run_in(&home));

    drop(cluster);
    assert!(!is_run_in(&home));
    assert!(wait_until(PATIENCE, || !home.exists()));
    segments.retain(|segment| is_there(segment));
    assert_eq!(segments, [""; 0]);
}

#[test]
fn nothing_is_left_of_the_cluster_of_a_test_that_failed() {
    if Cluster::start_or_skip(&quick()).is_none() {
        return;
    }
    let mut left = None;
    let failed = panic::catch_unwind(AssertUnwindSafe(|| {
        let cluster = Cluster::start(&quick());
        left = Some(home(&cluster.primary().socket_connection_string()));
        cluster.primary().sql("select nonsense");
    }));
    assert!(failed.is_err());
    let left = must_be(left, "a directory");
    assert!(!is_run_in(&left));
    assert!(wait_until(PATIENCE, || !left.exists()));
}

/// Does nothing unless it is a process of its own, which its parent kills.
#[test]
fn child() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let cluster = Cluster::start(&quick().standbys(1));
    cluster.standbys().first().unwrap().pause();
    let shared = shared().unwrap();
    println!("\n@ {}", cluster.primary().socket_connection_string());
    println!("@ {}", shared.connection_string());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn nothing_is_left_of_the_clusters_of_a_process_that_was_killed() {
    let Some(cluster) = Cluster::start_or_skip(&quick()) else {
        return;
    };
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env_remove(countersign_testkit::postgres::SHARED)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = lines.map_while(Result::ok);
    let mut told = told
        .by_ref()
        .filter_map(|line| line.strip_prefix("@ ").map(str::to_owned));
    let home = home(&told.next().unwrap());
    let shared = told.next().unwrap();
    assert!(is_run_in(&home));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(wait_until(PATIENCE, || !home.exists()), "a directory stays");
    assert!(!is_run_in(&home), "a process stays");
    let port = shared
        .split(' ')
        .find_map(|pair| pair.strip_prefix("port="));
    let port: u16 = port.unwrap().parse().unwrap();
    let gone = || TcpStream::connect(("127.0.0.1", port)).is_err();
    assert!(wait_until(PATIENCE, gone), "the shared server stays");
    // That of somebody else is untouched.
    assert_eq!(cluster.primary().sql("select 1"), "1");
}
