//! Instructions of one verification, for callgrind: a count that noise cannot touch.
//!
//! `counts CASE N` runs one case N times, within [`counted`] and nothing else: `cargo xtask counts`
//! has callgrind count there alone, and compares the cases. `counts engine-hit N TOKENS` takes so
//! many tokens in turn, for a profiler.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a bench may stop"
)]

use countersign::core::access::{Decoy, HashedToken, Presented, check};
use countersign::core::policy::Policy;
use countersign::core::{
    CredentialKind, Epoch, Expiry, Keyring, PrincipalState, Subsystem, Timestamp, TokenFormat,
};
use countersign::store::MemoryStore;
use countersign::{AttachmentId, CsrfVerdict, EndedBy, Engine, Method, NewLogIn, OpenedSession};
use countersign_benches::{
    End, Records, engine_on, filled, hash_once, keys, mistyped, roomy_policy, wrong_byte,
    wrong_secret,
};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    let (Some(case), Some(times)) = (arguments.next(), arguments.next()) else {
        return;
    };
    let Ok(times) = times.parse() else { return };
    let tokens = arguments.next().and_then(|tokens| tokens.parse().ok());
    match case.split_once('-') {
        Some(("engine", _)) => whole_engine(&case, times, tokens.unwrap_or(TOKENS)),
        Some(("session", _)) => sessions(&case, times),
        Some(("form", _)) => forms(&case, times),
        Some(("image", _)) => images(&case, times),
        _ => core_alone(&case, times),
    }
}

/// Parsing and judging, with the records at hand: where equal work on a miss is held to.
fn core_alone(case: &str, times: u64) {
    let keyring = Keyring::new(&keys());
    let (policy, decoy) = (Policy::default(), Decoy::new().unwrap());
    let format = TokenFormat::new(None).unwrap();
    let issued = filled(1);
    let good = issued.texts.first().cloned().unwrap();
    let token = format.parse_any(good.as_bytes()).unwrap();
    let mut records = Records::of(&keyring, &format, &good);
    let mut text = good.clone();
    let mut known = true;
    match case {
        "mismatch" => text = wrong_secret(&good),
        "mismatch-first" => text = wrong_byte(&good, End::First),
        "mismatch-last" => text = wrong_byte(&good, End::Last),
        "unknown" => known = false,
        "revoked" => records.principal.epoch = Epoch::FIRST.advanced(NOW).unwrap(),
        "expired" => records.grant.expiry = Expiry::At(NOW),
        "disabled" => records.principal.state = PrincipalState::Disabled,
        "switched-off" => records.system.switch_mut(Subsystem::AccessTokens).on = false,
        "checksum" => text = mistyped(&good),
        _ => {}
    }
    match case {
        "parse" => counted(times, &mut || {
            let parsed = format.parse(CredentialKind::Access, black_box(text.as_bytes()));
            assert!(parsed.is_ok());
        }),
        "hash" => counted(times, &mut || {
            assert!(!hash_once(&keyring, black_box(&token)));
        }),
        _ => counted(times, &mut || {
            let parsed = format.parse(CredentialKind::Access, black_box(text.as_bytes()));
            let Ok(token) = parsed else { return };
            let presented = Presented {
                token: HashedToken::new(&keyring, &token),
                grant: known.then_some(&records.grant),
                principal: known.then_some(&records.principal),
                system: Some(&records.system),
                scope: None,
            };
            let checked = check(black_box(NOW), &keyring, &policy, &decoy, presented);
            assert_eq!(checked.is_ok(), case == "hit");
        }),
    }
}

/// Where instructions are counted. Found by its name, so it must keep it and stand for itself.
#[inline(never)]
fn counted(times: u64, case: &mut dyn FnMut()) {
    for _ in 0..times {
        case();
    }
}

/// Tokens that the engine's calls take in turn: where one of them lies among the slots is chance.
const TOKENS: usize = 500;

/// The engine's own call, records in memory.
fn whole_engine(case: &str, times: u64, tokens: usize) {
    let filled = filled(tokens);
    filled.warm();
    let engine = &filled.engine;
    for (n, selector) in filled.selectors.iter().enumerate() {
        let principal = countersign_benches::request(n).principal;
        match case {
            "engine-revoked" => drop(engine.access().revoke(*selector, None).wait().unwrap()),
            "engine-disabled" => drop(engine.principals().disable(principal, None).wait().unwrap()),
            _ => {}
        }
    }
    let presented = |text: &String| match case {
        "engine-mismatch" => wrong_secret(text),
        "engine-mismatch-first" => wrong_byte(text, End::First),
        "engine-mismatch-last" => wrong_byte(text, End::Last),
        "engine-checksum" => mistyped(text),
        _ => text.clone(),
    };
    let texts: Vec<String> = filled.texts.iter().map(presented).collect();
    // What was dropped from memory is there again.
    for text in texts.iter().cycle().take(3 * tokens) {
        let _ = engine.access().verify(text).wait().unwrap();
    }
    let mut next = texts.iter().cycle();
    counted(times, &mut || {
        let text = next.next().unwrap();
        let verdict = engine.access().verify(black_box(text)).wait().unwrap();
        assert_eq!(verdict.is_in(), case == "engine-hit");
    });
}

/// A session's request through the engine, as a use; the records are in memory.
fn sessions(case: &str, times: u64) {
    let engine = engine_on(Arc::new(MemoryStore::new([])), roomy_policy(TOKENS));
    let opened: Vec<_> = (0..TOKENS).map(|n| log_in(&engine, n)).collect();
    for opened in &opened {
        let text = opened.token.expose();
        assert!(engine.sessions().touch(text, None).wait().unwrap().is_in());
        if case == "session-ended" {
            let ended = engine
                .sessions()
                .end(opened.session.selector(), EndedBy::Principal);
            ended.wait().unwrap();
        }
    }
    let elsewhere = engine_on(Arc::new(MemoryStore::new([])), roomy_policy(TOKENS));
    let presented = |(n, opened): (usize, &OpenedSession)| match case {
        "session-mismatch" => wrong_secret(opened.token.expose()),
        "session-mismatch-first" => wrong_byte(opened.token.expose(), End::First),
        "session-mismatch-last" => wrong_byte(opened.token.expose(), End::Last),
        "session-unknown" => log_in(&elsewhere, n).token.expose().to_owned(),
        _ => opened.token.expose().to_owned(),
    };
    let texts: Vec<String> = opened.iter().enumerate().map(presented).collect();
    let mut next = texts.iter().cycle();
    counted(times, &mut || {
        let text = black_box(next.next().unwrap());
        let verdict = engine.sessions().touch(text, None).wait().unwrap();
        assert_eq!(verdict.is_in(), case == "session-hit");
    });
}

fn log_in(engine: &Engine, n: usize) -> OpenedSession {
    let login = NewLogIn::new(
        countersign_benches::request(n).principal,
        Method::Password,
        Duration::ZERO,
    );
    engine.sessions().log_in(None, login).wait().unwrap()
}

/// A form's token, judged in its session.
fn forms(case: &str, times: u64) {
    let engine = engine_on(Arc::new(MemoryStore::new([])), roomy_policy(TOKENS));
    let session = log_in(&engine, 0).session;
    let good = engine.forms().masked(&session, None).unwrap();
    let text = match case {
        "form-mismatch" => forged(good.expose(), 8),
        // The first digit of a group cannot be any, and the second can.
        "form-mismatch-first" => forged(good.expose(), 21),
        "form-mismatch-last" => forged(good.expose(), 1),
        _ => good.expose().to_owned(),
    };
    counted(times, &mut || {
        let text = black_box(text.as_bytes());
        let verdict = engine.forms().check(Some(&session), Some(text), None);
        assert_eq!(verdict == CsrfVerdict::Accepted, case == "form-hit");
    });
}

/// An image's token, with its records in memory.
fn images(case: &str, times: u64) {
    let engine = engine_on(Arc::new(MemoryStore::new([])), roomy_policy(TOKENS));
    let principal = countersign_benches::request(0).principal;
    let attachment = AttachmentId::new("10000").unwrap();
    let signed = engine.images().sign(principal, attachment.clone()).wait();
    let good = signed.unwrap().text;
    let text = match case {
        "image-mismatch" => forged(good.expose(), 20),
        "image-mismatch-first" => forged(good.expose(), 43),
        // Of the last digit not all bits count.
        "image-mismatch-last" => forged(good.expose(), 2),
        _ => good.expose().to_owned(),
    };
    let verify = || {
        let text = black_box(text.as_str());
        let verdict = engine.images().verify(text, &attachment, None).wait();
        assert_eq!(verdict.unwrap().is_in(), case == "image-hit");
    };
    verify();
    counted(times, &mut || verify());
}

/// The text with its digit so far from the end replaced.
fn forged(text: &str, from_the_end: usize) -> String {
    let mut text = text.as_bytes().to_vec();
    let at = text.len() - from_the_end;
    text[at] = if text[at] == b'a' { b'b' } else { b'a' };
    String::from_utf8(text).unwrap()
}
