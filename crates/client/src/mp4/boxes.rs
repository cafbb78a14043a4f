//! The tree of boxes, and reading numbers out of one.

use bytes::{Buf as _, Bytes};

use super::Mp4Error;

/// Boxes in one box that are looked at.
const CHILDREN_MAX: usize = 4_096;

/// Name and size of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: [u8; 4],
    /// Bytes of the header: 8 or 16.
    pub header_bytes: u64,
    /// Bytes of header and body; `None` where it reaches to the end of the file.
    pub bytes: Option<u64>,
}

/// Reads the header of a box; `None` where more bytes are needed.
///
/// # Errors
/// Where it is shorter than its own header.
pub fn header(bytes: &[u8]) -> Result<Option<Header>, Mp4Error> {
    let Some(&[a, b, c, d, n0, n1, n2, n3]) = bytes.first_chunk::<8>() else { return Ok(None) };
    let name = [n0, n1, n2, n3];
    let (header_bytes, size) = match u32::from_be_bytes([a, b, c, d]) {
        0 => return Ok(Some(Header { name, header_bytes: 8, bytes: None })),
        1 => match bytes.get(8..16).and_then(|size| size.try_into().ok()) {
            Some(size) => (16, u64::from_be_bytes(size)),
            None => return Ok(None),
        },
        size => (8, u64::from(size)),
    };
    if size < header_bytes {
        return Err(short(name));
    }
    Ok(Some(Header { name, header_bytes, bytes: Some(size) }))
}

/// The boxes in a body, one after the other.
///
/// # Errors
/// Where one reaches beyond the body.
pub(super) fn children(mut body: Bytes) -> Result<Vec<([u8; 4], Bytes)>, Mp4Error> {
    let mut found = Vec::new();
    while found.len() < CHILDREN_MAX {
        // Some writers end a list with four zeros.
        let Some(head) = header(&body)? else { break };
        let bytes = head.bytes.unwrap_or(body.len() as u64);
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= body.len()).ok_or_else(|| short(head.name))?;
        let mut whole = body.split_to(bytes);
        whole.advance((head.header_bytes as usize).min(whole.len()));
        found.push((head.name, whole));
    }
    Ok(found)
}

/// The first child of this name.
pub(super) fn child(children: &[([u8; 4], Bytes)], name: &[u8; 4]) -> Option<Bytes> {
    children.iter().find(|(known, _)| known == name).map(|(_, body)| body.clone())
}

pub(super) fn short(name: [u8; 4]) -> Mp4Error {
    Mp4Error::Short(name.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' }).collect())
}

/// Numbers out of a box, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    name: [u8; 4],
    body: Bytes,
}

impl Fields {
    pub(super) fn new(name: [u8; 4], body: Bytes) -> Self {
        Self { name, body }
    }

    pub(super) fn skip(&mut self, bytes: usize) -> Result<(), Mp4Error> {
        self.bytes(bytes).map(drop)
    }

    pub(super) fn bytes(&mut self, bytes: usize) -> Result<Bytes, Mp4Error> {
        if self.body.len() < bytes {
            return Err(short(self.name));
        }
        Ok(self.body.split_to(bytes))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Mp4Error> {
        self.body.try_get_u8().map_err(|_| short(self.name))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Mp4Error> {
        self.body.try_get_u16().map_err(|_| short(self.name))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Mp4Error> {
        self.body.try_get_u32().map_err(|_| short(self.name))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Mp4Error> {
        self.body.try_get_u64().map_err(|_| short(self.name))
    }

    /// 64 bits in version 1 of a box, 32 in version 0.
    pub(super) fn sized(&mut self, version: u8) -> Result<u64, Mp4Error> {
        if version == 0 { self.u32().map(u64::from) } else { self.u64() }
    }

    /// Version and flags.
    pub(super) fn full(&mut self) -> Result<(u8, u32), Mp4Error> {
        let word = self.u32()?;
        Ok(((word >> 24) as u8, word & 0xff_ffff))
    }

    /// How many entries of a size follow: never more than there are bytes for.
    pub(super) fn count(&mut self, entry_bytes: usize) -> Result<usize, Mp4Error> {
        let count = self.u32()? as usize;
        if count.checked_mul(entry_bytes).is_none_or(|bytes| bytes > self.body.len()) {
            return Err(short(self.name));
        }
        Ok(count)
    }

    pub(super) fn rest(self) -> Bytes {
        self.body
    }
}
