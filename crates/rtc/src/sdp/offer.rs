//! Reading an offer (RFC 8866): bounded, borrowing, and only what we need.

use media::Kind;
use smallvec::SmallVec;

use super::OFFER_BYTES_MAX;
use crate::error::OfferError;

/// m= lines read at most: browsers offer two, meeting clients a few dozen.
const SECTIONS_MAX: usize = 32;
/// Payload types of one m= line read at most.
const FORMATS_MAX: usize = 128;
/// Header extensions of one m= line read at most.
const EXTENSIONS_MAX: usize = 32;
/// Restrictions (a=rid) of one m= line read at most.
const RIDS_MAX: usize = 8;
/// Fingerprints read at most.
const FINGERPRINTS_MAX: usize = 8;
/// Length of an ICE credential at most, RFC 8839 section 5.4.
const CREDENTIAL_BYTES_MAX: usize = 256;
/// Length of an a=mid at most; RFC 8843 wants 3 bytes or fewer.
const MID_BYTES_MAX: usize = 64;

/// Who opens the DTLS connection, RFC 4145 section 4 as the offerer says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    ActPass,
    Active,
    Passive,
}

/// What the offerer does with an m= line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direction {
    pub(crate) sends: bool,
    pub(crate) receives: bool,
}

/// One payload type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offered<'a> {
    pub(crate) pt: u8,
    pub(crate) name: &'a str,
    pub(crate) rate_hz: u32,
    pub(crate) channels: u8,
    pub(crate) fmtp: &'a str,
    pub(crate) nack: bool,
    pub(crate) pli: bool,
    pub(crate) fir: bool,
    pub(crate) transport_cc: bool,
}

impl<'a> Offered<'a> {
    /// The value of a format parameter, by its name in any case.
    pub(crate) fn parameter(&self, name: &str) -> Option<&'a str> {
        self.fmtp.split(';').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn is(&self, name: &str, rate_hz: u32) -> bool {
        self.name.eq_ignore_ascii_case(name) && self.rate_hz == rate_hz
    }
}

/// One m= line and what follows it.
#[derive(Clone, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) media: &'a str,
    pub(crate) proto: &'a str,
    pub(crate) first_format: &'a str,
    pub(crate) refused: bool,
    pub(crate) mid: Option<&'a str>,
    pub(crate) direction: Direction,
    pub(crate) formats: Vec<Offered<'a>>,
    pub(crate) extensions: SmallVec<[(u8, &'a str); 16]>,
    pub(crate) ssrc: Option<u32>,
    pub(crate) ssrc_pair: Option<(u32, u32)>,
    pub(crate) reduced_size: bool,
    /// What it names, RFC 8851.
    pub(crate) rids: SmallVec<[&'a str; 4]>,
    /// What of that it would send side by side, RFC 8853 section 5.1: the value of the attribute.
    pub(crate) simulcast: Option<&'a str>,
}

impl Section<'_> {
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self.media {
            "audio" => Some(Kind::Audio),
            "video" => Some(Kind::Video),
            _ => None,
        }
    }
}

/// An offer.
#[derive(Clone, Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) ufrag: &'a str,
    pub(crate) pwd: &'a str,
    pub(crate) fingerprint: (&'a str, &'a str),
    pub(crate) setup: Setup,
    pub(crate) mixed_extensions: bool,
    pub(crate) sections: Vec<Section<'a>>,
}

impl<'a> Offer<'a> {
    /// Reads an offer.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn parse(text: &'a str) -> Result<Self, OfferError> {
        Self::read(text, false)
    }

    /// Reads an answer to an offer of ours, which has the same shape. It may come from an ICE-lite agent.
    ///
    /// # Errors
    /// Says what is wrong with it, in the words for an offer.
    pub(crate) fn parse_answer(text: &'a str) -> Result<Self, OfferError> {
        Self::read(text, true)
    }

    fn read(text: &'a str, lite_allowed: bool) -> Result<Self, OfferError> {
        if text.len() > OFFER_BYTES_MAX {
            return Err(OfferError::TooLong { bytes: text.len() });
        }
        let mut reader = Reader::default();
        let mut lines = text.lines().enumerate();
        match lines.next() {
            Some((_, first)) if first.trim() == "v=0" => {}
            first => {
                let begins = first.map_or("", |(_, line)| line).chars().take(32).collect();
                return Err(OfferError::NotAnOffer { begins });
            }
        }
        for (number, line) in lines {
            reader.line(number + 1, line.trim_end())?;
        }
        reader.finish(lite_allowed)
    }
}

#[derive(Default)]
struct Reader<'a> {
    ufrag: Option<&'a str>,
    pwd: Option<&'a str>,
    fingerprints: SmallVec<[(&'a str, &'a str); 4]>,
    setup: Option<Setup>,
    ice_lite: bool,
    mixed_extensions: bool,
    bundle: Option<&'a str>,
    direction: Option<Direction>,
    sections: Vec<Section<'a>>,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: usize, text: &'a str) -> Result<(), OfferError> {
        let Some((key, value)) = text.split_once('=') else {
            return if text.is_empty() { Ok(()) } else { Err(wrong(line, "a letter and an equals sign")) };
        };
        match key {
            "m" => self.section(line, value),
            "a" => {
                let (name, value) = value.split_once(':').unwrap_or((value, ""));
                self.transport(line, name, value)?;
                match self.sections.last_mut() {
                    Some(section) => section.attribute(line, name, value),
                    None => {
                        self.direction = direction(name).or(self.direction);
                        Ok(())
                    }
                }
            }
            _ if key.len() == 1 => Ok(()),
            _ => Err(wrong(line, "one letter before the equals sign")),
        }
    }

    fn section(&mut self, line: usize, value: &'a str) -> Result<(), OfferError> {
        if self.sections.len() >= SECTIONS_MAX {
            return Err(OfferError::TooManySections { limit: SECTIONS_MAX });
        }
        let mut words = value.split_ascii_whitespace();
        let (Some(media), Some(port), Some(proto)) = (words.next(), words.next(), words.next()) else {
            return Err(wrong(line, "m= needs a media type, a port, a protocol and formats"));
        };
        let port: u16 = port
            .split('/')
            .next()
            .and_then(|port| port.parse().ok())
            .ok_or(wrong(line, "the port of m= must be a number"))?;
        let numbers = words.clone().filter_map(|word| word.parse().ok()).filter(|pt: &u8| *pt < 128).take(FORMATS_MAX);
        self.sections.push(Section {
            media,
            proto,
            first_format: words.clone().next().unwrap_or("0"),
            refused: port == 0,
            mid: None,
            direction: self.direction.unwrap_or(Direction { sends: true, receives: true }),
            formats: numbers.map(|pt| Offered { pt, ..Offered::default() }).collect(),
            extensions: SmallVec::new(),
            ssrc: None,
            ssrc_pair: None,
            reduced_size: false,
            rids: SmallVec::new(),
            simulcast: None,
        });
        Ok(())
    }

    /// What belongs to the one transport, wherever it is written: the first of each counts.
    fn transport(&mut self, line: usize, name: &str, value: &'a str) -> Result<(), OfferError> {
        match name {
            "ice-ufrag" => {
                self.ufrag.get_or_insert(credential(line, value, 4)?);
            }
            "ice-pwd" => {
                self.pwd.get_or_insert(credential(line, value, 22)?);
            }
            "fingerprint" if self.fingerprints.len() < FINGERPRINTS_MAX => {
                let pair = value
                    .trim()
                    .split_once(' ')
                    .ok_or(wrong(line, "a=fingerprint needs a hash function and a value"))?;
                self.fingerprints.push(pair);
            }
            "setup" if self.setup.is_none() => {
                self.setup = Some(match value.trim() {
                    "actpass" => Setup::ActPass,
                    "active" => Setup::Active,
                    "passive" => Setup::Passive,
                    _ => return Err(wrong(line, "a=setup must be actpass, active or passive")),
                });
            }
            "ice-lite" => self.ice_lite = true,
            "extmap-allow-mixed" => self.mixed_extensions = true,
            "group" => {
                if let Some(mids) = value.strip_prefix("BUNDLE ") {
                    self.bundle.get_or_insert(mids);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self, lite_allowed: bool) -> Result<Offer<'a>, OfferError> {
        if !self.sections.iter().any(|section| section.kind().is_some()) {
            return Err(OfferError::NoMedia);
        }
        if self.ice_lite && !lite_allowed {
            return Err(OfferError::BothLite);
        }
        let fingerprint = self.choose_fingerprint()?;
        let sections = self.check_sections()?;
        Ok(Offer {
            ufrag: self.ufrag.ok_or(OfferError::Missing { what: "a=ice-ufrag" })?,
            pwd: self.pwd.ok_or(OfferError::Missing { what: "a=ice-pwd" })?,
            fingerprint,
            setup: self.setup.unwrap_or(Setup::ActPass),
            mixed_extensions: self.mixed_extensions,
            sections,
        })
    }

    fn choose_fingerprint(&self) -> Result<(&'a str, &'a str), OfferError> {
        let find = |hash: &str| self.fingerprints.iter().find(|(known, _)| known.eq_ignore_ascii_case(hash));
        let (hash, value) = match (find("sha-256").or_else(|| find("sha-1")), self.fingerprints.first()) {
            (Some((hash, value)), _) => (*hash, *value),
            (None, Some((hash, _))) => return Err(OfferError::Fingerprint { hash: hash.chars().take(16).collect() }),
            (None, None) => return Err(OfferError::Missing { what: "a=fingerprint" }),
        };
        let length = if hash.eq_ignore_ascii_case("sha-256") { 32 } else { 20 };
        let is_byte = |byte: &str| byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
        if value.split(':').count() != length || !value.split(':').all(is_byte) {
            return Err(OfferError::Missing { what: "well-formed a=fingerprint" });
        }
        Ok((if length == 32 { "sha-256" } else { "sha-1" }, value))
    }

    fn check_sections(&self) -> Result<Vec<Section<'a>>, OfferError> {
        let bundled =
            |mid: &str| self.bundle.is_some_and(|mids| mids.split_ascii_whitespace().any(|known| known == mid));
        let mut sections = self.sections.clone();
        for section in &mut sections {
            // A port of 0 inside the group means bundle-only, RFC 9143 section 6.
            section.refused &= !section.mid.is_some_and(bundled);
        }
        let live = sections.iter().filter(|section| !section.refused).count();
        let bundle = sections.iter().filter(|section| !section.refused).all(|section| section.mid.is_some_and(bundled));
        if live > 1 && !bundle {
            return Err(OfferError::NotBundled { sections: live });
        }
        for (index, section) in sections.iter().enumerate() {
            let twin = sections.iter().skip(index + 1).any(|other| other.mid.is_some() && other.mid == section.mid);
            if twin {
                return Err(OfferError::SameMid { mid: section.mid.unwrap_or_default().to_owned() });
            }
        }
        Ok(sections)
    }
}

impl<'a> Section<'a> {
    fn attribute(&mut self, line: usize, name: &str, value: &'a str) -> Result<(), OfferError> {
        match name {
            "mid" => {
                let token = |byte: u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&byte);
                if value.is_empty() || value.len() > MID_BYTES_MAX || !value.bytes().all(token) {
                    return Err(wrong(line, "a=mid must be a short token"));
                }
                self.mid = Some(value);
            }
            "rtpmap" => self.rtpmap(line, value)?,
            "fmtp" => {
                if let Some((format, rest)) = self.format(value) {
                    format.fmtp = rest;
                }
            }
            "rtcp-fb" => self.feedback(value),
            "rtcp-rsize" => self.reduced_size = true,
            "rid" if self.rids.len() < RIDS_MAX => {
                let mut words = value.split_ascii_whitespace();
                if let (Some(rid), Some("send" | "recv")) = (words.next(), words.next()) {
                    self.rids.push(rid);
                }
            }
            "simulcast" => _ = self.simulcast.get_or_insert(value),
            "extmap" if self.extensions.len() < EXTENSIONS_MAX => {
                let mut words = value.split_ascii_whitespace();
                let id = words.next().and_then(|id| id.split('/').next()).and_then(|id| id.parse().ok());
                if let (Some(id), Some(uri)) = (id, words.next()) {
                    self.extensions.push((id, uri));
                }
            }
            "ssrc" if self.ssrc.is_none() => {
                self.ssrc =
                    value.split_ascii_whitespace().next().and_then(|ssrc| ssrc.parse().ok()).filter(|ssrc| *ssrc != 0);
            }
            "ssrc-group" if self.ssrc_pair.is_none() => {
                let mut words = value.split_ascii_whitespace();
                if words.next() == Some("FID") {
                    let mut number = || words.next().and_then(|ssrc| ssrc.parse().ok()).filter(|ssrc| *ssrc != 0);
                    self.ssrc_pair = number().zip(number()).filter(|(main, repair)| main != repair);
                }
            }
            _ => self.direction = direction(name).unwrap_or(self.direction),
        }
        Ok(())
    }

    fn rtpmap(&mut self, line: usize, value: &'a str) -> Result<(), OfferError> {
        let Some((format, rest)) = self.format(value) else { return Ok(()) };
        let mut parts = rest.split('/');
        let (Some(name), Some(rate)) = (parts.next(), parts.next()) else {
            return Err(wrong(line, "a=rtpmap needs a name and a clock rate"));
        };
        format.name = name;
        format.rate_hz = rate.trim().parse().map_err(|_| wrong(line, "the clock rate of a=rtpmap must be a number"))?;
        format.channels = parts.next().and_then(|channels| channels.trim().parse().ok()).unwrap_or(1);
        Ok(())
    }

    fn feedback(&mut self, value: &str) {
        let (which, what) = value.split_once(' ').unwrap_or((value, ""));
        let pt: Option<u8> = which.parse().ok();
        for format in self.formats.iter_mut().filter(|format| which == "*" || pt == Some(format.pt)) {
            match what.trim() {
                "nack" => format.nack = true,
                "nack pli" => format.pli = true,
                "ccm fir" => format.fir = true,
                "transport-cc" => format.transport_cc = true,
                _ => {}
            }
        }
    }

    /// The format that an attribute is about, and the rest of the attribute.
    fn format(&mut self, value: &'a str) -> Option<(&mut Offered<'a>, &'a str)> {
        let (pt, rest) = value.split_once(' ')?;
        let pt: u8 = pt.parse().ok()?;
        let format = self.formats.iter_mut().find(|format| format.pt == pt)?;
        Some((format, rest.trim()))
    }
}

fn direction(name: &str) -> Option<Direction> {
    let (sends, receives) = match name {
        "sendrecv" => (true, true),
        "sendonly" => (true, false),
        "recvonly" => (false, true),
        "inactive" => (false, false),
        _ => return None,
    };
    Some(Direction { sends, receives })
}

pub(super) fn credential(line: usize, value: &str, min: usize) -> Result<&str, OfferError> {
    let value = value.trim();
    let fits = (min..=CREDENTIAL_BYTES_MAX).contains(&value.len());
    if fits && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
        Ok(value)
    } else {
        Err(wrong(line, "an ICE credential of 4 (ufrag) or 22 (pwd) to 256 letters"))
    }
}

fn wrong(line: usize, what: &'static str) -> OfferError {
    OfferError::Line { line, what }
}
