//! What must outlast the process, in one SQLite file. Here it is carried out; the rules of what is kept live elsewhere.
//!
//! Nobody on the path of media waits for the store: callers bound the time of each call, and go on without it.
#![forbid(unsafe_code)]

mod error;
mod migrations;
mod outbox;
#[cfg(test)]
mod tests;

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

pub use error::StoreError;
pub use outbox::{Notice, Outbox};

/// The file in the data folder.
pub const FILE: &str = "stentor.db";
/// Another server that holds the file does so for as long as it lives; waiting longer than this would not help.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// A call that gets no connection within this is given up.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// An open store.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
    path: PathBuf,
}

impl Store {
    /// Opens `stentor.db` in a folder, makes it where there is none, and brings it to this version's shape. The file is
    /// this server's alone for as long as it lives.
    ///
    /// # Errors
    /// Where the folder is missing, not writable or full, another server uses it, or the file is of a later version.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        match std::fs::metadata(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::FolderMissing { folder: folder.to_owned() });
            }
            Err(source) => return Err(StoreError::FolderUnusable { folder: folder.to_owned(), source }),
            Ok(found) if !found.is_dir() => return Err(StoreError::NoFolder { path: folder.to_owned() }),
            Ok(_) => {}
        }
        // Made here, since what is kept is nobody else's to read.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| StoreError::FolderUnusable { folder: folder.to_owned(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .locking_mode(SqliteLockingMode::Exclusive)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(LOCK_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|error| error::told(&path, error))?;
        migrations::run(&pool).await.map_err(|error| error::migration(&path, error))?;
        Ok(Self { pool, path })
    }

    /// Notices of webhooks that have not been delivered.
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox::new(self)
    }

    /// Finishes what was begun, and lets go of the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
