//! Hazard: a flood of cookies that are refused writes to the disk, fills memory, or wears down a
//! device that it is aimed at.
//!
//! `COUNTERSIGN_REFUSED_COOKIES` asks for so many of them, such as 1000000.

use crate::support::{
    Dice, Ears, Home, MINUTE, contents, device, figures, forgotten, handed, options, present,
    remember,
};
use countersign::core::{CredentialKind, SplitToken, Verifier};
use countersign::store::{KeyRange, Store};
use countersign::{Engine, Rejection, Selector};
use countersign_testkit::samples;
use std::env;
use std::net::IpAddr;
use std::sync::Arc;

/// As many as the gate has time for.
const COOKIES: usize = 100_000;
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

fn everything(store: &dyn Store) -> Vec<String> {
    let mut all = vec![format!("{:?}", store.attest().wait().unwrap())];
    for table in countersign::core::Table::ALL {
        let page = store.scan(KeyRange::all(table), usize::MAX).wait().unwrap();
        let rows = page.records.iter();
        all.extend(rows.map(|row| format!("{row:?}")));
    }
    all
}

#[test]
fn a_flood_of_refused_cookies_writes_nothing() {
    let asked = env::var("COUNTERSIGN_REFUSED_COOKIES");
    let cookies = asked.map_or(COOKIES, |text| text.parse().unwrap());
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
