//! The machine that a run was on, as far as it tells something about figures.
//!
//! Neither its name nor any path on it is looked at: a report may be shown to everyone.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::process::{Result, output, program, root, rustc};

/// Where Linux tells of the first core's caches.
const CACHES: &str = "/sys/devices/system/cpu/cpu0/cache";

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) caches: String,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    pub(crate) profile: String,
    pub(crate) date: String,
    pub(crate) commit: String,
    /// Whether there were changes that are in no commit.
    pub(crate) dirty: bool,
    /// Over one, five and fifteen minutes, when the run began.
    pub(crate) load: String,
}

impl Machine {
    pub(crate) fn look() -> Result<Self> {
        let said = |command| output(command).map(|text| text.trim().to_owned());
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Ok(Self {
            cpu: cpu(&read("/proc/cpuinfo")),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            caches: caches(Path::new(CACHES)),
            memory: memory(&read("/proc/meminfo")),
            kernel: kernel(&read("/proc/sys/kernel/osrelease")),
            rustc: rustc()?,
            profile: profile(&fs::read_to_string(root().join("Cargo.toml")).unwrap_or_default()),
            date: said(program("date", &["-u", "+%Y-%m-%d %H:%M UTC"]))?,
            commit: said(program("git", &["rev-parse", "--short=12", "HEAD"]))?,
            dirty: !said(program("git", &["status", "--porcelain"]))?.is_empty(),
            load: load(&read("/proc/loadavg")),
        })
    }

    /// Names and values, in the order of the report.
    pub(crate) fn lines(&self) -> [(&'static str, String); 10] {
        let dirty = if self.dirty {
            ", with changes that are in no commit"
        } else {
            ""
        };
        [
            ("processor", self.cpu.clone()),
            ("cores", self.cores.to_string()),
            ("caches", self.caches.clone()),
            ("memory", self.memory.clone()),
            ("kernel", self.kernel.clone()),
            ("compiler", self.rustc.clone()),
            ("profile", self.profile.clone()),
            ("date", self.date.clone()),
            ("commit", format!("{}{dirty}", self.commit)),
            ("load at the start", self.load.clone()),
        ]
    }
}

fn cpu(cpuinfo: &str) -> String {
    field(cpuinfo, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The first value of this name in a file of `name : value` lines.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().to_owned())
}

fn memory(meminfo: &str) -> String {
    let kib = field(meminfo, "MemTotal")
        .and_then(|total| total.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or_else(unknown, |kib| {
        // Rounded to the nearest, since the kernel keeps some of it for itself.
        let gib = kib.saturating_add(1 << 19).div_euclid(1 << 20);
        format!("{gib} GiB")
    })
}

/// What follows the version names whoever built the kernel.
fn kernel(release: &str) -> String {
    let version = release.trim().split('-').next().unwrap_or_default();
    format!("{} {version}", std::env::consts::OS)
}

fn load(loadavg: &str) -> String {
    let three: Vec<&str> = loadavg.split_whitespace().take(3).collect();
    if three.is_empty() {
        return unknown();
    }
    three.join(" ")
}

fn caches(folder: &Path) -> String {
    let read = |path: &Path| fs::read_to_string(path).map(|text| text.trim().to_owned());
    let one = |index: u32| {
        let folder = folder.join(format!("index{index}"));
        let level = read(&folder.join("level")).ok()?;
        let kind = match read(&folder.join("type")).ok()?.as_str() {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        let size = read(&folder.join("size")).ok()?;
        Some(format!("L{level}{kind} {size}"))
    };
    let all: Vec<String> = (0..8).map_while(one).collect();
    if all.is_empty() {
        return unknown();
    }
    all.join(", ")
}

/// What the workspace says of the profile that benches are built with.
fn profile(manifest: &str) -> String {
    let table = manifest.parse::<toml::Table>().unwrap_or_default();
    let bench = table
        .get("profile")
        .and_then(|profiles| profiles.get("bench")?.as_table());
    let settings = bench.map(|bench| {
        let settings = bench.iter().map(|(key, value)| format!("{key} = {value}"));
        settings.collect::<Vec<_>>().join(", ")
    });
    format!("bench: {}", settings.unwrap_or_else(unknown))
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
impl Machine {
    /// One that is nowhere.
    pub(crate) fn fixture() -> Self {
        Self {
            cpu: "Abacus 9".into(),
            cores: 2,
            caches: "L1d 32K, L2 1024K".into(),
            memory: "24 GiB".into(),
            kernel: "linux 6.1.0".into(),
            rustc: "rustc 1.95.0".into(),
            profile: "bench: lto = \"thin\"".into(),
            date: "2026-11-28 21:00 UTC".into(),
            commit: "0123456789ab".into(),
            dirty: false,
            load: "0.26 0.70 1.25".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_understood() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Abacus: 9\n\nmodel name\t: other\n";
        assert_eq!(cpu(cpuinfo), "Abacus: 9");
        assert_eq!(cpu(""), std::env::consts::ARCH);
        assert_eq!(
            memory("MemTotal:       24684084 kB\nMemFree: 1 kB"),
            "24 GiB"
        );
        assert_eq!(memory("?"), "unknown");
        assert_eq!(load("2.90 2.07 1.64 5/116 32385\n"), "2.90 2.07 1.64");
    }

    #[test]
    fn the_version_of_a_kernel_is_told_without_who_built_it() {
        let told = kernel("6.18.44-of-some-host\n");
        assert!(told.ends_with(" 6.18.44"), "{told}");
    }

    #[test]
    fn the_profile_is_read_from_the_manifest() {
        let manifest = "[profile.bench]\nlto = \"thin\"\ncodegen-units = 4\n";
        assert_eq!(
            profile(manifest),
            "bench: codegen-units = 4, lto = \"thin\""
        );
        assert_eq!(profile(""), "bench: unknown");
    }

    #[test]
    fn caches_are_listed_from_the_nearest() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(caches(folder.path()), "unknown");
        for (index, [level, kind, size]) in [["1", "Data", "32K"], ["2", "Unified", "1024K"]]
            .iter()
            .enumerate()
        {
            let folder = folder.path().join(format!("index{index}"));
            fs::create_dir(&folder).unwrap();
            for (name, text) in [("level", level), ("type", kind), ("size", size)] {
                fs::write(folder.join(name), format!("{text}\n")).unwrap();
            }
        }
        assert_eq!(caches(folder.path()), "L1d 32K, L2 1024K");
    }

    #[test]
    fn changes_that_are_in_no_commit_are_told() {
        let machine = Machine {
            dirty: true,
            ..Machine::fixture()
        };
        let lines = machine.lines();
        assert!(
            lines
                .iter()
                .any(|(_, value)| value.starts_with("0123456789ab, with"))
        );
        let text = format!("{lines:?}");
        assert!(!text.contains("/"), "{text}");
    }
}
