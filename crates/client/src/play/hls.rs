//! HLS of fragmented MP4.

use bytes::Bytes;

use super::{Event, Events};
use crate::{
    Error, HttpUrl, Trust,
    hls::{self, Follower, Media, Playlist, Step},
    mp4::{self, Movie},
    net::{Request, request},
    source::Item,
};

const PLAYLIST_BYTES_MAX: usize = 1 << 20;
const SEGMENT_BYTES_MAX: usize = 64 << 20;
/// Playlists of playlists.
const DEPTH_MAX: usize = 3;

pub(super) async fn run(url: &HttpUrl, trust: Trust, events: Events) -> Result<(), Error> {
    let played = async {
        let (url, media) = choose(url, trust).await?;
        follow(&url, media, trust, &events).await
    };
    tokio::select! {
        ended = played => ended,
        () = events.closed() => Ok(()),
    }
}

/// The media playlist of the best variant.
async fn choose(url: &HttpUrl, trust: Trust) -> Result<(HttpUrl, Media), Error> {
    let mut url = url.clone();
    for _ in 0..DEPTH_MAX {
        let (found, playlist) = playlist(&url, trust).await?;
        match playlist {
            Playlist::Media(media) => return Ok((found, media)),
            Playlist::Multivariant(variants) => {
                let best = variants.iter().max_by_key(|variant| variant.bandwidth_bps);
                url = found.join(best.map_or("", |variant| variant.uri.as_str()))?;
            }
        }
    }
    Err(Error::Malformed("a playlist of playlists of playlists".to_owned()))
}

async fn playlist(url: &HttpUrl, trust: Trust) -> Result<(HttpUrl, Playlist), Error> {
    let (found, text) = fetch(url, trust, PLAYLIST_BYTES_MAX).await?;
    let text = std::str::from_utf8(&text).map_err(|_| Error::Malformed("the playlist is not UTF-8".to_owned()))?;
    Ok((found, hls::parse(text).map_err(|error| Error::Malformed(error.to_string()))?))
}

async fn fetch(url: &HttpUrl, trust: Trust, bytes_max: usize) -> Result<(HttpUrl, Bytes), Error> {
    let answer = request(url, &Request::get(), trust).await?;
    Ok((answer.url, answer.body.whole(bytes_max).await?))
}

async fn follow(url: &HttpUrl, media: Media, trust: Trust, events: &Events) -> Result<(), Error> {
    let mut follower = Follower::default();
    let mut segments = Segments::default();
    let mut skipped = 0;
    follower.update(media);
    loop {
        match follower.step() {
            Step::Play(segment) => {
                if let Some(map) = &segment.map
                    && segments.map.as_ref() != Some(map)
                {
                    let (_, bytes) = fetch(&url.join(map)?, trust, SEGMENT_BYTES_MAX).await?;
                    for item in segments.begin(map, &bytes)? {
                        let _ = events.send(Event::Item(item)).await;
                    }
                }
                let (_, bytes) = fetch(&url.join(&segment.uri)?, trust, SEGMENT_BYTES_MAX).await?;
                for item in segments.take(&bytes)? {
                    let _ = events.send(Event::Item(item)).await;
                }
            }
            Step::Wait(wait) => {
                tokio::time::sleep(wait).await;
                match playlist(url, trust).await?.1 {
                    Playlist::Media(media) => follower.update(media),
                    Playlist::Multivariant(_) => {
                        return Err(Error::Malformed("the playlist changed its kind".to_owned()));
                    }
                }
            }
            Step::Ended => return Ok(()),
        }
        let gone = follower.skipped() - std::mem::replace(&mut skipped, follower.skipped());
        if gone > 0 {
            let _ = events.send(Event::Skipped(gone)).await;
        }
    }
}

/// Segments as items.
#[derive(Default)]
struct Segments {
    map: Option<String>,
    movie: Option<Movie>,
    next_dts: Vec<i64>,
}

impl Segments {
    fn begin(&mut self, map: &str, bytes: &Bytes) -> Result<Vec<Item>, Error> {
        let malformed = |error: &dyn std::fmt::Display| Error::Malformed(error.to_string());
        let mut moov = mp4::top_level(bytes).map_err(|error| malformed(&error))?.into_iter();
        let moov = moov.find(|part| &part.name == b"moov").map(|part| part.body).unwrap_or_default();
        let mut movie = mp4::movie(&moov).map_err(|error| malformed(&error))?;
        let mut items = Vec::new();
        for track in &mut movie.tracks {
            items.extend(track.coding.begin().map_err(|error| malformed(&error))?);
        }
        self.next_dts = vec![0; movie.tracks.len()];
        (self.map, self.movie) = (Some(map.to_owned()), Some(movie));
        Ok(items)
    }

    fn take(&mut self, bytes: &Bytes) -> Result<Vec<Item>, Error> {
        let malformed = |error: &dyn std::fmt::Display| Error::Malformed(error.to_string());
        let Some(movie) = &mut self.movie else {
            let advice = "the segments are no fragmented MP4; MPEG-TS is not played here";
            return Err(Error::Unsupported(advice.to_owned()));
        };
        mp4::frames(bytes, movie, &mut self.next_dts).map_err(|error| malformed(&error))
    }
}
