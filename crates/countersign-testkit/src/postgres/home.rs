//! The directory of a cluster, and the guard that clears it away.
//!
//! The guard is a shell that reads from a pipe which nobody writes to. When the pipe is closed,
//! because the cluster was dropped or because the test process is gone, it ends what still runs
//! in the directory and removes it. So there is one way to end, whatever it was that ended.

use super::failure::{Failure, Outcome};
use super::tools::User;
use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const GUARD: &str = include_str!("guard.sh");
const PREFIX: &str = "cspg-";
/// How long the path above may be: that of a socket in the directory has at most 107 bytes.
const LONGEST: usize = 70;
/// Where a directory is made that would be out of the ordinary user's reach elsewhere.
const OPEN_TO_ALL: &str = "/tmp";

/// A directory that everything of a cluster is in.
#[derive(Debug)]
pub(super) struct Home {
    guard: Child,
    path: PathBuf,
}

impl Home {
    /// Makes one that belongs to the user whom servers run as.
    pub(super) fn make(user: Option<&User>) -> Outcome<Self> {
        let make = || {
            let directory = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempdir_in(above(user.is_some()))?;
            if let Some(User { uid, gid }) = user {
                chown(directory.path(), Some(*uid), Some(*gid))?;
            }
            // As the system names it, by which the guard knows what runs in it.
            let path = fs::canonicalize(directory.path())?;
            let guard = Command::new("sh")
                .args(["-c", GUARD, "guard"])
                .arg(&path)
                .current_dir("/")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                // What is sent to the test's group, from a terminal say, is not for the guard.
                .process_group(0)
                .spawn()?;
            // From here on it is the guard that removes it.
            let _ = directory.keep();
            Ok(Self { guard, path })
        };
        make().map_err(Failure::of::<io::Error>("a directory for servers"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Lets go of the pipe, and waits until the guard has ended everything; it is not waited for
        // while it removes files.
        drop(self.guard.stdin.take());
        if let Some(mut stdout) = self.guard.stdout.take() {
            let _ = io::copy(&mut stdout, &mut io::sink());
        }
    }
}

/// The directory for temporary files, or another one that everybody can enter.
fn above(of_another_user: bool) -> PathBuf {
    let usual = env::temp_dir();
    let enters = |directory: &Path| {
        let mode = fs::metadata(directory).map(|metadata| metadata.permissions().mode());
        mode.is_ok_and(|mode| mode & 0o001 != 0)
    };
    let in_reach = !of_another_user || usual.ancestors().all(enters);
    if in_reach && usual.as_os_str().len() <= LONGEST {
        return usual;
    }
    PathBuf::from(OPEN_TO_ALL)
}
