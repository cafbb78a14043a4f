//! RFC 4571: datagrams on a stream, each behind its length in two bytes.

/// Longest frame that is read: what fits a datagram of ours and of every peer that we know.
pub(crate) const FRAME_BYTES_MAX: usize = 2_048;

/// Collects the bytes of a stream and gives its frames.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    start: usize,
}

/// The stream is not what it should be: a frame is longer than any peer makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Reader {
    /// Adds bytes of the stream.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, `None` where more bytes are needed. Empty frames are passed over.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, TooLong> {
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let Some((head, body)) = rest.split_first_chunk::<2>() else { return Ok(None) };
            let length = usize::from(u16::from_be_bytes(*head));
            if length > FRAME_BYTES_MAX {
                return Err(TooLong);
            }
            if body.len() < length {
                return Ok(None);
            }
            let from = self.start + 2;
            self.start = from + length;
            if length > 0 {
                return Ok(self.buffer.get(from..from + length));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_in_any_cut() {
        let stream = [0, 3, 1, 2, 3, 0, 0, 0, 1, 9];
        for cut in 0..=stream.len() {
            let mut reader = Reader::default();
            let mut frames: Vec<Vec<u8>> = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                reader.extend(part);
                while let Some(frame) = reader.next().unwrap() {
                    frames.push(frame.to_vec());
                }
            }
            assert_eq!(frames, [vec![1, 2, 3], vec![9]], "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_that_nobody_makes_is_refused_before_it_is_collected() {
        let mut reader = Reader::default();
        reader.extend(&[0xff, 0xff]);
        assert_eq!(reader.next(), Err(TooLong));
    }
}
