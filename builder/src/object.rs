//! Objects: outputs as they are stored and submitted, one zstd frame each.
//!
//! Owns compression: level, prefix and window. Must not know manifests or the network.

use std::io::{self, Write as _};

use sealift_policy::layout::{COMPRESSION_LEVEL, MAX_WINDOW_LOG};

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
    fn a_frame_states_the_size_of_its_content() {
        for content in [&b""[..], b"x", &noise(100_000)] {
            let stored = compress(content, None).unwrap();
            let stated = zstd::zstd_safe::get_frame_content_size(&stored).unwrap();
            assert_eq!(stated, Some(content.len() as u64));
        }
    }
}
