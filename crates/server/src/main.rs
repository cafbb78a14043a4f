//! Stentor: one binary. This file reads the command line and turns errors into exit codes; what the commands do is in
//! `cli`, what the server is in `app`.
#![forbid(unsafe_code)]
#![allow(unreachable_pub, reason = "a binary exports nothing")]

mod admin;
mod admission;
mod app;
mod audio;
mod auth;
mod bridge;
mod cli;
mod clock;
mod config;
mod counters;
mod demo;
mod door;
mod health;
mod http;
mod hub;
mod inbox;
mod logs;
mod media;
mod metrics;
mod query;
mod refusal;
mod session;
mod shard;
mod signing;
mod traces;
mod webhooks;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let command = match cli::Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match cli::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("stentor: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
