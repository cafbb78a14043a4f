//! The sample tables of a track: run-length coded times, sizes and places.

use bytes::Bytes;

use super::{
    Mp4Error, SAMPLE_BYTES_MAX, SAMPLES_MAX, Sample,
    boxes::{Fields, child},
};

/// The tables as they are in the file.
#[derive(Debug, Default)]
pub(super) struct Table {
    stts: Option<Bytes>,
    ctts: Option<Bytes>,
    stsc: Option<Bytes>,
    stsz: Option<Bytes>,
    stco: Option<Bytes>,
    co64: Option<Bytes>,
    stss: Option<Bytes>,
}

impl Table {
    pub(super) fn new(stbl: &[([u8; 4], Bytes)]) -> Self {
        let get = |name| child(stbl, name);
        Self {
            stts: get(b"stts"),
            ctts: get(b"ctts"),
            stsc: get(b"stsc"),
            stsz: get(b"stsz"),
            stco: get(b"stco"),
            co64: get(b"co64"),
            stss: get(b"stss"),
        }
    }
}

/// Appends the samples of a track.
///
/// # Errors
/// Where the tables do not add up.
pub(super) fn samples(track_id: u32, table: &Table, all_key: bool, out: &mut Vec<Sample>) -> Result<(), Mp4Error> {
    let (Some(stsz), Some(stsc), Some(stts)) = (&table.stsz, &table.stsc, &table.stts) else { return Ok(()) };
    let sizes = sizes(stsz)?;
    if sizes.len() + out.len() > SAMPLES_MAX {
        return Err(Mp4Error::Tables("it has more samples than a week of sound"));
    }
    let places = places(table)?;
    let runs = chunk_runs(stsc)?;
    let mut times = Runs::new(*b"stts", stts, 1)?;
    let mut shifts = table.ctts.as_ref().map(|ctts| Runs::new(*b"ctts", ctts, 0)).transpose()?;
    let mut keys = table.stss.as_ref().map(key_numbers).transpose()?;
    let mut sizes = sizes.into_iter();
    let (mut number, mut dts, mut run) = (0u32, 0i64, 0usize);
    for (chunk, place) in places.into_iter().enumerate() {
        while runs.get(run + 1).is_some_and(|(first, _)| *first as usize <= chunk + 1) {
            run += 1;
        }
        let mut offset = place;
        for _ in 0..runs.get(run).map_or(0, |(_, samples)| *samples) {
            let Some(bytes) = sizes.next() else { return Ok(()) };
            if bytes > SAMPLE_BYTES_MAX {
                return Err(Mp4Error::Tables("a sample is longer than 16 MiB"));
            }
            number += 1;
            let key = all_key || keys.as_mut().is_none_or(|keys| keys.contains(number));
            let composition = shifts.as_mut().map_or(0, |shifts| shifts.next().cast_signed());
            out.push(Sample { track_id, offset, bytes, dts, composition, key });
            offset = offset.saturating_add(u64::from(bytes));
            dts = dts.saturating_add(i64::from(times.next()));
        }
    }
    Ok(())
}

fn sizes(stsz: &Bytes) -> Result<Vec<u32>, Mp4Error> {
    let mut fields = Fields::new(*b"stsz", stsz.clone());
    fields.full()?;
    match fields.u32()? {
        0 => {
            let count = fields.count(4)?;
            (0..count).map(|_| fields.u32()).collect()
        }
        same => {
            let count = fields.u32()? as usize;
            if count > SAMPLES_MAX {
                return Err(Mp4Error::Tables("it has more samples than a week of sound"));
            }
            Ok(vec![same; count])
        }
    }
}

fn places(table: &Table) -> Result<Vec<u64>, Mp4Error> {
    match (&table.stco, &table.co64) {
        (Some(stco), _) => {
            let mut fields = Fields::new(*b"stco", stco.clone());
            fields.full()?;
            (0..fields.count(4)?).map(|_| fields.u32().map(u64::from)).collect()
        }
        (None, Some(co64)) => {
            let mut fields = Fields::new(*b"co64", co64.clone());
            fields.full()?;
            (0..fields.count(8)?).map(|_| fields.u64()).collect()
        }
        (None, None) => Ok(Vec::new()),
    }
}

/// First chunk, from 1, and samples of each chunk from there.
fn chunk_runs(stsc: &Bytes) -> Result<Vec<(u32, u32)>, Mp4Error> {
    let mut fields = Fields::new(*b"stsc", stsc.clone());
    fields.full()?;
    let count = fields.count(12)?;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        runs.push((fields.u32()?, fields.u32()?));
        fields.skip(4)?;
    }
    Ok(runs)
}

/// Values that repeat: pairs of a count and a value.
#[derive(Debug)]
struct Runs {
    fields: Fields,
    pairs_left: usize,
    left: u32,
    value: u32,
    /// A count of nothing is passed over; what follows the last pair has its value, or this.
    beyond: u32,
}

impl Runs {
    fn new(name: [u8; 4], body: &Bytes, beyond: u32) -> Result<Self, Mp4Error> {
        let mut fields = Fields::new(name, body.clone());
        fields.full()?;
        let pairs_left = fields.count(8)?;
        Ok(Self { fields, pairs_left, left: 0, value: beyond, beyond })
    }

    fn next(&mut self) -> u32 {
        while self.left == 0 {
            if self.pairs_left == 0 {
                return if self.beyond == 0 { 0 } else { self.value };
            }
            self.pairs_left -= 1;
            let (Ok(count), Ok(value)) = (self.fields.u32(), self.fields.u32()) else { return self.beyond };
            (self.left, self.value) = (count, value);
        }
        self.left -= 1;
        self.value
    }
}

/// Numbers of key frames, rising.
#[derive(Debug)]
struct Keys {
    fields: Fields,
    left: usize,
    next: u32,
}

fn key_numbers(stss: &Bytes) -> Result<Keys, Mp4Error> {
    let mut fields = Fields::new(*b"stss", stss.clone());
    fields.full()?;
    let left = fields.count(4)?;
    Ok(Keys { fields, left, next: 0 })
}

impl Keys {
    /// To be asked with rising numbers.
    fn contains(&mut self, number: u32) -> bool {
        while self.next < number && self.left > 0 {
            self.left -= 1;
            self.next = self.fields.u32().unwrap_or(u32::MAX);
        }
        self.next == number
    }
}
