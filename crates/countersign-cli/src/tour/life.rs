//! The first half of the tour: from issue to every way of ending.

use super::stage::{Stage, forged, issue, mistyped};
use crate::failure::Failure;
use countersign::core::ShardTag;
use countersign::{
    Clock as _, CredentialKind, Expiry, Principal, Rotation, Scope, Selector, Subsystem,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn walk(stage: &mut Stage<'_>) -> Result<(), Failure> {
    presented(stage)?;
    limit(stage)?;
    rotation(stage)?;
    expiry(stage)?;
    revocation(stage)?;
    principals(stage)?;
    switches(stage)
}

/// What can be presented, good and bad.
fn presented(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let expiry = stage.in_time(DAY);
    let format = stage.engine().format().clone();
    let ann = stage.act(
        "issue a token to ann, for a day, that may repo:read",
        |engine| issue(engine, "ann", "laptop", expiry),
    )?;
    stage.judge("present it", ann.token.expose().as_bytes(), "in")?;

    let wrong = forged(
        &format,
        CredentialKind::Access,
        &ann.token,
        |selector, secret| {
            let [first, ..] = secret;
            *first ^= 1;
            selector
        },
    )?;
    stage.judge(
        "present it with one bit of its secret wrong",
        wrong.expose().as_bytes(),
        "mismatch",
    )?;
    stage.judge(
        "present it with its last character mistyped",
        &mistyped(&ann.token),
        "checksum",
    )?;
    let at = stage.clock.now();
    let stranger = forged(&format, CredentialKind::Access, &ann.token, |_, _| {
        Selector::mint(at, ShardTag::NONE, [7; 8])
    })?;
    stage.judge(
        "present one that was never issued",
        stranger.expose().as_bytes(),
        "unknown",
    )?;
    stage.judge("present something else", b"hello", "malformed")?;
    stage.judge("present ten thousand bytes", &[b'a'; 10_000], "too_long")?;

    let (read, write) = (scope("repo:read")?, scope("repo:write")?);
    let text = ann.token.expose().as_bytes();
    stage.judge_for(
        "present it where repo:read is required",
        text,
        Some(&read),
        "in",
    )?;
    stage.judge_for(
        "present it where repo:write is required",
        text,
        Some(&write),
        "scope",
    )
}

/// The bound on live tokens of one principal.
fn limit(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let max = stage
        .engine()
        .policy()
        .access_tokens()
        .max_live_per_principal;
    let mut first = None;
    for number in 1..=max {
        let issued = issue(
            stage.engine(),
            "bob",
            &format!("number {number}"),
            Expiry::Never,
        )?;
        first = first.or(Some(issued.selector));
    }
    let what = format!("issue one more to bob, who has {max} live ones");
    stage.refused(&what, "refused", |engine| {
        issue(engine, "bob", "one more", Expiry::Never)
    })?;
    if let Some(first) = first {
        stage.act("revoke one of bob's", |engine| {
            engine.access().revoke(first, None).wait()
        })?;
    }
    stage
        .act("issue it now", |engine| {
            issue(engine, "bob", "one more", Expiry::Never)
        })
        .map(drop)
}

/// A new secret for the same token.
fn rotation(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let old = issue(stage.engine(), "cid", "deploy", stage.in_time(DAY))?;
    let rotation = Rotation {
        overlap: HOUR,
        expiry: None,
    };
    let new = stage.act(
        "rotate a token of cid's, with an overlap of an hour",
        |engine| engine.access().rotate(old.selector, rotation).wait(),
    )?;
    stage.judge("present the new one", new.token.expose().as_bytes(), "in")?;
    stage.judge(
        "present the old one within the overlap",
        old.token.expose().as_bytes(),
        "in",
    )?;
    stage.clock.advance(HOUR);
    stage.judge(
        "an hour later, present the old one",
        old.token.expose().as_bytes(),
        "revoked",
    )?;
    stage.judge("and the new one", new.token.expose().as_bytes(), "in")
}

/// Death by time.
fn expiry(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let short = issue(stage.engine(), "dee", "for an hour", stage.in_time(HOUR))?;
    stage
        .clock
        .advance(HOUR.saturating_sub(Duration::from_millis(1)));
    let text = short.token.expose().as_bytes();
    stage.judge(
        "present a token in the last millisecond of its hour",
        text,
        "in",
    )?;
    stage.clock.advance(Duration::from_millis(1));
    stage.judge("present it a millisecond later", text, "expired")
}

/// Death by decision.
fn revocation(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let lost = issue(stage.engine(), "eve", "lost", Expiry::Never)?;
    stage.judge(
        "present a token of eve's",
        lost.token.expose().as_bytes(),
        "in",
    )?;
    stage.act("revoke it", |engine| {
        engine.access().revoke(lost.selector, None).wait()
    })?;
    stage.judge("present it", lost.token.expose().as_bytes(), "revoked")
}

/// What stops everything of one principal.
fn principals(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let fay = Principal::new("fay").map_err(Failure::usage)?;
    let token = issue(stage.engine(), "fay", "laptop", Expiry::Never)?;
    let text = token.token.expose().as_bytes();
    stage.act("disable fay", |engine| {
        engine.principals().disable(fay.clone(), None).wait()
    })?;
    stage.judge("present a token of fay's", text, "disabled")?;
    stage.refused("issue another to fay", "refused", |engine| {
        issue(engine, "fay", "another", Expiry::Never)
    })?;
    stage.act("enable fay", |engine| {
        engine.principals().enable(fay.clone(), None).wait()
    })?;
    stage.judge("present the same token", text, "in")?;
    stage.act("revoke everything of fay's", |engine| {
        engine
            .principals()
            .revoke_everything(fay.clone(), None)
            .wait()
    })?;
    stage.judge("present it again", text, "revoked")?;
    let fresh = issue(stage.engine(), "fay", "fresh", Expiry::Never)?;
    stage.judge(
        "present one that was issued since",
        fresh.token.expose().as_bytes(),
        "in",
    )
}

/// What stops everything at once.
fn switches(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let before = issue(stage.engine(), "gil", "before", Expiry::Never)?;
    let text = before.token.expose().as_bytes();
    stage.act("switch access tokens off", |engine| {
        engine.switches().off(Subsystem::AccessTokens, None).wait()
    })?;
    stage.judge("present a token of gil's", text, "switched_off")?;
    stage.refused("issue another to gil", "refused", |engine| {
        issue(engine, "gil", "meanwhile", Expiry::Never)
    })?;
    stage.act("switch access tokens on", |engine| {
        engine.switches().on(Subsystem::AccessTokens, None).wait()
    })?;
    stage.judge(
        "present the same token: nothing is revived",
        text,
        "revoked",
    )?;
    let after = issue(stage.engine(), "gil", "after", Expiry::Never)?;
    stage.judge(
        "present one that was issued since",
        after.token.expose().as_bytes(),
        "in",
    )?;
    stage.act("revoke every access token of everybody", |engine| {
        engine.access().revoke_all(None).wait()
    })?;
    stage.judge("present it", after.token.expose().as_bytes(), "revoked")
}

fn scope(text: &str) -> Result<Scope, Failure> {
    Scope::new(text).map_err(Failure::usage)
}
