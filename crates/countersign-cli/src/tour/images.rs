//! Links to images in mails: what they open, until when, and how they are called back.

use super::stage::Stage;
use crate::failure::Failure;
use countersign::core::image::AttachmentId;
use countersign::{Engine, Error, Principal, SecretText, Subsystem};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn walk(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let (chart, photo) = (attachment("chart.png")?, attachment("photo.jpg")?);
    let link = stage.act("sign a link to chart.png for quin", |engine| {
        sign(engine, &chart)
    })?;
    let again = sign(stage.engine(), &chart)?;
    stage.same(
        "is it the same text in the next mail?",
        link.expose() == again.expose(),
    )?;
    let text = link.expose().as_bytes();
    open(stage, "open it, forwarded or not", text, &chart, "in")?;
    open(stage, "open photo.jpg with it", text, &photo, "scope")?;
    stage.clock.advance(HOUR.saturating_mul(168));
    open(stage, "open it after a week", text, &chart, "expired")?;

    let link = sign(stage.engine(), &chart)?;
    let text = link.expose().as_bytes();
    stage.act("call back every link to chart.png", |engine| {
        engine.images().revoke(chart.clone(), None).wait()
    })?;
    open(stage, "open one that was sent", text, &chart, "revoked")?;
    stage.clock.advance(SECOND.saturating_mul(2));
    let link = stage.act("sign another", |engine| sign(engine, &chart))?;
    let text = link.expose().as_bytes();
    open(stage, "open that", text, &chart, "in")?;

    switched_off(stage, text, &chart)
}

/// The three ways in which those already sent are refused at once.
fn switched_off(stage: &mut Stage<'_>, text: &[u8], chart: &AttachmentId) -> Result<(), Failure> {
    let policy = stage.engine().policy();
    let mut none = policy.to_draft();
    none.image_tokens.expiry_hours = 0;
    let none = none.build().map_err(Failure::usage)?;
    let set = |policy| move |engine: &Engine| engine.set_policy(policy).wait();
    stage.act("set their expiry to 0 hours", set(none))?;
    open(stage, "open it", text, chart, "switched_off")?;
    stage.act("set it back", set((*policy).clone()))?;
    open(stage, "open it", text, chart, "in")?;
    stage.act("switch access tokens off", |engine| {
        engine.switches().off(Subsystem::AccessTokens, None).wait()
    })?;
    open(
        stage,
        "open it: image tokens go with them",
        text,
        chart,
        "switched_off",
    )?;
    stage.act("switch access tokens on", |engine| {
        engine.switches().on(Subsystem::AccessTokens, None).wait()
    })?;
    open(stage, "open it: nothing is revived", text, chart, "revoked")
}

fn sign(engine: &Engine, attachment: &AttachmentId) -> Result<SecretText, Error> {
    let quin = Principal::new("quin")?;
    let signed = engine.images().sign(quin, attachment.clone()).wait()?;
    Ok(signed.text)
}

fn open(
    stage: &mut Stage<'_>,
    what: &str,
    presented: &[u8],
    attachment: &AttachmentId,
    expected: &str,
) -> Result<(), Failure> {
    let verify = |engine: &Engine| engine.images().verify(presented, attachment, None).wait();
    let (verdict, took) = stage.timed(verify)?;
    let word = verdict
        .rejection()
        .map_or("in", |rejection| rejection.reason());
    stage.tell(what, word, expected, took)
}

fn attachment(name: &str) -> Result<AttachmentId, Failure> {
    AttachmentId::new(name).map_err(Failure::usage)
}
