//! The shape of the database, one step a file. Steps that were released are never changed; a new one is added.

use std::{borrow::Cow, error::Error, pin::Pin};

use sqlx::{
    migrate::{MigrateError, Migration, MigrationSource, MigrationType, Migrator},
    sqlite::SqlitePool,
};

/// Number, name and text of each step.
const STEPS: &[(i64, &str, &str)] = &[(1, "outbox", include_str!("../migrations/0001_outbox.sql"))];

/// Brings a database to the newest shape.
pub(crate) async fn run(pool: &SqlitePool) -> Result<(), MigrateError> {
    Migrator::new(Embedded).await?.run(pool).await
}

#[derive(Debug)]
struct Embedded;

type Resolved = Result<Vec<Migration>, Box<dyn Error + Send + Sync>>;

impl MigrationSource<'static> for Embedded {
    fn resolve(self) -> Pin<Box<dyn Future<Output = Resolved> + Send>> {
        let steps = STEPS.iter().map(|(number, name, text)| {
            Migration::new(*number, Cow::Borrowed(*name), MigrationType::Simple, Cow::Borrowed(*text), false)
        });
        Box::pin(std::future::ready(Ok(steps.collect())))
    }
}
