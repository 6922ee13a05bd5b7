//! Hazard: a sweep that misses somebody, ends somebody too early, or takes too long (E17).

use crate::support::{HOUR, World, by};
use countersign_sessions::EndedBy;

#[test]
fn a_sweep_ends_what_is_due_and_nothing_else() {
    let world = World::new(|_| ());
    let due: Vec<_> = (0..500).map(|n| world.log_in(&format!("p{n}"))).collect();
    let used: Vec<_> = (0..500).map(|n| world.log_in(&format!("q{n}"))).collect();
    world.pass(4 * HOUR);
    for opened in &used {
        world.touch(&opened.token).unwrap();
    }
    assert!(world.sweep_all().is_empty());
    world.pass(HOUR);
    let ended = world.sweep_all();
    assert_eq!(by(&ended), [EndedBy::Idle; 500]);
    assert!(due.iter().all(|opened| world.peek(&opened.token).is_err()));
    assert!(used.iter().all(|opened| world.peek(&opened.token).is_ok()));
    assert_eq!(world.table.len(), (500, 0));
    // Their deadlines are stated anew: nobody is looked at again until they could be due.
    let swept = world.table.sweep(&world.moment(), usize::MAX);
    assert_eq!((swept.looked_at, swept.came_round), (0, true));
}

#[test]
fn a_piece_of_the_sweep_keeps_to_its_budget_and_the_pieces_come_round() {
    let world = World::new(|_| ());
    for n in 0..2000 {
        world.log_in(&format!("p{}", n / 50));
    }
    world.pass(5 * HOUR);
    let (mut ended, mut pieces) = (0, 0);
    loop {
        let swept = world.table.sweep(&world.moment(), 100);
        assert!(swept.ended.len() <= 100 && swept.looked_at <= 100);
        ended += swept.ended.len();
        pieces += 1;
        if swept.came_round {
            break;
        }
    }
    assert_eq!(ended, 2000);
    assert!((20..100).contains(&pieces), "{pieces}");
    assert_eq!(world.table.len(), (0, 0));
}

#[test]
fn with_the_smallest_budget_it_still_comes_round() {
    let mut world = World::new(|_| ());
    for n in 0..50 {
        world.log_in(&format!("p{n}"));
    }
    // A close look at everybody, one by one.
    let _first = world.table.sweep(&world.moment(), usize::MAX);
    world.policy.idle_timeout = HOUR;
    world.pass(HOUR);
    let mut ended = 0;
    for _ in 0..3 * world.table.pages() {
        let swept = world.table.sweep(&world.moment(), 0);
        assert!(swept.looked_at <= 1);
        ended += swept.ended.len();
    }
    assert_eq!(ended, 50);
}
