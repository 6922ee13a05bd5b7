//! Hazard: a record that was read before a change enters the cache after it, and lets somebody in
//! who was revoked. Modelled with shuttle: thousands of orders in which the threads can meet.

mod alone;

use super::*;
use countersign_core::image::AttachmentId;
use countersign_core::{
    Digest, Epoch, EpochStamp, Expiry, KeyId, Principal, PrincipalRecord, ScopeSet, ShardTag,
    TokenName,
};
use shuttle::thread;

fn selector(n: u8) -> Selector {
    Selector::mint(Timestamp::ZERO, ShardTag::NONE, [n; 8])
}

fn grant(number: u32) -> Grant {
    Grant {
        principal: Principal::new("ann").unwrap(),
        name: TokenName::new("ci").unwrap(),
        scopes: ScopeSet::EMPTY,
        key_id: KeyId::FIRST,
        // Stands for the version too: a copy of which they are not the same is torn.
        digest: Digest::from_bytes([u8::try_from(number).unwrap(); 32]),
        created_at: Timestamp::ZERO,
        expiry: Expiry::Never,
        // Stands for the version of the record in these models.
        stamp: EpochStamp {
            subsystem: number,
            principal: 0,
        },
        predecessor: None,
        end: None,
    }
}

const KEY: [u8; 16] = [9; 16];
const BUCKET: u16 = PrincipalKey::from_bytes(KEY).bucket();

fn principal(number: u32) -> CachedPrincipal {
    let mut record = PrincipalRecord::new(Principal::new("ann").unwrap());
    record.epoch = Epoch::from_parts(number, Timestamp::ZERO);
    CachedPrincipal::new(PrincipalKey::from_bytes(KEY), record)
}

/// A store of one grant and one principal, whose records are no more than version numbers.
struct Model {
    cache: Cache,
    grant: Mutex<u32>,
    principal: Mutex<u32>,
}

impl Model {
    fn new(tokens: u64, principals: u64) -> Arc<Self> {
        let cache = Cache::bounded(tokens, principals, tokens);
        Arc::new(Self {
            cache,
            grant: Mutex::new(0),
            principal: Mutex::new(0),
        })
    }

    /// What verification sees: by the same steps as `Inner::verify_copied`, and where there is no
    /// copy that is good, as `Inner::entry_in_memory` and `Inner::entry`.
    fn seen(&self) -> (u32, u32) {
        if let Some(found) = self.cache.copied(selector(1)) {
            let (digest, stamp, epoch) = found.image.versions();
            let number = u8::try_from(stamp).unwrap();
            assert_eq!(digest.to_le_bytes(), [number; 8], "a copy is torn");
            return (stamp, epoch);
        }
        let ticket = self.cache.grant_ticket(selector(1));
        if let Some(entry) = self.cache.grant(selector(1)) {
            let changes = self.cache.principal_changes(entry.linked_bucket());
            if let Some(linked) = entry.principal() {
                self.cache.copy(ticket, &entry, linked, changes);
                return (entry.grant.stamp.subsystem, linked.record.epoch.number());
            }
            let changes = self.cache.principal_changes(BUCKET);
            let person = self.person();
            let entry = entry.linked(Arc::clone(&person));
            self.cache.fill_grant(ticket, &entry, changes);
            return (entry.grant.stamp.subsystem, person.record.epoch.number());
        }
        let stored = *self.grant.lock();
        let changes = self.cache.principal_changes(BUCKET);
        let person = self.person();
        let entry = Arc::new(CachedGrant::new(
            selector(1),
            grant(stored),
            Arc::clone(&person),
        ));
        self.cache.fill_grant(ticket, &entry, changes);
        (stored, person.record.epoch.number())
    }

    fn person(&self) -> Arc<CachedPrincipal> {
        let key = PrincipalKey::from_bytes(KEY);
        if let Some(found) = self.cache.principal(key) {
            return found;
        }
        let ticket = self.cache.principal_ticket(key);
        let entry = Arc::new(principal(*self.principal.lock()));
        self.cache.fill_principal(ticket, &entry);
        entry
    }

    /// A commit: visible to loads first, then told to the watcher, then acknowledged.
    fn change_grant(&self) {
        *self.grant.lock() = 1;
        self.cache.changed(&[Key::grant(selector(1))]);
    }

    fn change_principal(&self) {
        *self.principal.lock() = 1;
        self.cache
            .changed(&[Key::principal(PrincipalKey::from_bytes(KEY))]);
    }
}

/// Two readers run against one change; whoever looks after it was acknowledged sees it.
fn race(tokens: u64, principals: u64, change: fn(&Model), seen_by: fn((u32, u32)) -> u32) {
    let model = Model::new(tokens, principals);
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                model.seen();
                model.seen();
            })
        })
        .collect();
    let writer = {
        let model = Arc::clone(&model);
        thread::spawn(move || {
            change(&model);
            // Acknowledged: from here on nobody may see the old record.
            assert_eq!(seen_by(model.seen()), 1, "right after the acknowledgement");
        })
    };
    writer.join().unwrap();
    assert_eq!(seen_by(model.seen()), 1, "while readers still run");
    for reader in readers {
        reader.join().unwrap();
    }
    assert_eq!(seen_by(model.seen()), 1, "after all of them");
    assert_eq!(seen_by(model.seen()), 1, "and from the cache");
}

/// Orders at random, and orders that are bent at a few points, which find what chance does not.
fn explore(times: usize, model: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(model, times);
    shuttle::check_pct(model, times, 3);
}

#[test]
fn a_grant_read_before_a_change_never_enters_after_it() {
    shuttle::check_random(
        || race(1000, 1000, Model::change_grant, |seen| seen.0),
        20_000,
    );
}

#[test]
fn a_principal_read_before_a_change_is_never_linked_as_good_after_it() {
    shuttle::check_random(
        || race(1000, 1000, Model::change_principal, |seen| seen.1),
        20_000,
    );
}

#[test]
fn with_no_room_for_principals_a_change_is_still_seen() {
    shuttle::check_random(
        || race(1000, 0, Model::change_principal, |seen| seen.1),
        5_000,
    );
}

/// A store of one attachment, whose record is no more than a number.
fn race_attachment(change: fn(&Cache, &Mutex<u32>)) {
    let key = AttachmentKey::from_bytes(KEY);
    let world = Arc::new((Cache::bounded(1000, 1000, 1000), Mutex::new(0u32)));
    let seen = move |world: &(Cache, Mutex<u32>)| {
        // By the same steps as `Inner::attachment_entry`.
        let (cache, stored) = world;
        if let Some(found) = cache.attachment(key) {
            return found.epoch.number();
        }
        let ticket = cache.attachment_ticket(key);
        let record = Arc::new(AttachmentRecord {
            attachment: AttachmentId::new("10001").unwrap(),
            epoch: Epoch::from_parts(*stored.lock(), Timestamp::ZERO),
        });
        cache.fill_attachment(ticket, key, &record);
        record.epoch.number()
    };
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let world = Arc::clone(&world);
            thread::spawn(move || (seen(&world), seen(&world)))
        })
        .collect();
    change(&world.0, &world.1);
    assert_eq!(seen(&world), 1, "right after the acknowledgement");
    for reader in readers {
        reader.join().unwrap();
    }
    assert_eq!((seen(&world), seen(&world)), (1, 1), "and from the cache");
}

#[test]
fn an_attachment_read_before_a_change_never_enters_after_it() {
    let change = |cache: &Cache, stored: &Mutex<u32>| {
        *stored.lock() = 1;
        cache.changed(&[Key::attachment(AttachmentKey::from_bytes(KEY))]);
    };
    explore(5_000, move || race_attachment(change));
    let reset = |cache: &Cache, stored: &Mutex<u32>| {
        *stored.lock() = 1;
        cache.reset();
    };
    explore(5_000, move || race_attachment(reset));
}

#[test]
fn a_reset_during_a_fill_leaves_nothing_old() {
    let reset = |model: &Model| {
        *model.grant.lock() = 1;
        model.cache.reset();
    };
    explore(5_000, move || race(1000, 1000, reset, |seen| seen.0));
}

#[test]
fn the_bound_holds_and_what_goes_for_room_is_marked_stale() {
    shuttle::check_random(
        || {
            // One shard's share is one entry: the second principal of a shard displaces the first.
            let bound = SHARDS as u64;
            let cache = Cache::bounded(bound, bound, bound);
            let mut entries = Vec::new();
            for n in 0..2000u16 {
                let mut id = [0u8; 16];
                id[..2].copy_from_slice(&n.to_be_bytes());
                let key = PrincipalKey::from_bytes(id);
                let entry = Arc::new(CachedPrincipal::new(key, principal(0).record));
                cache.fill_principal(cache.principal_ticket(key), &entry);
                entries.push(entry);
            }
            assert!(cache.len().1 <= SHARDS, "{} are held", cache.len().1);
            for entry in entries {
                let held = cache.principal(entry.key).is_some();
                assert_eq!(entry.is_stale(), !held, "what is not held must say so");
            }
        },
        1,
    );
}

#[test]
fn a_use_is_noted_once_a_second_and_with_each_new_address() {
    shuttle::check_random(
        || {
            let cache = Cache::bounded(1000, 1000, 1000);
            let entry = Arc::new(CachedGrant::new(
                selector(1),
                grant(0),
                Arc::new(principal(0)),
            ));
            let at = Timestamp::from_millis;
            cache.note_use(&entry, at(5_100), None);
            cache.note_use(&entry, at(5_900), None);
            assert_eq!(cache.take_dirty().len(), 1);
            cache.note_use(&entry, at(5_950), None);
            assert!(
                cache.take_dirty().is_empty(),
                "the second was noted already"
            );
            cache.note_use(&entry, at(5_960), Some(IpAddr::from([10, 0, 0, 1])));
            assert_eq!(cache.take_dirty().len(), 1);
            cache.note_use(&entry, at(5_970), Some(IpAddr::from([10, 0, 0, 1])));
            assert!(
                cache.take_dirty().is_empty(),
                "the address was noted already"
            );
            assert_eq!(entry.usage().last_used_at, at(5_000));
            assert_eq!(entry.usage().addresses.len(), 1);
        },
        1,
    );
}

#[test]
fn uses_that_no_store_will_take_do_not_pile_up() {
    shuttle::check_random(
        || {
            let cache = Cache::bounded(1000, 1000, 1000).noting_uses(false);
            for n in 0..100 {
                let principal = Arc::new(principal(0));
                let entry = Arc::new(CachedGrant::new(selector(n), grant(0), principal));
                let from = IpAddr::from([10, 0, 0, n]);
                cache.note_use(&entry, Timestamp::from_millis(5_100), Some(from));
                assert_eq!(entry.usage(), Usage::default());
            }
            assert!(cache.take_dirty().is_empty());
        },
        1,
    );
}

/// What was copied of a record and lies with a session, by the same steps as `stands_as_noted` and
/// `note_record`: the count of changes before the record.
#[test]
fn a_copy_of_a_record_is_not_believed_after_a_change_was_acknowledged() {
    let bucket = BUCKET;
    shuttle::check_random(
        move || {
            let model = Model::new(100, 100);
            let note = Arc::new(Mutex::new(None));
            let read = move |model: &Model, note: &Mutex<Option<(u32, u32)>>| {
                let copied = *note.lock();
                match copied {
                    Some((at, copy)) if model.cache.principal_changes(bucket) == Some(at) => copy,
                    _ => {
                        let at = model.cache.principal_changes(bucket).unwrap();
                        let found = model.person().record.epoch.number();
                        *note.lock() = Some((at, found));
                        found
                    }
                }
            };
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let (model, note) = (Arc::clone(&model), Arc::clone(&note));
                    thread::spawn(move || {
                        for _ in 0..2 {
                            read(&model, &note);
                        }
                    })
                })
                .collect();
            model.change_principal();
            assert_eq!(read(&model, &note), 1, "it was acknowledged");
            for reader in readers {
                reader.join().unwrap();
            }
            assert_eq!(read(&model, &note), 1, "and stays so");
        },
        2000,
    );
}

/// Readers of a copy that is dropped and made anew, again and again.
#[test]
fn a_copy_is_never_read_in_part() {
    explore(5_000, || {
        let model = Model::new(1000, 1000);
        model.seen();
        assert!(model.cache.copied(selector(1)).is_some(), "it is copied");
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let model = Arc::clone(&model);
                thread::spawn(move || (model.seen(), model.seen()))
            })
            .collect();
        model.change_grant();
        assert_eq!(model.seen().0, 1, "it was acknowledged");
        assert_eq!(model.seen().0, 1, "and from the copy");
        for reader in readers {
            reader.join().unwrap();
        }
        let found = model.cache.copied(selector(1));
        assert_eq!(found.map(|found| found.image.versions().1), Some(1));
    });
}

#[test]
fn a_use_that_was_noted_in_a_copy_is_written_whatever_becomes_of_the_copy() {
    let at = |second: u64| Timestamp::from_millis(second * 1000);
    let used = move |model: &Model, second| {
        let found = model.cache.copied(selector(1)).unwrap();
        model.cache.note_use_of_copy(found, at(second));
    };
    let written = |model: &Model| -> Vec<Timestamp> {
        let taken = model.cache.take_dirty();
        let usage = taken.iter().map(|entry| entry.usage().last_used_at);
        usage.collect()
    };
    shuttle::check_random(
        move || {
            let model = Model::new(1000, 1000);
            model.seen();
            used(&model, 5);
            used(&model, 7);
            assert_eq!(written(&model), [at(7)], "once, and the later one");
            used(&model, 7);
            assert!(written(&model).is_empty(), "it was written");
            used(&model, 8);
            used(&model, 9);
            let entry = model.cache.grant(selector(1)).unwrap();
            assert_eq!(model.cache.usage(&entry).last_used_at, at(9));
            model.change_grant();
            assert!(model.cache.copied(selector(1)).is_none(), "it was dropped");
            assert_eq!(written(&model), [at(9)], "dropped, but noted");
        },
        1,
    );
}

/// A use in a copy races with the writing of uses: whatever is noted is written by then or later.
#[test]
fn no_use_is_lost_between_a_copy_and_the_list() {
    explore(3_000, || {
        let model = Model::new(1000, 1000);
        model.seen();
        let user = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                for second in [5, 6, 7] {
                    let found = model.cache.copied(selector(1)).unwrap();
                    let now = Timestamp::from_millis(second * 1000);
                    model.cache.note_use_of_copy(found, now);
                }
            })
        };
        let mut last = Timestamp::ZERO;
        let mut write = || {
            for entry in model.cache.take_dirty() {
                last = last.max(entry.usage().last_used_at);
            }
            last
        };
        write();
        user.join().unwrap();
        assert_eq!(write(), Timestamp::from_millis(7000));
    });
}

#[test]
fn as_a_shard_s_copies_grow_each_token_keeps_its_own() {
    shuttle::check_random(
        || {
            let cache = Cache::bounded(4_000, 1000, 1000);
            let person = Arc::new(principal(0));
            let names: Vec<Selector> = (0..3_000u64)
                .map(|n| Selector::mint(Timestamp::ZERO, ShardTag::NONE, n.to_be_bytes()))
                .collect();
            for (number, name) in (0..).zip(&names) {
                let grant = grant(number % 200);
                let entry = Arc::new(CachedGrant::new(*name, grant, Arc::clone(&person)));
                let ticket = cache.grant_ticket(*name);
                cache.fill_grant(ticket, &entry, cache.principal_changes(BUCKET));
            }
            let mut copied = 0;
            for (number, name) in (0u32..).zip(&names) {
                let held = cache.grant(*name).is_some();
                let Some(found) = cache.copied(*name) else {
                    continue;
                };
                assert!(held, "what the cache has displaced has no copy");
                assert_eq!(found.image.versions().1, number % 200);
                assert_eq!(found.image.texts().name(), "ann");
                copied += 1;
            }
            let (held, ..) = cache.len();
            assert!(copied * 100 >= held * 95, "{copied} of {held} are copied");
            cache.reset();
            assert!(names.iter().all(|name| cache.copied(*name).is_none()));
        },
        1,
    );
}

/// What the count of changes is for: the grant's own copy is not touched by such a change.
#[test]
fn a_copy_is_not_believed_after_a_change_of_its_principal() {
    explore(2_000, || {
        let model = Model::new(1000, 1000);
        model.seen();
        assert!(model.cache.copied(selector(1)).is_some(), "it is copied");
        let reader = {
            let model = Arc::clone(&model);
            thread::spawn(move || (model.seen(), model.seen()))
        };
        model.change_principal();
        assert_eq!(model.seen().1, 1, "it was acknowledged");
        reader.join().unwrap();
        assert_eq!(
            (model.seen().1, model.seen().1),
            (1, 1),
            "and from the copy"
        );
    });
}

/// A switch that is turned off, and a reader who fills what a reader before it found.
#[test]
fn the_terms_of_before_a_change_are_not_gone_by_after_it() {
    use countersign_core::{Deployment, ServerId, Subsystem, Version};
    let system = |on| {
        let deployment = Deployment {
            word: None,
            server_id: ServerId::new("model").unwrap(),
            created_at: Timestamp::ZERO,
        };
        let mut record = SystemRecord::new(deployment);
        record.switch_mut(Subsystem::AccessTokens).on = on;
        let version = Version::default();
        Arc::new(Versioned { version, record })
    };
    let (on, off) = (system(true), system(false));
    shuttle::check_random(
        move || {
            let (on, off) = (Arc::clone(&on), Arc::clone(&off));
            let cache = Arc::new(Cache::bounded(10, 10, 10));
            cache.set_policy(&Policy::default());
            let stored = Arc::new(Mutex::new(on));
            let fill = |cache: &Cache, stored: &Mutex<Arc<Versioned<SystemRecord>>>| {
                let ticket = cache.system_ticket();
                let found = Arc::clone(&*stored.lock());
                cache.fill_system(ticket, &found);
            };
            fill(&cache, &stored);
            assert!(cache.terms().is_some_and(|terms| !terms.switched_off));
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let (cache, stored) = (Arc::clone(&cache), Arc::clone(&stored));
                    thread::spawn(move || {
                        fill(&cache, &stored);
                        let _ = cache.terms();
                    })
                })
                .collect();
            *stored.lock() = off;
            cache.changed(&[Key::SYSTEM]);
            let is_off = |terms: Option<Terms>| terms.is_none_or(|terms| terms.switched_off);
            assert!(is_off(cache.terms()), "it was acknowledged");
            for reader in readers {
                reader.join().unwrap();
            }
            assert!(is_off(cache.terms()), "and stays so");
            fill(&cache, &stored);
            assert!(cache.terms().is_some_and(|terms| terms.switched_off));
        },
        1000,
    );
}
