//! Which tests run a mutant, and whether one of them fails with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::copy::{Binary, Copy};
use super::list::{Fate, Mutant};
use crate::process::{Failure, Result, output};

/// A test that passes where nothing is changed.
#[derive(Debug)]
pub(super) struct Test {
    binary: usize,
    name: String,
    took: Duration,
}

/// The tests, and for each mutant those that run it, the quickest first.
#[derive(Debug)]
pub(super) struct Tests {
    binaries: Vec<Binary>,
    tests: Vec<Test>,
    of: HashMap<usize, Vec<usize>>,
}

/// How long tests may take that took a second: a machine may be busy with others.
const PATIENCE: u32 = 8;
const AT_LEAST: Duration = Duration::from_secs(20);
/// What one unchanged test may take.
const LONGEST: Duration = Duration::from_secs(300);
/// What a test may take to be asked before the long ones of its crate.
const QUICK: Duration = Duration::from_millis(400);

impl Tests {
    /// Runs each test by itself and notes what it meets.
    pub(super) fn met(copy: &Copy, binaries: Vec<Binary>, workers: usize) -> Result<Self> {
        let folder = copy.place.join("met");
        fs::create_dir_all(&folder).map_err(|error| Failure::new(error.to_string()))?;
        let mut all = Vec::new();
        for (number, binary) in binaries.iter().enumerate() {
            let mut command = Command::new(&binary.program);
            let list = ["--list", "--format", "terse"];
            command.args(list).current_dir(&binary.folder);
            let names = output(command)?;
            let names = names.lines().filter_map(|line| line.strip_suffix(": test"));
            all.extend(names.map(|name| (number, binary, name.to_owned())));
        }
        println!("{} tests", all.len());
        let found = Mutex::new(Vec::new());
        each(all.len(), workers, |index| {
            let Some((number, binary, name)) = all.get(index) else {
                return;
            };
            let Some((took, met)) = met_by(binary, name, &folder) else {
                println!(
                    "left out, for it fails unchanged: {} {name}",
                    binary.package
                );
                return;
            };
            let test = Test {
                binary: *number,
                name: name.clone(),
                took,
            };
            if let Ok(mut found) = found.lock() {
                found.push((test, met));
            }
        });
        let found = found.into_inner().unwrap_or_default();
        let mut of: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut tests = Vec::new();
        for (test, met) in found {
            for mutant in met {
                of.entry(mutant).or_default().push(tests.len());
            }
            tests.push(test);
        }
        Ok(Self {
            binaries,
            tests,
            of,
        })
    }

    /// Tries a mutant with every test that meets it, until one fails.
    fn try_one(&self, number: usize, mutant: &Mutant) -> (Fate, String) {
        let Some(meeting) = self.of.get(&number) else {
            return (Fate::Unreached, String::new());
        };
        for (binary, tests) in self.batches(meeting, &mutant.package) {
            let took: Duration = tests.iter().map(|test| test.took).sum();
            let names = tests.iter().map(|test| test.name.as_str());
            let mut command = tests_of(binary, names);
            command.env("COUNTERSIGN_MUTANT", number.to_string());
            let patience = took.saturating_mul(PATIENCE).saturating_add(AT_LEAST);
            let by = || match tests.as_slice() {
                [test] => format!("{} {}", binary.package, test.name),
                _ => format!("{}, {} tests", binary.package, tests.len()),
            };
            match within(command, patience) {
                Some(true) => {}
                Some(false) => return (Fate::Caught, by()),
                None => return (Fate::Timeout, by()),
            }
        }
        (Fate::Missed, format!("{} tests", meeting.len()))
    }

    /// The tests in the order in which they are asked: of its own crate first, the quick ones
    /// first, and each time twice as many.
    fn batches(&self, meeting: &[usize], package: &str) -> Vec<(&Binary, Vec<&Test>)> {
        let tests = meeting.iter().filter_map(|&test| self.tests.get(test));
        let mut groups: BTreeMap<(bool, bool, usize), Vec<&Test>> = BTreeMap::new();
        for test in tests {
            let own = self.binaries.get(test.binary);
            let own = own.is_some_and(|binary| binary.package == package);
            let group = (test.took > QUICK, !own, test.binary);
            groups.entry(group).or_default().push(test);
        }
        let mut batches = Vec::new();
        for ((_, _, binary), mut tests) in groups {
            let Some(binary) = self.binaries.get(binary) else {
                continue;
            };
            tests.sort_by_key(|test| test.took);
            let (mut batch, mut budget) = (Vec::new(), QUICK);
            let mut spent = Duration::ZERO;
            for test in tests {
                batch.push(test);
                spent = spent.saturating_add(test.took);
                if spent > budget {
                    batches.push((binary, std::mem::take(&mut batch)));
                    (spent, budget) = (Duration::ZERO, budget.saturating_mul(2));
                }
            }
            if !batch.is_empty() {
                batches.push((binary, batch));
            }
        }
        batches
    }

    /// Tries all these and tells of each as it ends.
    pub(super) fn try_all(
        &self,
        numbers: &[usize],
        mutants: &[Mutant],
        workers: usize,
        mut tell: impl FnMut(usize, Fate, &str) + Send,
    ) {
        let tell = Mutex::new(&mut tell);
        each(numbers.len(), workers, |index| {
            let Some(&number) = numbers.get(index) else {
                return;
            };
            let Some(mutant) = mutants.get(number) else {
                return;
            };
            let (fate, by) = self.try_one(number, mutant);
            if let Ok(mut tell) = tell.lock() {
                tell(number, fate, &by);
            }
        });
    }
}

/// How long a test takes and what it meets; nothing if it fails. What is known of the same binary
/// is not asked again.
fn met_by(binary: &Binary, name: &str, folder: &Path) -> Option<(Duration, BTreeSet<usize>)> {
    let stem = binary.program.file_name()?.to_string_lossy();
    let note = folder.join(format!("{stem}-{}", name.replace("::", "-")));
    let timed = note.with_extension("took");
    let built = fs::metadata(&binary.program).and_then(|data| data.modified());
    let noted = fs::metadata(&timed).and_then(|data| data.modified());
    if !matches!((built, noted), (Ok(built), Ok(noted)) if built < noted) {
        for file in [&note, &timed] {
            // Mostly there is none.
            let _ = fs::remove_file(file);
        }
        let mut command = tests_of(binary, [name]);
        command.env("COUNTERSIGN_MET", &note);
        let start = now();
        if within(command, LONGEST) != Some(true) {
            return None;
        }
        let took = start.elapsed().as_millis().to_string();
        fs::write(&timed, took).ok()?;
    }
    let took = fs::read_to_string(&timed).ok()?.trim().parse().ok()?;
    let met = fs::read_to_string(&note).unwrap_or_default();
    let met = met.lines().filter_map(|line| line.parse().ok()).collect();
    Some((Duration::from_millis(took), met))
}

/// Does it for each number, some at once.
fn each(count: usize, workers: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    work(index);
                }
            });
        }
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long tests take decides how long they are waited for, and no verdict"
)]
fn now() -> Instant {
    Instant::now()
}

fn tests_of(binary: &Binary, names: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    // A mutant may ask for all the memory that there is.
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -v 16000000; exec \"$@\"", "sh"])
        .arg(&binary.program)
        .args(["--exact", "--test-threads", "2"])
        .args(names)
        .current_dir(&binary.folder)
        .env("CARGO_MANIFEST_DIR", &binary.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Whether it succeeds; nothing where it does not end in time.
fn within(mut command: Command, patience: Duration) -> Option<bool> {
    let mut child = command.spawn().ok()?;
    let start = now();
    let mut pause = Duration::from_millis(2);
    loop {
        match child.try_wait() {
            // The harness ends with 101; the shell with 126 or 127 where there is no program.
            Ok(Some(status)) if matches!(status.code(), Some(126 | 127)) => return Some(true),
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if start.elapsed() > patience => {
                stop(&mut child);
                return None;
            }
            Ok(None) => thread::sleep(pause),
            Err(_) => return None,
        }
        pause = pause.saturating_mul(2).min(Duration::from_millis(50));
    }
}

fn stop(child: &mut Child) {
    // It may have ended by itself meanwhile.
    let _ = child.kill();
    let _ = child.wait();
}
