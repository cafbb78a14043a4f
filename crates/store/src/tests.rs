//! The store against real files.

use super::*;
use tempfile::TempDir;

fn notice(id: &str, created_ms: i64) -> Notice {
    Notice {
        id: id.into(),
        hook: "h".into(),
        lane: "live/show".into(),
        application: u32::MAX,
        body: "{\"a\":1}".into(),
        created_ms,
    }
}

async fn ids(store: &Store) -> Vec<String> {
    store.outbox().pending(100).await.unwrap().into_iter().map(|notice| notice.id).collect()
}

#[tokio::test]
async fn notices_outlast_the_process_in_their_order() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.outbox().add(&[notice("c", 3), notice("a", 1)]).await.unwrap();
    store.outbox().add(&[notice("b", 2)]).await.unwrap();
    store.outbox().remove(&["a".into(), "never was".into()]).await.unwrap();
    store.close().await;
    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(store.outbox().pending(100).await.unwrap(), [notice("c", 3), notice("b", 2)]);
    assert_eq!(store.outbox().pending(1).await.unwrap().len(), 1);
    assert_eq!(store.outbox().remove_older(3).await.unwrap(), 1);
    assert_eq!(ids(&store).await, ["c"]);
}

#[tokio::test]
async fn a_batch_is_kept_whole_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.outbox().add(&[notice("a", 1)]).await.unwrap();
    store.outbox().add(&[notice("b", 1), notice("a", 1)]).await.unwrap_err();
    assert_eq!(ids(&store).await, ["a"]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_told_in_a_sentence() {
    let folder = TempDir::new().unwrap();
    let refusal = async |path: PathBuf| Store::open(&path).await.unwrap_err().to_string();
    assert!(
        refusal(folder.path().join("none"))
            .await
            .ends_with("does not exist; create it, and give it to the user that the server runs as")
    );
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(refusal(file).await.contains("is not a folder"));
    let occupied = folder.path().join("occupied");
    std::fs::create_dir_all(occupied.join(FILE)).unwrap();
    assert!(refusal(occupied).await.contains("cannot be used"));
    let rubbish = folder.path().join("rubbish");
    std::fs::create_dir(&rubbish).unwrap();
    std::fs::write(rubbish.join(FILE), vec![7; 8192]).unwrap();
    assert!(refusal(rubbish).await.contains("is damaged, or is no database"));
}

#[tokio::test]
async fn two_servers_do_not_share_a_folder() {
    let folder = TempDir::new().unwrap();
    let first = Store::open(folder.path()).await.unwrap();
    first.outbox().add(&[notice("a", 1)]).await.unwrap();
    let refusal = Store::open(folder.path()).await.unwrap_err().to_string();
    assert!(refusal.contains("is in use by another server"), "{refusal}");
    first.outbox().add(&[notice("b", 1)]).await.unwrap();
}

#[tokio::test]
async fn a_file_of_a_later_version_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (999, 'later', 1, x'00', 0)")
        .execute(&store.pool)
        .await
        .unwrap();
    store.close().await;
    let refusal = Store::open(folder.path()).await.unwrap_err().to_string();
    assert!(refusal.contains("was written by another version"), "{refusal}");
}

#[tokio::test]
async fn the_file_is_nobody_elses_to_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.outbox().add(&[notice("a", 1)]).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_what_was_kept_stays() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.outbox().add(&[notice("a", 1)]).await.unwrap();
    // SQLite's own bound gives the same result code as a disk without room.
    sqlx::query("PRAGMA max_page_count = 1").execute(&store.pool).await.unwrap();
    let large = Notice { body: "x".repeat(1 << 20), ..notice("b", 1) };
    let refusal = store.outbox().add(&[large]).await.unwrap_err().to_string();
    assert!(refusal.contains("is full; make room on it"), "{refusal}");
    assert_eq!(ids(&store).await, ["a"]);
}
