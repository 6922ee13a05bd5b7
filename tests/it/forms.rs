//! Hazard: a form that is carried out though it did not come from our own page; and work that is
//! lost because nobody says what happened to the page it was done in (S4-S7, E9).

use crate::session_help::{FRESH, SessionEars, log_in, touch, visit};
use crate::support::{
    Ears, Home, MINUTE, SECOND, builder, in_memory, keys, policy, principal, reason,
};
use countersign::CsrfVerdict::{
    Accepted, Expired, ForeignServer, Malformed, Mismatch, Missing, OtherSession, SignedOut,
    Superseded,
};
use countersign::store::MemoryStore;
use countersign::{
    Clock as _, CredentialKind, CsrfVerdict, EndedBy, Engine, FormAction, Live, Method, NewLogIn,
    OpenedSession, Rejection, ServerId, Subsystem,
};
use countersign_testkit::ManualClock;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// A way in which a session ends, or its page's hope does.
type End = fn(&Engine, &OpenedSession);

/// An engine that calls itself `tracker`.
fn tracker() -> (Engine, ManualClock) {
    let clock = ManualClock::default();
    let named = builder(&clock).server_id(ServerId::new("tracker").unwrap());
    let engine = named.open_store(Arc::new(MemoryStore::new([])), &keys());
    (engine.unwrap(), clock)
}

/// The token of a page as each of the three ways to have it: bare, masked, and in the cookie.
fn page(engine: &Engine, session: &Live) -> [String; 3] {
    let forms = engine.forms();
    [
        forms.stable(session, None),
        forms.masked(session, None).unwrap(),
        forms.cookie(session),
    ]
    .map(|text| text.expose().to_owned())
}

/// What a request with this session is told of a form that came with it.
#[track_caller]
fn told(engine: &Engine, current: Option<&OpenedSession>, form: &str) -> CsrfVerdict {
    let live = current.and_then(|opened| touch(engine, opened).live());
    engine
        .forms()
        .check(live.as_ref(), Some(form.as_bytes()), None)
}

/// All three forms of a page are told the same.
#[track_caller]
fn check(engine: &Engine, current: Option<&OpenedSession>, page: &[String], said: CsrfVerdict) {
    for form in page {
        assert_eq!(told(engine, current, form), said, "{form}");
    }
}

fn log_in_from(engine: &Engine, from: &OpenedSession, name: &str) -> OpenedSession {
    let login = NewLogIn::new(principal(name), Method::Password, FRESH);
    let from = touch(engine, from).live();
    engine.sessions().log_in(from, login).wait().unwrap()
}

fn log_out(engine: &Engine, opened: &OpenedSession) {
    let ended = engine.sessions().log_out(&opened.session).wait();
    assert!(!ended.unwrap().already);
}

#[test]
fn our_own_pages_are_accepted_all_session_long_and_in_that_session_alone() {
    let (engine, clock) = tracker();
    for opens in [|engine: &Engine| log_in(engine, "ann"), visit] {
        let opened = opens(&engine);
        let (early, others) = (page(&engine, &opened.session), visit(&engine));
        for _ in 0..30 {
            clock.advance(HOUR);
            check(&engine, Some(&opened), &early, Accepted);
            assert_eq!(page(&engine, &opened.session)[0], early[0], "the same (S4)");
            touch(&engine, &others);
        }
        // A new token for the same privilege leaves pages alone.
        let renewed = engine.sessions().renew(&opened.session).wait().unwrap();
        check(&engine, Some(&renewed), &early, Accepted);
        check(&engine, Some(&others), &early, OtherSession);
    }
}

/// S6, the first way: the page stood open for more than five hours.
#[test]
fn lost_by_idling_is_told_as_expired() {
    let (engine, clock) = tracker();
    for by_itself in [false, true] {
        let opened = log_in(&engine, "ann");
        let form = page(&engine, &opened.session);
        clock.advance(5 * HOUR);
        if by_itself {
            // The form is the first to come across the session's end.
            check(&engine, None, &form, Expired);
        }
        check(&engine, Some(&opened), &form, Expired);
        // The browser was given a session of nobody by the page that said so.
        check(&engine, Some(&visit(&engine)), &form, Expired);
        // Signed in again, by hand or by a remembered device: nothing more is to be asked for.
        check(&engine, Some(&log_in(&engine, "ann")), &form, Superseded);
        check(&engine, Some(&log_in(&engine, "bob")), &form, OtherSession);
    }
    // And at the absolute timeout, however busy somebody was.
    let opened = log_in(&engine, "ann");
    let form = page(&engine, &opened.session);
    for _ in 0..(30 * 24 / 4) {
        clock.advance(4 * HOUR);
        touch(&engine, &opened);
    }
    check(&engine, Some(&opened), &form, Expired);
}

/// S6, the second way: signed out and in again in another tab.
#[test]
fn lost_by_signing_in_again_in_another_tab_is_told_as_superseded() {
    let (engine, clock) = tracker();
    let first = log_in(&engine, "ann");
    let form = page(&engine, &first.session);
    log_out(&engine, &first);
    check(&engine, None, &form, SignedOut);
    clock.advance(SECOND);
    let second = log_in(&engine, "ann");
    check(&engine, Some(&second), &form, Superseded);
    // Without signing out first: the session is replaced.
    let later = page(&engine, &second.session);
    let third = log_in_from(&engine, &second, "ann");
    check(&engine, Some(&third), &later, Superseded);
    check(&engine, Some(&third), &form, Superseded);
    // The new page's form is no token of the old session, which is still open elsewhere.
    let older = log_in(&engine, "bob");
    clock.advance(SECOND);
    let newer = log_in(&engine, "bob");
    let newest = page(&engine, &newer.session);
    check(&engine, Some(&older), &newest, OtherSession);
    let oldest = page(&engine, &older.session);
    check(&engine, Some(&newer), &oldest, Superseded);
}

/// S6, the third way: the upload dialog was open all along while the session changed.
#[test]
fn lost_in_a_dialog_that_was_open_all_along_is_told_by_what_became_of_its_session() {
    let ways: [(End, CsrfVerdict); 6] = [
        (log_out, SignedOut),
        (
            |engine, opened| {
                let by = EndedBy::Operator;
                engine
                    .sessions()
                    .end(opened.session.selector(), by)
                    .wait()
                    .unwrap();
            },
            SignedOut,
        ),
        (
            |engine, _| {
                let all = engine.sessions().end_all(&principal("ann"), EndedBy::Theft);
                assert_eq!(all.wait().unwrap(), 1);
            },
            SignedOut,
        ),
        (
            |engine, _| {
                let revoked = engine.revoke_everything(principal("ann"), Some(reason("gone")));
                assert!(revoked.wait().unwrap().durable);
            },
            SignedOut,
        ),
        (
            |engine, _| {
                let changed = engine.credentials_changed(principal("ann"), None, None);
                assert!(changed.wait().unwrap().revocation.durable);
            },
            SignedOut,
        ),
        (
            |engine, _| {
                let clocked = policy(|draft| draft.sessions.idle_timeout = SECOND);
                engine.set_policy(clocked).wait().unwrap();
            },
            Expired,
        ),
    ];
    for (at, (end, said)) in ways.into_iter().enumerate() {
        let (engine, clock) = tracker();
        let opened = log_in(&engine, "ann");
        let upload = page(&engine, &opened.session);
        check(&engine, Some(&opened), &upload, Accepted);
        clock.advance(MINUTE);
        end(&engine, &opened);
        // The request still carries the old cookie; the engine lets it in no more.
        check(&engine, Some(&opened), &upload, said);
        check(&engine, None, &upload, said);
        clock.advance(MINUTE);
        if at < 5 {
            let again = log_in(&engine, "ann");
            check(&engine, Some(&again), &upload, Superseded);
        }
        // A dialog that brings no token at all.
        for missing in [None, Some(&b""[..])] {
            assert_eq!(engine.forms().check(None, missing, None), Missing);
        }
    }
}

#[test]
fn a_page_from_before_signing_in_is_superseded_by_that_log_in_and_by_no_other() {
    let (engine, _clock) = tracker();
    let visitor = visit(&engine);
    let form = page(&engine, &visitor.session);
    assert!(form[2].starts_with("tracker|") && form[2].ends_with("|lout"));
    check(&engine, Some(&visitor), &form, Accepted);
    // Of the same instant, in another browser.
    let stranger = log_in_from(&engine, &visit(&engine), "bob");
    let ann = log_in_from(&engine, &visitor, "ann");
    assert!(page(&engine, &ann.session)[2].ends_with("|lin"));
    check(&engine, Some(&ann), &form, Superseded);
    check(&engine, Some(&stranger), &form, SignedOut);
    check(&engine, None, &form, SignedOut);
    check(&engine, Some(&visit(&engine)), &form, SignedOut);
}

/// I10: whoever had a form before the password was asked for once more has none of the session
/// that it opened; and is told that it is old, not that it is forged.
#[test]
fn a_page_from_before_an_elevation_is_superseded() {
    let (engine, _clock) = tracker();
    let mut opened = log_in(&engine, "ann");
    let mut pages = Vec::new();
    for _ in 0..8 {
        pages.push(page(&engine, &opened.session));
        let sessions = engine.sessions();
        let elevated = sessions.elevate(&opened.session, Method::Password, FRESH);
        opened = elevated.wait().unwrap();
        for page in &pages {
            check(&engine, Some(&opened), page, Superseded);
        }
        check(
            &engine,
            Some(&opened),
            &page(&engine, &opened.session),
            Accepted,
        );
    }
    log_out(&engine, &opened);
    for page in &pages {
        check(&engine, None, page, SignedOut);
    }
}

/// S7, and whatever else comes from a page that is not ours.
#[test]
fn a_token_of_somebody_else_carries_nothing_out() {
    let (engine, clock) = tracker();
    let (ann, mallory) = (log_in(&engine, "ann"), log_in(&engine, "mallory"));
    let stolen = page(&engine, &ann.session);
    let own = page(&engine, &mallory.session);
    // Stolen from ann, sent by mallory; planted by mallory, sent by ann's browser.
    check(&engine, Some(&mallory), &stolen, OtherSession);
    check(&engine, Some(&ann), &own, OtherSession);
    check(&engine, Some(&visit(&engine)), &own, OtherSession);
    check(&engine, None, &own, OtherSession);
    // The image on a foreign page brings the cookie of the session and nothing else.
    let live = touch(&engine, &ann).live();
    assert_eq!(engine.forms().check(live.as_ref(), None, None), Missing);
    // A hint is public to whoever saw a token: under another's MAC it tells nothing.
    for (hint, mac) in [(&stolen[0], &own[0]), (&own[0], &stolen[0])] {
        let crossed = format!("{}{}", &hint[..11], &mac[11..]);
        for current in [None, Some(&ann), Some(&mallory)] {
            assert_eq!(told(&engine, current, &crossed), Mismatch);
        }
    }
    log_out(&engine, &ann);
    clock.advance(SECOND);
    check(&engine, Some(&mallory), &stolen, OtherSession);
}

#[test]
fn a_session_that_the_engine_refuses_is_no_current_one() {
    let (engine, _clock) = tracker();
    let opened = log_in(&engine, "ann");
    let form = page(&engine, &opened.session);
    let disabled = engine.principals().disable(principal("ann"), None);
    assert!(disabled.wait().unwrap().durable);
    assert_eq!(told(&engine, Some(&opened), &form[0]), OtherSession);
    engine
        .principals()
        .enable(principal("ann"), None)
        .wait()
        .unwrap();
    check(&engine, Some(&opened), &form, Accepted);
    let off = engine.switches().off(Subsystem::Sessions, None);
    assert!(off.wait().unwrap().durable);
    for form in &form {
        assert!(!told(&engine, Some(&opened), form).is_accepted());
    }
}

#[test]
fn masked_tokens_are_all_different_and_all_good_and_the_stable_one_is_the_cookie_s() {
    let (engine, _clock) = tracker();
    let opened = log_in(&engine, "ann");
    let masked: BTreeSet<String> = (0..200)
        .map(|_| page(&engine, &opened.session)[1].clone())
        .collect();
    assert_eq!(masked.len(), 200);
    let [stable, _, cookie] = page(&engine, &opened.session);
    assert_eq!(cookie, format!("tracker|{stable}|lin"));
    assert!(!masked.contains(&stable));
    for form in &masked {
        assert_eq!(told(&engine, Some(&opened), form), Accepted);
        // It is for pages: nothing takes it out of a cookie.
        assert_eq!(
            told(&engine, Some(&opened), &format!("tracker|{form}|lin")),
            Malformed
        );
    }
}

#[test]
fn a_cookie_is_sent_again_unless_it_is_this_very_session_s() {
    let (engine, _clock) = tracker();
    let (ann, visitor) = (log_in(&engine, "ann"), visit(&engine));
    let [stable, masked, own] = page(&engine, &ann.session);
    let is_own = |text: &str| engine.forms().is_cookie_of(&ann.session, text.as_bytes());
    assert!(is_own(&own));
    let other = page(&engine, &log_in(&engine, "ann").session)[2].clone();
    let signed_out = page(&engine, &visitor.session)[2].clone();
    assert!(
        engine
            .forms()
            .is_cookie_of(&visitor.session, signed_out.as_bytes())
    );
    let not_own = [
        other,
        signed_out,
        own.replace("|lin", "|lout"),
        own.replace("tracker|", "another|"),
        format!("tracker|{masked}|lin"),
        stable,
        own[..own.len() - 1].to_owned(),
        String::new(),
    ];
    for text in &not_own {
        assert!(!is_own(text), "{text}");
    }
    // It goes with the token of its session.
    let up = engine
        .sessions()
        .elevate(&ann.session, Method::Password, FRESH);
    let up = up.wait().unwrap().session;
    assert!(!engine.forms().is_cookie_of(&up, own.as_bytes()));
}

#[test]
fn a_token_for_an_action_is_good_for_that_one_alone() {
    let (engine, _clock) = tracker();
    let opened = log_in(&engine, "ann");
    let (live, forms) = (opened.session, engine.forms());
    let [delete, rename] =
        ["project.delete", "project.rename"].map(|text| FormAction::new(text).unwrap());
    let actions = [None, Some(delete), Some(rename)];
    for made_for in actions {
        let stable = forms.stable(&live, made_for);
        let masked = forms.masked(&live, made_for).unwrap();
        for asked in actions {
            let said = if made_for == asked {
                Accepted
            } else {
                Mismatch
            };
            for form in [&stable, &masked] {
                let form = Some(form.expose().as_bytes());
                assert_eq!(forms.check(Some(&live), form, asked), said);
            }
        }
    }
}

#[test]
fn a_hostile_value_is_a_verdict_and_nothing_else() {
    let (engine, _clock) = tracker();
    let opened = log_in(&engine, "ann");
    let [stable, masked, cookie] = page(&engine, &opened.session);
    let foreign = [
        format!("another|{stable}|lin"),
        format!("Tracker|{stable}|lin"),
        format!("BXY3-1F2Z|{stable}|lout"),
    ];
    check(&engine, Some(&opened), &foreign, ForeignServer);
    // Nobody believes the flag.
    let flipped = [cookie.replace("|lin", "|lout")];
    check(&engine, Some(&opened), &flipped, Accepted);
    let malformed = [
        " ".to_owned(),
        "undefined".to_owned(),
        "null".to_owned(),
        "|".to_owned(),
        "||".to_owned(),
        "|||".to_owned(),
        "tracker|lin".to_owned(),
        format!("tracker|{stable}"),
        format!("tracker|{stable}|lin|"),
        format!("tracker|{stable}|LIN"),
        format!("tracker|{stable}|{}", "lin".repeat(1000)),
        format!("tracker_{stable}_lin"),
        format!("tracker|{masked}|lin"),
        format!("tra\0cker|{stable}|lin"),
        format!("{stable}\r\nSet-Cookie: x=y"),
        format!(" {stable}"),
        format!("{stable}="),
        format!("{stable}{stable}"),
        stable[1..].to_owned(),
        "z".repeat(44),
        "A".repeat(1 << 20),
        "|".repeat(1 << 20),
        format!("{}|{stable}|lin", "x".repeat(100)),
        "\u{1f511}".repeat(11),
    ];
    check(&engine, Some(&opened), &malformed, Malformed);
    let live = touch(&engine, &opened).live();
    for bytes in [&b"\xff\xfe"[..], &[0; 44], &[0xff; 44], &[b'|'; 44]] {
        let told = engine.forms().check(live.as_ref(), Some(bytes), None);
        assert_eq!(told, Malformed);
    }
    for at in 0..stable.len() {
        let mut changed = stable.clone().into_bytes();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        let told = engine.forms().check(live.as_ref(), Some(&changed), None);
        assert!(matches!(told, Mismatch | Malformed), "{at}: {told}");
    }
}

/// E13: pages that were open over a restart keep working, and stale ones are told as such as long
/// as their session is remembered at all.
#[test]
fn a_page_outlives_a_restart_with_its_session() {
    let home = Home::new();
    let engine = home.open();
    let (ann, bob) = (log_in(&engine, "ann"), log_in(&engine, "bob"));
    let elevated = engine
        .sessions()
        .elevate(&bob.session, Method::Password, FRESH);
    let elevated = elevated.wait().unwrap();
    let (anns, bobs) = (page(&engine, &ann.session), page(&engine, &bob.session));
    let now = page(&engine, &elevated.session);
    let cid = log_in(&engine, "cid");
    let cids = page(&engine, &cid.session);
    log_out(&engine, &cid);
    engine.close().wait().unwrap();
    drop(engine);

    let engine = home.open();
    check(&engine, Some(&ann), &anns, Accepted);
    check(&engine, Some(&elevated), &now, Accepted);
    check(&engine, Some(&elevated), &bobs, Superseded);
    // What had ended before is forgotten: it cannot be told from a forged one.
    check(&engine, None, &cids, Mismatch);
    home.clock.advance(5 * HOUR);
    check(&engine, Some(&ann), &anns, Expired);
    engine.close().wait().unwrap();
    drop(engine);
    // Nor does a form live on where the session was over when it was written.
    let engine = home.open();
    check(&engine, Some(&ann), &anns, Mismatch);
}

#[test]
fn a_session_that_is_forgotten_is_not_told_from_a_forged_one() {
    let clock = ManualClock::default();
    let few = policy(|draft| draft.sessions.max_ended = 0);
    let engine = builder(&clock).policy(few);
    let engine = engine
        .open_store(Arc::new(MemoryStore::new([])), &keys())
        .unwrap();
    let opened = log_in(&engine, "ann");
    let form = page(&engine, &opened.session);
    log_out(&engine, &opened);
    check(&engine, None, &form, Mismatch);
}

/// What a form comes across is told as whatever else ends a session, and refusals are counted.
#[test]
fn ends_and_refusals_are_told() {
    let (ears, sessions) = (Ears::default(), SessionEars::default());
    let clock = ManualClock::default();
    let open = |clock: &ManualClock| builder(clock);
    let store = || Arc::new(MemoryStore::new([]));
    let engine = open(&clock)
        .observer(sessions.clone())
        .open_store(store(), &keys());
    let engine = engine.unwrap();
    let opened = log_in(&engine, "ann");
    let form = page(&engine, &opened.session);
    clock.advance(5 * HOUR);
    assert!(sessions.ends().is_empty());
    check(&engine, None, &form, Expired);
    assert_eq!(sessions.ends(), [EndedBy::Idle], "once");

    let engine = open(&clock)
        .observer(ears.clone())
        .open_store(store(), &keys());
    let engine = engine.unwrap();
    let opened = log_in(&engine, "ann");
    let form = page(&engine, &opened.session);
    check(&engine, Some(&opened), &form, Accepted);
    assert!(ears.refusals.lock().unwrap().is_empty());
    check(
        &engine,
        Some(&log_in(&engine, "bob")),
        &form[..1],
        OtherSession,
    );
    assert_eq!(engine.forms().check(None, None, None), Missing);
    let told = ears.refusals.lock().unwrap().clone();
    let named = opened.session.selector();
    let seen: Vec<_> = told
        .iter()
        .map(|told| (told.selector, told.rejection))
        .collect();
    let expected = [
        (Some(named), Rejection::Mismatch),
        (None, Rejection::Malformed),
    ];
    assert_eq!(seen, expected);
    for told in &told {
        assert_eq!((told.kind, told.at), (CredentialKind::Csrf, clock.now()));
    }
    assert_eq!(engine.stats().verdicts.refused_in_all(), 2);
}

#[test]
fn without_randomness_there_is_no_masked_token_and_no_weaker_one() {
    let (engine, _clock) = in_memory();
    let opened = log_in(&engine, "ann");
    let broken = builder(&ManualClock::default())
        .entropy(NoEntropy)
        .open_store(Arc::new(MemoryStore::new([])), &keys())
        .unwrap();
    let masked = broken.forms().masked(&opened.session, None);
    assert!(masked.unwrap_err().is_retryable());
    // The other forms need none.
    let stable = broken.forms().stable(&opened.session, None);
    assert_eq!(
        stable.expose(),
        engine.forms().stable(&opened.session, None).expose()
    );
}

/// A source that has dried up, once the engine is open.
#[derive(Debug)]
struct NoEntropy;

impl countersign::Entropy for NoEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), String> {
        match bytes.len() {
            8 => Err("dried up".to_owned()),
            _ => {
                bytes.fill(7);
                Ok(())
            }
        }
    }
}
