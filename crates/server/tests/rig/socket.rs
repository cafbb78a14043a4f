//! FLV over WebSocket, without a library: the frames as they come.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use bytes::Bytes;
use wire::flv::Demuxer;

use super::{Asked, Item, Items, Server, Viewer};

/// A viewer of FLV over WebSocket (RFC 6455).
pub struct Socket {
    stream: TcpStream,
    demuxer: Demuxer,
    items: Items,
}

impl Socket {
    /// Watches a path.
    pub fn open(server: &Server, path: &str) -> Self {
        let (stream, head) = Self::ask(server, path);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // The answer to this key stands in RFC 6455, section 1.3.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Self { stream, demuxer: Demuxer::new(), items: Items::default() }
    }

    /// Asks, and reads the head of the answer.
    pub fn ask(server: &Server, path: &str) -> (TcpStream, String) {
        let text = format!(
            "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let mut socket = Asked::unfinished(server.http, &text);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        (socket, String::from_utf8(head).unwrap())
    }

    /// Opcode and payload of the next frame; `None` when the connection is closed.
    fn next_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).ok()?;
        assert!(head[0] & 0x80 != 0 && head[1] & 0x80 == 0, "whole and unmasked: {head:?}");
        let length = match head[1] {
            126 => u64::from(u16::from_be_bytes(self.exactly())),
            127 => u64::from_be_bytes(self.exactly()),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).unwrap();
        Some((head[0] & 0x0f, payload))
    }

    fn exactly<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Media bytes until the close frame, and the code and text of that.
    pub fn media_and_close(mut self) -> (Vec<u8>, u16, String) {
        let mut media = Vec::new();
        loop {
            match self.next_frame().expect("no close frame came before the connection ended") {
                (2, bytes) => media.extend(bytes),
                (8, close) => {
                    let code = u16::from_be_bytes([close[0], close[1]]);
                    return (media, code, String::from_utf8(close[2..].to_vec()).unwrap());
                }
                (9, _) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }
}

impl Viewer for Socket {
    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.items.ready.pop_front() {
                return Some(item);
            }
            match self.next_frame()? {
                (2, bytes) => self.demuxer.push(&Bytes::from(bytes)),
                (8, _) => return None,
                _ => {}
            }
            while let Some(tag) = self.demuxer.poll().expect("the server sent bad FLV") {
                self.items.push(&tag);
            }
        }
    }
}
