//! The commands of `stentor`.

mod dev;
mod doctor;
mod run;
mod serve;
mod tls;
mod token;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use thiserror::Error;

use crate::config::LogFormat;

/// Self-hosted real-time communication and low-latency live streaming.
#[derive(Debug, Parser)]
#[command(name = "stentor", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try Stentor: no configuration, a demo stream that already plays, loopback only
    Dev(DevArgs),
    /// Run Stentor for users, from a configuration file
    Serve(ServeArgs),
    /// Print a UserSig; with --room, a PrivateMapKey
    Token(TokenArgs),
    /// Check this machine: ports, UDP, clock, file limits
    Doctor(DoctorArgs),
}

/// `stentor dev`
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Where HTTP listens
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Where RTMP listens
    #[arg(long, default_value = "127.0.0.1:1935")]
    pub rtmp: SocketAddr,
    /// Where WebRTC media listens, UDP and TCP
    #[arg(long, default_value = "127.0.0.1:3478")]
    pub media: SocketAddr,
    /// Also listen on the local network, with HTTPS on port 8443 by a self-made certificate (cameras need HTTPS)
    #[arg(long)]
    pub lan: bool,
    /// Where HTTPS listens with --lan
    #[arg(long, default_value = "0.0.0.0:8443", hide = true)]
    pub https: SocketAddr,
    /// How the log is written
    #[arg(long, env = "STENTOR_SERVER__LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// The token of the admin API, instead of a new one at each start; at least 16 characters
    #[arg(long, env = "STENTOR_DEV_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// Print one JSON object on one line when ready, and nothing else
    #[arg(long)]
    pub json: bool,
    /// The application's secret key, instead of a new one at each start
    #[arg(long, env = "STENTOR_DEV_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// No demo stream
    #[arg(long)]
    pub no_demo: bool,
}

/// `stentor serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration file; stentor.toml in the repository is a commented sample
    #[arg(long, required_unless_present = "print_config")]
    pub config: Option<PathBuf>,
    /// Print the commented sample configuration and end
    #[arg(long)]
    pub print_config: bool,
    /// How the log is written, instead of what the file says
    #[arg(long)]
    pub log_format: Option<LogFormat>,
    /// Where HTTP listens, instead of what the file says
    #[arg(long)]
    pub http: Option<SocketAddr>,
    /// Where RTMP listens, instead of what the file says
    #[arg(long)]
    pub rtmp: Option<SocketAddr>,
    /// Where WebRTC media listens, instead of what the file says
    #[arg(long)]
    pub media: Option<SocketAddr>,
}

/// `stentor token`
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// sdkAppId
    #[arg(long)]
    pub app: u32,
    /// A secret key of the application
    #[arg(long, env = "STENTOR_KEY", hide_env_values = true)]
    pub key: String,
    /// The user
    #[arg(long)]
    pub user: String,
    /// The room: makes a PrivateMapKey
    #[arg(long)]
    pub room: Option<String>,
    /// The room is a string room, also where its name is a number
    #[arg(long, requires = "room")]
    pub string_room: bool,
    /// Permission bits of the PrivateMapKey: 1 create, 2 enter, 4 send audio, 8 receive audio, 16 send video, 32 receive video, 64 send screen, 128 receive screen
    #[arg(long, requires = "room", default_value_t = 255)]
    pub permissions: u32,
    /// How long it is valid: 90s, 10m, 12h, 1d
    #[arg(long, default_value = "1d")]
    pub ttl: String,
}

/// `stentor doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The configuration whose ports are checked; without one, those of `stentor dev`
    #[arg(long)]
    pub config: Option<PathBuf>,
}

/// Why a command failed.
#[derive(Debug, Error)]
pub enum Failure {
    /// The user has to change something: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It did not work: exit code 1.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl Failure {
    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// Where it fails; the text is one sentence.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Dev(args) => dev::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Token(args) => token::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    }
}
