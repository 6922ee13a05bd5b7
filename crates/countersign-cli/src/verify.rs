//! `verify`: judges presented credentials, one a line, as the engine would.

mod judge;
mod lines;
mod report;

use crate::cli::Call;
use crate::discreet::holds_credential;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::{Opened, SESSIONS, Site};
use crate::progress::Progress;
use crate::session;
use crate::stop::{self, Patient};
use clap::{Args, ValueEnum};
use countersign::{AttachmentId, CredentialKind, Scope};
use judge::{Asked, Judge};
use lines::Lines;
use report::Report;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

/// Judge presented credentials, one a line, without leaving a trace
///
/// A line is a bare credential, `Bearer ...`, `Authorization: Bearer ...`, or a Cookie header;
/// one verdict a line comes out, and a summary on standard error. Of a Cookie header the session's
/// cookie is judged, and the remembered device's where that lets nobody in. Sessions are those
/// that were carried over last. Judging here is no use of a credential: its last use stays as it
/// was, and no secret is replaced. A credential in an argument would be seen by others, so there
/// is no option for one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign verify presented.txt
  grep -h '^Authorization:' requests/* | countersign verify --scope repo:read --json
  countersign --now 2026-11-22T10:00:00Z verify presented.txt

Reasons: malformed, checksum, unknown, mismatch, expired, revoked, disabled, switched_off, scope,
reused, too_long, not_yet. Exits 0 if all are let in, 1 if any is refused, 3 if the store failed.")]
pub(crate) struct Verify {
    /// What kind of credential is expected
    #[arg(long, value_enum, default_value = "any")]
    kind: Kind,

    /// A scope that each must cover; only access tokens have any
    #[arg(long)]
    scope: Option<Scope>,

    /// What image tokens must open [default: whatever each names itself]
    #[arg(long)]
    attachment: Option<AttachmentId>,

    /// Presented credentials, one a line
    #[arg(value_name = "FILE|-", default_value = "-")]
    file: PathBuf,
}

/// The kinds of credential that can be presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Whatever it is
    Any,
    /// Access tokens
    Access,
    /// Remembered devices
    Remember,
    /// Sessions
    Session,
    /// Image tokens
    Image,
}

impl Kind {
    const fn asked(self) -> Option<CredentialKind> {
        match self {
            Self::Any => None,
            Self::Access => Some(CredentialKind::Access),
            Self::Remember => Some(CredentialKind::Remember),
            Self::Session => Some(CredentialKind::Session),
            Self::Image => Some(CredentialKind::Image),
        }
    }

    /// Opens the store, with the sessions where some may be judged.
    fn open(self, site: &Site) -> Result<Opened, Failure> {
        match self {
            Self::Any if site.path().is_none() => site.read(),
            Self::Any | Self::Session => {
                site.file(SESSIONS)?;
                let opened = site.read_with_sessions()?;
                session::usable(&opened)?;
                Ok(opened)
            }
            Self::Access | Self::Remember | Self::Image => site.read(),
        }
    }
}

impl Verify {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        if holds_credential(&self.file.to_string_lossy()) {
            return Err(Failure::usage(
                "a credential is read from a file or from standard input, never from an \
                 argument, where others may see it; it was not judged",
            ));
        }
        let file = match self.file == Path::new("-") {
            true => None,
            false => {
                Some(File::open(&self.file).map_err(|error| Failure::file(&self.file, &error))?)
            }
        };
        let opened = self.kind.open(&call.site)?;
        if self.kind == Kind::Any && call.site.path().is_none() {
            call.out
                .note("a session is known to the application's nodes alone: here it is refused")?;
        }
        let asked = Asked {
            kind: self.kind.asked(),
            scope: self.scope,
            attachment: self.attachment,
        };
        let judge = Judge::new(&opened.engine, asked);
        let report = match file {
            Some(file) => {
                let size = file.metadata().ok().filter(std::fs::Metadata::is_file);
                let progress = match call.out.is_terminal() {
                    true => Progress::hidden(),
                    false => Progress::bytes("judging", size.map(|about| about.len())),
                };
                judge_all(call, &judge, file, &progress)
            }
            None => {
                if io::stdin().is_terminal() {
                    call.out.note("one credential a line; Ctrl-D ends")?;
                }
                let engine = opened.engine.clone();
                let stdin = Patient::new(io::stdin().lock(), move || {
                    // There is nobody to tell how it went.
                    let _ = engine.close().wait();
                });
                judge_all(call, &judge, stdin, &Progress::hidden())
            }
        };
        let report = report.map_err(|failure| match failure.code {
            "input" => failure.about(&self.file),
            _ => failure,
        })?;
        call.out.remark(&report.summary(), report.text())?;
        opened.close()?;
        stop::check()?;
        Ok(if report.all_in() {
            Exit::Done
        } else {
            Exit::Refused
        })
    }
}

/// One verdict for each line, in order, however long the lines are.
fn judge_all(
    call: &mut Call,
    judge: &Judge<'_>,
    from: impl Read,
    progress: &Progress,
) -> Result<Report, Failure> {
    let mut lines = Lines::new(from, judge.line_max());
    let mut report = Report::new(call.out.is_json(), call.out.is_terminal());
    loop {
        if lines.may_wait() {
            // Whoever waits for a verdict before sending the next line gets it.
            call.out.flush()?;
            progress.at(lines.bytes());
            if stop::asked() {
                break;
            }
        }
        let line = lines.next().map_err(|error| {
            Failure::new(
                Exit::Failed,
                "input",
                format_args!("reading credentials: {error}"),
            )
        })?;
        let Some(line) = line else { break };
        let judged = judge.judge(line)?;
        call.out.bytes(report.verdict(&judged)?)?;
    }
    call.out.flush()?;
    Ok(report)
}
