//! A copy of the workspace in which all mutants are woven, and which of them compile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::list::{Fate, Genre, Mutant};
use super::weave::{Part, weave};
use crate::process::{Failure, Result, cargo, output, program, root};

/// What the woven crates ask which mutant they are to be.
const QUESTION: &str = include_str!("woven.rs.txt");

/// What was left out, a line each.
const LEFT: &str = "left.tsv";

/// How often it is tried to leave out what does not compile.
const ROUNDS: usize = 60;

#[derive(Debug)]
pub(super) struct Copy {
    pub(super) place: PathBuf,
    /// Those that are not in it, and why.
    pub(super) fates: BTreeMap<usize, Fate>,
    constant: BTreeSet<String>,
    parts: BTreeMap<PathBuf, Vec<Part>>,
}

/// A test binary of the copy.
#[derive(Debug, Clone)]
pub(super) struct Binary {
    pub(super) package: String,
    pub(super) program: PathBuf,
    /// Where its tests expect to run.
    pub(super) folder: PathBuf,
}

/// What is built: the packages with mutants, and those whose tests judge them.
const TARGETS: &[&str] = &[
    "--lib",
    "--test",
    "it",
    "--package",
    "countersign-core",
    "--package",
    "countersign-sessions",
    "--package",
    "countersign-store",
    "--package",
    "countersign",
    "--package",
    "countersign-tests",
];

impl Copy {
    /// Copies the workspace, weaves, and leaves out mutants until it compiles; it may begin with
    /// what was left out the last time.
    pub(super) fn make(mutants: &[Mutant], again: bool) -> Result<Self> {
        let place = root().join("target/mutants");
        let mut copy = Self {
            place,
            fates: BTreeMap::new(),
            constant: BTreeSet::new(),
            parts: BTreeMap::new(),
        };
        copy.files()?;
        if again {
            copy.remember(mutants);
        }
        for round in 1..=ROUNDS {
            copy.weave_all(mutants)?;
            let errors = copy.errors()?;
            println!(
                "round {round}: {} errors, {} mutants left out, {} functions stay const",
                errors.len(),
                copy.fates.len(),
                copy.constant.len()
            );
            if errors.is_empty() {
                copy.note(mutants)?;
                return Ok(copy);
            }
            copy.leave_out(&errors, mutants)?;
        }
        Err(Failure::new("the woven copy does not compile"))
    }

    /// What is left out, for the next time.
    fn note(&self, mutants: &[Mutant]) -> Result<()> {
        let mut text = String::new();
        for (number, fate) in &self.fates {
            if let Some(mutant) = mutants.get(*number) {
                text.push_str(&format!("{fate:?}\t{}\n", mutant.name));
            }
        }
        for name in &self.constant {
            text.push_str(&format!("const\t{name}\n"));
        }
        keep(&self.place.join(LEFT), text.as_bytes())
    }

    fn remember(&mut self, mutants: &[Mutant]) {
        let text = fs::read_to_string(self.place.join(LEFT)).unwrap_or_default();
        let mut left = BTreeMap::new();
        for (fate, name) in text.lines().filter_map(|line| line.split_once('\t')) {
            match Fate::named(fate) {
                Some(fate) => {
                    left.insert(name, fate);
                }
                None => {
                    self.constant.insert(name.to_owned());
                }
            }
        }
        let known = mutants.iter().enumerate();
        self.fates = known
            .filter_map(|(number, mutant)| Some((number, *left.get(mutant.name.as_str())?)))
            .collect();
    }

    fn tree(&self) -> PathBuf {
        self.place.join("tree")
    }

    /// Every file of the workspace as it is.
    fn files(&self) -> Result<()> {
        let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
        let names = output(program("git", &arguments))?;
        for name in names.lines().filter(|name| root().join(name).is_file()) {
            let bytes = fs::read(root().join(name)).map_err(|error| at(name, &error))?;
            let is_woven = name.ends_with(".rs") && self.tree().join(name).exists();
            if !(is_woven && name.starts_with("crates/")) {
                keep(&self.tree().join(name), &bytes)?;
            }
        }
        Ok(())
    }

    fn weave_all(&mut self, mutants: &[Mutant]) -> Result<()> {
        let mut files: BTreeMap<&Path, Vec<(usize, &Mutant)>> = BTreeMap::new();
        let mut sources = BTreeSet::new();
        for (number, mutant) in mutants.iter().enumerate() {
            let list = files.entry(mutant.file.as_path()).or_default();
            if !self.fates.contains_key(&number) {
                list.push((number, mutant));
            }
            sources.extend(source_of(&mutant.file));
        }
        let names = output(program("git", &["ls-files", "--", "crates/*.rs"]))?;
        for name in names.lines().map(Path::new) {
            let text = fs::read_to_string(root().join(name))
                .map_err(|error| at(&name.display().to_string(), &error))?;
            let text = match files.get(name) {
                Some(list) => {
                    let woven = weave(&text, list, &self.constant)
                        .map_err(|error| Failure::new(format!("{}: {error}", name.display())))?;
                    let left = woven.left.into_iter();
                    self.fates.extend(left.map(|number| (number, Fate::Apart)));
                    self.parts.insert(name.to_path_buf(), woven.parts);
                    woven.text
                }
                None => text,
            };
            let is_root = name.file_name().is_some_and(|file| file == "lib.rs")
                && name.parent().is_some_and(|folder| sources.contains(folder));
            let text = if is_root {
                let question = QUESTION.replace("IN_ALL", &mutants.len().to_string());
                let beside = self.tree().join(name).with_file_name("woven.rs");
                keep(&beside, question.as_bytes())?;
                text + "\n#[doc(hidden)]\npub mod woven;\n"
            } else {
                text
            };
            keep(&self.tree().join(name), text.as_bytes())?;
        }
        Ok(())
    }

    /// Cargo in the copy.
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = cargo(arguments);
        command
            .current_dir(self.tree())
            .env("CARGO_TARGET_DIR", self.place.join("build"));
        command
    }

    fn errors(&self) -> Result<Vec<Diagnostic>> {
        let arguments = [
            "test",
            "--no-run",
            "--no-fail-fast",
            "--message-format=json",
        ];
        let mut command = self.cargo(&arguments);
        command.args(TARGETS);
        let lines = lines_of(command)?;
        let messages = lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok());
        Ok(messages
            .filter_map(|line: Line| line.message)
            .filter(|message| message.level == "error" && !message.spans.is_empty())
            .collect())
    }

    /// Takes out the mutants that an error points at.
    fn leave_out(&mut self, errors: &[Diagnostic], mutants: &[Mutant]) -> Result<()> {
        let mut found = false;
        for error in errors {
            if let Some(name) = error.not_constant() {
                found |= self.constant.insert(name);
                continue;
            }
            match self.meant(error, mutants) {
                Some((number, fate)) => {
                    found = true;
                    self.fates.entry(number).or_insert(fate);
                }
                None => println!(
                    "no mutant is meant by: {}",
                    error.rendered().chars().take(1500).collect::<String>()
                ),
            }
        }
        match found {
            true => Ok(()),
            false => Err(Failure::new("errors that no mutant explains")),
        }
    }

    /// The mutant that an error means, and what that says of it.
    fn meant(&self, error: &Diagnostic, mutants: &[Mutant]) -> Option<(usize, Fate)> {
        let span = error.spans.iter().find(|span| span.is_primary)?;
        let parts = self.parts.get(Path::new(&span.file_name))?;
        let around = parts
            .iter()
            .filter(|part| part.whole.start <= span.byte_start && span.byte_end <= part.whole.end)
            .min_by_key(|part| part.whole.len());
        if let Some(part) = around {
            let within = part.instead.start <= span.byte_start
                && span.byte_end <= part.instead.end
                && error.code() != "E0015";
            let fate = if within { Fate::Unviable } else { Fate::Apart };
            return Some((part.mutant, fate));
        }
        let genre = |part: &&Part| mutants.get(part.mutant).map(|mutant| mutant.genre);
        // Arms that may be gone leave a case out: all of a match are tried as edits.
        if error.code() == "E0004" {
            let arms = parts
                .iter()
                .filter(|part| genre(part) == Some(Genre::MatchArm));
            let after = arms.filter(|part| part.whole.start >= span.byte_end);
            let next = after.min_by_key(|part| part.whole.start)?;
            return Some((next.mutant, Fate::Apart));
        }
        // A value of another type than the function's hidden one shows further down in it.
        let before = parts.iter().filter(|part| {
            part.whole.start <= span.byte_start && genre(part) == Some(Genre::FnValue)
        });
        let last = before.max_by_key(|part| part.whole.start)?;
        println!("taken for {}: {}", last.mutant, error.rendered());
        Some((last.mutant, Fate::Apart))
    }

    /// Builds the test binaries.
    pub(super) fn built(&self) -> Result<Vec<Binary>> {
        let mut command = self.cargo(&["test", "--no-run", "--message-format=json"]);
        command.args(TARGETS);
        let mut binaries = Vec::new();
        for line in lines_of(command)? {
            let Ok(line) = serde_json::from_str::<Line>(&line) else {
                continue;
            };
            if let (Some(program), Some(manifest), true) =
                (line.executable, line.manifest_path, line.profile.test)
            {
                let folder = manifest.parent().map(Path::to_path_buf).unwrap_or_default();
                let package = folder.file_name().unwrap_or_default().to_string_lossy();
                binaries.push(Binary {
                    package: package.into_owned(),
                    program,
                    folder,
                });
            }
        }
        match binaries.is_empty() {
            true => Err(Failure::new("the woven copy has no test binary")),
            false => Ok(binaries),
        }
    }
}

/// The folder of sources that a file is in.
fn source_of(file: &Path) -> Option<PathBuf> {
    let folder = file.ancestors().find(|folder| folder.ends_with("src"));
    folder.map(Path::to_path_buf)
}

/// Writes a file where it is not so already, so that what did not change is not compiled again.
fn keep(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, bytes))
        .map_err(|error| at(&path.display().to_string(), &error))
}

fn at(name: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("{name}: {error}"))
}

/// What a command prints, whether or not it succeeds.
fn lines_of(mut command: Command) -> Result<Vec<String>> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| at("cargo", &error))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().map(str::to_owned).collect())
}

/// What cargo says, a line each.
#[derive(Debug, Deserialize)]
struct Line {
    message: Option<Diagnostic>,
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    profile: Profile,
}

#[derive(Debug, Default, Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Debug, Deserialize)]
struct Diagnostic {
    level: String,
    message: String,
    code: Option<Code>,
    spans: Vec<Place>,
    rendered: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Code {
    code: String,
}

#[derive(Debug, Deserialize)]
struct Place {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
}

impl Diagnostic {
    fn code(&self) -> &str {
        self.code.as_ref().map_or("", |code| code.code.as_str())
    }

    fn rendered(&self) -> &str {
        self.rendered.as_deref().unwrap_or(&self.message)
    }

    /// The function that a constant calls and that was made one that it cannot call.
    fn not_constant(&self) -> Option<String> {
        if self.code() != "E0015" {
            return None;
        }
        let path = self.message.split('`').nth(1)?;
        if path.ends_with("asked") {
            return None;
        }
        let mut segments = path.rsplit("::").filter(|part| !part.starts_with('<'));
        let name = segments.next()?;
        let owner = segments.next().unwrap_or("");
        let owner = owner.split('<').next().unwrap_or("");
        match owner.chars().next().is_some_and(char::is_uppercase) {
            true => Some(format!("{owner}::{name}")),
            false => Some(name.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_a_constant_calls_is_named_as_the_weaver_names_it() {
        let error = |message: &str| Diagnostic {
            level: "error".to_owned(),
            message: message.to_owned(),
            code: Some(Code {
                code: "E0015".to_owned(),
            }),
            spans: Vec::new(),
            rendered: None,
        };
        for (message, name) in [
            (
                "cannot call non-const function `time::days` in constants",
                Some("days"),
            ),
            (
                "cannot call non-const method `a::Span::<T>::ms` in statics",
                Some("Span::ms"),
            ),
            ("cannot call non-const function `asked` in constants", None),
        ] {
            assert_eq!(error(message).not_constant().as_deref(), name, "{message}");
        }
    }
}
