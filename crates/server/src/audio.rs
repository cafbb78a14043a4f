//! AAC <-> Opus: a bounded pool of threads, one lane for each stream that needs it. A stream's frames stay in order
//! because its lane stays on one thread.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use live::transcode::{AacToOpus, OpusToAac, TranscodeError};
use media::{Config, Frame, TrackInfo};
use tokio::sync::mpsc;

use crate::counters::Counters;

/// Frames that may wait in a thread of the pool; at 50 frames a second this is seconds for dozens of streams.
const QUEUE_MAX: usize = 2_048;
/// Frames that may wait for the bridge that asked for them.
const OUT_MAX: usize = 256;

/// What comes out of a lane.
#[derive(Debug)]
pub enum Transcoded {
    /// What the frames that follow are.
    Track(TrackInfo),
    /// A frame.
    Frame(Frame),
}

enum Job {
    Open { lane: u64, transcoder: Transcoder, out: mpsc::Sender<Transcoded> },
    Frame { lane: u64, frame: Frame },
    Close { lane: u64 },
}

enum Transcoder {
    ToOpus(Box<AacToOpus>),
    ToAac(Box<OpusToAac>),
}

impl Transcoder {
    fn track(&self) -> TrackInfo {
        match self {
            Self::ToOpus(transcoder) => transcoder.track(),
            Self::ToAac(transcoder) => transcoder.track(),
        }
    }

    fn push(&mut self, frame: &Frame, out: &mut Vec<Frame>) -> Result<(), TranscodeError> {
        match self {
            Self::ToOpus(transcoder) => transcoder.push(frame, out),
            Self::ToAac(transcoder) => transcoder.push(frame, out),
        }
    }
}

/// The threads.
#[derive(Debug)]
pub struct Pool {
    threads: Vec<SyncSender<Job>>,
    next: AtomicU64,
    counters: Arc<Counters>,
}

impl Pool {
    /// Starts `threads` threads.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(threads: usize, counters: Arc<Counters>) -> std::io::Result<Arc<Self>> {
        let mut senders = Vec::new();
        for number in 0..threads.max(1) {
            let (sender, jobs) = sync_channel(QUEUE_MAX);
            let counters = counters.clone();
            thread::Builder::new().name(format!("audio-{number}")).spawn(move || work(&jobs, &counters))?;
            senders.push(sender);
        }
        Ok(Arc::new(Self { threads: senders, next: AtomicU64::new(0), counters }))
    }

    /// A lane that makes the other coding of `track`: Opus of AAC, AAC of Opus.
    ///
    /// # Errors
    /// Where the track is neither, or its configuration cannot be decoded.
    pub fn open(self: &Arc<Self>, track: &TrackInfo) -> Result<(Lane, mpsc::Receiver<Transcoded>), TranscodeError> {
        let transcoder = match &track.config {
            Config::Aac(config) => Transcoder::ToOpus(Box::new(AacToOpus::new(config)?)),
            Config::Opus(config) => Transcoder::ToAac(Box::new(OpusToAac::new(config.channels)?)),
            _ => return Err(TranscodeError::Unsupported),
        };
        let (out, frames) = mpsc::channel(OUT_MAX);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let lane = Lane { pool: self.clone(), number };
        lane.submit(Job::Open { lane: number, transcoder, out });
        Ok((lane, frames))
    }
}

/// One stream's way through the pool; dropping it closes it.
#[derive(Debug)]
pub struct Lane {
    pool: Arc<Pool>,
    number: u64,
}

impl Lane {
    /// Hands a frame in. When the pool is behind, the frame is dropped and counted: the transcoder fills the gap.
    pub fn push(&self, frame: Frame) {
        self.submit(Job::Frame { lane: self.number, frame });
    }

    fn submit(&self, job: Job) {
        let count = self.pool.threads.len().max(1) as u64;
        let thread = self.pool.threads.get((self.number % count) as usize);
        if thread.is_none_or(|thread| thread.try_send(job).is_err()) {
            self.pool.counters.add("audio_dropped", "pool-behind");
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.submit(Job::Close { lane: self.number });
    }
}

fn work(jobs: &Receiver<Job>, counters: &Counters) {
    let mut lanes: HashMap<u64, (Transcoder, mpsc::Sender<Transcoded>)> = HashMap::new();
    let mut made = Vec::new();
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Open { lane, transcoder, out } => {
                let _ = out.try_send(Transcoded::Track(transcoder.track()));
                lanes.insert(lane, (transcoder, out));
            }
            Job::Frame { lane, frame } => {
                let Some((transcoder, out)) = lanes.get_mut(&lane) else { continue };
                if transcoder.push(&frame, &mut made).is_err() {
                    counters.add("audio_dropped", "undecodable");
                }
                for frame in made.drain(..) {
                    match out.try_send(Transcoded::Frame(frame)) {
                        Ok(()) => {}
                        Err(mpsc::error::TrySendError::Full(_)) => counters.add("audio_dropped", "bridge-behind"),
                        // The bridge is gone: a close that found the queue full is made good here.
                        Err(mpsc::error::TrySendError::Closed(_)) => {
                            lanes.remove(&lane);
                            break;
                        }
                    }
                }
            }
            Job::Close { lane } => {
                lanes.remove(&lane);
            }
        }
    }
}
