//! The commands of `stentor`.

mod dev;
mod doctor;
mod play;
mod progress;
mod push;
mod run;
mod serve;
mod sign;
mod tls;
mod token;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use thiserror::Error;
use wire::sign::url::Scheme;

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
    /// Print a signed live URL, as Alibaba's and Tencent's clouds sign them
    Sign(SignArgs),
    /// Publish a file or a test pattern: rtmp(s)://, trtc://, artc://, webrtc:// or the http(s):// URL of a WHIP door
    Push(PushArgs),
    /// Play a URL and check what comes: any of push's, and http(s)/ws(s) FLV, HLS, WHEP
    Play(PlayArgs),
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
    /// Keep what has to outlast the process in this folder, instead of in memory
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
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

/// `stentor sign`
#[derive(Debug, Args)]
pub struct SignArgs {
    /// The live URL: rtmp://host/app/stream, artc://host/app/stream, https://host/app/stream.flv, https://host/whep/app/stream
    pub url: String,
    /// How: aliyun-a, aliyun-b, aliyun-c, tencent, tencent-sha256, tencent-decimal
    #[arg(long)]
    pub scheme: Scheme,
    /// One of the application's push_keys to publish, or of its play_keys to play
    #[arg(long, env = "STENTOR_SIGN_KEY", hide_env_values = true)]
    pub key: String,
    /// How long it is valid: 90s, 10m, 12h, 1d; aliyun-b rounds up to whole minutes
    #[arg(long, default_value = "1h")]
    pub ttl: String,
    /// Print one JSON object instead: url, scheme, signedFor, expiresAt, expiresAtS
    #[arg(long)]
    pub json: bool,
}

/// `stentor push`
#[derive(Debug, Args)]
pub struct PushArgs {
    /// A file (FLV or MP4), or the word 'test' for the built-in test pattern
    pub source: String,
    /// Where to; a file in the working directory that is named 'test' is written ./test
    pub url: String,
    /// Begin again at the end, for ever
    #[arg(long = "loop")]
    pub repeat: bool,
    /// Stop after so many seconds of media
    #[arg(long, value_parser = duration)]
    pub seconds: Option<Duration>,
    /// What push and play have in common
    #[command(flatten)]
    pub common: ClientArgs,
}

/// `stentor play`
#[derive(Debug, Args)]
pub struct PlayArgs {
    /// What to play
    pub url: String,
    /// Stop so many seconds after the first frame; without it, at the end of the stream
    #[arg(long, value_parser = duration)]
    pub seconds: Option<Duration>,
    /// What push and play have in common
    #[command(flatten)]
    pub common: ClientArgs,
}

/// What `stentor push` and `stentor play` have in common.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// Print one JSON object at the end, and nothing else
    #[arg(long)]
    pub json: bool,
    /// Reconnects at most, after 1, 2, 4 and then every 8 seconds
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub reconnects: u32,
    /// Accept every certificate: for servers with a self-made one
    #[arg(long)]
    pub insecure: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it should be a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero() && seconds < 1e9)
        .ok_or_else(|| "it should be more than 0 seconds".to_owned())
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
        Command::Sign(args) => sign::run(&args),
        Command::Push(args) => push::run(args),
        Command::Play(args) => play::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    }
}
