//! The client's end of RTMP against any server: no crash, and the same events in pieces as at once.
//!
//! The first byte says how the bytes are cut, whether the handshake is done for them, and what the client wants.
#![no_main]

use std::time::Instant;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wire::rtmp::client::{Event, Mode, Output, Session, Target};
use wire::rtmp::{Message, MessageKind};

fuzz_target!(|bytes: &[u8]| {
    let Some((&mode, bytes)) = bytes.split_first() else { return };
    let greeting = if mode & 1 == 0 { Vec::new() } else { greeting() };
    let piece = usize::from(mode >> 2) + 1;
    let wanted = if mode & 2 == 0 { Mode::Play } else { Mode::Publish };
    let now = Instant::now();
    assert_eq!(run(&greeting, bytes, bytes.len(), wanted, now), run(&greeting, bytes, piece, wanted, now));
});

/// S0, S1 and S2 of the simple handshake.
fn greeting() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.resize(1 + 2 * 1_536, 0);
    bytes
}

fn run(greeting: &[u8], input: &[u8], piece: usize, wanted: Mode, now: Instant) -> Vec<Event> {
    let target = Target::parse("rtmp://host/live/cam?a=b", wanted).expect("a good address");
    let mut session = Session::new(target, now, 1);
    let mut events = Vec::new();
    for piece in std::iter::once(greeting).chain(input.chunks(piece.max(1))) {
        let result = session.receive(now, Bytes::copy_from_slice(piece));
        let mut closed = false;
        while let Some(output) = session.poll_output() {
            assert!(!closed, "nothing follows Close");
            match output {
                Output::Send(_) => {}
                Output::Close => closed = true,
                Output::Event(event) => {
                    if event == Event::Ready {
                        let body = Bytes::from_static(b"\x17\x01\0\0\0");
                        session.send_media(&Message { kind: MessageKind::Video, timestamp_ms: 0, body });
                    }
                    events.push(event);
                }
            }
        }
        if closed || result.is_err() {
            break;
        }
    }
    if let Some(due) = session.poll_timeout() {
        let _ = session.handle_timeout(due);
    }
    session.finish();
    events
}
