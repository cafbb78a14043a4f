//! VP8 in RTP: the one bit that matters for forwarding (RFC 7741 section 4.2, RFC 6386 section 9.1).

/// Whether an RTP payload begins a key frame: start of partition 0, and the frame header's inverse key bit is clear.
pub fn starts_key_frame(payload: &[u8]) -> bool {
    let Some(&first) = payload.first() else { return false };
    let start_of_partition_0 = first & 0x10 != 0 && first & 0x07 == 0;
    let mut at = 1;
    if first & 0x80 != 0 {
        let Some(&extension) = payload.get(at) else { return false };
        at += 1;
        if extension & 0x80 != 0 {
            let Some(&picture) = payload.get(at) else { return false };
            at += if picture & 0x80 != 0 { 2 } else { 1 };
        }
        at += usize::from(extension & 0x40 != 0);
        at += usize::from(extension & 0x30 != 0);
    }
    start_of_partition_0 && payload.get(at).is_some_and(|header| header & 1 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_key_from_delta() {
        assert!(starts_key_frame(&[0x90, 0x80, 0x81, 0x23, 0x10]), "extended, 15-bit picture id");
        assert!(!starts_key_frame(&[0x90, 0x80, 0x81, 0x23, 0x11]), "delta frame");
        assert!(!starts_key_frame(&[0x80, 0x80, 0x81, 0x23, 0x10]), "not the start of a partition");
        assert!(starts_key_frame(&[0x10, 0x00]));
        assert!(!starts_key_frame(&[0x90, 0x80]));
        assert!(!starts_key_frame(&[]));
    }
}
