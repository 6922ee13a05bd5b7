//! Hazard: a wrong verdict, or a reason in the audit log that is not the true one.

use crate::access::HashedToken;
use crate::grant::Expiry;
use crate::keys::{KeyId, KeyMaterial, Keyring};
use crate::kind::CredentialKind;
use crate::principal::Principal;
use crate::principals::PrincipalAction;
use crate::record::Key;
use crate::scope::Scope;
use crate::switches::SwitchAction;
use crate::time::Timestamp;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use crate::work::{self, Work};
use crate::world::{DAY, HOUR, START, World, as_kind, copy, request, scope, scopes, with_verifier};
use core::time::Duration;

/// A token that is good, and what is presented in the end.
struct Case {
    world: World,
    presented: SplitToken,
    scope: Option<Scope>,
}

impl Case {
    fn new() -> Self {
        let mut world = World::new();
        let presented = world.issue("ann", Expiry::At(START.after(DAY))).unwrap();
        Self {
            world,
            presented,
            scope: Some(scope("repo:read")),
        }
    }

    fn verdict(&self) -> Result<(), Rejection> {
        self.world.check_for(&self.presented, self.scope.as_ref())
    }
}

type Fault = (fn(&mut Case), Rejection);

/// Everything that can be wrong with a presented token; what stands first is told first.
const FAULTS: [Fault; 12] = [
    (
        |c| drop(c.world.records.remove(&Key::grant(c.presented.selector()))),
        Rejection::Unknown,
    ),
    (
        |c| drop(c.world.records.remove(&c.world.principal_key("ann"))),
        Rejection::Unknown,
    ),
    (
        |c| drop(c.world.records.remove(&Key::SYSTEM)),
        Rejection::Unknown,
    ),
    (
        |c| c.presented = with_verifier(&c.presented, 0),
        Rejection::Mismatch,
    ),
    (
        |c| c.presented = as_kind(&c.presented, CredentialKind::Remember),
        Rejection::Mismatch,
    ),
    (
        |c| c.world.switch(SwitchAction::Off),
        Rejection::SwitchedOff,
    ),
    (
        |c| c.world.act("ann", PrincipalAction::Disable),
        Rejection::Disabled,
    ),
    (
        |c| assert!(!c.world.revoke(&copy(&c.presented))),
        Rejection::Revoked,
    ),
    (
        |c| c.world.act("ann", PrincipalAction::Revoke),
        Rejection::Revoked,
    ),
    (
        |c| c.world.switch(SwitchAction::RevokeAll),
        Rejection::Revoked,
    ),
    (|c| c.world.pass(DAY), Rejection::Expired),
    (|c| c.scope = Some(scope("repo:write")), Rejection::Scope),
];

#[test]
fn a_good_token_is_accepted() {
    let mut case = Case::new();
    assert_eq!(case.verdict(), Ok(()));
    case.scope = None;
    assert_eq!(case.verdict(), Ok(()));
}

#[test]
fn each_fault_alone_is_told_by_its_own_reason() {
    for (at, (spoil, reason)) in FAULTS.iter().enumerate() {
        let mut case = Case::new();
        spoil(&mut case);
        assert_eq!(case.verdict(), Err(*reason), "fault {at}");
    }
}

#[test]
fn of_two_faults_the_first_in_the_order_of_reasons_is_told() {
    // A record that is gone cannot be changed any more, so what removes records goes second.
    for (later, (spoil_later, _)) in FAULTS.iter().enumerate() {
        for (spoil, reason) in &FAULTS[..later] {
            let mut case = Case::new();
            spoil_later(&mut case);
            spoil(&mut case);
            assert_eq!(case.verdict(), Err(*reason), "with fault {later}");
        }
    }
}

#[test]
fn a_wrong_secret_is_a_mismatch_whatever_else_is_wrong_and_changes_nothing() {
    let mut case = Case::new();
    case.world.revoke(&copy(&case.presented));
    let before = case.world.records.clone();
    case.presented = with_verifier(&case.presented, 9);
    assert_eq!(case.verdict(), Err(Rejection::Mismatch));
    assert_eq!(case.world.records, before);
}

#[test]
fn from_the_millisecond_of_its_expiry_on_a_token_is_dead() {
    let ms = Duration::from_millis(1);
    for (moment, expected) in [
        (START.after(DAY).before(ms), Ok(())),
        (START.after(DAY), Err(Rejection::Expired)),
        (START.after(DAY).after(ms), Err(Rejection::Expired)),
        (Timestamp::MAX, Err(Rejection::Expired)),
    ] {
        let mut case = Case::new();
        case.world.now = moment;
        assert_eq!(case.verdict(), expected, "{moment}");
    }
}

#[test]
fn without_its_pepper_a_digest_matches_nothing() {
    let mut case = Case::new();
    let material = || KeyMaterial::generate(START, [1; 32], [2; 32]).rotated(START, [3; 32]);
    case.world.keyring = Keyring::new(&material().unwrap());
    assert_eq!(case.verdict(), Ok(()), "the old pepper goes on checking");
    case.world.keyring = Keyring::new(&material().unwrap().without(|id| id == KeyId::FIRST));
    assert_eq!(case.verdict(), Err(Rejection::Mismatch));
}

#[test]
fn with_one_pepper_or_with_several_whatever_is_presented_is_hashed_and_compared_once() {
    let one = || KeyMaterial::generate(START, [1; 32], [2; 32]);
    let two = || one().rotated(START, [3; 32]).unwrap();
    let nothing: Fault = (|_| (), Rejection::Unknown);
    for (is_good, (fault, _)) in FAULTS
        .iter()
        .map(|fault| (false, fault))
        .chain([(true, &nothing)])
    {
        for material in [one(), two()] {
            let mut case = Case::new();
            case.world.keyring = Keyring::new(&material);
            fault(&mut case);
            let (verdict, done) = work::of(|| case.verdict());
            let once = Work {
                hashes: 1,
                comparisons: 1,
            };
            assert_eq!((verdict.is_ok(), done), (is_good, once), "{verdict:?}");
        }
    }
}

#[test]
fn a_digest_of_the_pepper_that_stands_in_for_a_lost_one_is_no_match() {
    // The record names pepper 9, which nobody holds, and its digest was made under the current
    // one: exactly what hashing under the stand-in gives.
    let mut case = Case::new();
    case.world.tamper(&copy(&case.presented), |grant| {
        grant.key_id = KeyId::new(9).unwrap();
    });
    assert_eq!(case.verdict(), Err(Rejection::Mismatch));
}

#[test]
fn a_grant_that_names_another_principal_than_the_record_found_is_unknown() {
    let mut world = World::new();
    let token = world.issued("ann");
    world.issued("bob");
    let grant = world.grant(token.selector()).unwrap().record;
    let bob = world.principal("bob").unwrap().record;
    let system = world.system().record;
    let presented = crate::access::Presented {
        token: HashedToken::new(&world.keyring, &token),
        grant: Some(&grant),
        principal: Some(&bob),
        system: Some(&system),
        scope: None,
    };
    let decoy = crate::access::Decoy::new().unwrap();
    let verdict = crate::access::check(world.now, &world.keyring, &world.policy, &decoy, presented);
    assert_eq!(verdict, Err(Rejection::Unknown));
}

#[test]
fn nothing_matches_the_decoy_or_belongs_to_its_principal() {
    let mut world = World::new();
    // Somebody who bears the decoy's name is not let in by it.
    world.issue("nobody", Expiry::Never).unwrap();
    let stranger = World::new().issued("ann");
    assert_eq!(world.check(&stranger), Err(Rejection::Unknown));
    assert_eq!(
        world.check(&with_verifier(&stranger, 0)),
        Err(Rejection::Unknown)
    );
}

#[test]
fn scopes_cover_what_they_name_and_no_more() {
    let check = |granted: &[&str], required: Option<&str>| {
        let mut world = World::new();
        let asked = crate::access::NewToken {
            scopes: scopes(granted),
            ..request("ann", Expiry::Never)
        };
        let token = world.issue_as(&asked).unwrap();
        let required = required.map(scope);
        world.check_for(&token, required.as_ref())
    };
    for (granted, required, expected) in [
        (&["repo:read"][..], None, Ok(())),
        (&[], None, Ok(())),
        (&[], Some("repo:read"), Err(Rejection::Scope)),
        (&["repo:*"], Some("repo:read"), Ok(())),
        (&["repo:*"], Some("repo"), Err(Rejection::Scope)),
        (&["*"], Some("anything:at:all"), Ok(())),
        (&["repo:read", "wiki"], Some("wiki"), Ok(())),
    ] {
        assert_eq!(
            check(granted, required),
            expected,
            "{granted:?} for {required:?}"
        );
    }
}

#[test]
fn off_and_on_again_revives_nothing() {
    let mut world = World::new();
    let old = world.issued("ann");
    world.switch(SwitchAction::Off);
    assert_eq!(world.check(&old), Err(Rejection::SwitchedOff));
    world.switch(SwitchAction::On);
    assert_eq!(world.check(&old), Err(Rejection::Revoked));
    let new = world.issued("ann");
    assert_eq!(
        (world.check(&new), world.check(&old)),
        (Ok(()), Err(Rejection::Revoked))
    );
}

#[test]
fn what_was_ended_on_purpose_stays_dead_when_the_clock_steps_back() {
    let endings: [fn(&mut World, &SplitToken); 5] = [
        |world, token| assert!(!world.revoke(token)),
        |world, _| world.act("ann", PrincipalAction::Revoke),
        |world, _| world.switch(SwitchAction::RevokeAll),
        |world, token| drop(world.rotate(token, Duration::ZERO).unwrap()),
        |world, _| {
            world.set_policy(|draft| {
                draft.access_tokens.max_live_per_principal = 1;
                draft.access_tokens.at_limit = crate::policy::AtLimit::EvictOldest;
            });
            drop(world.issued("ann"));
        },
    ];
    for (at, end) in endings.into_iter().enumerate() {
        let mut world = World::new();
        let token = world.issued("ann");
        world.pass(DAY);
        end(&mut world, &token);
        for _ in 0..30 {
            assert_eq!(world.check(&token), Err(Rejection::Revoked), "ending {at}");
            world.step_back(HOUR);
        }
    }
}

#[test]
fn a_record_that_was_lost_and_made_anew_revives_nothing() {
    let mut world = World::new();
    let old = world.issued("ann");
    world.act("ann", PrincipalAction::Revoke);
    world.records.remove(&world.principal_key("ann"));
    assert_eq!(world.check(&old), Err(Rejection::Unknown));
    let new = world.issued("ann");
    assert_eq!(
        (world.check(&new), world.check(&old)),
        (Ok(()), Err(Rejection::Revoked))
    );
}

#[test]
fn a_loosened_policy_gives_back_what_no_sweep_has_noted_and_nothing_else() {
    let loosen_after = |sweep: bool| {
        let mut world = World::new();
        let token = world.issued("ann");
        world.pass(DAY);
        world.set_policy(|draft| {
            draft.access_tokens.allow_never = false;
            draft.access_tokens.max_lifetime = HOUR;
        });
        assert_eq!(world.check(&token), Err(Rejection::Expired));
        if sweep {
            world.prune(&token).unwrap();
        }
        world.set_policy(|draft| draft.access_tokens.allow_never = true);
        world.check(&token)
    };
    assert_eq!(loosen_after(false), Ok(()));
    assert_eq!(loosen_after(true), Err(Rejection::Expired));
}

#[test]
fn principals_do_not_share_a_fate() {
    let mut world = World::new();
    let (ann, bob) = (world.issued("ann"), world.issued("bob"));
    world.act("ann", PrincipalAction::Revoke);
    assert_eq!(
        (world.check(&ann), world.check(&bob)),
        (Err(Rejection::Revoked), Ok(()))
    );
    assert_eq!(
        world.grant(bob.selector()).unwrap().record.principal,
        Principal::new("bob").unwrap()
    );
}
