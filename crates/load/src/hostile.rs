//! What strangers send to the media port of a server, from one address: for seeing that nobody who watches notices.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    process,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use serde_json::json;

/// A STUN binding request (RFC 8489 section 5) and its cookie.
const BINDING: [u8; 2] = [0, 1];
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: u16 = 0x0006;
const INTEGRITY: u16 = 0x0008;
const PRIORITY: u16 = 0x0024;
const FINGERPRINT: u16 = 0x8028;
/// Datagrams that are sent between two looks at the clock.
const BURST: u64 = 16;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Well-formed STUN requests for users that nobody has.
    StunUnknown,
    /// Well-formed STUN requests for a user that is there (`--ufrag`), with a wrong integrity.
    StunForged,
    /// SRTP of no session.
    Rtp,
    /// DTLS of no session.
    Dtls,
    /// The datagrams of a file that `stentor-load packets --record` wrote, again and again.
    Replay,
    /// Bytes of no protocol, of every length.
    Garbage,
    /// All of them by turns, but replays.
    All,
}

/// What `stentor-load hostile` is told.
#[derive(Args, Clone)]
pub(crate) struct HostileArgs {
    /// The server's media port.
    target: SocketAddr,
    /// What is sent.
    #[arg(long, value_enum, default_value = "all")]
    mode: Mode,
    /// For how long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Datagrams at most.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    count: u64,
    /// Datagrams in a second; without it, as many as go.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    per_second: Option<u64>,
    /// The server's user name fragment of a session, as its answer says it.
    #[arg(long, default_value = "none")]
    ufrag: String,
    /// What is replayed.
    #[arg(long)]
    file: Option<std::path::PathBuf>,
    /// Allows addresses of other machines. Only for machines that are yours.
    #[arg(long)]
    yes_elsewhere: bool,
}

/// Sends.
///
/// # Errors
/// Where nothing can be sent.
pub(crate) fn run(args: &HostileArgs) -> anyhow::Result<bool> {
    // Whoever can bind it has it.
    let is_own = UdpSocket::bind((args.target.ip(), 0)).is_ok();
    ensure!(
        args.yes_elsewhere || is_own,
        "{} is another machine, and this is an attack; use an address of this one, or say --yes-elsewhere",
        args.target
    );
    let replayed = args.file.as_deref().map(recorded).transpose()?.unwrap_or_default();
    ensure!(args.mode != Mode::Replay || !replayed.is_empty(), "--mode replay needs --file with at least one datagram");
    let any: IpAddr = if args.target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    let mut random = Random(u64::from(process::id()) | 1);
    let began = Instant::now();
    let end = began + Duration::from_secs(args.seconds);
    let (mut sent, mut failed, mut bytes) = (0_u64, 0_u64, 0_u64);
    while sent + failed < args.count && Instant::now() < end {
        for _ in 0..BURST.min(args.count - sent - failed) {
            let datagram = make(args, &replayed, sent + failed, &mut random);
            match socket.send_to(&datagram, args.target) {
                Ok(length) => (sent, bytes) = (sent + 1, bytes + length as u64),
                Err(_) => failed += 1,
            }
        }
        if let Some(rate) = args.per_second {
            let due = began + Duration::from_secs_f64((sent + failed) as f64 / rate as f64);
            std::thread::sleep(due.min(end).saturating_duration_since(Instant::now()));
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({
            "mode": args.mode.to_possible_value().map(|mode| mode.get_name().to_owned()),
            "sent": sent,
            "notTaken": failed,
            "bytes": bytes,
            "seconds": seconds,
            "perSecond": sent as f64 / seconds.max(1e-9),
        })
    );
    Ok(sent > 0)
}

fn make(args: &HostileArgs, replayed: &[Vec<u8>], number: u64, random: &mut Random) -> Vec<u8> {
    let all = [Mode::StunUnknown, Mode::StunForged, Mode::Rtp, Mode::Dtls, Mode::Garbage];
    let mode = match args.mode {
        Mode::All => all.get(number as usize % all.len()).copied().unwrap_or(Mode::Garbage),
        mode => mode,
    };
    match mode {
        Mode::StunUnknown => {
            let name = format!("{:016x}", random.word());
            stun(&name, random)
        }
        Mode::StunForged => stun(&args.ufrag, random),
        Mode::Rtp => {
            let mut packet = vec![0x80, 96 + (random.word() % 32) as u8];
            let length = 200 + (random.word() % 1_000) as usize;
            random.fill(&mut packet, length);
            packet
        }
        Mode::Dtls => {
            // A record of a handshake of DTLS 1.2 (RFC 6347 section 4.1).
            let length = 50 + (random.word() % 1_000) as usize;
            let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0];
            record.extend((length as u16).to_be_bytes());
            random.fill(&mut record, length);
            record
        }
        Mode::Replay => replayed.get(number as usize % replayed.len().max(1)).cloned().unwrap_or_default(),
        Mode::Garbage | Mode::All => {
            let mut bytes = Vec::new();
            let length = 1 + (random.word() % 1_472) as usize;
            random.fill(&mut bytes, length);
            bytes
        }
    }
}

/// A request for a user, whose integrity is made up and whose fingerprint is right.
fn stun(ufrag: &str, random: &mut Random) -> Vec<u8> {
    let mut body = Vec::new();
    attribute(&mut body, USERNAME, format!("{ufrag}:{:08x}", random.word() as u32).as_bytes());
    attribute(&mut body, PRIORITY, &[0x6e, 0, 1, 0xff]);
    let mut made_up = Vec::new();
    random.fill(&mut made_up, 20);
    attribute(&mut body, INTEGRITY, &made_up);
    let mut message = BINDING.to_vec();
    // With the fingerprint's own eight bytes (RFC 8489 section 14.7).
    message.extend((body.len() as u16 + 8).to_be_bytes());
    message.extend(COOKIE);
    random.fill(&mut message, 12);
    message.extend(body);
    let fingerprint = crc32(&message) ^ 0x5354_554e;
    attribute(&mut message, FINGERPRINT, &fingerprint.to_be_bytes());
    message
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// CRC-32 of ISO 3309, as fingerprints have it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

fn recorded(file: &std::path::Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let line = |line: &str| -> Option<Vec<u8>> {
        let pairs = line.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        pairs.collect()
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|text| line(text).with_context(|| format!("{}: not hexadecimal", file.display()))).collect()
}

/// Numbers that need not be secret.
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 ^ self.0 >> 29).wrapping_mul(0x9fb2_1c65_1e98_df25)
    }

    fn fill(&mut self, out: &mut Vec<u8>, bytes: usize) {
        let end = out.len() + bytes;
        while out.len() < end {
            out.extend(self.word().to_be_bytes());
        }
        out.truncate(end);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_request_reads_as_stun_for_its_user() {
        let message = stun("abcd", &mut Random(1));
        assert!(rtc::stun::is_stun(&message));
        assert_eq!(usize::from(u16::from_be_bytes([message[2], message[3]])), message.len() - 20);
        assert_eq!(&message[20..24], &[0, 6, 0, 13]);
        assert_eq!(&message[24..29], b"abcd:");
    }

    #[test]
    fn datagrams_of_every_mode_are_no_longer_than_a_network_takes() {
        let mut random = Random(3);
        let args = HostileArgs {
            target: "127.0.0.1:1".parse().unwrap(),
            mode: Mode::All,
            seconds: 1,
            count: 1,
            per_second: None,
            ufrag: "abcd".to_owned(),
            file: None,
            yes_elsewhere: false,
        };
        assert!((0..2_000).all(|number| (1..=1_472).contains(&make(&args, &[], number, &mut random).len())));
    }
}
