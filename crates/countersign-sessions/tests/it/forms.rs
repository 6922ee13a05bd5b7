//! Hazard: a stale form is taken for a forged one, or a forged one for a stale one (S4, S6, E9).
//! The MACs are the core's; here is what they are judged with.

use crate::support::{HOUR, World, login, principal, quiet, why};
use countersign_sessions::{EndedBy, Privilege};

#[test]
fn the_secret_stays_all_session_long_and_is_new_with_every_log_in() {
    let world = World::new(|_| ());
    let ann = principal("ann");
    let first = world.log_in("ann");
    let secret = |live: &countersign_sessions::Live| *live.csrf_secret(&world.keyring).expose();
    let before = secret(&first.session);
    world.pass(4 * HOUR);
    assert_eq!(secret(&world.touch(&first.token).unwrap()), before);
    let mut fresh = world.fresh();
    let same = world
        .table
        .renew(&world.moment(), &mut fresh, &first.session, Privilege::Same);
    assert_eq!(secret(&quiet(same).unwrap().session), before);

    world
        .end(&first.session, EndedBy::Principal)
        .outcome
        .unwrap();
    let again = world.log_in("ann");
    assert_ne!(secret(&again.session), before);
    let other = world
        .log_in_as(Some(&again.session), &login(&ann))
        .outcome
        .unwrap();
    assert_ne!(secret(&other.session), secret(&again.session));
}

#[test]
fn a_hint_leads_to_the_session_living_or_ended_with_the_secret_it_had() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let hint = opened.session.hint();
    let find = || world.table.form_session(&world.moment(), hint).outcome;
    let living = find().unwrap();
    assert_eq!(living.selector, opened.session.selector());
    assert_eq!(
        living
            .owner
            .as_ref()
            .map(countersign_sessions::Owner::as_str),
        Some("ann")
    );
    assert_eq!(living.gone, None);
    let secret = *opened.session.csrf_secret(&world.keyring).expose();
    assert_eq!(*living.csrf_secret(&world.keyring).expose(), secret);

    world
        .end(&opened.session, EndedBy::Principal)
        .outcome
        .unwrap();
    let ended = find().unwrap();
    assert_eq!(ended.gone.map(|gone| gone.by), Some(EndedBy::Principal));
    assert_eq!(*ended.csrf_secret(&world.keyring).expose(), secret);
    let unknown = world.table.form_session(&world.moment(), [0x81; 8]);
    assert_eq!(quiet(unknown), None);
}

#[test]
fn a_session_that_a_log_in_replaced_names_the_one_in_its_place_and_no_other_does() {
    let world = World::new(|_| ());
    let ann = principal("ann");
    let find = |live: &countersign_sessions::Live| {
        let found = world.table.form_session(&world.moment(), live.hint());
        found.outcome.unwrap()
    };
    let guest = world.start();
    let other = world.start();
    assert_eq!(find(&guest.session).successor, None);
    let opened = world.log_in_as(Some(&guest.session), &login(&ann));
    let opened = opened.outcome.unwrap();
    let again = world.log_in_as(Some(&opened.session), &login(&ann));
    let again = again.outcome.unwrap();
    world.end(&other.session, EndedBy::LogIn).outcome.unwrap();
    let successors = [&guest, &opened, &again, &other].map(|each| find(&each.session).successor);
    let [first, second] = [&opened, &again].map(|each| Some(each.session.selector()));
    assert_eq!(successors, [first, second, None, None]);
}

#[test]
fn a_form_from_before_a_change_of_privilege_is_told_from_a_forged_one() {
    let world = World::new(|_| ());
    let mut opened = world.log_in("ann");
    let mut secrets = vec![*opened.session.csrf_secret(&world.keyring).expose()];
    for _ in 0..10 {
        let mut fresh = world.fresh();
        let (moment, live) = (world.moment(), &opened.session);
        let renewed = world
            .table
            .renew(&moment, &mut fresh, live, Privilege::Changed);
        opened = quiet(renewed).unwrap();
        secrets.push(*opened.session.csrf_secret(&world.keyring).expose());
    }
    let hint = opened.session.hint();
    let found = world
        .table
        .form_session(&world.moment(), hint)
        .outcome
        .unwrap();
    assert_eq!(
        Some(found.csrf_secret(&world.keyring).expose()),
        secrets.last()
    );
    let earlier = found.earlier_csrf_secrets(&world.keyring);
    let earlier: Vec<[u8; 32]> = earlier.map(|secret| *secret.expose()).collect();
    let expected: Vec<[u8; 32]> = secrets.iter().rev().skip(1).take(8).copied().collect();
    assert_eq!(
        earlier, expected,
        "the latest first, and a bounded number of them"
    );
    assert_eq!(why(&world.touch(&opened.token)), "in");
}
