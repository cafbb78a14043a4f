//! Why the store cannot do what was asked, in sentences for operators.

use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;

/// SQLite's primary result codes (sqlite.org/rescode.html).
const READ_ONLY: i64 = 8;
const BUSY: i64 = 5;
const LOCKED: i64 = 6;
const CORRUPT: i64 = 11;
const FULL: i64 = 13;
const NO_DATABASE: i64 = 26;

/// Why the store cannot do what was asked. It is the operator's or the machine's fault, never a peer's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The data folder is not there.
    #[error("the data folder {} does not exist; create it, and give it to the user that the server runs as", folder.display())]
    FolderMissing {
        /// The folder.
        folder: PathBuf,
    },
    /// It is a file.
    #[error("{} is not a folder; expected the folder in which the server keeps its data", path.display())]
    NoFolder {
        /// What was found.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("the data folder {} cannot be used ({source}); the user that the server runs as must be able to write to it", folder.display())]
    FolderUnusable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody else has it open.
    #[error("{} is in use by another server; give each server a data folder of its own", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// No room.
    #[error("the disk that holds {} is full; make room on it", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// It may not be written.
    #[error("{} cannot be written; the user that the server runs as must be able to", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// What is there is not ours.
    #[error("{} is damaged, or is no database; move it away to begin with an empty one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a later version.
    #[error("{} was written by another version of the server ({reason}); run that one, or give this one a data folder of its own", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// All else.
    #[error("{} cannot be read or written: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
}

/// The sentence for what SQLite said.
pub(crate) fn told(path: &Path, source: sqlx::Error) -> StoreError {
    let path = path.to_owned();
    let code = source.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i64>().ok());
    // Extended codes carry the primary one in their low byte.
    match code.map(|code| code & 0xff) {
        Some(BUSY | LOCKED) => StoreError::InUse { path },
        Some(FULL) => StoreError::DiskFull { path },
        Some(READ_ONLY) => StoreError::ReadOnly { path },
        Some(CORRUPT | NO_DATABASE) => StoreError::Damaged { path },
        _ => StoreError::Database { path, source },
    }
}

/// The sentence for a file that cannot be brought to this version's shape.
pub(crate) fn migration(path: &Path, error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => told(path, source),
        other => StoreError::OtherVersion { path: path.to_owned(), reason: other.to_string() },
    }
}
