//! Playing: a session for each kind of door hands over frames, and they are counted here.

mod flv;
mod hls;
mod rtmp;
mod webrtc;

use std::{
    future::Future,
    time::{Duration, Instant},
};

use media::{Kind, TrackInfo};
use serde::Serialize;
use tokio::{sync::mpsc, task::JoinHandle, time::sleep_until};

use crate::{
    Address, Error, Intent, Outcome, Retry, Trust,
    meter::{Counted, Meter, Packets, TrackReport},
    source::Item,
};

/// Events of a session that wait to be counted.
const EVENTS_MAX: usize = 1_024;
/// How often the observer hears.
const OBSERVE: Duration = Duration::from_secs(1);
/// A session that is to end has so long for its good-bye.
const GOODBYE: Duration = Duration::from_secs(2);

/// How to play.
#[derive(Clone, Debug)]
pub struct PlayOptions {
    /// Stop after so much time from the first frame; `None` goes on until the stream ends.
    pub duration: Option<Duration>,
    /// Reconnects at most.
    pub reconnects_max: u32,
    /// Whose certificates are believed.
    pub trust: Trust,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlayReport {
    /// The kind of door.
    pub door: &'static str,
    /// Seconds since the start.
    pub seconds: f64,
    /// From the start to the first frame, in milliseconds.
    pub first_frame_ms: Option<u64>,
    /// From the start to the first picture that a decoder can start with, in milliseconds.
    pub first_key_frame_ms: Option<u64>,
    /// The picture.
    pub video: Option<TrackReport>,
    /// The sound.
    pub audio: Option<TrackReport>,
    /// RTP packets, where there are any.
    pub packets: Option<Packets>,
    /// How much later than the fastest frame the newest came, in milliseconds.
    pub behind_ms: i64,
    /// Kilobits a second, lately.
    pub now_kbps: f64,
    /// Pictures a second, lately.
    pub now_fps: f64,
    /// Segments that were gone before they could be played (HLS).
    pub segments_skipped: u64,
    /// Connections after the first.
    pub reconnects: u32,
}

/// What a session says.
#[derive(Debug)]
pub(crate) enum Event {
    /// A track or a frame.
    Item(Item),
    /// A frame whose coding is not taken apart: only counted.
    Counted(Counted),
    /// The newest count of packets.
    Packets(Packets),
    /// Segments were gone.
    Skipped(u64),
}

/// A session's way out; it ends when nobody listens.
pub(crate) type Events = mpsc::Sender<Event>;

/// Plays until it ends, fails, or `stop` is ready. `observe` hears what was counted every second.
pub async fn play(
    url: &str,
    options: &PlayOptions,
    stop: impl Future<Output = ()>,
    mut observe: impl FnMut(&PlayReport),
) -> Outcome<PlayReport> {
    let address = match Address::parse(url, Intent::Play) {
        Ok(address) => address,
        Err(error) => return Outcome { report: PlayReport::default(), error: Some(error.into()) },
    };
    let mut player = Player::new(address.door());
    let mut retry = Retry::new(options.reconnects_max);
    tokio::pin!(stop);
    let error = loop {
        let (events, mut received) = mpsc::channel(EVENTS_MAX);
        let mut session = tokio::spawn(open(address.clone(), options.trust, events));
        let ended = player.watch(&mut received, &mut session, options, &mut retry, &mut stop, &mut observe).await;
        drop(received);
        let Some(result) = ended else {
            // It notices that nobody listens, and says good-bye.
            if tokio::time::timeout(GOODBYE, &mut session).await.is_err() {
                session.abort();
            }
            break None;
        };
        let Err(error) = result else { break None };
        let Some(wait) = retry.after(&error) else { break Some(error) };
        player.meter.renew();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = &mut stop => break None,
        }
    };
    let report = player.report(retry.made());
    let error = error.or_else(|| player.nothing(&report));
    Outcome { report, error }
}

async fn open(address: Address, trust: Trust, events: Events) -> Result<(), Error> {
    match address {
        Address::Rtmp(target) => rtmp::run(target, trust, events).await,
        Address::Flv(url) => flv::over_http(&url, trust, events).await,
        Address::WsFlv(url) => flv::over_ws(&url, trust, events).await,
        Address::Hls(url) => hls::run(&url, trust, events).await,
        Address::WebRtc(signal) => webrtc::run(&signal, trust, events).await,
    }
}

struct Player {
    door: &'static str,
    meter: Meter,
    began: Instant,
    first_key: Option<Instant>,
    packets: Option<Packets>,
    packets_before: Packets,
    skipped: u64,
    rates_hz: [u32; 2],
    rates: (f64, f64),
}

impl Player {
    fn new(door: &'static str) -> Self {
        Self {
            door,
            meter: Meter::default(),
            began: Instant::now(),
            first_key: None,
            packets: None,
            packets_before: Packets::default(),
            skipped: 0,
            rates_hz: [48_000, 90_000],
            rates: (0.0, 0.0),
        }
    }

    /// Counts until the session ends; `None` where it is to be ended.
    async fn watch(
        &mut self,
        events: &mut mpsc::Receiver<Event>,
        session: &mut JoinHandle<Result<(), Error>>,
        options: &PlayOptions,
        retry: &mut Retry,
        stop: &mut (impl Future<Output = ()> + Unpin),
        observe: &mut impl FnMut(&PlayReport),
    ) -> Option<Result<(), Error>> {
        let mut tick = tokio::time::interval(OBSERVE);
        self.packets_before = self.packets.unwrap_or_default();
        loop {
            let deadline = options.duration.and_then(|duration| Some(self.meter.first()? + duration));
            let due = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.take(event, retry),
                    None => {
                        let lost = |error| Err(Error::Lost(format!("the session failed: {error}")));
                        return Some(session.await.unwrap_or_else(lost));
                    }
                },
                () = due => return None,
                () = &mut *stop => return None,
                now = tick.tick() => {
                    self.rates = self.meter.rates(now.into());
                    observe(&self.report(retry.made()));
                }
            }
        }
    }

    fn take(&mut self, event: Event, retry: &mut Retry) {
        match event {
            Event::Item(Item::Track(info)) => self.track(&info),
            Event::Item(Item::Frame(frame)) => {
                let [audio, video] = self.rates_hz;
                let rate = if frame.kind() == Kind::Video { video } else { audio };
                self.count(Counted {
                    kind: frame.kind(),
                    codec: frame.codec,
                    key: frame.flags.key,
                    dts_us: frame.dts.as_micros(rate),
                    bytes: frame.payload.len(),
                });
                retry.succeeded();
            }
            Event::Counted(frame) => {
                self.count(frame);
                retry.succeeded();
            }
            Event::Packets(packets) => {
                let before = self.packets_before;
                let (received, lost) = (before.received + packets.received, before.lost + packets.lost);
                self.packets = Some(Packets { received, lost, ..packets });
            }
            Event::Skipped(segments) => self.skipped += segments,
        }
    }

    fn track(&mut self, info: &TrackInfo) {
        let [audio, video] = &mut self.rates_hz;
        *(if info.kind() == Kind::Video { video } else { audio }) = info.clock_rate_hz;
        self.meter.track(info);
    }

    fn count(&mut self, frame: Counted) {
        let now = Instant::now();
        if frame.kind == Kind::Video && frame.key {
            self.first_key.get_or_insert(now);
        }
        self.meter.frame(now, frame);
    }

    fn report(&self, reconnects: u32) -> PlayReport {
        let since =
            |at: Instant| u64::try_from(at.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        PlayReport {
            door: self.door,
            seconds: (self.began.elapsed().as_secs_f64() * 1e3).round() / 1e3,
            first_frame_ms: self.meter.first().map(since),
            first_key_frame_ms: self.first_key.map(since),
            video: self.meter.report(Kind::Video),
            audio: self.meter.report(Kind::Audio),
            packets: self.packets,
            behind_ms: self.meter.behind_ms(),
            now_kbps: self.rates.0.round(),
            now_fps: (self.rates.1 * 10.0).round() / 10.0,
            segments_skipped: self.skipped,
            reconnects,
        }
    }

    /// The stream ended before anything of it came: that is no success.
    fn nothing(&self, report: &PlayReport) -> Option<Error> {
        let nothing = report.first_frame_ms.is_none();
        nothing.then(|| Error::Lost("no frame came before the end".to_owned()))
    }
}
