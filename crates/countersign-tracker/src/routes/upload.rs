//! A form with files, taken in as it comes: no file is ever held in memory as a whole.

use crate::app::App;
use crate::board::{Attachment, Kind, TEXT_MAX};
use crate::error::TrackerError;
use crate::trouble::Trouble;
use countersign_axum::{CheckedMultipart, FilePart, Part};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Handle;

/// The longest form, in bytes.
pub(super) const FORM_MAX: usize = 12 * 1024 * 1024;
/// The longest file, in bytes.
const FILE_MAX: u64 = 10 * MIB;
const MIB: u64 = 1024 * 1024;
/// How many files a form may have.
const FILES_MAX: usize = 10;
/// How many texts a form may have.
const TEXTS_MAX: usize = 20;

/// What came: texts, and files that are in the folder already.
pub(super) struct Upload {
    dir: PathBuf,
    texts: Vec<(String, String)>,
    files: Vec<Received>,
}

/// A file that has come, or is coming.
struct Received {
    attachment: Attachment,
    file: Fleeting,
}

/// A file that goes with this, unless it is kept: whoever hangs up leaves none behind, wherever the
/// one who waits for it has got to.
struct Fleeting(Option<PathBuf>);

impl Fleeting {
    fn create(path: PathBuf) -> io::Result<(std::fs::File, Self)> {
        let mut new = std::fs::OpenOptions::new();
        let file = new.write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((file, Self(Some(path))))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Fleeting {
    fn drop(&mut self) {
        let Some(path) = self.0.take() else {
            return;
        };
        let remove = move || {
            let _ = std::fs::remove_file(path);
        };
        // Not on a thread of the runtime, which has others to answer.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

impl Upload {
    /// Takes the whole form in.
    pub(super) async fn receive(app: &App, form: CheckedMultipart) -> Result<Self, Trouble> {
        let mut upload = Self {
            dir: app.attachments.clone(),
            texts: Vec::new(),
            files: Vec::new(),
        };
        upload.take(app, form).await?;
        Ok(upload)
    }

    async fn take(&mut self, app: &App, mut form: CheckedMultipart) -> Result<(), Trouble> {
        while let Some(part) = form.next().await? {
            match part {
                Part::Text { name, text } => {
                    if self.texts.len() >= TEXTS_MAX || text.len() > TEXT_MAX {
                        return Err(Trouble::rule("the form has too many or too long fields"));
                    }
                    self.texts.push((name, text));
                }
                // What a browser sends for a field in which nothing was picked.
                Part::File(file) if file.file_name().is_empty() => {}
                Part::File(file) => self.save(app, file).await?,
            }
        }
        Ok(())
    }

    async fn save(&mut self, app: &App, mut file: FilePart<'_>) -> Result<(), Trouble> {
        if self.files.len() >= FILES_MAX {
            let rule = format!("a form has at most {FILES_MAX} files");
            return Err(Trouble::rule(rule));
        }
        let id = app.random_name()?;
        let path = self.dir.join(&id);
        let broken = |error: io::Error| Trouble::from(TrackerError::file(&path, &error));
        let create = tokio::task::spawn_blocking({
            let path = path.clone();
            move || Fleeting::create(path)
        });
        let created = create
            .await
            .map_err(|error| TrackerError::stopped(&error))?;
        let (created, fleeting) = created.map_err(broken)?;
        let mut kept = File::from_std(created);
        self.files.push(Received {
            attachment: Attachment {
                id,
                name: shown_name(file.file_name()),
                kind: Kind::Other,
                bytes: 0,
            },
            file: fleeting,
        });
        let (mut bytes, mut head) = (0_u64, Vec::new());
        while let Some(chunk) = file.chunk().await? {
            bytes = bytes.saturating_add(chunk.len() as u64);
            if bytes > FILE_MAX {
                let rule = format!("a file has at most {} MiB", FILE_MAX / MIB);
                return Err(Trouble::rule(rule));
            }
            head.extend(chunk.iter().take(16_usize.saturating_sub(head.len())));
            kept.write_all(&chunk).await.map_err(broken)?;
        }
        kept.sync_all().await.map_err(broken)?;
        if let Some(Received { attachment, .. }) = self.files.last_mut() {
            attachment.kind = Kind::of(&head);
            attachment.bytes = bytes;
        }
        Ok(())
    }

    /// The first text of a field.
    pub(super) fn text(&self, name: &str) -> String {
        let found = self.texts.iter().find(|(own, _)| own == name);
        found.map(|(_, text)| text.clone()).unwrap_or_default()
    }

    pub(super) fn attachments(&self) -> Vec<Attachment> {
        let files = self.files.iter();
        files.map(|file| file.attachment.clone()).collect()
    }

    /// Leaves the files where they are.
    pub(super) fn keep(self) {
        for received in self.files {
            received.file.keep();
        }
    }
}

/// What a file is called, for people: no path, no control characters, not too long.
fn shown_name(sent: &str) -> String {
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).take(100).collect();
    match name.trim() {
        "" => "file".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::shown_name;

    #[test]
    fn a_name_is_no_path() {
        for (sent, shown) in [
            ("a.png", "a.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\fakepath\\b.png", "b.png"),
            ("\r\nSet-Cookie: x", "Set-Cookie: x"),
            ("..", ".."),
            ("/", "file"),
        ] {
            assert_eq!(shown_name(sent), shown, "{sent:?}");
        }
    }
}
