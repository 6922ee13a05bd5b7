//! Hazard: a session under another library's id outlives its end, or cannot be opened any more once
//! sessions were switched off.

use crate::support::{DAY, in_memory};
use countersign::{BareId, Engine, NewBareSession, OpenedBare, Subsystem};
use countersign_testkit::samples;

fn open(engine: &Engine) -> OpenedBare {
    let new = NewBareSession {
        principal: None,
        attributes: Vec::new(),
        ends_at: samples::NOW.after(DAY),
    };
    engine.sessions().open_bare(new).wait().unwrap()
}

#[track_caller]
fn is_in(engine: &Engine, id: &BareId) -> bool {
    let verdict = engine.sessions().touch_bare(id, None);
    verdict.wait().unwrap().is_in()
}

#[test]
fn it_ends_once_and_its_end_is_told_to_whoever_ended_it() {
    let (engine, _clock) = in_memory();
    let (opened, other) = (open(&engine), open(&engine));
    assert!(is_in(&engine, &opened.id));
    assert_eq!(engine.sessions().end_bare(&opened.id), Ok(true));
    assert!(!is_in(&engine, &opened.id) && is_in(&engine, &other.id));
    for nobody_s in [&opened.id, &BareId::from_bytes([9; 16])] {
        assert_eq!(engine.sessions().end_bare(nobody_s), Ok(false));
    }
}

#[test]
fn off_and_on_again_ends_those_of_before_and_opens_others() {
    let (engine, _clock) = in_memory();
    let before = open(&engine);
    for on in [false, true] {
        let switches = engine.switches();
        match on {
            true => switches.on(Subsystem::Sessions, None).wait().map(drop),
            false => switches.off(Subsystem::Sessions, None).wait().map(drop),
        }
        .unwrap();
    }
    let after = open(&engine);
    assert!(!is_in(&engine, &before.id) && is_in(&engine, &after.id));
}
