//! Hazard: a token that an attacker knows beforehand gains privilege when its bearer does (I10).
//! Passport CVE-2022-25896 and fastify CVE-2023-29019 were this.

use crate::support::{HOUR, World, by, copy, login, name, principal, quiet, set, why};
use countersign_core::CredentialKind;
use countersign_sessions::{Denied, EndedBy, Method, Privilege};
use std::time::Duration;

#[test]
fn logging_in_gives_another_token_selector_and_csrf_secret() {
    let world = World::new(|_| ());
    let planted = world.start();
    let ann = principal("ann");
    let done = world.log_in_as(Some(&planted.session), &login(&ann));
    assert_eq!(by(&done.ended), [EndedBy::LogIn]);
    let opened = done.outcome.unwrap();
    assert_ne!(opened.session.selector(), planted.session.selector());
    assert_ne!(
        opened.token.verifier().expose(),
        planted.token.verifier().expose()
    );
    assert_ne!(
        opened.session.csrf_secret(&world.keyring).expose(),
        planted.session.csrf_secret(&world.keyring).expose()
    );
    assert_eq!(why(&world.touch(&planted.token)), "gone: log-in");
    assert_eq!(why(&world.touch(&opened.token)), "in");
    assert_eq!(world.table.len(), (1, 0));
}

#[test]
fn only_what_the_host_names_comes_along_and_nothing_from_another_principal() {
    let world = World::new(|_| ());
    let anonymous = world.start();
    let both = [set("language", "de"), set("admin", "yes")];
    let selector = anonymous.session.selector();
    quiet(world.table.update(&world.moment(), selector, &both)).unwrap();
    let (ann, bob) = (principal("ann"), principal("bob"));
    let named = [name("language"), name("absent")];
    let mut wanted = login(&ann);
    wanted.carry = &named;
    let opened = world
        .log_in_as(Some(&anonymous.session), &wanted)
        .outcome
        .unwrap();
    let carried: Vec<&str> = opened
        .session
        .attributes()
        .iter()
        .map(|(n, _)| n.as_str())
        .collect();
    assert_eq!(carried, ["language"]);

    wanted.principal = &bob;
    let bobs = world.log_in_as(Some(&opened.session), &wanted);
    assert_eq!(
        by(&bobs.ended),
        [EndedBy::LogIn],
        "ann's session in that browser ends"
    );
    assert!(bobs.outcome.unwrap().session.attributes().is_empty());
}

#[test]
fn elevating_and_renewing_replace_the_token() {
    let world = World::new(|_| ());
    let first = world.log_in("ann");
    let (moment, live) = (world.moment(), &first.session);
    let soon = Duration::from_secs(60);
    let elevate = |live, method| {
        let done = world
            .table
            .elevate(&moment, &mut world.fresh(), live, method, soon);
        quiet(done)
    };
    let second = elevate(live, Method::Password).unwrap();
    assert_eq!(
        second.session.selector(),
        live.selector(),
        "it is the same session"
    );
    assert_eq!(why(&world.touch(&first.token)), "mismatch");
    assert_eq!(why(&world.touch(&second.token)), "in");
    assert_ne!(
        second.session.csrf_secret(&world.keyring).expose(),
        live.csrf_secret(&world.keyring).expose()
    );

    let renew = |live, privilege| {
        quiet(
            world
                .table
                .renew(&moment, &mut world.fresh(), live, privilege),
        )
    };
    let third = renew(&second.session, Privilege::Same).unwrap();
    assert_eq!(why(&world.touch(&second.token)), "mismatch");
    assert_eq!(third.session.generation(), second.session.generation());
    let fourth = renew(&third.session, Privilege::Changed).unwrap();
    assert_eq!(fourth.session.generation(), third.session.generation() + 1);
    // Of two requests that came with the same token one wins, and the other's token is no loss.
    assert_eq!(
        renew(&third.session, Privilege::Same).unwrap_err(),
        Denied::Renewed
    );
    assert_eq!(why(&world.touch(&fourth.token)), "in");
}

#[test]
fn a_remembered_device_is_never_fresh_until_somebody_is_there() {
    let world = World::new(|_| ());
    let ann = principal("ann");
    let mut wanted = login(&ann);
    wanted.method = Method::RememberMe;
    let opened = quiet(world.log_in_as(None, &wanted)).unwrap();
    let live = world.touch(&opened.token).unwrap();
    assert!(!live.is_fresh() && !opened.session.is_fresh());
    let method = live
        .authentication()
        .map(|authentication| authentication.method);
    assert_eq!(method, Some(Method::RememberMe));

    let again = |method| {
        let (moment, mut fresh) = (world.moment(), world.fresh());
        world
            .table
            .elevate(&moment, &mut fresh, &live, method, HOUR)
            .outcome
    };
    assert_eq!(again(Method::RememberMe).unwrap_err(), Denied::NotPresent);
    let fresh = again(Method::MultiFactor).unwrap();
    assert!(fresh.session.is_fresh());
    world.pass(HOUR);
    assert!(!world.touch(&fresh.token).unwrap().is_fresh());
}

#[test]
fn an_anonymous_session_is_not_elevated() {
    let world = World::new(|_| ());
    let opened = world.start();
    let (moment, live) = (world.moment(), &opened.session);
    let done = world
        .table
        .elevate(&moment, &mut world.fresh(), live, Method::Password, HOUR);
    assert_eq!(quiet(done).unwrap_err(), Denied::Anonymous);
    assert_eq!(
        why(&world.touch(&opened.token)),
        "in",
        "its token still stands"
    );
}

#[test]
fn a_log_in_from_a_session_that_has_ended_is_still_a_log_in() {
    let world = World::new(|_| ());
    let anonymous = world.start();
    let (ann, bob) = (principal("ann"), principal("bob"));
    let first = world.log_in_as(Some(&anonymous.session), &login(&ann));
    // The form was sent twice.
    let second = quiet(world.log_in_as(Some(&anonymous.session), &login(&bob)));
    assert_eq!(why(&world.touch(&first.outcome.unwrap().token)), "in");
    assert_eq!(why(&world.touch(&second.unwrap().token)), "in");
}

#[test]
fn a_token_of_another_kind_is_refused() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let verifier = countersign_core::Verifier::from_bytes(*opened.token.verifier().expose());
    let selector = opened.token.selector();
    let access = countersign_core::SplitToken::new(CredentialKind::Access, selector, verifier);
    assert_eq!(why(&world.touch(&access)), "mismatch");
    assert_eq!(why(&world.touch(&copy(&opened.token))), "in");
}
