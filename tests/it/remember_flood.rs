//! Hazard: a flood of cookies that are refused writes to the disk, fills memory, or wears down a
//! device that it is aimed at.
//!
//! `COUNTERSIGN_REFUSED_COOKIES` asks for so many of them, such as 1000000.

use crate::support::{
    Dice, Ears, Home, MINUTE, asked, contents, device, everything, figures, forgotten, handed,
    options, present, remember,
};
use countersign::core::{CredentialKind, SplitToken, Verifier};
use countersign::{Engine, Rejection, Selector};
use countersign_testkit::samples;
use std::net::IpAddr;
use std::sync::Arc;

/// As many as the gate has time for.
const COOKIES: u64 = 100_000;
const THREADS: usize = 4;

/// A remember-me token under a selector, with a secret of our own.
fn forged(engine: &Engine, selector: Selector, dice: &mut Dice) -> String {
    let mut bytes = [0; 28];
    for eight in bytes.chunks_mut(8) {
        eight.copy_from_slice(&dice.roll().to_be_bytes()[..eight.len()]);
    }
    let verifier = Verifier::from_bytes(bytes);
    let token = SplitToken::new(CredentialKind::Remember, selector, verifier);
    engine.format().text(&token).unwrap().expose().to_owned()
}

/// What a flood is made of.
struct Aims {
    live: Selector,
    dead: Vec<String>,
    unknown: Selector,
}

fn cookie(engine: &Engine, aims: &Aims, dice: &mut Dice, n: usize) -> String {
    match n % 5 {
        0 | 1 => forged(engine, aims.live, dice),
        2 => forged(engine, aims.unknown, dice),
        3 => aims.dead[n % aims.dead.len()].clone(),
        _ => "csr_".repeat(n % 2000),
    }
}

/// Devices that ended in every way, each with a secret that it knew.
fn ended(engine: &Engine, home: &Home) -> Vec<String> {
    let revoked = remember(engine, "ann");
    let revoke = engine.remember().revoke(revoked.selector, None);
    revoke.wait().unwrap();
    let stolen = remember(engine, "ann");
    let stolen = stolen.token.expose().to_owned();
    home.clock.advance(MINUTE * 10);
    let successor = handed(engine, &stolen).unwrap();
    assert_eq!(handed(engine, &successor), None);
    home.clock.advance(MINUTE * 2);
    assert_eq!(forgotten(engine, &stolen), Rejection::Reused);
    vec![revoked.token.expose().to_owned(), stolen, successor]
}

#[test]
fn a_text_is_refused_for_its_length_before_anything_else_is_looked_at() {
    let (store, engine, _) = crate::denials::sick_at();
    let started = remember(&engine, "ann");
    let max = engine.policy().input().max_credential_bytes as usize;
    let told = |text: &str| forgotten(&engine, text);
    assert_eq!(told(&"a".repeat(max)), Rejection::Malformed);
    assert_eq!(told(&"a".repeat(max + 1)), Rejection::TooLong);
    let mut mistyped = started.token.expose().to_owned();
    mistyped.pop();
    mistyped.push(if started.token.expose().ends_with('0') {
        '1'
    } else {
        '0'
    });
    assert_eq!(told(&mistyped), Rejection::Checksum);
    let access = crate::support::issue(&engine, "ann");
    assert_eq!(told(access.token.expose()), Rejection::Malformed);
    let check = engine.remember().check("a".repeat(max + 1)).wait();
    assert_eq!(check.unwrap().rejection(), Some(Rejection::TooLong));
    let asked = || store.asked.load(std::sync::atomic::Ordering::SeqCst);
    let before = asked();
    assert_eq!(told(&"a".repeat(max + 1)), Rejection::TooLong);
    assert_eq!(asked(), before, "nothing was looked up");
}

#[test]
fn a_device_that_comes_in_with_a_young_secret_writes_nothing() {
    let home = Home::new();
    let made = options().create(home.path(), samples::keyring(), [3; 16], vec![]);
    let store = Arc::new(made.unwrap());
    let engine = home
        .builder()
        .open_store(Arc::clone(&store) as _, &samples::keys())
        .unwrap();
    let started = remember(&engine, "ann");
    home.clock.advance(MINUTE * 10);
    let text = handed(&engine, started.token.expose()).unwrap();
    assert_eq!(handed(&engine, &text), None, "its first sight is noted");
    let (before, bytes) = (everything(&*store), contents(home.dir.path()));
    for n in 0..1000u32 {
        home.clock.advance(std::time::Duration::from_millis(59));
        let address = Some(IpAddr::from([10, 0, 0, (n % 200) as u8]));
        let recall = engine.remember().present(&text, address).wait().unwrap();
        assert!(recall.is_in());
        // A tab that is behind writes nothing either.
        assert!(handed(&engine, started.token.expose()).is_some());
    }
    assert_eq!(everything(&*store), before);
    assert_eq!(contents(home.dir.path()), bytes, "the file has changed");
    assert_eq!(engine.flush().wait(), Ok(1), "all of it in one row");
}

/// In the store as well: what it hashes is counted where it is decided.
#[test]
fn an_unknown_device_asks_the_store_for_as_much_as_a_known_one() {
    let (store, engine, _) = crate::denials::sick_at();
    let started = remember(&engine, "ann");
    let nobody = Selector::mint(samples::NOW, countersign::core::ShardTag::NONE, [9; 8]);
    let mut dice = Dice(1);
    let texts = [started.selector, nobody].map(|it| forged(&engine, it, &mut dice));
    // What every call may read once, such as the policy.
    forgotten(&engine, &texts[0]);
    let cost = |text: &str, reason| {
        let before = store.asked.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(forgotten(&engine, text), reason);
        store.asked.load(std::sync::atomic::Ordering::SeqCst) - before
    };
    let wrong = cost(&texts[0], Rejection::Mismatch);
    assert_eq!(cost(&texts[1], Rejection::Unknown), wrong);
}

#[test]
fn a_flood_of_refused_cookies_writes_nothing() {
    let cookies = asked("COUNTERSIGN_REFUSED_COOKIES", COOKIES) as usize;
    let (home, ears) = (Home::new(), Ears::default());
    let made = options().create(home.path(), samples::keyring(), [3; 16], vec![]);
    let store = Arc::new(made.unwrap());
    let engine = home
        .builder()
        .observer(ears.clone())
        .open_store(Arc::clone(&store) as _, &samples::keys())
        .unwrap();
    let started = engine.remember().start(device("ann")).wait().unwrap();
    let aims = Aims {
        live: started.selector,
        dead: ended(&engine, &home),
        unknown: Selector::mint(samples::NOW, countersign::core::ShardTag::NONE, [9; 8]),
    };
    engine.flush().wait().unwrap();
    let (before, bytes) = (everything(&*store), contents(home.dir.path()));
    let shown = || engine.remember().show(started.selector).wait().unwrap();
    let (shown_before, stats) = (shown(), engine.stats().verdicts);
    let heard = ears.refusals.lock().unwrap().len();

    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (engine, aims) = (&engine, &aims);
            scope.spawn(move || {
                let mut dice = Dice(thread as u64);
                for n in (thread..cookies).step_by(THREADS) {
                    let address = Some(IpAddr::from(u128::from(dice.roll()).to_be_bytes()));
                    let text = cookie(engine, aims, &mut dice, n);
                    let told = engine.remember().present(text, address).wait();
                    assert!(!told.unwrap().is_in());
                }
            });
        }
    });

    assert_eq!(engine.flush().wait(), Ok(0), "there was no use to write");
    assert_eq!(everything(&*store), before);
    assert_eq!(contents(home.dir.path()), bytes, "the file has changed");
    assert_eq!(shown(), shown_before);
    let after = engine.stats();
    let refused = after.verdicts.refused_in_all() - stats.refused_in_all();
    assert_eq!(refused, cookies as u64);
    assert_eq!(after.verdicts.admitted, stats.admitted);
    assert_eq!(after.waiting_denials, 0);
    // The clock stands still: so many are told in a second, and no more.
    let told = ears.refusals.lock().unwrap().len() - heard;
    let rate = engine.policy().audit().refusals_per_second as usize;
    assert!(told <= rate + THREADS, "{told} were told");
    assert!(present(&engine, started.token.expose()).is_in());
    figures(&format!("{cookies} refused cookies, nothing written"));
}
