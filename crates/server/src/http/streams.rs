//! `/v1/streams`: the live streams, and one of them with its health.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use live::{
    health::{self, B_FRAMES_ADVICE, Fault, Severity, Spell},
    stream::BFrames,
};
use media::{Codec, Config, Kind};
use serde::Serialize;

use super::{fresh, identify};
use crate::{
    app::App,
    clock::wall_now,
    door::{VIEWERS, stream_key},
    hub::LiveStream,
};

/// The live streams of the caller's application, for whoever may play them.
pub async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let identity = match identify(&app, &parts) {
        Ok(identity) => identity,
        Err(refusal) => return app.refuse_http(refusal),
    };
    let own = app.hub.list().into_iter().filter(|stream| stream.key.application == identity.application);
    answer(&Streams { streams: own.map(|stream| describe(&stream, false)).collect() })
}

/// One live stream of the caller's application, with its health.
pub async fn one(
    State(app): State<Arc<App>>,
    Path((name, stream)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let found = identify(&app, &parts)
        .and_then(|identity| stream_key(identity.application, &name, &stream))
        .and_then(|key| app.hub.find(&key));
    match found {
        Ok(stream) => answer(&describe(&stream, true)),
        Err(refusal) => app.refuse_http(refusal),
    }
}

/// The answer of `GET /v1/streams`.
#[derive(Debug, Serialize)]
struct Streams {
    streams: Vec<Entry>,
}

/// One live stream.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    app: String,
    stream: String,
    publisher: Publisher,
    video: Option<Video>,
    audio: Option<Audio>,
    /// Bits a second.
    bitrate: u64,
    /// What the publisher sends beside the first picture and sound.
    further_tracks: Vec<FurtherTrack>,
    viewers: BTreeMap<&'static str, usize>,
    /// The faults that viewers notice.
    warnings: Vec<Warning>,
    health: Health,
}

/// A further track: its number for `?track=`, and how both kinds are coded there.
#[derive(Debug, Serialize)]
struct FurtherTrack {
    track: u8,
    video: Option<&'static str>,
    width: Option<u32>,
    height: Option<u32>,
    audio: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Publisher {
    protocol: &'static str,
    since: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Video {
    codec: &'static str,
    width: Option<u32>,
    height: Option<u32>,
    frame_rate: f64,
    b_frames: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Audio {
    codec: &'static str,
    sample_rate: Option<u32>,
    channels: Option<u8>,
}

#[derive(Debug, Serialize)]
struct Warning {
    code: &'static str,
    message: String,
}

/// What the publisher sends; in a list the score alone.
#[derive(Debug, Serialize)]
struct Health {
    score: &'static str,
    #[serde(flatten)]
    measures: Option<Measures>,
}

/// What was measured over the last seconds, before anything was put right. What is not known is null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measures {
    video: Option<VideoMeasures>,
    audio: Option<AudioMeasures>,
    /// Bits a second of both.
    bitrate: u64,
    /// Media seconds that come each second.
    speed: Option<f64>,
    /// How far apart sound and picture of the same time come, in milliseconds.
    interleave_ms: Option<u32>,
    /// How often nothing came for seconds.
    stalls: u64,
    faults: Vec<Told>,
    history: Vec<Told>,
    last_minute: LastMinute,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VideoMeasures {
    codec: Option<&'static str>,
    profile: Option<String>,
    level: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    frame_rate: Option<f64>,
    frame_rate_claimed: Option<f64>,
    bitrate: Option<u64>,
    gop_ms: Option<u64>,
    gop_ms_max: Option<u64>,
    gop_frames: Option<u32>,
    b_frames: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AudioMeasures {
    codec: Option<&'static str>,
    profile: Option<String>,
    sample_rate: Option<u32>,
    channels: Option<u8>,
    bitrate: Option<u64>,
}

/// A fault, and what to do about it.
#[derive(Debug, Serialize)]
struct Told {
    code: &'static str,
    severity: &'static str,
    message: String,
    count: u64,
    since: String,
    last: String,
}

/// A value for each whole second, the oldest first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LastMinute {
    /// Bits that came.
    bitrate: Vec<u64>,
    /// Pictures that came.
    frame_rate: Vec<u32>,
}

fn answer(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => fresh("application/json", Body::from(body)),
        // Numbers, texts and lists of them: there is nothing that could not be written.
        Err(error) => {
            tracing::error!(%error, "an answer of /v1/streams cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn describe(stream: &LiveStream, whole: bool) -> Entry {
    let now = Instant::now();
    let (video, audio, stats) = {
        let frames = stream.frames();
        let info = |kind| frames.track(kind).map(|track| track.info.clone());
        (info(Kind::Video), info(Kind::Audio), frames.stats(now))
    };
    let Judged { score, faults, bitrate_bps, measures } = judge(stream, now, whole);
    let packets = stream.packets();
    let codec = |known: Option<Codec>, packet: Option<Codec>| known.or(packet).map(Codec::name);
    let video_codec = codec(video.as_ref().map(|info| info.codec), packets.video.map(|track| track.codec));
    let audio_codec = codec(audio.as_ref().map(|info| info.codec), packets.audio.map(|track| track.codec));
    let picture = video.as_ref().and_then(media::TrackInfo::picture_size);
    let sound = audio.as_ref().map(|info| match &info.config {
        Config::Aac(config) => (config.sample_rate_hz, config.channels),
        Config::Opus(config) => (info.clock_rate_hz, config.channels),
        _ => (info.clock_rate_hz, 2),
    });
    Entry {
        app: stream.key.app.to_string(),
        stream: stream.key.stream.to_string(),
        publisher: Publisher { protocol: stream.door.name(), since: stream.since.to_string() },
        video: video_codec.map(|codec| Video {
            codec,
            width: picture.map(|size| size.0),
            height: picture.map(|size| size.1),
            frame_rate: rounded(stats.frame_rate),
            b_frames: name_of(stats.b_frames),
        }),
        audio: audio_codec.map(|codec| Audio {
            codec,
            sample_rate: sound.map(|sound| sound.0),
            channels: sound.map(|sound| sound.1),
        }),
        // A source of packets has frames only while somebody needs them.
        bitrate: if stats.bitrate_bps > 0 { stats.bitrate_bps } else { bitrate_bps },
        further_tracks: stream.further.list().iter().map(|track| describe_further(track)).collect(),
        viewers: VIEWERS.into_iter().map(|name| (name, stream.viewers(name))).collect(),
        warnings: warnings(&faults, stats.b_frames),
        health: Health { score, measures },
    }
}

fn describe_further(stream: &LiveStream) -> FurtherTrack {
    let codec = |kind| stream.track(kind).map(|track| track.info.codec.name());
    let size = stream.track(Kind::Video).and_then(|track| track.info.picture_size());
    FurtherTrack {
        track: stream.number,
        video: codec(Kind::Video),
        width: size.map(|size| size.0),
        height: size.map(|size| size.1),
        audio: codec(Kind::Audio),
    }
}

/// What is known of a publisher's health.
struct Judged {
    score: &'static str,
    faults: Vec<Spell>,
    bitrate_bps: u64,
    /// Where they are wanted.
    measures: Option<Measures>,
}

fn judge(stream: &LiveStream, now: Instant, whole: bool) -> Judged {
    if !whole {
        let (score, faults, bitrate_bps) = stream.health().summary(now);
        return Judged { score: score.name(), faults, bitrate_bps, measures: None };
    }
    let report = stream.health().report(now);
    let (score, faults, bitrate_bps) = (report.score.name(), report.faults.clone(), report.bitrate_bps);
    Judged { score, faults, bitrate_bps, measures: Some(measures(report, now)) }
}

fn measures(report: health::Report, now: Instant) -> Measures {
    let told = |spells: Vec<Spell>| spells.into_iter().map(|spell| tell(&spell, now)).collect();
    Measures {
        video: report.video.map(|video| VideoMeasures {
            codec: video.codec.map(Codec::name),
            width: video.coding.size.map(|size| size.0),
            height: video.coding.size.map(|size| size.1),
            profile: video.coding.profile,
            level: video.coding.level,
            frame_rate: video.frame_rate.map(rounded),
            frame_rate_claimed: video.frame_rate_claimed.map(rounded),
            bitrate: video.bitrate_bps,
            gop_ms: video.gop.map(|gop| gop.0),
            gop_ms_max: video.gop_ms_max,
            gop_frames: video.gop.map(|gop| gop.1),
            b_frames: name_of(video.b_frames),
        }),
        audio: report.audio.map(|audio| AudioMeasures {
            codec: audio.codec.map(Codec::name),
            sample_rate: audio.coding.sound.map(|sound| sound.0),
            channels: audio.coding.sound.map(|sound| sound.1),
            profile: audio.coding.profile,
            bitrate: audio.bitrate_bps,
        }),
        bitrate: report.bitrate_bps,
        speed: report.speed.map(|speed| (speed * 100.0).round() / 100.0),
        interleave_ms: report.apart_ms,
        stalls: report.stalls,
        faults: told(report.faults),
        history: told(report.history),
        last_minute: LastMinute {
            bitrate: report.seconds.iter().map(|second| (second.video_bytes + second.audio_bytes) * 8).collect(),
            frame_rate: report.seconds.iter().map(|second| second.pictures).collect(),
        },
    }
}

fn tell(spell: &Spell, now: Instant) -> Told {
    let ago = |at: Instant| i64::try_from(now.saturating_duration_since(at).as_micros()).unwrap_or(i64::MAX);
    let at = |instant| (wall_now() + ago(instant).saturating_neg()).to_string();
    Told {
        code: spell.fault.code(),
        severity: spell.fault.severity().name(),
        message: spell.fault.sentence(spell.found),
        count: spell.count,
        since: at(spell.since),
        last: at(spell.last),
    }
}

/// The faults that viewers notice. Of a source of packets the frames know better whether there are B-frames.
fn warnings(faults: &[Spell], b_frames: BFrames) -> Vec<Warning> {
    let noticed = faults.iter().filter(|spell| spell.fault.severity() >= Severity::Warn);
    let mut warnings: Vec<Warning> =
        noticed.map(|spell| Warning { code: spell.fault.code(), message: spell.fault.sentence(spell.found) }).collect();
    let code = Fault::BFrames.code();
    if b_frames == BFrames::Referenced && !warnings.iter().any(|warning| warning.code == code) {
        warnings.push(Warning { code, message: B_FRAMES_ADVICE.to_owned() });
    }
    warnings
}

fn name_of(b_frames: BFrames) -> &'static str {
    match b_frames {
        BFrames::None => "none",
        BFrames::Discardable => "droppable",
        BFrames::Referenced => "referenced",
    }
}

fn rounded(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}
