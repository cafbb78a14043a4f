//! Packets to frames: attached while FLV, HLS or RTMP viewers are there. The source is asked for key frames, and its
//! Opus becomes AAC.

use std::{sync::Arc, time::Instant};

use live::{
    clock::Align,
    depacketise::{Depacketiser, Output},
};
use media::{Kind, RtpPacket};
use sfu::Command;
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior},
};

use super::LINGER;
use crate::{
    app::App,
    audio::{Lane, Transcoded},
    hub::{LiveStream, PacketTrack},
};

/// Runs while somebody needs the frames or until the stream ends.
pub(super) async fn run(app: Arc<App>, stream: Arc<LiveStream>) {
    let tracks = stream.packets();
    let mut bridge = Bridge::new(&app, &stream);
    for track in tracks.iter() {
        app.media.tell(Command::Tap { track: track.id, on: true });
    }
    let detach = || {
        for track in tracks.iter() {
            app.media.tell(Command::Tap { track: track.id, on: false });
            app.media.untap(track.id);
        }
    };
    let forget = || {
        detach();
        stream.forget_frames();
    };
    tokio::select! {
        () = bridge.pump() => {}
        _ = stream.over() => {
            detach();
            stream.frames_wanted.stopped();
        }
        () = stream.frames_wanted.gone(LINGER, forget) => {}
    }
}

struct Bridge<'a> {
    app: &'a Arc<App>,
    stream: &'a Arc<LiveStream>,
    align: Align,
    video: Option<Tapped>,
    audio: Option<Tapped>,
    lane: Option<(Lane, mpsc::Receiver<Transcoded>)>,
    key_frames: Interval,
}

struct Tapped {
    track: PacketTrack,
    packets: mpsc::Receiver<RtpPacket>,
    depacketiser: Depacketiser,
}

impl<'a> Bridge<'a> {
    fn new(app: &'a Arc<App>, stream: &'a Arc<LiveStream>) -> Self {
        let tracks = stream.packets();
        let tap = |track: Option<PacketTrack>| -> Option<Tapped> {
            let track = track?;
            let depacketiser = match Depacketiser::new(track.codec) {
                Ok(depacketiser) => depacketiser,
                Err(error) => {
                    tracing::warn!(stream = %stream.key, %error, "no frames of this track");
                    return None;
                }
            };
            let (_, packets) = app.media.tap([track.id]).pop()?;
            Some(Tapped { track, packets, depacketiser })
        };
        let mut key_frames = tokio::time::interval(app.key_frame_interval);
        key_frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            app,
            stream,
            align: Align::default(),
            video: tap(tracks.video),
            audio: tap(tracks.audio),
            lane: None,
            key_frames,
        }
    }

    async fn pump(&mut self) {
        loop {
            let deadline = [&self.video, &self.audio]
                .into_iter()
                .flatten()
                .filter_map(|tapped| tapped.depacketiser.poll_timeout())
                .min();
            tokio::select! {
                packet = receive(&mut self.video) => self.take(Kind::Video, packet),
                packet = receive(&mut self.audio) => self.take(Kind::Audio, packet),
                made = transcoded(&mut self.lane) => match made {
                    Transcoded::Track(info) => self.stream.announce(info),
                    Transcoded::Frame(frame) => self.stream.push(frame),
                },
                _ = self.key_frames.tick() => self.ask_for_key_frame(),
                () = at(deadline) => {
                    self.drain(Kind::Video);
                    self.drain(Kind::Audio);
                }
            }
        }
    }

    fn take(&mut self, kind: Kind, packet: RtpPacket) {
        let now = Instant::now();
        let tapped = match kind {
            Kind::Video => &mut self.video,
            Kind::Audio => &mut self.audio,
        };
        if let Some(tapped) = tapped {
            tapped.depacketiser.push(now, packet);
        }
        self.drain(kind);
    }

    fn drain(&mut self, kind: Kind) {
        let now = Instant::now();
        loop {
            let tapped = match kind {
                Kind::Video => &mut self.video,
                Kind::Audio => &mut self.audio,
            };
            let Some(output) = tapped.as_mut().and_then(|tapped| tapped.depacketiser.poll(now, &mut self.align)) else {
                return;
            };
            match output {
                Output::Track(info) if kind == Kind::Audio => match self.app.audio.open(&info) {
                    Ok(lane) => self.lane = Some(lane),
                    Err(error) => {
                        tracing::warn!(stream = %self.stream.key, %error, "no sound for FLV, HLS and RTMP viewers")
                    }
                },
                Output::Track(info) => self.stream.announce(info),
                Output::Frame(frame) if kind == Kind::Audio => {
                    if let Some((lane, _)) = &self.lane {
                        lane.push(frame);
                    }
                }
                Output::Frame(frame) => self.stream.push(frame),
                Output::NeedKeyFrame => self.ask_for_key_frame(),
            }
        }
    }

    fn ask_for_key_frame(&self) {
        if let Some(tapped) = &self.video {
            self.app.media.tell(Command::RequestKeyFrame { track: tapped.track.id });
        }
    }
}

/// The next packet of a track; never, where there is none.
async fn receive(tapped: &mut Option<Tapped>) -> RtpPacket {
    if let Some(tapped) = tapped
        && let Some(packet) = tapped.packets.recv().await
    {
        return packet;
    }
    std::future::pending().await
}

/// The next transcoded frame; never, where there is no lane.
async fn transcoded(lane: &mut Option<(Lane, mpsc::Receiver<Transcoded>)>) -> Transcoded {
    if let Some((_, made)) = lane
        && let Some(made) = made.recv().await
    {
        return made;
    }
    std::future::pending().await
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
