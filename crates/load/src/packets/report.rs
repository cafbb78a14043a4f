//! What is said at the end.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use super::{
    PacketsArgs, Server,
    count::Count,
    histogram::Histogram,
    own::Used,
    publisher,
    viewer::{Seen, Totals},
};

/// A thread that is busier than this was perhaps the bottleneck.
const BUSY_MAX: f64 = 0.85;
/// A thread that waited for a processor for a greater share of the time says more of the machine than of the server.
const WAITING_MAX: f64 = 0.25;
/// Pictures may be sent so much later than they were due, in 99 of 100 cases.
const LATENESS_US_MAX: u64 = 10_000;
/// Of further faults only the number is said.
const FAULTS_MAX: usize = 10;

/// What was seen and used.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) seen: Vec<Seen>,
    pub(crate) delays: [Histogram; 2],
    /// Of each thread of viewers.
    pub(crate) used: Vec<(Duration, Used)>,
    pub(crate) publishers: publisher::Totals,
    /// Before viewers came, when all had come, at the beginning and at the end of the window.
    pub(crate) servers: Option<[Server; 4]>,
    /// When all had left.
    pub(crate) after: Option<Server>,
    pub(crate) window: Duration,
    pub(crate) arriving: Duration,
    /// The server's memory, by seconds of the window.
    pub(crate) memory: Vec<(f64, u64)>,
    /// Datagrams that the kernel dropped at our sockets.
    pub(crate) dropped: u64,
    pub(crate) faults: Vec<String>,
}

/// Sums over viewers and both kinds.
#[derive(Default)]
struct Sums {
    expected: u64,
    received: u64,
    missing: u64,
    /// Pictures, then sounds: these are not repaired by every server.
    missing_of: [u64; 2],
    late: u64,
    doubled: u64,
    ancient: u64,
    strange: u64,
    of_lower: u64,
    without_gap: u64,
}

impl Report {
    /// Takes what a thread of viewers has seen.
    pub(crate) fn viewers(&mut self, totals: Totals) {
        self.seen.extend(totals.seen);
        self.delays.iter_mut().zip(&totals.delays).for_each(|(own, other)| own.merge(other));
        self.used.extend(totals.used);
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for seen in &self.seen {
            let sent = self.publishers.in_window.iter().find(|(stream, _)| *stream == seen.stream);
            let sent = sent.map_or([0; 2], |(_, sent)| *sent);
            let mut missing = 0;
            for (kind, ((count, sent), missing_of)) in
                seen.counts.iter().zip(sent).zip(&mut sums.missing_of).enumerate()
            {
                // Whoever was there for a part of it is asked only for what lies between its first packet and its last.
                let partial = seen.is_partial(kind);
                let absent = if partial { count.missing() } else { sent.saturating_sub(count.in_window) };
                *missing_of += absent;
                missing += absent;
                sums.expected += if partial { count.in_window + absent } else { sent };
                sums.received += count.in_window;
                (sums.late, sums.doubled) = (sums.late + count.late, sums.doubled + count.doubled);
                sums.ancient += count.ancient;
            }
            sums.missing += missing;
            sums.strange += seen.strange;
            sums.of_lower += seen.of_lower;
            sums.without_gap += u64::from(missing == 0);
        }
        sums
    }

    /// Why this says nothing about the server.
    pub(crate) fn refusals(&self, args: &PacketsArgs) -> Vec<String> {
        let mut why = Vec::new();
        let threads = self.used.iter().map(|used| ("a thread of viewers", used));
        for (name, (length, used)) in
            threads.chain(self.publishers.used.iter().map(|used| ("the publishers' thread", used)))
        {
            let share = |part: Duration| part.as_secs_f64() / length.as_secs_f64().max(1e-9);
            if share(used.busy) > BUSY_MAX {
                why.push(format!(
                    "{name} was busy for {:.0} % of the window; give more --threads",
                    100.0 * share(used.busy)
                ));
            }
            if share(used.waiting) > WAITING_MAX {
                why.push(format!(
                    "{name} waited for a processor for {:.0} % of the window",
                    100.0 * share(used.waiting)
                ));
            }
        }
        if self.dropped > 0 {
            why.push(format!("the kernel dropped {} datagrams at our own sockets", self.dropped));
        }
        if let Some(late) = self.publishers.lateness.permille(990).filter(|late| *late > LATENESS_US_MAX) {
            why.push(format!("one picture of a hundred was sent {} ms late or more", late / 1_000));
        }
        if (self.seen.len() as u64) < args.viewers {
            why.push(format!("only {} of {} viewers came in", self.seen.len(), args.viewers));
        }
        why
    }

    /// Whether every packet came to everybody, and it may be said.
    pub(crate) fn is_good(&self, args: &PacketsArgs) -> bool {
        let sums = self.sums();
        sums.missing == 0
            && sums.strange == 0
            && sums.received > 0
            && self.faults.is_empty()
            && self.refusals(args).is_empty()
    }

    /// For programs.
    pub(crate) fn json(&self, args: &PacketsArgs) -> Value {
        let sums = self.sums();
        let seconds = self.window.as_secs_f64().max(1e-9);
        let joined = |pick: &dyn Fn(&Seen) -> Option<u64>| {
            let mut times = Histogram::default();
            self.seen.iter().filter_map(pick).for_each(|time| times.add(time));
            times_ms(&times)
        };
        let sum = |pick: &dyn Fn(&Seen) -> u64| self.seen.iter().map(pick).sum::<u64>();
        let bytes = sum(&|seen| seen.bytes);
        let in_all = self.seen.iter().flat_map(|seen| &seen.counts).map(Count::distinct).sum::<u64>();
        json!({
            "publishers": args.publishers,
            "viewers": args.viewers,
            "seconds": seconds,
            "bitrateBps": args.bitrate,
            "paceMs": args.pace_ms,
            "packets": {
                "expected": sums.expected,
                "received": sums.received,
                "perSecond": sums.received as f64 / seconds,
                "missing": sums.missing,
                "missingVideo": sums.missing_of[0],
                "missingAudio": sums.missing_of[1],
                "outOfOrder": sums.late,
                "doubled": sums.doubled,
                "tooLateToTell": sums.ancient,
                "strange": sums.strange,
                "lowerLayers": sums.of_lower,
                "repaired": sum(&|seen| seen.repaired),
                "nacked": sum(&|seen| seen.nacked),
                "datagramsRefused": sum(&|seen| seen.refused),
                "beforeKeys": sum(&|seen| seen.early),
                "flightsRepeated": sum(&|seen| seen.flights_repeated),
                "viewersWithoutGap": sums.without_gap,
                "receivedInAll": in_all,
                "payloadBytesInAll": bytes,
            },
            "delayMs": { "video": times_ms(&self.delays[0]), "audio": times_ms(&self.delays[1]) },
            "joinMs": {
                "answer": joined(&|seen| Some(seen.joined.answer)),
                "ice": joined(&|seen| seen.joined.reached),
                "connected": joined(&|seen| seen.joined.connected),
                "firstPacket": joined(&|seen| seen.joined.first_packet),
                "firstKeyFrame": joined(&|seen| seen.joined.first_key),
            },
            "arrivedWithinS": self.arriving.as_secs_f64(),
            "joinsPerSecond": self.seen.len() as f64 / self.arriving.as_secs_f64().max(1e-9),
            "server": self.server(args, &sums),
            "own": {
                "viewerThreadsBusy": self.used.iter().map(share_busy).collect::<Vec<_>>(),
                "viewerThreadsWaiting": self.used.iter().map(share_waiting).collect::<Vec<_>>(),
                "publishersBusy": self.publishers.used.as_ref().map(share_busy),
                "picturesLateMs": times_ms(&self.publishers.lateness),
                "dropped": self.dropped,
                "keyFramesAsked": self.publishers.key_frames_asked,
            },
            "faults": self.faults.iter().take(FAULTS_MAX).collect::<Vec<_>>(),
            "faultsInAll": self.faults.len(),
            "refused": self.refusals(args),
            "good": self.is_good(args),
        })
    }

    fn server(&self, args: &PacketsArgs, sums: &Sums) -> Value {
        let Some([before, joined, first, last]) = self.servers else { return Value::Null };
        let viewers = self.seen.len().max(1) as f64;
        let cpu_s = last.cpu_s - first.cpu_s;
        let arrival_s = joined.cpu_s - before.cpu_s;
        json!({
            "cpuS": cpu_s,
            "cpuShare": cpu_s / self.window.as_secs_f64().max(1e-9),
            "packetsPerCpuS": (cpu_s > 0.0).then(|| sums.received as f64 / cpu_s),
            "arrivalCpuS": arrival_s,
            "cpuMsPerJoinForwardingIncluded": arrival_s * 1_000.0 / viewers,
            "joinsPerCpuS": (arrival_s > 0.0).then(|| viewers / arrival_s),
            "memoryBefore": before.memory,
            "memoryWith": last.memory,
            "memoryAfter": self.after.map(|after| after.memory),
            "memoryInWindow": args.churn_per_second.map(|_| &self.memory),
            "memoryPerViewer": last.memory.saturating_sub(before.memory) as f64 / viewers,
        })
    }

    /// For people.
    pub(crate) fn text(&self, args: &PacketsArgs) -> String {
        let mut out = String::new();
        write(&mut out, "", &self.json(args));
        out
    }
}

fn write(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                write(out, &name, value);
            }
        }
        Value::Number(number) if number.is_f64() => {
            _ = writeln!(out, "{name:>40}  {:.3}", number.as_f64().unwrap_or_default());
        }
        _ => _ = writeln!(out, "{name:>40}  {value}"),
    }
}

fn share_busy((length, used): &(Duration, Used)) -> f64 {
    used.busy.as_secs_f64() / length.as_secs_f64().max(1e-9)
}

fn share_waiting((length, used): &(Duration, Used)) -> f64 {
    used.waiting.as_secs_f64() / length.as_secs_f64().max(1e-9)
}

fn times_ms(times: &Histogram) -> Value {
    let ms = |us: Option<u64>| us.map(|us| us as f64 / 1_000.0);
    json!({
        "p50": ms(times.permille(500)),
        "p95": ms(times.permille(950)),
        "p99": ms(times.permille(990)),
        "p999": ms(times.permille(999)),
        "most": ms(times.most()),
        "count": times.count(),
    })
}
