//! Hazard: a secret that shows where it has no business (I3, S1, S2).

use crate::support::{World, principal, set};
use countersign_core::{Epoch, SplitToken};
use countersign_sessions::{Epochs, Opened, SnapshotName};

/// Every form in which a dump of bytes could show them.
fn shown(secret: &[u8]) -> [String; 3] {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{secret:?}");
    let part = list
        .trim_matches(['[', ']'])
        .split(", ")
        .take(6)
        .collect::<Vec<_>>()
        .join(", ");
    [hex, list, part]
}

#[test]
fn nothing_that_can_be_printed_holds_a_token_or_a_csrf_secret() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let moment = world.moment();
    let live = world.touch(&opened.token).unwrap();
    let selector = live.selector();
    let forms = world
        .table
        .form_session(&moment, live.hint())
        .outcome
        .unwrap();
    let texts = [
        format!("{opened:?}"),
        format!("{live:?}"),
        format!("{forms:?}"),
        format!("{:?}", world.table),
        format!("{:?}", world.table.describe(&moment, selector)),
        format!("{:?}", world.table.list(&moment, &principal("ann"))),
        format!(
            "{:?}",
            world
                .table
                .end_all(&moment, &principal("ann"), crate::support::ANY_END)
        ),
        format!("{:?}", world.table.touch(&moment, &opened.token)),
    ];
    let csrf = live.csrf_secret(&world.keyring);
    for text in texts {
        for secret in [&opened.token.verifier().expose()[..], csrf.expose()] {
            for form in shown(secret) {
                assert!(!text.contains(&form), "{text}");
            }
        }
    }
}

#[test]
fn a_snapshot_holds_no_verifier_and_no_csrf_secret() {
    let world = World::new(|_| ());
    let mut sessions: Vec<Opened> = (0..20).map(|n| world.log_in(&format!("p{n}"))).collect();
    sessions.push(world.start());
    let first = sessions[0].session.selector();
    let _updated = world.table.update(&world.moment(), first, &[set("a", "b")]);
    let name = SnapshotName {
        binding: [1; 16],
        id: [2; 16],
    };
    let bytes = world.table.snapshot(&world.moment(), &name);
    let holds = |secret: &[u8]| bytes.windows(8).any(|window| window == &secret[..8]);
    assert!(
        holds(&first.to_bytes()),
        "what is looked for would be found"
    );
    for opened in &sessions {
        let token: &SplitToken = &opened.token;
        assert!(!holds(token.verifier().expose()));
        assert!(!holds(opened.session.csrf_secret(&world.keyring).expose()));
    }
}

#[test]
fn what_is_printed_tells_which_session_it_is_and_whose() {
    let world = World::new(|_| ());
    let (ann, nobody) = (world.log_in("ann").session, world.start().session);
    let (selector, stranger) = (ann.selector(), nobody.selector());
    assert_eq!(
        format!("{ann:?}"),
        format!("Live {{ selector: {selector:?}, owner: Some(\"ann\"), .. }}")
    );
    assert_eq!(
        format!("{nobody:?}"),
        format!("Live {{ selector: {stranger:?}, owner: None, .. }}")
    );
    let table = "SessionTable { sessions: 2, anonymous: 1, .. }";
    assert_eq!(format!("{:?}", world.table), table);
    let sessions = Epoch::from_parts(77, world.now());
    let epochs = Epochs {
        sessions,
        of_principal: &|_| None,
    };
    assert_eq!(
        format!("{epochs:?}"),
        format!("Epochs {{ sessions: {sessions:?}, .. }}")
    );
}
