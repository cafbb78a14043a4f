//! `/v1/streams`: the live streams, and one of them with the health of its publisher.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Path, Request, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
};
use live::{
    health::{self, B_FRAMES_ADVICE, Fault, Severity, Spell},
    stream::{BFrames, EndReason},
};
use media::{Codec, Config, Kind};
use utoipa::ToSchema;

use super::{
    credentials,
    health::{AudioMeasures, Health, LastMinute, Score, Told, VideoMeasures},
    identify, page,
    rest::{answer, named_application},
    schema::{Audio, FurtherTrack, Problem, Publisher, Stream, StreamPage, Video, Warning},
};
use crate::{
    app::App,
    clock::wall_now,
    door::{VIEWERS, stream_key},
    hub::LiveStream,
    query::Query,
    refusal::Refusal,
};

/// The live streams of the caller's application, for whoever may play them; with an admin token, those of all.
#[utoipa::path(
    get,
    path = "/v1/streams",
    operation_id = "streams",
    tag = "streams",
    params(
        ("sdkappid" = Option<u32>, Query, description = "The application; the token's own where it is left out"),
        ("usersig" = Option<String>, Query, description = "A UserSig, where no Authorization header is sent"),
        ("limit" = Option<u32>, Query, description = "Streams of a page, 1 to 1000; 1000 where it is left out"),
        ("cursor" = Option<String>, Query, description = "nextCursor of the page before"),
    ),
    responses(
        (status = 200, body = StreamPage),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security((), ("userSig" = []), ("adminToken" = []))
)]
pub async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match page_of(&app, &parts) {
        Ok(page) => answer(&page),
        Err(refusal) => app.refuse_http(refusal),
    }
}

fn page_of(app: &App, request: &Parts) -> Result<StreamPage, Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let application = caller(app, request)?;
    let mut all = app.hub.list();
    all.retain(|stream| application.is_none_or(|id| stream.key.application == id));
    // The name is padded so that it sorts as the number does.
    let name = |stream: &Arc<LiveStream>| {
        let key = &stream.key;
        format!("{:010}/{}/{}", key.application, key.app, key.stream)
    };
    all.sort_by_cached_key(name);
    let (streams, next_cursor) = page::Asked::read(&query)?.cut(all, name);
    Ok(StreamPage { streams: streams.iter().map(|stream| describe(stream, scored)).collect(), next_cursor })
}

/// One live stream of the caller's application, with the health of its publisher.
#[utoipa::path(
    get,
    path = "/v1/streams/{app}/{stream}",
    operation_id = "stream",
    tag = "streams",
    params(
        ("app" = String, Path, description = "The AppName"),
        ("stream" = String, Path, description = "The stream"),
        ("sdkappid" = Option<u32>, Query, description = "The application; the token's own where it is left out"),
        ("usersig" = Option<String>, Query, description = "A UserSig, where no Authorization header is sent"),
    ),
    responses(
        (status = 200, body = Stream<Health>),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security((), ("userSig" = []), ("adminToken" = []))
)]
pub async fn one(
    State(app): State<Arc<App>>,
    Path((live, stream)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let found = caller(&app, &parts)
        .map(|named| named.or_else(|| default_application(&app)).unwrap_or_default())
        .and_then(|application| stream_key(application, &live, &stream))
        .and_then(|key| app.hub.find(&key));
    match found {
        Ok(stream) => answer(&describe(&stream, measured)),
        Err(refusal) => app.refuse_http(refusal),
    }
}

/// The application that a caller may see: their own, or, with an admin token, the one that they name, or all.
fn caller(app: &App, request: &Parts) -> Result<Option<u32>, Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let admin = credentials(request, &query).bearer.is_some_and(|token| app.admin.knows(token));
    if admin { named_application(&query) } else { Ok(Some(identify(app, request)?.application)) }
}

fn default_application(app: &App) -> Option<u32> {
    app.gate.default_application().map(|application| application.id)
}

/// Ends a live stream, whoever publishes it. A publisher that tries again by itself is let in again: to keep it out,
/// change its key.
#[utoipa::path(
    delete,
    path = "/v1/streams/{app}/{stream}",
    operation_id = "end_stream",
    tag = "streams",
    params(
        ("app" = String, Path, description = "The AppName"),
        ("stream" = String, Path, description = "The stream"),
        ("sdkappid" = Option<u32>, Query, description = "The application; the default one where it is left out"),
    ),
    responses(
        (status = 204, description = "It has ended"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("adminToken" = []))
)]
pub async fn end(
    State(app): State<Arc<App>>,
    Path((live, stream)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    match kick(&app, &live, &stream, &parts) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => app.refuse_http(refusal),
    }
}

fn kick(app: &App, live: &str, stream: &str, request: &Parts) -> Result<(), Refusal> {
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let credentials = credentials(request, &query);
    app.admin.admit(credentials.bearer)?;
    let application = named_application(&query)?.or_else(|| default_application(app)).unwrap_or_default();
    let key = stream_key(application, live, stream)?;
    app.hub.end(&key, EndReason::Kicked)?;
    tracing::info!(stream = %key, peer = %credentials.peer, "an operator ended a stream");
    app.counters.add("streams_kicked", "operator");
    Ok(())
}

/// A stream as `/v1/streams` shows it; `health` takes what is to be said of its publisher, the faults, and the bitrate.
fn describe<H: ToSchema>(
    stream: &LiveStream,
    health: impl FnOnce(&LiveStream, Instant) -> (H, Vec<Spell>, u64),
) -> Stream<H> {
    let now = Instant::now();
    let (video, audio, stats) = {
        let frames = stream.frames();
        let info = |kind| frames.track(kind).map(|track| track.info.clone());
        (info(Kind::Video), info(Kind::Audio), frames.stats(now))
    };
    let (health, faults, bitrate_bps) = health(stream, now);
    let packets = stream.packets();
    let codec = |known: Option<Codec>, packet: Option<Codec>| known.or(packet).map(|codec| codec.name().to_owned());
    let video_codec = codec(video.as_ref().map(|info| info.codec), packets.video.map(|track| track.codec));
    let audio_codec = codec(audio.as_ref().map(|info| info.codec), packets.audio.map(|track| track.codec));
    let picture = video.as_ref().and_then(media::TrackInfo::picture_size);
    let sound = audio.as_ref().map(|info| match &info.config {
        Config::Aac(config) => (config.sample_rate_hz, config.channels),
        Config::Opus(config) => (info.clock_rate_hz, config.channels),
        _ => (info.clock_rate_hz, 2),
    });
    Stream {
        sdk_app_id: stream.key.application,
        app: stream.key.app.to_string(),
        stream: stream.key.stream.to_string(),
        publisher: Publisher { protocol: stream.door.name().to_owned(), since: stream.since.to_string() },
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
            channels: sound.map(|sound| sound.1.into()),
        }),
        // A source of packets has frames only while somebody needs them.
        bitrate: if stats.bitrate_bps > 0 { stats.bitrate_bps } else { bitrate_bps },
        further_tracks: stream.further.list().iter().map(|track| describe_further(track)).collect(),
        viewers: VIEWERS.into_iter().map(|name| (name.to_owned(), stream.viewers(name) as u64)).collect(),
        warnings: warnings(&faults, stats.b_frames),
        health,
    }
}

fn scored(stream: &LiveStream, now: Instant) -> (Score, Vec<Spell>, u64) {
    let (score, faults, bitrate_bps) = stream.health().summary(now);
    (Score { score: score.name().to_owned() }, faults, bitrate_bps)
}

fn measured(stream: &LiveStream, now: Instant) -> (Health, Vec<Spell>, u64) {
    let report = stream.health().report(now);
    let (faults, bitrate_bps) = (report.faults.clone(), report.bitrate_bps);
    (measures(report, now), faults, bitrate_bps)
}

fn describe_further(stream: &LiveStream) -> FurtherTrack {
    let codec = |kind| stream.track(kind).map(|track| track.info.codec.name().to_owned());
    let size = stream.track(Kind::Video).and_then(|track| track.info.picture_size());
    FurtherTrack {
        track: stream.number,
        video: codec(Kind::Video),
        width: size.map(|size| size.0),
        height: size.map(|size| size.1),
        audio: codec(Kind::Audio),
    }
}

fn measures(report: health::Report, now: Instant) -> Health {
    let told = |spells: Vec<Spell>| spells.into_iter().map(|spell| tell(&spell, now)).collect();
    Health {
        score: report.score.name().to_owned(),
        video: report.video.map(|video| VideoMeasures {
            codec: video.codec.map(|codec| codec.name().to_owned()),
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
            codec: audio.codec.map(|codec| codec.name().to_owned()),
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
        code: spell.fault.code().to_owned(),
        severity: spell.fault.severity().name().to_owned(),
        message: spell.fault.sentence(spell.found),
        count: spell.count,
        since: at(spell.since),
        last: at(spell.last),
    }
}

/// The faults that viewers notice. Of a source of packets the frames know better whether there are B-frames.
fn warnings(faults: &[Spell], b_frames: BFrames) -> Vec<Warning> {
    let noticed = faults.iter().filter(|spell| spell.fault.severity() >= Severity::Warn);
    let mut warnings: Vec<Warning> = noticed
        .map(|spell| Warning { code: spell.fault.code().to_owned(), message: spell.fault.sentence(spell.found) })
        .collect();
    let code = Fault::BFrames.code();
    if b_frames == BFrames::Referenced && !warnings.iter().any(|warning| warning.code == code) {
        warnings.push(Warning { code: code.to_owned(), message: B_FRAMES_ADVICE.to_owned() });
    }
    warnings
}

fn name_of(b_frames: BFrames) -> String {
    let name = match b_frames {
        BFrames::None => "none",
        BFrames::Discardable => "droppable",
        BFrames::Referenced => "referenced",
    };
    name.to_owned()
}

fn rounded(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}
