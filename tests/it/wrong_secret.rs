//! Hazard: guessing at a known selector leaves a trace: a write, a lock-out, a use, a changed
//! record. Whoever knows a selector, which is public, could then do harm without a secret.

use crate::support::{
    Ears, Home, everything, is_in, issue, options, revoke, rows, with_wrong_secret,
};
use countersign::{Conditions, Engine, Rejection, Selector};
use countersign_testkit::samples;
use std::net::IpAddr;
use std::sync::Arc;

const GUESSES: u8 = 200;

/// Presents wrong secrets for a selector, from an address.
fn guess(engine: &Engine, selector: Selector) {
    for byte in 0..GUESSES {
        let text = with_wrong_secret(engine, selector, byte);
        let conditions = Conditions {
            scope: None,
            address: Some(IpAddr::from([10, 0, 0, byte])),
        };
        let verdict = engine.access().verify_with(&text, conditions);
        assert_eq!(
            verdict.wait().unwrap().rejection(),
            Some(Rejection::Mismatch)
        );
    }
}

#[test]
fn a_wrong_secret_changes_no_record_and_nothing_in_memory() {
    let home = Home::new();
    let made = options().create(home.path(), samples::keyring(), [3; 16], vec![]);
    let store = Arc::new(made.unwrap());
    let ears = Ears::default();
    let engine = home
        .builder()
        .observer(ears.clone())
        .open_store(Arc::clone(&store) as _, &samples::keys())
        .unwrap();
    let tokens = ["ann", "bob", "cid"].map(|name| issue(&engine, name));
    let [live, revoked, unused] = &tokens;
    revoke(&engine, revoked.selector);
    assert!(is_in(&engine, live));
    engine.flush().wait().unwrap();
    let shown = || {
        tokens
            .each_ref()
            .map(|token| engine.access().show(token.selector).wait().unwrap())
    };

    let (before, shown_before) = (everything(&*store), shown());
    let (heard, stats) = (ears.events.lock().unwrap().len(), engine.stats());
    for token in &tokens {
        guess(&engine, token.selector);
    }
    let in_between = engine.stats();
    assert_eq!(engine.flush().wait(), Ok(0), "there was no use to write");
    let maintained = engine.maintain().wait().unwrap();
    assert_eq!(
        (maintained.denials_written, maintained.usages_written),
        (0, 0)
    );

    assert_eq!(everything(&*store), before);
    assert_eq!(shown(), shown_before);
    assert_eq!(ears.events.lock().unwrap().len(), heard);
    assert_eq!(in_between.verdicts.admitted, stats.verdicts.admitted);
    let counted = in_between.verdicts.refused_for(Rejection::Mismatch);
    assert_eq!(counted, 3 * u64::from(GUESSES));
    assert_eq!(in_between.waiting_denials, 0);
    assert!(is_in(&engine, live) && is_in(&engine, unused));
}

#[test]
fn a_wrong_secret_changes_no_byte_of_what_lies_in_the_file() {
    let home = Home::new();
    let engine = home.open();
    let token = issue(&engine, "ann");
    assert!(is_in(&engine, &token));
    engine.close().wait().unwrap();
    let before = rows(&home.path());
    let engine = home.open();
    guess(&engine, token.selector);
    engine.close().wait().unwrap();
    assert!(rows(&home.path()) == before, "the file has changed");
    assert!(is_in(&home.open(), &token));
}
