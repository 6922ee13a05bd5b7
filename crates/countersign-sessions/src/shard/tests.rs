//! Hazard: columns, index and graves that disagree, rows that are lost, or memory that only grows.

use super::*;
use crate::slot::BARE;
use crate::sync::alone;
use crate::tail::{self, Berth};
use core::time::Duration;
use countersign_core::{KeyMaterial, Keyring, Principal, ShardTag};

const START: Timestamp = Timestamp::from_millis(1_795_341_296_789);
const HOUR: Duration = Duration::from_secs(3600);
/// The mark of ann's sessions.
const ANNS: Mark = Mark(7);

fn shard(rows: usize, graves: usize) -> Shard {
    let material = KeyMaterial::generate(START, [1; 32], [2; 32]);
    Shard::new(Veil::new(&Keyring::new(&material)), rows, graves)
}

/// The `n`th session, which names `row`; every third one is anonymous.
fn session(shard: &Shard, n: u32, row: usize) -> (Mark, Slot) {
    let [a, b, c, d] = n.to_be_bytes();
    let tag = ShardTag::from_bits(0xabc);
    let random = [0, 0, 0, 0, a, b, c, d];
    let selector = tail::mint(START, Berth { tag, row }, shard.veil, random);
    let is_anonymous = n.is_multiple_of(3);
    let owner = (!is_anonymous).then(|| Owner::new(&Principal::new("ann").unwrap()));
    let slot = Slot {
        selector,
        owner,
        ..Slot::decoy()
    };
    (if is_anonymous { ANONYMOUS } else { ANNS }, slot)
}

/// Takes a session in and answers the row that it lies in.
#[track_caller]
fn enter(shard: &mut Shard, n: u32, row: usize) -> usize {
    let (mark, slot) = session(shard, n, row);
    let selector = slot.selector;
    assert!(shard.insert(mark, START.after(HOUR), slot));
    agree(shard);
    row_of(shard, selector).unwrap()
}

fn row_of(shard: &Shard, selector: Selector) -> Option<usize> {
    match shard.find(selector)? {
        Found::Living(row, _) => Some(row),
        Found::Dead(_) => None,
    }
}

/// Whether a shard is as the head of its module says that every call leaves it.
#[track_caller]
fn agree(shard: &Shard) {
    let rows = shard.rows();
    let columns = [shard.deadlines.len(), shard.marks.len(), shard.notes.len()];
    assert_eq!(columns, [rows; 3]);
    let empty: Vec<usize> = (0..rows).filter(|row| shard.slot(*row).is_none()).collect();
    let mut free: Vec<usize> = shard.free.iter().map(|row| *row as usize).collect();
    free.sort_unstable();
    assert_eq!(free, empty);
    for row in empty {
        assert_eq!((shard.deadlines[row], shard.marks[row]), (NEVER, FREE.0));
        assert_eq!(shard.note(row).value, 0);
    }
    let living = (0..rows).filter_map(|row| Some((row, shard.slot(row)?.selector)));
    let elsewhere = living.filter(|(row, selector)| {
        assert_eq!(row_of(shard, *selector), Some(*row));
        Tail::of(*selector).row(shard.veil) != *row
    });
    let indexed = shard.index.len().checked_sub(shard.graves());
    assert_eq!(indexed, Some(elsewhere.count()));
    let anonymous = shard.marks.iter().filter(|mark| **mark == ANONYMOUS.0);
    assert_eq!(shard.anonymous(), anonymous.count());
}

#[test]
fn a_session_lies_in_the_row_that_it_names_and_no_index_is_kept_for_the_living() {
    alone(|| {
        let mut shard = shard(100, 4);
        agree(&shard);
        // Rows that nobody has yet are made for one that names a later one, as after a restart.
        assert_eq!((enter(&mut shard, 0, 3), shard.rows()), (3, 4));
        for n in 1..20 {
            let next = shard.next_row();
            assert_eq!(enter(&mut shard, n, next), next);
        }
        assert_eq!((shard.rows(), shard.index.len()), (20, 0));
        for row in [4, 17, 9] {
            shard.end(row, EndedBy::Principal, START).unwrap();
            agree(&shard);
        }
        // Free ones are filled before others are made, whichever of them is named.
        for (n, row) in [(20, 4), (21, 9), (22, 17)] {
            assert_eq!(enter(&mut shard, n, row), row);
        }
        assert_eq!((shard.rows(), shard.index.len()), (20, 3));
    });
}

#[test]
fn a_row_that_is_taken_stays_its_session_s() {
    alone(|| {
        let mut shard = shard(100, 4);
        let first = enter(&mut shard, 1, 0);
        let second = enter(&mut shard, 2, 0);
        assert_eq!((first, second, shard.index.len()), (0, 1, 1));
        // It would be its own if it came again.
        let (mark, slot) = session(&shard, 2, 0);
        assert!(!shard.insert(mark, START, slot));
        agree(&shard);
    });
}

#[test]
fn no_rows_are_made_past_what_a_shard_is_meant_for_unless_sessions_fill_them() {
    alone(|| {
        let mut shard = shard(4, 0);
        for n in 0..4 {
            enter(&mut shard, n, 10);
            assert_eq!(shard.rows(), 4);
        }
        assert_eq!(enter(&mut shard, 4, 10), 4);
    });
}

#[test]
fn for_a_bare_id_which_names_no_row_none_is_made() {
    alone(|| {
        let mut shard = shard(100, 4);
        let (mark, mut slot) = session(&shard, 1, 50);
        slot.flags = BARE;
        assert!(shard.insert(mark, START, slot));
        agree(&shard);
        assert_eq!(shard.rows(), 1);
    });
}

#[test]
fn the_index_keeps_nothing_of_whom_nobody_remembers() {
    alone(|| {
        let mut shard = shard(100, 3);
        for n in 0..60 {
            // All name one row, so that most lie elsewhere.
            let rows = [2 * n, 2 * n + 1].map(|n| enter(&mut shard, n, 0));
            for row in rows {
                shard.end(row, EndedBy::Principal, START).unwrap();
                agree(&shard);
            }
        }
        assert_eq!((shard.graves(), shard.index.len()), (6, 6));
    });
}

#[test]
fn nothing_is_due_before_the_first_deadline() {
    alone(|| {
        let mut shard = shard(100, 4);
        assert!(!shard.any_due(Timestamp::from_millis(NEVER - 1)));
        let row = enter(&mut shard, 1, 3);
        let deadline = START.after(HOUR);
        let before = deadline.before(Duration::from_millis(1));
        assert!(!shard.any_due(before) && shard.any_due(deadline));
        assert_eq!(shard.last_due(usize::MAX, before), None);
        assert_eq!(shard.last_due(usize::MAX, deadline), Some(row));
    });
}

#[test]
fn room_is_made_seldom_and_little_of_it_lies_idle() {
    alone(|| {
        let mut shard = shard(10_000, 0);
        let (mut moves, mut before) = (0, 0);
        for n in 0..1000 {
            let row = shard.next_row();
            let (mark, slot) = session(&shard, n, row);
            assert!(shard.insert(mark, START, slot));
            let (rows, room) = (shard.rows(), shard.slots.capacity());
            assert!(room <= rows + GROWTH_MIN.max(rows / 8), "{room} for {rows}");
            moves += u32::from(room != before);
            before = room;
        }
        assert!(moves < 40, "{moves}");
    });
}
