//! Compressed objects: read back, cut, exchanged, and lying about themselves.

use super::*;

fn content(bytes: &[u8]) -> Content {
    Content {
        sha256: Digest::of(bytes),
        size: bytes.len() as u64,
    }
}

fn decoded(stored: &[u8], prefix: &[u8], of: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut out = Vec::new();
    decode(stored, prefix, content(of), &mut out).map(|()| out)
}

fn with_prefix(prefix: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), COMPRESSION_LEVEL, prefix).unwrap();
    encoder.set_pledged_src_size(Some(bytes.len() as u64)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn what_was_encoded_is_decoded() {
    for bytes in [b"".as_slice(), b"x", &noise(300_000)] {
        assert_eq!(decoded(&encode_document(bytes), &[], bytes).unwrap(), bytes);
        assert_eq!(
            decode_document(&encode_document(bytes), Digest::of(bytes), 300_000).unwrap(),
            bytes
        );
    }
    assert!(decode_document(&encode_document(&[0; 11]), Digest::of(&[0; 11]), 10).is_err());
}

#[test]
fn a_prefix_must_be_the_one_that_was_used() {
    let rmeta = noise(100_000);
    let rlib = [b"!<arch>\n".as_slice(), &rmeta, b"objects"].concat();
    let stored = with_prefix(&rmeta, &rlib);
    assert!(stored.len() < 1000, "the prefix is what makes it small");
    assert_eq!(decoded(&stored, &rmeta, &rlib).unwrap(), rlib);
    assert!(decoded(&stored, &noise(99_999), &rlib).is_err());
    assert!(decoded(&stored, &[], &rlib).is_err());
}

#[test]
fn what_was_encoded_without_prefix_is_read_with_every_prefix() {
    let (rmeta, rlib) = (noise(50_000), noise(120_000));
    let mut plain = Vec::new();
    encode_plain(rlib.as_slice(), rlib.len() as u64, &mut plain).unwrap();
    for prefix in [b"".as_slice(), b"x", &rmeta] {
        assert_eq!(decoded(&plain, prefix, &rlib).unwrap(), rlib);
    }
}

#[test]
fn t7_a_second_frame_or_anything_else_after_the_end_is_refused() {
    let stored = encode_document(b"content");
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, b'x'];
    for after in [b"x".as_slice(), &stored, &encode_document(b""), &skippable] {
        let refused = decoded(&[&stored, after].concat(), &[], b"content");
        assert!(matches!(refused, Err(FrameError::Trailing)), "{refused:?}");
        assert!(decode_document(&[&stored, after].concat(), Digest::of(b"content"), 1000).is_err());
    }
    assert!(decode_document(&[skippable.as_slice(), &stored].concat(), Digest::of(b"content"), 1000).is_err());
    assert!(decode_document(&stored[1..], Digest::of(b"content"), 1000).is_err());
    assert!(decode_document(&stored, Digest::of(b"other"), 1000).is_err());
    let refused = decoded(&[skippable.as_slice(), &stored].concat(), &[], b"content");
    assert!(matches!(refused, Err(FrameError::Malformed)), "{refused:?}");
}

#[test]
fn t7_another_size_than_stated_is_refused() {
    let long = vec![7; 1 << 20];
    assert!(matches!(
        decoded(&encode_document(&long), &[], &long[1..]),
        Err(FrameError::Malformed)
    ));
    // A frame that does not state its size.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(b"content").unwrap();
    assert!(matches!(
        decoded(&encoder.finish().unwrap(), &[], b"content"),
        Err(FrameError::Malformed)
    ));
    assert!(matches!(decoded(b"", &[], b""), Err(FrameError::Malformed)));
}

#[test]
fn t7_a_window_of_gigabytes_is_refused_before_memory_is_taken() {
    // Magic; a descriptor that announces an 8-byte content size and a window; a window of 2 GiB; the size.
    let size = 1_u64 << 31;
    let mut stored = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1100_0000, 21 << 3];
    stored.extend(size.to_le_bytes());
    stored.extend([1, 0, 0]);
    let content = Content {
        sha256: Digest::of(b""),
        size,
    };
    let refused = decode(stored.as_slice(), &[], content, &mut io::sink());
    assert!(matches!(refused, Err(FrameError::Malformed)), "{refused:?}");
}

#[test]
fn f12_cut_damaged_or_exchanged_bytes_are_refused() {
    let bytes = noise(5000);
    let stored = encode_document(&bytes);
    for cut in [1, 4, 17, 100, stored.len() - 1] {
        assert!(decoded(&stored[..cut], &[], &bytes).is_err(), "{cut}");
    }
    for at in [0, 5, 9, 2000, stored.len() - 1] {
        let mut damaged = stored.clone();
        damaged[at] ^= 0x10;
        assert!(decoded(&damaged, &[], &bytes).is_err(), "{at}");
    }
    let other = noise(5001)[1..].to_vec();
    assert!(matches!(
        decoded(&encode_document(&other), &[], &bytes),
        Err(FrameError::Digest)
    ));
}

#[test]
fn an_unreadable_source_is_not_a_malformed_frame() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let bytes = noise(5000);
    let stored = encode_document(&bytes);
    for cut in [0, 10, 3000] {
        let failed = decode(stored[..cut].chain(Fails), &[], content(&bytes), &mut io::sink());
        assert!(matches!(failed, Err(FrameError::Read(_))), "{cut}: {failed:?}");
    }
}
