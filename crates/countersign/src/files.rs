//! What the files beside the store have in common.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a new file that only its owner may read; a link is not followed.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a change of names in a directory survive a crash.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_a_bare_name_is_the_one_that_the_process_is_in() {
        assert!(sync_directory(Path::new("state.key")).is_ok());
        let dir = tempfile::tempdir().unwrap();
        assert!(sync_directory(&dir.path().join("state.key")).is_ok());
        let fault = sync_directory(&dir.path().join("nowhere/state.key")).unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::NotFound);
    }
}
