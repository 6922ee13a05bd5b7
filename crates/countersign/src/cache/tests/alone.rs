//! Hazard: what the cache says of itself, or of what use has gathered, is wrong already where one
//! thread has it for itself.

use super::*;
use countersign_core::{CredentialKind, CredentialRef};

/// In no model: one thread, whose turn it always is.
fn alone(test: fn()) {
    shuttle::check_random(test, 1);
}

/// A token of ann's, held with its copy.
fn hold(cache: &Cache, name: Selector) -> Arc<CachedGrant> {
    let entry = Arc::new(CachedGrant::new(name, grant(0), Arc::new(principal(0))));
    let changes = cache.principal_changes(BUCKET);
    cache.fill_grant(cache.grant_ticket(name), &entry, changes);
    entry
}

#[test]
fn a_policy_is_in_force_only_where_somebody_would_tell_of_another() {
    alone(|| {
        let cache = Cache::bounded(1, 1, 1);
        let read = |cache: &Cache| {
            cache.policy_was_read(cache.policy_ticket());
            cache.policy_is_current()
        };
        let before = cache.policy_ticket();
        cache.changed(&[Key::POLICY]);
        cache.policy_was_read(before);
        assert!(!cache.policy_is_current(), "it was replaced meanwhile");
        assert!(read(&cache));
        cache.hold(true);
        assert!(cache.policy_is_current(), "nothing has changed");
        cache.hold(false);
        assert!(!cache.policy_is_current() && !read(&cache));
        cache.hold(true);
        assert!(!cache.policy_is_current() && read(&cache));
        // Of a store that others write to unseen nothing is ever held.
        let cache = Cache::empty_handed();
        for _ in 0..2 {
            assert!(!read(&cache) && cache.principal_changes(BUCKET).is_none());
            cache.hold(true);
        }
    });
}

#[test]
fn what_one_entry_of_a_token_has_gathered_is_in_the_one_that_takes_its_place() {
    alone(|| {
        let cache = Cache::bounded(1, 1, 1);
        let new = || {
            let linked = Arc::new(principal(0));
            Arc::new(CachedGrant::new(selector(1), grant(0), linked))
        };
        let (older, newer) = (new(), new());
        cache.fill_grant(cache.grant_ticket(selector(1)), &newer, None);
        assert!(newer.is_held() && !older.is_held());
        assert!(newer.linked_bucket() == BUCKET && newer.principal().is_some());
        let at = |second: u64| Timestamp::from_millis(second * 1000);
        let from = |n| IpAddr::from([192, 0, 2, n]);
        cache.note_use(&older, at(1), Some(from(1)));
        cache.note_use(&newer, at(2), Some(from(2)));
        let listed = cache.take_dirty();
        let [entry] = &listed[..] else {
            panic!("one token, {} entries", listed.len());
        };
        assert!(Arc::ptr_eq(entry, &newer));
        let linked = newer.linked(Arc::new(principal(1)));
        for entry in [&newer, &linked] {
            let usage = entry.usage();
            let seen: Vec<_> = usage.addresses.iter().map(|seen| seen.address).collect();
            assert_eq!((usage.last_used_at, seen), (at(2), vec![from(2), from(1)]));
        }
        // What could not be written is listed again, once.
        cache.put_back(listed);
        cache.note_use(&newer, at(3), None);
        assert_eq!(cache.take_dirty().len(), 1);
    });
}

/// A copy beside nothing would outlive a revocation: whoever drops an entry drops its copy.
#[test]
fn a_copy_is_made_of_the_entry_that_is_held_and_of_no_other() {
    alone(|| {
        let person = Arc::new(principal(0));
        let new = |n| Arc::new(CachedGrant::new(selector(n), grant(0), Arc::clone(&person)));
        // With room for one token in each part of the table.
        let cache = Cache::bounded(4, 4, 4);
        let fill = |n| {
            let ticket = cache.grant_ticket(selector(n));
            cache.fill_grant(ticket, &new(n), None);
            ticket
        };
        let changes = cache.principal_changes(BUCKET);
        let copy = |ticket| {
            cache.copy(ticket, &new(1), &person, changes);
            cache.copied(selector(1)).is_some()
        };
        let first = fill(1);
        let mut others = 2..=u8::MAX;
        let gone = others.any(|n| {
            fill(n);
            cache.grant(selector(1)).is_none()
        });
        assert!(gone && !copy(first), "it has gone for room");
        let before = fill(1);
        cache.changed(&[Key::grant(selector(1))]);
        let after = fill(1);
        assert!(!copy(before), "it was read before a change");
        assert!(copy(after));
    });
}

#[test]
fn what_is_used_beyond_the_bound_of_the_list_is_noted_once_there_is_room_again() {
    alone(|| {
        let cache = Cache::bounded(1000, 1000, 1000);
        let entry_of = |n| hold(&cache, selector(n));
        let most = u8::try_from(DIRTY_MAX).unwrap();
        let at = |second: u64| Timestamp::from_millis(second * 1000);
        let from = Some(IpAddr::from([192, 0, 2, 1]));
        let others: Vec<_> = (2..most + 2).map(entry_of).collect();
        let late = [entry_of(1), entry_of(most + 2)];
        let use_late = |second| {
            // By its copy, and by its entry.
            let copied = cache.copied(selector(1)).unwrap();
            cache.note_use_of_copy(copied, at(second));
            cache.note_use(&late[1], at(second), from);
        };
        for entry in &others {
            cache.note_use(entry, at(1), from);
        }
        use_late(1);
        let listed = cache.take_dirty();
        assert_eq!(listed.len(), DIRTY_MAX);
        let is_late = |entry: &&Arc<CachedGrant>| late.iter().any(|late| Arc::ptr_eq(late, entry));
        assert_eq!(listed.iter().filter(is_late).count(), 0);
        use_late(2);
        let listed = cache.take_dirty();
        assert_eq!(
            (listed.len(), listed.iter().filter(is_late).count()),
            (2, 2)
        );
        for entry in &late {
            assert_eq!(cache.usage(entry).last_used_at, at(2));
        }
    });
}

#[test]
fn a_cache_shows_how_much_it_holds_and_nothing_of_it() {
    alone(|| {
        let cache = Cache::bounded(1000, 1000, 1000);
        for n in 1..=3 {
            hold(&cache, selector(n));
        }
        let shown = format!("{cache:?}");
        assert!(shown.contains("Shards { len: 3, .. }"), "{shown}");
        assert!(shown.contains("Hot { used: 3, .. }"), "{shown}");
        assert_eq!(cache.len(), (3, 0, 0));
        assert!(!shown.contains("ann"), "{shown}");
    });
}

#[test]
fn what_a_copy_could_not_tell_is_not_copied() {
    alone(|| {
        let ann = Arc::new(principal(0));
        let is_copied = |grant: Grant| {
            let entry = CachedGrant::new(selector(1), grant, Arc::clone(&ann));
            Image::of(&entry, &ann, 0).is_some()
        };
        assert!(is_copied(grant(0)));
        let (mut later, mut bobs) = (grant(0), grant(0));
        // Its end is counted from its name's instant.
        later.created_at = Timestamp::from_millis(1);
        bobs.principal = Principal::new("bob").unwrap();
        assert!(!is_copied(later) && !is_copied(bobs));
    });
}

#[test]
fn the_last_use_moves_along_as_copies_are_moved() {
    alone(|| {
        let cache = Cache::bounded(4_000, 1000, 1000);
        let fill = |n: u64| {
            let name = Selector::mint(Timestamp::ZERO, ShardTag::NONE, n.to_be_bytes());
            hold(&cache, name);
            name
        };
        let names: Vec<_> = (0..8).map(fill).collect();
        let at = |second: u64| Timestamp::from_millis(second * 1000);
        for (nth, name) in (10..).zip(&names) {
            for second in [1, nth] {
                let copied = cache.copied(*name).unwrap();
                cache.note_use_of_copy(copied, at(second));
            }
        }
        for n in 8..2_000 {
            fill(n);
        }
        for (nth, name) in (10..).zip(&names) {
            let entry = cache.grant(*name).unwrap();
            assert_eq!(cache.usage(&entry).last_used_at, at(nth));
        }
    });
}

/// Each entry of a token holds its principal's record as it was when that was read: of a principal
/// with a thousand credentials that would be as many lists of a thousand.
#[test]
fn no_list_of_credentials_is_held() {
    alone(|| {
        let mut record = principal(7).record;
        let one = CredentialRef {
            kind: CredentialKind::Access,
            selector: selector(1),
            ends_at: Timestamp::MAX,
        };
        record.credentials = vec![one; 1000];
        let epoch = record.epoch;
        let held = CachedPrincipal::new(PrincipalKey::from_bytes(KEY), record).record;
        assert_eq!(held.credentials.capacity(), 0);
        assert_eq!((held.principal.as_str(), held.epoch), ("ann", epoch));
    });
}
