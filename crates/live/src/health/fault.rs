//! The faults by name: how much they matter, and the sentence that says what to do.

/// How much a fault matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Some viewers do without, or nobody notices.
    Info,
    /// Some viewers notice.
    Warn,
    /// Everybody notices.
    Error,
}

impl Severity {
    /// The name in the REST interface.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What a publisher of B-frames is told, wherever it is told.
pub const B_FRAMES_ADVICE: &str = "this stream has B-frames, which WebRTC cannot carry. In OBS: Settings > Output > Advanced > \
    Streaming, set 'Max B-frames' to 0 (x264: add 'bframes=0' to the x264 options, or tune 'zerolatency'). In ffmpeg: \
    add '-bf 0'. RTMP, FLV and HLS viewers are not affected";

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident $severity:ident $code:literal $sentence:expr;)+) => {
        /// What can be wrong with what a publisher sends. Of two that matter as much, the earlier here is told first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Fault {
            /// Every fault.
            pub const ALL: [Self; [$(Self::$name),+].len()] = [$(Self::$name),+];

            /// The name that programs read; it never changes.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// How much it matters.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)+ }
            }

            fn template(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }
        }
    };
}

faults! {
    /// Pictures came, and none of them was a key frame.
    NoKeyFrame Error "no-key-frame"
        "no key frame has come for {} s, so nobody can begin to watch. In OBS: Settings > Output > Streaming, set 'Keyframe Interval' to 1 s. In ffmpeg: add '-g 30' (as many frames as a second has)";
    /// Pictures are announced, and none come.
    VideoMissing Error "video-missing-while-announced"
        "the stream announces a picture, and none has come for {} s. In OBS: check that the encoder runs (Stats) and the output has a video track; in ffmpeg, that the video input of '-map' goes on";
    /// Sound is announced, and none comes.
    AudioMissing Error "audio-missing-while-announced"
        "the stream announces sound, and none has come for {} s. In OBS: check in the Audio Mixer that a device is chosen; in ffmpeg, that the audio input of '-map' goes on, or publish with '-an'";
    /// Messages that could not be read.
    Damaged Error "damaged-messages"
        "messages came that cannot be read, and were left out. The encoder or something on the way writes wrong FLV bodies: update it, or publish by OBS or ffmpeg to see whether it is the cause";
    /// Media comes more slowly than it plays.
    Slow Warn "slower-than-real-time"
        "only {} s of media come in each second, so every viewer stalls. The uplink or the encoder cannot keep up: in OBS lower Settings > Output > 'Bitrate', or take a faster preset; in ffmpeg lower '-b:v', or add '-preset veryfast'";
    /// Pictures that others refer to are shown out of order.
    BFrames Warn "b-frames" B_FRAMES_ADVICE;
    /// Nothing came for a while.
    Stalled Warn "stalled"
        "nothing came from the publisher for {} s. Look at its network: a cable instead of Wi-Fi, and in OBS a lower 'Bitrate' in Settings > Output, or in ffmpeg a lower '-b:v'";
    /// Packets of a publisher by WebRTC are missing for good.
    PacketsLost Warn "packets-lost"
        "{} % of the packets did not arrive, though they were asked for again, so pictures stand still and sound breaks off. Look at the publisher's network: a cable instead of Wi-Fi, and in OBS a lower 'Bitrate' in Settings > Output, or in ffmpeg a lower '-b:v'";
    /// Media comes in floods.
    Bursts Warn "bursts"
        "{} s of media came within one second, so WebRTC viewers see jumps. Where a file is published by ffmpeg, put '-re' before '-i'; otherwise the uplink stops and starts: lower the bitrate (OBS: Settings > Output; ffmpeg: '-b:v' and '-maxrate')";
    /// The decoding time of a picture is before that of the one before it.
    VideoBackwards Warn "video-timestamps-backwards"
        "the times of pictures went back by {} ms. In ffmpeg: add '-fflags +genpts', or '-use_wallclock_as_timestamps 1' before '-i'; in OBS restart the output, and turn off plugins that loop media";
    /// The time of a sound is before that of the one before it.
    AudioBackwards Warn "audio-timestamps-backwards"
        "the times of the sound went back by {} ms. In ffmpeg: add '-af aresample=async=1'; in OBS choose one sample rate for all devices in Settings > Audio, and restart the output";
    /// The times of pictures jumped.
    VideoJump Warn "video-timestamp-jump"
        "the times of pictures jumped by {} s. In ffmpeg: add '-use_wallclock_as_timestamps 1' before '-i', and join files by the concat demuxer instead of one after the other; in OBS restart the output";
    /// The times of the sound jumped.
    AudioJump Warn "audio-timestamp-jump"
        "the times of the sound jumped by {} s. In ffmpeg: add '-af aresample=async=1'; in OBS choose one sample rate for all devices in Settings > Audio, and restart the output";
    /// Sound and picture of the same time come at different times.
    Apart Warn "sound-and-picture-apart"
        "sound and picture come {} s apart, so viewers wait for the later one. In OBS: set the 'Sync Offset' in Advanced Audio Properties to 0; in ffmpeg: lower '-max_interleave_delta', and see that both inputs begin at the same time ('-itsoffset')";
    /// Another coding in the same stream.
    CodecChanged Warn "codec-changed"
        "the codec changed while the stream ran, and players without that codec stop. Keep one encoder for one publication (OBS: Settings > Output; ffmpeg: '-c:v' and '-c:a')";
    /// The picture's size changed.
    ResolutionChanged Warn "resolution-changed"
        "the size of the picture changed while the stream ran, which some players answer with a black picture. Fix it: in OBS 'Output (Scaled) Resolution' in Settings > Video, in ffmpeg '-s 1280x720'";
    /// The sampling rate changed.
    SampleRateChanged Warn "sample-rate-changed"
        "the sample rate of the sound changed while the stream ran, which is heard as a gap. Fix it: in OBS 'Sample Rate' in Settings > Audio, in ffmpeg '-ar 48000'";
    /// Few pictures a second.
    FrameRateLow Warn "frame-rate-low"
        "only {} pictures come in each second. In OBS: raise 'FPS' in Settings > Video, or look at 'Skipped frames' in Stats; in ffmpeg: '-r 30', or a faster '-preset'";
    /// Pictures are missing or at uneven distances.
    FrameRateUnstable Warn "frame-rate-unstable"
        "{} % of the pictures come at uneven distances. The encoder leaves some out: in OBS see 'Skipped frames' in Stats and take a faster preset; in ffmpeg: '-vf fps=30', or a faster '-preset'";
    /// Another frame rate than `onMetaData` says.
    FrameRateClaim Warn "frame-rate-differs-from-metadata"
        "{} pictures come in each second, which is not what the stream's metadata says. The encoder or the camera cannot keep up: in OBS lower 'FPS' in Settings > Video; in ffmpeg give '-r' to the camera's input as well";
    /// Key frames are far apart.
    KeyFrameIntervalLong Warn "key-frame-interval-long"
        "key frames come {} s apart, so WebRTC and HLS viewers start late. In OBS: Settings > Output > Streaming, set 'Keyframe Interval' to 1 s or 2 s. In ffmpeg: '-g 60' at 30 frames a second";
    /// HE-AAC.
    HeAac Warn "he-aac"
        "the sound is HE-AAC, which is decoded at half its bandwidth for WebRTC viewers. Choose AAC-LC: in OBS 'FFmpeg AAC' as 'Audio Encoder' in Settings > Output, in ffmpeg '-c:a aac -profile:a aac_low'";
    /// More than two channels.
    ManyChannels Warn "audio-channels-many"
        "the sound has {} channels, and WebRTC viewers can be given two. In OBS: Settings > Audio, set 'Channels' to Stereo. In ffmpeg: '-ac 2'";
    /// Other parameters in the same coding and size.
    ConfigChanged Info "config-changed"
        "the encoder's parameters changed while the stream ran. Players of HLS and FLV start their decoder anew; an encoder with fixed settings does not do this (OBS: turn off 'Dynamically change bitrate' in Settings > Advanced; ffmpeg: one input without joins)";
    /// Key frames come when the encoder likes.
    KeyFrameIntervalIrregular Info "key-frame-interval-irregular"
        "key frames come at uneven distances, up to {} s, which makes HLS segments of uneven length. In OBS: set 'Keyframe Interval' instead of 0, and add 'scenecut=0' to the x264 options; in ffmpeg: '-sc_threshold 0' with '-g 60'";
    /// Hardly any bits for the picture.
    BitrateLow Info "bitrate-low"
        "the picture has only {} kbit/s, which is enough for a still one alone. In OBS: raise 'Bitrate' in Settings > Output; in ffmpeg: '-b:v 2500k'";
    /// The bitrate swings.
    BitrateUnstable Info "bitrate-unstable"
        "the bitrate of the picture changed to {} kbit/s within seconds, and viewers with little bandwidth stall at its peaks. In OBS: 'Rate Control' CBR in Settings > Output; in ffmpeg: '-maxrate' and '-bufsize' with the value of '-b:v'";
    /// A coding that WebRTC viewers are not given.
    CodecNotEverywhere Info "codec-not-for-webrtc"
        "the picture is coded in a way that RTMP, FLV and HLS viewers get as it is, and WebRTC viewers are refused. H.264 reaches everybody: in OBS 'Video Encoder' x264 or a hardware H.264 in Settings > Output, in ffmpeg '-c:v libx264'";
    /// A coding that stays between WebRTC ends.
    CodecOnlyWebrtc Info "codec-only-for-webrtc"
        "the picture is coded in a way that FLV, HLS and RTMP viewers are refused. H.264 reaches everybody: choose it in the publisher (in this server's page 'Codec', in OBS 'Video Encoder' in Settings > Output, in ffmpeg '-c:v libx264')";
}

impl Fault {
    /// One sentence: what was found, and which setting to change.
    pub fn sentence(self, found: f64) -> String {
        self.template().replace("{}", &figure(found))
    }
}

/// A figure as people write it: with a decimal only where it is small and says something.
fn figure(found: f64) -> String {
    if found.abs() >= 100.0 || (found - found.round()).abs() < 0.05 {
        format!("{found:.0}")
    } else {
        format!("{found:.1}")
    }
}
