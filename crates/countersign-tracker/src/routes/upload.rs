//! A form with files, taken in as it comes: no file is ever held in memory as a whole.

use crate::app::App;
use crate::board::{Attachment, Kind, TEXT_MAX};
use crate::error::TrackerError;
use crate::trouble::Trouble;
use countersign_axum::{CheckedMultipart, FilePart, Part};
use std::path::PathBuf;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt as _;

/// The longest form, in bytes.
pub(super) const FORM_MAX: usize = 12 * 1024 * 1024;
/// The longest file, in bytes.
const FILE_MAX: u64 = 10 * MIB;
const MIB: u64 = 1024 * 1024;
/// How many files a form may have.
const FILES_MAX: usize = 10;
/// How many texts a form may have.
const TEXTS_MAX: usize = 20;

/// What came: texts, and files that are in the folder already. They go with it, unless they are
/// kept: whoever hangs up leaves none behind.
pub(super) struct Upload {
    dir: PathBuf,
    texts: Vec<(String, String)>,
    files: Vec<Attachment>,
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
        let broken = |error: std::io::Error| Trouble::from(TrackerError::file(&path, &error));
        let mut new = OpenOptions::new();
        let opened = new.write(true).create_new(true).open(&path);
        let mut kept = opened.await.map_err(broken)?;
        // From here on it is known, and goes with the rest.
        self.files.push(Attachment {
            id,
            name: shown_name(file.file_name()),
            kind: Kind::Other,
            bytes: 0,
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
        if let Some(attachment) = self.files.last_mut() {
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
        self.files.clone()
    }

    /// Leaves the files where they are.
    pub(super) fn keep(mut self) {
        self.files.clear();
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        for attachment in &self.files {
            // A handful of names; nothing that is dropped can wait for another thread.
            let _ = std::fs::remove_file(self.dir.join(&attachment.id));
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
