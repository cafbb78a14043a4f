//! WebRTC by any dialect: H.264 and Opus; AAC becomes Opus here.

use std::time::{Duration, Instant};

use live::{health::B_FRAMES_ADVICE, packetise::Packetiser, transcode::AacToOpus};
use media::{Codec, Config, Frame, Kind, TrackInfo, WallTime};
use rtc::Wanted;

use super::{Event, Events, Items, Tracks};
use crate::{
    Error, Intent, Signal, Trust,
    source::Item,
    webrtc::{Peer, Pulse},
};

/// A leg has to be looked at this often at least.
const TICK: Duration = Duration::from_secs(1);

pub(super) async fn run(
    signal: &Signal,
    trust: Trust,
    tracks: Tracks,
    mut items: Items,
    events: Events,
) -> Result<(), Error> {
    let mut sender = Sender::new(tracks)?;
    let mut peer = Peer::open(signal, Intent::Push, sender.wanted()?, trust).await?;
    sender.has_audio &= peer.has(Kind::Audio);
    let ended = loop {
        tokio::select! {
            pulse = peer.next(Some(Instant::now() + TICK)) => match pulse {
                Ok(Pulse::Connected) => _ = events.send(Event::Ready).await,
                Ok(Pulse::KeyFrameRequested) => _ = events.try_send(Event::KeyFrameRequested),
                Ok(_) => {}
                Err(error) => break Err(error),
            },
            item = items.recv() => match item {
                Some(item) => if let Err(error) = sender.take(item, &mut peer).await {
                    break Err(error);
                },
                None => break Ok(()),
            },
        }
    };
    peer.close().await;
    ended
}

struct Sender {
    tracks: Tracks,
    video: Packetiser,
    audio: Packetiser,
    opus: TrackInfo,
    transcoder: Option<AacToOpus>,
    has_audio: bool,
    wall: WallTime,
}

impl Sender {
    fn new(tracks: Tracks) -> Result<Self, Error> {
        let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut sender = Self {
            has_audio: tracks.audio.is_some(),
            video: Packetiser::new(Codec::H264),
            audio: Packetiser::new(Codec::Opus),
            opus: TrackInfo::opus(2),
            transcoder: None,
            wall: WallTime(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
            tracks,
        };
        sender.begin_sound()?;
        Ok(sender)
    }

    fn begin_sound(&mut self) -> Result<(), Error> {
        self.transcoder = match self.tracks.audio.as_ref().map(|info| &info.config) {
            Some(Config::Aac(config)) => {
                let made = AacToOpus::new(config);
                Some(made.map_err(|error| Error::Unsupported(format!("the sound cannot become Opus: {error}")))?)
            }
            _ => None,
        };
        Ok(())
    }

    /// What to offer.
    fn wanted(&self) -> Result<Wanted, Error> {
        let video = match self.tracks.video.as_ref().map(|info| (info.codec, &info.config)) {
            None => None,
            Some((_, Config::H264(config))) => {
                let sps = config.sps.first().map_or(&[][..], |sps| &sps[..]);
                let [profile, constraints, level] =
                    sps.get(1..4).and_then(|id| id.try_into().ok()).unwrap_or([0x42, 0xe0, 0x1f]);
                Some(u32::from_be_bytes([0, profile, constraints, level]))
            }
            Some((codec, _)) => {
                let name = codec.name();
                return Err(Error::Unsupported(format!("{name} is not published by WebRTC here; H264 is")));
            }
        };
        Ok(Wanted::Send { video, audio: self.has_audio, layers: 1 })
    }

    async fn take(&mut self, item: Item, peer: &mut Peer) -> Result<(), Error> {
        match item {
            Item::Track(info) => {
                self.tracks.set(info);
                self.begin_sound()
            }
            Item::Frame(frame) if frame.kind() == Kind::Video => self.picture(frame, peer).await,
            Item::Frame(frame) => self.sound(frame, peer).await,
        }
    }

    async fn picture(&mut self, mut frame: Frame, peer: &mut Peer) -> Result<(), Error> {
        if frame.flags.b_frame {
            if !frame.flags.discardable {
                return Err(Error::Unsupported(B_FRAMES_ADVICE.to_owned()));
            }
            // Nothing refers to them: without them the rest is in order.
            self.video.drop_b = true;
        }
        let Some(info) = &self.tracks.video else { return Ok(()) };
        frame.wall = self.wall + frame.pts.as_micros(info.clock_rate_hz);
        let mut packets = Vec::new();
        self.video.packetise(Instant::now(), info, &frame, &mut packets);
        peer.send(Kind::Video, &packets).await;
        Ok(())
    }

    async fn sound(&mut self, frame: Frame, peer: &mut Peer) -> Result<(), Error> {
        if !self.has_audio {
            return Ok(());
        }
        let mut frames = Vec::new();
        let frame = self.with_wall(frame);
        match &mut self.transcoder {
            // A damaged frame is left out; the decoder goes on with the next.
            Some(transcoder) => _ = transcoder.push(&frame, &mut frames),
            None => frames.push(frame),
        }
        let mut packets = Vec::new();
        for frame in &frames {
            self.audio.packetise(Instant::now(), &self.opus, frame, &mut packets);
        }
        peer.send(Kind::Audio, &packets).await;
        Ok(())
    }

    fn with_wall(&self, frame: Frame) -> Frame {
        let rate = self.tracks.audio.as_ref().map_or(48_000, |info| info.clock_rate_hz);
        Frame { wall: self.wall + frame.pts.as_micros(rate), ..frame }
    }
}
