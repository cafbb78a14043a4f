//! `stentor doctor`: looks at this machine and says how to mend what is wrong.

use std::{
    fs,
    net::{SocketAddr, TcpListener, UdpSocket},
    time::Duration,
};

use super::{DoctorArgs, Failure, serve};
use crate::clock::unix_now_s;

/// Open files that a server for a few thousand viewers needs.
const FILES_WANTED: u64 = 16_384;
/// No clock of a machine that runs this program can be before 1 November 2026.
const EARLIEST_UNIX_S: u64 = 1_793_491_200;

enum Finding {
    Good(String),
    /// Works, but not as well as it could.
    Warning(String),
    /// Has to be mended.
    Bad(String),
}

pub(super) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let (http, rtmp, media, advertised) = match &args.config {
        Some(path) => {
            let config = serve::load(Some(path), None, None, None)?;
            (config.http.listen, config.rtmp.listen, config.media.listen, config.media.advertise)
        }
        None => {
            let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
            (local(8080), local(1935), local(3478), Vec::new())
        }
    };
    let mut findings = vec![tcp("HTTP", http), tcp("RTMP", rtmp), tcp("WebRTC over TCP", media), udp(media)];
    findings.push(clock());
    findings.push(files());
    findings.push(receive_buffer());
    for address in advertised {
        findings.push(Finding::Good(format!("media is advertised as {address}; whether the firewall forwards UDP and TCP port {} to this machine only a client outside can tell: open the page from there", media.port())));
    }
    let mut bad = 0;
    for finding in findings {
        match finding {
            Finding::Good(text) => println!("  ok    {text}"),
            Finding::Warning(text) => println!("  note  {text}"),
            Finding::Bad(text) => {
                bad += 1;
                println!("  BAD   {text}");
            }
        }
    }
    if bad > 0 {
        return Err(Failure::Failed(anyhow::anyhow!("{bad} thing(s) to mend before Stentor can run here")));
    }
    println!("  Everything that Stentor needs is here.");
    Ok(())
}

fn tcp(door: &str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::Good(format!("{door}: {address} is free")),
        Err(error) => Finding::Bad(taken(door, address, &error)),
    }
}

/// Binds the media port and sends one datagram to it.
fn udp(address: SocketAddr) -> Finding {
    let check = || -> std::io::Result<()> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let target = if address.ip().is_unspecified() {
            SocketAddr::from(([127, 0, 0, 1], socket.local_addr()?.port()))
        } else {
            socket.local_addr()?
        };
        let sender = UdpSocket::bind(if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        sender.send_to(b"stentor", target)?;
        let mut buffer = [0; 16];
        socket.recv_from(&mut buffer)?;
        Ok(())
    };
    match check() {
        Ok(()) => Finding::Good(format!("WebRTC over UDP: {address} is free, and a datagram arrives")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Finding::Bad(taken("WebRTC over UDP", address, &error))
        }
        Err(error) => Finding::Bad(format!(
            "WebRTC over UDP: a datagram to {address} does not arrive ({error}); look at this machine's firewall (nft list ruleset)"
        )),
    }
}

fn taken(door: &str, address: SocketAddr, error: &std::io::Error) -> String {
    let port = address.port();
    format!(
        "{door}: cannot listen on {address} ({error}); `ss -ltnup 'sport = :{port}'` names the program that has it (is Stentor running already?)"
    )
}

fn clock() -> Finding {
    if unix_now_s() < EARLIEST_UNIX_S {
        return Finding::Bad("the clock is years behind, so every token looks as if it came from the future; set it (timedatectl set-ntp true)".into());
    }
    Finding::Good("the clock is plausible; tokens are checked against it, so keep NTP on".into())
}

fn files() -> Finding {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft =
        limits.lines().find(|line| line.starts_with("Max open files")).and_then(|line| line.split_whitespace().nth(3));
    match soft.map(|text| (text, text.parse::<u64>())) {
        Some((text, Err(_))) => Finding::Good(format!("open files: {text}")),
        Some((_, Ok(limit))) if limit >= FILES_WANTED => Finding::Good(format!("open files: {limit}")),
        Some((_, Ok(limit))) => Finding::Warning(format!(
            "open files: {limit}, which is about {} RTMP, FLV and HLS viewers; raise it (ulimit -n 65536, or LimitNOFILE=65536 in the unit file)",
            limit.saturating_sub(100)
        )),
        None => Finding::Warning("open files: the limit cannot be read".into()),
    }
}

fn receive_buffer() -> Finding {
    let path = "/proc/sys/net/core/rmem_max";
    match fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok()) {
        Some(bytes) if bytes >= 4 << 20 => Finding::Good(format!("UDP receive buffer: up to {} MiB", bytes >> 20)),
        Some(bytes) => Finding::Warning(format!(
            "UDP receive buffer: at most {} KiB, so bursts of publishers may be lost; raise it (sysctl -w net.core.rmem_max=4194304)",
            bytes >> 10
        )),
        None => Finding::Warning("UDP receive buffer: the limit cannot be read".into()),
    }
}
