//! Hazard: a token issued against switch, policy or limit, or by a batch that a change of any of
//! them in the same moment does not stop.

use crate::access::NewToken;
use crate::decision::Refusal;
use crate::event::EventKind;
use crate::grant::Expiry;
use crate::policy::AccessTokenPolicy;
use crate::principals::PrincipalAction;
use crate::record::{Change, Expect, Key, Purpose, Table};
use crate::secret::Fresh;
use crate::switches::SwitchAction;
use crate::system::Subsystem;
use crate::text::TokenName;
use crate::time::Timestamp;
use crate::world::{DAY, HOUR, START, World, request, scopes};
use core::time::Duration;

/// What a request comes to under a policy.
fn check(change: impl FnOnce(&mut AccessTokenPolicy), request: &NewToken) -> Result<(), Refusal> {
    let mut world = World::with_policy(|draft| change(&mut draft.access_tokens));
    let before = world.records.clone();
    let outcome = world.issue_as(request).map(drop);
    assert_eq!(
        outcome.is_err(),
        world.records == before,
        "a refusal writes nothing"
    );
    outcome
}

#[test]
fn a_lifetime_is_held_to_the_policy_at_both_ends() {
    let max = Duration::from_secs(365 * 86_400);
    let ms = Duration::from_millis(1);
    for (expiry, never, expected) in [
        (Expiry::At(START.after(HOUR)), true, Ok(())),
        (Expiry::At(START.after(ms)), true, Ok(())),
        (Expiry::At(START), true, Err(Refusal::ExpiryInPast)),
        (
            Expiry::At(Timestamp::ZERO),
            true,
            Err(Refusal::ExpiryInPast),
        ),
        (Expiry::At(START.after(max)), true, Ok(())),
        (
            Expiry::At(START.after(max).after(ms)),
            true,
            Err(Refusal::LifetimeTooLong { max }),
        ),
        (
            Expiry::At(Timestamp::MAX),
            true,
            Err(Refusal::LifetimeTooLong { max }),
        ),
        (Expiry::Never, true, Ok(())),
        (Expiry::Never, false, Err(Refusal::NeverNotAllowed { max })),
    ] {
        let outcome = check(|policy| policy.allow_never = never, &request("ann", expiry));
        assert_eq!(outcome, expected, "{expiry:?}");
    }
}

#[test]
fn a_name_is_counted_in_characters_and_scopes_one_by_one() {
    let named = |chars: usize| NewToken {
        name: TokenName::new(&"\u{e9}".repeat(chars)).unwrap(),
        ..request("ann", Expiry::Never)
    };
    assert_eq!(check(|_| (), &named(40)), Ok(()));
    let refusal = Refusal::NameTooLong { chars: 41, max: 40 };
    assert_eq!(check(|_| (), &named(41)), Err(refusal));

    let scoped = |texts: &[&str]| NewToken {
        scopes: scopes(texts),
        ..request("ann", Expiry::Never)
    };
    assert_eq!(
        check(|policy| policy.max_scopes = 2, &scoped(&["a", "b"])),
        Ok(())
    );
    let refusal = Refusal::TooManyScopes { count: 3, max: 2 };
    assert_eq!(
        check(|policy| policy.max_scopes = 2, &scoped(&["a", "b", "c"])),
        Err(refusal)
    );
    assert_eq!(check(|policy| policy.max_scopes = 0, &scoped(&[])), Ok(()));
}

#[test]
fn nothing_is_issued_while_switched_off_or_to_the_disabled() {
    let mut world = World::new();
    world.switch(SwitchAction::Off);
    assert_eq!(
        world.issue("ann", Expiry::Never).unwrap_err(),
        Refusal::SwitchedOff(Subsystem::AccessTokens)
    );
    world.switch(SwitchAction::On);
    // Disabled before there was anything to disable.
    world.act("ann", PrincipalAction::Disable);
    assert_eq!(
        world.issue("ann", Expiry::Never).unwrap_err(),
        Refusal::Disabled
    );
    world.act("ann", PrincipalAction::Enable);
    assert!(world.issue("ann", Expiry::Never).is_ok());
}

#[test]
fn every_write_expects_just_what_was_decided_upon() {
    let mut world = World::new();
    for first in [true, false] {
        let (system, known) = (world.system().version, world.principal("ann"));
        assert_eq!(known.is_none(), first);
        let decision = world.decide_issue(&request("ann", Expiry::Never)).unwrap();
        let (batch, selector) = (&decision.batch, decision.outcome.token.selector());
        let expect_of = |key: Key| {
            let write = batch.writes.iter().find(|write| write.key == key);
            write.map(|write| (write.expect, write.change == Change::Keep))
        };
        assert_eq!(
            expect_of(Key::SYSTEM),
            Some((Expect::Version(system), true))
        );
        let listed = expect_of(world.principal_key("ann"));
        assert_eq!(listed, Some((Expect::as_loaded(known.as_ref()), false)));
        assert_eq!(
            expect_of(Key::grant(selector)),
            Some((Expect::Absent, false))
        );
        let events: Vec<_> = batch.events().collect();
        assert_eq!(events.len(), 1);
        assert_eq!(
            expect_of(Key::event(events[0].id)),
            Some((Expect::Absent, false))
        );
        assert_eq!(
            (events[0].kind, events[0].at),
            (EventKind::Issued, world.now)
        );
        assert_eq!(events[0].credential.unwrap().selector, selector);
        assert_eq!((batch.writes.len(), batch.purpose), (4, Purpose::Grow));
        world.commit(decision.batch);
    }
}

#[test]
fn what_happens_between_deciding_and_committing_stops_the_commit() {
    let meanwhile: [fn(&mut World); 5] = [
        |world| world.switch(SwitchAction::Off),
        |world| world.switch(SwitchAction::RevokeAll),
        |world| world.act("ann", PrincipalAction::Disable),
        |world| world.act("ann", PrincipalAction::Revoke),
        |world| drop(world.issued("ann")),
    ];
    for (at, happen) in meanwhile.into_iter().enumerate() {
        for known in [false, true] {
            let mut world = World::new();
            if known {
                drop(world.issued("ann"));
            }
            let decision = world.decide_issue(&request("ann", Expiry::Never)).unwrap();
            assert!(world.holds(&decision.batch));
            happen(&mut world);
            assert!(
                !world.holds(&decision.batch),
                "event {at}, principal known: {known}"
            );
        }
    }
}

#[test]
fn a_grant_says_what_was_asked_and_when_and_under_which_epochs() {
    let mut world = World::new();
    world.switch(SwitchAction::RevokeAll);
    world.pass(HOUR);
    let expiry = Expiry::At(world.now.after(DAY));
    let token = world.issue("ann", expiry).unwrap();
    let grant = world.grant(token.selector()).unwrap().record;
    let (principal, system) = (
        world.principal("ann").unwrap().record,
        world.system().record,
    );
    assert_eq!((grant.created_at, grant.expiry), (world.now, expiry));
    assert_eq!((grant.predecessor, grant.end), (None, None));
    let epoch = system.switch(Subsystem::AccessTokens).epoch;
    assert!(grant.stamp.stands(epoch, principal.epoch));
    assert_eq!(epoch.number(), 1);
    assert_eq!(token.selector().minted_at(), world.now);
    assert_eq!(
        token.selector().shard_tag(),
        world.keyring.shard_tag(&principal.principal)
    );
    let listed = principal.credentials[0];
    assert_eq!(
        (listed.selector, listed.ends_at),
        (token.selector(), expiry.instant())
    );
}

#[test]
fn a_selector_is_never_older_than_the_epochs_it_is_issued_under() {
    let mut world = World::new();
    world.act("ann", PrincipalAction::Revoke);
    world.switch(SwitchAction::RevokeAll);
    world.step_back(DAY);
    let token = world.issued("ann");
    assert!(token.selector().minted_at() > START);
    assert_eq!(
        world.grant(token.selector()).unwrap().record.created_at,
        START.before(DAY)
    );
    assert_eq!(world.check(&token), Ok(()));
}

#[test]
fn randomness_that_was_used_up_is_a_refusal_not_a_weak_token() {
    let world = World::new();
    let system = world.system();
    for left in [0usize, 4, 12, 40, 47, 55] {
        let mut fresh = Fresh::new([7; Fresh::LEN]);
        for _ in 0..Fresh::LEN.saturating_sub(left) {
            fresh.take::<1>().unwrap();
        }
        let request = request("ann", Expiry::Never);
        let outcome =
            crate::access::issue(&world.setting(&system), &mut fresh, None, &[], &request);
        assert_eq!(
            outcome.unwrap_err(),
            Refusal::NotEnoughRandomness,
            "{left} bytes left"
        );
    }
}

#[test]
fn a_digest_is_filed_and_no_secret() {
    let mut world = World::new();
    let token = world.issued("ann");
    let printed = format!("{:?}", world.records);
    let verifier = format!("{:?}", token.verifier().expose());
    assert!(!printed.contains(verifier.trim_matches(['[', ']'])));
    let tables: Vec<_> = world.records.keys().map(|key| key.table).collect();
    assert_eq!(
        tables,
        [
            Table::System,
            Table::Principals,
            Table::Grants,
            Table::Events
        ]
    );
}
