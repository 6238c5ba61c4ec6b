//! One zstd frame, read under limits that are known beforehand.
//!
//! Owns the rules of CAS objects for readers: exactly one frame, the stated size, a bounded window, nothing behind it,
//! the stated SHA-256. Must not know where the bytes come from or what they are for.

use std::io::{self, Read, Write};
use std::time::Duration;

use sealift_policy::digest::{Digest, Hasher};
use sealift_policy::layout::{MAX_DOCUMENT, MAX_WINDOW_LOG};

use crate::clock;

/// What an object must turn out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    /// SHA-256 of the content.
    pub(crate) sha256: Digest,
    /// Length of the content in bytes.
    pub(crate) size: u64,
}

/// Why an object is not the expected one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// Not zstd, cut, a second frame, bytes behind it, or a window that is too large.
    #[error("not one complete zstd frame: {0}")]
    Malformed(&'static str),
    /// The content is longer or shorter.
    #[error("content of another size than the stated {expected} bytes")]
    Size {
        /// The size that was stated.
        expected: u64,
    },
    /// Other content.
    #[error("other content than the digest says (its own is {})", .found.short())]
    Digest {
        /// What came.
        found: Digest,
    },
    /// The content could not be written; nobody's fault but this machine's.
    #[error("failed to write the content")]
    Write(#[source] io::Error),
}

impl Expected {
    /// The longest that one frame of this content can sensibly be: incompressible content, block headers included.
    pub(crate) fn stored_limit(self) -> u64 {
        self.size + self.size / 128 + 1024
    }

    /// Decompresses `stored` into `sink` and says how long the hashing took. On an error the sink holds nothing that
    /// may be used.
    pub(crate) fn decompress(self, stored: &[u8], prefix: &[u8], mut sink: impl Write) -> Result<Duration, FrameError> {
        // Asked before anything is allocated: a bomb states its size, or has none and is refused as well.
        match zstd::zstd_safe::get_frame_content_size(stored) {
            Ok(Some(size)) if size == self.size => {}
            Ok(_) => return Err(FrameError::Size { expected: self.size }),
            Err(_) => return Err(FrameError::Malformed("no frame header")),
        }
        let malformed = |_| FrameError::Malformed("no decoder for it");
        let mut decoder = if prefix.is_empty() {
            zstd::Decoder::with_buffer(stored).map_err(malformed)?
        } else {
            zstd::Decoder::with_ref_prefix(stored, prefix).map_err(malformed)?
        }
        .single_frame();
        decoder.window_log_max(MAX_WINDOW_LOG).map_err(malformed)?;
        let mut hasher = Hasher::default();
        let mut left = self.size;
        let mut hashing = Duration::ZERO;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = decoder
                .read(&mut buffer)
                .map_err(|_| FrameError::Malformed("damaged, cut or window too large"))?;
            if read == 0 {
                break;
            }
            let piece = &buffer[..read];
            left = left
                .checked_sub(read as u64)
                .ok_or(FrameError::Size { expected: self.size })?;
            let begin = clock::of_thread();
            hasher.update(piece);
            hashing += clock::of_thread().saturating_sub(begin);
            sink.write_all(piece).map_err(FrameError::Write)?;
        }
        if left > 0 {
            return Err(FrameError::Size { expected: self.size });
        }
        if !decoder.finish().is_empty() {
            return Err(FrameError::Malformed("bytes behind the frame"));
        }
        let found = hasher.finish();
        if found != self.sha256 {
            return Err(FrameError::Digest { found });
        }
        Ok(hashing)
    }
}

/// Checks a manifest or key document, whose size nobody states beforehand but which has a limit.
pub(crate) fn document(stored: &[u8], sha256: Digest) -> Result<Vec<u8>, FrameError> {
    let size = match zstd::zstd_safe::get_frame_content_size(stored) {
        Ok(Some(size)) if size <= MAX_DOCUMENT => size,
        Ok(_) => return Err(FrameError::Size { expected: MAX_DOCUMENT }),
        Err(_) => return Err(FrameError::Malformed("no frame header")),
    };
    let mut content = Vec::new();
    Expected { sha256, size }.decompress(stored, b"", &mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &[u8] = b"an output of some length, an output of some length";

    fn frame(content: &[u8], prefix: &[u8], window_log: u32) -> Vec<u8> {
        let mut encoder = zstd::Encoder::with_ref_prefix(Vec::new(), 3, prefix).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.include_contentsize(true).unwrap();
        encoder.set_pledged_src_size(Some(content.len() as u64)).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn expected(content: &[u8]) -> Expected {
        Expected {
            sha256: Digest::of(content),
            size: content.len() as u64,
        }
    }

    fn read(stored: &[u8], prefix: &[u8]) -> Result<Vec<u8>, FrameError> {
        let mut content = Vec::new();
        expected(CONTENT)
            .decompress(stored, prefix, &mut content)
            .map(|_| content)
    }

    #[test]
    fn a_frame_reads_back_with_its_prefix_and_not_without() {
        assert_eq!(read(&frame(CONTENT, b"", 20), b"").unwrap(), CONTENT);
        let prefixed = frame(CONTENT, CONTENT, 20);
        assert_eq!(read(&prefixed, CONTENT).unwrap(), CONTENT);
        assert!(read(&prefixed, b"").is_err());
        assert!(read(&prefixed, &CONTENT.to_ascii_uppercase()).is_err());
    }

    #[test]
    fn a_cut_frame_and_bytes_or_a_frame_behind_it_are_refused() {
        let good = frame(CONTENT, b"", 20);
        for end in 0..good.len() {
            assert!(read(&good[..end], b"").is_err(), "{end}");
        }
        for more in [&b"x"[..], &good, &frame(b"", b"", 20)] {
            let longer = [&good, more].concat();
            assert!(matches!(
                read(&longer, b""),
                Err(FrameError::Malformed("bytes behind the frame"))
            ));
        }
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &good].concat();
        assert!(read(&skippable, b"").is_err());
    }

    #[test]
    fn another_size_or_content_is_refused() {
        assert!(matches!(
            read(&frame(&CONTENT[1..], b"", 20), b""),
            Err(FrameError::Size { .. })
        ));
        assert!(matches!(
            read(&frame(&[CONTENT, b"x"].concat(), b"", 20), b""),
            Err(FrameError::Size { .. })
        ));
        let other = CONTENT.to_ascii_uppercase();
        assert!(matches!(
            read(&frame(&other, b"", 20), b""),
            Err(FrameError::Digest { .. })
        ));
        let without_size = zstd::encode_all(CONTENT, 3).unwrap();
        assert!(matches!(read(&without_size, b""), Err(FrameError::Size { .. })));
    }

    #[test]
    fn a_frame_that_lies_about_its_size_ends_at_the_stated_one() {
        // A header that states 50 bytes over blocks that would give 64 MiB.
        let bomb = frame(&vec![0; 64 << 20], b"", 20);
        let good = frame(CONTENT, b"", 20);
        assert!(read(&bomb, b"").is_err());
        assert!(read(&[&good[..6], &bomb[9..]].concat(), b"").is_err());
    }

    #[test]
    fn a_window_beyond_the_limit_is_refused() {
        // Content as long as the window, so that the encoder does not shrink it; compressed it is a few kilobytes.
        let content = vec![0; (1 << 27) + 1];
        let stored = frame(&content, b"", 28);
        let refused = expected(&content).decompress(&stored, b"", io::sink());
        assert!(matches!(refused, Err(FrameError::Malformed(_))), "{refused:?}");
    }

    #[test]
    fn a_document_beyond_the_limit_is_refused() {
        let read = |length: u64| {
            let content = vec![0; usize::try_from(length).unwrap()];
            document(&frame(&content, b"", 20), Digest::of(&content))
        };
        assert!(read(MAX_DOCUMENT).is_ok());
        assert!(matches!(read(MAX_DOCUMENT + 1), Err(FrameError::Size { .. })));
    }

    #[test]
    fn damaged_frames_never_panic() {
        let good = frame(CONTENT, b"", 20);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut damaged = good.clone();
                damaged[at] ^= 1 << bit;
                if let Ok(content) = read(&damaged, b"") {
                    assert_eq!(content, CONTENT, "unused header bits only");
                }
            }
        }
    }
}
