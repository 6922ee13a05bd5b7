//! The outbox: a folder of mails that wait for whoever sends them, so many for each reader.
//!
//! It sends none. What does takes whole files that end in `.eml` out of the folder.

use crate::error::TrackerError;
use countersign::{Principal, Timestamp};
use parking_lot::Mutex;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

/// How many mails to one reader may wait.
const WAITING_MAX: usize = 100;

/// The folder.
#[derive(Debug)]
pub(crate) struct Outbox {
    dir: PathBuf,
    /// Held from the count to the end of writing, so that no two take the last place.
    putting: Mutex<()>,
}

impl Outbox {
    pub(crate) fn new(dir: PathBuf) -> Arc<Self> {
        let putting = Mutex::new(());
        Arc::new(Self { dir, putting })
    }

    /// Puts a mail in, under a name that `unique` makes one of its own.
    pub(crate) async fn put(
        self: &Arc<Self>,
        reader: &Principal,
        at: Timestamp,
        unique: &str,
        text: String,
    ) -> Result<(), TrackerError> {
        let me = Arc::clone(self);
        let reader = reader.to_string();
        let name = format!("{}-{reader}-{unique}.eml", at.as_millis());
        let work = tokio::task::spawn_blocking(move || {
            let _putting = me.putting.lock();
            let broken = |error: io::Error| TrackerError::file(&me.dir.join(&name), &error);
            if me.waiting_for(&reader).map_err(broken)? >= WAITING_MAX {
                let rule = format!("{WAITING_MAX} mails to you have not gone out yet");
                return Err(TrackerError::Rule(rule));
            }
            me.write(&name, &text).map_err(broken)
        });
        work.await.map_err(|error| TrackerError::stopped(&error))?
    }

    fn waiting_for(&self, reader: &str) -> io::Result<usize> {
        let mut count = 0_usize;
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            if name.to_str().and_then(reader_of) == Some(reader) {
                count = count.saturating_add(1);
            }
        }
        Ok(count)
    }

    /// Written beside its place first, so that nobody sends half a mail.
    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let beside = self.dir.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            // The links in it open images without a session.
            .mode(0o600)
            .open(&beside)?;
        let written = file.write_all(text.as_bytes());
        let kept = written.and_then(|()| file.sync_all());
        let placed = kept.and_then(|()| fs::rename(&beside, self.dir.join(name)));
        placed.inspect_err(|_| drop(fs::remove_file(&beside)))
    }
}

/// Whose mail a file is: there may be a hyphen in a reader's name, and in nothing else.
fn reader_of(name: &str) -> Option<&str> {
    let (_, rest) = name.split_once('-')?;
    Some(rest.rsplit_once('-')?.0)
}

#[cfg(test)]
mod tests {
    use super::reader_of;

    #[test]
    fn a_mail_is_counted_for_its_reader_alone() {
        for (name, reader) in [
            ("1795341600000-ann-0a1b.eml", Some("ann")),
            ("1795341600000-ann-lee-0a1b.eml", Some("ann-lee")),
            ("1795341600000----0a1b.eml.new", Some("--")),
            ("1795341600000-7.eml", None),
            ("note.txt", None),
        ] {
            assert_eq!(reader_of(name), reader, "{name}");
        }
    }
}
