//! Hazard: bytes of a snapshot that somebody or something has altered let somebody in, or panic
//! (I8). Tomcat CVE-2025-24813 was a session file that was read too trustingly.

use crate::restart::{NAME, restore};
use crate::support::{World, set};
use countersign_sessions::{Opened, Restored, SnapshotError, SnapshotName};
use proptest::prelude::*;

struct Sample {
    world: World,
    sessions: Vec<Opened>,
    bytes: Vec<u8>,
}

fn sample() -> Sample {
    let world = World::new(|_| ());
    let mut sessions: Vec<Opened> = (0..3).map(|n| world.log_in(&format!("p{n}"))).collect();
    sessions.push(world.start());
    let selector = sessions[1].session.selector();
    let _updated = world
        .table
        .update(&world.moment(), selector, &[set("a", "b"), set("c", "d")]);
    let bytes = world.table.snapshot(&world.moment(), &NAME);
    Sample {
        world,
        sessions,
        bytes,
    }
}

/// Restores altered bytes: whoever gets in was in before, as the same one, and somebody is missing.
fn check(sample: &Sample, bytes: &[u8]) -> Result<Restored, SnapshotError> {
    let again = sample.world.restarted();
    let answer = restore(&again, bytes);
    let mut inside = 0;
    for opened in &sample.sessions {
        if let Ok(live) = again.peek(&opened.token) {
            inside += 1;
            assert_eq!(live.owner(), opened.session.owner());
        }
    }
    assert_eq!(again.table.len().0, inside, "somebody is in who was not");
    match answer {
        Err(_) => assert_eq!(inside, 0),
        Ok(restored) => assert_eq!((restored.living, restored.damaged), (inside, 4 - inside)),
    }
    answer
}

#[test]
fn every_bit_that_is_altered_costs_a_session_or_all_and_lets_nobody_in() {
    let sample = sample();
    let mut dropped = 0;
    for at in 0..sample.bytes.len() {
        for bit in [0, 3, 7] {
            let mut bytes = sample.bytes.clone();
            bytes[at] ^= 1 << bit;
            match check(&sample, &bytes) {
                Err(_) => {}
                Ok(restored) => {
                    assert_eq!(restored.damaged, 1, "byte {at}");
                    dropped += 1;
                }
            }
        }
    }
    // One bad bit in a record costs that record alone.
    assert!(dropped > sample.bytes.len(), "{dropped}");
}

#[test]
fn what_is_cut_or_lengthened_is_refused_as_a_whole() {
    let sample = sample();
    for len in 0..sample.bytes.len() {
        assert!(check(&sample, &sample.bytes[..len]).is_err(), "{len}");
    }
    for more in [&[0][..], &sample.bytes] {
        let longer = [&sample.bytes[..], more].concat();
        assert_eq!(check(&sample, &longer), Err(SnapshotError::Length));
    }
    assert_eq!(check(&sample, b""), Err(SnapshotError::NotASnapshot));
    let mut other = sample.bytes.clone();
    other[7] = 2;
    assert_eq!(
        check(&sample, &other),
        Err(SnapshotError::NotASnapshot),
        "a later version"
    );
}

/// The records of a snapshot, each with its length and tag.
fn records(bytes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (head, mut rest) = bytes.split_at(56);
    let mut records = Vec::new();
    while let Some((len, _)) = rest.split_first_chunk::<4>() {
        let whole = 4 + u32::from_be_bytes(*len) as usize + 16;
        let (record, after) = rest.split_at(whole);
        records.push(record.to_vec());
        rest = after;
    }
    (head.to_vec(), records)
}

#[test]
fn a_record_that_is_moved_or_doubled_or_from_another_snapshot_is_dropped() {
    let sample = sample();
    let (head, good) = records(&sample.bytes);
    assert_eq!(good.len(), 4);
    let glue = |records: &[Vec<u8>]| [head.clone(), records.concat()].concat();
    assert_eq!(check(&sample, &glue(&good)).unwrap().living, 4);

    let mut swapped = good.clone();
    swapped.swap(0, 1);
    assert_eq!(check(&sample, &glue(&swapped)).unwrap().living, 2);
    let mut doubled = good.clone();
    doubled[1] = doubled[0].clone();
    assert_eq!(check(&sample, &glue(&doubled)).unwrap().living, 3);
    assert_eq!(
        check(&sample, &glue(&good[..3])),
        Err(SnapshotError::Length)
    );

    let older = SnapshotName {
        id: [0x0d; 16],
        ..NAME
    };
    let older = sample.world.table.snapshot(&sample.world.moment(), &older);
    let mut mixed = good.clone();
    mixed[2] = records(&older).1[2].clone();
    assert_eq!(check(&sample, &glue(&mixed)).unwrap().living, 3);
}

/// Nobody without the keys can make one, but a session that is restored must be the one that was
/// written, and a table holds milliseconds in six bytes.
#[test]
fn a_span_that_a_table_cannot_hold_is_no_record_even_under_its_tag() {
    let sample = sample();
    let (head, good) = records(&sample.bytes);
    for (at, what) in [(78, "idle timeout"), (88, "authenticated at")] {
        let mut wide = good.clone();
        let len = wide[0].len() - 16;
        let record = &mut wide[0][4..len];
        record[at..at + 8].copy_from_slice(&(1u64 << 48).to_be_bytes());
        let parts: [&[u8]; 5] = [b"record", &NAME.binding, &NAME.id, &[0; 8], record];
        let tag = sample.world.keyring.snapshot_tag(&parts);
        wide[0][len..].copy_from_slice(&tag);
        let restored = check(&sample, &[head.clone(), wide.concat()].concat());
        assert_eq!(restored.unwrap().damaged, 1, "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic_or_let_anybody_in(head in any::<bool>(), bytes: Vec<u8>) {
        let sample = sample();
        let bytes = if head { [&sample.bytes[..56], &bytes].concat() } else { bytes };
        prop_assert!(check(&sample, &bytes).is_err());
    }
}
