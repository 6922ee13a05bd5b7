//! What the checks look at: the text files of the checkout and its packages, loaded once.

use std::fs;
use std::path::Path;

use super::metadata::{Metadata, Package};
use crate::process::{Failure, Result};

/// A text file of the checkout.
#[derive(Debug)]
pub(super) struct File {
    /// Relative to the root, with forward slashes.
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// What follows the last dot of the name; empty for a script without one.
    pub(super) fn extension(&self) -> &str {
        self.name()
            .rsplit_once('.')
            .map_or("", |(_, extension)| extension)
    }

    pub(super) fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    /// Its lines, counted from 1 as editors do.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }
}

#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) files: Vec<File>,
    pub(super) packages: Vec<Package>,
}

/// Directories that hold no text of ours: what tools wrote, and bytes that tests compare.
const SKIPPED: [&str; 6] = [
    ".git",
    "target",
    "corpus",
    "artifacts",
    "coverage",
    "fixtures",
];

const EXTENSIONS: [&str; 6] = ["rs", "toml", "md", "sh", "yml", "yaml"];

impl Tree {
    pub(super) fn load(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        collect(root, "", &mut files)?;
        files.sort_by(|one, other| one.path.cmp(&other.path));

        let mut packages = Metadata::load(&root.join("Cargo.toml"))?.packages_below(root);
        for workspace in [
            "fuzz/Cargo.toml",
            "benches/peers/Cargo.toml",
            "ct/Cargo.toml",
        ] {
            let manifest = root.join(workspace);
            if manifest.is_file() {
                packages.extend(Metadata::load(&manifest)?.packages_below(root));
            }
        }
        Ok(Self { files, packages })
    }

    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.name() == name)
    }

    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

fn collect(directory: &Path, prefix: &str, files: &mut Vec<File>) -> Result<()> {
    let unreadable = |error| Failure::new(format!("cannot read {}: {error}", directory.display()));
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}/{name}")
        };
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                collect(&entry.path(), &path, files)?;
            }
        } else if kind.is_file() && is_ours(&path) {
            let bytes = fs::read(entry.path()).map_err(unreadable)?;
            // Bytes that are not UTF-8 become a character that is not ASCII, and so are found.
            files.push(File {
                path,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            });
        }
    }
    Ok(())
}

fn is_ours(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((_, extension)) => EXTENSIONS.contains(&extension),
        None => path.starts_with(".ci/"),
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of the given files, without packages.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|&(path, text)| File {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        Self {
            files: files.collect(),
            packages: Vec::new(),
        }
    }
}
