//! Timestamps that wrap, jump and pause: whoever watches notices nothing of them.

use wire::flv::{Tag, TagKind};

use crate::rig::{Clip, FlvViewer, RtmpPublisher, Server, Viewer as _, clip::at, relay};

const HOUR_MS: u32 = 3_600_000;
/// Sound and picture that were sent together may be so far apart.
const APART_MS: i64 = 100;
/// However far a source jumps, no more time than this passes for those who watch.
const STEP_MS: i64 = 3_000;

/// One second of the clip after another, each with its times moved by so much more than the one before.
fn published(start_ms: u32, moves_ms: &[i64]) -> Vec<Vec<Tag>> {
    let clip = Clip::demo();
    let mut shift = i64::from(start_ms);
    let mut seconds = Vec::new();
    for (second, move_ms) in (0u32..).zip(moves_ms) {
        shift += move_ms;
        let tags = clip.frames.iter().filter(|tag| tag.timestamp_ms / 1_000 == second);
        // The cut to 32 bits is the wrap that is meant.
        seconds.push(tags.map(|tag| at(tag, (i64::from(tag.timestamp_ms) + shift) as u32)).collect());
    }
    seconds
}

/// The newest times of one track, as they were sent and as they came.
#[derive(Clone, Copy)]
struct Newest {
    sent_ms: i64,
    came_ms: i64,
}

/// Publishes seconds with this start and these jumps between them, and checks every tag that a viewer gets.
fn watch(start_ms: u32, moves_ms: &[i64]) {
    let server = Server::dev();
    let seconds = published(start_ms, moves_ms);
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    Clip::demo().headers.iter().for_each(|tag| publisher.send(&at(tag, start_ms)));
    publisher.send(&seconds[0][0]);
    let mut viewer = FlvViewer::open(&server, "live/show");
    assert!(viewer.frame().unwrap().flags.key);
    let mut newest: [Option<Newest>; 2] = [None, None];
    for (second, tags) in seconds.iter().enumerate() {
        // Sound is compared with the picture of its own second: across a jump the times that were sent say nothing.
        let mut here: [Option<Newest>; 2] = [None, None];
        for tag in tags.iter().skip(usize::from(second == 0)) {
            let unit = relay(&mut publisher, &mut viewer, tag);
            let (own, other) = if tag.kind == TagKind::Video { (0, 1) } else { (1, 0) };
            let at = Newest { sent_ms: tag.timestamp_ms.into(), came_ms: unit.dts_ms.into() };
            if let Some(last) = newest[own] {
                let step_ms = at.came_ms - last.came_ms;
                assert!((0..=STEP_MS).contains(&step_ms), "second {second}: {:?} moved by {step_ms} ms", tag.kind);
            }
            if let Some(other) = here[other] {
                let sent_ms = i64::from((at.sent_ms as u32).wrapping_sub(other.sent_ms as u32).cast_signed());
                let apart_ms = at.came_ms - other.came_ms - sent_ms;
                assert!(apart_ms.abs() <= APART_MS, "second {second}: sound and picture are {apart_ms} ms off");
            }
            (newest[own], here[own]) = (Some(at), Some(at));
        }
    }
}

#[test]
fn a_wrap_is_not_noticed() {
    watch(u32::MAX - 1_500, &[0, 0, 0]);
}

#[test]
fn a_jump_forward_is_not_noticed() {
    watch(0, &[0, 3 * i64::from(HOUR_MS), 0]);
}

#[test]
fn a_jump_back_is_not_noticed() {
    watch(3 * HOUR_MS, &[0, -2 * i64::from(HOUR_MS), 0]);
}

#[test]
fn a_gap_of_the_clock_is_not_noticed() {
    watch(0, &[0, 20_000, 0]);
}

#[test]
fn all_of_it_in_one_stream() {
    let hour = i64::from(HOUR_MS);
    watch(u32::MAX - 500, &[0, 3 * hour, 0, -2 * hour, 20_000, -hour, 0, 3 * hour]);
}
