//! The parameter sets of an H.264 track as they come in band, and the track that they make.

use bytes::Bytes;
use media::{TrackInfo, bits::BitReader, h264};

/// Parameter sets of one kind that are kept, at most.
const SETS_MAX: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Sets {
    sps: Vec<Bytes>,
    pps: Vec<Bytes>,
    announced: bool,
}

impl Sets {
    /// Takes the sets of one access unit. `Ok(Some)` where they begin a new track.
    pub(super) fn take(&mut self, sps: Vec<Bytes>, pps: Vec<Bytes>) -> Result<Option<TrackInfo>, h264::ConfigError> {
        let mut next = Self { sps: self.sps.clone(), pps: self.pps.clone(), announced: false };
        if !sps.is_empty() {
            // Picture sets belong to the sequence sets that they came with.
            next.sps = distinct(sps);
            if !pps.is_empty() {
                next.pps.clear();
            }
        }
        for set in distinct(pps) {
            next.replace_picture_set(set);
        }
        if self.announced && next.sps == self.sps && next.pps == self.pps {
            return Ok(None);
        }
        if next.sps.is_empty() || next.pps.is_empty() {
            *self = next;
            return Ok(None);
        }
        let config = h264::Config::from_sets(next.sps.clone(), next.pps.clone())?;
        *self = Self { announced: true, ..next };
        Ok(Some(TrackInfo::h264(config)))
    }

    /// Whether a decoder could begin.
    pub(super) fn are_known(&self) -> bool {
        self.announced
    }

    fn replace_picture_set(&mut self, set: Bytes) {
        let id = picture_set_id(&set);
        let is_known = |known: &Bytes| picture_set_id(known) == id;
        if let Some(known) = self.pps.iter_mut().find(|known| is_known(known)) {
            *known = set;
        } else if self.pps.len() < SETS_MAX {
            self.pps.push(set);
        }
    }
}

fn distinct(sets: Vec<Bytes>) -> Vec<Bytes> {
    let mut kept: Vec<Bytes> = Vec::new();
    for set in sets {
        if kept.len() < SETS_MAX && !kept.contains(&set) {
            // A copy of some bytes, so that the set, which stays, does not keep a whole receive buffer.
            kept.push(Bytes::copy_from_slice(&set));
        }
    }
    kept
}

/// `pic_parameter_set_id` (ITU-T H.264 section 7.3.2.2).
fn picture_set_id(set: &[u8]) -> Option<u32> {
    let body = set.get(1..set.len().min(8))?;
    BitReader::new(body).ue()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: [u8; 15] = [0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x00, 0xf0, 0x88, 0x46, 0xa0];

    fn set(bytes: &[u8]) -> Vec<Bytes> {
        vec![Bytes::copy_from_slice(bytes)]
    }

    #[test]
    fn a_track_begins_when_both_kinds_are_there_and_when_one_changes() {
        let mut sets = Sets::default();
        assert_eq!(sets.take(set(&SPS), vec![]), Ok(None));
        assert!(!sets.are_known());
        let first = sets.take(vec![], set(&[0x68, 0xce, 0x3c, 0x80])).unwrap().unwrap();
        assert!(sets.are_known());
        assert_eq!(sets.take(set(&SPS), set(&[0x68, 0xce, 0x3c, 0x80])), Ok(None), "the same again");
        let second = sets.take(vec![], set(&[0x68, 0xce, 0x38, 0x80])).unwrap().unwrap();
        assert_ne!(first, second);
        let media::Config::H264(config) = second.config else { panic!() };
        assert_eq!(config.pps.len(), 1, "the set of the same number was replaced");
        let third = sets.take(vec![], set(&[0x68, 0x5e, 0x38, 0x80])).unwrap().unwrap();
        let media::Config::H264(config) = third.config else { panic!() };
        assert_eq!(config.pps.len(), 2, "a set of another number was added");
    }

    #[test]
    fn a_set_that_cannot_be_read_leaves_those_before() {
        let mut sets = Sets::default();
        assert!(sets.take(set(&SPS), set(&[0x68, 0xce])).unwrap().is_some());
        assert!(sets.take(set(&[0x67, 0x42]), vec![]).is_err());
        assert_eq!(sets.take(set(&SPS), vec![]), Ok(None));
    }
}
