//! The server's end of RTMP against any client: no crash, and the same events in pieces as at once.
//!
//! The first byte says how the bytes are cut, whether the handshake is done for them, and whether requests are granted.
#![no_main]

use std::time::Instant;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wire::rtmp::server::{Config, Event, Output, Reason, Refusal, Session};

fuzz_target!(|bytes: &[u8]| {
    let Some((&mode, bytes)) = bytes.split_first() else { return };
    let greeting = if mode & 1 == 0 { Vec::new() } else { greeting() };
    let piece = usize::from(mode >> 2) + 1;
    let granted = mode & 2 == 0;
    let now = Instant::now();
    assert_eq!(run(&greeting, bytes, bytes.len(), granted, now), run(&greeting, bytes, piece, granted, now));
});

/// C0, C1 and C2 of the simple handshake.
fn greeting() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.resize(1 + 2 * 1_536, 0);
    bytes
}

fn run(greeting: &[u8], input: &[u8], piece: usize, granted: bool, now: Instant) -> Vec<Event> {
    let mut session = Session::new(Config::default(), now, 1);
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
                    let asked = matches!(event, Event::Publish(_) | Event::Play(_));
                    events.push(event);
                    if asked && granted {
                        session.accept();
                    } else if asked {
                        session.refuse(Refusal { reason: Reason::Denied, sentence: String::new() });
                    }
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
    events
}
