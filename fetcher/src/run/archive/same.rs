//! Compares what is written with what is there already.
//!
//! Owns the comparison, piece by piece. Must not know what the bytes are.

use std::io::{self, Read, Write};

/// A writer that takes only what its reader gives.
pub(super) struct Same<R>(pub(super) R);

impl<R: Read> Same<R> {
    /// Whether all that is there was written.
    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.0.read(&mut [0])? == 0)
    }
}

impl<R: Read> Write for Same<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut there = [0; 8 << 10];
        let length = bytes.len().min(there.len());
        self.0.read_exact(&mut there[..length])?;
        if there[..length] == bytes[..length] {
            Ok(length)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "other bytes"))
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
