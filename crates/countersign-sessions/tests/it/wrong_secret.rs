//! Hazard: a wrong secret changes something, or learns something (E3, E4).

use crate::support::{HOUR, World, policy, why, with_verifier};
use countersign_core::{KeyMaterial, Keyring, SplitToken};
use countersign_sessions::{EndedBy, SessionTable};

fn wrong(token: &SplitToken) -> SplitToken {
    with_verifier(token, [0x5a; 28])
}

#[test]
fn whoever_does_not_have_the_secret_learns_nothing_of_the_session() {
    let world = World::new(|_| ());
    let (living, over) = (world.log_in("ann"), world.log_in("bob"));
    world.end(&over.session, EndedBy::Operator).outcome.unwrap();
    assert_eq!(why(&world.touch(&wrong(&living.token))), "mismatch");
    assert_eq!(why(&world.touch(&wrong(&over.token))), "mismatch");
    assert_eq!(why(&world.touch(&over.token)), "gone: operator");
}

#[test]
fn a_wrong_secret_neither_keeps_a_session_alive_nor_ends_it() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    world.pass(4 * HOUR);
    let done = world.table.touch(&world.moment(), &wrong(&opened.token));
    assert!(done.outcome.is_err() && done.ended.is_empty());
    world.pass(HOUR);
    let done = world.table.touch(&world.moment(), &wrong(&opened.token));
    assert!(
        done.ended.is_empty(),
        "its end is told to whoever has the secret"
    );
    assert_eq!(world.table.len(), (1, 0));
    assert_eq!(why(&world.touch(&opened.token)), "gone: idle");
}

#[test]
fn one_bit_of_the_secret_is_enough() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    for bit in 0..224 {
        let mut verifier = *opened.token.verifier().expose();
        verifier[bit / 8] ^= 1 << (bit % 8);
        let token = with_verifier(&opened.token, verifier);
        assert_eq!(why(&world.touch(&token)), "mismatch", "bit {bit}");
    }
}

#[test]
fn an_old_pepper_checks_once_and_the_current_one_takes_over() {
    let mut world = World::new(|_| ());
    let opened = world.log_in("ann");
    let rotated = || {
        crate::support::material()
            .rotated(world.now(), [3; 32])
            .unwrap()
    };
    let current = rotated();
    let without = rotated().without(|id| id.number() == 1);
    world.keyring = Keyring::new(&current);
    assert_eq!(why(&world.peek(&opened.token)), "in");
    // The old pepper may go now.
    world.keyring = Keyring::new(&without);
    assert_eq!(why(&world.peek(&opened.token)), "in");
}

#[test]
fn without_its_pepper_a_session_matches_nothing() {
    let mut world = World::new(|_| ());
    let opened = world.log_in("ann");
    let gone = crate::support::material()
        .rotated(world.now(), [3; 32])
        .unwrap();
    world.keyring = Keyring::new(&gone.without(|id| id.number() == 1));
    assert_eq!(why(&world.touch(&opened.token)), "mismatch");
    let foreign = KeyMaterial::generate(world.now(), [1; 32], [9; 32]);
    world.keyring = Keyring::new(&foreign);
    assert_eq!(why(&world.touch(&opened.token)), "mismatch");
}

#[test]
fn an_unknown_selector_is_unknown_whatever_the_table_holds() {
    let world = World::new(|_| ());
    let elsewhere = World::new(|_| ());
    elsewhere.log_in("zoe");
    let stranger = elsewhere.log_in("ann");
    assert_eq!(why(&world.touch(&stranger.token)), "unknown");
    for n in 0..100 {
        world.log_in(&format!("p{n}"));
    }
    assert_eq!(why(&world.touch(&stranger.token)), "unknown");
    let small = policy(|policy| {
        policy.max_sessions = 1;
        policy.max_anonymous = 0;
    });
    let empty = SessionTable::new(&small, &world.keyring);
    assert!(
        empty
            .touch(&world.moment(), &stranger.token)
            .outcome
            .is_err()
    );
}
