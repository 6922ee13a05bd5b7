//! How a call can fail, which exit code that is, and how it is told.

use crate::discreet::{holds_credential, without_credentials};
use anstyle::{AnsiColor, Style};
use countersign::core::policy::PolicyTextError;
use countersign::keyfile::KeyFileFault;
use countersign::store::{OpenError, StoreError};
use countersign::{Error, Refusal};
use serde::Serialize;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a command comes to.
pub(crate) type Outcome = Result<Exit, Failure>;

/// The exit codes that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    /// Refused, or not found.
    Refused = 1,
    /// Wrong usage.
    Usage = 2,
    /// The store or the key failed.
    Failed = 3,
    /// By Ctrl-C.
    Stopped = 130,
    /// Whoever reads the output has gone.
    PipeClosed = 141,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) file: Option<PathBuf>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Display) -> Self {
        Self {
            exit,
            code,
            message: message.to_string(),
            file: None,
        }
    }

    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    pub(crate) fn stopped() -> Self {
        Self::new(
            Exit::Stopped,
            "stopped",
            "stopped; nothing was left half done",
        )
    }

    pub(crate) fn not_found(message: impl Display) -> Self {
        Self::new(Exit::Refused, "not_found", message)
    }

    /// What the system said about a file that the call named.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        let (exit, code) = match error.kind() {
            io::ErrorKind::NotFound => (Exit::Refused, "not_found"),
            io::ErrorKind::AlreadyExists => (Exit::Refused, "exists"),
            _ => (Exit::Failed, "io"),
        };
        Self::new(exit, code, format_args!("{}: {error}", path.display())).about(path)
    }

    /// What the system said when the output was written.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::PipeClosed, "io", ""),
            _ => Self::new(Exit::Failed, "io", format_args!("standard output: {error}")),
        }
    }

    pub(crate) fn policy(path: &Path, error: &PolicyTextError) -> Self {
        Self::new(
            Exit::Refused,
            "policy",
            format_args!("{}: {error}", path.display()),
        )
        .about(path)
    }

    /// Names the file that it is about.
    pub(crate) fn about(mut self, path: &Path) -> Self {
        self.file = Some(path.to_owned());
        self
    }

    /// Tells it on standard error.
    pub(crate) fn tell(&self, json: bool) -> Exit {
        if self.exit == Exit::PipeClosed {
            return self.exit;
        }
        let mut to = anstream::stderr().lock();
        // Nothing is left to tell that standard error is gone.
        let _ = if json {
            writeln!(to, "{}", self.to_json())
        } else {
            let red: Style = AnsiColor::Red.on_default().bold();
            let message = without_credentials(&self.message);
            writeln!(to, "{red}error{red:#}: {message}")
        };
        self.exit
    }

    fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Told<'a> {
            error: Fields<'a>,
        }
        #[derive(Serialize)]
        struct Fields<'a> {
            code: &'static str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            file: Option<String>,
        }
        let file = self.file.as_ref();
        let file = file.map(|path| without_credentials(&path.display().to_string()));
        let error = Fields {
            code: self.code,
            message: &without_credentials(&self.message),
            file,
        };
        serde_json::to_string(&Told { error }).unwrap_or_default()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Refused(_)
            | Error::Session(_)
            | Error::Import { .. }
            | Error::NotEmpty { .. } => Exit::Refused,
            Error::Open(OpenError::Exists(_)) | Error::Keys(KeyFileFault::Exists(_)) => {
                Exit::Refused
            }
            Error::Text(_) | Error::Setup(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        let file = file_of(&error).map(Path::to_owned);
        Self {
            exit,
            code: error.code(),
            message: error.to_string(),
            file,
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Error::from(error).into()
    }
}

impl From<KeyFileFault> for Failure {
    fn from(error: KeyFileFault) -> Self {
        Error::from(error).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<Refusal> for Failure {
    fn from(error: Refusal) -> Self {
        Error::from(error).into()
    }
}

fn file_of(error: &Error) -> Option<&Path> {
    match error {
        Error::Open(
            OpenError::NotFound(path)
            | OpenError::Exists(path)
            | OpenError::AlreadyOpen(path)
            | OpenError::NeedsRepair(path)
            | OpenError::Cloned(path)
            | OpenError::WrongKey(path)
            | OpenError::NotAStore { path, .. }
            | OpenError::Damaged { path, .. }
            | OpenError::NewerFormat { path, .. }
            | OpenError::OlderFormat { path, .. }
            | OpenError::MissingPepper { path, .. }
            | OpenError::Permission { path, .. }
            | OpenError::NoRoom { path, .. }
            | OpenError::Invalid { path, .. }
            | OpenError::Io { path, .. },
        )
        | Error::Keys(
            KeyFileFault::Missing(path)
            | KeyFileFault::Exists(path)
            | KeyFileFault::Busy(path)
            | KeyFileFault::Changed(path)
            | KeyFileFault::Full(path)
            | KeyFileFault::Permissions { path, .. }
            | KeyFileFault::Content { path, .. }
            | KeyFileFault::Io { path, .. },
        ) => Some(path),
        _ => None,
    }
}

/// Tells what is wrong with the arguments; also prints help and version, which are not wrong.
pub(crate) fn wrong_usage(arguments: &[OsString], error: &clap::Error) -> ExitCode {
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    if !error.use_stderr() || !wants_json {
        // Nothing is left to tell that the terminal is gone.
        let _ = match holds_credential(&error.to_string()) {
            true => {
                let text = without_credentials(&error.render().ansi().to_string());
                write!(anstream::stderr().lock(), "{text}")
            }
            false => error.print(),
        };
        return match error.use_stderr() {
            true => Exit::Usage.into(),
            false => Exit::Done.into(),
        };
    }
    let text = error.to_string();
    // The first paragraph says what is wrong; usage and hints follow it.
    let told = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty());
    let message = told.collect::<Vec<_>>().join(" ");
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    Failure::usage(message).tell(true).into()
}
