//! The verdicts of E9, each true, and none that tells of a session without proof.

use super::super::CsrfVerdict::{
    Accepted, Expired, ForeignServer, Malformed, Mismatch, Missing, OtherSession, SignedOut,
    Superseded,
};
use super::*;
use crate::text::ServerId;

fn server() -> ServerId {
    ServerId::new("tracker").unwrap()
}

fn judged(
    token: &CsrfToken,
    current: Option<FormSession<'_>>,
    named: Option<FormSession<'_>>,
) -> CsrfVerdict {
    judge(&sent(token), None, current, named)
}

#[test]
fn a_form_from_our_own_page_is_accepted() {
    let ann = Opened::of("ann", 0);
    for token in [ann.token(), ann.masked(3)] {
        assert_eq!(
            judged(&token, Some(ann.living()), Some(ann.living())),
            Accepted
        );
        assert_eq!(judged(&token, Some(ann.living()), None), Accepted);
    }
    let guest = Opened::anonymous(0);
    assert_eq!(judged(&guest.token(), Some(guest.living()), None), Accepted);
}

/// S6, the first way: the page stood open for more than five hours.
#[test]
fn lost_by_idling_is_told_as_expired() {
    let (ann, guest) = (Opened::of("ann", 0), Opened::anonymous(9));
    let named = || Some(ann.is(SessionFate::Expired));
    assert_eq!(judged(&ann.token(), None, named()), Expired);
    // The request itself opened an anonymous session.
    assert_eq!(
        judged(&ann.masked(5), Some(guest.living()), named()),
        Expired
    );
    // Being remembered has signed the same person in again: they need not sign in once more.
    let again = Opened::of("ann", 9);
    assert_eq!(
        judged(&ann.token(), Some(again.living()), named()),
        Superseded
    );
}

/// S6, the second way: signed out and in again in another tab.
#[test]
fn lost_by_signing_in_again_elsewhere_is_told_as_superseded() {
    let (first, second) = (Opened::of("ann", 0), Opened::of("ann", 1));
    for fate in [
        SessionFate::Ended,
        SessionFate::Living,
        SessionFate::Replaced(second.selector),
    ] {
        let verdict = judged(&first.token(), Some(second.living()), Some(first.is(fate)));
        assert_eq!(verdict, Superseded, "{fate:?}");
    }
}

/// S6, the third way: the dialog was open all along, and its upload came after the session's end,
/// or brought no token at all.
#[test]
fn lost_in_a_dialog_that_was_open_all_along_is_told_as_signed_out_or_missing() {
    let ann = Opened::of("ann", 0);
    let upload = ann.masked(8);
    assert_eq!(
        judged(&upload, None, Some(ann.is(SessionFate::Ended))),
        SignedOut
    );
    assert_eq!(read(&server(), None).unwrap_err(), Missing);
    assert_eq!(read(&server(), Some(b"")).unwrap_err(), Missing);
    // It was opened before signing in, and that log-in took the anonymous session's place.
    let guest = Opened::anonymous(0);
    let named = guest.is(SessionFate::Replaced(ann.selector));
    assert_eq!(
        judged(&guest.token(), Some(ann.living()), Some(named)),
        Superseded
    );
}

#[test]
fn a_token_stolen_from_another_principals_session_is_good_for_nothing() {
    let (ann, thief) = (Opened::of("ann", 0), Opened::of("mallory", 1));
    let fates = [
        SessionFate::Living,
        SessionFate::Expired,
        SessionFate::Ended,
        SessionFate::Replaced(Opened::of("ann", 5).selector),
    ];
    for fate in fates {
        for token in [ann.token(), ann.masked(1)] {
            let verdict = judged(&token, Some(thief.living()), Some(ann.is(fate)));
            assert_eq!(verdict, OtherSession, "{fate:?}");
        }
    }
    assert_eq!(judged(&ann.token(), None, Some(ann.living())), OtherSession);
    let guest = Opened::anonymous(3);
    let verdict = judged(&ann.token(), Some(guest.living()), Some(ann.living()));
    assert_eq!(verdict, OtherSession);
    // A newer session of the same principal does not lend its token to an older one.
    let older = Opened::of("ann", 0);
    let newer = Opened::of("ann", 2);
    let verdict = judged(&newer.token(), Some(older.living()), Some(newer.living()));
    assert_eq!(verdict, OtherSession);
}

#[test]
fn an_anonymous_forms_fate_is_told_to_whoever_is_signed_in_by_now() {
    let (guest, ann) = (Opened::anonymous(0), Opened::of("ann", 1));
    for (fate, expected) in [
        (SessionFate::Living, OtherSession),
        (SessionFate::Expired, Expired),
        (SessionFate::Ended, SignedOut),
        (
            SessionFate::Replaced(Opened::of("bob", 1).selector),
            SignedOut,
        ),
    ] {
        let verdict = judged(&guest.token(), Some(ann.living()), Some(guest.is(fate)));
        assert_eq!(verdict, expected, "{fate:?}");
    }
}

/// A hint is public to whoever saw a token: with it alone nothing is told.
#[test]
fn nothing_is_told_of_a_session_without_proof() {
    let (ann, thief) = (Opened::of("ann", 0), Opened::of("mallory", 1));
    let forged = CsrfToken::mint_stable(ann.selector, &SecretKey::from_bytes([0; 32]), None);
    let fates = [
        SessionFate::Living,
        SessionFate::Expired,
        SessionFate::Ended,
        SessionFate::Replaced(thief.selector),
    ];
    for fate in fates {
        for current in [None, Some(thief.living()), Some(ann.living())] {
            assert_eq!(
                judged(&forged, current, Some(ann.is(fate))),
                Mismatch,
                "{fate:?}"
            );
        }
    }
    assert_eq!(judged(&forged, None, None), Mismatch);
    // A token of a session that is forgotten cannot be told from a forged one.
    assert_eq!(judged(&ann.token(), Some(thief.living()), None), Mismatch);
    // Under another session's secret it proves nothing, whatever its hint says.
    assert_eq!(judged(&ann.token(), None, Some(thief.living())), Mismatch);
}

#[test]
fn an_ended_session_accepts_nothing_even_as_the_current_one() {
    let ann = Opened::of("ann", 0);
    for (fate, expected) in [
        (SessionFate::Expired, Expired),
        (SessionFate::Ended, SignedOut),
        (SessionFate::Replaced(ann.selector), SignedOut),
    ] {
        let ended = || Some(ann.is(fate));
        assert_eq!(judged(&ann.token(), ended(), ended()), expected, "{fate:?}");
    }
}

/// The page is of the session that it comes back to, which has another secret since it was
/// elevated.
#[test]
fn a_form_from_before_a_change_of_privilege_is_told_as_superseded() {
    for opened in [Opened::of("ann", 0), Opened::anonymous(0)] {
        let before = SecretKey::from_bytes([0x77; 32]);
        let named = FormSession {
            secret: &before,
            ..opened.living()
        };
        for random in [[0; 8], [9; 8]] {
            let token = CsrfToken::mint_masked(opened.selector, &before, None, random);
            let verdict = judged(&token, Some(opened.living()), Some(named));
            assert_eq!(verdict, Superseded);
            // Under none of the secrets that are tried it is no more than a forged one.
            let verdict = judged(&token, Some(opened.living()), Some(opened.living()));
            assert_eq!(verdict, Mismatch);
        }
    }
}

#[test]
fn another_action_is_a_mismatch_in_every_session() {
    let ann = Opened::of("ann", 0);
    let [delete, rename] = ["delete", "rename"].map(|text| FormAction::new(text).unwrap());
    let token = CsrfToken::mint_stable(ann.selector, &ann.secret, Some(delete));
    let living = || Some(ann.living());
    assert_eq!(judge(&token, Some(delete), living(), living()), Accepted);
    for action in [None, Some(rename)] {
        assert_eq!(judge(&token, action, living(), living()), Mismatch);
        let ended = Some(ann.is(SessionFate::Ended));
        assert_eq!(judge(&token, action, None, ended), Mismatch);
    }
    // A token for no action proves nothing where one is asked for, in an ended session either.
    let ended = Some(ann.is(SessionFate::Ended));
    assert_eq!(judge(&ann.token(), Some(delete), None, ended), Mismatch);
}

#[test]
fn a_token_is_read_bare_or_with_the_whole_cookie_around_it() {
    let ann = Opened::of("ann", 0);
    let token = ann.token();
    let cookie = |server: &str| format!("{server}|{}|lin", token.text().expose());
    let read_of = |text: &str| read(&server(), Some(text.as_bytes()));
    assert!(
        read_of(token.text().expose())
            .unwrap()
            .verify(&ann.secret, None)
    );
    assert!(read_of(ann.masked(1).text().expose()).is_ok());
    assert!(
        read_of(&cookie("tracker"))
            .unwrap()
            .verify(&ann.secret, None)
    );
    assert_eq!(read_of(&cookie("another")).unwrap_err(), ForeignServer);
    assert_eq!(read_of(&cookie("Tracker")).unwrap_err(), ForeignServer);
    for bad in [
        " ",
        "undefined",
        "tracker|lin",
        "another|x|lin",
        "||",
        &"A".repeat(44),
    ] {
        assert_eq!(read_of(bad).unwrap_err(), Malformed, "{bad}");
    }
    assert_eq!(read_of(&"A".repeat(1 << 20)).unwrap_err(), Malformed);
}

#[test]
fn only_one_verdict_lets_a_form_be_carried_out_and_each_has_a_word_of_its_own() {
    let accepted = CsrfVerdict::ALL
        .iter()
        .filter(|verdict| verdict.is_accepted());
    assert_eq!(accepted.count(), 1);
    let words: std::collections::BTreeSet<_> = CsrfVerdict::ALL.map(CsrfVerdict::word).into();
    assert_eq!(words.len(), CsrfVerdict::ALL.len());
}

#[test]
fn a_verdict_is_shown_by_the_word_that_scripts_rely_on() {
    for verdict in CsrfVerdict::ALL {
        assert_eq!(format!("{verdict:>16}").trim(), verdict.word());
    }
}
