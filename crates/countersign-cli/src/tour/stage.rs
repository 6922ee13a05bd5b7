//! Where the tour takes place: its store, its clock, and the telling of each step.

use crate::clock::{ManualClock, Stopwatch};
use crate::failure::Failure;
use crate::out::Out;
use crate::parse::Took;
use anstyle::{AnsiColor, Style};
use countersign::core::{SplitToken, TokenFormat, Verifier};
use countersign::{
    Adoption, Builder, Clock as _, Conditions, Create, CredentialKind, Engine, Error, Expiry,
    IssuedToken, Maintenance, NewToken, Principal, Scope, ScopeSet, SecretText, Selector,
    SystemClock, TokenName, Verdict,
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The tour's store, and how far it has come.
pub(super) struct Stage<'a> {
    out: &'a mut Out,
    pub(super) dir: PathBuf,
    pub(super) clock: ManualClock,
    engine: Engine,
    steps: u32,
    unexpected: u32,
}

#[derive(Serialize)]
struct Step<'a> {
    step: u32,
    what: &'a str,
    verdict: &'a str,
    expected: &'a str,
    micros: u128,
}

impl<'a> Stage<'a> {
    pub(super) fn open(dir: &Path, out: &'a mut Out) -> Result<Self, Failure> {
        let clock = ManualClock::starting_at(SystemClock.now());
        let started = Stopwatch::start();
        let engine = builder(&clock)
            .create(Create::Always)
            .open(dir.join("tour.redb"))?;
        let took = started.elapsed();
        let dir = dir.to_owned();
        let mut stage = Self {
            out,
            dir,
            clock,
            engine,
            steps: 0,
            unexpected: 0,
        };
        stage.tell("make a store and its key file", "done", "done", took)?;
        Ok(stage)
    }

    pub(super) const fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn store(&self) -> PathBuf {
        self.dir.join("tour.redb")
    }

    /// Closes the store and opens it again, as a restart does.
    pub(super) fn reopen(&mut self) -> Result<(), Failure> {
        self.engine.close().wait()?;
        let started = Stopwatch::start();
        self.engine = builder(&self.clock)
            .create(Create::Never)
            .open(self.store())?;
        let took = started.elapsed();
        self.tell("close the store and open it again", "done", "done", took)
    }

    /// Ends the tour; answers how many steps there were, and how many went otherwise.
    pub(super) fn close(self) -> Result<(u32, u32), Failure> {
        self.engine.close().wait()?;
        Ok((self.steps, self.unexpected))
    }

    /// Does something that must succeed.
    pub(super) fn act<T>(
        &mut self,
        what: &str,
        work: impl FnOnce(&Engine) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let started = Stopwatch::start();
        let done = work(&self.engine);
        let took = started.elapsed();
        match &done {
            Ok(_) => self.tell(what, "done", "done", took)?,
            Err(error) => self.tell(what, error.code(), "done", took)?,
        }
        Ok(done?)
    }

    /// Does something whose verdict is told by the caller.
    pub(super) fn timed<T>(
        &self,
        work: impl FnOnce(&Engine) -> Result<T, Error>,
    ) -> Result<(T, Duration), Failure> {
        let started = Stopwatch::start();
        let done = work(&self.engine);
        let took = started.elapsed();
        Ok((done?, took))
    }

    /// Tells whether two things are the same, which is expected.
    pub(super) fn same(&mut self, what: &str, same: bool) -> Result<(), Failure> {
        let verdict = if same { "the same" } else { "another" };
        self.tell(what, verdict, "the same", Duration::ZERO)
    }

    /// Does something that must be refused with this code.
    pub(super) fn refused<T>(
        &mut self,
        what: &str,
        expected: &str,
        work: impl FnOnce(&Engine) -> Result<T, Error>,
    ) -> Result<(), Failure> {
        let started = Stopwatch::start();
        let code = work(&self.engine).map_or_else(|error| error.code(), |_| "done");
        let took = started.elapsed();
        self.tell(what, code, expected, took)
    }

    /// Presents a credential, and expects this verdict.
    pub(super) fn judge(
        &mut self,
        what: &str,
        presented: &[u8],
        expected: &str,
    ) -> Result<(), Failure> {
        self.judge_for(what, presented, None, expected)
    }

    /// Presents a credential where a scope is required.
    pub(super) fn judge_for(
        &mut self,
        what: &str,
        presented: &[u8],
        scope: Option<&Scope>,
        expected: &str,
    ) -> Result<(), Failure> {
        let conditions = Conditions {
            scope,
            address: None,
        };
        let started = Stopwatch::start();
        let verdict = self
            .engine
            .access()
            .verify_with(presented, conditions)
            .wait()?;
        let took = started.elapsed();
        self.tell(what, word(&verdict), expected, took)
    }

    /// When something ends that lives for so long from now.
    pub(super) fn in_time(&self, span: Duration) -> Expiry {
        Expiry::At(self.clock.now().after(span))
    }

    pub(super) fn tell(
        &mut self,
        what: &str,
        verdict: &str,
        expected: &str,
        took: Duration,
    ) -> Result<(), Failure> {
        self.steps = self.steps.saturating_add(1);
        let fits = verdict == expected;
        if !fits {
            self.unexpected = self.unexpected.saturating_add(1);
        }
        let step = self.steps;
        let micros = took.as_micros();
        let view = Step {
            step,
            what,
            verdict,
            expected,
            micros,
        };
        let color = if fits {
            AnsiColor::Green
        } else {
            AnsiColor::Red
        };
        let style: Style = color.on_default();
        let cost = Took(took).to_string();
        let instead = if fits {
            String::new()
        } else {
            format!("  expected: {expected}")
        };
        self.out.say(
            &view,
            format_args!("{step:>3}  {what:<58} {style}{verdict:<14}{style:#} {cost:>9}{instead}"),
        )?;
        self.out.flush()
    }
}

/// Issues a token that may `repo:read`.
pub(super) fn issue(
    engine: &Engine,
    principal: &str,
    name: &str,
    expiry: Expiry,
) -> Result<IssuedToken, Error> {
    let principal = Principal::new(principal)?;
    let name = TokenName::new(name)?;
    let scopes = "repo:read".parse().and_then(|scope| ScopeSet::new([scope]));
    let scopes = scopes.map_err(|_| Error::Setup("the tour's own scope"))?;
    engine
        .access()
        .issue(NewToken {
            principal,
            name,
            scopes,
            expiry,
        })
        .wait()
}

/// How the tour opens stores.
pub(super) fn builder(clock: &ManualClock) -> Builder {
    Engine::builder()
        .clock(clock.clone())
        .maintenance(Maintenance::HostDriven)
}

/// Opens a store that must not be made; a copy is adopted where it is said how.
pub(super) fn open(
    clock: &ManualClock,
    path: &Path,
    adoption: Option<Adoption>,
) -> Result<Engine, Error> {
    let builder = builder(clock).create(Create::Never);
    match adoption {
        Some(adoption) => builder.adopt(adoption).open(path),
        None => builder.open(path),
    }
}

pub(super) const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::In(_) => "in",
        Verdict::Refused(rejection) => rejection.reason(),
    }
}

/// A token of a kind with the same public half and another secret, or the other way round.
pub(super) fn forged(
    format: &TokenFormat,
    kind: CredentialKind,
    token: &SecretText,
    change: impl FnOnce(Selector, &mut [u8; 28]) -> Selector,
) -> Result<SecretText, Error> {
    let fault = Error::Setup("the tour's own token does not read");
    let parsed = format.parse(kind, token.expose().as_bytes());
    let parsed = parsed.map_err(|_| fault.clone())?;
    let mut verifier = *parsed.verifier().expose();
    let selector = change(parsed.selector(), &mut verifier);
    let other = SplitToken::new(kind, selector, Verifier::from_bytes(verifier));
    format.text(&other).ok_or(fault)
}

/// A token with its last character mistyped.
pub(super) fn mistyped(token: &SecretText) -> Vec<u8> {
    let mut text = token.expose().as_bytes().to_vec();
    if let Some(last) = text.last_mut() {
        *last = if *last == b'0' { b'1' } else { b'0' };
    }
    text
}
