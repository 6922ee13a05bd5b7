//! Form tokens: the three ways to lose one, and one that was taken from somebody else.

use super::sessions::log_in;
use super::stage::Stage;
use crate::failure::Failure;
use countersign::{Live, Method};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn walk(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let login = log_in(stage.engine(), None, "ola", false)?;
    let session = login.session.session;
    let page = stage.engine().forms().stable(&session, None);
    let masked = stage.engine().forms().masked(&session, None)?;
    let (page, masked) = (page.expose().as_bytes(), masked.expose().as_bytes());
    form(
        stage,
        "ola sends a form with its token",
        Some(&session),
        Some(page),
        "accepted",
    )?;
    form(
        stage,
        "and one with a masked token",
        Some(&session),
        Some(masked),
        "accepted",
    )?;
    form(
        stage,
        "a form comes without a token",
        Some(&session),
        None,
        "missing",
    )?;
    form(
        stage,
        "with something else",
        Some(&session),
        Some(b"x"),
        "malformed",
    )?;
    let thief = log_in(stage.engine(), None, "pat", false)?;
    let theirs = thief.session.session;
    let what = "ola's token comes with pat's session";
    form(stage, what, Some(&theirs), Some(page), "other_session")?;

    // The dialog that was open all along.
    let elevated = stage.act("ola gives her password again, in another tab", |engine| {
        let again = engine.sessions().elevate(&session, Method::Password, HOUR);
        again.wait()
    })?;
    let what = "the dialog that was open all along is sent";
    form(
        stage,
        what,
        Some(&elevated.session),
        Some(page),
        "superseded",
    )?;

    let later = stage.engine().forms().stable(&elevated.session, None);
    let later = later.expose().as_bytes();
    stage.act("ola logs out", |engine| {
        engine.log_out(&elevated.session, None).wait()
    })?;
    let what = "her form is sent before she logs in again";
    form(stage, what, None, Some(later), "signed_out")?;
    let again = log_in(stage.engine(), None, "ola", false)?.session.session;
    form(
        stage,
        "and after that",
        Some(&again),
        Some(later),
        "superseded",
    )?;

    let idle = stage.engine().forms().stable(&again, None);
    stage.clock.advance(HOUR.saturating_mul(5));
    let what = "five idle hours later, a form is sent";
    form(stage, what, None, Some(idle.expose().as_bytes()), "expired")
}

fn form(
    stage: &mut Stage<'_>,
    what: &str,
    session: Option<&Live>,
    presented: Option<&[u8]>,
    expected: &str,
) -> Result<(), Failure> {
    let judge = |engine: &countersign::Engine| Ok(engine.forms().check(session, presented, None));
    let (verdict, took) = stage.timed(judge)?;
    stage.tell(what, verdict.word(), expected, took)
}
