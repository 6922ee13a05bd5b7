//! Hazard: a flood of anonymous sessions fills the memory, or drives out whoever is logged in.
//!
//! `COUNTERSIGN_FLOOD=1000000` makes it the full size; the default is a hundredth of it.

use crate::support::{World, why};
use countersign_sessions::EndedBy;

#[test]
fn a_flood_keeps_within_its_bound_and_everybody_logged_in_stays() {
    let asked = std::env::var("COUNTERSIGN_FLOOD").ok();
    let flood: u64 = asked.and_then(|asked| asked.parse().ok()).unwrap_or(10_000);
    let bound = flood / 10;
    let world = World::new(|policy| {
        policy.max_sessions = 2 * bound;
        policy.max_anonymous = bound;
        policy.max_ended = bound;
    });
    let logged_in: Vec<_> = (0..bound / 2)
        .map(|n| world.log_in(&format!("p{n}")))
        .collect();
    let mut evicted = 0;
    for n in 0..flood {
        world.set(crate::support::START.after(std::time::Duration::from_millis(n)));
        let done = world.try_start();
        assert!(done.ended.iter().all(|ended| ended.by == EndedBy::Room));
        assert!(done.ended.iter().all(|ended| ended.owner.is_none()));
        evicted += done.ended.len() as u64;
        done.outcome.unwrap();
        let (_, anonymous) = world.table.len();
        assert!(anonymous <= bound);
    }
    assert_eq!(evicted, flood - bound);
    assert_eq!(world.table.len(), (bound + bound / 2, bound));
    for opened in &logged_in {
        assert_eq!(why(&world.touch(&opened.token)), "in");
    }
    // What is remembered of the flood is bounded as well, up to a grave for each shard.
    assert!(world.table.remembered() as u64 <= bound + 2 * world.table.pages() as u64);
}
