//! Frames to packets: once a stream, for all its WebRTC viewers. AAC becomes Opus on the way.

use std::{sync::Arc, time::Instant};

use live::{
    packetise::Packetiser,
    stream::{BFrames, Cursor, EndReason, Entry, Read, Start},
};
use media::{Codec, Frame, Kind, RtpPacket, TrackInfo};
use sfu::Command;
use tokio::sync::mpsc;

use super::LINGER;
use crate::{
    app::App,
    audio::{Lane, Transcoded},
    hub::{LiveStream, PacketTracks},
};

/// Entries taken at once.
const BATCH_MAX: usize = 64;
/// Sound older than this when the bridge starts stays behind: viewers start at the live edge of it.
const AUDIO_LATE_US: i64 = 60_000;

/// Runs while somebody needs the packets or until the stream ends.
pub(super) async fn run(app: Arc<App>, stream: Arc<LiveStream>, tracks: PacketTracks) {
    let mut bridge = Bridge::new(&app, &stream, tracks);
    tokio::select! {
        () = bridge.pump() => stream.packets_wanted.stopped(),
        () = stream.packets_wanted.gone(LINGER, || {}) => {}
    }
    for track in tracks.iter() {
        app.media.tell(Command::RemoveTrack { id: track.id });
    }
}

struct Bridge<'a> {
    app: &'a Arc<App>,
    stream: &'a Arc<LiveStream>,
    tracks: PacketTracks,
    cursor: Cursor,
    video: Packetiser,
    audio: Packetiser,
    opus: TrackInfo,
    lane: Option<(Lane, mpsc::Receiver<Transcoded>)>,
    lane_epoch: Option<u32>,
    live_edge_us: i64,
}

impl<'a> Bridge<'a> {
    fn new(app: &'a Arc<App>, stream: &'a Arc<LiveStream>, tracks: PacketTracks) -> Self {
        Self {
            app,
            stream,
            tracks,
            cursor: stream.cursor(Start::NewestKey),
            video: Packetiser::new(tracks.video.map_or(Codec::H264, |track| track.codec)),
            audio: Packetiser::new(Codec::Opus),
            opus: TrackInfo::opus(2),
            lane: None,
            lane_epoch: None,
            live_edge_us: crate::clock::wall_now().0 - AUDIO_LATE_US,
        }
    }

    async fn pump(&mut self) {
        let mut entries = Vec::new();
        loop {
            tokio::select! {
                read = self.stream.next(&mut self.cursor, BATCH_MAX, &mut entries) => match read {
                    Read::Ready | Read::Pending => {}
                    Read::Jumped { skipped } => self.app.counters.add_many("bridge_frames_skipped", "to-packets", skipped),
                    Read::Ended(_) => return,
                },
                made = receive(&mut self.lane) => self.transcoded(made),
            }
            let now = Instant::now();
            for entry in entries.drain(..) {
                match entry.frame.kind() {
                    Kind::Video => {
                        if !self.picture(now, &entry) {
                            return;
                        }
                    }
                    Kind::Audio => self.sound(now, &entry),
                }
            }
        }
    }

    /// False where the stream has turned into one that WebRTC cannot carry.
    fn picture(&mut self, now: Instant, entry: &Entry) -> bool {
        let Some(track) = self.tracks.video else { return true };
        if entry.frame.codec != track.codec {
            self.app.counters.add("bridges_ended", "codec");
            self.turn_viewers_away();
            return false;
        }
        if entry.frame.flags.b_frame {
            if self.stream.frames().stats(now).b_frames == BFrames::Referenced {
                self.app.counters.add("bridges_ended", "b-frames");
                self.turn_viewers_away();
                return false;
            }
            self.video.drop_b = true;
        }
        let mut packets = Vec::new();
        self.video.packetise(now, &entry.track.info, &entry.frame, &mut packets);
        self.send(track.id, packets);
        true
    }

    fn sound(&mut self, now: Instant, entry: &Entry) {
        if entry.frame.wall.0 < self.live_edge_us {
            return;
        }
        if entry.frame.codec == Codec::Opus {
            self.opus_frame(now, &entry.frame);
            return;
        }
        if self.lane_epoch != Some(entry.track.epoch) {
            self.lane_epoch = Some(entry.track.epoch);
            self.lane = match self.app.audio.open(&entry.track.info) {
                Ok(lane) => Some(lane),
                Err(error) => {
                    tracing::warn!(stream = %self.stream.key, %error, "no sound for WebRTC viewers");
                    None
                }
            };
        }
        if let Some((lane, _)) = &self.lane {
            lane.push(entry.frame.clone());
        }
    }

    fn transcoded(&mut self, made: Transcoded) {
        if let Transcoded::Frame(frame) = made {
            self.opus_frame(Instant::now(), &frame);
        }
    }

    fn opus_frame(&mut self, now: Instant, frame: &Frame) {
        let Some(track) = self.tracks.audio else { return };
        let mut packets = Vec::new();
        self.audio.packetise(now, &self.opus, frame, &mut packets);
        self.send(track.id, packets);
    }

    fn send(&self, track: sfu::TrackId, packets: Vec<RtpPacket>) {
        if !packets.is_empty() {
            self.app.media.tell(Command::Packets { track, packets });
        }
    }

    /// Viewers come back by themselves, and are told in words then.
    fn turn_viewers_away(&self) {
        self.app.webrtc.end_viewers(self.stream, EndReason::CodecChanged);
    }
}

/// The next transcoded frame; never, where there is no lane.
async fn receive(lane: &mut Option<(Lane, mpsc::Receiver<Transcoded>)>) -> Transcoded {
    if let Some((_, made)) = lane
        && let Some(made) = made.recv().await
    {
        return made;
    }
    std::future::pending().await
}
