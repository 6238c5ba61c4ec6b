//! What must hold for stored objects: one zstd frame of the stated content, or nothing.
//!
//! Must not know how inputs are found.

use sealift_policy::digest::Digest;
use sealift_policy::layout::MAX_DOCUMENT;

use crate::frame::{Expected, document};

/// What [`frame`] expects first.
pub const CONTENT: &[u8] = b"an output of some length, an output of some length";

/// The longest content that is unpacked for comparison.
const MAX_CONTENT: u64 = 1 << 20;

/// A frame gives the stated content and not one byte more, with a prefix and without; and a frame that is accepted is the
/// whole of the stored bytes.
pub fn frame(data: &[u8]) {
    let expected = |content: &[u8]| Expected {
        sha256: Digest::of(content),
        size: content.len() as u64,
    };
    for prefix in [&b""[..], CONTENT] {
        let mut content = Vec::new();
        if expected(CONTENT).decompress(data, prefix, &mut content).is_ok() {
            assert_eq!(content, CONTENT);
            assert_is_whole(data);
        }
        assert!(content.len() <= CONTENT.len(), "more was written than was stated");
    }
    let Ok(Some(size)) = zstd::zstd_safe::get_frame_content_size(data) else {
        return;
    };
    if size > MAX_CONTENT {
        assert!(size <= MAX_DOCUMENT || document(data, Digest::of(b"")).is_err());
        return;
    }
    let capacity = usize::try_from(size).expect("at most a mebibyte");
    let Ok(reference) = zstd::bulk::decompress(data, capacity) else {
        let other = Expected {
            sha256: Digest::of(b""),
            size,
        };
        assert!(size == 0 || other.decompress(data, b"", std::io::sink()).is_err());
        return;
    };
    if let Ok(content) = document(data, Digest::of(&reference)) {
        assert_eq!(content, reference);
        assert_is_whole(data);
    }
    assert!(document(data, Digest::of(b"something else")).is_err());
}

fn assert_is_whole(data: &[u8]) {
    assert_eq!(
        zstd::zstd_safe::find_frame_compressed_size(data),
        Ok(data.len()),
        "more behind the frame"
    );
}
