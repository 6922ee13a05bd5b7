//! Hazard: a device that was told to be forgotten and is not, or one that is forgotten with
//! another.

use super::device::Told;
use crate::decision::Setting;
use crate::event::EventKind;
use crate::kind::CredentialKind;
use crate::principal::PrincipalRecord;
use crate::principals::PrincipalAction;
use crate::record::{Change, Expect, Key, Purpose};
use crate::remember::{self, SeriesState, ends_sessions, is_usable, state_of};
use crate::secret::Fresh;
use crate::series::SeriesEndCause;
use crate::switches::SwitchAction;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use crate::world::{DAY, HOUR, World};

#[test]
fn revoking_one_ends_it_for_good_and_no_other() {
    let mut world = World::new();
    let (one, other) = (world.started("ann"), world.started("ann"));
    world.pass(HOUR);
    assert!(!world.end_series(&one).already);
    assert_eq!(world.shows(&one), Told::No(Rejection::Revoked));
    assert_eq!(world.list("ann")[0].ends_at, world.now);
    assert_eq!(world.shows(&other), Told::Rotated);
    let before = world.series(one.selector());
    world.pass(HOUR);
    assert!(world.end_series(&one).already);
    assert_eq!(world.series(one.selector()), before);
}

#[test]
fn a_principal_whose_record_is_gone_does_not_stop_a_revocation() {
    let mut world = World::new();
    let token = world.started("ann");
    world.records.remove(&world.principal_key("ann"));
    assert!(!world.end_series(&token).already);
    assert_eq!(world.end_cause(&token), Some(SeriesEndCause::Revoked(None)));
}

#[test]
fn forgetting_everywhere_is_one_batch_and_leaves_others_alone() {
    let mut world = World::new();
    let devices: Vec<_> = (0..3).map(|_| world.started("ann")).collect();
    let bobs = world.started("bob");
    let token = world.issued("ann");
    world.end_series(&devices[1]);
    let decision = world.decide_forget("ann", None);
    assert_eq!(
        (decision.outcome, decision.batch.purpose),
        (2, Purpose::Deny)
    );
    assert!(
        decision
            .batch
            .events()
            .all(|event| event.kind == EventKind::Revoked)
    );
    assert_eq!(decision.batch.events().count(), 2);
    world.commit(decision.batch);
    for device in &devices {
        assert_eq!(world.shows(device), Told::No(Rejection::Revoked));
    }
    assert_eq!(
        (world.shows(&bobs), world.check(&token)),
        (Told::In, Ok(()))
    );
    // The list tells so of the devices and of nothing else, and is written no more than once.
    let now = world.now;
    for entry in world.list("ann") {
        let is_device = entry.kind == CredentialKind::Remember;
        assert_eq!(entry.ends_at <= now, is_device, "{entry:?}");
    }
    let again = world.decide_forget("ann", None);
    assert_eq!(again.outcome, 0);
    let changes = again.batch.writes.iter().map(|write| &write.change);
    assert_eq!(changes.collect::<Vec<_>>(), [&Change::Keep]);
}

#[test]
fn the_device_that_asks_may_stay() {
    let mut world = World::new();
    let devices: Vec<_> = (0..3).map(|_| world.started("ann")).collect();
    assert_eq!(world.forget("ann", Some(devices[1].selector())), 2);
    let told = devices
        .iter()
        .map(|device| world.shows(device))
        .collect::<Vec<_>>();
    let revoked = Told::No(Rejection::Revoked);
    assert_eq!(told, [revoked, Told::In, revoked]);
}

#[test]
fn a_device_remembered_or_rotated_meanwhile_is_not_missed() {
    let meanwhile: [fn(&mut World, &SplitToken); 2] = [
        |world, _| drop(world.started("ann")),
        |world, token| drop(world.rotated(token)),
    ];
    for happen in meanwhile {
        let mut world = World::new();
        let token = world.started("ann");
        world.pass(HOUR);
        let decision = world.decide_forget("ann", None);
        happen(&mut world, &token);
        assert!(!world.holds(&decision.batch));
    }
    // Also where there was nothing to forget, and where a record was merely not handed in.
    let mut world = World::new();
    let token = world.started("ann");
    world.end_series(&token);
    let decision = world.decide_forget("ann", None);
    world.started("ann");
    assert!(!world.holds(&decision.batch));
    let (system, ann) = (world.system(), world.principal("ann").unwrap());
    let mut fresh = Fresh::new([7; Fresh::LEN]);
    let setting = world.setting(&system);
    let decision = remember::forget(&setting, &mut fresh, &ann, None, &[], None).unwrap();
    assert!(!world.holds(&decision.batch));
}

#[test]
fn a_thousand_devices_are_forgotten_in_a_batch_that_a_store_takes() {
    let mut world = World::with_policy(|draft| draft.remember_me.max_series_per_principal = 1000);
    for _ in 0..1000 {
        world.started("ann");
    }
    let decision = world.decide_forget("ann", None);
    assert_eq!(decision.outcome, 1000);
    assert!(
        decision.batch.writes.len() <= 2001,
        "{}",
        decision.batch.writes.len()
    );
    world.commit(decision.batch);
}

type Ending = fn(&mut World, &SplitToken);

#[test]
fn states_are_those_that_a_presentation_finds() {
    let endings: [(Ending, SeriesState); 9] = [
        (|_, _| {}, SeriesState::Live),
        (
            |world, token| drop(world.end_series(token)),
            SeriesState::Revoked,
        ),
        (
            |world, _| world.act("ann", PrincipalAction::Revoke),
            SeriesState::Revoked,
        ),
        (
            |world, _| world.act("ann", PrincipalAction::Disable),
            SeriesState::Live,
        ),
        (
            |world, _| world.switch_remember_me(SwitchAction::Off),
            SeriesState::Revoked,
        ),
        (
            |world, _| world.pass(DAY.saturating_mul(14)),
            SeriesState::Expired,
        ),
        (
            |world, token| {
                world.pass(DAY.saturating_mul(14));
                let _ = world.shows(token);
            },
            SeriesState::Expired,
        ),
        (
            |world, token| {
                world.pass(HOUR);
                let next = world.rotated(token);
                world.pass(HOUR);
                drop(world.rotated(&next));
                let _ = world.shows(token);
            },
            SeriesState::Reused,
        ),
        (
            |world, _| drop(world.records.remove(&world.principal_key("ann"))),
            SeriesState::Revoked,
        ),
    ];
    for (at, (end, state)) in endings.into_iter().enumerate() {
        let mut world = World::new();
        let token = world.started("ann");
        end(&mut world, &token);
        let (system, ann) = (world.system(), world.principal("ann"));
        let series = world.series(token.selector()).unwrap().record;
        let setting: Setting<'_> = world.setting(&system);
        let ann = ann.map(|found| found.record);
        assert_eq!(
            state_of(&setting, &series, ann.as_ref()),
            state,
            "ending {at}"
        );
        let usable = ann.is_some_and(|ann| is_usable(&setting, &series, &ann));
        assert_eq!(
            usable,
            world.decide_present(&token).outcome.is_ok(),
            "ending {at}"
        );
    }
}

#[test]
fn scripts_read_one_of_four_words_for_a_state() {
    let words = ["live", "revoked", "reused", "expired"];
    assert_eq!(SeriesState::ALL.map(SeriesState::name), words);
    assert_eq!(SeriesState::ALL.map(|state| state.to_string()), words);
}

#[test]
fn a_revocation_expects_just_what_was_decided_upon() {
    let mut world = World::new();
    let token = world.started("ann");
    world.pass(HOUR);
    let version = world.series(token.selector()).unwrap().version;
    let (system, ann) = (world.system(), world.principal("ann"));
    let series = world.series(token.selector()).unwrap();
    let filed = remember::FiledSeries {
        selector: token.selector(),
        version,
        series: &series.record,
    };
    let mut fresh = Fresh::new([3; Fresh::LEN]);
    let setting = world.setting(&system);
    let decision = remember::revoke(&setting, &mut fresh, filed, ann.as_ref(), None).unwrap();
    drop(world.rotated(&token));
    assert!(
        !world.holds(&decision.batch),
        "a rotation must not undo a revocation"
    );
    let expect = Expect::Version(version);
    let key = Key::series(token.selector());
    assert!(
        decision
            .batch
            .writes
            .iter()
            .any(|w| (w.key, w.expect) == (key, expect))
    );
}

#[test]
fn changed_credentials_end_what_log_ins_opened_and_nothing_else() {
    let mut world = World::new();
    let (token, device) = (world.issued("ann"), world.started("ann"));
    let before = world.principal("ann").unwrap().record;
    world.act("ann", PrincipalAction::CredentialsChanged);
    let after = world.principal("ann").unwrap().record;
    assert_eq!(after.epoch, before.epoch);
    assert!(after.logins.number() > before.logins.number());
    assert_eq!(world.check(&token), Ok(()));
    assert_eq!(world.shows(&device), Told::No(Rejection::Revoked));
    let now = world.now;
    let ended = |record: &PrincipalRecord| -> Vec<bool> {
        let all = record.credentials.iter();
        all.map(|entry| entry.ends_at <= now).collect()
    };
    assert_eq!(ended(&after), [false, true]);
    // Both epochs move on when everything ends.
    world.act("ann", PrincipalAction::Revoke);
    let last = world.principal("ann").unwrap().record;
    assert!(last.logins.number() > after.logins.number());
    assert!(last.epoch.number() > after.epoch.number());
}

#[test]
fn sessions_end_with_a_device_that_was_shut_out_in_one_way_or_in_several() {
    let ends = |world: &World, token: &SplitToken| {
        let (system, ann) = (world.system().record, world.principal("ann").unwrap());
        let series = world.series(token.selector()).unwrap().record;
        ends_sessions(&system, ann.record.logins, &series)
    };
    let mut world = World::new();
    let token = world.started("ann");
    assert!(!ends(&world, &token));
    world.pass(400 * DAY);
    assert!(!ends(&world, &token), "its time is over, and that is all");
    world.act("ann", PrincipalAction::Revoke);
    assert!(ends(&world, &token));
    world.end_series(&token);
    assert!(ends(&world, &token), "in both ways at once");
    let mut world = World::new();
    let token = world.started("ann");
    world.end_series(&token);
    assert!(ends(&world, &token), "by itself alone");
}
