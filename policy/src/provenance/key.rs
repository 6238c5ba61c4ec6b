//! The key of a provenance bundle and its signatures: ECDSA on P-256 with SHA-256, as cosign makes them.
//!
//! Owns the one spelling of each: PEM of a SubjectPublicKeyInfo with an uncompressed point, and a DER signature that
//! nobody can turn into another one (T23). Must not know what is signed, or how to check it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// Columns of a line of PEM.
const COLUMNS: usize = 64;

/// Longest text of a key; a real one has 178 bytes.
const MAX_TEXT: usize = 1024;

/// SubjectPublicKeyInfo of a P-256 key, up to the uncompressed point: SEQUENCE { SEQUENCE { id-ecPublicKey,
/// prime256v1 }, BIT STRING without unused bits }.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Half of the group's order: of the two values of S that are one signature, the lower one is at most this.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73, 0x7d,
    0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// A public key. That its point lies on the curve is seen when a signature is checked. Its text is PEM.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProvenanceKey([u8; 65]);

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a public key of ECDSA on P-256 in PEM")]
pub struct MalformedKey;

impl ProvenanceKey {
    /// The key in this SubjectPublicKeyInfo.
    pub fn from_der(der: &[u8]) -> Result<Self, MalformedKey> {
        let point = der.strip_prefix(&SPKI_PREFIX).ok_or(MalformedKey)?;
        let point: [u8; 65] = point.try_into().map_err(|_| MalformedKey)?;
        if point[0] == 4 {
            Ok(Self(point))
        } else {
            Err(MalformedKey)
        }
    }

    /// Its SubjectPublicKeyInfo.
    pub fn to_der(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), self.0.as_slice()].concat()
    }

    /// The uncompressed point.
    pub fn point(&self) -> &[u8; 65] {
        &self.0
    }

    /// By what a bundle says which key signed it: the SHA-256 of its SubjectPublicKeyInfo, as cosign writes it.
    pub fn hint(&self) -> String {
        STANDARD.encode(Digest::of(&self.to_der()).as_bytes())
    }
}

impl FromStr for ProvenanceKey {
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_TEXT {
            return Err(MalformedKey);
        }
        let body = text.trim_end().strip_prefix(BEGIN).ok_or(MalformedKey)?;
        let body = body.strip_suffix(END).ok_or(MalformedKey)?;
        let body: String = body.lines().map(str::trim_end).collect();
        Self::from_der(&STANDARD.decode(body).map_err(|_| MalformedKey)?)
    }
}

impl TryFrom<String> for ProvenanceKey {
    type Error = MalformedKey;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ProvenanceKey> for String {
    fn from(key: ProvenanceKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for ProvenanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{BEGIN}")?;
        let body = STANDARD.encode(self.to_der());
        for line in body.as_bytes().chunks(COLUMNS) {
            writeln!(f, "{}", str::from_utf8(line).expect("base64 is ASCII"))?;
        }
        writeln!(f, "{END}")
    }
}

impl fmt::Debug for ProvenanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProvenanceKey({})", self.hint())
    }
}

/// A signature in its one spelling: strict DER, and the lower of the two values of S.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(Vec<u8>);

/// Why bytes are not a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedSignature {
    /// Not DER, or more than DER.
    #[error("the signature is not the DER of two numbers")]
    Der,
    /// The other spelling of a signature.
    #[error("the signature has the higher of the two values of S")]
    HighS,
}

impl Signature {
    /// Reads a signature; any other spelling of the same one is refused.
    pub fn from_der(der: &[u8]) -> Result<Self, MalformedSignature> {
        let (tag, body, rest) = element(der).ok_or(MalformedSignature::Der)?;
        let (_, rest_of_body) = number(body).ok_or(MalformedSignature::Der)?;
        let (s, end) = number(rest_of_body).ok_or(MalformedSignature::Der)?;
        if tag != 0x30 || !rest.is_empty() || !end.is_empty() {
            return Err(MalformedSignature::Der);
        }
        if s > HALF_ORDER {
            return Err(MalformedSignature::HighS);
        }
        Ok(Self(der.to_vec()))
    }

    /// The DER.
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }
}

/// The tag and content of the first element, and what follows it. Lengths above 127 do not occur here.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = bytes.split_first_chunk::<2>()?;
    let (content, rest) = (length < 0x80).then(|| rest.split_at_checked(usize::from(length)))??;
    Some((tag, content, rest))
}

/// A positive INTEGER of at most 256 bits in its shortest form, and what follows it.
fn number(bytes: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    let digits = match content {
        [0, digits @ ..] => (*digits.first()? >= 0x80).then_some(digits)?,
        [first, ..] => (*first < 0x80).then_some(content)?,
        [] => return None,
    };
    let mut number = [0; 32];
    number
        .get_mut(32_usize.checked_sub(digits.len())?..)?
        .copy_from_slice(digits);
    (tag == 2).then_some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
";

    #[test]
    fn a_key_has_one_text() {
        let key: ProvenanceKey = PEM.parse().unwrap();
        assert_eq!(key.to_string(), PEM);
        assert_eq!(PEM.replace('\n', "\r\n").parse(), Ok(key));
        assert_eq!(serde_json::to_value(key).unwrap(), PEM);
        insta::assert_snapshot!(key.hint(), @"XNJS+wzokyQ2+vjM0QQJgbie5K1rn+niorfnGqyyfNM=");
    }

    #[test]
    fn other_kinds_of_keys_and_more_than_a_key_are_refused() {
        let compressed = PEM.replace("DQgAE", "DQgAC");
        for wrong in [
            "",
            "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
            &PEM.replace("PUBLIC", "PRIVATE"),
            &PEM.replace("MFkw", "MFow"),
            &PEM.replace("9Q==", "9QAA"),
            &compressed,
            &format!("{PEM}{PEM}"),
            &format!("junk\n{PEM}"),
            &format!("{PEM}{}", " ".repeat(MAX_TEXT)),
        ] {
            assert_eq!(wrong.parse::<ProvenanceKey>(), Err(MalformedKey), "{wrong}");
        }
    }

    fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let number = |n: &[u8]| [&[2, n.len() as u8], n].concat();
        let body = [number(r), number(s)].concat();
        [&[0x30, body.len() as u8], body.as_slice()].concat()
    }

    #[test]
    fn t23_a_signature_has_one_spelling() {
        assert!(Signature::from_der(&der(&[1], &HALF_ORDER)).is_ok());
        let mut above = HALF_ORDER;
        above[31] += 1;
        assert_eq!(Signature::from_der(&der(&[1], &above)), Err(MalformedSignature::HighS));
        let high = [&[0][..], &[0xff; 32]].concat();
        assert_eq!(Signature::from_der(&der(&[1], &high)), Err(MalformedSignature::HighS));
        let good = der(&[1], &[1]);
        let mut wrong = vec![
            vec![],
            [good.as_slice(), &[0]].concat(),
            good[..good.len() - 1].to_vec(),
            der(&[1], &[]),
            der(&[1], &[0, 1]),
            der(&[0x81], &[1]),
            der(&[1], &[0x81]),
            der(&[1; 33], &[1]),
            [&[0x30, 0x81, 6], &good[2..]].concat(),
            [&[0x31, 6], &good[2..]].concat(),
            [&[0x30, 9], &good[2..], &[2, 1, 1]].concat(),
        ];
        wrong.push(good.iter().map(|&byte| if byte == 2 { 3 } else { byte }).collect());
        for wrong in wrong {
            assert_eq!(Signature::from_der(&wrong), Err(MalformedSignature::Der), "{wrong:?}");
        }
    }
}
