//! Hazard: a full disk keeps revocations from being written, so that whoever fills the disk
//! keeps a stolen token alive over the next restart.
//!
//! It is tried on a file system of its own that is really full, mounted where only the child that
//! fills it sees it.

use crate::child::{tell, told, wrapped};
use crate::opening::loudly;
use crate::support::{
    Home, PATIENCE, SECOND, is_in, issue, options, principal, refused, request, roomy,
};
use countersign::core::Keyring;
use countersign::store::{Health, StoreError};
use countersign::{Engine, Error, IssuedToken, Maintenance, RedbOptions, Rejection};
use countersign_testkit::{ManualClock, wait_until};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const TOKENS: usize = 1000;
/// How often each worker goes on while room comes and goes; and how often at most, for somebody to
/// meet with no room.
const ROUNDS: usize = 60;
const MOST_ROUNDS: usize = 600;

fn open(path: &Path, options: RedbOptions) -> Engine {
    Engine::builder()
        .clock(ManualClock::default())
        .maintenance(Maintenance::HostDriven)
        .policy(roomy())
        .redb(options)
        .open(path)
        .unwrap()
}

/// Issues at once, so that many share a commit.
fn issue_many(engine: &Engine) -> Vec<IssuedToken> {
    let name = |n: usize| format!("principal-{}", n % 50);
    let pending: Vec<_> = (0..TOKENS)
        .map(|n| engine.access().issue(request(&name(n))))
        .collect();
    pending
        .into_iter()
        .map(|pending| pending.wait().unwrap())
        .collect()
}

#[track_caller]
fn refuses_for_room(engine: &Engine) {
    let error = engine.access().issue(request("ann")).wait().unwrap_err();
    assert!(
        matches!(error, Error::Store(StoreError::NoRoom(_))),
        "{error:?}"
    );
    assert_eq!((error.code(), error.is_retryable()), ("no_room", true));
}

/// Revokes each token by itself and sees it refused at once.
fn revoke_each(engine: &Engine, tokens: &[IssuedToken]) {
    for (number, token) in tokens.iter().enumerate() {
        let revocation = engine.access().revoke(token.selector, None).wait();
        let revocation = revocation.unwrap();
        assert!(revocation.durable, "revocation {number}");
        assert_eq!(refused(engine, token), Rejection::Revoked);
    }
}

/// Fills a file system to the last byte.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [64 * 1024, 4096, 1] {
        while file.write_all(&vec![0xff; size]).is_ok() {}
    }
    let _ = file.sync_all();
}

/// What happens on a disk that is really full; `disk` is where it is mounted.
pub(crate) fn child(disk: &Path, _: u64) {
    // From here on whatever keeps it from going on is a fault, and no lack of rights.
    tell("mounted");
    let (path, filler) = (disk.join("state.redb"), disk.join("filler"));
    let engine = open(&path, RedbOptions::new());
    let (kept, tokens) = (issue(&engine, "ann"), issue_many(&engine));
    // Packed, the file has no free pages left, so every commit needs room.
    engine.close().wait().unwrap();
    let material = countersign::keyfile::read(&path.with_extension("key")).unwrap();
    let keyring = Arc::new(Keyring::new(&material));
    RedbOptions::new().compact(&path, keyring).unwrap();
    let engine = open(&path, RedbOptions::new());
    assert!(is_in(&engine, &kept) && is_in(&engine, &tokens[0]));
    fill(&filler);
    refuses_for_room(&engine);
    assert_eq!(engine.stats().health, Health::NoRoom);
    assert!(is_in(&engine, &kept) && is_in(&engine, &tokens[0]));
    revoke_each(&engine, &tokens);
    let everybody = engine.access().revoke_all_of(principal("bob"), None);
    assert!(everybody.wait().unwrap().durable);
    let ballast = disk.join("state.redb.ballast");
    assert!(!ballast.exists(), "it was not needed, so nothing was tried");
    tell("revoked");

    // It opens on the full disk, too, and nothing was undone.
    let closed = engine.close().wait();
    let no_room = matches!(closed, Err(Error::Store(StoreError::NoRoom(_))));
    assert!(
        no_room,
        "last uses may be turned away, and it says so: {closed:?}"
    );
    let engine = open(&path, RedbOptions::new());
    for token in &tokens {
        assert_eq!(refused(&engine, token), Rejection::Revoked);
    }
    assert!(is_in(&engine, &kept));
    refuses_for_room(&engine);
    tell("reopened");

    std::fs::remove_file(&filler).unwrap();
    let works_again = || engine.access().issue(request("ann")).wait().is_ok();
    assert!(wait_until(PATIENCE, works_again));
    assert!(wait_until(PATIENCE, || engine.stats().health == Health::Healthy));
    // The ballast is back for the next time.
    assert!(wait_until(SECOND, || ballast.exists()));
}

#[test]
fn on_a_disk_that_is_really_full_a_thousand_revocations_go_through() {
    let home = Home::new();
    let disk = home.dir.path().to_str().unwrap();
    let mount = format!("mount -t tmpfs -o size=24m tmpfs '{disk}' && exec \"$0\" \"$@\"");
    let apart = ["unshare", "--mount", "sh", "-c", &mount];
    let apart_as_user = ["unshare", "--map-root-user", "--mount", "sh", "-c", &mount];
    for wrapper in [&apart[..], &apart_as_user[..]] {
        let output = wrapped(wrapper, "full-disk", home.dir.path(), 0).output();
        let Ok(output) = output else { continue };
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() && told(&output).is_empty() && !stderr.contains("panicked") {
            continue;
        }
        let all = ["mounted", "revoked", "reopened", "done"];
        assert_eq!(told(&output), all, "{}: {stderr}", output.status);
        return;
    }
    loudly("no file system could be mounted: a really full disk was not tried");
    let program = Command::new("unshare").arg("--version").output();
    assert!(program.is_err() || !program.unwrap().stdout.is_empty());
}

/// The same with a room that is told, which needs no rights.
#[test]
fn where_the_room_is_told_to_be_gone_only_what_shuts_out_is_taken() {
    let home = Home::new();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let told = Arc::clone(&free);
    let room = options().room(Arc::new(move |_| Ok(told.load(Ordering::SeqCst))));
    let engine = open(&home.path(), room);
    let tokens: Vec<_> = (0..20).map(|_| issue(&engine, "ann")).collect();
    free.store(0, Ordering::SeqCst);
    refuses_for_room(&engine);
    assert_eq!(engine.stats().health, Health::NoRoom);
    let rotated = engine
        .access()
        .rotate(tokens[0].selector, Default::default());
    assert_eq!(rotated.wait().unwrap_err().code(), "no_room");
    let enabled = engine.principals().enable(principal("ann"), None).wait();
    assert!(enabled.is_ok(), "nothing changes, so nothing is written");
    revoke_each(&engine, &tokens);
    assert!(engine.sweep(100).wait().is_ok());
    free.store(u64::MAX, Ordering::SeqCst);
    let works_again = || engine.access().issue(request("ann")).wait().is_ok();
    assert!(wait_until(PATIENCE, works_again));
}

/// Issuers and revokers at once while the room comes and goes.
#[test]
fn room_that_comes_and_goes_loses_nothing_that_was_acknowledged() {
    let home = Home::new();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let told = Arc::clone(&free);
    let room = options().room(Arc::new(move |_| Ok(told.load(Ordering::SeqCst))));
    let engine = open(&home.path(), room);
    let without_room = AtomicU64::new(0);
    let (issued, revoked) = thread::scope(|scope| {
        let workers: Vec<_> = ["ann", "bob", "cid"]
            .map(|name| scope.spawn(|| work(&engine, name, &without_room)))
            .into_iter()
            .collect();
        let mut room = 0;
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            free.store(room, Ordering::SeqCst);
            room = !room;
            thread::sleep(Duration::from_millis(1));
        }
        free.store(u64::MAX, Ordering::SeqCst);
        let done = workers.into_iter().map(|worker| worker.join().unwrap());
        done.fold((Vec::new(), Vec::new()), |mut all, (issued, revoked)| {
            all.0.extend(issued);
            all.1.extend(revoked);
            all
        })
    });
    engine.close().wait().unwrap();
    let engine = open(&home.path(), options());
    assert!(issued.iter().all(|token| is_in(&engine, token)));
    for token in &revoked {
        assert_eq!(refused(&engine, token), Rejection::Revoked);
    }
    assert!(
        issued.len() + revoked.len() >= 3 * ROUNDS,
        "there was hardly ever room"
    );
    assert!(without_room.into_inner() > 0, "there always was room");
}

/// Issues and revokes until there was room often enough, and somebody had none; answers the tokens
/// that are to live, and those that are to be dead.
fn work(
    engine: &Engine,
    name: &str,
    without_room: &AtomicU64,
) -> (Vec<IssuedToken>, Vec<IssuedToken>) {
    let (mut issued, mut revoked) = (Vec::new(), Vec::new());
    // Tried again for about as long as anything is waited for.
    for _ in 0..PATIENCE.as_millis() {
        let rounds = issued.len() + revoked.len();
        let enough = match without_room.load(Ordering::SeqCst) {
            0 => MOST_ROUNDS,
            _ => ROUNDS,
        };
        if rounds >= enough {
            break;
        }
        match engine.access().issue(request(name)).wait() {
            Ok(token) if rounds.is_multiple_of(2) => issued.push(token),
            Ok(token) => {
                crate::support::revoke(engine, token.selector);
                revoked.push(token);
            }
            Err(error) => {
                assert_eq!(error.code(), "no_room");
                without_room.fetch_add(1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
    (issued, revoked)
}
