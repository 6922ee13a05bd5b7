//! A value in a JSON file, held in memory and written whole.
//!
//! A small tracker needs no database of its own: every change writes the file anew, beside the old
//! one, and then takes its place, so that there is always a whole one.

use crate::error::TrackerError;
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A value and its file. A clone is the same one.
#[derive(Debug)]
pub(crate) struct JsonFile<T> {
    path: PathBuf,
    held: RwLock<Arc<T>>,
    /// Held while the file is written, so that changes come one after the other.
    changing: Mutex<()>,
}

impl<T> JsonFile<T>
where
    T: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Reads the file; the default where there is none.
    pub(crate) fn open(path: PathBuf) -> Result<Arc<Self>, TrackerError> {
        let value = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| TrackerError::file(&path, &error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => T::default(),
            Err(error) => return Err(TrackerError::file(&path, &error)),
        };
        Ok(Arc::new(Self {
            path,
            held: RwLock::new(Arc::new(value)),
            changing: Mutex::new(()),
        }))
    }

    /// The value as it is.
    pub(crate) fn read(&self) -> Arc<T> {
        Arc::clone(&self.held.read())
    }

    /// Changes the value and writes it; it is what it was where either fails.
    pub(crate) async fn change<R: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut T) -> Result<R, TrackerError> + Send + 'static,
    ) -> Result<R, TrackerError> {
        let me = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let _changing = me.changing.lock();
            let mut value = T::clone(&me.read());
            let answer = change(&mut value)?;
            me.write(&value)
                .map_err(|error| TrackerError::file(&me.path, &error))?;
            *me.held.write() = Arc::new(value);
            Ok(answer)
        });
        work.await.map_err(|error| TrackerError::stopped(&error))?
    }

    fn write(&self, value: &T) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(value)?;
        let beside = self.path.with_extension("json.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            // Users' hashes are nobody else's.
            .mode(0o600)
            .open(&beside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        File::open(dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trouble::Trouble;
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;

    #[tokio::test]
    async fn what_a_panic_says_is_told_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let file = JsonFile::<u64>::open(dir.path().join("a.json")).unwrap();
        let broken = file.change(|_| -> Result<(), _> { panic!("the secret is 7") });
        let response = Trouble::from(broken.await.unwrap_err()).into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 1024)
            .await
            .unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("secret"));
        // It is what it was, and can be changed.
        file.change(|value| Ok(std::mem::replace(value, 1)))
            .await
            .unwrap();
        assert_eq!(*file.read(), 1);
    }
}
