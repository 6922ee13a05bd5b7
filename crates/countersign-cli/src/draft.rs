//! A file that is made beside its place: it appears there whole, or not at all.

use crate::failure::Failure;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A file under another name, removed again unless it is published.
#[derive(Debug)]
pub(crate) struct Draft(PathBuf);

impl Draft {
    /// A name beside `target` for this process alone; nothing is made yet.
    pub(crate) fn beside(target: &Path, why: &str) -> Self {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{why}-{}", std::process::id()));
        Self(target.with_file_name(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the file, for its owner alone.
    pub(crate) fn create(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.0)
    }

    /// Gives the finished file its name, where nothing may be yet.
    pub(crate) fn publish(self, target: &Path) -> Result<(), Failure> {
        // Unlike a rename, a link never takes the place of what is there.
        fs::hard_link(&self.0, target)
            .and_then(|()| fs::remove_file(&self.0))
            .and_then(|()| sync_directory(target))
            .map_err(|error| Failure::file(target, &error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It is gone already where all went well.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a new name in a directory survive a crash.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn what_is_there_is_never_replaced_and_a_draft_never_left() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        let make = |text: &[u8]| {
            let draft = Draft::beside(&target, "test");
            draft.create().unwrap().write_all(text).unwrap();
            draft
        };
        drop(make(b"dropped"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        make(b"first").publish(&target).unwrap();
        assert_eq!(make(b"second").publish(&target).unwrap_err().code, "exists");
        assert_eq!(fs::read(&target).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
