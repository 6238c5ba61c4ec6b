//! Bytes that nobody thought of: whatever is sent, the service neither panics nor fails, and a refusal changes nothing.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sealift_policy::digest::Digest;
use sealift_service::frame::{self, Content};
use sealift_service::receive::ReceiveError;
use sealift_service::submission::{self, SubmitError};

use crate::operator::{Operator, library, proc_macro};
use crate::world::World;

/// Whether the submission is to blame, not the service.
fn is_a_refusal(error: &SubmitError) -> bool {
    !matches!(
        error,
        SubmitError::Log(_)
            | SubmitError::Catalogue(_)
            | SubmitError::Publish(_)
            | SubmitError::Receive(ReceiveError::Store(_))
    )
}

/// What no signature covers may change: a compile time, a bit of a frame that zstd ignores. Nothing else.
#[test]
fn a_submission_that_was_damaged_anywhere_is_refused_or_means_the_same() {
    let mut alpha = Operator::new("alpha");
    let mut empty = alpha.clone();
    let body = alpha.submit(&[library("first"), proc_macro("second")]).body();
    let fresh = || World::new(&[&alpha]);
    let world = RefCell::new(fresh());
    let before = world.borrow().disk();
    let change = (any::<prop::sample::Index>(), 1..=255_u8, any::<bool>());
    let config = Config {
        cases: 400,
        failure_persistence: None,
        ..Config::default()
    };
    let tested = TestRunner::new(config).run(&change, |(at, xor, cut)| {
        let mut damaged = body.clone();
        let at = at.index(damaged.len());
        damaged[at] ^= xor;
        if cut {
            damaged.truncate(at);
        }
        let admitted = submission::submit(&world.borrow().app, damaged.as_slice());
        match admitted {
            Ok(outcome) => {
                prop_assert_eq!(outcome.size.value(), 2);
                prop_assert!(world.borrow().fsck().is_sound());
                world.replace(fresh());
            }
            Err(error) => {
                prop_assert!(is_a_refusal(&error), "{error:?}");
                prop_assert_eq!(&world.borrow().disk(), &before);
            }
        }
        Ok(())
    });
    tested.unwrap();
    // The table above would say nothing if the service were stuck.
    assert!(submission::submit(&world.borrow().app, body.as_slice()).is_ok());
    assert!(submission::submit(&fresh().app, empty.submit(&[]).body().as_slice()).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_frames_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), size in 0..1_u64 << 20) {
        let zstd = [&[0x28, 0xb5, 0x2f, 0xfd], bytes.as_slice()].concat();
        for stored in [&bytes, &zstd] {
            let content = Content { sha256: Digest::of(b"x"), size };
            prop_assert!(frame::decode(stored.as_slice(), &bytes, content, &mut std::io::sink()).is_err());
            prop_assert!(frame::decode_document(stored, Digest::of(b"x"), 1 << 20).is_err());
        }
    }
}
