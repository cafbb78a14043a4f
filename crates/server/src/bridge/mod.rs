//! The two paths attached to each other, only while somebody needs it: frames of a source that sends packets, and
//! packets of a source that sends frames. `live` and `sfu` never name each other; they meet here.

mod to_frames;
mod to_packets;

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use live::{depacketise::Depacketiser, stream::BFrames};
use media::{Codec, Kind};
use sfu::{Command, Pace};

use crate::{
    app::App,
    hub::{LiveStream, PacketTrack, PacketTracks},
    refusal::{B_FRAMES_ADVICE, Refusal},
};

/// A bridge goes on for so long after the last viewer: players reconnect, and pages switch protocols.
const LINGER: Duration = Duration::from_secs(5);

/// Somebody needs the frames of a stream. While any guard lives, a source of packets is depacketised.
#[derive(Debug)]
pub struct FramesWanted {
    stream: Arc<LiveStream>,
}

impl FramesWanted {
    /// Attaches the bridge where the source sends packets; where it sends frames, nothing has to be done.
    ///
    /// # Errors
    /// Where the picture has no form as frames; the text names the codec.
    pub fn new(app: &Arc<App>, stream: &Arc<LiveStream>) -> Result<Self, Refusal> {
        if let (false, Some(video)) = (stream.door.is_frames(), stream.packets().video) {
            Depacketiser::new(video.codec).map_err(|error| Refusal::CannotServe(error.to_string()))?;
        }
        let start = stream.frames_wanted.enter();
        if start && !stream.door.is_frames() {
            app.counters.add("bridges_started", "to-frames");
            tokio::spawn(to_frames::run(app.clone(), stream.clone()));
        }
        Ok(Self { stream: stream.clone() })
    }
}

impl Drop for FramesWanted {
    fn drop(&mut self) {
        self.stream.frames_wanted.leave();
    }
}

/// Somebody needs the packets of a stream. While any guard lives, a source of frames is packetised, once.
#[derive(Debug)]
pub struct PacketsWanted {
    stream: Arc<LiveStream>,
    /// The tracks to subscribe to.
    pub tracks: PacketTracks,
}

impl PacketsWanted {
    /// Attaches the bridge where the source sends frames.
    ///
    /// # Errors
    /// Where the stream cannot be carried by WebRTC, in words for its publisher.
    pub async fn new(app: &Arc<App>, stream: &Arc<LiveStream>) -> Result<Self, Refusal> {
        if !stream.door.is_frames() {
            // Entered, so that leaving is the same for both; nothing is started.
            stream.packets_wanted.enter();
            return Ok(Self { stream: stream.clone(), tracks: stream.packets() });
        }
        if !stream.settled().await {
            return Err(Refusal::CannotServe(format!(
                "'{}' is live, but has sent no audio and no video yet",
                stream.key
            )));
        }
        can_be_carried(stream)?;
        let _starting = stream.packets_starting.lock().unwrap_or_else(PoisonError::into_inner);
        let start = stream.packets_wanted.enter();
        let mut wanted = Self { stream: stream.clone(), tracks: PacketTracks::default() };
        wanted.tracks = if start { begin(app, stream)? } else { stream.packets() };
        Ok(wanted)
    }
}

impl Drop for PacketsWanted {
    fn drop(&mut self) {
        self.stream.packets_wanted.leave();
    }
}

/// Makes the packet tracks and starts the task that fills them.
fn begin(app: &Arc<App>, stream: &Arc<LiveStream>) -> Result<PacketTracks, Refusal> {
    let make = |kind: Kind| -> Result<Option<PacketTrack>, Refusal> {
        let Some(track) = stream.track(kind) else { return Ok(None) };
        // Sound goes to browsers as Opus, whatever it came as.
        let codec = if kind == Kind::Audio { Codec::Opus } else { track.info.codec };
        let id = app.media.new_track(&stream.key);
        app.media.send(Command::AddTrack { id, codec, pace: Pace::Audience })?;
        Ok(Some(PacketTrack { id, codec }))
    };
    let made = make(Kind::Video).and_then(|video| Ok(PacketTracks { video, audio: make(Kind::Audio)? }));
    if made.is_err() {
        stream.packets_wanted.stopped();
    }
    let tracks = made?;
    stream.set_packets(tracks);
    app.counters.add("bridges_started", "to-packets");
    tokio::spawn(to_packets::run(app.clone(), stream.clone(), tracks));
    Ok(tracks)
}

/// Refuses what WebRTC cannot carry, in words for the publisher.
fn can_be_carried(stream: &LiveStream) -> Result<(), Refusal> {
    let frames = stream.frames();
    if let Some(codec) = frames.track(Kind::Video).map(|track| track.info.codec).filter(|&codec| codec != Codec::H264) {
        return Err(Refusal::CannotServe(format!(
            "this stream's video is {}, which is not carried from an encoder to WebRTC here; play it by RTMP, FLV or HLS, or set the encoder to H.264",
            codec.name()
        )));
    }
    if let Some(track) = frames.track(Kind::Video)
        && let media::Config::H264(config) = &track.info.config
        && !config.picture.is_plain()
    {
        return Err(Refusal::CannotServe(
            "this stream's H.264 is interlaced, not 4:2:0 or not 8 bits, which browsers do not decode over WebRTC; set the encoder to progressive yuv420p (ffmpeg: -pix_fmt yuv420p), or watch by FLV or HLS".into(),
        ));
    }
    if frames.stats(std::time::Instant::now()).b_frames == BFrames::Referenced {
        return Err(Refusal::CannotServe(B_FRAMES_ADVICE.into()));
    }
    Ok(())
}
