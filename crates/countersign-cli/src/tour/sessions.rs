//! The life of a session: log-in, idling, other browsers, changed credentials, a restart.

use super::stage::Stage;
use crate::failure::Failure;
use countersign::{
    EndedBy, Engine, Error, Label, Live, LoggedIn, Method, NewLogIn, Presented, Principal,
    SessionRefused, SessionVerdict, Timeouts, Who,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn walk(stage: &mut Stage<'_>) -> Result<(), Failure> {
    opened(stage)?;
    idle(stage)?;
    others(stage)?;
    order(stage)?;
    restart(stage)
}

/// An anonymous session, and the log-in that takes its place.
fn opened(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let before = stage.act("open a session of nobody in particular", |engine| {
        engine.sessions().start(Timeouts::default()).wait()
    })?;
    touch(stage, "present it", before.token.expose(), "in")?;
    let from = before.session.clone();
    let login = stage.act("jon logs in from it", |engine| {
        log_in(engine, Some(from), "jon", false)
    })?;
    let what = "present the session from before: nothing is fixated";
    touch(stage, what, before.token.expose(), "log-in")?;
    touch(stage, "present jon's", login.session.token.expose(), "in")?;
    let session = login.session.session;
    stage.act("jon logs out", |engine| {
        engine.log_out(&session, None).wait()
    })?;
    let what = "present it: a request in flight brings nothing back";
    touch(stage, what, login.session.token.expose(), "principal")
}

/// Use keeps a session alive, asking by itself does not.
fn idle(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let used = stage.act("kim logs in", |engine| log_in(engine, None, "kim", false))?;
    let text = used.session.token.expose();
    stage.clock.advance(HOUR.saturating_mul(4));
    touch(stage, "use it four hours later", text, "in")?;
    stage.clock.advance(HOUR.saturating_mul(4));
    let (verdict, took) = stage.timed(|engine| engine.sessions().peek(text, None).wait())?;
    let what = "a page asks by itself another four hours later";
    stage.tell(what, word(&verdict), "in", took)?;
    stage.clock.advance(HOUR);
    touch(stage, "after five idle hours, use it", text, "idle")
}

/// Other browsers, and changed credentials.
fn others(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let here = stage.act("lea logs in and has her browser remembered", |engine| {
        log_in(engine, None, "lea", true)
    })?;
    let there = stage.act("and elsewhere, remembered too", |engine| {
        log_in(engine, None, "lea", true)
    })?;
    let third = log_in(stage.engine(), None, "lea", false)?;
    let lea = Principal::new("lea").map_err(Failure::usage)?;
    let own = third.session.session.selector();
    stage.act("end one of them from the list of her sessions", |engine| {
        engine.sessions().end(own, EndedBy::Principal).wait()
    })?;
    touch(
        stage,
        "present that one",
        third.session.token.expose(),
        "principal",
    )?;

    let keep = here.session.session;
    let changed = stage.act("lea changes her password here", |engine| {
        engine.credentials_changed(lea, Some(keep), None).wait()
    })?;
    let what = "present the session elsewhere";
    touch(
        stage,
        what,
        there.session.token.expose(),
        "credentials-changed",
    )?;
    if let Some(device) = &there.device {
        let text = device.token.expose();
        let (recall, took) = stage.timed(|engine| engine.remember().present(text, None).wait())?;
        let verdict = recall
            .rejection()
            .map_or("in", |rejection| rejection.reason());
        stage.tell("present the device elsewhere", verdict, "revoked", took)?;
    }
    let token = changed.session.map(|session| session.token);
    let text = token.as_ref().map_or("", |token| token.expose());
    touch(
        stage,
        "present the one here under its new token",
        text,
        "in",
    )
}

/// What a request comes in by, when it presents several credentials.
fn order(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let login = log_in(stage.engine(), None, "max", true)?;
    let session = login.session.token.expose();
    let device = login
        .device
        .as_ref()
        .map_or("", |device| device.token.expose());
    let both = Presented {
        session: Some(session.as_bytes()),
        remember: Some(device.as_bytes()),
        ..Presented::default()
    };
    authenticate(
        stage,
        "a request with max's session and device",
        both,
        "session",
    )?;
    stage.clock.advance(HOUR.saturating_mul(6));
    authenticate(stage, "six hours later", both, "device")?;
    let bad = Presented {
        authorization: Some(b"Bearer nonsense"),
        ..both
    };
    let what = "with a bad bearer token besides: never anonymous";
    authenticate(stage, what, bad, "refused")?;
    let none = Presented::default();
    authenticate(stage, "a request with nothing", none, "anonymous")
}

/// What outlives a restart, and what does not come back by one.
fn restart(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let kept = stage.act("nia logs in", |engine| log_in(engine, None, "nia", false))?;
    let ended = log_in(stage.engine(), None, "nia", false)?;
    stage.act("and logs out in another browser", |engine| {
        engine.log_out(&ended.session.session, None).wait()
    })?;
    stage.reopen()?;
    touch(
        stage,
        "present nia's session",
        kept.session.token.expose(),
        "in",
    )?;
    touch(
        stage,
        "present the one she left",
        ended.session.token.expose(),
        "unknown",
    )?;
    stage.act("sign everybody out", |engine| {
        engine.sign_everybody_out(None).wait()
    })?;
    touch(
        stage,
        "present nia's session",
        kept.session.token.expose(),
        "operator",
    )
}

fn touch(
    stage: &mut Stage<'_>,
    what: &str,
    presented: &str,
    expected: &str,
) -> Result<(), Failure> {
    let (verdict, took) = stage.timed(|engine| engine.sessions().touch(presented, None).wait())?;
    stage.tell(what, word(&verdict), expected, took)
}

fn authenticate(
    stage: &mut Stage<'_>,
    what: &str,
    presented: Presented<'_>,
    expected: &str,
) -> Result<(), Failure> {
    let (answer, took) = stage.timed(|engine| engine.authenticate(presented).wait())?;
    let how = match answer.who {
        Who::Session(_) => "session",
        Who::Token(_) => "token",
        Who::Remembered(_) => "device",
        Who::Refused(_) => "refused",
        _ => "anonymous",
    };
    stage.tell(what, how, expected, took)
}

pub(super) fn log_in(
    engine: &Engine,
    from: Option<Live>,
    principal: &str,
    remember: bool,
) -> Result<LoggedIn, Error> {
    let login = NewLogIn::new(Principal::new(principal)?, Method::Password, HOUR);
    let label = remember.then(|| Label::new("a browser")).transpose()?;
    engine.log_in(from, login, label).wait()
}

fn word(verdict: &SessionVerdict) -> &'static str {
    match verdict {
        SessionVerdict::In(_) => "in",
        SessionVerdict::Refused(SessionRefused::Gone(gone)) => match gone.by {
            EndedBy::Idle => "idle",
            EndedBy::LogIn => "log-in",
            EndedBy::Principal => "principal",
            EndedBy::CredentialsChanged => "credentials-changed",
            EndedBy::Operator => "operator",
            _ => "gone",
        },
        SessionVerdict::Refused(SessionRefused::Rejected(rejection)) => rejection.reason(),
        SessionVerdict::Refused(_) => "refused",
    }
}
