//! Objects: outputs as they are stored and submitted, one zstd frame each.
//!
//! Owns compression (level, prefix and window), and reading stored bytes of others under limits that are known before.
//! Must not know manifests or the network.

use std::io::{self, BufRead, Read as _, Write};

use sealift_policy::digest::{Digest, Hasher};
use sealift_policy::layout::{COMPRESSION_LEVEL, MAX_WINDOW_LOG};
use zstd::zstd_safe;

/// Smallest window that zstd knows.
const MIN_WINDOW_LOG: u32 = 10;

/// Compresses an output; an rlib with its rmeta as prefix, since it contains it.
///
/// # Errors
/// When zstd fails, which it does for lack of memory only.
pub fn compress(content: &[u8], prefix: Option<&[u8]>) -> io::Result<Vec<u8>> {
    let prefix = prefix.unwrap_or_default();
    let mut encoder = zstd::Encoder::with_ref_prefix(Vec::new(), COMPRESSION_LEVEL, prefix)?;
    encoder.set_pledged_src_size(Some(content.len() as u64))?;
    encoder.include_contentsize(true)?;
    // The window must reach back over the whole prefix, or its beginning is of no use.
    encoder.window_log(window_log(content.len() + prefix.len()))?;
    encoder.write_all(content)?;
    encoder.finish()
}

/// Why stored bytes are not the object that they should be.
#[derive(Debug, thiserror::Error)]
pub enum BadObject {
    /// No frame, another size in its header, a window beyond the limit, or damaged inside.
    #[error("not one zstd frame of {0} bytes of content within the window limit")]
    Malformed(u64),
    /// Bytes behind the frame.
    #[error("more after the end of the frame")]
    Trailing,
    /// The content is not what it is called.
    #[error("the content has another digest")]
    Digest,
    /// The bytes could not be read, or the content not written.
    #[error("failed to read a stored object")]
    Io(#[from] io::Error),
}

/// The most bytes that an object with this content may be stored in: a frame is never much longer than its content.
pub const fn longest_stored(size: u64) -> u64 {
    size + size / 64 + 1024
}

/// Checks that stored bytes are one frame of exactly this content, and writes the content to `out`.
///
/// Memory is bounded by the window limit, whatever the bytes say; nothing beyond `size` is written.
///
/// # Errors
/// When they are not.
pub fn decode(
    mut stored: impl BufRead,
    prefix: &[u8],
    (sha256, size): (Digest, u64),
    out: &mut impl Write,
) -> Result<(), BadObject> {
    let malformed = || BadObject::Malformed(size);
    // The longest header has 18 bytes; every reader here gives as many at once, or all that there are.
    if !matches!(zstd_safe::get_frame_content_size(stored.fill_buf()?), Ok(Some(stated)) if stated == size) {
        return Err(malformed());
    }
    let mut decoder = zstd::Decoder::with_ref_prefix(stored, prefix)?.single_frame();
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    let mut hasher = Hasher::default();
    let mut left = size;
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = decoder.read(&mut buffer).map_err(|_| malformed())?;
        if read == 0 {
            break;
        }
        left = left.checked_sub(read as u64).ok_or_else(malformed)?;
        hasher.update(&buffer[..read]);
        out.write_all(&buffer[..read])?;
    }
    if left > 0 {
        return Err(malformed());
    }
    if !decoder.finish().fill_buf()?.is_empty() {
        return Err(BadObject::Trailing);
    }
    if hasher.finish() == sha256 {
        Ok(())
    } else {
        Err(BadObject::Digest)
    }
}

/// The content of a stored document, whose size only its frame states: at most `limit` bytes.
///
/// # Errors
/// When it is longer, or is not what it is called.
pub fn decode_document(stored: &[u8], sha256: Digest, limit: u64) -> Result<Vec<u8>, BadObject> {
    match zstd_safe::get_frame_content_size(stored) {
        Ok(Some(size)) if size <= limit => {
            let mut content = Vec::new();
            decode(stored, &[], (sha256, size), &mut content)?;
            Ok(content)
        }
        _ => Err(BadObject::Malformed(limit)),
    }
}

fn window_log(reach: usize) -> u32 {
    usize::BITS
        .saturating_sub(reach.leading_zeros())
        .clamp(MIN_WINDOW_LOG, MAX_WINDOW_LOG)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let step = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..length).map(step).collect()
    }

    #[test]
    fn an_rlib_costs_little_beyond_the_rmeta_that_it_contains() {
        let rmeta = noise(3 << 20);
        let rlib = [&noise(100)[..], &rmeta, &[0; 5000]].concat();
        let stored = compress(&rlib, Some(&rmeta)).unwrap();
        assert!(stored.len() < 10_000, "{}", stored.len());
        let mut decoder = zstd::Decoder::with_ref_prefix(stored.as_slice(), &rmeta).unwrap();
        decoder.window_log_max(MAX_WINDOW_LOG).unwrap();
        let mut content = Vec::new();
        decoder.read_to_end(&mut content).unwrap();
        assert!(content == rlib);
    }

    #[test]
    fn what_was_compressed_is_read_back_and_nothing_else_is() {
        let (rmeta, rlib) = (noise(1000), [&noise(1000)[..], &noise(50)].concat());
        let stored = compress(&rlib, Some(&rmeta)).unwrap();
        let content = (Digest::of(&rlib), rlib.len() as u64);
        let read = |stored: &[u8], prefix: &[u8], content| {
            let mut out = Vec::new();
            decode(stored, prefix, content, &mut out).map(|()| out)
        };
        assert!(read(&stored, &rmeta, content).unwrap() == rlib);
        let bad = |result: Result<Vec<u8>, BadObject>| result.unwrap_err();
        assert!(matches!(
            bad(read(&stored, &rmeta, (content.0, 5))),
            BadObject::Malformed(5)
        ));
        assert!(matches!(
            bad(read(&stored, &rmeta, (Digest::of(b""), content.1))),
            BadObject::Digest
        ));
        assert!(read(&stored, &noise(900), content).is_err(), "another prefix");
        assert!(matches!(
            bad(read(&stored[..stored.len() - 1], &rmeta, content)),
            BadObject::Malformed(_)
        ));
        assert!(matches!(
            bad(read(&[&stored[..], &stored].concat(), &rmeta, content)),
            BadObject::Trailing
        ));
        assert!(read(b"", &rmeta, content).is_err());
        let document = compress(b"{}", None).unwrap();
        assert_eq!(decode_document(&document, Digest::of(b"{}"), 2).unwrap(), b"{}");
        assert!(decode_document(&document, Digest::of(b"{}"), 1).is_err());
        assert!(decode_document(&document, Digest::of(b"[]"), 2).is_err());
    }

    #[test]
    fn a_frame_states_the_size_of_its_content() {
        for content in [&b""[..], b"x", &noise(100_000)] {
            let stored = compress(content, None).unwrap();
            let stated = zstd_safe::get_frame_content_size(&stored).unwrap();
            assert_eq!(stated, Some(content.len() as u64));
        }
    }
}
