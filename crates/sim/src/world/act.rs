//! What the scenario makes happen.

use media::{Codec, Kind, MediaTime, RtpPacket, SeqNo, WallTime};
use rtc::{Leg, Outgoing, Purpose, Wanted};
use sfu::{Command, LegId, Pace};

use super::{Happening, Outcome, SWEEP, WALL, World};
use crate::{
    client::{self, Client, Offer, Role},
    link::{Link, Moment},
    random::hash,
    scenario::{Goodbye, Origin},
    source::{Made, Source},
};

/// What happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Publish(usize),
    Unpublish(usize),
    Join(usize),
    Leave(usize),
    Rebind(usize),
    Switch(usize, usize),
    Ask(usize),
    /// A viewer gets one of these layers now.
    Gets(usize, usize, usize),
    /// A stream makes what is due: the life that it is for, and of which kind.
    Make(usize, u32, Kind),
    Sweep,
}

impl World<'_> {
    /// Plans everything that the scenario says.
    pub(super) fn plan(&mut self) {
        let scenario = self.scenario;
        for (at, stream) in scenario.streams.iter().enumerate() {
            self.soon(stream.from, Action::Publish(at));
            self.soon(stream.to, Action::Unpublish(at));
        }
        for (at, viewer) in scenario.viewers.iter().enumerate() {
            self.soon(viewer.joins, Action::Join(at));
            self.soon(viewer.leaves, Action::Leave(at));
            viewer.rebinds.iter().for_each(|when| self.soon(*when, Action::Rebind(at)));
            viewer.switches.iter().for_each(|(when, stream)| self.soon(*when, Action::Switch(at, *stream)));
            viewer.asks.iter().for_each(|when| self.soon(*when, Action::Ask(at)));
            let gets = |(when, which): &(Moment, std::ops::RangeInclusive<usize>)| {
                self.soon(*when, Action::Gets(at, *which.start(), *which.end()));
            };
            viewer.gets.iter().for_each(gets);
        }
        self.soon(SWEEP, Action::Sweep);
    }

    fn soon(&mut self, when: Moment, action: Action) {
        if when < self.scenario.length {
            self.at(when, Happening::Action(action));
        }
    }

    pub(super) fn act(&mut self, action: Action) -> Outcome {
        match action {
            Action::Publish(stream) => self.publish(stream),
            Action::Unpublish(stream) => self.unpublish(stream),
            Action::Join(viewer) => self.join(viewer),
            Action::Leave(viewer) => self.leave(viewer),
            Action::Rebind(viewer) => self.rebind(viewer),
            Action::Switch(viewer, stream) => self.switch(viewer, stream),
            Action::Ask(viewer) => self.ask_for_nothing(viewer),
            Action::Gets(viewer, from, to) => self.gets_layer(viewer, from..=to),
            Action::Make(stream, life, kind) => self.make(stream, life, kind),
            Action::Sweep => {
                self.at(self.now + SWEEP, Happening::Action(Action::Sweep));
                self.sweep()
            }
        }
    }

    fn publish(&mut self, at: usize) -> Outcome {
        let Some(stream) = self.scenario.streams.get(at) else { return Ok(()) };
        let seed = hash(&[self.scenario.seed, 1, at as u64]);
        let (picture_track, sound_track) = (self.next_track, self.next_track + 1);
        self.next_track += 2;
        let now = self.now;
        let lower: Vec<_> = (self.next_track..)
            .zip(&stream.lower)
            .map(|(track, camera)| Source::camera(track, *camera, seed, now))
            .collect();
        self.next_track += stream.lower.len() as u32;
        let picture = stream.camera.map(|camera| Source::camera(picture_track, camera, seed, now));
        let sound = stream.sound.then(|| Source::microphone(sound_track, seed, now));
        let is_fed = stream.origin == Origin::Fed;
        let hold = |codec: Codec| {
            std::time::Duration::from_millis(match (stream.pace, codec.kind()) {
                (Pace::Call, _) => 1,
                (Pace::Audience, Kind::Video) => 10,
                (Pace::Audience, Kind::Audio) => 24,
            })
        };
        for source in [&picture, &sound].into_iter().flatten() {
            let id = self.track_id(source.track);
            self.ledger.add(source.track, source.codec(), hold(source.codec()), is_fed);
            self.command(Command::AddTrack { id, codec: source.codec(), pace: stream.pace })?;
            self.command(Command::Tap { track: id, on: true })?;
        }
        let mut client = None;
        if !is_fed {
            let layers = 1 + u8::try_from(lower.len()).unwrap_or(0);
            let wanted = Wanted::Send { video: picture.as_ref().map(|_| 0x42_e0_1f), audio: stream.sound, layers };
            let paths = (stream.up.clone(), stream.down.clone());
            let place = self.connect(Role::Publisher(at), wanted, Purpose::Publish, paths)?;
            let leg = self.client(place)?.leg;
            for (kind, source) in [(Kind::Video, &picture), (Kind::Audio, &sound)] {
                if let Some(source) = source {
                    self.command(Command::Bind { leg, kind, track: self.track_id(source.track) })?;
                }
            }
            client = Some(place);
        }
        let Some(live) = self.streams.get_mut(at) else { return Ok(()) };
        live.life += 1;
        (live.client, live.picture, live.sound, live.since) = (client, picture, sound, is_fed.then_some(now));
        live.lower = lower;
        let life = live.life;
        if !live.lower.is_empty() {
            self.ledger.add_layers(now, picture_track, &live.layers());
        }
        for kind in [Kind::Video, Kind::Audio] {
            self.at(now, Happening::Action(Action::Make(at, life, kind)));
        }
        // Who waited for it gets it.
        for viewer in 0..self.viewers.len() {
            if let Some(place) = self.viewers.get(viewer).copied().flatten()
                && self.clients.get(place).is_some_and(|client| client.stream == Some(at) && !client.gone)
            {
                self.subscribe(place, at)?;
            }
        }
        Ok(())
    }

    /// Stops a stream's sources, and says goodbye for it.
    fn unpublish(&mut self, at: usize) -> Outcome {
        let Some(goodbye) = self.scenario.streams.get(at).map(|stream| stream.goodbye) else { return Ok(()) };
        let Some(client) = self.streams.get_mut(at).map(|live| {
            live.life += 1;
            live.since = None;
            live.client
        }) else {
            return Ok(());
        };
        match client {
            Some(place) => {
                self.say_goodbye(place, goodbye)?;
                if goodbye == Goodbye::Remove { self.publisher_is_over(place) } else { Ok(()) }
            }
            None => self.forget_tracks(at),
        }
    }

    /// The control side learned that a publisher is gone.
    pub(super) fn publisher_is_over(&mut self, place: usize) -> Outcome {
        match self.client(place)?.role {
            Role::Publisher(at) => self.forget_tracks(at),
            Role::Viewer(_) => Ok(()),
        }
    }

    pub(super) fn forget_tracks(&mut self, at: usize) -> Outcome {
        let Some(live) = self.streams.get_mut(at) else { return Ok(()) };
        live.life += 1;
        live.since = None;
        let tracks = [live.picture.take(), live.sound.take()];
        for track in tracks.into_iter().flatten().map(|source| source.track) {
            self.command(Command::RemoveTrack { id: self.track_id(track) })?;
            let now = self.now;
            for client in &mut self.clients {
                for watch in [&mut client.sound, &mut client.picture] {
                    if watch.track() == Some(track) {
                        watch.subscribe(now, None);
                    }
                }
            }
        }
        Ok(())
    }

    /// Connects a client; its place.
    fn connect(
        &mut self,
        role: Role,
        wanted: Wanted,
        purpose: Purpose,
        paths: (crate::Path, crate::Path),
    ) -> Result<usize, String> {
        let (now, address, place) = (self.instant(), self.next_address(), self.clients.len());
        let own = rtc::Config { candidates: vec![(rtc::Protocol::Udp, address)], ..self.config.clone() };
        let is_viewer = matches!(role, Role::Viewer(_));
        let far = if is_viewer { self.far } else { super::Far::Full };
        let offer = Offer::new(far, &own, wanted, hash(&[self.scenario.seed, 5, place as u64]), now)?;
        let (leg, answer) = Leg::answer(&self.config, &offer.sdp(), purpose, now).map_err(|error| error.to_string())?;
        let peer = offer.accept(&answer.sdp, now)?;
        let number = place as u64 + 1;
        let id = LegId::new(self.new_home(number), number);
        self.expect(id, &leg)?;
        self.command(Command::AddLeg { id, leg: Box::new(leg) })?;
        let link = |path, way| Link::new(path, hash(&[self.scenario.seed, 2, place as u64, way]));
        let links = (link(paths.0, 0), link(paths.1, 1));
        let paced = far == super::Far::Light;
        let mut client = Client::new(role, peer, id, address, links, self.now);
        let rebinds = |at: usize| self.scenario.viewers.get(at).is_some_and(|viewer| !viewer.rebinds.is_empty());
        let moves = matches!(role, Role::Viewer(at) if rebinds(at));
        let gentle = client.down.path().is_gentle() && client.up.path().is_gentle() && !moves;
        let harmed = paced && !gentle;
        if paced {
            client.sound.slack = std::time::Duration::from_millis(100);
            client.picture.slack = std::time::Duration::from_millis(100);
        }
        (client.sound.is_light, client.picture.is_light) = (paced, paced);
        client.sound.paced = harmed;
        client.picture.paced = harmed;
        client.repairs = client::repairs(&answer.sdp);
        client.sound_pt = client::sound_pt(&answer.sdp);
        self.by_outer.insert(address, place);
        self.clients.push(client);
        self.trace.note(self.now, "joins", place, id.0, 0);
        Ok(place)
    }

    fn join(&mut self, viewer: usize) -> Outcome {
        let Some(of) = self.scenario.viewers.get(viewer) else { return Ok(()) };
        // The answer names the coding of the stream, so the stream's scenario is asked, whether it is there or not.
        let stream = self.scenario.streams.get(of.stream);
        let video = stream.and_then(|stream| stream.camera).map(|camera| camera.codec);
        let audio = stream.filter(|stream| stream.sound).map(|_| Codec::Opus);
        let purpose = Purpose::Play { video, audio };
        let place = self.connect(Role::Viewer(viewer), Wanted::Receive, purpose, (of.up.clone(), of.down.clone()))?;
        if let Some(slot) = self.viewers.get_mut(viewer) {
            *slot = Some(place);
        }
        self.subscribe(place, of.stream)
    }

    /// A viewer gets a stream, or waits for it.
    fn subscribe(&mut self, place: usize, stream: usize) -> Outcome {
        let Some(live) = self.streams.get(stream) else { return Ok(()) };
        let tracks = [(Kind::Video, &live.picture), (Kind::Audio, &live.sound)];
        let tracks = tracks.map(|(kind, source)| (kind, source.as_ref().map(|source| (source.track, source.codec()))));
        let layers = live.layers().into_iter().map(|(track, _)| track).collect();
        let now = self.now;
        let client = self.client(place)?;
        let leg = client.leg;
        client.stream = Some(stream);
        client.picture.layers = layers;
        for (kind, track) in tracks {
            let negotiated = self.negotiated(place, kind);
            let track = track.filter(|(_, codec)| negotiated == Some(*codec)).map(|(track, _)| track);
            let client = self.client(place)?;
            client.watch_mut(kind).subscribe(now, track);
            if let Some(track) = track {
                self.command(Command::Subscribe { leg, track: self.track_id(track) })?;
            }
        }
        Ok(())
    }

    /// What was negotiated for a viewer.
    fn negotiated(&self, place: usize, kind: Kind) -> Option<Codec> {
        self.clients.get(place).and_then(|client| client.peer.codec(kind))
    }

    fn switch(&mut self, viewer: usize, stream: usize) -> Outcome {
        let Some(place) = self.viewers.get(viewer).copied().flatten() else { return Ok(()) };
        let client = self.client(place)?;
        if client.gone || client.forgotten {
            return Ok(());
        }
        let leg = client.leg;
        self.trace.note(self.now, "switches", place, stream as u64, 0);
        for kind in [Kind::Audio, Kind::Video] {
            self.command(Command::Unsubscribe { leg, kind })?;
        }
        self.subscribe(place, stream)
    }

    fn leave(&mut self, viewer: usize) -> Outcome {
        let Some(place) = self.viewers.get(viewer).copied().flatten() else { return Ok(()) };
        let goodbye = self.scenario.viewers.get(viewer).map_or(Goodbye::Remove, |viewer| viewer.goodbye);
        let client = self.client(place)?;
        if client.gone {
            return Ok(());
        }
        self.judge_client(place, true)?;
        self.say_goodbye(place, goodbye)
    }

    pub(super) fn say_goodbye(&mut self, place: usize, goodbye: Goodbye) -> Outcome {
        let now = self.now;
        self.trace.note(now, "leaves", place, goodbye as u64, 0);
        let client = self.client(place)?;
        if client.gone {
            return Ok(());
        }
        client.left = true;
        let leg = client.leg;
        match goodbye {
            Goodbye::Close => {
                client.peer.close();
                self.drain_client(place)?;
                self.client(place)?.gone = true;
            }
            Goodbye::Vanish => client.gone = true,
            Goodbye::Remove => {
                client.forgotten = true;
                self.command(Command::RemoveLeg { id: leg })?;
            }
        }
        Ok(())
    }

    /// The router before a client gives it another address.
    fn rebind(&mut self, viewer: usize) -> Outcome {
        let Some(place) = self.viewers.get(viewer).copied().flatten() else { return Ok(()) };
        let address = self.next_address();
        let now = self.now;
        let client = self.client(place)?;
        if client.gone {
            return Ok(());
        }
        client.outer = address;
        client.rebound = Some(now);
        self.by_outer.insert(address, place);
        self.trace.note(now, "has another address", place, address.port().into(), 0);
        Ok(())
    }

    fn ask_for_nothing(&mut self, viewer: usize) -> Outcome {
        match self.viewers.get(viewer).copied().flatten() {
            Some(place) => self.ask_key(place),
            None => Ok(()),
        }
    }

    /// Whether a viewer who tells what its path carries gets one of these layers.
    fn gets_layer(&mut self, viewer: usize, which: std::ops::RangeInclusive<usize>) -> Outcome {
        let Some(place) = self.viewers.get(viewer).copied().flatten() else { return Ok(()) };
        let tells = self.far == super::Far::Light;
        match self.client(place)?.picture.layer() {
            Some(layer) if tells && !which.contains(&layer) => {
                Err(format!("client {place} gets layer {layer}, where one of {which:?} fits"))
            }
            _ => Ok(()),
        }
    }

    fn make(&mut self, at: usize, life: u32, kind: Kind) -> Outcome {
        let now = self.now;
        let Some(live) = self.streams.get_mut(at).filter(|live| live.life == life) else { return Ok(()) };
        let source = if kind == Kind::Video { &mut live.picture } else { &mut live.sound };
        let Some(source) = source else { return Ok(()) };
        let (every, codec, track) = (source.every(), source.codec(), source.track);
        let client = live.client;
        self.at(now + every, Happening::Action(Action::Make(at, life, kind)));
        let connected =
            client.is_none_or(|place| self.clients.get(place).is_some_and(|client| client.peer.is_connected()));
        if !connected {
            return Ok(());
        }
        let Some(live) = self.streams.get_mut(at) else { return Ok(()) };
        live.since.get_or_insert(now);
        let source = if kind == Kind::Video { &mut live.picture } else { &mut live.sound };
        let made = source.as_mut().map(|source| source.make(now)).unwrap_or_default();
        let layers = u8::try_from(live.lower.len()).unwrap_or(0);
        let of_layer = (layers > 0 && kind == Kind::Video).then_some(layers);
        let lower = live.lower.iter_mut().filter(|_| of_layer.is_some()).map(|source| source.make(now));
        let lower: Vec<_> = (0..layers).zip(lower).collect();
        for packet in lower.iter().flat_map(|(_, made)| made).chain(&made) {
            self.ledger.made(packet);
        }
        for (layer, made) in &lower {
            self.publish_packets(client.unwrap_or(usize::MAX), (kind, Some(*layer)), codec, made)?;
        }
        match client {
            Some(place) => self.publish_packets(place, (kind, of_layer), codec, &made),
            None => {
                let packets = made.iter().map(|made| self.fed(codec, made)).collect();
                self.command(Command::Packets { track: self.track_id(track), packets })
            }
        }
    }

    fn wall(&self) -> WallTime {
        WallTime(WALL + i64::try_from(self.now.as_micros()).unwrap_or(0))
    }

    fn fed(&self, codec: Codec, made: &Made) -> RtpPacket {
        RtpPacket {
            codec,
            layer: 0,
            // The bridge's numbers rise without end.
            seq: SeqNo(5_000_000 + made.stamp.seq),
            time: MediaTime(made.time),
            wall: self.wall(),
            arrived: self.instant(),
            marker: made.marker,
            key_start: rtc::starts_key_frame(codec, &made.payload),
            audio_level: None,
            payload: bytes::Bytes::from_owner(made.payload.clone()),
        }
    }

    fn publish_packets(&mut self, place: usize, kind: (Kind, Option<u8>), codec: Codec, made: &[Made]) -> Outcome {
        let (now, wall) = (self.instant(), self.wall());
        for packet in made {
            let outgoing = Outgoing {
                codec,
                seq: packet.stamp.seq,
                time: packet.time as u32,
                wall,
                marker: packet.marker,
                padding: 0,
                payload: &packet.payload,
                audio_level: None,
            };
            let Some(client) = self.clients.get_mut(place) else { return Ok(()) };
            client.peer.send(now, kind, outgoing, &mut self.out);
            self.trace.note(self.now, "makes", place, packet.stamp.seq, u64::from(packet.stamp.key));
        }
        self.drain_client(place)
    }
}
