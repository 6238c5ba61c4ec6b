//! Keys and signatures: their texts, and what Ed25519 must refuse.

use super::*;
use signed_note::Verifier as _;

const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const SKEY: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

fn named(name: &str, kind: u8, point: [u8; 32]) -> String {
    let key = encoded(kind, &point);
    format!(
        "{name}+{:08x}+{}",
        signed_note::key_id(name, &key),
        BASE64_STANDARD.encode(&key)
    )
}

#[test]
fn keys_read_back_and_agree_with_the_reference_implementation() {
    let verifier: LogVerifier = VKEY.parse().unwrap();
    assert_eq!(verifier.to_string(), VKEY);
    let signer: LogSigner = SKEY.parse().unwrap();
    assert_eq!(
        (signer.to_secret_text(), signer.verifier()),
        (SKEY.to_owned(), &verifier)
    );
    assert!(verifier.verify(b"hi", &signer.signature(b"hi")));
    let reference = signed_note::StandardVerifier::new(VKEY).unwrap();
    assert_eq!(reference.key_id(), verifier.key_id());
    assert!(reference.verify(b"hi", &signer.signature(b"hi")));
}

#[test]
fn a_generated_key_survives_its_text_and_hides_in_debug() {
    let origin = Origin::of(&"alpha".parse().unwrap(), 7);
    assert_eq!(origin.as_str(), "sealift/alpha/7");
    let signer = LogSigner::generate(origin, &mut rand_core::OsRng);
    let again: LogSigner = signer.to_secret_text().parse().unwrap();
    assert_eq!(again.verifier(), signer.verifier());
    let secret = signer.to_secret_text();
    // `+` is also a digit of base64.
    let key = secret.splitn(5, '+').nth(4).unwrap();
    assert!(key.len() >= 44 && !format!("{signer:?}").contains(key));
}

#[test]
fn names_and_keys_are_their_texts_in_json_and_show_their_public_half_in_debug() {
    let (verifier, signer): (LogVerifier, LogSigner) = (VKEY.parse().unwrap(), SKEY.parse().unwrap());
    let json = serde_json::to_string(&(verifier.origin(), &verifier)).unwrap();
    assert_eq!(json, format!("[\"PeterNeumann\",\"{VKEY}\"]"));
    let read: (Origin, LogVerifier) = serde_json::from_str(&json).unwrap();
    assert_eq!(read, (verifier.origin().clone(), verifier));
    assert!(format!("{signer:?}").contains(VKEY));
}

#[test]
fn loose_spellings_of_a_key_are_refused() {
    let key = VKEY.rsplit('+').next().unwrap();
    for text in [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        &VKEY.replace("c74f20a3", "C74F20A3"),
        &VKEY.replace("c74f20a3", "c74f20a"),
        &VKEY.replace("c74f20a3", "+74f20a3"),
        &VKEY.replace("c74f20a3", "c74f20a4"),
        &VKEY.replace("Peter", "peter"),
        &VKEY.replace("Peter", "Pe ter"),
        &VKEY.replace("Peter", "Pe\u{a0}ter"),
        &format!("+c74f20a3+{key}"),
        &format!("{VKEY}\n"),
        &format!("{VKEY}="),
        &format!(" {VKEY}"),
        &VKEY[..VKEY.len() - 4],
        &"x".repeat(100_000),
        SKEY,
    ] {
        assert!(text.parse::<LogVerifier>().is_err(), "{text:?}");
    }
    assert!(VKEY.parse::<LogSigner>().is_err());
}

#[test]
fn t18_a_witness_key_is_no_log_key() {
    let point = VKEY.parse::<LogVerifier>().unwrap().0.point;
    let refused = named("w", 0x04, point).parse::<LogVerifier>();
    assert_eq!(
        refused,
        Err(KeyError::Type {
            found: 0x04,
            expected: TYPE_ED25519
        })
    );
}

#[test]
fn t23_small_order_and_non_canonical_keys_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let order_four = [0; 32];
    let mut order_two = [0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    // y = p + 1 and y = p + 3: the same points as y = 1 and y = 3, written another way.
    let mut identity_again = [0xff; 32];
    (identity_again[0], identity_again[31]) = (0xee, 0x7f);
    let mut three_again = identity_again;
    three_again[0] = 0xf0;
    let mut negative_zero = identity;
    negative_zero[31] = 0x80;
    for point in [
        identity,
        order_four,
        order_two,
        identity_again,
        three_again,
        negative_zero,
        [0x02; 32],
    ] {
        let refused = named("log", TYPE_ED25519, point).parse::<LogVerifier>();
        // Some byte strings are no point at all, which is refused for the same reason.
        assert_eq!(refused, Err(KeyError::Weak), "{point:x?}");
    }
}

#[test]
fn t23_a_malleated_signature_is_refused() {
    let signer: LogSigner = SKEY.parse().unwrap();
    let good = signer.signature(b"message");
    // S + L verifies with an implementation that reduces S; RFC 8032 demands S < L.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut malleated = good.clone();
    let mut carry = 0u16;
    for (byte, add) in malleated[32..].iter_mut().zip(L) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry as u8;
        carry >>= 8;
    }
    let verifier = signer.verifier();
    assert!(verifier.verify(b"message", &good));
    assert!(!verifier.verify(b"message", &malleated));
    for wrong in [&good[..63], &[good.as_slice(), b"x"].concat(), &[0; 64], b""] {
        assert!(!verifier.verify(b"message", wrong));
    }
}
