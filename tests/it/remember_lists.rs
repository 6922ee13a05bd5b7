//! Hazard: a device that its owner cannot see and end, one that stays for good in the store, or
//! one that is lost on the way to another.

use crate::support::{
    DAY, Ears, Home, MINUTE, builder, device, forgotten, handed, in_memory, issue, keys, on_store,
    policy, present, principal, reason, remember,
};
use countersign::core::{Key, Table};
use countersign::store::{KeyRange, MemoryStore, Store};
use countersign::{
    DeviceInfo, DeviceQuery, Engine, Error, EventKind, Refusal, Rejection, Remembered, Selector,
    SeriesEndCause, SeriesState, Subsystem, SweepReport,
};
use countersign_testkit::{ManualClock, samples, tamper};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

fn show(engine: &Engine, started: &Remembered) -> DeviceInfo {
    let shown = engine.remember().show(started.selector).wait().unwrap();
    shown.expect("it is not shown")
}

/// All pages of a query, each of at most `limit`.
fn listed(engine: &Engine, mut query: DeviceQuery, limit: usize) -> Vec<DeviceInfo> {
    let mut all = Vec::new();
    query.limit = limit;
    loop {
        let page = engine.remember().list(query.clone()).wait().unwrap();
        assert!(page.devices.len() <= limit && page.damaged.is_empty());
        all.extend(page.devices);
        query.after = page.next;
        if query.after.is_none() {
            return all;
        }
    }
}

fn selectors(devices: &[DeviceInfo]) -> Vec<Selector> {
    devices.iter().map(|device| device.selector).collect()
}

fn present_from(engine: &Engine, text: &str, last: u8) {
    let address = Some(IpAddr::from([10, 0, 0, last]));
    let recall = engine.remember().present(text, address).wait().unwrap();
    assert!(recall.is_in());
}

fn sweep_all(engine: &Engine, budget: usize) -> SweepReport {
    let mut sum = SweepReport::default();
    for _ in 0..1000 {
        let report = engine.sweep(budget).wait().unwrap();
        assert!(report.examined <= budget);
        sum.examined += report.examined;
        sum.expired += report.expired;
        sum.removed += report.removed;
        if report.complete {
            sum.complete = true;
            return sum;
        }
    }
    panic!("it never comes round");
}

#[test]
fn devices_are_listed_by_principal_or_all_of_them_in_any_state() {
    let home = Home::new();
    let engine = home.open();
    let mut started = Vec::new();
    for n in 0..30 {
        home.clock.advance(Duration::from_millis(1));
        started.push(remember(&engine, ["ann", "bob", "cid"][n % 3]));
    }
    let end = |n: usize| {
        let revoke = engine.remember().revoke(started[n].selector, None);
        revoke.wait().unwrap();
    };
    end(0);
    end(4);
    for limit in [1, 7, 100] {
        let all = listed(&engine, DeviceQuery::default(), limit);
        let wanted: Vec<_> = started.iter().map(|it| it.selector).collect();
        assert_eq!(selectors(&all), wanted);
        let own = listed(&engine, DeviceQuery::of(principal("bob")), limit);
        let bobs: Vec<_> = wanted.iter().copied().skip(1).step_by(3).collect();
        assert_eq!(selectors(&own), bobs);
        let mut revoked = DeviceQuery::default();
        revoked.state = Some(SeriesState::Revoked);
        let revoked = listed(&engine, revoked, limit);
        assert_eq!(selectors(&revoked), [wanted[0], wanted[4]]);
        assert!(revoked.iter().all(|device| !device.usable));
    }
    let nobody = listed(&engine, DeviceQuery::of(principal("eve")), 10);
    assert!(nobody.is_empty());

    home.clock.advance(DAY * 13);
    let mut soon = DeviceQuery::of(principal("ann"));
    soon.expires_before = Some(samples::NOW.after(DAY * 15));
    assert_eq!(listed(&engine, soon.clone(), 10).len(), 9, "one is over");
    soon.expires_before = Some(samples::NOW.after(DAY * 14));
    assert!(listed(&engine, soon, 10).is_empty());
    let disabled = engine.principals().disable(principal("ann"), None);
    disabled.wait().unwrap();
    let shown = show(&engine, &started[3]);
    assert_eq!((shown.state, shown.usable), (SeriesState::Live, false));
}

#[test]
fn a_use_is_noted_in_memory_shown_at_once_and_written_with_the_others() {
    let home = Home::new();
    let engine = home.open();
    let [used, unused] = ["ann", "ann"].map(|name| remember(&engine, name));
    let text = used.token.expose();
    assert_eq!(show(&engine, &used).usage, None);
    for n in 0..200 {
        present_from(&engine, text, n % 3);
    }
    let usage = show(&engine, &used).usage.unwrap();
    assert_eq!(usage.last_used_at, samples::NOW);
    assert_eq!(usage.addresses.len(), 3);
    assert_eq!(engine.flush().wait(), Ok(1), "one device was used");
    assert_eq!(engine.flush().wait(), Ok(0));
    engine.close().wait().unwrap();

    let engine = home.open();
    assert_eq!(show(&engine, &used).usage, Some(usage.clone()));
    assert_eq!(show(&engine, &unused).usage, None);
    home.clock.advance(MINUTE);
    present_from(&engine, text, 9);
    let later = show(&engine, &used).usage.unwrap();
    assert_eq!(later.last_used_at, samples::NOW.after(MINUTE));
    assert_eq!(later.addresses.len(), 4);
    let mut idle = DeviceQuery::of(principal("ann"));
    idle.unused_since = Some(samples::NOW.after(MINUTE));
    assert_eq!(selectors(&listed(&engine, idle, 9)), [unused.selector]);
    // Closing writes it.
    engine.close().wait().unwrap();
    assert_eq!(show(&home.open(), &used).usage, Some(later));
}

#[test]
fn a_use_that_could_not_be_written_is_written_later() {
    let (store, engine, clock) = crate::denials::sick_at();
    let started = remember(&engine, "ann");
    present_from(&engine, started.token.expose(), 1);
    store
        .unknown
        .store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(engine.flush().wait().is_err());
    assert_eq!(engine.flush().wait(), Ok(1));
    let other = crate::denials::on_time(&store, &clock);
    assert!(show(&other, &started).usage.is_some());
}

#[test]
fn forget_me_everywhere_keeps_the_device_that_asks() {
    let ears = Ears::default();
    let clock = ManualClock::default();
    let engine = builder(&clock)
        .observer(ears.clone())
        .open_store(Arc::new(MemoryStore::new([])), &keys())
        .unwrap();
    let own: Vec<_> = (0..5).map(|_| remember(&engine, "ann")).collect();
    let other = remember(&engine, "bob");
    let token = issue(&engine, "ann");
    let why = Some(reason("laptop stolen"));
    let forget = engine
        .remember()
        .forget(principal("ann"), Some(own[2].selector), why.clone());
    let told = forget.wait().unwrap();
    assert!(told.durable && !told.already);
    for (n, it) in own.iter().enumerate() {
        let recall = present(&engine, it.token.expose());
        assert_eq!(recall.is_in(), n == 2, "device {n}");
    }
    assert!(present(&engine, other.token.expose()).is_in());
    assert!(
        crate::support::is_in(&engine, &token),
        "and no token of theirs"
    );
    let end = show(&engine, &own[0]).end.unwrap();
    assert_eq!(end.cause, SeriesEndCause::Revoked(why.clone()));
    let events = ears.events.lock().unwrap();
    let revoked = events
        .iter()
        .filter(|event| event.kind == EventKind::Revoked);
    let revoked: Vec<_> = revoked.collect();
    assert_eq!(revoked.len(), 4);
    assert!(revoked.iter().all(|event| event.reason == why));
}

#[test]
fn the_oldest_device_makes_way_for_one_too_many_and_the_observer_is_told() {
    let ears = Ears::default();
    let clock = ManualClock::default();
    let engine = builder(&clock)
        .observer(ears.clone())
        .policy(policy(|draft| {
            draft.remember_me.max_series_per_principal = 3;
        }))
        .open_store(Arc::new(MemoryStore::new([])), &keys())
        .unwrap();
    let mut own = Vec::new();
    for _ in 0..5 {
        clock.advance(MINUTE);
        own.push(remember(&engine, "ann"));
    }
    let is_in = |it: &Remembered| {
        let check = engine.remember().check(it.token.expose());
        check.wait().unwrap().is_in()
    };
    let ins: Vec<bool> = own.iter().map(is_in).collect();
    assert_eq!(ins, [false, false, true, true, true]);
    assert_eq!(
        forgotten(&engine, own[0].token.expose()),
        Rejection::Revoked
    );
    let cause = show(&engine, &own[1]).end.unwrap().cause;
    assert_eq!(cause, SeriesEndCause::Evicted);
    let events = ears.events.lock().unwrap();
    let told: Vec<_> = events.iter().map(|event| event.kind).collect();
    use EventKind::{Evicted, Issued};
    let wanted = [Issued, Issued, Issued, Evicted, Issued, Evicted, Issued];
    assert_eq!(told, wanted);
}

#[test]
fn off_and_on_again_revives_no_device_and_starts_none_meanwhile() {
    let (engine, _) = in_memory();
    let started = remember(&engine, "ann");
    let me = Subsystem::RememberMe;
    engine.switches().off(me, None).wait().unwrap();
    let text = started.token.expose();
    assert_eq!(forgotten(&engine, text), Rejection::SwitchedOff);
    let refused = engine.remember().start(device("ann")).wait().unwrap_err();
    assert_eq!(refused, Error::Refused(Refusal::SwitchedOff(me)));
    engine.switches().on(me, None).wait().unwrap();
    assert_eq!(forgotten(&engine, text), Rejection::Revoked);
    let again = remember(&engine, "ann");
    engine.remember().revoke_all(None).wait().unwrap();
    let text = again.token.expose();
    assert_eq!(forgotten(&engine, text), Rejection::Revoked);
    assert!(present(&engine, remember(&engine, "ann").token.expose()).is_in());
}

#[test]
fn the_sweep_notes_what_is_over_and_removes_what_has_been_for_long() {
    for budget in [1, 3, 64] {
        let clock = ManualClock::default();
        let store = Arc::new(MemoryStore::new([]));
        let engine = on_store(&clock, Arc::clone(&store) as _);
        let tokens: Vec<_> = (0..9).map(|_| issue(&engine, "ann")).collect();
        let by_time: Vec<_> = (0..9).map(|_| remember(&engine, "ann")).collect();
        let revoked = remember(&engine, "bob");
        for it in by_time.iter().chain([&revoked]) {
            present_from(&engine, it.token.expose(), 1);
        }
        engine.flush().wait().unwrap();
        let revoke = engine.remember().revoke(revoked.selector, None);
        revoke.wait().unwrap();
        assert_eq!(sweep_all(&engine, budget).expired, 0);

        clock.advance(DAY * 14);
        let later = remember(&engine, "ann");
        assert_eq!(sweep_all(&engine, budget).expired, 9);
        assert_eq!(sweep_all(&engine, budget).expired, 0, "noted once");
        assert_eq!(show(&engine, &by_time[3]).state, SeriesState::Expired);
        clock.advance(DAY * 16 + MINUTE);
        let swept = sweep_all(&engine, budget);
        assert_eq!((swept.removed, swept.expired), (1, 1), "the revoked one");
        clock.advance(DAY * 14);
        let swept = sweep_all(&engine, budget);
        assert_eq!((swept.removed, swept.expired), (9, 0));

        let left = |table| {
            let page = store.scan(KeyRange::all(table), 100).wait().unwrap();
            let keys = page.records.into_iter().map(|(key, _)| key);
            keys.collect::<Vec<_>>()
        };
        assert_eq!(left(Table::Series), [Key::series(later.selector)]);
        assert_eq!(left(Table::Usage), []);
        assert_eq!(left(Table::Grants).len(), tokens.len());
    }
}

/// One table that is long never keeps the other waiting.
#[test]
fn tokens_and_devices_are_swept_in_turns() {
    let clock = ManualClock::default();
    let engine = builder(&clock)
        .policy(policy(|draft| {
            draft.access_tokens.max_live_per_principal = 1000;
            draft.access_tokens.max_kept_per_principal = 1000;
        }))
        .open_store(Arc::new(MemoryStore::new([])), &keys())
        .unwrap();
    for _ in 0..400 {
        issue(&engine, "ann");
    }
    remember(&engine, "ann");
    clock.advance(DAY * 14);
    let mut expired = 0;
    for _ in 0..8 {
        expired += engine.sweep(16).wait().unwrap().expired;
    }
    assert_eq!(expired, 1, "not before all tokens were looked at");
}

#[test]
fn a_damaged_device_does_not_stop_the_sweep_or_a_list() {
    for damaged in [Table::Series, Table::Principals] {
        let home = Home::new();
        let engine = home.open();
        let started: Vec<_> = (0..6)
            .map(|n| remember(&engine, &format!("principal-{n}")))
            .collect();
        engine.close().wait().unwrap();
        let rows = tamper::rows(&home.path(), damaged.name()).unwrap();
        let (id, mut bytes) = rows[2].clone();
        bytes[20] ^= 1;
        tamper::put(&home.path(), damaged.name(), id, Some(&bytes)).unwrap();

        let engine = home.open();
        let page = engine.remember().list(DeviceQuery::default()).wait();
        let page = page.unwrap();
        assert!(page.devices.len() >= 5);
        assert_eq!(page.damaged.len(), usize::from(damaged == Table::Series));
        let outcomes = started.iter().map(|it| {
            let recall = engine.remember().present(it.token.expose(), None).wait();
            recall.is_ok_and(|recall| recall.is_in())
        });
        assert_eq!(outcomes.filter(|is_in| *is_in).count(), 5);
        home.clock.advance(DAY * 14);
        assert!(sweep_all(&engine, 64).expired >= 5);
        home.clock.advance(DAY * 31);
        assert!(sweep_all(&engine, 64).removed >= 5);
    }
}

#[test]
fn devices_arrive_with_an_export_and_theft_still_shows() {
    let clock = ManualClock::default();
    let store = || Arc::new(MemoryStore::new([])) as Arc<dyn Store>;
    let (from, to) = (on_store(&clock, store()), on_store(&clock, store()));
    let started = remember(&from, "ann");
    let old = started.token.expose();
    clock.advance(MINUTE * 10);
    let current = handed(&from, old).unwrap();
    let revoked = remember(&from, "bob");
    let revoke = from.remember().revoke(revoked.selector, None);
    revoke.wait().unwrap();
    from.flush().wait().unwrap();

    let mut lines = Vec::new();
    from.export(&mut lines, &mut |_| {}).unwrap();
    assert!(!String::from_utf8_lossy(&lines).contains("csr_"));
    to.import(&mut &*lines, &mut |_| {}).unwrap();
    assert_eq!(show(&to, &started), show(&from, &started));
    assert_eq!(forgotten(&to, revoked.token.expose()), Rejection::Revoked);
    assert_eq!(handed(&to, old), Some(current.clone()));
    assert_eq!(handed(&to, &current), None);
    clock.advance(MINUTE * 2);
    assert_eq!(forgotten(&to, old), Rejection::Reused);
    assert_eq!(forgotten(&to, &current), Rejection::Reused);
}

#[test]
fn all_devices_of_a_principal_who_has_had_many_are_listed() {
    let clock = ManualClock::default();
    let engine = builder(&clock)
        .policy(policy(|draft| {
            draft.remember_me.max_series_per_principal = 1000;
        }))
        .open_store(Arc::new(MemoryStore::new([])), &keys())
        .unwrap();
    let started: Vec<_> = (0..300).map(|_| remember(&engine, "ann")).collect();
    let all = listed(&engine, DeviceQuery::of(principal("ann")), 1000);
    let mut expected: Vec<_> = started.iter().map(|device| device.selector).collect();
    expected.sort_unstable();
    assert_eq!(selectors(&all), expected);
}

#[test]
fn what_is_asked_for_before_an_instant_is_before_it() {
    let (engine, _clock) = in_memory();
    let started = remember(&engine, "ann");
    let DeviceInfo {
        created_at,
        ends_at,
        ..
    } = show(&engine, &started);
    let instant = Duration::from_millis(1);
    for (later, expected) in [(Duration::ZERO, 0), (instant, 1)] {
        let mut ends = DeviceQuery::default();
        ends.expires_before = Some(ends_at.after(later));
        let mut unused = DeviceQuery::default();
        unused.unused_since = Some(created_at.after(later));
        for query in [ends, unused] {
            assert_eq!(listed(&engine, query, 10).len(), expected, "{later:?}");
        }
    }
}
