//! Who may open what, for how long, and under which text.

use super::*;
use crate::principals::PrincipalAction;
use crate::switches::SwitchAction;
use crate::system::Subsystem;
use crate::world::{DAY, HOUR, SECOND, START};
use core::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_token_opens_its_attachment_and_nothing_else() {
    let mut world = World::new();
    let token = world.sign("ann", "10001");
    world.sign("ann", "10002");
    assert_eq!(world.open(&token, "10001"), Ok(()));
    assert_eq!(world.open(&token, "10002"), Err(Rejection::Scope));
    assert_eq!(world.open(&token, "1000"), Err(Rejection::Scope));
}

#[test]
fn each_pair_of_principal_and_attachment_has_a_token_of_its_own() {
    let mut world = World::new();
    let mut tokens = Vec::new();
    for who in ["ann", "bob"] {
        for what in ["10001", "10002"] {
            tokens.push(world.sign(who, what));
        }
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 4);
}

#[test]
fn the_text_stays_the_same_within_a_bucket_and_changes_with_the_next() {
    let mut world = World::new();
    world.sign("ann", "10001");
    // From the next midnight on: the first one was cut short by the records' beginning.
    let into = Duration::from_millis(world.now.as_millis() % 86_400_000);
    world.now = world.now.before(into).after(DAY);
    let first = world.sign("ann", "10001");
    for _ in 0..23 {
        world.pass(HOUR);
        assert_eq!(world.sign("ann", "10001"), first);
    }
    world.pass(HOUR);
    let second = world.sign("ann", "10001");
    assert_ne!(second, first);
    // Both are good, and nothing had to be written.
    assert_eq!(
        (world.open(&first, "10001"), world.open(&second, "10001")),
        (Ok(()), Ok(()))
    );
    assert!(
        world
            .decide_sign("ann", "10001")
            .unwrap()
            .batch
            .writes
            .is_empty()
    );
}

#[test]
fn a_token_works_for_what_policy_says_and_not_a_moment_longer() {
    for (hours, bucket) in [(168, 24), (1, 24), (1, 744), (24, 1), (876_000, 744)] {
        let mut world = World::with_policy(|draft| {
            draft.image_tokens.expiry_hours = hours;
            draft.image_tokens.bucket = Duration::from_secs(bucket * 3600);
        });
        let lifetime = Duration::from_secs(u64::from(hours) * 3600);
        // Records from long ago, so that the bucket alone counts.
        world.sign("ann", "10001");
        for step in 0..40_u32 {
            world.pass(HOUR * (step * 7 % 100) + Duration::from_secs(977));
            let signed = world.now;
            let token = world.sign("ann", "10001");
            world.now = signed.after(lifetime / 2).before(SECOND);
            assert_eq!(world.open(&token, "10001"), Ok(()), "{hours} h, {bucket} h");
            world.now = signed.after(lifetime);
            assert_eq!(
                world.open(&token, "10001"),
                Err(Rejection::Expired),
                "{hours} h"
            );
            world.now = signed;
        }
    }
}

#[test]
fn policy_applies_to_what_was_sent_already() {
    let mut world = World::new();
    let token = world.sign("ann", "10001");
    world.pass(HOUR * 25);
    assert_eq!(world.open(&token, "10001"), Ok(()));
    // Shorter ends it, and no longer one brings back what had its own end.
    world.set_policy(|draft| draft.image_tokens.expiry_hours = 24);
    assert_eq!(world.open(&token, "10001"), Err(Rejection::Expired));
    world.set_policy(|draft| draft.image_tokens.expiry_hours = 876_000);
    assert_eq!(world.open(&token, "10001"), Ok(()));
    world.pass(DAY * 6);
    assert_eq!(world.open(&token, "10001"), Err(Rejection::Expired));
}

#[test]
fn zero_hours_refuse_at_once_what_was_sent_and_sign_nothing() {
    let mut world = World::new();
    let token = world.sign("ann", "10001");
    world.set_policy(|draft| draft.image_tokens.expiry_hours = 0);
    assert_eq!(world.open(&token, "10001"), Err(Rejection::SwitchedOff));
    assert_eq!(world.try_sign("ann", "10001"), Err(Refusal::ImageTokensOff));
}

#[test]
fn either_switch_refuses_at_once_and_signs_nothing() {
    for subsystem in [Subsystem::ImageTokens, Subsystem::AccessTokens] {
        let mut world = World::new();
        let token = world.sign("ann", "10001");
        let off = world.decide_switch(subsystem, SwitchAction::Off).unwrap();
        world.commit(off.batch);
        assert_eq!(
            world.open(&token, "10001"),
            Err(Rejection::SwitchedOff),
            "{subsystem}"
        );
        assert_eq!(world.try_sign("ann", "10001"), Err(Refusal::ImageTokensOff));
    }
    let mut world = World::new();
    let token = world.sign("ann", "10001");
    for other in [Subsystem::RememberMe, Subsystem::Sessions] {
        let off = world.decide_switch(other, SwitchAction::Off).unwrap();
        world.commit(off.batch);
    }
    assert_eq!(world.open(&token, "10001"), Ok(()));
}

#[test]
fn a_disabled_principal_opens_and_gets_nothing_until_enabled_again() {
    let mut world = World::new();
    let token = world.sign("ann", "10001");
    let other = world.sign("bob", "10001");
    world.act("ann", PrincipalAction::Disable);
    assert_eq!(world.open(&token, "10001"), Err(Rejection::Disabled));
    assert_eq!(world.try_sign("ann", "10001"), Err(Refusal::Disabled));
    assert_eq!(world.open(&other, "10001"), Ok(()));
    world.act("ann", PrincipalAction::Enable);
    assert_eq!(world.open(&token, "10001"), Ok(()));
}

/// Presence grants and absence denies: no loss of a record lets anybody in.
#[test]
fn without_one_of_its_records_a_token_opens_nothing() {
    let mut world = World::new();
    let token = world.sign("ann", "10001");
    let keys: Vec<Key> = world.records.keys().copied().collect();
    assert_eq!(keys.len(), 3);
    for key in keys {
        let lost = world.records.remove(&key).unwrap();
        assert_eq!(
            world.open(&token, "10001"),
            Err(Rejection::Unknown),
            "{key:?}"
        );
        world.records.insert(key, lost);
        assert_eq!(world.open(&token, "10001"), Ok(()));
    }
}

#[test]
fn a_record_that_was_lost_and_made_anew_revives_nothing() {
    for lose_attachment in [true, false] {
        let mut world = World::new();
        let token = world.sign("ann", "10001");
        world.pass(MS);
        let key = if lose_attachment {
            world.revoke_attachment("10001");
            Key::attachment(world.keyring.attachment_key(&named("10001")))
        } else {
            world.act("ann", PrincipalAction::Revoke);
            world.principal_key("ann")
        };
        assert_eq!(world.open(&token, "10001"), Err(Rejection::Revoked));
        world.pass(MS * 2);
        world.records.remove(&key).unwrap();
        let renewed = world.sign("ann", "10001");
        assert_eq!(world.open(&token, "10001"), Err(Rejection::Revoked));
        assert_eq!(world.open(&renewed, "10001"), Ok(()));
    }
}

#[test]
fn records_of_somebody_else_under_the_right_keys_let_nobody_in() {
    let mut world = World::new();
    let token = world.sign("ann", "10001");
    world.sign("bob", "10002");
    let attachment = |name: &str| Key::attachment(world.keyring.attachment_key(&named(name)));
    let swaps = [
        (world.principal_key("ann"), world.principal_key("bob")),
        (attachment("10001"), attachment("10002")),
    ];
    for (mine, other) in swaps {
        let kept = world.records.clone();
        let swapped = world.records.get(&other).unwrap().clone();
        world.records.insert(mine, swapped);
        assert_eq!(world.open(&token, "10001"), Err(Rejection::Unknown));
        world.records = kept;
    }
    // Two that are wrong at once do not make up for each other.
    let kept = world.records.clone();
    for (mine, other) in swaps {
        let swapped = kept.get(&other).unwrap().clone();
        world.records.insert(mine, swapped);
    }
    assert_eq!(world.open(&token, "10001"), Err(Rejection::Unknown));
    world.records = kept;
    let mut system = world.system();
    system.record.deployment.server_id = crate::text::ServerId::new("another").unwrap();
    let renamed = system.map(Record::System);
    world.records.insert(Key::SYSTEM, renamed);
    for (mine, other) in swaps {
        let kept = world.records.clone();
        let swapped = kept.get(&other).unwrap().clone();
        world.records.insert(mine, swapped);
        assert_eq!(world.open(&token, "10001"), Err(Rejection::Unknown));
        world.records = kept;
    }
    assert_eq!(
        world.open(&token, "10001"),
        Err(Rejection::Unknown),
        "another server's"
    );
}

#[test]
fn a_token_from_an_instant_that_has_not_come_is_refused() {
    let mut world = World::new();
    let token = world.sign("ann", "10001");
    world.step_back(MS);
    assert_eq!(world.open(&token, "10001"), Err(Rejection::NotYet));
    assert_eq!(
        world.try_sign("ann", "10001"),
        Err(Refusal::NotYet { at: START })
    );
    world.pass(MS);
    assert_eq!(world.open(&token, "10001"), Ok(()));
}

#[test]
fn no_clock_hurts() {
    use crate::time::Timestamp;
    for at in [0, 1, u64::MAX, u64::MAX - 999, 9_999_999_999_999_999_001] {
        let mut world = World::new();
        world.now = Timestamp::from_millis(at);
        if let Ok(token) = world.try_sign("ann", "10001") {
            let _ = world.open(&token, "10001");
            world.now = START;
            let _ = world.open(&token, "10001");
            world.now = Timestamp::MAX;
            assert!(world.open(&token, "10001").is_err());
        }
    }
}

#[test]
fn the_first_token_makes_the_records_that_it_needs_and_later_ones_write_nothing() {
    let mut world = World::new();
    let first = world.decide_sign("ann", "10001").unwrap();
    assert_eq!(first.batch.writes.len(), 2);
    world.commit(first.batch);
    assert!(
        world
            .decide_sign("ann", "10001")
            .unwrap()
            .batch
            .writes
            .is_empty()
    );
    assert_eq!(
        world
            .decide_sign("bob", "10001")
            .unwrap()
            .batch
            .writes
            .len(),
        1
    );
    assert_eq!(
        world
            .decide_sign("ann", "10002")
            .unwrap()
            .batch
            .writes
            .len(),
        1
    );
}
