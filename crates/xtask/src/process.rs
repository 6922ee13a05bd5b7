//! Starting other programs at the root of the workspace, and what may go wrong with that.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why a chore did not come to its end, as one line for whoever called it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The root of the workspace, from where this crate was compiled.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// A program with its arguments, to be run at the root.
pub(crate) fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null());
    command
}

/// The cargo that started this program, so that a chosen toolchain stays chosen.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    program(&cargo, arguments)
}

/// Runs to the end; anything but success is a failure that names the command.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|error| not_started(&command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "`{}` ended with {status}",
        text_of(&command)
    )))
}

/// What to say where there is no nightly toolchain.
pub(crate) fn missing_nightly() -> Option<&'static str> {
    let is_there = succeeds(program("cargo", &["+nightly", "--version"]));
    (!is_there).then_some("no nightly toolchain: `rustup toolchain install nightly`")
}

/// Whether the command can be started and succeeds; what it prints is thrown away.
pub(crate) fn succeeds(mut command: Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether there is valgrind; where there is none, says loudly what is not done.
pub(crate) fn has_valgrind(not_done: &str) -> bool {
    let is_there = succeeds(program("valgrind", &["--version"]));
    if !is_there {
        println!("NOT {not_done}: valgrind is missing; install Debian's package of that name");
    }
    is_there
}

/// What the command prints on standard output; it must succeed.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| not_started(&command, &error))?;
    if !output.status.success() {
        let status = output.status;
        return Err(Failure::new(format!(
            "`{}` ended with {status}",
            text_of(&command)
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The compiler that this toolchain builds with, as it names itself.
pub(crate) fn rustc() -> Result<String> {
    output(program("rustc", &["-V"])).map(|text| text.trim().to_owned())
}

/// The stream of a child that `watch` reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Output,
    Error,
}

/// Runs to the end and shows each line of one stream to `see` as it comes.
pub(crate) fn watch(mut command: Command, stream: Stream, mut see: impl FnMut(&str)) -> Result<()> {
    match stream {
        Stream::Output => command.stdout(Stdio::piped()),
        Stream::Error => command.stderr(Stdio::piped()),
    };
    let mut child = command
        .spawn()
        .map_err(|error| not_started(&command, &error))?;
    let source: Option<Box<dyn Read>> = match stream {
        Stream::Output => child
            .stdout
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read>),
        Stream::Error => child
            .stderr
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read>),
    };
    if let Some(source) = source {
        // Bytes rather than lines of text: a fuzzer may well print what is not UTF-8.
        for line in BufReader::new(source)
            .split(b'\n')
            .map_while(std::result::Result::ok)
        {
            see(&String::from_utf8_lossy(&line));
        }
    }
    let status = child
        .wait()
        .map_err(|error| not_started(&command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "`{}` ended with {status}",
        text_of(&command)
    )))
}

fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot run `{}`: {error}", text_of(command)))
}

/// The command as one would type it.
pub(crate) fn text_of(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = command.get_args().map(|word| word.to_string_lossy());
    let mut text = name.to_string_lossy().into_owned();
    for word in words {
        text.push(' ');
        text.push_str(&word);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named() {
        let error = run(program("false", &["with", "words"])).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`false with words` ended with"),
            "{error}"
        );
        let error = run(program("no-such-program-here", &[])).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot run `no-such-program-here`"),
            "{error}"
        );
    }

    #[test]
    fn lines_are_seen_in_order_even_when_the_command_fails() {
        let mut seen = Vec::new();
        let script = "echo one; printf 'two\\377'; exit 3";
        let outcome = watch(program("sh", &["-c", script]), Stream::Output, |line| {
            seen.push(line.to_owned());
        });
        assert!(outcome.is_err());
        assert_eq!(seen, ["one", "two\u{fffd}"]);
    }
}
