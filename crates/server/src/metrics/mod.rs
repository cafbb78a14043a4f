//! `/metrics`: what the server counts and is, in the text format of Prometheus.

mod family;
mod sockets;
#[cfg(test)]
mod tests;
mod text;

pub use family::{COUNTERS, Counter, Family};

use family::{MEDIA, MEDIA_DROPS, gauges};
use sfu::ShardStats;
use text::Text;

use crate::{
    app::App,
    door::{Door, VIEWERS},
    media::Stats,
    session::Action,
};

/// Everything, as it is now.
pub fn write(app: &App) -> String {
    let mut text = Text::default();
    text.family(&gauges::BUILD, [(vec![env!("CARGO_PKG_VERSION")], 1)]);
    text.one(&gauges::UPTIME, app.begun.elapsed().as_secs());
    text.one(&gauges::DRAINING, u8::from(app.hub.is_draining()));
    process(&mut text);
    let stats = app.media.stats();
    people(&mut text, app, &stats);
    for counter in COUNTERS {
        counted(&mut text, counter, &app.counters.of(counter));
    }
    media(&mut text, &shards(&stats));
    let sockets: Vec<_> = stats.iter().map(|(shard, stats)| (shard.as_str(), &stats.sockets)).collect();
    sockets::write(&mut text, &sockets);
    text.finish()
}

fn shards(stats: &Stats) -> Vec<(&str, &ShardStats)> {
    stats.iter().map(|(shard, stats)| (shard.as_str(), &stats.shard)).collect()
}

fn people(text: &mut Text, app: &App, stats: &Stats) {
    let streams = app.hub.list();
    text.one(&gauges::STREAMS, streams.len());
    let viewers = |name: &&'static str| streams.iter().map(|stream| stream.viewers(name)).sum::<usize>();
    text.family(&gauges::VIEWERS, VIEWERS.iter().map(|name| (vec![*name], viewers(name))));
    let sessions = app.sessions.list();
    let actions = [Action::Publish, Action::Play];
    let of = |door, action| sessions.iter().filter(|known| known.door == door && known.action == action).count();
    let pairs = Door::ALL.into_iter().flat_map(|door| actions.map(|action| (door, action)));
    let pairs: Vec<_> = pairs.filter(|(door, action)| has(*door, *action)).collect();
    let named = pairs.iter().map(|(door, action)| (vec![door.name(), action.name()], of(*door, *action)));
    text.family(&gauges::SESSIONS, named);
    let direction = |action| if action == Action::Publish { "in" } else { "out" };
    let by_door = pairs.iter().filter(|(door, _)| !door.is_webrtc());
    let by_door =
        by_door.map(|(door, action)| (vec![door.name(), direction(*action)], app.sessions.bytes(*door, *action)));
    let sum = |bytes: fn(&ShardStats) -> u64| stats.iter().map(|(_, stats)| bytes(&stats.shard)).sum();
    let webrtc = [("in", sum(|stats| stats.bytes_in)), ("out", sum(|stats| stats.bytes_out))];
    let webrtc = webrtc.into_iter().map(|(direction, bytes)| (vec!["webrtc", direction], bytes));
    text.family(&gauges::BYTES, by_door.chain(webrtc));
}

/// Whether there may be sessions of that kind at a door. The demo is none.
fn has(door: Door, action: Action) -> bool {
    match door {
        Door::Demo => false,
        Door::Flv | Door::Hls => action == Action::Play,
        Door::Rtmp | Door::Whip | Door::Artc | Door::Trtc | Door::Srs => true,
    }
}

/// The samples of one counter. Without a label, there is always one.
fn counted(text: &mut Text, counter: &Counter, counts: &[(&'static str, u64)]) {
    if counter.family.labels.is_empty() {
        return text.one(&counter.family, counts.iter().map(|(_, count)| count).sum::<u64>());
    }
    let values = |value| counter.fixed.iter().copied().chain([value]).collect();
    text.family(&counter.family, counts.iter().map(|(value, count)| (values(*value), *count)));
}

/// What media threads count.
fn media(text: &mut Text, stats: &[(&str, &ShardStats)]) {
    let of =
        |stats: &ShardStats, series| stats.series().find(|(name, _)| *name == series).map_or(0, |(_, value)| value);
    for (series, family) in MEDIA {
        text.family(family, stats.iter().map(|(shard, stats)| (vec![*shard], of(stats, *series))));
    }
    let (prefix, family) = MEDIA_DROPS;
    for (shard, stats) in stats {
        let drops =
            stats.series().filter_map(|(name, count)| Some((name.strip_prefix(prefix)?.replace('_', "-"), count)));
        let drops: Vec<_> = drops.collect();
        text.family(&family, drops.iter().map(|(reason, count)| (vec![*shard, reason.as_str()], *count)));
    }
}

/// What the operating system says of the process; nothing where it cannot be asked.
#[cfg(target_os = "linux")]
fn process(text: &mut Text) {
    let Ok(own) = procfs::process::Process::myself() else { return };
    if let Ok(stat) = own.stat() {
        let seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second().max(1) as f64;
        text.one(&gauges::MEMORY, stat.rss.saturating_mul(procfs::page_size()));
        text.one(&gauges::CPU, seconds);
        text.one(&gauges::THREADS, stat.num_threads);
    }
    if let Ok(count) = own.fd_count() {
        text.one(&gauges::FILES, count);
    }
}

#[cfg(not(target_os = "linux"))]
fn process(_: &mut Text) {}

/// The page of all series, for `docs/metrics.md`.
#[cfg(test)]
fn page() -> String {
    use std::fmt::Write as _;
    let mut out = PAGE_HEAD.to_owned();
    for family in all() {
        let labels = family.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "| `{}` | {} | {labels} | {} |", family.name, family.kind.name(), family.help);
    }
    out
}

/// Every family once.
#[cfg(test)]
fn all() -> Vec<Family> {
    let mut all: Vec<Family> = gauges::ALL.to_vec();
    all.extend(COUNTERS.iter().map(|counter| counter.family));
    all.extend(MEDIA.iter().map(|(_, family)| *family));
    all.push(MEDIA_DROPS.1);
    all.extend(sockets::SOCKETS.iter().map(|series| series.family));
    all.dedup_by_key(|family| family.name);
    all
}

#[cfg(test)]
const PAGE_HEAD: &str = "\
# Metrics

`GET /metrics` answers in the text format of Prometheus. Names, types and label keys are stable. How to reach it is in
[observability.md](observability.md). This page is generated from the program; a test holds it against it.

A counter begins at 0 with the process; one with labels is shown from the first time that it counts.

| name | type | labels | what it says |
|---|---|---|---|
";
