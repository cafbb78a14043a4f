//! What this process itself used and lost: a result of a load that was the bottleneck is none.

use std::{
    collections::HashSet,
    fs,
    time::{Duration, Instant},
};

use anyhow::Context as _;

/// What a thread has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// On a processor.
    pub(crate) busy: Duration,
    /// Ready to run, and waiting for one.
    pub(crate) waiting: Duration,
}

impl Used {
    /// What the calling thread has used (`/proc/thread-self/schedstat`: nanoseconds on a processor, and waiting for one).
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub(crate) fn of_this_thread() -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/thread-self/schedstat").context("the kernel counts no thread times")?;
        let mut fields = text.split_whitespace().map(|field| field.parse().unwrap_or(0));
        let mut next = || Duration::from_nanos(fields.next().unwrap_or(0));
        Ok(Self { busy: next(), waiting: next() })
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self { busy: self.busy.saturating_sub(before.busy), waiting: self.waiting.saturating_sub(before.waiting) }
    }
}

/// Watches what the calling thread uses in the window.
#[derive(Debug)]
pub(crate) struct Meter {
    before: Option<(Instant, Used)>,
    /// What it used in the window, of how long.
    pub(crate) used: Option<(Duration, Used)>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self { before: None, used: None }
    }

    /// Looks whether the window has opened or closed.
    pub(crate) fn look(&mut self, now: Instant, is_open: bool) {
        match (self.before, is_open) {
            (None, true) => self.before = Used::of_this_thread().ok().map(|used| (now, used)),
            (Some((from, before)), false) if self.used.is_none() => {
                let used = Used::of_this_thread().ok();
                self.used = used.map(|used| (now.duration_since(from), used.since(before)));
            }
            _ => {}
        }
    }
}

/// Datagrams that the kernel dropped at UDP sockets of this network namespace bound to these ports, since their buffers
/// were full (proc(5), the last column of `/proc/net/udp`).
///
/// # Errors
/// Where the kernel does not say.
pub(crate) fn dropped(ports: &HashSet<u16>) -> anyhow::Result<u64> {
    let mut dropped = 0;
    for file in ["/proc/net/udp", "/proc/net/udp6"] {
        // There is no second one where IPv6 is off.
        let Ok(text) = fs::read_to_string(file) else { continue };
        dropped += text.lines().skip(1).filter_map(|line| drops_of(line, ports)).sum::<u64>();
    }
    Ok(dropped)
}

fn drops_of(line: &str, ports: &HashSet<u16>) -> Option<u64> {
    let mut fields = line.split_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    ports.contains(&port).then_some(fields.last()?.parse().ok()?)
}

/// Most files that this process may have open (proc(5), `limits`).
pub(crate) fn files_max() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_thread_that_works_is_seen_to_work() {
        let before = Used::of_this_thread().unwrap();
        let mut sum = 0_u64;
        while Used::of_this_thread().unwrap().since(before).busy < Duration::from_millis(5) {
            sum = (0..100_000).fold(sum, |sum, it| std::hint::black_box(sum ^ it));
        }
        let mut meter = Meter::new();
        let now = Instant::now();
        [false, true, true, false].into_iter().for_each(|open| meter.look(now, open));
        assert!(meter.used.is_some());
    }

    #[test]
    fn what_a_full_socket_drops_is_counted() {
        let full = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = full.local_addr().unwrap().port();
        let ports = HashSet::from([port]);
        assert_eq!(dropped(&ports).unwrap(), 0);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sent = 2_000;
        (0..sent).for_each(|_| assert_eq!(sender.send_to(&[0; 1_200], full.local_addr().unwrap()).unwrap(), 1_200));
        full.set_nonblocking(true).unwrap();
        let came = (0..sent).take_while(|_| full.recv(&mut [0; 2_048]).is_ok()).count() as u64;
        assert_eq!(dropped(&ports).unwrap(), sent - came);
        assert!(came < sent);
    }

    #[test]
    fn the_limit_of_files_is_known() {
        assert!(files_max().unwrap() > 0);
    }
}
