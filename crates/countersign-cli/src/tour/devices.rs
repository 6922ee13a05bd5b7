//! The life of a remembered device: its rotations, a thief, and being forgotten.

use super::stage::{Stage, forged};
use crate::failure::Failure;
use countersign::core::remember::NewSeries;
use countersign::{CredentialKind, Engine, Error, Label, Principal, Recall, Remembered};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn walk(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let ines = Principal::new("ines").map_err(Failure::usage)?;
    let phone = stage.act("ines ticks the box: remember her phone", |engine| {
        remember(engine, &ines, "phone")
    })?;
    let laptop = stage.act("and her laptop", |engine| remember(engine, &ines, "laptop"))?;
    rotated(stage, &phone, &laptop)?;

    stage.act("forget ines everywhere", |engine| {
        engine.remember().forget(ines, None, None).wait()
    })?;
    recall(
        stage,
        "present her laptop's secret",
        text(&laptop),
        "revoked",
    )
    .map(drop)
}

/// Races, a lost answer, and a thief.
fn rotated(stage: &mut Stage<'_>, phone: &Remembered, laptop: &Remembered) -> Result<(), Failure> {
    recall(stage, "present her phone's secret", text(phone), "in")?;
    let wrong = forged(
        stage.engine().format(),
        CredentialKind::Remember,
        &phone.token,
        |selector, secret| {
            let [first, ..] = secret;
            *first ^= 1;
            selector
        },
    )?;
    let wrong = wrong.expose().as_bytes();
    recall(stage, "present it with one bit wrong", wrong, "mismatch")?;
    stage.clock.advance(MINUTE.saturating_mul(6));
    let what = "six minutes later, present it: it is replaced";
    let first = recall(stage, what, text(phone), "in, new secret")?;
    let what = "the answer was lost, or another tab asks: present it again";
    let second = recall(stage, what, text(phone), "in, new secret")?;
    stage.same("is it the same new secret?", first == second)?;

    let new = first.unwrap_or_default();
    recall(stage, "present the new secret", new.as_bytes(), "in")?;
    stage.clock.advance(MINUTE.saturating_mul(2));
    let what = "two minutes later a thief presents the old one";
    recall(stage, what, text(phone), "reused")?;
    let what = "present the new one: the phone is not remembered any more";
    recall(stage, what, new.as_bytes(), "reused")?;
    let what = "present her laptop's: no other device is touched";
    recall(stage, what, text(laptop), "in, new secret").map(drop)
}

/// Presents a device's secret; answers the new one, if there is one.
fn recall(
    stage: &mut Stage<'_>,
    what: &str,
    presented: &[u8],
    expected: &str,
) -> Result<Option<String>, Failure> {
    let (recall, took) = stage.timed(|engine| engine.remember().present(presented, None).wait())?;
    let (verdict, secret) = match recall {
        Recall::In(recalled) => match recalled.successor {
            Some(secret) => ("in, new secret", Some(secret.expose().to_owned())),
            None => ("in", None),
        },
        Recall::Refused(rejection) => (rejection.reason(), None),
    };
    stage.tell(what, verdict, expected, took)?;
    Ok(secret)
}

fn remember(engine: &Engine, principal: &Principal, label: &str) -> Result<Remembered, Error> {
    let (principal, label) = (principal.clone(), Label::new(label)?);
    let request = NewSeries { principal, label };
    engine.remember().start(request).wait()
}

fn text(device: &Remembered) -> &[u8] {
    device.token.expose().as_bytes()
}
