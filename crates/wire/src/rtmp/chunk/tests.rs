use super::*;
use crate::rtmp::Limits;
use bytes::BytesMut;
use proptest::prelude::*;

fn reader() -> Reader {
    Reader::new(Limits::default(), 1 << 20)
}

fn read_all(reader: &mut Reader, bytes: &[u8]) -> Result<Vec<Raw>, ChunkError> {
    let mut input = Bytes::copy_from_slice(bytes);
    let mut messages = Vec::new();
    while let Some(raw) = reader.read(&mut input)? {
        messages.push(raw);
    }
    assert!(input.is_empty(), "None means that all was taken");
    Ok(messages)
}

/// A chunk header of 11 bytes behind a basic header of one byte.
fn full(id: u8, time: u32, length: u32, type_id: u8) -> Vec<u8> {
    let mut out = vec![id];
    out.extend(&time.to_be_bytes()[1..]);
    out.extend(&length.to_be_bytes()[1..]);
    out.extend([type_id, 1, 0, 0, 0]);
    out
}

fn times(messages: &[Raw]) -> Vec<u32> {
    messages.iter().map(|raw| raw.timestamp_ms).collect()
}

#[test]
fn a_video_message_may_be_interrupted_by_audio() {
    let mut bytes = full(6, 40, 200, 9);
    bytes.extend([6; 128]);
    bytes.extend(full(4, 41, 3, 8));
    bytes.extend([4; 3]);
    bytes.push(0xc6);
    bytes.extend([7; 72]);
    let messages = read_all(&mut reader(), &bytes).unwrap();
    let seen: Vec<_> =
        messages.iter().map(|raw| (raw.chunk_stream, raw.timestamp_ms, raw.type_id, raw.body.len())).collect();
    assert_eq!(seen, [(4, 41, 8, 3), (6, 40, 9, 200)]);
    assert_eq!(messages[1].body[127..129], [6, 7]);
}

#[test]
fn shortened_headers_add_their_deltas() {
    let mut bytes = full(6, 1_000, 1, 9);
    bytes.push(0);
    bytes.extend([0x46, 0, 0, 40, 0, 0, 2, 8, 0, 0]); // type 1: delta 40, two bytes of type 8
    bytes.extend([0x86, 0, 0, 20, 0, 0]); // type 2: delta 20
    bytes.extend([0xc6, 0, 0]); // type 3: the same again
    let messages = read_all(&mut reader(), &bytes).unwrap();
    assert_eq!(times(&messages), [1_000, 1_040, 1_060, 1_080]);
    assert!(messages[1..].iter().all(|raw| (raw.type_id, raw.stream_id, raw.body.len()) == (8, 1, 2)));
}

#[test]
fn a_header_of_one_byte_after_a_full_one_repeats_its_time_as_a_delta() {
    let mut bytes = full(6, 30, 1, 9);
    bytes.extend([0, 0xc6, 0, 0xc6, 0]);
    assert_eq!(times(&read_all(&mut reader(), &bytes).unwrap()), [30, 60, 90]);
}

#[test]
fn times_go_past_24_bits_and_wrap_at_32() {
    let mut bytes = full(6, EXTENDED, 1, 9);
    bytes.extend(u32::MAX.to_be_bytes());
    bytes.push(0);
    bytes.extend([0x86, 0, 0, 2, 0]);
    bytes.extend([0x86, 0xff, 0xff, 0xff, 0x01, 0, 0, 0, 0]); // a delta of 2^24
    assert_eq!(times(&read_all(&mut reader(), &bytes).unwrap()), [u32::MAX, 1, 0x0100_0001]);
}

#[test]
fn an_extended_time_may_be_repeated_in_later_chunks_or_not() {
    for repeated in [true, false] {
        let mut bytes = full(6, EXTENDED, 300, 9);
        bytes.extend(0x0123_4567u32.to_be_bytes());
        for (index, piece) in [[1; 128].as_slice(), &[2; 128], &[3; 44]].into_iter().enumerate() {
            if index > 0 {
                bytes.push(0xc6);
                if repeated {
                    bytes.extend(0x0123_4567u32.to_be_bytes());
                }
            }
            bytes.extend(piece);
        }
        let messages = read_all(&mut reader(), &bytes).unwrap();
        assert_eq!(times(&messages), [0x0123_4567], "repeated: {repeated}");
        assert_eq!(messages[0].body[126..130], [1, 1, 2, 2], "repeated: {repeated}");
        assert_eq!(messages[0].body[254..258], [2, 2, 3, 3], "repeated: {repeated}");
    }
}

#[test]
fn chunk_stream_numbers_have_three_lengths() {
    for (basic, id) in [(&[0x3f][..], 63), (&[0, 10], 74), (&[1, 1, 2], 64 + 1 + 512)] {
        let mut bytes = basic.to_vec();
        bytes.extend(&full(0, 5, 1, 8)[1..]);
        bytes.push(9);
        assert_eq!(read_all(&mut reader(), &bytes).unwrap()[0].chunk_stream, id);
    }
}

#[test]
fn a_fresh_chunk_stream_may_lack_its_message_stream_and_no_more() {
    let messages = read_all(&mut reader(), &[0x42, 0, 0, 0, 0, 0, 1, 4, 7]).unwrap();
    assert_eq!((messages[0].stream_id, messages[0].type_id), (0, 4));
    assert_eq!(read_all(&mut reader(), &[0x82, 0, 0, 0]), Err(ChunkError::NoHeader(2)));
    assert_eq!(read_all(&mut reader(), &[0xc2]), Err(ChunkError::NoHeader(2)));
}

#[test]
fn messages_without_body_are_messages() {
    let mut bytes = full(6, 1, 0, 9);
    bytes.extend([0xc6, 0xc6]);
    assert_eq!(times(&read_all(&mut reader(), &bytes).unwrap()), [1, 2, 3]);
}

#[test]
fn the_chunk_size_may_change_between_and_within_messages() {
    let mut reader = reader();
    let mut bytes = full(6, 0, 300, 9);
    bytes.extend([0; 128]);
    assert!(read_all(&mut reader, &bytes).unwrap().is_empty());
    reader.set_chunk_size(1 << 20).unwrap();
    let mut rest = vec![0xc6];
    rest.extend([0; 172]);
    assert_eq!(read_all(&mut reader, &rest).unwrap().len(), 1);
    reader.set_chunk_size(1).unwrap();
    let mut bytes = full(6, 0, 3, 9);
    bytes.extend([1, 0xc6, 2, 0xc6, 3]);
    assert_eq!(read_all(&mut reader, &bytes).unwrap()[0].body[..], [1, 2, 3]);
    assert!(reader.set_chunk_size(0x7fff_ffff).is_ok());
    assert_eq!(reader.set_chunk_size(0), Err(ChunkError::ChunkSize(0)));
    assert_eq!(reader.set_chunk_size(0x8000_0000), Err(ChunkError::ChunkSize(0x8000_0000)));
}

#[test]
fn an_abandoned_message_makes_room_for_another() {
    let mut reader = reader();
    let mut bytes = full(6, 0, 300, 9);
    bytes.extend([0; 128]);
    read_all(&mut reader, &bytes).unwrap();
    reader.abort(6);
    let mut bytes = full(6, 5, 1, 9);
    bytes.push(1);
    assert_eq!(times(&read_all(&mut reader, &bytes).unwrap()), [5]);
    reader.abort(99);
}

#[test]
fn what_breaks_a_bound_is_refused() {
    let limits = Limits { partial_bytes_max: 1_000, chunk_streams_max: 3, ..Limits::default() };
    let fresh = || Reader::new(limits, 600);
    assert_eq!(read_all(&mut fresh(), &full(6, 0, 601, 9)), Err(ChunkError::TooLong { bytes: 601, bytes_max: 600 }));

    let streams: Vec<u8> = (3..=6).flat_map(|id| full(id, 0, 0, 9)).collect();
    assert_eq!(read_all(&mut fresh(), &streams), Err(ChunkError::TooManyStreams(3)));

    let mut reader = fresh();
    reader.set_chunk_size(600).unwrap();
    let mut bytes = full(3, 0, 600, 9);
    bytes.extend([0; 599]);
    assert!(read_all(&mut reader, &bytes).unwrap().is_empty());
    let mut reader = fresh();
    let mut unfinished = Vec::new();
    for id in 3..=5 {
        unfinished.extend(full(id, 0, 600, 9));
        unfinished.extend([0; 128]);
    }
    assert!(read_all(&mut reader, &unfinished).unwrap().is_empty());
    for round in 0..4 {
        let more: Vec<u8> = (3..=5).flat_map(|id| [&[0xc0 | id][..], &[0; 128]].concat()).collect();
        let read = read_all(&mut reader, &more);
        assert_eq!(read.is_err(), round == 1, "384 bytes each round");
        if read.is_err() {
            assert_eq!(read, Err(ChunkError::TooMuchUnfinished(1_000)));
            break;
        }
    }

    let mut bytes = full(6, 0, 300, 9);
    bytes.extend([0; 128]);
    bytes.extend(full(6, 0, 300, 9));
    assert_eq!(read_all(&mut fresh(), &bytes), Err(ChunkError::Interrupted(6)));
}

#[test]
fn a_finished_message_no_longer_counts_as_unfinished() {
    let limits = Limits { partial_bytes_max: 400, ..Limits::default() };
    let mut reader = Reader::new(limits, 600);
    for _ in 0..10 {
        let mut bytes = full(6, 0, 300, 9);
        for piece in [128, 128, 44] {
            bytes.extend(vec![0; piece]);
            bytes.push(0xc6);
        }
        bytes.pop();
        assert_eq!(read_all(&mut reader, &bytes).unwrap().len(), 1);
    }
}

#[test]
fn a_message_in_one_chunk_is_a_slice_of_the_input() {
    let mut bytes = full(6, 0, 100, 9);
    bytes.extend([5; 100]);
    let mut input = Bytes::from(bytes);
    let at = input[12..].as_ptr();
    assert_eq!(reader().read(&mut input).unwrap().unwrap().body.as_ptr(), at);
}

fn any_message() -> impl Strategy<Value = (u8, u32, u8, Vec<u8>)> {
    let time = prop_oneof![any::<u32>(), 0xff_fff0..0x100_0010u32];
    (2u8..8, time, any::<u8>(), proptest::collection::vec(any::<u8>(), 0..700))
}

proptest! {
    #[test]
    fn reads_what_is_written_in_pieces_of_any_size(
        messages in proptest::collection::vec(any_message(), 0..10), chunk in 1usize..300, piece in 1usize..200,
    ) {
        let mut out = BytesMut::new();
        for (id, time, type_id, body) in &messages {
            put_message(&mut out, *id, *time, *type_id, 1, body, chunk);
        }
        let mut reader = reader();
        reader.set_chunk_size(chunk as u32).unwrap();
        let mut seen = Vec::new();
        for piece in out.chunks(piece) {
            seen.extend(read_all(&mut reader, piece).unwrap());
        }
        let seen: Vec<_> = seen.into_iter().map(|raw| (raw.chunk_stream as u8, raw.timestamp_ms, raw.type_id, raw.body.to_vec())).collect();
        prop_assert_eq!(seen, messages);
    }

    #[test]
    fn any_bytes_read_the_same_in_one_piece_and_byte_by_byte(
        bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(0xff), Just(0xc2), any::<u8>()], 0..300),
    ) {
        let mut whole_reader = reader();
        let mut whole = Vec::new();
        let mut input = Bytes::from(bytes.clone());
        let end = loop {
            match whole_reader.read(&mut input) {
                Ok(Some(raw)) => whole.push(raw),
                end => break end,
            }
        };
        let mut reader = reader();
        let mut single = Vec::new();
        let mut single_end = Ok(None);
        for byte in bytes {
            let mut input = Bytes::from(vec![byte]);
            loop {
                match reader.read(&mut input) {
                    Ok(Some(raw)) => single.push(raw),
                    Ok(None) => break,
                    error => { single_end = error; break }
                }
            }
            if single_end.is_err() { break }
        }
        prop_assert_eq!(whole, single);
        prop_assert_eq!(end, single_end);
    }
}
