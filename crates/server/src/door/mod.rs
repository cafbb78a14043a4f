//! The doors of the server. Each speaks one protocol: `to_stream` takes a publisher in, `from_stream` serves a viewer.

pub mod flv;
pub mod hls;
mod name;
pub mod rtmp;
pub mod webrtc;

use std::sync::Arc;

use live::{
    name::{AppName, StreamKey, StreamName},
    stream::{Cursor, Entry, Read, Start},
};

pub use name::{Door, VIEWERS};

use crate::{
    app::{App, Viewing},
    hub::LiveStream,
    refusal::Refusal,
};

/// The AppName where a URL has none.
pub const DEFAULT_APP: &str = "live";
/// Entries taken from a stream at once.
const BATCH_MAX: usize = 256;

/// Room for so many entries is kept between reads of a viewer.
const ENTRIES_KEPT: usize = 8;

/// The name of a stream from its parts in a URL.
///
/// # Errors
/// Where a part cannot be a name.
pub fn stream_key(application: u32, app: &str, stream: &str) -> Result<StreamKey, Refusal> {
    let app = if app.is_empty() { DEFAULT_APP } else { app };
    Ok(StreamKey { application, app: app.parse::<AppName>()?, stream: stream.parse::<StreamName>()? })
}

/// The reading end of an RTMP or FLV viewer: fast start, merged writes, jumps counted and bounded.
pub struct Reader {
    stream: Arc<LiveStream>,
    cursor: Cursor,
    entries: Vec<Arc<Entry>>,
    jumps: Jumps,
}

/// Why a reader has no more.
pub enum Over {
    /// The stream has ended.
    Ended(live::stream::EndReason),
    /// The viewer is too slow for the stream.
    TooSlow,
}

impl Reader {
    /// A reader from the newest key frame in the cache.
    pub fn new(stream: Arc<LiveStream>, viewing: Viewing) -> Self {
        let mut cursor = stream.cursor(Start::NewestKey);
        cursor.lag_max = Some(viewing.lag_max);
        Self { stream, cursor, entries: Vec::new(), jumps: Jumps::new(viewing.jumps_max) }
    }

    /// The next entries, at least one; merged over the class's time. Cancel safe: entries that were read and not handed
    /// out come with the next call.
    pub async fn next(&mut self, app: &App) -> Result<std::vec::Drain<'_, Arc<Entry>>, Over> {
        if self.entries.is_empty() {
            // The fast start needed much room; what follows is a frame or two at once.
            self.entries.shrink_to(ENTRIES_KEPT);
        }
        while self.entries.is_empty() {
            match self.stream.next(&mut self.cursor, BATCH_MAX, &mut self.entries).await {
                Read::Ready | Read::Pending => {}
                Read::Ended(reason) => return Err(Over::Ended(reason)),
                Read::Jumped { skipped } => self.jumped(app, skipped)?,
            }
        }
        let merge = app.viewing.merge_write;
        if !merge.is_zero() && self.entries.len() < BATCH_MAX {
            tokio::time::sleep(merge).await;
            let room = BATCH_MAX - self.entries.len();
            // Whatever else this read finds (a jump, the end) the next call finds again.
            let _ = self.stream.frames().read(&mut self.cursor, room, &mut self.entries);
        }
        Ok(self.entries.drain(..))
    }

    fn jumped(&mut self, app: &App, skipped: u64) -> Result<(), Over> {
        app.counters.add("viewer_jumps", "to-newest-key-frame");
        app.counters.add_many("viewer_frames_skipped", "slow", skipped);
        if self.jumps.too_many(std::time::Instant::now()) {
            app.counters.add("viewers_dropped", "too-slow");
            return Err(Over::TooSlow);
        }
        Ok(())
    }
}

/// Jumps of one viewer within the last minute.
struct Jumps {
    max: u32,
    since: Option<std::time::Instant>,
    count: u32,
}

impl Jumps {
    fn new(max: u32) -> Self {
        Self { max, since: None, count: 0 }
    }

    fn too_many(&mut self, now: std::time::Instant) -> bool {
        let window = std::time::Duration::from_secs(60);
        if self.since.is_none_or(|since| now.saturating_duration_since(since) > window) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count += 1;
        self.count > self.max
    }
}
