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

/// A frame's time as it was sent and as it came.
#[derive(Clone, Copy, Debug)]
struct Times {
    sent_ms: u32,
    came_ms: u32,
}

impl Times {
    /// How much more time has passed since an earlier frame for those who watch than for the source.
    fn drift_ms(self, earlier: Self) -> i64 {
        let sent_ms = i64::from(self.sent_ms.wrapping_sub(earlier.sent_ms).cast_signed());
        i64::from(self.came_ms) - i64::from(earlier.came_ms) - sent_ms
    }
}

/// One track within one second of the source: across a jump the times that were sent say nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    first: Option<Times>,
    newest: Option<Times>,
}

/// Publishes seconds with this start and these jumps between them, and checks every tag that a viewer gets. Returns
/// the times of all.
fn watch(start_ms: u32, moves_ms: &[i64]) -> Vec<Times> {
    let server = Server::dev();
    let seconds = published(start_ms, moves_ms);
    let mut publisher = RtmpPublisher::connect(&server, "live/show");
    Clip::demo().headers.iter().for_each(|tag| publisher.send(&at(tag, start_ms)));
    publisher.send(&seconds[0][0]);
    let mut viewer = FlvViewer::open(&server, "live/show");
    assert!(viewer.frame().unwrap().flags.key);
    let mut all = Vec::new();
    let mut newest: [Option<Times>; 2] = [None, None];
    for (second, tags) in seconds.iter().enumerate() {
        let mut lanes = [Lane::default(), Lane::default()];
        for tag in tags.iter().skip(usize::from(second == 0)) {
            let unit = relay(&mut publisher, &mut viewer, tag);
            let times = Times { sent_ms: tag.timestamp_ms, came_ms: unit.dts_ms };
            let (own, other) = if tag.kind == TagKind::Video { (0, 1) } else { (1, 0) };
            if let Some(last) = newest[own] {
                let step_ms = i64::from(times.came_ms) - i64::from(last.came_ms);
                assert!((0..=STEP_MS).contains(&step_ms), "second {second}: {:?} moved by {step_ms} ms", tag.kind);
            }
            let first = *lanes[own].first.get_or_insert(times);
            let drift_ms = times.drift_ms(first);
            assert!(drift_ms.abs() <= APART_MS, "second {second}: {:?} does not go on evenly: {drift_ms} ms", tag.kind);
            if let Some(other) = lanes[other].newest {
                let apart_ms = times.drift_ms(other);
                assert!(apart_ms.abs() <= APART_MS, "second {second}: sound and picture are {apart_ms} ms off");
            }
            (newest[own], lanes[own].newest) = (Some(times), Some(times));
            all.push(times);
        }
    }
    all
}

#[test]
fn a_wrap_is_not_noticed() {
    let all = watch(u32::MAX - 1_500, &[0, 0, 0]);
    let drifts = all.iter().map(|times| times.drift_ms(all[0]));
    // Times are whole milliseconds on either side, of clocks that count otherwise.
    assert!(drifts.clone().all(|drift_ms| drift_ms.abs() <= 2), "{:?}", drifts.collect::<Vec<_>>());
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
