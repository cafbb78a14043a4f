//! The stream that already plays when `stentor dev` starts: a committed clip, looped at its own pace.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use live::name::StreamKey;
use tokio::time::sleep_until;
use wire::flv::{Demuxer, Tag, TagKind};

use crate::{
    app::App,
    door::{Door, rtmp::Ingest},
};

/// H.264 baseline and AAC with a burnt-in timecode; `demo/make-clip.sh` makes it.
pub static CLIP: &[u8] = include_bytes!("../../../demo/demo.flv");

/// Publishes the clip under `key` until the stream is ended.
///
/// # Errors
/// Where the clip is damaged, or the name is taken.
pub async fn run(app: Arc<App>, key: StreamKey) -> anyhow::Result<()> {
    let tags = read()?;
    let span_ms = span_ms(&tags);
    let mut ingest = Ingest::new(app.hub.publish(key, Door::Demo, None)?, app.counters.clone());
    let begin = Instant::now();
    let mut round: u32 = 0;
    loop {
        let base_ms = round.wrapping_mul(span_ms);
        for tag in &tags {
            if round > 0 && (tag.kind == TagKind::Script || is_sequence_header(tag)) {
                continue;
            }
            let since_begin_ms = u64::from(round) * u64::from(span_ms) + u64::from(tag.timestamp_ms);
            let due = begin + Duration::from_millis(since_begin_ms);
            tokio::select! {
                () = sleep_until(due.into()) => {}
                _ = ingest.publication.stopped() => return Ok(()),
            }
            ingest
                .take(Instant::now(), tag.kind, base_ms.wrapping_add(tag.timestamp_ms), &tag.body)
                .context("the demo clip")?;
        }
        round = round.wrapping_add(1);
    }
}

fn read() -> anyhow::Result<Vec<Tag>> {
    let mut demuxer = Demuxer::default();
    demuxer.push(&Bytes::from_static(CLIP));
    let mut tags = Vec::new();
    while let Some(tag) = demuxer.poll().context("the demo clip is no FLV file")? {
        tags.push(tag);
    }
    anyhow::ensure!(!tags.is_empty(), "the demo clip is empty");
    Ok(tags)
}

/// From the first video frame to where the first of the next round comes: one frame after the last.
fn span_ms(tags: &[Tag]) -> u32 {
    let mut video: Vec<u32> = tags
        .iter()
        .filter(|tag| tag.kind == TagKind::Video && !is_sequence_header(tag))
        .map(|tag| tag.timestamp_ms)
        .collect();
    video.sort_unstable();
    video.dedup();
    let (first, last) = (video.first().copied().unwrap_or(0), video.last().copied().unwrap_or(1_000));
    let frames = u32::try_from(video.len()).unwrap_or(2).max(2) - 1;
    let step = (f64::from(last - first) / f64::from(frames)).round() as u32;
    (last + step.max(1)).saturating_sub(first)
}

/// AVC and AAC sequence headers have packet type 0 in their second byte (FLV 10.1, E.4.2.1 and E.4.3.1).
fn is_sequence_header(tag: &Tag) -> bool {
    tag.kind != TagKind::Script && tag.body.get(1) == Some(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clip_is_whole_and_loops() {
        let tags = read().unwrap();
        let span = span_ms(&tags);
        assert!((5_000..30_000).contains(&span), "{span} ms");
        assert!(CLIP.len() <= 500_000, "{} bytes", CLIP.len());
        let audio = tags.iter().filter(|tag| tag.kind == TagKind::Audio).map(|tag| tag.timestamp_ms).max().unwrap();
        assert!(audio.abs_diff(span) < 60, "sound ends at {audio} ms, the picture at {span} ms");
    }
}
