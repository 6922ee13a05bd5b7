//! Hazard: moving records loses one, lets an edited one in, or brings back what was revoked.

use crate::support::{builder, is_in, issue, on_store, principal, refused, revoke};
use countersign::core::Table;
use countersign::store::MemoryStore;
use countersign::{
    Engine, Error, EventKind, EventQuery, IssuedToken, KeyMaterial, Rejection, Subsystem,
    TokenQuery, export_is_of,
};
use countersign_testkit::{ManualClock, samples};
use std::sync::Arc;
use std::time::Duration;

fn fresh() -> Engine {
    on_store(&ManualClock::default(), Arc::new(MemoryStore::new([])))
}

fn export(engine: &Engine) -> Vec<u8> {
    let mut lines = Vec::new();
    let report = engine.export(&mut lines, &mut |_| {}).unwrap();
    assert!(report.damaged.is_empty());
    let text = std::str::from_utf8(&lines).unwrap();
    // A head and a tail around the records.
    assert_eq!(report.records as usize + 2, text.lines().count());
    lines
}

fn import(engine: &Engine, lines: &[u8]) -> Result<(u64, u64), Error> {
    let report = engine.import(&mut &*lines, &mut |_| {})?;
    Ok((report.filed, report.present))
}

/// An engine with a live, a revoked and a disabled token, and a used one.
fn filled() -> (Engine, [IssuedToken; 3]) {
    let engine = fresh();
    let tokens = ["ann", "bob", "cid"].map(|name| issue(&engine, name));
    assert!(is_in(&engine, &tokens[0]));
    revoke(&engine, tokens[1].selector);
    let disabled = engine.principals().disable(principal("cid"), None);
    disabled.wait().unwrap();
    engine.flush().wait().unwrap();
    (engine, tokens)
}

fn tokens_of(engine: &Engine) -> usize {
    let page = engine.access().list(TokenQuery::default()).wait().unwrap();
    page.tokens.len()
}

#[test]
fn everything_arrives_and_verdicts_stay_what_they_were() {
    let (engine, [live, revoked, disabled]) = filled();
    let lines = export(&engine);
    let text = String::from_utf8(lines.clone()).unwrap();
    assert!(!text.contains("csa_"), "no secret leaves");
    let target = fresh();
    let (filed, present) = import(&target, &lines).unwrap();
    assert_eq!((filed as usize + 2, present), (text.lines().count(), 0));
    assert!(is_in(&target, &live));
    assert_eq!(refused(&target, &revoked), Rejection::Revoked);
    assert_eq!(refused(&target, &disabled), Rejection::Disabled);
    let shown = |engine: &Engine| engine.access().show(live.selector).wait().unwrap();
    let (mut here, there) = (shown(&target).unwrap(), shown(&engine).unwrap());
    // Uses are noted where they happen; the last one was here.
    let used = |usage: Option<countersign::Usage>| usage.map(|usage| usage.last_used_at);
    assert_eq!(used(here.usage.clone()), used(there.usage.clone()));
    here.usage.clone_from(&there.usage);
    assert_eq!(here, there);
    let mut query = EventQuery::default();
    query.kind = Some(EventKind::Imported);
    let noted = target.audit().list(query).wait().unwrap().events;
    assert_eq!(noted.len(), 1);
}

#[test]
fn a_second_import_changes_nothing() {
    let (engine, [live, revoked, _]) = filled();
    let lines = export(&engine);
    let target = fresh();
    import(&target, &lines).unwrap();
    let before = export(&target);
    for _ in 0..2 {
        let again = import(&target, &lines).unwrap_err();
        assert!(matches!(again, Error::NotEmpty { .. }), "{again:?}");
    }
    assert!(export(&target) == before, "something was filed");
    assert!(is_in(&target, &live));
    assert_eq!(refused(&target, &revoked), Rejection::Revoked);
    assert_eq!(tokens_of(&target), 3);
}

#[test]
fn under_other_keys_nothing_is_believed() {
    let (engine, _) = filled();
    let lines = export(&engine);
    for keys in [
        KeyMaterial::generate(samples::NOW, [0x99; 32], [0x22; 32]),
        KeyMaterial::generate(samples::NOW, [0; 32], [0; 32]),
    ] {
        let store = Arc::new(MemoryStore::new([]));
        let target = builder(&ManualClock::default());
        let target = target.open_store(store, &keys).unwrap();
        let error = import(&target, &lines).unwrap_err();
        assert!(matches!(error, Error::Import { line: 2, .. }), "{error:?}");
        assert_eq!(tokens_of(&target), 0);
    }
}

#[test]
fn an_edited_line_is_named_and_nothing_of_it_is_filed() {
    let (engine, _) = filled();
    let lines = export(&engine);
    let text = String::from_utf8(lines).unwrap();
    let all: Vec<&str> = text.lines().collect();
    for number in 0..all.len() {
        let line = all[number];
        // Something else in each part of the line that says anything.
        let places = line.match_indices(|c: char| c.is_ascii_hexdigit());
        let places: Vec<usize> = places.map(|(at, _)| at).collect();
        for at in places.iter().step_by(places.len().div_ceil(12)) {
            let other = if line[*at..].starts_with('0') {
                "1"
            } else {
                "0"
            };
            let edited = format!("{}{other}{}", &line[..*at], &line[at + 1..]);
            let mut lines = all.clone();
            lines[number] = &edited;
            check_refused(&lines, number, &edited);
        }
    }
    // Lines that change places, come twice or go missing.
    for number in 1..all.len() - 2 {
        let mut swapped = all.clone();
        swapped.swap(number, number + 1);
        let mut twice = all.clone();
        twice.insert(number, all[number]);
        let mut missing = all.clone();
        missing.remove(number);
        for lines in [swapped, twice, missing] {
            let target = fresh();
            let outcome = import(&target, (lines.join("\n") + "\n").as_bytes());
            assert!(outcome.is_err(), "line {number}");
        }
    }
}

/// Members and blanks are under no tag: there is one file for the same records all the same.
#[test]
fn a_line_in_another_spelling_is_refused() {
    let (engine, _) = filled();
    let lines = export(&engine);
    let text = String::from_utf8(lines).unwrap();
    let all: Vec<&str> = text.lines().collect();
    let last = all.len() - 1;
    for (number, from, to) in [
        (0, ":1", ": 1"),
        (0, "}", "}\r"),
        (0, "export", "\\u0065xport"),
        (1, ",", ", "),
        (1, "{", " {"),
        (1, "table", "\\u0074able"),
        (last, "true", "false"),
        (last, "}", "} "),
        (last, ":true", ": true"),
    ] {
        let edited = all[number].replacen(from, to, 1);
        assert_ne!(edited, all[number]);
        let mut lines = all.clone();
        lines[number] = &edited;
        check_refused(&lines, number, &edited);
    }
    let mut parts = all[1].trim_matches(['{', '}']).split(',');
    let (table, key) = (parts.next().unwrap(), parts.next().unwrap());
    let rest: Vec<&str> = parts.collect();
    let edited = format!("{{{key},{table},{}}}", rest.join(","));
    let mut lines = all.clone();
    lines[1] = &edited;
    check_refused(&lines, 1, &edited);
}

/// Only who holds the root key can make such a line; a store in memory would have taken it.
#[test]
fn a_principal_under_another_one_s_key_is_not_taken_in() {
    let (engine, _) = filled();
    let text = String::from_utf8(export(&engine)).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let keyring = samples::keyring();
    let named = |line: &String| line.contains("\"principals\"") && line.contains(&hex(b"ann"));
    let at = lines.iter().position(named).unwrap();
    let (id, record) = (
        unhex(member(&lines[at], "key")),
        member(&lines[at], "record"),
    );
    let renamed = unhex(&record.replacen(&hex(b"ann"), &hex(b"eve"), 1));
    let (above, _) = renamed.split_last_chunk::<16>().unwrap();
    let place = [&[Table::Principals.code()][..], &id].concat();
    let tag = keyring.record_tag(&[&place, above]);
    lines[at] = lines[at].replace(record, &(hex(above) + &hex(&tag)));

    let last = lines.len() - 1;
    let tag = lines[1..last].iter().fold([0; 16], |chain, line| {
        keyring.export_tag(&[&chain, member(line, "record").as_bytes()])
    });
    lines[last] = lines[last].replace(member(&lines[last], "tag"), &hex(&tag));
    let outcome = import(&fresh(), (lines.join("\n") + "\n").as_bytes());
    let line = at as u64 + 1;
    assert!(
        matches!(outcome, Err(Error::Import { line: named, .. }) if named == line),
        "{outcome:?}"
    );
}

fn member<'a>(line: &'a str, name: &str) -> &'a str {
    let (_, from) = line.split_once(&format!("\"{name}\":\"")).unwrap();
    from.split_once('"').unwrap().0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn check_refused(lines: &[&str], number: usize, edited: &str) {
    let target = fresh();
    let outcome = import(&target, (lines.join("\n") + "\n").as_bytes());
    match outcome {
        Err(Error::Import { line, .. }) => {
            let named = line as usize == number + 1 || line as usize == lines.len();
            assert!(named, "line {line} is named for {}: {edited}", number + 1);
        }
        other => panic!("line {}: {edited}: {other:?}", number + 1),
    }
    assert_eq!(tokens_of(&target), 0, "{edited}");
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let (engine, _) = filled();
    let lines = export(&engine);
    let step = (lines.len() / 200).max(1);
    for cut in (0..lines.len() - 1).step_by(step).chain([lines.len() - 1]) {
        let target = fresh();
        let outcome = import(&target, &lines[..cut]);
        assert!(
            matches!(outcome, Err(Error::Import { .. })),
            "at {cut}: {outcome:?}"
        );
    }
    let mut longer = lines.clone();
    longer.extend_from_slice(b"{}\n");
    assert!(
        import(&fresh(), &longer).is_err(),
        "something after the end"
    );
}

#[test]
fn an_older_export_brings_back_nothing_that_was_ended_since() {
    let access = Subsystem::AccessTokens;
    type End = fn(&Engine, &IssuedToken) -> bool;
    let ends: [End; 4] = [
        |engine, token| {
            let revoked = engine.access().revoke(token.selector, None);
            revoked.wait().is_ok()
        },
        |engine, _| engine.access().revoke_all(None).wait().is_ok(),
        |engine, _| {
            let all_of = engine.access().revoke_all_of(principal("ann"), None);
            all_of.wait().is_ok()
        },
        |engine, _| {
            let off = engine.switches().off(Subsystem::AccessTokens, None);
            off.wait().is_ok()
        },
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let (engine, [live, ..]) = filled();
        let lines = export(&engine);
        assert!(end(&engine, &live));
        let before = engine.switches().list().wait().unwrap();
        assert!(!is_in(&engine, &live));
        let imported = import(&engine, &lines).unwrap_err();
        assert!(matches!(imported, Error::NotEmpty { .. }), "{imported:?}");
        assert!(!is_in(&engine, &live), "way {number} was undone");
        let after = engine.switches().list().wait().unwrap();
        assert_eq!(after.switch(access), before.switch(access), "way {number}");
    }
}

#[test]
fn an_import_that_was_cut_off_goes_on_with_the_same_export_alone() {
    let (engine, [live, revoked, _]) = filled();
    let lines = export(&engine);
    let text = String::from_utf8(lines.clone()).unwrap();
    let all: Vec<&str> = text.lines().collect();
    // Enough for some of it to have been filed.
    for name in 0..300 {
        issue(&engine, &format!("one more {name}"));
    }
    let more = export(&engine);
    let cuts = [2, all.len() / 2, all.len() - 1];
    for (lines, at) in cuts
        .map(|at| (&lines, at))
        .into_iter()
        .chain([(&more, 500)])
    {
        let target = fresh();
        let cut: Vec<&[u8]> = lines
            .split_inclusive(|&byte| byte == b'\n')
            .take(at)
            .collect();
        import(&target, &cut.concat()).unwrap_err();
        assert!(!is_in(&target, &live), "half of it lets nobody in");
        let (filed, present) = import(&target, lines).unwrap();
        let read = lines.iter().filter(|&&byte| byte == b'\n').count() as u64 - 2;
        assert_eq!(filed + present, read);
        assert!(at < 500 || present >= 256, "{present} were there");
        assert!(is_in(&target, &live));
        assert_eq!(refused(&target, &revoked), Rejection::Revoked);
        let again = import(&target, lines).unwrap_err();
        assert!(matches!(again, Error::NotEmpty { .. }), "{again:?}");
    }
    // What was filed of one is not in the other, or another record.
    let target = fresh();
    let cut: Vec<&[u8]> = more
        .split_inclusive(|&byte| byte == b'\n')
        .take(900)
        .collect();
    import(&target, &cut.concat()).unwrap_err();
    for other in [&lines, &export(&filled().0)] {
        let Err(Error::Import { line, detail }) = import(&target, other) else {
            panic!("it was taken in");
        };
        let lines = other.iter().filter(|&&byte| byte == b'\n').count() as u64;
        assert!(detail.contains("is in the store"), "{detail}");
        // What the export has not is told at its end.
        assert!((2..=lines + 1).contains(&line), "line {line} of {lines}");
        assert!(!is_in(&target, &live));
    }
    import(&target, &more).unwrap();
}

/// Each line is genuine, and the version of its record is: the whole is not.
#[test]
fn a_line_out_of_an_older_export_is_not_taken_for_one_of_this() {
    let (engine, [live, ..]) = filled();
    let before = String::from_utf8(export(&engine)).unwrap();
    revoke(&engine, live.selector);
    let after = String::from_utf8(export(&engine)).unwrap();
    let key = hex(&live.selector.to_bytes());
    let is_its = |line: &&str| line.contains("\"grants\"") && member(line, "key") == key;
    let old = before.lines().find(is_its).unwrap();
    let new = after.lines().find(is_its).unwrap();
    assert_ne!(old, new);
    let lines = after.replacen(new, old, 1);
    let target = fresh();
    let outcome = import(&target, lines.as_bytes());
    let last = lines.lines().count() as u64;
    assert!(
        matches!(outcome, Err(Error::Import { line, .. }) if line == last),
        "{outcome:?}"
    );
    assert!(!is_in(&target, &live));
    import(&target, after.as_bytes()).unwrap();
    assert_eq!(refused(&target, &live), Rejection::Revoked);
}

#[test]
fn an_import_of_many_that_was_cut_off_finds_each_that_was_filed() {
    let (engine, [live, ..]) = filled();
    for name in 0..1000 {
        issue(&engine, &format!("one of many {name}"));
    }
    let lines = export(&engine);
    let all: Vec<&[u8]> = lines.split_inclusive(|&byte| byte == b'\n').collect();
    let target = fresh();
    let most = all.len() - 100;
    import(&target, &all[..most].concat()).unwrap_err();
    let (filed, present) = import(&target, &lines).unwrap();
    assert_eq!((filed + present) as usize, all.len() - 2);
    assert!(
        present as usize > most - 400,
        "{filed} anew, {present} there"
    );
    assert!(is_in(&target, &live));
}

#[test]
fn a_store_with_everything_switched_off_is_not_taken_for_one_that_is_being_filled() {
    let (engine, [live, ..]) = filled();
    let lines = export(&engine);
    for subsystem in Subsystem::ALL {
        let off = engine.switches().off(subsystem, None);
        assert!(off.wait().unwrap().durable);
    }
    let imported = import(&engine, &lines).unwrap_err();
    assert!(matches!(imported, Error::NotEmpty { .. }), "{imported:?}");
    assert_eq!(refused(&engine, &live), Rejection::SwitchedOff);
}

#[test]
fn whose_an_export_is_shows_in_its_first_record() {
    let lines = export(&filled().0);
    let text = String::from_utf8(lines.clone()).unwrap();
    let (head, first) = {
        let mut lines = text.lines();
        (lines.next().unwrap(), lines.next().unwrap())
    };
    let is_of = |keys: &KeyMaterial, start: &str| export_is_of(keys, &mut start.as_bytes());
    let keys = samples::keys();
    let start = format!("{head}\n{first}\n");
    assert_eq!(is_of(&keys, &text), Ok(()));
    assert_eq!(is_of(&keys, &start), Ok(()), "the rest is not looked at");
    let others = KeyMaterial::generate(samples::NOW, [5; 32], [6; 32]);
    let record = member(first, "record");
    let edited = format!("{:02x}{}", unhex(record)[0] ^ 1, &record[2..]);
    let starts = [
        (&others, start.clone()),
        (&keys, start.replace(record, &edited)),
        (&keys, format!("{head}\n")),
        (&keys, format!("{first}\n")),
        (&keys, String::new()),
    ];
    for (keys, start) in &starts {
        let error = is_of(keys, start).unwrap_err();
        assert!(matches!(error, Error::Import { .. }), "{error:?}");
    }
}

#[test]
fn over_a_store_in_use_the_export_wins_in_everything_but_events() {
    let (engine, [live, revoked, _]) = filled();
    let clock = ManualClock::default();
    let target = on_store(&clock, Arc::new(MemoryStore::new([])));
    // Both draw the same randomness: at another time it makes other ids.
    clock.advance(Duration::from_secs(1));
    import(&target, &export(&engine)).unwrap();
    // Something happens to both sides, of which one is right.
    let here = issue(&target, "dan");
    revoke(&engine, live.selector);
    let new = issue(&engine, "eve");
    let lines = export(&engine);
    let cut = &lines[..lines.len() * 9 / 10];
    target.import_over(&mut &*cut, &mut |_| {}).unwrap_err();
    for token in [&live, &here, &new] {
        assert!(!is_in(&target, token), "half of it lets nobody in");
    }
    let report = target.import_over(&mut &*lines, &mut |_| {}).unwrap();
    assert!(report.replaced > 0 && report.removed >= 2, "{report:?}");
    assert_eq!(
        report.filed + report.present + report.replaced,
        report.tally.total()
    );
    assert_eq!(refused(&target, &live), Rejection::Revoked);
    assert_eq!(refused(&target, &revoked), Rejection::Revoked);
    assert_eq!(refused(&target, &here), Rejection::Unknown);
    assert!(is_in(&target, &new));
    let mut query = EventQuery::default();
    query.kind = Some(EventKind::Imported);
    let noted = target.audit().list(query).wait().unwrap().events;
    assert_eq!(noted.len(), 2);
}

/// What goes through the store in many steps takes from each of them just what belongs there.
#[test]
fn over_a_store_that_has_much_more_nothing_is_filed_that_is_there_already() {
    let (engine, [live, ..]) = filled();
    let clock = ManualClock::default();
    let target = on_store(&clock, Arc::new(MemoryStore::new([])));
    clock.advance(Duration::from_secs(1));
    let lines = export(&engine);
    import(&target, &lines).unwrap();
    for name in 0..700 {
        issue(&target, &format!("one of many {name}"));
    }
    let report = target.import_over(&mut &*lines, &mut |_| {}).unwrap();
    // The system record is filed last of all, in any case.
    assert_eq!(report.filed, 1, "{report:?}");
    assert_eq!(report.present + 1, report.tally.total(), "{report:?}");
    assert_eq!(report.removed, 1400, "{report:?}");
    assert!(is_in(&target, &live));
    assert_eq!(tokens_of(&target), tokens_of(&engine));
}
