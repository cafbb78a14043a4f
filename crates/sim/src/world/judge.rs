//! The oracles that look at the whole: viewers that should have a picture, connections that should be there, and what is
//! left when everybody has gone.

use std::time::Duration;

use super::{Outcome, World};
use crate::{
    client::{Client, Role},
    link::Moment,
    random::hash,
    report::Report,
    scenario::{Goodbye, Origin},
};

/// A viewer has a picture this long after nothing stands in the way any more, beside what its paths take.
const PICTURE: Duration = Duration::from_secs(3);
/// A connection that loses nothing is there after this, and stays.
const PATIENCE: Duration = Duration::from_secs(5);
/// A loss is repaired within this, beside two round trips.
const REPAIR: Duration = Duration::from_millis(200);

impl World<'_> {
    pub(super) fn sweep(&mut self) -> Outcome {
        let now = self.now;
        for place in 0..self.clients.len() {
            let Some(client) = self.clients.get_mut(place) else { continue };
            if client.gone || client.forgotten || client.connected.is_none() {
                continue;
            }
            if !matches!(client.role, Role::Viewer(_)) {
                continue;
            }
            let name = |error: String| format!("client {place}: {error}");
            client.decoder.poll(now).map_err(name)?;
            client.picture.is_served(now, &self.ledger).map_err(name)?;
            client.sound.is_served(now, &self.ledger).map_err(name)?;
            if client.decoder.wants_key(now) {
                self.ask_key(place)?;
            }
            self.has_picture(place).map_err(name)?;
        }
        Ok(())
    }

    /// Whether a viewer that could have a picture has one.
    fn has_picture(&self, place: usize) -> Outcome {
        let Some(client) = self.clients.get(place) else { return Ok(()) };
        let Some(live) = client.stream.and_then(|stream| self.streams.get(stream)) else { return Ok(()) };
        let Some(track) = client.picture.track() else { return Ok(()) };
        let (Some(since), Some(connected)) = (live.since, client.connected) else { return Ok(()) };
        let broken = match (client.decoder.broken_since(), client.decoder.pictures()) {
            (Some(at), _) => at,
            (None, 0) => connected,
            _ => return Ok(()),
        };
        let publisher = live.client.and_then(|place| self.clients.get(place));
        let mut wait = PICTURE + longest(client) * 4 + publisher.map_or(Duration::ZERO, |other| longest(other) * 4);
        if let Some(camera) = self.ledger.get(track).filter(|track| track.is_fed).and(self.camera(client)) {
            wait += Duration::from_millis(u64::from(camera.group) * 1_000 / camera.fps.max(1));
        }
        let mut quiet = broken.max(since).max(client.picture.began());
        for client in [Some(client), publisher].into_iter().flatten() {
            let lost = [client.up.lost_at(), client.down.lost_at(), client.rebound];
            quiet = lost.into_iter().flatten().fold(quiet, Moment::max);
        }
        // When the sources have stopped, no key frame comes any more.
        let now = self.now.min(self.scenario.length);
        if now > quiet + wait {
            let ms = (now - quiet).as_millis();
            return Err(format!("it has no picture of track {track}, though nothing was lost for {ms} ms"));
        }
        Ok(())
    }

    fn camera(&self, client: &Client) -> Option<crate::Camera> {
        self.scenario.streams.get(client.stream?)?.camera
    }

    /// Whether a connection has no reason to end: its peer is there, and datagrams get through.
    pub(super) fn should_live(&self, place: usize) -> bool {
        let Some(client) = self.clients.get(place) else { return false };
        if client.gone || client.left || client.forgotten {
            return false;
        }
        let lost = [client.up.lost_at(), client.down.lost_at(), client.rebound];
        lost.into_iter().flatten().all(|at| self.now > at + PATIENCE * 6)
    }

    /// Compares what a viewer got with what was published.
    pub(super) fn judge_client(&mut self, place: usize, early: bool) -> Outcome {
        let now = self.now;
        let Some(client) = self.clients.get(place) else { return Ok(()) };
        let patience = if early { Duration::from_secs(1) } else { Duration::ZERO };
        let until = now.saturating_sub(longest(client) * 2 + patience);
        let spared = client.down.path().spares_repairs && client.up.path().spares_repairs;
        let unharmed = |path: &crate::Path| path.outages.is_empty() && path.rate.is_none();
        let repaired = spared && unharmed(client.down.path()) && unharmed(client.up.path()) && client.rebound.is_none();
        // An ask goes out some time after the loss was seen, and may have to wait for the next.
        let repaired_in = repaired.then(|| longest(client) * 2 + REPAIR);
        for watch in [&client.sound, &client.picture] {
            watch.is_complete(&self.ledger, repaired_in, until).map_err(|error| format!("client {place}: {error}"))?;
        }
        Ok(())
    }

    /// When the sources have stopped, and what is under way has arrived.
    pub(super) fn judge_streams(&mut self) -> Outcome {
        for place in 0..self.clients.len() {
            let judged = self.clients.get(place).is_some_and(|client| !client.gone && !client.forgotten);
            if judged && matches!(self.client(place)?.role, Role::Viewer(_)) {
                self.judge_client(place, false)?;
            }
        }
        for (number, track) in self.ledger.iter() {
            let most = self.now.as_millis() / 300 + 2;
            if track.asked() as u128 > most {
                return Err(format!("track {number} was asked {} times for a key frame", track.asked()));
            }
        }
        Ok(())
    }

    pub(super) fn stop_sources(&mut self) {
        for live in &mut self.streams {
            live.life += 1;
        }
    }

    pub(super) fn everybody_leaves(&mut self) -> Outcome {
        for place in 0..self.clients.len() {
            let client = self.client(place)?;
            if client.gone || client.forgotten {
                continue;
            }
            let goodbye = match client.role {
                Role::Viewer(at) => self.scenario.viewers.get(at).map(|viewer| viewer.goodbye),
                Role::Publisher(at) => self.scenario.streams.get(at).map(|stream| stream.goodbye),
            };
            let goodbye = goodbye.unwrap_or(Goodbye::Remove);
            self.say_goodbye(place, goodbye)?;
            if goodbye == Goodbye::Remove {
                self.publisher_is_over(place)?;
            }
        }
        for (at, stream) in self.scenario.streams.iter().enumerate() {
            if stream.origin == Origin::Fed {
                self.forget_tracks(at)?;
            }
        }
        Ok(())
    }

    /// When everybody has been gone for a while: nothing is left.
    pub(super) fn judge_leftovers(&self) -> Outcome {
        for (at, host) in self.hosts.iter().enumerate() {
            let left = host.shard.census();
            if left != sfu::Census::default() {
                return Err(format!("shard {at} still has, with nobody there: {left:?}"));
            }
        }
        if !self.out.is_empty() {
            return Err(format!("{} datagrams were left in the batch", self.out.datagrams()));
        }
        Ok(())
    }

    pub(super) fn report(&self) -> Report {
        let mut report = Report { digest: self.trace.digest(), ..Report::default() };
        for (_, track) in self.ledger.iter() {
            report.made += track.made();
            report.tapped += track.tapped();
            report.key_frames_asked += track.asked() as u64;
        }
        for client in &self.clients {
            report.links.add(client.up.counts());
            report.links.add(client.down.counts());
        }
        for (place, client) in self.clients.iter().enumerate().filter(|(_, c)| matches!(c.role, Role::Viewer(_))) {
            report.viewers += u64::from(client.connected.is_some());
            report.pictures += client.decoder.pictures();
            report.breaks += client.decoder.breaks();
            for watch in [&client.sound, &client.picture] {
                let (sent, lost, got) = watch.counts();
                report.sent += sent;
                report.lost += lost;
                report.got += got;
                report.repaired += watch.repaired();
                for (_, stamp) in watch.stamps() {
                    // A sum does not depend on the order.
                    let what = hash(&[place as u64, stamp.track.into(), stamp.seq]);
                    report.media = report.media.wrapping_add(what);
                }
            }
        }
        report
    }
}

/// The longest way there and back.
fn longest(client: &Client) -> Duration {
    client.up.path().longest() + client.down.path().longest()
}
