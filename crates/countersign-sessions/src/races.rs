//! Hazard: two calls meet in the table, and a session that has ended is used, two of one limit
//! live, or calls wait for each other. Modelled with shuttle: thousands of orders in which the
//! threads can meet.

use crate::{
    AttributeChange, AttributeName, Denied, EndedBy, LogIn, Method, Moment, Opened, Privilege,
    SessionTable, Timeouts, Value,
};
use core::time::Duration;
use countersign_core::policy::{Draft, SessionPolicy};
use countersign_core::{EpochStamp, Fresh, KeyMaterial, Keyring, Principal, Timestamp};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread;
use std::sync::Arc;

const ORDERS: usize = 300;
const START: Timestamp = Timestamp::from_millis(1_795_341_296_789);

struct World {
    table: SessionTable,
    keyring: Keyring,
    policy: SessionPolicy,
}

impl World {
    fn new(change: impl FnOnce(&mut SessionPolicy)) -> Arc<Self> {
        let mut draft = Draft::default();
        (draft.sessions.max_sessions, draft.sessions.max_anonymous) = (100, 100);
        draft.sessions.max_ended = 1000;
        change(&mut draft.sessions);
        let policy = draft.build().unwrap().sessions().clone();
        let keyring = Keyring::new(&KeyMaterial::generate(START, [1; 32], [2; 32]));
        let table = SessionTable::new(&policy, &keyring);
        Arc::new(Self {
            table,
            keyring,
            policy,
        })
    }

    fn at(&self, after: Duration) -> Moment<'_> {
        Moment {
            now: START.after(after),
            keyring: &self.keyring,
            policy: &self.policy,
        }
    }

    fn moment(&self) -> Moment<'_> {
        self.at(Duration::ZERO)
    }

    fn log_in(&self, who: &str, seed: u8, from: Option<&Opened>) -> Result<Opened, Denied> {
        let login = LogIn {
            principal: &Principal::new(who).unwrap(),
            method: Method::Password,
            fresh_for: Duration::ZERO,
            stamp: EpochStamp::default(),
            timeouts: Timeouts::default(),
            ends_by: None,
            series: None,
            carry: &[],
        };
        let from = from.map(|opened| &opened.session);
        let done = self
            .table
            .log_in(&self.moment(), &mut fresh(seed), from, &login);
        done.outcome
    }

    fn start(&self, seed: u8) -> Result<Opened, Denied> {
        let timeouts = Timeouts::default();
        let done = self
            .table
            .start(&self.moment(), &mut fresh(seed), 0, timeouts);
        done.outcome
    }

    /// How many sessions there are, seen one by one: the counts must say the same.
    fn counted(&self) -> usize {
        let pages = 0..self.table.pages();
        let all = pages.map(|page| self.table.page(&self.moment(), page).outcome.len());
        let all: usize = all.sum();
        assert_eq!(self.table.len().0, all as u64);
        all
    }
}

fn fresh(seed: u8) -> Fresh {
    Fresh::new(core::array::from_fn(|at| {
        let at = u8::try_from(at).unwrap();
        seed.wrapping_mul(31).wrapping_add(at.wrapping_mul(7))
    }))
}

fn add(attribute: &str) -> [AttributeChange; 1] {
    [AttributeChange::Add(
        AttributeName::new(attribute).unwrap(),
        1,
    )]
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(model, ORDERS);
}

#[test]
fn what_has_ended_is_neither_touched_nor_updated() {
    check(|| {
        let world = World::new(|_| ());
        let opened = Arc::new(world.log_in("ann", 1, None).unwrap());
        let selector = opened.session.selector();
        let over = Arc::new(AtomicBool::new(false));
        let ending = {
            let (world, over) = (Arc::clone(&world), Arc::clone(&over));
            thread::spawn(move || {
                let by = EndedBy::Principal;
                let done = world.table.end(&world.moment(), selector, by);
                assert_eq!(done.ended.len(), 1);
                over.store(true, Ordering::SeqCst);
            })
        };
        let using = {
            let (world, over) = (Arc::clone(&world), Arc::clone(&over));
            thread::spawn(move || {
                for _ in 0..2 {
                    let was_over = over.load(Ordering::SeqCst);
                    let touched = world.table.touch(&world.moment(), &opened.token);
                    let update = world.table.update(&world.moment(), selector, &add("n"));
                    if was_over {
                        assert!(touched.outcome.is_err() && update.outcome.is_err());
                    }
                }
            })
        };
        ending.join().unwrap();
        using.join().unwrap();
        assert_eq!(world.counted(), 0);
    });
}

#[test]
fn two_updates_both_win() {
    check(|| {
        let world = World::new(|_| ());
        let opened = world.log_in("ann", 1, None).unwrap();
        let selector = opened.session.selector();
        let threads = ["a", "b"].map(|attribute| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let changes = [add("both"), add(attribute)].concat();
                let done = world.table.update(&world.moment(), selector, &changes);
                assert!(done.outcome.is_ok());
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        let live = world.table.touch(&world.moment(), &opened.token).outcome;
        let live = live.unwrap();
        let found = |name| live.attributes().find(name).cloned();
        assert_eq!(found("both"), Some(Value::Integer(2)));
        assert!(found("a").is_some() && found("b").is_some());
    });
}

#[test]
fn of_two_renewals_one_wins_and_its_token_is_the_one() {
    check(|| {
        let world = World::new(|_| ());
        let opened = Arc::new(world.log_in("ann", 1, None).unwrap());
        let threads = [2, 3].map(|seed| {
            let (world, opened) = (Arc::clone(&world), Arc::clone(&opened));
            thread::spawn(move || {
                let (moment, live) = (world.moment(), &opened.session);
                let privilege = Privilege::Changed;
                let done = world
                    .table
                    .renew(&moment, &mut fresh(seed), live, privilege);
                done.outcome
            })
        });
        let [one, two] = threads.map(|thread| thread.join().unwrap());
        let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
        assert_eq!(lost.unwrap_err(), Denied::Renewed);
        let won = won.unwrap();
        let touch = |token| world.table.touch(&world.moment(), token).outcome;
        assert!(touch(&won.token).is_ok());
        assert!(touch(&opened.token).is_err());
    });
}

#[test]
fn a_limit_of_one_holds_for_two_log_ins_at_once() {
    check(|| {
        let world = World::new(|policy| policy.max_per_principal = 1);
        let threads = [1, 2].map(|seed| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.log_in("ann", seed, None).unwrap())
        });
        let tokens = threads.map(|thread| thread.join().unwrap().token);
        let living = tokens.iter().filter(|token| {
            let touched = world.table.touch(&world.moment(), token);
            touched.outcome.is_ok()
        });
        assert_eq!(living.count(), 1);
        assert_eq!(world.counted(), 1);
    });
}

#[test]
fn a_bound_of_one_holds_for_two_visitors_at_once() {
    check(|| {
        let world = World::new(|policy| policy.max_anonymous = 1);
        let threads = [1, 2].map(|seed| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let _opened = world.start(seed);
                assert!(world.table.len().1 <= 1);
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(world.counted(), 1);
    });
}

#[test]
fn logging_in_across_shards_both_ways_locks_nothing_up() {
    check(|| {
        let world = World::new(|_| ());
        let sessions = [
            world.log_in("ann", 1, None).unwrap(),
            world.log_in("bob", 2, None).unwrap(),
        ];
        let [anns, bobs] = sessions.map(Arc::new);
        let threads = [("bob", 3, &anns), ("ann", 4, &bobs)].map(|(who, seed, from)| {
            let (world, from) = (Arc::clone(&world), Arc::clone(from));
            thread::spawn(move || world.log_in(who, seed, Some(&from)).unwrap())
        });
        let ending = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let ann = Principal::new("ann").unwrap();
                let by = EndedBy::Operator;
                world.table.end_all(&world.moment(), &ann, by).len()
            })
        };
        for thread in threads {
            thread.join().unwrap();
        }
        let ended = ending.join().unwrap();
        assert!(ended <= 2);
        for old in [&anns, &bobs] {
            let touched = world.table.touch(&world.moment(), &old.token);
            assert!(touched.outcome.is_err(), "the session before is over");
        }
        assert!((1..=2).contains(&world.counted()));
    });
}

#[test]
fn after_a_rotation_of_peppers_every_request_with_a_good_token_is_let_in() {
    check(|| {
        let world = World::new(|_| ());
        let opened = Arc::new(world.log_in("ann", 1, None).unwrap());
        let material = KeyMaterial::generate(START, [1; 32], [2; 32]);
        let rotated = Keyring::new(&material.rotated(START, [3; 32]).unwrap());
        let rotated = Arc::new(rotated);
        let threads = [(); 3].map(|()| {
            let (world, opened) = (Arc::clone(&world), Arc::clone(&opened));
            let rotated = Arc::clone(&rotated);
            thread::spawn(move || {
                let moment = Moment {
                    keyring: &rotated,
                    ..world.moment()
                };
                let peeked = world.table.peek(&moment, &opened.token).outcome;
                let seen = world.table.seen(&moment, &peeked.unwrap()).outcome;
                assert!(seen.is_ok(), "{seen:?}");
                assert!(world.table.touch(&moment, &opened.token).outcome.is_ok());
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_renewal_is_never_undone_by_a_digest_under_the_new_pepper() {
    check(|| {
        let world = World::new(|_| ());
        let opened = Arc::new(world.log_in("ann", 1, None).unwrap());
        let material = KeyMaterial::generate(START, [1; 32], [2; 32]);
        let rotated = Keyring::new(&material.rotated(START, [3; 32]).unwrap());
        let rotated = Arc::new(rotated);
        let using = {
            let (world, opened) = (Arc::clone(&world), Arc::clone(&opened));
            let rotated = Arc::clone(&rotated);
            thread::spawn(move || {
                let moment = Moment {
                    keyring: &rotated,
                    ..world.moment()
                };
                let _either = world.table.touch(&moment, &opened.token);
            })
        };
        let moment = Moment {
            keyring: &rotated,
            ..world.moment()
        };
        let (live, privilege) = (&opened.session, Privilege::Same);
        let renewed = world.table.renew(&moment, &mut fresh(2), live, privilege);
        using.join().unwrap();
        let touch = |token| world.table.touch(&moment, token).outcome;
        // The one that used it was first, or the one that renewed it was.
        if let Ok(renewed) = renewed.outcome {
            assert!(touch(&renewed.token).is_ok());
            assert!(touch(&opened.token).is_err());
        } else {
            assert!(touch(&opened.token).is_ok());
        }
    });
}

#[test]
fn the_sweep_and_a_last_use_agree_on_who_was_first() {
    check(|| {
        let world = World::new(|_| ());
        let opened = Arc::new(world.log_in("ann", 1, None).unwrap());
        let idle = world.policy.idle_timeout;
        let before = idle.saturating_sub(Duration::from_secs(1));
        let using = {
            let (world, opened) = (Arc::clone(&world), Arc::clone(&opened));
            thread::spawn(move || {
                let touched = world.table.touch(&world.at(before), &opened.token);
                touched.outcome.is_ok()
            })
        };
        let swept = world.table.sweep(&world.at(idle), usize::MAX);
        let used = using.join().unwrap();
        let ended = swept.ended.len();
        assert!(used || ended == 1);
        let after = world.table.peek(&world.at(idle), &opened.token);
        assert_eq!(after.outcome.is_ok(), ended == 0, "it was told as it is");
    });
}
