//! `stentor-load`: load for a live-streaming server on this machine, and what it cost. `frames` is RTMP and FLV, where
//! every frame is looked at; `packets` is WebRTC, where every packet is; `hostile` is what strangers send. What the server's process used meanwhile is read
//! from `/proc`.
#![forbid(unsafe_code)]

mod frames;
mod hostile;
mod packets;
mod process;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Load for a live-streaming server on this machine.
#[derive(Parser)]
#[command(name = "stentor-load", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Publishes by RTMP, watches by RTMP and FLV, and checks that every frame comes once, in order and unchanged.
    Frames(frames::FramesArgs),
    /// Publishes and watches by WebRTC at any server, and checks that every packet comes, and when.
    Packets(Box<packets::PacketsArgs>),
    /// Sends to a media port what strangers might, from one address.
    Hostile(hostile::HostileArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Frames(args) => frames::run(&args),
        Command::Packets(args) => packets::run(&args),
        Command::Hostile(args) => hostile::run(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("stentor-load: {error:#}");
            ExitCode::from(2)
        }
    }
}
