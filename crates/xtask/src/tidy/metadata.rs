//! What cargo itself says of a workspace: packages, the roots of their targets, dependencies.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::process::{Failure, Result, cargo, output};

/// The part of `cargo metadata` that this program reads.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) target_directory: PathBuf,
    packages: Vec<RawPackage>,
}

#[derive(Debug, Deserialize)]
struct RawPackage {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<RawTarget>,
    dependencies: Vec<Dependency>,
    /// The registries that it may go to; all where there is no list.
    publish: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct RawTarget {
    src_path: PathBuf,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// `dev`, `build`, or nothing for a normal one.
    pub(super) kind: Option<String>,
    /// Where it is, for a dependency within the checkout.
    pub(super) path: Option<PathBuf>,
}

/// A package of the checkout, its paths relative to the root.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) manifest: String,
    /// The file in which each target begins.
    pub(super) roots: Vec<String>,
    pub(super) dependencies: Vec<Dependency>,
    pub(super) published: bool,
}

impl Metadata {
    pub(crate) fn load(manifest: &Path) -> Result<Self> {
        let mut command = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
        command.arg("--manifest-path").arg(manifest);
        serde_json::from_str(&output(command)?)
            .map_err(|error| Failure::new(format!("cargo metadata: {error}")))
    }

    pub(super) fn packages_below(self, root: &Path) -> Vec<Package> {
        let package = |raw: RawPackage| Package {
            name: raw.name,
            manifest: relative(&raw.manifest_path, root),
            roots: raw
                .targets
                .iter()
                .map(|target| relative(&target.src_path, root))
                .collect(),
            dependencies: raw.dependencies,
            published: raw.publish.is_none_or(|registries| !registries.is_empty()),
        };
        self.packages.into_iter().map(package).collect()
    }
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}
