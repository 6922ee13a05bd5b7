//! Hazard: bytes of a snapshot that let somebody in whom nobody signed in, that hurt whoever reads
//! them, or that stand for a session in two ways (I8). Tomcat CVE-2025-24813 was a session file
//! that was read too trustingly.
//!
//! No tag fits by chance, so an input becomes records under the tags that belong to them.
#![no_main]

use std::sync::LazyLock;

use countersign_core::policy::{Draft, SessionPolicy};
use countersign_core::{Epoch, Keyring, Principal, Timestamp};
use countersign_fuzz::Choices;
use countersign_sessions::{Epochs, Moment, Restored, SessionTable, SnapshotError, SnapshotName};
use countersign_testkit::samples;
use libfuzzer_sys::fuzz_target;

const NAME: SnapshotName = SnapshotName {
    binding: [0xb1; 16],
    id: [0x1d; 16],
};
const HEAD: usize = 56;
const TAG: usize = 16;

/// Where the epoch of its principal is in a record.
const PRINCIPAL_EPOCH: usize = 58;
/// The epoch in force of those whose epochs have moved on.
const MOVED_ON: u32 = 1;
/// Where fields of a record are that a restart may shorten: last use, and absolute end.
const LAST_SEEN: usize = 62;
const ENDS_AT: usize = 70;
/// Where the method of authentication is, and the length of the principal's name.
const METHOD: usize = 87;
const NAME_LEN: usize = 100;

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| Keyring::new(&samples::keys()));
static POLICY: LazyLock<SessionPolicy> = LazyLock::new(|| {
    let mut draft = Draft::default();
    draft.sessions.max_sessions = 8;
    draft.sessions.max_anonymous = 4;
    draft.sessions.max_per_principal = 3;
    draft.sessions.max_ended = 16;
    draft.build().expect("a policy").sessions().clone()
});

fuzz_target!(|input: &[u8]| {
    let (restored, _) = restore(input);
    assert!(restored.is_err(), "a head whose tag fits by chance");
    let mut choices = Choices::new(input);
    let mut records: Vec<Vec<u8>> = Vec::new();
    while !choices.is_over() && records.len() < 12 {
        let in_its_place = choices.flag();
        let len = u16::from_be_bytes(choices.bytes());
        let mut record = choices.slice(len.into()).to_vec();
        if in_its_place {
            put_where_its_principal_is(&mut record);
        }
        records.push(record);
    }
    check(&records);
});

fn moment() -> Moment<'static> {
    Moment {
        now: samples::NOW,
        keyring: &KEYRING,
        policy: &POLICY,
    }
}

/// Restores into an empty table. Whose names begin with `-` have no record, and the epochs of
/// those with `+` have moved on.
fn restore(bytes: &[u8]) -> (Result<Restored, SnapshotError>, SessionTable) {
    let table = SessionTable::new(&POLICY, &KEYRING);
    let of_principal = |name: &Principal| match name.as_str().as_bytes() {
        [b'-', ..] => None,
        [b'+', ..] => Some(Epoch::from_parts(MOVED_ON, Timestamp::ZERO)),
        _ => Some(Epoch::FIRST),
    };
    let epochs = Epochs {
        sessions: Epoch::FIRST,
        of_principal: &of_principal,
    };
    let restored = table.restore(&moment(), NAME.binding, bytes, &epochs);
    (restored, table)
}

fn check(records: &[Vec<u8>]) {
    let (restored, table) = restore(&snapshot(records));
    let restored = restored.expect("its tags are right");
    let (sessions, anonymous) = table.len();
    assert_eq!(restored.living, sessions);
    assert!(sessions <= POLICY.max_sessions && anonymous <= POLICY.max_anonymous);
    let others = [
        restored.expired,
        restored.revoked,
        restored.known,
        restored.no_room,
        restored.damaged,
    ];
    let told = sessions + others.iter().sum::<u64>();
    assert_eq!(told, records.len() as u64, "a record that nobody tells of");
    for name in ["-", "-ann"] {
        let name = Principal::new(name).expect("a name");
        assert!(
            table.list(&moment(), &name).outcome.is_empty(),
            "let in again"
        );
    }

    let again = table.snapshot(&moment(), &NAME);
    let written = cut(&again);
    assert_eq!(written.len() as u64, sessions);
    for record in &written {
        let source = records.iter().any(|source| is_of(record, source));
        assert!(
            source,
            "a session out of nothing, or a second spelling of one"
        );
        let nobody = (record[METHOD], record[NAME_LEN]) == (0, 0);
        let somebody = record[METHOD].min(record[NAME_LEN]) > 0;
        assert!(nobody || somebody, "signed in by no method");
        // One that was issued under the epoch that is in force stands.
        let named = record[NAME_LEN] > 0 && record[NAME_LEN + 1] == b'+';
        let in_force = record[PRINCIPAL_EPOCH..LAST_SEEN] == MOVED_ON.to_be_bytes();
        assert!(!named || in_force, "let in again");
    }
    let (restored, third) = restore(&again);
    let restored = restored.expect("it was just written");
    assert_eq!(
        (restored.living, third.len()),
        (sessions, (sessions, anonymous))
    );
    // One from the future is shortened each time by as much as it is ahead.
    for record in cut(&third.snapshot(&moment(), &NAME)) {
        let source = written.iter().any(|source| is_of(&record, source));
        assert!(source, "restored twice, it is another");
    }
}

/// The bytes of a snapshot of these records, as `docs/FORMAT.md` has them.
fn snapshot(records: &[Vec<u8>]) -> Vec<u8> {
    let count = (records.len() as u64).to_be_bytes();
    let at = samples::NOW.as_millis().to_be_bytes();
    let mut bytes = [&b"csn-ses\x01"[..], &NAME.id, &at, &count].concat();
    let tag = KEYRING.snapshot_tag(&[b"head", &NAME.binding, &bytes]);
    bytes.extend_from_slice(&tag);
    for (number, record) in (0u64..).zip(records) {
        let parts: [&[u8]; 5] = [
            b"record",
            &NAME.binding,
            &NAME.id,
            &number.to_be_bytes(),
            record,
        ];
        bytes.extend_from_slice(&(record.len() as u32).to_be_bytes());
        bytes.extend_from_slice(record);
        bytes.extend_from_slice(&KEYRING.snapshot_tag(&parts));
    }
    bytes
}

/// The records of a snapshot that was written.
fn cut(snapshot: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &snapshot[HEAD..];
    let mut records = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk::<4>() {
        let (record, behind) = behind.split_at(u32::from_be_bytes(*len) as usize);
        records.push(record.to_vec());
        rest = &behind[TAG..];
    }
    records
}

/// Whether a session that was restored is the one of a record: the same bytes, but for what a
/// clock that stepped back shortens.
fn is_of(written: &[u8], source: &[u8]) -> bool {
    let mut masked = source.to_vec();
    for at in [LAST_SEEN, ENDS_AT] {
        let (Some(before), Some(after)) = (instant(source, at), instant(written, at)) else {
            return false;
        };
        if after > before {
            return false;
        }
        masked[at..at + 8].copy_from_slice(&after.to_be_bytes());
    }
    masked == written
}

fn instant(record: &[u8], at: usize) -> Option<u64> {
    let bytes = record.get(at..at + 8)?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}

/// Gives a record the tag that its principal's sessions have, and the bits of a selector; its
/// principal's name must hash to it, and hardly ever would.
fn put_where_its_principal_is(record: &mut [u8]) {
    let Some(len) = record.get(NAME_LEN).copied() else {
        return;
    };
    let name = record.get(NAME_LEN + 1..NAME_LEN + 1 + usize::from(len));
    let name = name.and_then(|name| core::str::from_utf8(name).ok());
    let principal = name.and_then(|name| Principal::new(name).ok());
    let tag = principal.map_or(0, |principal| KEYRING.shard_tag(&principal).bits());
    record[6..8].copy_from_slice(&[0x70, 0]);
    record[8] = 0x80 | (tag >> 6) as u8;
    record[9] = (tag << 2) as u8 | record[9] & 3;
}
