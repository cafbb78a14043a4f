//! What another process of this machine has used, from `/proc`.

use anyhow::Context as _;

/// A process by its id.
#[derive(Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

/// `USER_HZ`, which Linux shows to programs as 100 on every machine that we run on.
const TICKS_PER_S: f64 = 100.0;

impl Process {
    /// Seconds of user and system time of all its threads (proc(5), `/proc/pid/stat`).
    pub(crate) fn cpu_s(self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).context("the server's process is gone")?;
        // The name may hold spaces; what follows its bracket does not. User time is the 14th field, system time the 15th.
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split_whitespace();
        let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(ticks / TICKS_PER_S)
    }

    /// Bytes of resident memory of its own, without files (proc(5), `RssAnon`).
    pub(crate) fn memory_bytes(self) -> anyhow::Result<u64> {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.0)).context("the server's process is gone")?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon in /proc")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context("RssAnon is no number")?;
        Ok(kibibytes * 1024)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn reads_this_process() {
        let own = Process(std::process::id());
        assert!(own.memory_bytes().unwrap() > 10_000);
        assert!(own.cpu_s().unwrap() >= 0.0);
    }
}
