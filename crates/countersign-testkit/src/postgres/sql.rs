//! SQL through `psql`, which is another program: no driver of a database is in this crate.

use super::failure::{Failure, Outcome};
use super::tools::{answer, bounded, quiet};
use super::wait::until;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Who is asked, and by which program.
#[derive(Clone, Debug)]
pub(super) struct Psql<'a> {
    pub(super) program: &'a Path,
    pub(super) connection: &'a str,
    pub(super) home: &'a Path,
}

impl Psql<'_> {
    /// What statements answer, within bounds: a row a line, its values with `|` in between.
    pub(super) fn run(&self, statements: &str) -> Outcome<String> {
        let child = spawn(bounded(&self.command()), statements)?;
        let output = child.wait_with_output().map_err(Failure::of("psql"))?;
        answer("psql", output).map_err(|failure| Failure::new(format!("{failure}\n{statements}")))
    }

    /// Begins statements, and does not wait.
    pub(super) fn begin(&self, statements: &str) -> Outcome<Statement> {
        let child = spawn(self.command(), statements)?;
        Ok(Statement { child: Some(child) })
    }

    fn command(&self) -> Command {
        let mut command = quiet(self.program, self.home);
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(self.connection)
            .env("PGCONNECT_TIMEOUT", "20");
        command
    }
}

fn spawn(mut command: Command, statements: &str) -> Outcome<Child> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Failure::of("psql"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Where it could not connect it reads nothing, and says why when it is asked for an answer.
        let _ = stdin.write_all(statements.as_bytes());
    }
    Ok(child)
}

/// Statements that are under way, sent by a process of their own; dropping it ends that process.
///
/// The server does not notice while it waits for something: it goes on waiting.
#[derive(Debug)]
pub struct Statement {
    child: Option<Child>,
}

impl Statement {
    /// Whether they are over, well or badly.
    #[must_use]
    pub fn is_done(&mut self) -> bool {
        let ended = self.child.as_mut().map(Child::try_wait);
        ended.is_none_or(|ended| matches!(ended, Ok(Some(_)) | Err(_)))
    }

    /// Waits until they are over, and has what they answered, which must not be long.
    ///
    /// # Errors
    /// When one of them failed, or they do not come to an end.
    pub fn answer(mut self) -> Result<String, Failure> {
        until("the end of statements", || Ok(self.is_done()))?;
        let child = self.child.take();
        let child = child.ok_or_else(|| Failure::new("there is no process"))?;
        let output = child.wait_with_output().map_err(Failure::of("psql"))?;
        answer("psql", output)
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What [`Psql`] borrows, for who has nothing to borrow it from.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) program: PathBuf,
    pub(super) connection: String,
    pub(super) home: PathBuf,
}

impl Access {
    pub(super) fn psql(&self) -> Psql<'_> {
        Psql {
            program: &self.program,
            connection: &self.connection,
            home: &self.home,
        }
    }
}
