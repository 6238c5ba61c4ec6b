//! Signed notes, to the letter of C2SP.

use proptest::prelude::*;

use super::*;
use crate::log::key::{LogSigner, LogVerifier};

const TEXT: &str = "Wer reitet so spaet\ndurch Nacht und Wind\n";

fn signer(name: &str) -> LogSigner {
    LogSigner::generate(name.parse().unwrap(), &mut rand_core::OsRng)
}

fn line(name: &str, id: u32, signature: &[u8]) -> String {
    let line = Signature::new(name.to_owned(), id, signature.to_vec()).unwrap();
    String::from_utf8(line.to_bytes()).unwrap()
}

fn signed(key: &LogSigner) -> String {
    line(
        key.verifier().origin().as_str(),
        key.key_id(),
        &key.signature(TEXT.as_bytes()),
    )
}

fn verify(note: &str, key: &LogVerifier) -> Result<(), NoteError> {
    SignedNote::parse(note.as_bytes())?.verify(key)
}

#[test]
fn the_text_ends_at_the_last_empty_line() {
    let key = signer("log");
    let text = format!("{TEXT}\nafter an empty line\n");
    let signature = line("log", key.key_id(), &key.signature(text.as_bytes()));
    let note = SignedNote::parse(format!("{text}\n{signature}").as_bytes()).unwrap();
    assert_eq!(note.text(), text.as_bytes());
    assert_eq!(note.verify(key.verifier()), Ok(()));
}

#[test]
fn t12_signatures_of_unknown_keys_are_ignored_also_with_the_same_name_or_id() {
    let key = signer("log");
    let bogus = [
        line("log", key.key_id() ^ 1, b"bogus"),
        line("other", key.key_id(), b"bogus"),
    ];
    let [same_name, same_id] = &bogus;
    assert_eq!(
        verify(&format!("{TEXT}\n{same_name}{same_id}{}", signed(&key)), key.verifier()),
        Ok(())
    );
    let refused = verify(&format!("{TEXT}\n{same_name}{same_id}"), key.verifier());
    assert_eq!(refused, Err(NoteError::NotSigned { name: "log".into() }));
}

#[test]
fn t12_a_bad_signature_of_the_known_key_spoils_the_note_wherever_it_stands() {
    let key = signer("log");
    let bad = line("log", key.key_id(), &[7; 64]);
    let good = signed(&key);
    assert_eq!(verify(&format!("{TEXT}\n{good}{good}"), key.verifier()), Ok(()));
    for signatures in [format!("{bad}{good}"), format!("{good}{bad}"), bad] {
        let refused = verify(&format!("{TEXT}\n{signatures}"), key.verifier());
        assert_eq!(refused, Err(NoteError::BadSignature { name: "log".into() }));
    }
}

#[test]
fn t13_sixteen_signatures_are_accepted_and_a_thousand_are_not() {
    let key = signer("log");
    let strangers = |count: u32| (0..count).map(|id| line("stranger", id, b"bogus")).collect::<String>();
    assert_eq!(
        verify(&format!("{TEXT}\n{}{}", strangers(15), signed(&key)), key.verifier()),
        Ok(())
    );
    assert_eq!(
        verify(&format!("{TEXT}\n{}{}", strangers(63), signed(&key)), key.verifier()),
        Ok(())
    );
    for count in [64, 1000] {
        let refused = verify(&format!("{TEXT}\n{}{}", strangers(count), signed(&key)), key.verifier());
        assert_eq!(refused, Err(NoteError::TooLarge));
    }
    let rest = format!("\n\n{}", signed(&key));
    let longest = "x".repeat(MAX_BYTES - rest.len()) + &rest;
    assert!(SignedNote::parse(longest.as_bytes()).is_ok());
    let one_more = SignedNote::parse(format!("x{longest}").as_bytes());
    assert_eq!(one_more, Err(NoteError::TooLarge));
    let long = format!("{}\n\n{}", "x".repeat(MAX_BYTES), signed(&key));
    assert_eq!(verify(&long, key.verifier()), Err(NoteError::TooLarge));
}

#[test]
fn t13_notes_that_break_the_format_are_refused() {
    let key = signer("log");
    let signature = signed(&key);
    for note in [
        String::new(),
        "\n".into(),
        "\n\n".into(),
        TEXT.into(),
        format!("{TEXT}\n"),
        format!("{TEXT}\n\n"),
        format!("{TEXT}{signature}"),
        format!("{TEXT}\n{}", signature.trim_end()),
        format!("{TEXT}\n{signature}\n"),
        format!("{TEXT}\n{signature}trailing\n"),
        format!("{TEXT}\n{signature}").replace('\n', "\r\n"),
        format!("\u{1}{TEXT}\n{signature}"),
        format!("{TEXT}\t\n\n{signature}"),
        format!("{TEXT}\n{}", signature.replace('\u{2014}', "-")),
        format!("{TEXT}\n{}", signature.replace(" log ", "  ")),
        format!("{TEXT}\n{}", signature.replace(" log ", " l+g ")),
        format!("{TEXT}\n{}", signature.replace('=', "")),
        format!("{TEXT}\n\u{2014} log AAAAAA==\n"),
    ] {
        assert_eq!(
            SignedNote::parse(note.as_bytes()).unwrap_err(),
            NoteError::Malformed,
            "{note:?}"
        );
    }
    let not_utf8 = [b"\xff\n\n", signature.as_bytes()].concat();
    assert_eq!(SignedNote::parse(&not_utf8).unwrap_err(), NoteError::Malformed);
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[ -~\n]{0,80}\n\n\u{2014} .{0,40}\n") {
        let _ = SignedNote::parse(&bytes);
        let _ = SignedNote::parse(text.as_bytes());
    }

    #[test]
    fn a_note_read_by_us_is_read_alike_by_the_reference(text in "([ -~]{0,20}\n){1,4}") {
        let key = signer("log");
        let note = format!("{text}\n{}", line("log", key.key_id(), &key.signature(text.as_bytes())));
        let ours = SignedNote::parse(note.as_bytes()).unwrap();
        let reference = Note::from_bytes(note.as_bytes()).unwrap();
        prop_assert_eq!(ours.text(), reference.text());
        prop_assert_eq!(ours.verify(key.verifier()), Ok(()));
    }
}
