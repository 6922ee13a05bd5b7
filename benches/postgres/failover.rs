//! R20: what pauses while the primary is killed and a standby is promoted.
//!
//! Side by side through the same failovers: a node that verifies a token without an end, the same
//! node issuing without an end, and an application that inserts rows and connects anew as fast as
//! it can. The pause of a writer is its longest time from one acknowledgement to the next.

use crate::{nodes, raw};
use countersign::Engine;
use countersign::store::{Lease, Steady, Store as _};
use countersign_benches::limits::{Rounds, Size};
use countersign_benches::report::{Figure, Unit};
use countersign_benches::{engine_on, request, roomy_policy};
use countersign_testkit::postgres::{After, Cluster};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

const FAILOVERS: usize = 9;
/// Between two verifications.
const REST: Duration = Duration::from_micros(200);
/// How many acknowledgements show that a writer is at work.
const AT_WORK: u64 = 50;

/// What the threads tell each other in one failover.
#[derive(Default)]
struct Going {
    over: AtomicBool,
    ours: AtomicU64,
    plain: AtomicU64,
}

impl Going {
    fn on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    /// Until both writers have had so many more acknowledgements.
    fn until_both_write(&self) {
        let all = [&self.ours, &self.plain];
        let before = all.map(|count| count.load(Ordering::SeqCst));
        let enough =
            |(count, before): (&&AtomicU64, u64)| count.load(Ordering::SeqCst) > before + AT_WORK;
        while !all.iter().zip(before).all(enough) {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What became of the verifications of one failover.
#[derive(Default)]
struct Verified {
    /// Not answered though the node might still trust what it had in memory.
    withheld: u64,
    /// The longest that one took which was answered out of memory.
    longest: Duration,
    /// The longest from one that was answered to the next.
    pause: Duration,
}

/// Kills the primary, promotes a standby, and lets the old primary rejoin, again and again.
pub(crate) fn pauses(cluster: &Cluster, size: &Size) {
    let store = nodes::store(&cluster.connection_string(), "failover");
    let engine = engine_on(Arc::clone(&store) as _, roomy_policy(0));
    let lease = store.lease().unwrap();
    let issued = engine.access().issue(request(0)).wait().unwrap();
    let text = issued.token.expose();
    cluster
        .primary()
        .sql("create table plain (id bigint primary key, row bytea not null)");

    let (mut rounds, mut principals, mut keys) = (Rounds::default(), 1, 0);
    for _ in 0..size.rounds(FAILOVERS) {
        let old = cluster.primary();
        let going = Going::default();
        let (verified, ours, plain) = thread::scope(|scope| {
            let verifying = scope.spawn(|| verify(&engine, &lease, text, &going));
            let issuing = scope.spawn(|| issue(&engine, &mut principals, &going));
            let inserting = scope.spawn(|| insert(cluster, &mut keys, &going));
            going.until_both_write();
            old.kill();
            cluster.failover(After::Synchronous);
            going.until_both_write();
            going.over.store(true, Ordering::SeqCst);
            (
                verifying.join().unwrap(),
                issuing.join().unwrap(),
                inserting.join().unwrap(),
            )
        });
        cluster.rejoin(old);
        rounds.note("withheld", verified.withheld as f64);
        rounds.note("longest", nanos(verified.longest));
        rounds.note("verifying", nanos(verified.pause));
        rounds.note("issuing", nanos(ours));
        rounds.note("inserting", nanos(plain));
    }
    tell(&rounds);
}

fn tell(rounds: &Rounds) {
    let what = "verifications of a cached token withheld while the node might trust its memory";
    // Of all failovers, not of the usual one.
    let withheld: f64 = rounds.of("withheld").iter().sum();
    Figure::of("R20", what, Unit::Count, &[withheld])
        .at_most(0.0)
        .tell();
    let what = "pause of issues over the database's own, of one that connects as fast as it can";
    let figure = rounds.ratio("R20", what, "issuing", &["inserting"]);
    figure.at_most(2.0).tell();
    let what = "pause of verification beyond what may be trusted, over the database's own";
    rounds
        .ratio("R20", what, "verifying", &["inserting"])
        .tell();
    let what = "longest verification of a cached token in a failover, with five threads at work";
    Figure::of("R20", what, Unit::Ns, rounds.of("longest")).tell();
}

fn nanos(span: Duration) -> f64 {
    span.as_nanos() as f64
}

/// Verifies without an end, with pauses so short that the servers get to run.
fn verify(engine: &Engine, lease: &Lease, text: &str, going: &Going) -> Verified {
    let mut verified = Verified::default();
    let mut last_in = Steady::now();
    while going.on() {
        let term = lease.term();
        let began = Steady::now();
        let is_in = engine
            .access()
            .verify(text)
            .wait()
            .is_ok_and(|verdict| verdict.is_in());
        let ended = Steady::now();
        if is_in {
            verified.pause = verified.pause.max(ended.since(last_in));
            last_in = ended;
        }
        // Asked for before it began, and in force when it had ended.
        if term.holds() {
            verified.longest = verified.longest.max(ended.since(began));
            verified.withheld += u64::from(!is_in);
        }
        thread::sleep(REST);
    }
    verified
}

/// Issues without an end, and tells of the longest pause.
fn issue(engine: &Engine, next: &mut usize, going: &Going) -> Duration {
    let (mut pause, mut last) = (Duration::ZERO, Steady::now());
    while going.on() {
        *next += 1;
        // Ten numbers have the same principal. What fails is tried again at once.
        if engine.access().issue(request(10 * *next)).wait().is_ok() {
            let now = Steady::now();
            pause = pause.max(now.since(last));
            last = now;
            going.ours.fetch_add(1, Ordering::SeqCst);
        }
    }
    pause
}

/// Inserts without an end, and tells of the longest pause.
fn insert(cluster: &Cluster, next: &mut i64, going: &Going) -> Duration {
    let mut config: Config = cluster.connection_string().parse().unwrap();
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    config.connect_timeout(Duration::from_secs(3));
    let row = vec![0x5a_u8; 400];
    let (mut pause, mut last) = (Duration::ZERO, Steady::now());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        while going.on() {
            let Ok(client) = raw::connect_by(&config).await else {
                // So that the server which it waits for gets to run.
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            let Ok(statement) = client.prepare("INSERT INTO plain VALUES ($1, $2)").await else {
                continue;
            };
            while going.on() {
                *next += 1;
                if client.execute(&statement, &[&*next, &row]).await.is_err() {
                    break;
                }
                let now = Steady::now();
                pause = pause.max(now.since(last));
                last = now;
                going.plain.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    pause
}
