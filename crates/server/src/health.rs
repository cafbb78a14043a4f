//! Where what publishers send meets `live::health`: what is fed to it, and where its faults are counted and told.

use std::time::Instant;

use live::health::{Arrival, Claims, Severity};
use wire::flv::{Unpacked, amf::Value};

use crate::{counters::Counters, hub::LiveStream};

/// Feeds what an RTMP or FLV publisher sent, with the times as they came.
pub fn unpacked(stream: &LiveStream, now: Instant, unpacked: &Unpacked) {
    match unpacked {
        Unpacked::Config(info) => stream.health().announce(now, info),
        Unpacked::Frame(unit) => stream.health().frame(
            now,
            Arrival { kind: unit.codec.kind(), dts_ms: unit.dts_ms, bytes: unit.payload.len(), flags: unit.flags },
        ),
        Unpacked::Metadata(value) => stream.health().claim(now, claims(value)),
        _ => {}
    }
}

/// Lets time pass for the health of a stream, and counts and logs the faults that began.
pub fn look(stream: &LiveStream, now: Instant, counters: &Counters) {
    let mut begun = Vec::new();
    {
        let mut health = stream.health();
        health.look(now);
        while let Some(fault) = health.poll_begun() {
            begun.push(fault);
        }
    }
    for fault in begun {
        counters.add("ingest_faults", fault.code());
        if fault.severity() >= Severity::Warn {
            tracing::info!(stream = %stream.key, fault = fault.code(), "what is published has a fault; see /v1/streams");
        }
    }
}

/// What `onMetaData` claims (FLV annex E.5). Codecs are numbers, or texts of Enhanced RTMP; 0 is said of none.
fn claims(value: &Value) -> Claims {
    let number = |key: &str| value.get(key).and_then(Value::as_f64);
    let names = |key: &str| {
        value.get(key).is_some_and(|codec| {
            codec.as_f64().is_some_and(|number| number > 0.0) || codec.as_str().is_some_and(|name| !name.is_empty())
        })
    };
    Claims {
        frame_rate: number("framerate").or_else(|| number("videoframerate")),
        video: names("videocodecid"),
        audio: names("audiocodecid"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_as_encoders_write_them() {
        let ffmpeg = Value::object([
            ("videocodecid", Value::Number(7.0)),
            ("framerate", Value::Number(29.97)),
            ("audiocodecid", Value::Number(10.0)),
        ]);
        assert_eq!(claims(&ffmpeg), Claims { frame_rate: Some(29.97), video: true, audio: true });
        let enhanced =
            Value::object([("videocodecid", Value::String("hvc1".into())), ("audiocodecid", Value::Number(0.0))]);
        assert_eq!(claims(&enhanced), Claims { frame_rate: None, video: true, audio: false });
        assert_eq!(claims(&Value::Null), Claims::default());
    }
}
