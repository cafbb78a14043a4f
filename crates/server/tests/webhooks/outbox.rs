//! Notices on their way: kept, in order, tried again, and none lost when the server is killed.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    configuration,
    receiver::{Receiver, Reply, Request, YES},
    rig::{RtmpPublisher, Server, server, until},
};

const KEPT: &str = "stentor_webhooks_total{event=\"kept\"}";
const DELIVERED: &str = "stentor_webhooks_total{event=\"delivered\"}";

fn with_data(receiver: &Receiver, data: &Path, rest: &str) -> String {
    format!("[server]\ndata = \"{}\"\n{}", data.display(), configuration(receiver, rest))
}

/// Types and numbers of what came, by stream, without repetitions.
fn by_stream(requests: &[Request]) -> BTreeMap<String, Vec<(u64, String)>> {
    let mut all: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for request in requests {
        let own = all.entry(request.stream()).or_default();
        let id = request.id();
        if !own.iter().any(|(_, known)| *known == id) {
            own.push((request.body["EventType"].as_u64().unwrap(), id));
        }
    }
    all
}

#[test]
fn what_was_not_delivered_when_the_server_was_killed_is_delivered_after_it_in_order() {
    const ROUNDS: usize = 5;
    let data = TempDir::new().unwrap();
    let down = |request: &Request| if request.stream() == "works" { YES } else { Reply::Say(503, "") };
    let receiver = Receiver::new(down);
    let file = with_data(&receiver, data.path(), "");
    let server = Server::serve(&file);
    let streams = ["works", "fails", "fails-too"];
    for _ in 0..ROUNDS {
        for stream in streams {
            RtmpPublisher::connect(&server, &format!("live/{stream}")).leave();
        }
    }
    let count = 2 * ROUNDS * streams.len();
    until("all is kept", || (server.metric(KEPT) == count as u64).then_some(()));
    until("one stream's are delivered", || (server.metric(DELIVERED) == 2 * ROUNDS as u64).then_some(()));
    drop(server);
    let before = by_stream(&receiver.requests());
    assert_eq!(before["works"].len(), 2 * ROUNDS);
    assert_eq!((before["fails"].len(), before["fails-too"].len()), (1, 1), "the second waits for the first");

    receiver.reply_by(|_| YES);
    let server = Server::serve(&file);
    until("the rest is delivered", || (server.metric(DELIVERED) >= 4 * ROUNDS as u64).then_some(()));
    let after = by_stream(&receiver.requests());
    for stream in streams {
        let types: Vec<u64> = after[stream].iter().map(|(kind, _)| *kind).collect();
        assert_eq!(types, [9001, 9002].repeat(ROUNDS), "{stream}");
    }
    assert_eq!(after["fails"][0], before["fails"][0], "the number that repetitions are told by stays");

    let requests = receiver.requests().len();
    RtmpPublisher::connect(&server, "live/later").leave();
    receiver.await_requests(requests + 2);
    drop(server);
    let server = Server::serve(&file);
    RtmpPublisher::connect(&server, "live/last").leave();
    receiver.await_one("the last came", |request| request.stream() == "last");
    let restored = server.metric("stentor_webhooks_total{event=\"restored\"}");
    assert!(restored <= 2, "what was delivered is forgotten, but for what was just about to be: {restored}");
}

#[test]
fn a_failed_notice_comes_again_at_once_with_the_same_number_and_body() {
    let first = AtomicBool::new(true);
    let receiver = Receiver::new(move |_| if first.swap(false, Ordering::SeqCst) { Reply::Close } else { YES });
    let server = Server::serve(&configuration(&receiver, ""));
    RtmpPublisher::connect(&server, "live/show").leave();
    let [failed, again, ended] = receiver.await_requests(3).try_into().unwrap();
    assert_eq!((failed.id(), &failed.raw), (again.id(), &again.raw));
    assert_eq!(ended.body["EventType"], 9002);
    assert_ne!(ended.id(), again.id());
}

#[test]
fn a_stream_whose_notices_hang_holds_no_other() {
    let receiver = Receiver::new(|request| if request.stream() == "hangs" { Reply::Hang } else { YES });
    let server = Server::serve(&configuration(&receiver, "timeout = \"30s\"\n"));
    let _hangs = RtmpPublisher::connect(&server, "live/hangs");
    receiver.await_requests(1);
    for _ in 0..5 {
        RtmpPublisher::connect(&server, "live/fine").leave();
    }
    receiver.await_requests(11);
}

#[test]
fn the_end_of_the_server_is_told_before_it_ends() {
    // Slow, and of no use at the first attempt: the server has to stay for the second.
    let first = AtomicBool::new(true);
    let receiver = Receiver::new(move |request| {
        if request.body["EventType"] != 9002 || !first.swap(false, Ordering::SeqCst) {
            return YES;
        }
        std::thread::sleep(Duration::from_millis(600));
        Reply::Close
    });
    let file = format!("[server]\ndrain_timeout = \"0s\"\n{}", configuration(&receiver, ""));
    let server = Server::serve(&file);
    let _publisher = RtmpPublisher::connect(&server, "live/show");
    server.said("kept in memory");
    receiver.await_requests(1);
    server.terminate();
    assert!(server.ended().success());
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3, "the beginning, and the end twice: {requests:?}");
    let told = &requests[2].body;
    assert_eq!((&told["EventType"], &told["EventInfo"]["ReasonName"]), (&9002.into(), &"drained".into()));
}

#[test]
fn a_data_folder_that_cannot_be_used_ends_the_start_with_a_sentence() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("s.toml");
    let missing = folder.path().join("missing");
    std::fs::write(&file, format!("[server]\ndata = \"{}\"\n{}", missing.display(), server::OPEN)).unwrap();
    let free = "127.0.0.1:0";
    let finished =
        server::run(&["serve", "--config", file.to_str().unwrap(), "--http", free, "--rtmp", free, "--media", free]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.err.contains("missing does not exist; create it"), "{finished:?}");
}
