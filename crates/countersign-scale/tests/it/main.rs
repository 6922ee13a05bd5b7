//! A short day of few nodes: that it keeps the bound, and tells when a rule is broken.

use countersign_scale::day::{Outcome, simulate};
use countersign_scale::plan::{Harm, Plan};
use std::sync::OnceLock;

fn day(harm: Harm) -> Outcome {
    let plan = Plan {
        harm,
        ..Plan::smoke()
    };
    simulate(&plan, |_, _| ())
}

fn sound() -> &'static Outcome {
    static OUTCOME: OnceLock<Outcome> = OnceLock::new();
    OUTCOME.get_or_init(|| day(Harm::None))
}

#[test]
fn nobody_is_let_in_beyond_the_bound_whatever_befalls_the_day() {
    let outcome = sound();
    assert_eq!(outcome.violations(), 0, "{outcome:?}");
    // It was tried, and not in vain: some were let in after the acknowledgement.
    for late in [outcome.one, outcome.mass, outcome.principal] {
        assert!(late.count > 0, "{outcome:?}");
    }
    assert!(
        outcome.one.worst > 0.0 && outcome.one.count > 50,
        "{outcome:?}"
    );
    // Nodes that were cut off heard of some far beyond it: their leases were what kept the bound.
    assert!(outcome.heard.beyond > 0, "{outcome:?}");
}

#[test]
fn a_lease_that_is_renewed_by_reads_is_told_of() {
    let outcome = day(Harm::RenewedByReads);
    assert!(outcome.violations() > 0, "{outcome:?}");
}

#[test]
fn a_cache_that_is_told_of_nothing_is_told_of() {
    let outcome = day(Harm::Deaf);
    assert!(outcome.violations() > 0, "{outcome:?}");
}

#[test]
fn a_seed_makes_the_same_day_and_another_seed_another() {
    assert_eq!(&day(Harm::None), sound());
    let other = Plan {
        seed: 2,
        ..Plan::smoke()
    };
    let other = simulate(&other, |_, _| ());
    assert_ne!(other.events, sound().events);
    assert_eq!(other.violations(), 0, "{other:?}");
}

#[test]
fn what_it_counts_hangs_together() {
    let outcome = sound();
    let all = outcome.hours.first().unwrap();
    assert_eq!(outcome.hours.len(), 1);
    assert!(all.hits <= all.verified && all.admitted <= all.verified);
    assert!(all.beats <= all.looks && all.log_reads <= all.looks);
    assert!(all.usages <= all.rows && all.commits <= all.entries);
    // Four renewals a second at each node, but for those that could not.
    let seconds = outcome.plan.seconds * outcome.plan.nodes as u64;
    assert!((2 * seconds..6 * seconds).contains(&all.beats), "{all:?}");
    assert!(all.hit_rate() > 0.5, "{all:?}");
}
