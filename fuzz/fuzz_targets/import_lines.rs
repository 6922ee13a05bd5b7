//! Hazard: an export that was edited and lets in whom the store did not, a second file for the
//! same records, or lines that hurt their reader.
//!
//! No tag fits by chance, so most inputs are edits of a good file, some of which give a record or
//! the whole file its right tag again, as only who holds the root key could.
#![no_main]

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use countersign::store::{MemoryStore, Store};
use countersign::{
    AttachmentId, Engine, Expiry, Label, NewSeries, NewToken, Policy, ScopeSet, TokenName,
};
use countersign_core::{Key, Keyring, Table, Versioned};
use countersign_fuzz::{Choices, edge, small};
use countersign_store::Revision;
use countersign_store::codec::Sealer;
use countersign_testkit::samples;
use libfuzzer_sys::fuzz_target;

const HEAD: &str = r#"{"countersign_export":1}"#;
const EDITS_MAX: usize = 16;

static KEYRING: LazyLock<Arc<Keyring>> = LazyLock::new(samples::keyring);
static POLICY: LazyLock<Policy> = LazyLock::new(|| small(16, 16).build().expect("a policy"));
static GOOD: LazyLock<Good> = LazyLock::new(Good::new);

/// A file as it is written out, and a token that is good in it.
struct Good {
    lines: Vec<Vec<u8>>,
    token: String,
}

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let kind = choices.below(3);
    let file = match kind {
        0 => choices.rest().to_vec(),
        _ => {
            let mut lines = GOOD.lines.clone();
            for _ in 0..EDITS_MAX {
                if choices.is_over() {
                    break;
                }
                edit(&mut lines, &mut choices);
            }
            if kind == 2 {
                settle(&mut lines);
            }
            lines.concat()
        }
    };
    check(&file);
});

fn engine(store: &Arc<MemoryStore>) -> Engine {
    edge::engine(Arc::clone(store), POLICY.clone())
}

impl Good {
    fn new() -> Self {
        let engine = engine(&Arc::new(MemoryStore::new([])));
        let issue = |number| {
            let request = NewToken {
                principal: samples::name(number),
                name: TokenName::new("ci").expect("a name"),
                scopes: ScopeSet::EMPTY,
                expiry: Expiry::Never,
            };
            engine.access().issue(request).wait().expect("room")
        };
        let token = issue(0).token.expose().to_owned();
        let revoked = engine.access().revoke(issue(1).selector, None).wait();
        revoked.expect("a store in memory");
        let device = NewSeries {
            principal: samples::name(1),
            label: Label::new("a browser").expect("a label"),
        };
        engine.remember().start(device).wait().expect("room");
        let attachment = AttachmentId::new("10001").expect("an attachment");
        let signed = engine.images().sign(samples::name(0), attachment).wait();
        signed.expect("nothing is in the way");
        assert!(
            engine
                .access()
                .verify(&token)
                .wait()
                .expect("a verdict")
                .is_in()
        );
        engine.flush().wait().expect("a store in memory");
        let mut file = Vec::new();
        engine
            .export(&mut file, &mut |_| {})
            .expect("a store in memory");
        let lines = file.split_inclusive(|&byte| byte == b'\n');
        Self {
            lines: lines.map(<[u8]>::to_vec).collect(),
            token,
        }
    }
}

/// Whatever is taken in is a file in its one spelling, and just what its lines say is there
/// afterwards; whatever is refused lets nobody in.
fn check(file: &[u8]) {
    let store = Arc::new(MemoryStore::new([]));
    let target = engine(&store);
    let Ok(report) = target.import(&mut &*file, &mut |_| {}) else {
        let verdict = target.access().verify(&GOOD.token).wait();
        assert!(
            !verdict.expect("a verdict").is_in(),
            "let in by half a file"
        );
        return;
    };
    let text = core::str::from_utf8(file).expect("lines of text");
    let mut lines = text
        .split_inclusive('\n')
        .map(|line| line.strip_suffix('\n'));
    assert_eq!(lines.next().flatten(), Some(HEAD));
    let mut chain = [0; 16];
    let mut read = HashMap::new();
    let mut records = 0;
    let mut rest: Vec<&str> = lines.map(|line| line.expect("a whole line")).collect();
    let tail = rest.pop().expect("a last line");
    for line in rest {
        let (key, digits, opened) = opened(line).expect("a line that was taken in");
        assert_eq!(spelled(key, &opened), line, "a second spelling of a line");
        chain = KEYRING.export_tag(&[&chain, digits.as_bytes()]);
        records += 1;
        read.entry(key).or_insert(opened.record);
    }
    assert_eq!(
        tail,
        last_line(records, &chain),
        "a second spelling of the end"
    );
    assert_eq!(report.filed + report.present, records);
    for (key, record) in read {
        let found = store
            .load(&[key])
            .wait()
            .expect("a store in memory")
            .remove(0);
        assert_eq!(found.map(|found| found.record), Some(record), "{key:?}");
    }
}

/// What a record's line says, read by other means than the engine's.
fn opened(line: &str) -> Option<(Key, String, Versioned)> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let member = |name: &str| line.get(name)?.as_str();
    let table = member("table")?;
    let table = Table::ALL.into_iter().find(|one| one.name() == table)?;
    let id = unhex(member("key")?)?.try_into().ok()?;
    let (key, digits) = (Key { table, id }, member("record")?);
    let sealer = Sealer::new(Arc::clone(&KEYRING));
    let opened = sealer.open(key, &unhex(digits)?, Revision(u64::MAX)).ok()?;
    Some((key, digits.to_owned(), opened))
}

/// The line of a record, as `docs/FORMAT.md` has it.
fn spelled(key: Key, found: &Versioned) -> String {
    let sealer = Sealer::new(Arc::clone(&KEYRING));
    let mut draft = sealer.draft(key, &found.record).expect("it was read");
    let record = hex(sealer.seal(&mut draft, found.version));
    let (table, id, version) = (key.table.name(), hex(&key.id), found.version.number());
    format!(r#"{{"table":"{table}","key":"{id}","version":{version},"record":"{record}"}}"#)
}

fn last_line(records: u64, chain: &[u8; 16]) -> String {
    format!(
        r#"{{"end":true,"records":{records},"tag":"{}"}}"#,
        hex(chain)
    )
}

fn edit(lines: &mut Vec<Vec<u8>>, choices: &mut Choices<'_>) {
    let kind = choices.below(7);
    let Some(at) = usize::from(choices.byte()).checked_rem(lines.len()) else {
        return;
    };
    let place = usize::from(u16::from_be_bytes(choices.bytes()));
    let place_in = |line: &[u8]| place.checked_rem(line.len()).unwrap_or(0);
    match kind {
        0 => {
            let place = place_in(&lines[at]);
            if let Some(byte) = lines[at].get_mut(place) {
                *byte = choices.byte();
            }
        }
        1 => {
            let place = place_in(&lines[at]);
            lines[at].insert(place, choices.byte());
        }
        2 => {
            let place = place_in(&lines[at]);
            if place < lines[at].len() {
                lines[at].remove(place);
            }
        }
        3 => {
            let other = place % lines.len();
            lines.swap(at, other);
        }
        4 => {
            let line = lines[at].clone();
            lines.insert(place % lines.len(), line);
        }
        5 => drop(lines.remove(at)),
        _ => reseal(&mut lines[at], place, choices.byte()),
    }
}

/// Another byte above the tag of a record, and the tag that belongs to it.
fn reseal(line: &mut Vec<u8>, place: usize, byte: u8) {
    let read = || {
        let text = core::str::from_utf8(line).ok()?;
        let (key, digits, opened) = opened(text.trim_end())?;
        let mut bytes = unhex(&digits)?;
        bytes.truncate(bytes.len() - 16);
        let at = place % bytes.len();
        bytes[at] = byte;
        let place = [&[key.table.code()][..], &key.id].concat();
        let tag = KEYRING.record_tag(&[&place, &bytes]);
        bytes.extend_from_slice(&tag);
        let version = u64::from_be_bytes(bytes[3..11].try_into().ok()?);
        let was = format!("\"version\":{}", opened.version.number());
        let text = text.replace(&digits, &hex(&bytes));
        Some(text.replace(&was, &format!("\"version\":{version}")))
    };
    if let Some(resealed) = read() {
        *line = resealed.into_bytes();
    }
}

/// Gives the file the last line that belongs to it.
fn settle(lines: &mut Vec<Vec<u8>>) {
    let (mut chain, mut records) = ([0; 16], 0);
    drop(lines.pop());
    for line in lines.iter().skip(1) {
        let line: Option<serde_json::Value> = serde_json::from_slice(line).ok();
        let record = line.as_ref().and_then(|line| line.get("record")?.as_str());
        if let Some(record) = record {
            chain = KEYRING.export_tag(&[&chain, record.as_bytes()]);
            records += 1;
        }
    }
    lines.push(format!("{}\n", last_line(records, &chain)).into_bytes());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2));
    pairs
        .map(|pair| u8::from_str_radix(pair?, 16).ok())
        .collect()
}
