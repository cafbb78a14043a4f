//! Pushing: a source is read, paced, and handed to a session of the door's kind. A session that is lost is opened again,
//! and the source goes on meanwhile, as a live one would.

mod rtmp;
mod webrtc;

use std::{
    collections::VecDeque,
    future::Future,
    time::{Duration, Instant},
};

use media::{Frame, Kind, TrackInfo};
use serde::Serialize;
use tokio::{sync::mpsc, task::JoinHandle, time::sleep_until};

use crate::{
    Address, Error, Intent, Outcome, Pace, Retry, Source, Trust,
    meter::{Counted, Meter, TrackReport},
    source::Item,
};

/// Frames that may wait for the network: some seconds. Beyond it, pictures are left out up to the next key frame.
const FRAMES_MAX: usize = 256;
/// Items that are read before connecting, to know the tracks.
const AHEAD_MAX: usize = 64;
const OBSERVE: Duration = Duration::from_secs(1);
/// A session that is to end has so long for what waits and its good-bye.
const GOODBYE: Duration = Duration::from_secs(5);

/// How to push.
#[derive(Clone, Debug)]
pub struct PushOptions {
    /// Begin again where the source ends.
    pub repeat: bool,
    /// Stop after so much media; `None` goes on to the end.
    pub duration: Option<Duration>,
    /// Reconnects at most.
    pub reconnects_max: u32,
    /// Whose certificates are believed.
    pub trust: Trust,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PushReport {
    /// The kind of door.
    pub door: &'static str,
    /// Seconds since the start.
    pub seconds: f64,
    /// From the start until the server was ready, in milliseconds.
    pub ready_ms: Option<u64>,
    /// The picture, as it was read.
    pub video: Option<TrackReport>,
    /// The sound, as it was read.
    pub audio: Option<TrackReport>,
    /// Frames left out because the network was too slow, or while there was no connection.
    pub frames_dropped: u64,
    /// Key frames that the server asked for; a file cannot make any.
    pub key_frames_requested: u64,
    /// How late the newest frame was handed over, in milliseconds.
    pub late_ms: u64,
    /// Kilobits a second, lately.
    pub now_kbps: f64,
    /// Pictures a second, lately.
    pub now_fps: f64,
    /// Connections after the first.
    pub reconnects: u32,
}

/// What a session says.
#[derive(Debug)]
pub(crate) enum Event {
    /// Media may go.
    Ready,
    /// The server wants a key frame.
    KeyFrameRequested,
}

/// What a session is told first: the tracks, then frames. The end of the channel is the end of the stream.
pub(crate) type Items = mpsc::Receiver<Item>;
/// A session's way to say something.
pub(crate) type Events = mpsc::Sender<Event>;

/// The tracks of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tracks {
    pub(crate) audio: Option<TrackInfo>,
    pub(crate) video: Option<TrackInfo>,
}

impl Tracks {
    fn set(&mut self, info: TrackInfo) {
        match info.kind() {
            Kind::Audio => self.audio = Some(info),
            Kind::Video => self.video = Some(info),
        }
    }

    pub(crate) fn get(&self, kind: Kind) -> Option<&TrackInfo> {
        match kind {
            Kind::Audio => self.audio.as_ref(),
            Kind::Video => self.video.as_ref(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &TrackInfo> {
        self.video.iter().chain(&self.audio)
    }
}

/// Publishes until the source ends, it fails, or `stop` is ready. `observe` hears what was counted every second.
pub async fn push(
    source: Source,
    url: &str,
    options: &PushOptions,
    stop: impl Future<Output = ()>,
    mut observe: impl FnMut(&PushReport),
) -> Outcome<PushReport> {
    let address = match Address::parse(url, Intent::Push) {
        Ok(address) => address,
        Err(error) => return Outcome { report: PushReport::default(), error: Some(error.into()) },
    };
    let name = source.name();
    let mut pusher = Pusher::new(address.door(), source.start(options.repeat));
    let mut retry = Retry::new(options.reconnects_max);
    tokio::pin!(stop);
    if let Err(error) = pusher.look_ahead(&name).await {
        return Outcome { report: pusher.report(0), error: Some(error) };
    }
    let error = loop {
        let (items, received) = mpsc::channel(FRAMES_MAX);
        let (events, mut said) = mpsc::channel(FRAMES_MAX);
        let opened = open(address.clone(), options.trust, pusher.tracks.clone(), received, events);
        let mut session = tokio::spawn(opened);
        let ended = pusher.feed(items, &mut said, &mut session, options, &mut retry, &mut stop, &mut observe).await;
        let error = match ended {
            Ended::Source(error) => {
                let goodbye = tokio::time::timeout(GOODBYE, &mut session).await;
                if goodbye.is_err() {
                    session.abort();
                }
                let last = goodbye.ok().and_then(Result::ok).and_then(Result::err);
                break error.or(last);
            }
            Ended::Session(error) => error,
        };
        let Some(wait) = retry.after(&error) else { break Some(error) };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = &mut stop => break None,
        }
    };
    Outcome { report: pusher.report(retry.made()), error }
}

async fn open(address: Address, trust: Trust, tracks: Tracks, items: Items, events: Events) -> Result<(), Error> {
    match address {
        Address::Rtmp(target) => rtmp::run(target, trust, tracks, items, events).await,
        Address::WebRtc(signal) => webrtc::run(&signal, trust, tracks, items, events).await,
        Address::Flv(_) | Address::WsFlv(_) | Address::Hls(_) => {
            Err(Error::Unsupported("nothing is published by FLV or HLS".to_owned()))
        }
    }
}

/// Why feeding a session ended.
enum Ended {
    /// The source is at its end, failed, or it was told to stop.
    Source(Option<Error>),
    /// The session is over, though it should not.
    Session(Error),
}

struct Pusher {
    door: &'static str,
    source: mpsc::Receiver<Result<Item, Error>>,
    ahead: VecDeque<Item>,
    tracks: Tracks,
    pace: Pace,
    meter: Meter,
    began: Instant,
    ready: Option<Instant>,
    media_began_us: Option<i64>,
    waits_for_key: bool,
    dropped: u64,
    requested: u64,
    late: Duration,
    rates: (f64, f64),
}

impl Pusher {
    fn new(door: &'static str, source: mpsc::Receiver<Result<Item, Error>>) -> Self {
        Self {
            door,
            source,
            ahead: VecDeque::new(),
            tracks: Tracks::default(),
            pace: Pace::default(),
            meter: Meter::default(),
            began: Instant::now(),
            ready: None,
            media_began_us: None,
            waits_for_key: false,
            dropped: 0,
            requested: 0,
            late: Duration::ZERO,
            rates: (0.0, 0.0),
        }
    }

    /// Reads a little, to know the tracks before the door is asked.
    async fn look_ahead(&mut self, name: &str) -> Result<(), Error> {
        while self.ahead.len() < AHEAD_MAX {
            let Some(item) = self.source.recv().await else { break };
            let item = item?;
            if let Item::Track(info) = &item {
                self.tracks.set(info.clone());
                self.meter.track(info);
            } else {
                self.ahead.push_back(item);
            }
        }
        if self.tracks == Tracks::default() || self.ahead.is_empty() {
            return Err(Error::Source(format!("'{name}' has no picture and no sound that can be sent")));
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<Result<Item, Error>> {
        match self.ahead.pop_front() {
            Some(item) => Some(Ok(item)),
            None => self.source.recv().await,
        }
    }

    /// Feeds one session. Before the first is ready, nothing of the source is used up.
    #[allow(clippy::too_many_arguments, reason = "a loop over everything that can happen")]
    async fn feed(
        &mut self,
        items: mpsc::Sender<Item>,
        events: &mut mpsc::Receiver<Event>,
        session: &mut JoinHandle<Result<(), Error>>,
        options: &PushOptions,
        retry: &mut Retry,
        stop: &mut (impl Future<Output = ()> + Unpin),
        observe: &mut impl FnMut(&PushReport),
    ) -> Ended {
        let mut tick = tokio::time::interval(OBSERVE);
        let mut is_ready = false;
        let mut held: Option<(Instant, Frame)> = None;
        loop {
            // While a later session connects, the time of the source goes on, and its frames are gone.
            let runs = is_ready || self.ready.is_some();
            let due = held.as_ref().map(|(due, _)| *due);
            tokio::select! {
                biased;
                () = &mut *stop => return Ended::Source(None),
                ended = &mut *session => {
                    let error = match ended {
                        Ok(Ok(())) => Error::Lost("the server ended the session".to_owned()),
                        Ok(Err(error)) => error,
                        Err(error) => Error::Lost(format!("the session failed: {error}")),
                    };
                    self.waits_for_key = true;
                    return Ended::Session(error);
                }
                Some(event) = events.recv() => match event {
                    Event::Ready => {
                        is_ready = true;
                        retry.succeeded();
                        self.ready.get_or_insert_with(Instant::now);
                    }
                    Event::KeyFrameRequested => self.requested += 1,
                },
                now = tick.tick() => {
                    self.rates = self.meter.rates(now.into());
                    observe(&self.report(retry.made()));
                }
                next = self.next(), if runs && held.is_none() => match next {
                    None => return Ended::Source(None),
                    Some(Err(error)) => return Ended::Source(Some(error)),
                    Some(Ok(Item::Track(info))) => {
                        self.tracks.set(info.clone());
                        self.meter.track(&info);
                        let _ = items.try_send(Item::Track(info));
                    }
                    Some(Ok(Item::Frame(frame))) => {
                        let dts_us = self.dts_us(&frame);
                        let begin = *self.media_began_us.get_or_insert(dts_us);
                        let long = |duration: Duration| dts_us - begin >= duration.as_micros() as i64;
                        if options.duration.is_some_and(long) {
                            return Ended::Source(None);
                        }
                        held = Some((self.pace.due(Instant::now(), dts_us), frame));
                    }
                },
                () = wait(due), if held.is_some() => {
                    if let Some((due, frame)) = held.take() {
                        self.late = Pace::late(due, Instant::now());
                        self.hand_over(frame, is_ready, &items);
                    }
                }
            }
        }
    }

    fn dts_us(&self, frame: &Frame) -> i64 {
        frame.dts.as_micros(self.tracks.get(frame.kind()).map_or(90_000, |info| info.clock_rate_hz))
    }

    fn hand_over(&mut self, frame: Frame, is_ready: bool, items: &mpsc::Sender<Item>) {
        let counted = Counted {
            kind: frame.kind(),
            codec: frame.codec,
            key: frame.flags.key,
            dts_us: self.dts_us(&frame),
            bytes: frame.payload.len(),
        };
        let is_picture = counted.kind == Kind::Video;
        if is_picture && counted.key {
            self.waits_for_key = false;
        }
        let wanted = is_ready && !(is_picture && self.waits_for_key);
        if !wanted || items.try_send(Item::Frame(frame)).is_err() {
            self.dropped += 1;
            self.waits_for_key |= is_picture;
            return;
        }
        self.meter.frame(Instant::now(), counted);
    }

    fn report(&self, reconnects: u32) -> PushReport {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        PushReport {
            door: self.door,
            seconds: (self.began.elapsed().as_secs_f64() * 1e3).round() / 1e3,
            ready_ms: self.ready.map(|ready| millis(ready.saturating_duration_since(self.began))),
            video: self.meter.report(Kind::Video),
            audio: self.meter.report(Kind::Audio),
            frames_dropped: self.dropped,
            key_frames_requested: self.requested,
            late_ms: millis(self.late),
            now_kbps: self.rates.0.round(),
            now_fps: (self.rates.1 * 10.0).round() / 10.0,
            reconnects,
        }
    }
}

async fn wait(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
