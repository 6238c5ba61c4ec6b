//! Stored objects: exactly one zstd frame, read under limits that are known beforehand.
//!
//! Owns what a well-formed stored object is and how its content is checked without holding it in memory.
//! Must not know which object it is or where it goes.

use std::io::{self, BufRead as _, BufReader, Read, Write};

use sealift_policy::digest::{Digest, Hasher};
use sealift_policy::layout::{COMPRESSION_LEVEL, MAX_WINDOW_LOG};
use zstd::zstd_safe;

/// The longest prefix that a window can reach back to.
pub const MAX_PREFIX: u64 = 1 << MAX_WINDOW_LOG;

/// The longest header of a zstd frame.
const FRAME_HEADER: usize = 18;

/// Why stored bytes are not the object that they should be.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// No frame, no or another content size in its header, a window beyond the limit, or damaged inside.
    #[error("not one zstd frame of the stated content size within the window limit")]
    Malformed,
    /// Bytes or another frame after the frame.
    #[error("more after the end of the frame")]
    Trailing,
    /// The content is not what it is called.
    #[error("the content has another digest")]
    Digest,
    /// The bytes could not be read, or their copy could not be written.
    #[error("failed to read a stored object")]
    Read(#[source] io::Error),
}

/// What the content must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// SHA-256 of the content.
    pub sha256: Digest,
    /// Its length.
    pub size: u64,
}

/// Checks stored bytes from `stored` against what they must contain and writes the content to `out`.
///
/// Memory is bounded by the window limit, whatever the bytes say; nothing beyond the stated size is written.
pub fn decode(stored: impl Read, prefix: &[u8], content: Content, out: &mut impl Write) -> Result<(), FrameError> {
    let mut stored = BufReader::with_capacity(
        128 << 10,
        Remember {
            inner: stored,
            failed: None,
        },
    );
    let header = header(&mut stored).map_err(FrameError::Read)?;
    if !matches!(zstd_safe::get_frame_content_size(&header), Ok(Some(size)) if size == content.size) {
        return Err(stored
            .get_mut()
            .failed
            .take()
            .map_or(FrameError::Malformed, FrameError::Read));
    }
    let stored = header.as_slice().chain(stored);
    let mut stored = BufReader::with_capacity(128 << 10, stored);
    let mut decoder = zstd::stream::read::Decoder::with_ref_prefix(&mut stored, prefix)
        .map_err(FrameError::Read)?
        .single_frame();
    decoder.window_log_max(MAX_WINDOW_LOG).map_err(FrameError::Read)?;
    let mut hasher = Hasher::default();
    let mut left = content.size;
    let mut buffer = vec![0; 128 << 10];
    loop {
        let Ok(read) = decoder.read(&mut buffer) else {
            // An error of the source is the source's; all others are the decoder's about the bytes.
            let source = &mut decoder.get_mut().get_mut().get_mut().1.get_mut().failed;
            return Err(source.take().map_or(FrameError::Malformed, FrameError::Read));
        };
        if read == 0 {
            break;
        }
        left = left.checked_sub(read as u64).ok_or(FrameError::Malformed)?;
        hasher.update(&buffer[..read]);
        out.write_all(&buffer[..read]).map_err(FrameError::Read)?;
    }
    drop(decoder);
    if left > 0 {
        return Err(FrameError::Malformed);
    }
    if !stored.fill_buf().map_err(FrameError::Read)?.is_empty() {
        return Err(FrameError::Trailing);
    }
    if hasher.finish() == content.sha256 {
        Ok(())
    } else {
        Err(FrameError::Digest)
    }
}

/// The content of a stored document without prefix whose size only its frame states: at most `limit` bytes.
pub fn decode_document(stored: &[u8], sha256: Digest, limit: u64) -> Result<Vec<u8>, FrameError> {
    let size = match zstd_safe::get_frame_content_size(stored) {
        Ok(Some(size)) if size <= limit => size,
        _ => return Err(FrameError::Malformed),
    };
    match zstd_safe::find_frame_compressed_size(stored) {
        Ok(length) if length == stored.len() => {}
        Ok(_) => return Err(FrameError::Trailing),
        Err(_) => return Err(FrameError::Malformed),
    }
    // In one go, since whole lookups are made of small documents; the output's size bounds the memory.
    let size = usize::try_from(size).map_err(|_| FrameError::Malformed)?;
    let content = zstd::bulk::decompress(stored, size).map_err(|_| FrameError::Malformed)?;
    if content.len() != size {
        return Err(FrameError::Malformed);
    }
    if Digest::of(&content) == sha256 {
        Ok(content)
    } else {
        Err(FrameError::Digest)
    }
}

/// A document as it is stored.
pub fn encode_document(content: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(content, COMPRESSION_LEVEL).expect("compressing in memory fails only without memory")
}

/// Stores content without any prefix: such a frame can be read with every prefix.
pub fn encode_plain(mut content: impl Read, size: u64, out: &mut impl Write) -> io::Result<()> {
    let mut encoder = zstd::stream::write::Encoder::new(out, COMPRESSION_LEVEL)?;
    encoder.set_pledged_src_size(Some(size))?;
    io::copy(&mut content, &mut encoder)?;
    encoder.finish()?;
    Ok(())
}

fn header(stored: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut header = Vec::with_capacity(FRAME_HEADER);
    stored.take(FRAME_HEADER as u64).read_to_end(&mut header)?;
    Ok(header)
}

/// Keeps the source's own error apart from the decoder's.
struct Remember<R> {
    inner: R,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Remember<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner
            .read(buffer)
            .inspect_err(|error| self.failed = Some(io::Error::new(error.kind(), error.to_string())))
    }
}

#[cfg(test)]
mod tests;
