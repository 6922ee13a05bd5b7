//! Hazard: what was noted of one session's owner is believed of another that lies in its row, or
//! outlives the session.

use crate::restart::{NAME, restore};
use crate::support::{ANY_END, World, material, principal, quiet, with_verifier};
use core::cell::Cell;
use countersign_core::Keyring;
use countersign_sessions::{Candidate, Moment, Note, Opened};

fn noted(world: &World, opened: &Opened) -> Note {
    let proven = world.table.prove(&world.moment(), &opened.token, |_| false);
    proven.outcome.unwrap().note
}

#[test]
fn a_note_is_its_session_s_alone_and_goes_with_it() {
    let world = World::new(|_| ());
    let (ann, bob) = (world.log_in("ann"), world.log_in("bob"));
    assert_eq!(noted(&world, &ann).value, 0);
    let selector = ann.session.selector();
    world.table.note(selector, 7);
    assert_eq!(noted(&world, &ann).value, 7);
    assert_eq!(noted(&world, &bob).value, 0);
    // A row is filled again by the next one of the same shard: all of ann's.
    let ended = world.table.end(&world.moment(), selector, ANY_END);
    assert_eq!(ended.ended.len(), 1);
    world.table.note(selector, 8);
    for _ in 0..3 {
        assert_eq!(noted(&world, &world.log_in("ann")).value, 0);
    }
}

#[test]
fn the_bucket_is_of_the_owner_s_record_key() {
    let world = World::new(|_| ());
    for name in [
        "ann",
        "bob",
        "a-name-that-is-longer-than-what-lies-in-place",
    ] {
        let [high, low, ..] = world.keyring.principal_key(&principal(name)).to_bytes();
        let bucket = noted(&world, &world.log_in(name)).bucket;
        assert_eq!(bucket, u16::from_be_bytes([high, low]));
    }
    assert_eq!(noted(&world, &world.start()).bucket, 0);
}

#[test]
fn no_note_outlives_a_restart() {
    let world = World::new(|_| ());
    let ann = world.log_in("ann");
    world.table.note(ann.session.selector(), 7);
    let bytes = world.table.snapshot(&world.moment(), &NAME);
    let again = world.restarted();
    assert_eq!(restore(&again, &bytes).unwrap().living, 1);
    let fresh = Note {
        value: 0,
        ..noted(&world, &ann)
    };
    assert_eq!(noted(&again, &ann), fresh);
}

#[test]
fn proving_is_a_use_where_the_caller_says_so_and_has_seen_what_was_noted() {
    let world = World::new(|_| ());
    let ann = world.log_in("ann");
    world.table.note(ann.session.selector(), 7);
    world.pass(crate::support::HOUR);
    let asked = Cell::new(0);
    let counts = |candidate: Candidate| {
        asked.set(asked.get() + 1);
        assert_eq!(candidate.stamp, ann.session.stamp());
        assert_eq!((candidate.is_owned, candidate.note.value), (true, 7));
        true
    };
    let proven = world.table.prove(&world.moment(), &ann.token, counts);
    let proven = proven.outcome.unwrap();
    assert!(proven.is_used);
    assert_eq!((proven.live.last_seen_at(), asked.get()), (world.now(), 1));

    // Nobody is asked of what is not proven, or is over.
    let forged = with_verifier(&ann.token, [0; 28]);
    let refused = world.table.prove(&world.moment(), &forged, counts);
    assert!(refused.outcome.is_err());
    world.pass(crate::support::HOUR * 24);
    let over = world.table.prove(&world.moment(), &ann.token, counts);
    assert!(over.outcome.is_err());
    assert_eq!(asked.get(), 1);
}

#[test]
fn a_use_counts_under_several_peppers_as_under_one() {
    let world = World::new(|_| ());
    let ann = world.log_in("ann");
    world.pass(crate::support::HOUR);
    let rotated = Keyring::new(&material().rotated(world.now(), [3; 32]).unwrap());
    let moment = Moment {
        keyring: &rotated,
        ..world.moment()
    };
    // The first one puts its digest under the new pepper.
    for _ in 0..2 {
        let asked = Cell::new(0);
        let counts = |_| asked.replace(asked.get() + 1) == 0;
        let proven = world.table.prove(&moment, &ann.token, counts);
        let proven = proven.outcome.unwrap();
        assert!(proven.is_used);
        assert_eq!((proven.live.last_seen_at(), asked.get()), (world.now(), 1));
    }
}

#[test]
fn proving_is_no_use() {
    let world = World::new(|_| ());
    let ann = world.log_in("ann");
    let before = quiet(world.table.peek(&world.moment(), &ann.token)).unwrap();
    world.pass(crate::support::HOUR);
    noted(&world, &ann);
    let after = quiet(world.table.peek(&world.moment(), &ann.token)).unwrap();
    assert_eq!(before.last_seen_at(), after.last_seen_at());
}
