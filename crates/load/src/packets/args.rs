//! What `stentor-load packets` is told.

use std::{path::PathBuf, str::FromStr, time::Duration};

use anyhow::{bail, ensure};
use clap::Args;

use super::{janus::Plugin, payload::Split, publisher::Shape};

/// What `stentor-load packets` is told.
#[derive(Args, Clone)]
pub(crate) struct PacketsArgs {
    /// Where publishers go, as a WHIP URL; {n} is the publisher's number, from 0.
    #[arg(long, required_unless_present = "janus", default_value = "", hide_default_value = true)]
    pub(crate) whip: String,
    /// Where viewers go, as a WHEP URL; {n} is the publisher's number.
    #[arg(long, required_unless_present = "janus", default_value = "", hide_default_value = true)]
    pub(crate) whep: String,
    /// Instead of WHIP and WHEP: the HTTP API of a Janus, as `http://host:8088/janus`.
    #[arg(long, conflicts_with_all = ["whip", "whep"])]
    pub(crate) janus: Option<String>,
    /// What publishers are at Janus: mount points of its streaming plugin, or publishers of a room each.
    #[arg(long, value_enum, default_value = "streaming")]
    pub(crate) janus_plugin: Plugin,
    /// Threads of each mount point that help it to send.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=64))]
    pub(crate) janus_threads: u64,
    /// Publishers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=2_000))]
    pub(crate) publishers: u64,
    /// Viewers, spread over the publishers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    pub(crate) viewers: u64,
    /// Threads of viewers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    pub(crate) threads: u64,
    /// How viewers arrive: `at-once`, `200/s`, or `5s` for all of them within five seconds.
    #[arg(long, default_value = "200/s")]
    pub(crate) arrive: Arrive,
    /// In the window, so many viewers leave in a second, and as many come.
    #[arg(long, value_parser = parse_rate)]
    pub(crate) churn_per_second: Option<f64>,
    /// Length of the window in which packets are counted.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// Seconds for which publishers send before viewers come.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) warm_up: u64,
    /// Seconds from when the last viewer has its first packet to the window, and again from the end to the last look at
    /// the server's memory.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(..=600))]
    pub(crate) settle: u64,
    /// Bits of pictures in a second.
    #[arg(long, default_value_t = 1_500_000, value_parser = clap::value_parser!(u64).range(10_000..=50_000_000))]
    pub(crate) bitrate: u64,
    /// Pictures in a second.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=240))]
    pub(crate) fps: u64,
    /// Pictures from one key frame to the next.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) gop: u64,
    /// A key frame is so many times as long as another picture; the bits of a second stay the same.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=50))]
    pub(crate) key_factor: u64,
    /// Milliseconds over which the packets of a picture are spread; 0: a burst.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=100))]
    pub(crate) pace_ms: u64,
    /// How pictures are cut into packets.
    #[arg(long, value_enum, default_value = "full")]
    pub(crate) split: Split,
    /// Publishers send the picture in three layers side by side: one of `bitrate`, one of a third and one of a tenth of it.
    /// Viewers get the one that fits, and what they miss is counted by the numbers that the server gave.
    #[arg(long, conflicts_with = "janus")]
    pub(crate) simulcast: bool,
    /// Bytes of a sound of 20 ms; 0: no sound.
    #[arg(long, default_value_t = 160, value_parser = clap::value_parser!(u64).range(..=1_000))]
    pub(crate) sound_bytes: u64,
    /// Viewers read datagram by datagram, as browsers do, and not runs of them at once. On a loopback interface it is the
    /// server's time then in which the kernel takes its runs apart; over a network it is not.
    #[arg(long)]
    pub(crate) receive_singly: bool,
    /// The server's process, for its CPU time and memory.
    #[arg(long)]
    pub(crate) server_pid: Option<u32>,
    /// Every viewer throws one packet in so many away, so that it can be seen that losses are seen.
    #[arg(long, default_value_t = 0)]
    pub(crate) drop_every: u64,
    /// Writes the first datagrams of the first publisher to this file, one a line in hexadecimal, for `hostile --mode
    /// replay` to send again.
    #[arg(long)]
    pub(crate) record: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Writes the JSON to this file as well.
    #[arg(long)]
    pub(crate) json_file: Option<PathBuf>,
    /// Allows addresses of other machines. Only for machines that are yours.
    #[arg(long)]
    pub(crate) yes_elsewhere: bool,
}

impl PacketsArgs {
    /// Layers of a picture.
    pub(crate) fn layers(&self) -> u8 {
        if self.simulcast { 3 } else { 1 }
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape {
            bitrate_bps: self.bitrate,
            fps: self.fps,
            gop: self.gop,
            key_factor: self.key_factor,
            pace: Duration::from_millis(self.pace_ms),
            split: self.split,
            layers: self.layers(),
            sound_bytes: usize::try_from(self.sound_bytes).unwrap_or(0),
        }
    }

    /// The URL of a publisher or its viewers.
    pub(crate) fn url(pattern: &str, number: u64) -> String {
        pattern.replace("{n}", &number.to_string())
    }

    /// The URLs of servers that are asked.
    pub(crate) fn servers(&self) -> Vec<String> {
        match &self.janus {
            Some(janus) => vec![janus.clone()],
            None => [&self.whip, &self.whep].map(|url| Self::url(url, 0)).to_vec(),
        }
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for (name, url) in [("--whip", &self.whip), ("--whep", &self.whep)] {
            ensure!(
                self.janus.is_some() || self.publishers == 1 || url.contains("{n}"),
                "{name} {url} is the same for all {} publishers; put {{n}} where their number goes",
                self.publishers
            );
        }
        ensure!(self.pace_ms < 1_000 / self.fps, "--pace-ms is longer than a picture lasts");
        Ok(())
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.01..=1_000.0).contains(rate));
    rate.ok_or_else(|| "expected a number from 0.01 to 1000".to_owned())
}

/// How viewers arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Arrive {
    /// So many in a second.
    PerSecond(f64),
    /// All within so long; zero: at once.
    Within(Duration),
}

impl Arrive {
    /// When the viewer of this number comes, of so many.
    pub(crate) fn at(self, number: u64, of: u64) -> Duration {
        match self {
            Self::PerSecond(rate) => Duration::from_secs_f64(number as f64 / rate),
            Self::Within(time) => time.mul_f64(number as f64 / of.max(1) as f64),
        }
    }
}

impl FromStr for Arrive {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let number = |text: &str| text.parse().ok().filter(|number| (0.01..=100_000.0).contains(number));
        if text == "at-once" {
            return Ok(Self::Within(Duration::ZERO));
        }
        if let Some(rate) = text.strip_suffix("/s").and_then(number) {
            return Ok(Self::PerSecond(rate));
        }
        if let Some(seconds) = text.strip_suffix('s').and_then(number) {
            return Ok(Self::Within(Duration::from_secs_f64(seconds)));
        }
        bail!("expected `at-once`, a rate as `200/s`, or a time as `5s`")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_spread_as_they_were_asked_for() {
        let at = |text: &str| text.parse::<Arrive>().unwrap().at(500, 1_000);
        assert_eq!(at("at-once"), Duration::ZERO);
        assert_eq!(at("200/s"), Duration::from_millis(2_500));
        assert_eq!(at("5s"), Duration::from_millis(2_500));
        for wrong in ["", "soon", "0/s", "-1s", "NaNs", "1e9s", "5"] {
            assert!(wrong.parse::<Arrive>().is_err(), "{wrong}");
        }
    }
}
