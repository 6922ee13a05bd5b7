//! Hazard: a thief of a device's secret is not found out, or an owner is taken for one.
//!
//! Each case is a story of an owner and a thief who each present what they hold. It is played in
//! memory, on a file, and on a file with a restart before every presentation: what decides is in
//! the records alone.

use crate::support::{DAY, Home, MINUTE, SECOND, forgotten, handed, in_memory, present, remember};
use countersign::{Engine, Recall, Rejection};
use countersign_testkit::ManualClock;
use std::time::Duration;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(Duration),
    /// The thief copies what the owner holds.
    Steal,
    Present(Who, Outcome),
    /// Presents, and never gets the answer.
    Lose(Who, Outcome),
    /// Presents the secret that the owner had at the very start.
    First(Who, Outcome),
}
use Step::{First, Lose, Present, Steal, Wait};

#[derive(Clone, Copy, Debug)]
enum Who {
    Owner,
    Thief,
}
use Who::{Owner, Thief};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Let in with what it has.
    In,
    /// Let in and handed a secret that nobody had before.
    New,
    /// Let in and handed the one that is current already.
    Again,
    Out(Rejection),
}
use Outcome::{Again, In, New, Out};

const REUSED: Outcome = Out(Rejection::Reused);
/// Young, old enough to be replaced, and over with every grace.
const YOUNG: Step = Wait(SECOND);
const OLD: Step = Wait(Duration::from_secs(400));
const IN_GRACE: Step = Wait(Duration::from_secs(59));
const OVER: Step = Wait(Duration::from_secs(61));

/// Where a story is played.
trait Stage {
    fn clock(&self) -> &ManualClock;
    fn engine(&mut self) -> Engine;
}

struct Memory(Engine, ManualClock);

impl Stage for Memory {
    fn clock(&self) -> &ManualClock {
        &self.1
    }

    fn engine(&mut self) -> Engine {
        self.0.clone()
    }
}

struct File {
    home: Home,
    engine: Option<Engine>,
    restarts: bool,
}

impl Stage for File {
    fn clock(&self) -> &ManualClock {
        &self.home.clock
    }

    fn engine(&mut self) -> Engine {
        if self.restarts
            && let Some(engine) = self.engine.take()
        {
            engine.close().wait().unwrap();
        }
        let home = &self.home;
        self.engine.get_or_insert_with(|| home.open()).clone()
    }
}

fn stages() -> [Box<dyn Stage>; 3] {
    let (engine, clock) = in_memory();
    let file = |restarts| File {
        home: Home::new(),
        engine: None,
        restarts,
    };
    [
        Box::new(Memory(engine, clock)),
        Box::new(file(false)),
        Box::new(file(true)),
    ]
}

/// Who holds what.
struct Story {
    first: String,
    owner: String,
    thief: String,
    /// Every secret that was ever handed out.
    known: Vec<String>,
}

impl Story {
    fn holds(&mut self, who: Who) -> &mut String {
        match who {
            Owner => &mut self.owner,
            Thief => &mut self.thief,
        }
    }

    fn present(&mut self, engine: &Engine, who: Who, text: &str, keeps: bool) -> Outcome {
        let recalled = match present(engine, text) {
            Recall::In(recalled) => recalled,
            Recall::Refused(reason) => return Out(reason),
        };
        assert_eq!(recalled.principal.as_str(), "ann");
        let Some(successor) = recalled.successor else {
            return In;
        };
        let successor = successor.expose().to_owned();
        let is_known = self.known.contains(&successor);
        self.known.push(successor.clone());
        if keeps {
            *self.holds(who) = successor;
        }
        if is_known { Again } else { New }
    }
}

/// Plays a story everywhere; another device and another principal live through all of them.
#[track_caller]
fn check(steps: &[Step]) {
    for mut stage in stages() {
        let engine = stage.engine();
        let started = remember(&engine, "ann");
        let others = [remember(&engine, "ann"), remember(&engine, "bob")];
        let first = started.token.expose().to_owned();
        let mut story = Story {
            owner: first.clone(),
            thief: String::new(),
            known: vec![first.clone()],
            first,
        };
        drop(engine);
        for (number, step) in steps.iter().enumerate() {
            let case = format!("step {number} of {steps:?}");
            let (who, text, wanted, keeps) = match *step {
                Wait(span) => {
                    stage.clock().advance(span);
                    continue;
                }
                Steal => {
                    story.thief.clone_from(&story.owner);
                    continue;
                }
                Present(who, wanted) => (who, story.holds(who).clone(), wanted, true),
                Lose(who, wanted) => (who, story.holds(who).clone(), wanted, false),
                First(who, wanted) => (who, story.first.clone(), wanted, false),
            };
            let engine = stage.engine();
            let outcome = story.present(&engine, who, &text, keeps);
            assert_eq!(outcome, wanted, "{case}");
        }
        let engine = stage.engine();
        for other in &others {
            assert!(present(&engine, other.token.expose()).is_in(), "{steps:?}");
        }
    }
}

#[test]
fn one_device_alone_is_never_taken_for_a_thief() {
    check(&[Present(Owner, In), YOUNG, Present(Owner, In)]);
    check(&[OLD, Present(Owner, New), Present(Owner, In), OLD]);
    let mut long = Vec::new();
    for _ in 0..8 {
        long.extend([OLD, Present(Owner, New), YOUNG, Present(Owner, In)]);
    }
    check(&long);
    // It is replaced only once its successor is in use, and no grace is running.
    check(&[
        OLD,
        Present(Owner, New),
        YOUNG,
        Present(Owner, In),
        IN_GRACE,
    ]);
}

#[test]
fn a_lost_answer_is_given_again_whenever_it_is_asked_for() {
    check(&[
        OLD,
        Lose(Owner, New),
        Present(Owner, Again),
        Present(Owner, In),
    ]);
    check(&[
        OLD,
        Lose(Owner, New),
        OLD,
        Lose(Owner, Again),
        OLD,
        Present(Owner, Again),
    ]);
    check(&[
        OLD,
        Lose(Owner, New),
        Wait(DAY),
        Present(Owner, Again),
        Present(Owner, In),
    ]);
    // Three tabs: each lost the answer, or was slow.
    check(&[
        OLD,
        Lose(Owner, New),
        Lose(Owner, Again),
        Present(Owner, Again),
        Present(Owner, In),
    ]);
    let slow = [
        OLD,
        Present(Owner, New),
        Present(Owner, In),
        IN_GRACE,
        First(Owner, Again),
    ];
    check(&slow);
}

#[test]
fn a_thief_who_comes_first_is_found_out_by_the_owner() {
    check(&[
        Steal,
        OLD,
        Present(Thief, New),
        Present(Thief, In),
        OVER,
        Present(Owner, REUSED),
        Present(Thief, REUSED),
        Present(Owner, REUSED),
    ]);
    // Several secrets later it still shows.
    check(&[
        Steal,
        OLD,
        Present(Thief, New),
        Present(Thief, In),
        OLD,
        Present(Thief, New),
        Present(Thief, In),
        OLD,
        Present(Thief, New),
        Present(Owner, REUSED),
        Present(Thief, REUSED),
    ]);
}

#[test]
fn a_thief_who_comes_later_is_found_out_by_coming() {
    check(&[
        Steal,
        OLD,
        Present(Owner, New),
        Present(Owner, In),
        OVER,
        Present(Thief, REUSED),
        Present(Owner, REUSED),
    ]);
    // An older secret than the previous one needs no grace to be over.
    check(&[
        Steal,
        OLD,
        Present(Owner, New),
        Present(Owner, In),
        OLD,
        Present(Owner, New),
        Present(Thief, REUSED),
        Present(Owner, REUSED),
    ]);
}

#[test]
fn a_thief_inside_the_grace_shares_the_chain_until_one_of_the_two_falls_behind() {
    // The thief is taken for a tab, and gets no chain of its own.
    let shared = [
        Steal,
        OLD,
        Present(Owner, New),
        Present(Owner, In),
        IN_GRACE,
        Present(Thief, Again),
        Present(Thief, In),
        Present(Owner, In),
    ];
    check(&shared);
    for (ahead, behind) in [(Owner, Thief), (Thief, Owner)] {
        let mut steps = shared.to_vec();
        steps.extend([OLD, Present(ahead, New), Present(ahead, In), OVER]);
        steps.extend([Present(behind, REUSED), Present(ahead, REUSED)]);
        check(&steps);
    }
    // As long as neither uses the successor, nothing tells them apart.
    check(&[
        Steal,
        OLD,
        Lose(Thief, New),
        Wait(DAY),
        Present(Owner, Again),
        Present(Owner, In),
        OVER,
        Present(Thief, REUSED),
    ]);
}

#[test]
fn what_is_older_than_all_that_is_kept_is_as_good_as_a_guess() {
    let mut steps = Vec::new();
    for _ in 0..6 {
        steps.extend([OLD, Present(Owner, New), YOUNG, Present(Owner, In)]);
    }
    steps.extend([First(Thief, Out(Rejection::Mismatch)), Present(Owner, In)]);
    check(&steps);
}

/// Whoever asks without presenting is told the same, and nothing comes of it.
#[test]
fn a_check_judges_alike_and_changes_nothing() {
    let home = Home::new();
    let engine = home.open();
    let started = remember(&engine, "ann");
    let first = started.token.expose();
    let told = |text: &str| engine.remember().check(text).wait().unwrap();
    let shown = || engine.remember().show(started.selector).wait().unwrap();
    home.clock.advance(MINUTE * 10);
    let before = shown();
    for _ in 0..3 {
        let recalled = told(first).recalled().unwrap();
        assert!(recalled.successor.is_none(), "nothing is handed out");
    }
    assert_eq!(engine.flush().wait(), Ok(0), "nor was it used");
    assert_eq!(shown(), before);
    assert_eq!(engine.stats().verdicts.admitted, 0);

    let successor = handed(&engine, first).unwrap();
    assert_eq!(handed(&engine, &successor), None);
    home.clock.advance(MINUTE * 2);
    for _ in 0..3 {
        assert_eq!(told(first).rejection(), Some(Rejection::Reused));
    }
    assert!(told(&successor).is_in(), "no theft was proven by asking");
    assert!(present(&engine, &successor).is_in());
    assert_eq!(told("csr_nonsense").rejection(), Some(Rejection::Malformed));
    assert_eq!(engine.stats().verdicts.refused_in_all(), 0);
    assert_eq!(forgotten(&engine, first), Rejection::Reused);
    assert_eq!(told(&successor).rejection(), Some(Rejection::Reused));
}
