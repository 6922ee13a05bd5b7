//! Hazard: a device that is taken for a thief's, or a thief who is taken for the device.
//!
//! Each row is a story between an owner and a thief who hold the same first secret. What each of
//! them is told follows from the table in `present.rs`, and the end of each story is that of the
//! series.

use super::device::{Told, handed, told};
use crate::series::SeriesEndCause;
use crate::token::SplitToken;
use crate::verdict::Rejection::{Reused, Unknown};
use crate::world::{World, copy};
use Told::{Again, In, No, Rotated};
use core::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many seconds pass.
    Wait(u64),
    /// The owner presents what they hold and takes what they are handed.
    Owner(Told),
    /// The same, but the answer is lost.
    Lost(Told),
    /// The thief presents what they hold and takes what they are handed.
    Thief(Told),
    /// The thief takes a copy of what the owner holds now.
    Steals,
}
use Step::{Lost, Owner, Steals, Thief, Wait};

/// `rotate_after` and `grace` of the default policy, in seconds.
const AGE: u64 = 300;
const GRACE: u64 = 60;

fn check(story: &str, steps: &[Step], ends: Option<&SeriesEndCause>) {
    let mut world = World::new();
    let other = world.started("ann");
    let mut owner = world.started("ann");
    let mut thief = copy(&owner);
    let present = |world: &mut World, held: &mut SplitToken, expected: Told, keep: bool, at| {
        let outcome = world.present(held);
        assert_eq!(told(&outcome), expected, "{story}, step {at}");
        if let Some(successor) = handed(outcome).filter(|_| keep) {
            *held = successor;
        }
    };
    for (at, step) in steps.iter().enumerate() {
        match *step {
            Wait(seconds) => world.pass(Duration::from_secs(seconds)),
            Owner(told) => present(&mut world, &mut owner, told, true, at),
            Lost(told) => present(&mut world, &mut owner, told, false, at),
            Thief(told) => present(&mut world, &mut thief, told, true, at),
            Steals => thief = copy(&owner),
        }
    }
    assert_eq!(world.end_cause(&owner).as_ref(), ends, "{story}");
    assert!(
        world.present(&other).is_ok(),
        "{story}: another device suffered"
    );
}

#[test]
fn an_owner_alone_is_never_taken_for_a_thief() {
    for (story, steps) in [
        ("young", &[Owner(In), Wait(AGE - 1), Owner(In)][..]),
        ("old", &[Wait(AGE), Owner(Rotated), Owner(In), Owner(In)]),
        (
            "day by day",
            &[
                Wait(86_400),
                Owner(Rotated),
                Wait(86_400),
                Owner(Rotated),
                Wait(86_400),
                Owner(Rotated),
            ],
        ),
        (
            "a lost answer, retried at once",
            &[Wait(AGE), Lost(Rotated), Owner(Again), Owner(In)],
        ),
        (
            "a lost answer, retried after days, and lost once more",
            &[
                Wait(AGE),
                Lost(Rotated),
                Wait(200_000),
                Lost(Again),
                Wait(200_000),
                Owner(Again),
                Owner(In),
            ],
        ),
        (
            "a successor is used at once although its first answer was lost long ago",
            &[
                Wait(AGE),
                Lost(Rotated),
                Wait(90_000),
                Owner(Again),
                Wait(1),
                Owner(In),
                Wait(AGE),
                Owner(Rotated),
            ],
        ),
        (
            "the first use of a successor comes late",
            &[
                Wait(AGE),
                Owner(Rotated),
                Wait(AGE + GRACE - 1),
                Owner(In),
                Wait(GRACE),
                Owner(Rotated),
            ],
        ),
    ] {
        check(story, steps, None);
    }
}

#[test]
fn whoever_comes_second_proves_the_reuse() {
    let reused = Some(&SeriesEndCause::Reused);
    for (story, steps, ends) in [
        (
            "the thief first, the owner after the grace",
            &[
                Wait(AGE),
                Thief(Rotated),
                Thief(In),
                Wait(GRACE),
                Owner(No(Reused)),
                Thief(No(Reused)),
            ][..],
            reused,
        ),
        (
            "the owner first, the thief after the grace",
            &[
                Wait(AGE),
                Owner(Rotated),
                Owner(In),
                Wait(GRACE),
                Thief(No(Reused)),
                Owner(No(Reused)),
            ],
            reused,
        ),
        (
            "the thief within the grace is a race, and the next one is found",
            &[
                Wait(AGE),
                Owner(Rotated),
                Owner(In),
                Wait(GRACE - 1),
                Thief(Again),
                Wait(1),
                Thief(In),
                Wait(AGE),
                Thief(Rotated),
                Thief(In),
                Wait(GRACE),
                Owner(No(Reused)),
            ],
            reused,
        ),
        (
            "a thief with a secret of two rotations ago needs no grace to be found",
            &[
                Wait(AGE),
                Owner(Rotated),
                Wait(86_400),
                Owner(Rotated),
                Thief(No(Reused)),
                Owner(No(Reused)),
            ],
            reused,
        ),
        (
            "the thief before the successor was seen gets what the owner got, and follows",
            &[
                Wait(AGE),
                Owner(Rotated),
                Wait(7200),
                Thief(Again),
                Owner(In),
                Thief(In),
            ],
            None,
        ),
        (
            "and both are found out when one of them falls behind",
            &[
                Wait(AGE),
                Owner(Rotated),
                Wait(7200),
                Thief(Again),
                Wait(7200),
                Thief(Rotated),
                Wait(7200),
                Thief(Rotated),
                Owner(No(Reused)),
                Thief(No(Reused)),
            ],
            reused,
        ),
        (
            "stolen later, used later",
            &[
                Wait(AGE),
                Owner(Rotated),
                Owner(In),
                Steals,
                Wait(86_400),
                Owner(Rotated),
                Owner(In),
                Wait(GRACE),
                Thief(No(Reused)),
            ],
            reused,
        ),
    ] {
        check(story, steps, ends);
    }
}

#[test]
fn a_secret_that_is_older_than_all_that_are_kept_is_as_good_as_a_guess() {
    let mut world = World::new();
    let first = world.started("ann");
    let mut token = copy(&first);
    for round in 1..=6u32 {
        world.pass(Duration::from_secs(86_400));
        token = world.rotated(&token);
        let series = world.series(token.selector()).unwrap().record;
        assert_eq!(series.generation, round);
        assert_eq!(series.older.len(), round.min(4) as usize);
    }
    let before = world.records.clone();
    assert_eq!(world.shows(&first), No(crate::verdict::Rejection::Mismatch));
    assert_eq!(world.records, before, "a guess changes nothing");
    let nobody = SplitToken::new(
        first.kind(),
        crate::selector::Selector::mint(world.now, crate::selector::ShardTag::NONE, [7; 8]),
        crate::secret::Verifier::from_bytes(*first.verifier().expose()),
    );
    assert_eq!(world.shows(&nobody), No(Unknown));
    assert_eq!(world.records, before);
}
