//! Notices of webhooks from when they happen until they are delivered or given up.

use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    Store,
    error::{StoreError, told},
};

/// A notice as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What receivers tell repetitions by.
    pub id: String,
    /// The webhook, by a hash of what makes it the same one.
    pub hook: String,
    /// Notices of one lane are delivered one after the other.
    pub lane: String,
    /// The application.
    pub application: u32,
    /// What is sent, but for what is signed at each attempt.
    pub body: String,
    /// When it happened, in milliseconds since the Unix epoch.
    pub created_ms: i64,
}

/// The notices in a store.
#[derive(Clone, Copy, Debug)]
pub struct Outbox<'a>(&'a Store);

impl<'a> Outbox<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self(store)
    }

    /// Keeps notices, in this order: all of them or none.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn add(&self, notices: &[Notice]) -> Result<(), StoreError> {
        let adding = async {
            let mut transaction = self.0.pool.begin().await?;
            for notice in notices {
                sqlx::query(
                    "INSERT INTO notice (id, hook, lane, application, body, created_ms) VALUES (?, ?, ?, ?, ?, ?)",
                )
                .bind(&notice.id)
                .bind(&notice.hook)
                .bind(&notice.lane)
                .bind(notice.application)
                .bind(&notice.body)
                .bind(notice.created_ms)
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await
        };
        adding.await.map_err(|error| told(&self.0.path, error))
    }

    /// The oldest notices, in their order.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn pending(&self, count_max: u32) -> Result<Vec<Notice>, StoreError> {
        let rows = sqlx::query("SELECT id, hook, lane, application, body, created_ms FROM notice ORDER BY seq LIMIT ?")
            .bind(count_max)
            .fetch_all(&self.0.pool)
            .await;
        let notices = rows.and_then(|rows| rows.iter().map(notice).collect());
        notices.map_err(|error| told(&self.0.path, error))
    }

    /// Forgets notices; those that are not there are passed over.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn remove(&self, ids: &[String]) -> Result<(), StoreError> {
        let removing = async {
            let mut transaction = self.0.pool.begin().await?;
            for id in ids {
                sqlx::query("DELETE FROM notice WHERE id = ?").bind(id).execute(&mut *transaction).await?;
            }
            transaction.commit().await
        };
        removing.await.map_err(|error| told(&self.0.path, error))
    }

    /// Forgets what happened before a time, in milliseconds since the Unix epoch; how many that were.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn remove_older(&self, before_ms: i64) -> Result<u64, StoreError> {
        let removed =
            sqlx::query("DELETE FROM notice WHERE created_ms < ?").bind(before_ms).execute(&self.0.pool).await;
        removed.map(|done| done.rows_affected()).map_err(|error| told(&self.0.path, error))
    }
}

fn notice(row: &SqliteRow) -> Result<Notice, sqlx::Error> {
    Ok(Notice {
        id: row.try_get("id")?,
        hook: row.try_get("hook")?,
        lane: row.try_get("lane")?,
        application: row.try_get("application")?,
        body: row.try_get("body")?,
        created_ms: row.try_get("created_ms")?,
    })
}
