//! What tests of the real binary share: a server that ends with its test, an RTMP publisher and player, an HTTP client,
//! an FLV viewer, and media to send. Everything blocks, and nothing waits longer than `PATIENCE`.

pub mod clip;
pub mod http;
pub mod rtmp;
pub mod server;
pub mod socket;

use std::{
    collections::VecDeque,
    thread,
    time::{Duration, Instant},
};

use media::TrackInfo;
use wire::flv::{Tag, Unit, Unpacked, Unpacker};

pub use clip::Clip;
pub use http::{Asked, FlvViewer};
pub use rtmp::{RtmpPlayer, RtmpPublisher, Said};
pub use server::Server;
pub use socket::Socket;

/// How long a condition may take on a machine that does other things as well.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// A condition that nobody announces is looked at so often.
const GLANCE: Duration = Duration::from_millis(10);

/// Waits until `look` finds what it looks for.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} until {what}");
        thread::sleep(GLANCE);
    }
}

/// What a viewer of frames gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A sequence header that differs from the one before it.
    Config(TrackInfo),
    /// A picture or a sound.
    Frame(Unit),
}

/// Tags to items, for any viewer.
#[derive(Debug, Default)]
struct Items {
    unpacker: Unpacker,
    ready: VecDeque<Item>,
}

impl Items {
    fn push(&mut self, tag: &Tag) {
        for unpacked in self.unpacker.unpack(tag.kind, tag.timestamp_ms, &tag.body).expect("the server sent bad media")
        {
            match unpacked {
                Unpacked::Config(info) => self.ready.push_back(Item::Config(info)),
                Unpacked::Frame(unit) => self.ready.push_back(Item::Frame(unit)),
                Unpacked::Metadata(_) | Unpacked::SequenceEnd | Unpacked::Ignored => {}
                Unpacked::Further(..) | Unpacked::Refused(_) => panic!("the server sends one track of each kind"),
            }
        }
    }
}

/// Somebody who watches frames, by whatever door.
pub trait Viewer {
    /// The next item; `None` when the server has ended it in good order.
    fn next(&mut self) -> Option<Item>;

    /// The next frame, passing over sequence headers.
    fn frame(&mut self) -> Option<Unit> {
        loop {
            if let Item::Frame(unit) = self.next()? {
                return Some(unit);
            }
        }
    }

    /// Reads all that is left until the server ends it; how many frames came.
    fn rest(&mut self) -> usize {
        let mut count = 0;
        while self.frame().is_some() {
            count += 1;
        }
        count
    }
}

/// Sends a tag and waits until the viewer has it, and nothing else before it.
pub fn relay(publisher: &mut RtmpPublisher, viewer: &mut impl Viewer, tag: &Tag) -> Unit {
    publisher.send(tag);
    let unit = viewer.frame().expect("the viewer's stream ended");
    let last = unit.payload.units.last().expect("a frame without units");
    assert_eq!(&last[..], clip::coded(tag), "the viewer got another frame than was sent last");
    unit
}
