//! What an audit finds, each thing done for real to files that a web server serves.
//!
//! Long because it is a table: one change for each finding, over one small world.

mod store;

use sealift_policy::digest::Digest;
use sealift_policy::layout::ObjectPath;
use sealift_policy::log::{AuditStatement, Checkpoint, LogSigner, Verdict};
use sealift_policy::manifest::Role;
use serde_json::json;

use self::store::{NOW, Operator, Store, Unit, policy};
use super::finding::{Finding, ObjectKind, Severity};
use super::rebuild::{Outcome, Rebuilt};
use super::report::{Report, Reported, verdict};
use super::*;

/// Two operators that built the same units, one of them more.
fn world() -> (Store, Operator, Operator, Vec<Unit>) {
    let store = Store::new();
    let (mut alpha, mut beta) = (Operator::new("alpha"), Operator::new("beta"));
    let units: Vec<Unit> = ["first", "second", "third"].map(Unit::library).into();
    alpha.publish(&store, &units);
    beta.publish(&store, &units[..2]);
    (store, alpha, beta, units)
}

/// A log of three full bundles and a part of a fourth, whose leaves nobody can look up.
fn long() -> (Store, Operator) {
    let store = Store::new();
    let mut alpha = Operator::new("alpha");
    alpha.log(&store, (0..800_u32).map(entry));
    (store, alpha)
}

fn entry(number: u32) -> Vec<u8> {
    let digest = |text: &str| Digest::of(format!("{text} {number}").as_bytes());
    Leaf::new(UnitKey::new(digest("key")), digest("manifest"))
        .to_canonical()
        .into_bytes()
}

/// A policy that takes back what the log states, so that nobody looks for its objects.
fn taken_back(alpha: &Operator) -> TrustPolicy {
    let range = json!({"operator": "alpha", "epoch": 1, "start": 0, "end": 10_000});
    policy(&[alpha], &json!({"revoked": {"ranges": [range]}}))
}

/// What is found in the log itself.
#[track_caller]
fn of_log(store: &Store, alpha: &Operator) -> Vec<String> {
    store.audit_by(&taken_back(alpha), |_| {}).unwrap().lines()
}

fn flip(bytes: &mut [u8], at: usize) {
    bytes[at] ^= 1;
}

fn change(store: &Store, object: &ObjectPath, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs_err::read(store.path(object)).unwrap();
    change(&mut bytes);
    store.write(object, &bytes);
}

#[test]
fn an_honest_world_is_fine_and_the_second_audit_reads_only_what_is_new() {
    let (store, mut alpha, beta, _) = world();
    let given = store.audit(&[&alpha, &beta]);
    given.assert_fine();
    let seen = given.looked_at;
    assert_eq!((seen.leaves, seen.units, seen.outputs, seen.proofs), (5, 3, 6, 5));

    alpha.publish(&store, &[Unit::library("fourth")]);
    // Nobody asks for these again: they were right.
    for path in ["tile/entries/000.p/3", "tile/0/000.p/3"] {
        fs_err::remove_file(store.path(&alpha.tile(path))).unwrap();
    }
    let given = store.audit(&[&alpha, &beta]);
    given.assert_fine();
    let seen = given.looked_at;
    assert_eq!((seen.leaves, seen.units, seen.outputs), (6, 1, 2));
    assert_eq!((given.logs[0].known, given.logs[0].size), (3, Some(4)));

    let given = store.audit(&[&alpha, &beta]);
    given.assert_fine();
    assert_eq!(given.looked_at.units, 0);
    let again = store
        .audit_by(&policy(&[&alpha, &beta], &json!({})), |scope| scope.again = true)
        .unwrap();
    again.assert_fine();
    assert_eq!((again.looked_at.units, again.looked_at.outputs), (4, 8));
}

#[test]
fn a_long_log_is_fine() {
    let (store, mut alpha) = long();
    assert_eq!(of_log(&store, &alpha), [""; 0]);
    alpha.log(&store, (800..1100).map(entry));
    assert_eq!(of_log(&store, &alpha), [""; 0]);
}

#[test]
fn t29_a_changed_tile_or_bundle_is_named_with_its_index() {
    for (path, at, said) in [
        (
            "tile/0/001",
            32 * 5 + 7,
            "log 1 of `alpha`: `tile/0/001` was changed: hash 261 is not that of the signed tree",
        ),
        (
            "tile/0/003.p/32",
            3,
            "log 1 of `alpha`: `tile/0/003.p/32` was changed: hash 768 is not that of the signed tree",
        ),
        (
            "tile/1/000.p/3",
            64,
            "log 1 of `alpha`: `tile/1/000.p/3` was changed: hash 2 is not that of the signed tree",
        ),
        (
            "tile/entries/002",
            2 + 100,
            "log 1 of `alpha`: `tile/entries/002` was changed: entry 512 is not the one that was signed",
        ),
    ] {
        let (store, alpha) = long();
        change(&store, &alpha.tile(path), |bytes| flip(bytes, at));
        assert_eq!(of_log(&store, &alpha), [said]);
        // It is not forgotten.
        assert_eq!(of_log(&store, &alpha), [said]);
    }
}

#[test]
fn t29_a_changed_leaf_with_a_tile_to_match_is_seen_by_the_root() {
    let (store, alpha) = long();
    change(&store, &alpha.tile("tile/entries/002"), |bytes| flip(bytes, 102));
    let bundle = fs_err::read(store.path(&alpha.tile("tile/entries/002"))).unwrap();
    let length = usize::from(u16::from_be_bytes([bundle[0], bundle[1]]));
    let hash = sealift_policy::log::TreeHash::of_leaf(&bundle[2..2 + length]);
    change(&store, &alpha.tile("tile/0/002"), |bytes| {
        bytes[..32].copy_from_slice(hash.as_bytes())
    });
    assert_eq!(
        of_log(&store, &alpha),
        ["log 1 of `alpha`: the 800 entries do not give the root that was signed"]
    );
}

#[test]
fn b13_what_is_cut_or_missing_is_named_and_the_audit_goes_on() {
    let (store, mut alpha) = long();
    change(&store, &alpha.tile("tile/entries/001"), |bytes| bytes.truncate(1000));
    fs_err::remove_file(store.path(&alpha.tile("tile/0/003.p/32"))).unwrap();
    change(&store, &alpha.tile("tile/1/000.p/3"), |bytes| bytes.truncate(33));
    let said = [
        "log 1 of `alpha`: `tile/entries/001` is cut off, or too long",
        "log 1 of `alpha`: `tile/0/003.p/32` is missing: there is none",
        "log 1 of `alpha`: `tile/1/000.p/3` is cut off, or too long",
    ];
    let given = store.audit_by(&taken_back(&alpha), |_| {}).unwrap();
    assert_eq!(given.lines(), said);
    assert!(
        given
            .findings
            .iter()
            .all(|finding| finding.severity() == Severity::NotThere)
    );
    assert_eq!(given.looked_at.revoked_leaves, 800 - 256, "all others were judged");
    // The head is not remembered, so that nothing is taken as read.
    assert_eq!(given.logs[0].known, 0);
    assert_eq!(of_log(&store, &alpha), said);
    alpha.log(&store, (800..801).map(entry));
    assert_eq!(of_log(&store, &alpha)[0], said[0]);
}

#[test]
fn b13_a_bundle_without_its_tile_leaves_the_rest_of_the_world_to_judge() {
    let (store, alpha, beta, _) = world();
    for path in ["tile/entries/000.p/3", "tile/0/000.p/3"] {
        fs_err::remove_file(store.path(&alpha.tile(path))).unwrap();
    }
    let given = store.audit(&[&alpha, &beta]);
    assert_eq!(
        given.only().to_string(),
        "log 1 of `alpha`: `tile/entries/000.p/3` is missing: there is none"
    );
    assert_eq!(given.looked_at.leaves, 2);
}

#[test]
fn b13_an_entry_whose_statement_is_gone_is_named_until_it_is_back() {
    let (store, alpha, beta, units) = world();
    let manifest = ObjectPath::Cas(units[1].manifest_digest());
    let bytes = fs_err::read(store.path(&manifest)).unwrap();
    fs_err::remove_file(store.path(&manifest)).unwrap();
    for _ in 0..2 {
        let given = store.audit(&[&alpha, &beta]);
        let Finding::ObjectMissing {
            unit_key,
            kind,
            stated_by,
            ..
        } = given.only()
        else {
            panic!("{:?}", given.lines());
        };
        assert_eq!(
            (*unit_key, *kind, stated_by.len()),
            (units[1].key(), ObjectKind::Manifest, 2)
        );
    }
    store.write(&manifest, &bytes);
    store.audit(&[&alpha, &beta]).assert_fine();
}

#[test]
fn a_changed_missing_or_exchanged_object_is_named() {
    let (store, alpha, beta, units) = world();
    let output = |role| units[0].manifest.output(role).unwrap().sha256;
    let other = object_of(&units[1]);
    for (object, kind) in [
        (units[0].key().digest(), ObjectKind::KeyDocument),
        (units[0].manifest_digest(), ObjectKind::Manifest),
        (output(Role::Rmeta), ObjectKind::Output),
        (output(Role::Rlib), ObjectKind::Output),
    ] {
        for instead in [None, Some(b"garbage".to_vec()), Some(vec![]), Some(other.clone())] {
            let path = ObjectPath::Cas(object);
            let right = fs_err::read(store.path(&path)).unwrap();
            match &instead {
                Some(bytes) => store.write(&path, bytes),
                None => fs_err::remove_file(store.path(&path)).unwrap(),
            }
            let given = store.audit(&[&alpha, &beta]);
            let (found, severity) = match &given.findings[0] {
                Finding::ObjectMissing { object, kind, .. } => ((*object, *kind), Severity::NotThere),
                Finding::ObjectWrong { object, kind, .. } => ((*object, *kind), Severity::Wrong),
                other => panic!("{other}"),
            };
            let expected = if instead.is_some() {
                Severity::Wrong
            } else {
                Severity::NotThere
            };
            assert_eq!((found, severity), ((object, kind), expected), "{:?}", given.lines());
            store.write(&path, &right);
            fs_err::remove_dir_all(store.auditor()).unwrap();
        }
    }
}

fn object_of(unit: &Unit) -> Vec<u8> {
    crate::object::compress(unit.key_document.as_bytes(), None).unwrap()
}

#[test]
fn a_manifest_of_another_unit_or_with_other_outputs_is_named_though_it_was_signed() {
    let store = Store::new();
    let mut alpha = Operator::new("alpha");
    let honest = Unit::library("honest");
    let mut of_another = Unit::library("unit");
    of_another.key_document = honest.key_document;
    let of_another_kind = Unit::of(
        Unit::library("odd").key_document,
        "odd",
        vec![(Role::ProcMacro, b"code that runs".to_vec())],
    );
    alpha.publish(&store, &[of_another, of_another_kind]);
    let said = store.audit(&[&alpha]).lines().join("\n");
    assert!(said.contains("it speaks of unit"), "{said}");
    assert!(said.contains("the outputs are not those of crate `odd`"), "{said}");
}

#[test]
fn g7_operators_that_disagree_are_both_named_every_time() {
    let (store, alpha, mut beta, units) = world();
    store.audit(&[&alpha, &beta]).assert_fine();
    beta.publish(&store, &[units[2].forged()]);
    for _ in 0..2 {
        let given = store.audit(&[&alpha, &beta]);
        let said = given.only().to_string();
        for part in ["entry 2 of log 1 of `alpha`", "entry 2 of log 1 of `beta`"] {
            assert!(said.contains(part), "{said}");
        }
        assert!(
            said.contains(&units[2].forged().manifest_digest().to_string()),
            "{said}"
        );
    }
    // Once the forgery is revoked, what the others say stands again.
    let revoked = json!({"revoked": {"ranges": [{"operator": "beta", "epoch": 1, "start": 2, "end": 3}]}});
    let given = store.audit_by(&policy(&[&alpha, &beta], &revoked), |_| {}).unwrap();
    given.assert_fine();
    assert_eq!(given.looked_at.revoked_leaves, 1);
}

#[test]
fn a5_a_second_leaf_for_one_unit_is_named() {
    let (store, mut alpha, beta, units) = world();
    alpha.publish(&store, &[units[0].forged()]);
    let given = store
        .audit_by(&policy(&[&alpha, &beta], &json!({})), |scope| scope.proofs = 0)
        .unwrap();
    let said = given.lines();
    assert!(
        said.iter()
            .any(|line| line.starts_with("log 1 of `alpha`: two leaves for unit")
                && line.contains("entry 0 states")
                && line.contains("entry 3 states")),
        "{said:#?}"
    );
}

#[test]
fn an_entry_that_is_no_leaf_is_shown() {
    let (store, mut alpha, beta, units) = world();
    let spaced = format!("{} ", units[0].leaf().to_canonical()).into_bytes();
    alpha.log(
        &store,
        [spaced, b"<script>".to_vec(), entry(1).replace_version()].into_iter(),
    );
    let given = store.audit_by(&policy(&[&alpha, &beta], &json!({})), |_| {}).unwrap();
    let found: Vec<_> = given
        .findings
        .iter()
        .map(|finding| match finding {
            Finding::NotALeaf { index, entry, .. } => (*index, entry.as_str()),
            Finding::LaterVersion { index, .. } => (*index, "later"),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(found[1..], [(4, "<script>"), (5, "later")]);
    assert_eq!(found[0].0, 3);
}

trait ReplaceVersion {
    fn replace_version(self) -> Self;
}

impl ReplaceVersion for Vec<u8> {
    fn replace_version(self) -> Self {
        let text = String::from_utf8(self).unwrap();
        text.replace("\"version\":1", "\"version\":2").into_bytes()
    }
}

#[test]
fn a_rolled_back_log_is_named_with_both_heads() {
    let (store, alpha, beta, _) = world();
    let mut ahead = alpha.clone();
    ahead.publish(&store, &[Unit::library("fourth")]);
    store.audit(&[&ahead, &beta]).assert_fine();
    store.write(&alpha.head(), alpha.checkpoint().as_bytes());
    let given = store.audit(&[&alpha, &beta]);
    let Finding::RolledBack {
        known: 4,
        served: 3,
        heads,
        ..
    } = given.only()
    else {
        panic!("{:?}", given.lines());
    };
    let [before, after] = [&ahead, &alpha].map(|operator| operator.checkpoint());
    assert_eq!(
        heads.each_ref().map(|head| head.as_bytes()),
        [before.as_bytes(), after.as_bytes()]
    );
    assert_eq!(given.looked_at.leaves, 6, "what was seen still counts");
}

#[test]
fn a_forked_log_is_named_with_the_entry_and_both_heads() {
    // Of one size, longer within the same bundle, and longer beyond the bundles that are known.
    for more in [0, 1, 600] {
        let store = Store::new();
        let mut alpha = Operator::new("alpha");
        let mut fork = alpha.clone();
        alpha.log(&store, (0..600).map(entry));
        of_log(&store, &alpha);
        fork.log(&store, (0..300).chain(5000..5300 + more).map(entry));
        let said = of_log(&store, &alpha);
        let expected = if more == 0 {
            "log 1 of `alpha`: two signed trees of 600 leaves".to_owned()
        } else {
            let size = 600 + more;
            format!(
                "log 1 of `alpha`: the signed tree of {size} leaves does not begin with the one of 600: entry 300 is another one"
            )
        };
        assert_eq!(said, std::slice::from_ref(&expected));
        assert_eq!(of_log(&store, &alpha), [expected]);
    }
}

#[test]
fn heads_of_other_keys_and_stale_future_and_missing_ones_are_named() {
    let (store, alpha, mut beta, _) = world();
    store.write(&alpha.head(), Operator::new("alpha").checkpoint().as_bytes());
    beta.time = NOW - 2000;
    store.write(&beta.head(), beta.checkpoint().as_bytes());
    let given = store.audit(&[&alpha, &beta]);
    assert!(
        matches!(given.findings[0], Finding::NotSigned { .. }),
        "{:?}",
        given.lines()
    );
    assert_eq!(
        given.lines()[1],
        "log 1 of `beta`: clients do not use its head: the checkpoint of operator `beta` is 2000 seconds old"
    );
    beta.time = NOW + 5000;
    store.write(&beta.head(), beta.checkpoint().as_bytes());
    fs_err::remove_file(store.path(&alpha.head())).unwrap();
    let given = store.audit(&[&alpha, &beta]);
    assert!(
        matches!(given.findings[0], Finding::NoCheckpoint { .. }),
        "{:?}",
        given.lines()
    );
    assert!(
        matches!(given.findings[1], Finding::NotUsable { .. }),
        "{:?}",
        given.lines()
    );
}

#[test]
fn a_frozen_log_that_moves_on_is_named() {
    let (store, mut alpha, beta, _) = world();
    let frozen = alpha.checkpoint();
    let frozen = frozen.unverified();
    let mut document = serde_json::to_value(policy(&[&alpha, &beta], &json!({}))).unwrap();
    document["operators"][0]["logs"][0]["frozen"] = json!({"size": frozen.size, "root": frozen.root});
    let policy: TrustPolicy = serde_json::from_value(document).unwrap();
    store
        .audit_by(&policy, |scope| scope.now = NOW + 500)
        .unwrap()
        .assert_fine();
    alpha.publish(&store, &[Unit::library("fourth")]);
    let given = store.audit_by(&policy, |_| {}).unwrap();
    assert_eq!(
        given.only().to_string(),
        "log 1 of `alpha`: it is frozen, and has another head"
    );
}

#[test]
fn a_head_of_more_than_one_audit_reads_is_named_and_nothing_of_it_is_fetched() {
    for size in [3 + log::MAX_GROWTH + 1, (1 << 53) - 1] {
        let (store, alpha, beta, _) = world();
        store.audit(&[&alpha, &beta]).assert_fine();
        let head = Checkpoint {
            size: size.try_into().unwrap(),
            ..alpha.checkpoint().unverified().clone()
        };
        store.write(&alpha.head(), head.sign(&alpha.signer).unwrap().as_bytes());
        let given = store.audit(&[&alpha, &beta]);
        assert_eq!(
            given.only().to_string(),
            format!("log 1 of `alpha`: a tree of {size} leaves after 3 were seen: more than one audit reads")
        );
        assert_eq!(given.only().severity(), Severity::NotThere);
        assert_eq!(given.looked_at.leaves, 5, "all else was judged");
        assert!(!given.logs[0].complete && given.logs[1].complete);
    }
}

#[test]
fn a_log_that_serves_nothing_of_a_large_tree_is_given_up_after_some_files() {
    let (store, alpha, beta, _) = world();
    store.audit(&[&alpha, &beta]).assert_fine();
    let head = Checkpoint {
        size: (3 + 256 * 1000).try_into().unwrap(),
        ..alpha.checkpoint().unverified().clone()
    };
    store.write(&alpha.head(), head.sign(&alpha.signer).unwrap().as_bytes());
    let given = store.audit(&[&alpha, &beta]);
    let (last, missing) = given.findings.split_last().unwrap();
    assert!(matches!(last, Finding::GivenUp { .. }), "{last}");
    assert_eq!(missing.len(), log::MAX_MISSING);
    assert!(
        missing
            .iter()
            .all(|finding| matches!(finding, Finding::TileMissing { .. }))
    );
    assert_eq!(given.looked_at.leaves, 5, "all else was judged");
    assert!(!given.logs[0].complete && given.logs[1].complete);
}

#[test]
fn a_log_of_which_many_hashes_are_missing_is_read_all_the_same_and_the_rest_is_not_passed_over_in_silence() {
    let (store, mut alpha) = long();
    alpha.log(&store, (800..256 * 70).map(entry));
    let folder = store.path(&alpha.tile("tile/0/000"));
    fs_err::remove_dir_all(folder.parent().unwrap()).unwrap();
    let given = store.audit(&[&alpha]);
    assert_eq!(given.looked_at.leaves, 256 * 70);
    let missing = given
        .findings
        .iter()
        .filter(|finding| matches!(finding, Finding::TileMissing { .. }));
    assert_eq!(missing.count(), log::MAX_MISSING);
    let given_up = given
        .findings
        .iter()
        .filter(|finding| matches!(finding, Finding::GivenUp { .. }));
    assert_eq!(given_up.count(), 1);
}

#[test]
fn proofs_that_are_missing_of_another_leaf_or_under_a_forked_head_are_named() {
    let (store, alpha, beta, units) = world();
    let [first, second, third] = [0, 1, 2].map(|index: usize| alpha.proof(units[index].key()));
    fs_err::remove_file(store.path(&first)).unwrap();
    fs_err::copy(store.path(&third), store.path(&second)).unwrap();
    // The operator also signed another tree, in which the leaf is the only one.
    let elsewhere = Store::new();
    let mut fork = Operator::new("alpha");
    fork.signer = alpha.signer.clone();
    fork.publish(&elsewhere, &units[2..]);
    fs_err::copy(elsewhere.path(&third), store.path(&third)).unwrap();
    let given = store.audit(&[&alpha, &beta]);
    let mut said: Vec<_> = given
        .findings
        .iter()
        .map(|finding| match finding {
            Finding::ProofMissing { unit_key, .. } => (*unit_key, "missing"),
            Finding::ProofWrong { unit_key, why, .. } if why.contains("signed head") => (*unit_key, "forked"),
            Finding::ProofWrong { unit_key, .. } => (*unit_key, "wrong"),
            other => panic!("{other}"),
        })
        .collect();
    let mut expected = vec![
        (units[0].key(), "missing"),
        (units[1].key(), "wrong"),
        (units[2].key(), "forked"),
    ];
    said.sort();
    expected.sort();
    assert_eq!(said, expected);
}

#[test]
fn a_store_without_anything_and_a_damaged_memory_are_no_audit() {
    let (store, alpha, beta, _) = world();
    let empty = Store::new();
    let nothing = empty.audit_by(&policy(&[&alpha], &json!({})), |_| {});
    assert!(matches!(nothing, Err(AuditError::Nothing(_))));
    store.audit(&[&alpha, &beta]).assert_fine();
    let bundle = store.auditor().join("log/alpha/1/tile/entries/000.p/3");
    fs_err::remove_file(bundle).unwrap();
    let damaged = store.audit_by(&policy(&[&alpha, &beta], &json!({})), |_| {});
    assert!(matches!(damaged, Err(AuditError::Record(RecordError::Damaged(_)))));
}

#[test]
fn outputs_of_a_sample_are_enough_where_that_is_asked_for() {
    let (store, alpha, beta, _) = world();
    let given = store
        .audit_by(&policy(&[&alpha, &beta], &json!({})), |scope| scope.outputs = 1)
        .unwrap();
    given.assert_fine();
    assert_eq!((given.looked_at.units, given.looked_at.outputs), (3, 2));
    // The next ones take what is left, and nothing twice.
    for (asked, read) in [(0, (0, 0)), (1, (1, 2)), (5, (1, 2)), (5, (0, 0))] {
        let given = store
            .audit_by(&policy(&[&alpha, &beta], &json!({})), |scope| scope.outputs = asked)
            .unwrap();
        given.assert_fine();
        assert_eq!((given.looked_at.units, given.looked_at.outputs), read);
    }
}

#[test]
fn a_wrong_output_is_found_again_by_an_audit_whose_sample_it_is_not_in() {
    let (store, alpha, beta, units) = world();
    let by_sample = |outputs| {
        let policy = policy(&[&alpha, &beta], &json!({}));
        store.audit_by(&policy, |scope| scope.outputs = outputs).unwrap()
    };
    let rlib = ObjectPath::Cas(units[1].manifest.output(Role::Rlib).unwrap().sha256);
    let right = fs_err::read(store.path(&rlib)).unwrap();
    store.write(&rlib, &object_of(&units[0]));
    for sample in [usize::MAX, 0, 0] {
        let given = by_sample(sample);
        let Finding::ObjectWrong { unit_key, .. } = given.only() else {
            panic!("{:?}", given.lines());
        };
        assert_eq!(*unit_key, units[1].key());
    }
    store.write(&rlib, &right);
    for looked_at in [1, 0] {
        let given = by_sample(0);
        given.assert_fine();
        assert_eq!(given.looked_at.units, looked_at);
    }
}

fn report(found: Vec<Finding>, rebuilt: Vec<Rebuilt>) -> Report {
    let findings: Vec<_> = found.into_iter().map(Reported::from).collect();
    let log = LogName {
        operator: "alpha".parse().unwrap(),
        epoch: 1,
    };
    Report {
        version: 1,
        auditor: "sealift-auditor/someone".parse().unwrap(),
        service: "https://cache.example".into(),
        trust_policy: Digest::of(b"policy"),
        time: NOW,
        seed: Seed(255),
        verdict: verdict(&findings, &rebuilt),
        logs: vec![LogReport {
            log,
            size: Some(3),
            root: Some(sealift_policy::log::TreeHash::EMPTY),
            time: Some(NOW),
            known: 2,
            complete: true,
        }],
        looked_at: LookedAt {
            leaves: 3,
            units: 1,
            outputs: 2,
            bytes: 4_200_000,
            proofs: 3,
            ..LookedAt::default()
        },
        findings,
        rebuilt,
    }
}

fn wrong() -> Finding {
    Finding::NotALeaf {
        log: LogName {
            operator: "alpha".parse().unwrap(),
            epoch: 1,
        },
        index: 2,
        entry: "{}".into(),
        why: "malformed leaf".into(),
    }
}

fn diverged() -> Rebuilt {
    Rebuilt {
        unit_key: UnitKey::new(Digest::of(b"key")),
        package: "memchr@2.7.4".into(),
        outcome: Outcome::Diverged {
            what: vec!["output rlib".into()],
        },
    }
}

#[test]
fn a_report_keeps_its_golden_form() {
    insta::assert_snapshot!(report(vec![wrong()], vec![diverged()]).to_json(), @r#"
    {
      "version": 1,
      "auditor": "sealift-auditor/someone",
      "service": "https://cache.example",
      "trust_policy": "823412d1eacb67956220e532959f0104603057c88704863ca38e7cd188fda812",
      "time": 1000000,
      "seed": "00000000000000ff",
      "verdict": "misbehaviour",
      "logs": [
        {
          "log": {
            "operator": "alpha",
            "epoch": 1
          },
          "size": 3,
          "root": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
          "time": 1000000,
          "known": 2,
          "complete": true
        }
      ],
      "looked_at": {
        "leaves": 3,
        "revoked_leaves": 0,
        "units": 1,
        "outputs": 2,
        "bytes": 4200000,
        "proofs": 3,
        "rebuilt_besides": 0
      },
      "findings": [
        {
          "severity": "wrong",
          "text": "log 1 of `alpha`: entry 2 is no leaf: malformed leaf",
          "detail": {
            "finding": "not-a-leaf",
            "log": {
              "operator": "alpha",
              "epoch": 1
            },
            "index": 2,
            "entry": "{}",
            "why": "malformed leaf"
          }
        }
      ],
      "rebuilt": [
        {
          "unit_key": "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683",
          "package": "memchr@2.7.4",
          "outcome": {
            "outcome": "diverged",
            "what": [
              "output rlib"
            ]
          }
        }
      ]
    }
    "#);
}

#[test]
fn people_and_monitors_are_told_the_same() {
    let report = report(vec![wrong()], vec![diverged()]);
    insta::assert_snapshot!(report.to_text(), @"
    log 1 of `alpha`: 3 leaves, 1 new
    3 leaves compared (0 revoked), 1 units, 2 outputs (4.2 MB), 3 proofs
    rebuilt memchr@2.7.4 (unit 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683): DIVERGED in output rlib
    on the way, 0 other units came out as they were logged
    WRONG: log 1 of `alpha`: entry 2 is no leaf: malformed leaf
    verdict: misbehaviour (seed 00000000000000ff)
    ");
    insta::assert_snapshot!(metrics::text(&report, 1.5), @r#"
    # HELP sealift_audit_time_seconds When the audit began, in seconds since 1970.
    # TYPE sealift_audit_time_seconds gauge
    sealift_audit_time_seconds 1000000
    # HELP sealift_audit_duration_seconds How long it took.
    # TYPE sealift_audit_duration_seconds gauge
    sealift_audit_duration_seconds 1.5
    # HELP sealift_audit_verdict 0 fine, 1 incomplete, 2 misbehaviour.
    # TYPE sealift_audit_verdict gauge
    sealift_audit_verdict 2
    # HELP sealift_audit_findings Findings by severity.
    # TYPE sealift_audit_findings gauge
    sealift_audit_findings{severity="not-there"} 0
    sealift_audit_findings{severity="wrong"} 1
    # HELP sealift_audit_log_size Leaves of the served head.
    # TYPE sealift_audit_log_size gauge
    sealift_audit_log_size{operator="alpha",epoch="1"} 3
    # HELP sealift_audit_log_head_time_seconds When the served head was signed.
    # TYPE sealift_audit_log_head_time_seconds gauge
    sealift_audit_log_head_time_seconds{operator="alpha",epoch="1"} 1000000
    # HELP sealift_audit_log_complete Whether all entries of the served head give its root.
    # TYPE sealift_audit_log_complete gauge
    sealift_audit_log_complete{operator="alpha",epoch="1"} 1
    # HELP sealift_audit_rebuilt_units Units of the sample by what building them again gave.
    # TYPE sealift_audit_rebuilt_units gauge
    sealift_audit_rebuilt_units{outcome="reproduced"} 0
    sealift_audit_rebuilt_units{outcome="diverged"} 1
    sealift_audit_rebuilt_units{outcome="not-comparable"} 0
    "#);
}

#[test]
fn the_worst_finding_decides_and_what_cannot_be_compared_decides_nothing() {
    let unlike = Rebuilt {
        outcome: Outcome::NotComparable { why: "no".into() },
        ..diverged()
    };
    assert_eq!(report(vec![], vec![unlike]).verdict, Verdict::Fine);
    assert_eq!(report(vec![], vec![diverged()]).verdict, Verdict::Misbehaviour);
    assert_eq!(report(vec![wrong()], vec![]).verdict, Verdict::Misbehaviour);
}

#[test]
fn a_published_report_is_signed_dated_and_the_latest() {
    let folder = tempfile::tempdir().unwrap();
    let signer = LogSigner::generate("sealift-auditor/someone".parse().unwrap(), &mut rand_core::OsRng);
    let first = published::publish(folder.path(), &report(vec![], vec![]), &signer).unwrap();
    let second = published::publish(folder.path(), &report(vec![wrong()], vec![]), &signer).unwrap();
    assert_ne!(first, second, "what was published is never replaced");
    let latest = fs_err::read(folder.path().join("latest.note")).unwrap();
    let statement = AuditStatement::verify(&latest, signer.verifier()).unwrap();
    assert_eq!(statement.verdict, Verdict::Misbehaviour);
    let named = folder.path().join(&statement.file);
    assert_eq!(named, second);
    assert_eq!(Digest::of(&fs_err::read(named).unwrap()), statement.sha256);
}
