//! Hazard: counts, bounds and the principal index drift apart when everything happens at once.

use crate::support::{World, login, principal};
use countersign_sessions::{EndedBy, Method, Owner, Privilege};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// After any mix of calls: the counts are those of what is there.
fn check(world: &World) {
    let pages = 0..world.table.pages();
    let all: Vec<_> = pages
        .flat_map(|page| world.table.page(&world.moment(), page).outcome)
        .collect();
    let anonymous = all.iter().filter(|one| one.owner.is_none()).count();
    assert_eq!(world.table.len(), (all.len() as u64, anonymous as u64));
    for who in 0..4 {
        let who = format!("p{who}");
        let theirs = all.iter().filter(|one| {
            let owner = one.owner.as_ref().map(Owner::as_str);
            owner == Some(who.as_str())
        });
        assert_eq!(theirs.count(), world.names(&who), "{who}");
    }
}

#[test]
fn every_call_at_once_leaves_the_table_in_agreement_with_itself() {
    for round in 0..10 {
        let world = World::new(|policy| {
            policy.max_sessions = 60;
            policy.max_anonymous = 30;
            policy.max_per_principal = 12;
            policy.max_ended = 64;
        });
        let turn = AtomicUsize::new(round);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..400 {
                        act(&world, turn.fetch_add(7, Ordering::Relaxed));
                        let (all, anonymous) = world.table.len();
                        assert!(all <= 60 && anonymous <= 30);
                    }
                });
            }
        });
        check(&world);
    }
}

fn act(world: &World, turn: usize) {
    let who = principal(&format!("p{}", turn % 4));
    let (moment, mut fresh) = (world.moment(), world.fresh());
    match turn % 9 {
        0..=2 => {
            let _started = world.try_start();
        }
        3 => {
            let anonymous = world.try_start().outcome;
            let from = anonymous.as_ref().ok().map(|opened| &opened.session);
            let _in = world.log_in_as(from, &login(&who));
        }
        4 | 5 => {
            let Ok(opened) = world.log_in_as(None, &login(&who)).outcome else {
                return;
            };
            let live = &opened.session;
            let privilege = Privilege::Changed;
            let _renewed = world.table.renew(&moment, &mut fresh, live, privilege);
            let soon = Duration::from_secs(5);
            let mut fresh = world.fresh();
            let _late = world
                .table
                .elevate(&moment, &mut fresh, live, Method::Password, soon);
        }
        6 => drop(world.table.end_all(&moment, &who, EndedBy::Operator)),
        7 => drop(world.table.sweep(&moment, 10)),
        _ => world.pass(Duration::from_secs(1200)),
    }
}
