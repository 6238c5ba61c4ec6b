//! Signed notes: a text and signature lines (<https://c2sp.org/signed-note>).
//!
//! Owns the bounds (64 KiB, 64 signatures) and the rule which signatures count.
//! Must not know what the text says.

use signed_note::{Note, Signature, Verifier};

/// The most bytes that a note may have.
pub const MAX_BYTES: usize = 64 * 1024;
/// The most signatures that a note may have (the specification demands at least 16).
pub const MAX_SIGNATURES: usize = 64;

/// Why a note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More bytes or signatures than [`MAX_BYTES`] and [`MAX_SIGNATURES`].
    #[error("note of more than {MAX_BYTES} bytes or {MAX_SIGNATURES} signatures")]
    TooLarge,
    /// Not UTF-8, control characters, no blank line, no final newline, malformed signature lines.
    #[error("malformed note")]
    Malformed,
    /// No signature of the key.
    #[error("note is not signed by `{name}`")]
    NotSigned {
        /// The name of the key.
        name: String,
    },
    /// A signature with the key's name and id does not verify.
    #[error("bad signature of `{name}`")]
    BadSignature {
        /// The name of the key.
        name: String,
    },
}

/// A well-formed note whose signatures nobody has looked at yet.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedNote {
    bytes: Vec<u8>,
    text: usize,
    signatures: Vec<Signature>,
}

impl SignedNote {
    /// Reads a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_BYTES {
            return Err(NoteError::TooLarge);
        }
        // The text ends at the last empty line: all that follows must be signature lines.
        let text = bytes
            .windows(2)
            .rposition(|pair| pair == b"\n\n")
            .ok_or(NoteError::Malformed)?
            + 1;
        let lines = bytes[text + 1..].strip_suffix(b"\n").ok_or(NoteError::Malformed)?;
        if lines.iter().filter(|&&byte| byte == b'\n').count() >= MAX_SIGNATURES {
            return Err(NoteError::TooLarge);
        }
        // The library checks the characters of the whole; it does not hand out the signatures.
        Note::from_bytes(bytes).map_err(|_| NoteError::Malformed)?;
        let signatures = lines
            .split(|&byte| byte == b'\n')
            .map(Signature::from_bytes)
            .collect::<Result<_, _>>();
        Ok(Self {
            bytes: bytes.to_vec(),
            text,
            signatures: signatures.map_err(|_| NoteError::Malformed)?,
        })
    }

    /// A note of this text (which ends with a newline) and one signature.
    pub(super) fn sign(text: &str, name: &str, id: u32, signature: Vec<u8>) -> Result<Self, NoteError> {
        let line = Signature::new(name.to_owned(), id, signature).map_err(|_| NoteError::Malformed)?;
        Self::parse(&[text.as_bytes(), b"\n", &line.to_bytes()].concat())
    }

    /// The whole note as it was received.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The signed text, with its final newline.
    pub fn text(&self) -> &[u8] {
        &self.bytes[..self.text]
    }

    /// Whether this key has signed the text. Signatures of other keys are ignored, even if they share the
    /// name or the id; every one that has both must verify, wherever it stands.
    pub fn verify(&self, key: &impl Verifier) -> Result<(), NoteError> {
        let mut mine = self.signatures_of(key).peekable();
        if mine.peek().is_none() {
            return Err(NoteError::NotSigned {
                name: key.name().to_owned(),
            });
        }
        if mine.all(|signature| key.verify(self.text(), signature)) {
            Ok(())
        } else {
            Err(NoteError::BadSignature {
                name: key.name().to_owned(),
            })
        }
    }

    /// The signatures that claim to be of this key, without name and id.
    pub(super) fn signatures_of(&self, key: &impl Verifier) -> impl Iterator<Item = &[u8]> {
        self.signatures
            .iter()
            .filter(|signature| signature.name() == key.name() && signature.id() == key.key_id())
            .map(Signature::signature)
    }
}

#[cfg(test)]
mod tests;
