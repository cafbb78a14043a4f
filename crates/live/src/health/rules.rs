//! What is applied once a second: which measures are faults.

use std::time::{Duration, Instant};

use media::{Codec, Kind};

use super::{Coding, Fault, Health, Moved, PACKETS_STALL, STALL, Second, report::rate_of};
use crate::stream::BFrames;

/// Whole seconds over which rates are taken.
pub(super) const WINDOW_S: usize = 5;
/// A track that is announced has to come within this, and may pause so long.
const MISSING: Duration = Duration::from_secs(3);
/// A track that came within this goes on.
const ALIVE: Duration = Duration::from_secs(1);
/// Key frames further apart than this keep viewers waiting. A little more than the three seconds that encoders round to.
const GOP_MS_MAX: i64 = 3_100;
/// Distances between key frames before anything is said of their evenness.
const GOPS_MIN: usize = 4;
const GOPS_UNEVEN_MS: i64 = 500;
/// Sound and picture may come so far apart.
const APART_MS_MAX: u32 = 1_000;
/// Fewer pictures a second are few.
const FRAME_RATE_MIN: f64 = 10.0;
/// Pictures before anything is said of their evenness, and how many in a hundred may be uneven.
const PICTURES_MIN: u32 = 30;
const UNEVEN_PERCENT_MAX: u32 = 10;
/// The frame rate may differ from what is claimed by this part of it.
const CLAIM_TOLERANCE: f64 = 0.15;
/// Media seconds a second, below which viewers run dry.
const SPEED_MIN: f64 = 0.9;
/// For so many seconds on end: what was held up for a moment comes together with the next.
const SLOW_S_MIN: u32 = 3;
/// Media that may come within one second, and how long an encoder may take to begin.
const BURST_MS_MIN: u32 = 1_700;
const BURST_PICTURES_MIN: f64 = 1.5;
const SETTLE: Duration = Duration::from_secs(4);
/// Fewer bits a second are few for a picture of at least so many pixels.
const BITRATE_BPS_MIN: u64 = 50_000;
const BITRATE_PIXELS_MIN: u32 = 320 * 180;
/// The bitrate of one window may be so many times that of the other, unless both are low.
const SWING_MAX: u64 = 3;
const SWING_BPS_MIN: u64 = 300_000;

/// Packets that are missing from a second before anything is said, and how many of a hundred that has to be.
const LOST_MIN: u64 = 3;
const LOST_PERCENT_MIN: f64 = 2.0;

impl Health {
    /// Applies all rules; a second has become whole.
    pub(super) fn judge(&mut self, now: Instant) {
        self.judge_silence(now);
        self.judge_coding(now);
        if self.packets.is_none() {
            self.judge_keys(now);
            self.judge_pictures(now);
            self.judge_bitrate(now);
            self.judge_pace(now);
        }
    }

    /// What a track is, for as long as it is.
    pub(super) fn judge_coding(&mut self, now: Instant) {
        let packets = self.packets.unwrap_or_default();
        let video = self.video.info.as_ref().map(|info| info.codec);
        match video.or(packets.video) {
            Some(Codec::Vp8 | Codec::Vp9 | Codec::Av1 | Codec::H265) if video.is_none() => {
                self.ledger.raise(now, Fault::CodecOnlyWebrtc, 0.0);
            }
            Some(Codec::Vp9 | Codec::Av1 | Codec::H265) => self.ledger.raise(now, Fault::CodecNotEverywhere, 0.0),
            _ => {}
        }
        if self.video.keys.b_frames == BFrames::Referenced {
            self.ledger.raise(now, Fault::BFrames, 0.0);
        }
        let Some(info) = &self.audio.info else { return };
        let coding = Coding::of(info);
        if coding.he_aac {
            self.ledger.raise(now, Fault::HeAac, 0.0);
        }
        if let Some((_, channels @ 3..)) = coding.sound {
            self.ledger.raise(now, Fault::ManyChannels, channels.into());
        }
    }

    /// What is missing of the packets that came between two looks. What was still to come at the first may have come at the
    /// second, so that a few are nothing.
    pub(super) fn judge_loss(&mut self, now: Instant, before: Moved, sent: Moved) {
        let lost = sent.lost.saturating_sub(before.lost);
        let all = sent.packets.saturating_sub(before.packets).saturating_add(lost);
        let percent = lost as f64 * 100.0 / all.max(1) as f64;
        if lost >= LOST_MIN && percent >= LOST_PERCENT_MIN {
            self.ledger.raise(now, Fault::PacketsLost, percent);
        }
    }

    fn judge_silence(&mut self, now: Instant) {
        let stall = if self.packets.is_some() { PACKETS_STALL } else { STALL };
        if let Some(heard) = self.heard
            && now.saturating_duration_since(heard) > stall
        {
            self.ledger.raise(now, Fault::Stalled, now.saturating_duration_since(heard).as_secs_f64());
            return;
        }
        let tracks = [(&self.video, &self.audio, Fault::VideoMissing), (&self.audio, &self.video, Fault::AudioMissing)];
        for (lane, other, fault) in tracks {
            if let Some(missing_s) = lane.missing_s(now).filter(|missing_s| *missing_s > MISSING.as_secs_f64())
                && other.is_alive(now, ALIVE)
            {
                self.ledger.raise(now, fault, missing_s);
            }
        }
    }

    fn judge_keys(&mut self, now: Instant) {
        if !self.video.is_alive(now, STALL) {
            return;
        }
        let keys = &self.video.keys;
        if !keys.begun {
            let since = self.video.first.map_or(Duration::ZERO, |first| now.saturating_duration_since(first));
            if since >= MISSING {
                self.ledger.raise(now, Fault::NoKeyFrame, since.as_secs_f64());
            }
            return;
        }
        let newest_ms = keys.gops.back().map_or(0, |gop| gop.0).max(keys.open_ms);
        if newest_ms > GOP_MS_MAX {
            self.ledger.raise(now, Fault::KeyFrameIntervalLong, newest_ms as f64 / 1_000.0);
        }
        // By pictures as well: a source that paused has long distances in time alone.
        let (shortest, longest) = (keys.gops.iter().min_by_key(|gop| gop.1), keys.gops.iter().max_by_key(|gop| gop.1));
        if keys.gops.len() >= GOPS_MIN
            && let (Some(shortest), Some(longest)) = (shortest, longest)
            && longest.1 > shortest.1.saturating_mul(2)
            && longest.0.saturating_sub(shortest.0) > GOPS_UNEVEN_MS
        {
            self.ledger.raise(now, Fault::KeyFrameIntervalIrregular, longest.0 as f64 / 1_000.0);
        }
    }

    fn judge_pictures(&mut self, now: Instant) {
        if !self.is_settled(now, Kind::Video, WINDOW_S) {
            return;
        }
        let seconds = || self.window.newest(WINDOW_S);
        let Some(rate) = rate_of(seconds()) else { return };
        let sum = |of: fn(&Second) -> u32| seconds().map(of).fold(0, u32::saturating_add);
        let (pictures, uneven) = (sum(|second| second.pictures), sum(|second| second.uneven));
        let claim = self.claims.frame_rate;
        if rate < FRAME_RATE_MIN {
            self.ledger.raise(now, Fault::FrameRateLow, rate);
        }
        if pictures >= PICTURES_MIN && uneven.saturating_mul(100) > pictures.saturating_mul(UNEVEN_PERCENT_MAX) {
            self.ledger.raise(now, Fault::FrameRateUnstable, f64::from(uneven) * 100.0 / f64::from(pictures));
        }
        if claim.is_some_and(|claim| (rate - claim).abs() > claim * CLAIM_TOLERANCE) {
            self.ledger.raise(now, Fault::FrameRateClaim, rate);
        }
    }

    fn judge_bitrate(&mut self, now: Instant) {
        let bps = |seconds: &mut dyn Iterator<Item = &Second>| {
            seconds.map(|second| second.video_bytes).fold(0, u64::saturating_add).saturating_mul(8) / WINDOW_S as u64
        };
        let newest_bps = bps(&mut self.window.newest(WINDOW_S));
        let before_bps = bps(&mut self.window.newest(2 * WINDOW_S).skip(WINDOW_S));
        let kbps = newest_bps as f64 / 1_000.0;
        let pixels = self.video.info.as_ref().and_then(|info| Coding::of(info).size);
        let is_large = pixels.is_some_and(|(width, height)| width.saturating_mul(height) >= BITRATE_PIXELS_MIN);
        if is_large && newest_bps < BITRATE_BPS_MIN && self.is_settled(now, Kind::Video, WINDOW_S) {
            self.ledger.raise(now, Fault::BitrateLow, kbps);
        }
        let (low, high) = (newest_bps.min(before_bps), newest_bps.max(before_bps));
        if high >= SWING_BPS_MIN
            && low.saturating_mul(SWING_MAX) < high
            && self.is_settled(now, Kind::Video, 2 * WINDOW_S)
        {
            self.ledger.raise(now, Fault::BitrateUnstable, kbps);
        }
    }

    fn judge_pace(&mut self, now: Instant) {
        let slow = self.speed(now).filter(|speed| *speed < SPEED_MIN);
        self.slow_s = if slow.is_some() { self.slow_s.saturating_add(1) } else { 0 };
        if let Some(speed) = slow.filter(|_| self.slow_s >= SLOW_S_MIN) {
            self.ledger.raise(now, Fault::Slow, speed);
        }
        let newest = self.window.newest(1).next().copied().unwrap_or_default();
        let newest_ms = if newest.pictures > 0 { newest.video_ms } else { newest.audio_ms };
        // A step over pictures that were left out is long, but no flood.
        let usual = rate_of(self.window.newest(WINDOW_S)).unwrap_or(0.0);
        let is_flood = newest.pictures == 0 || f64::from(newest.pictures) > usual * BURST_PICTURES_MIN;
        if newest_ms >= BURST_MS_MIN && is_flood && self.window.age() >= SETTLE {
            self.ledger.raise(now, Fault::Bursts, f64::from(newest_ms) / 1_000.0);
        }
        let apart = self.window.newest(2).filter_map(|second| second.apart_ms).filter(|apart| *apart > APART_MS_MAX);
        if let (2, Some(apart_ms)) = (apart.clone().count(), apart.min()) {
            self.ledger.raise(now, Fault::Apart, f64::from(apart_ms) / 1_000.0);
        }
    }

    /// Media seconds that come each second, by the picture where there is one; `None` until it has come in each of the
    /// last seconds.
    pub(super) fn speed(&self, now: Instant) -> Option<f64> {
        let is_video = self.is_settled(now, Kind::Video, WINDOW_S);
        if !is_video && !self.is_settled(now, Kind::Audio, WINDOW_S) {
            return None;
        }
        let of = |second: &Second| match is_video {
            true => second.video_ms.saturating_add(second.video_gap_ms),
            false => second.audio_ms.saturating_add(second.audio_gap_ms),
        };
        let ms = self.window.newest(WINDOW_S).map(of).fold(0, u32::saturating_add);
        Some(f64::from(ms) / (WINDOW_S as f64 * 1_000.0))
    }

    /// Whether a track in its present coding has come in each of the newest whole seconds.
    fn is_settled(&self, now: Instant, kind: Kind, seconds: usize) -> bool {
        let lane = if kind == Kind::Video { &self.video } else { &self.audio };
        // The second in which it began is not whole for it.
        let long = Duration::from_secs(seconds as u64 + 1);
        let came = |second: &&Second| if kind == Kind::Video { second.pictures > 0 } else { second.sounds > 0 };
        lane.first.is_some_and(|first| now.saturating_duration_since(first) >= long)
            && self.window.newest(seconds).filter(came).count() == seconds
    }
}
