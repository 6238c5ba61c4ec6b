//! Every admission rule, forged. Each refusal must leave the disk as it was.
//!
//! Long because it is a table: one short test for each rule, and the rules are read together.

use axum::http::StatusCode;
use sealift_policy::digest::Digest;
use sealift_policy::log::{LogSigner, Origin, SignedCheckpoint};
use sealift_policy::run::RUN_RULES;
use sealift_policy::wire::MAX_SUBMISSION_HEADER;

use crate::operator::{
    Operator, Submission, Unit, compress, frame, library, library_with, noise, policy_document, proc_macro, run,
    run_by_rules,
};
use crate::world::World;

/// Two operators; alpha has submitted one library and is about to submit another and a proc macro.
async fn world() -> (World, Operator, Operator, [Unit; 2]) {
    let (mut alpha, beta) = (Operator::new("alpha"), Operator::new("beta"));
    let world = World::new(&[&alpha, &beta]);
    world.admit(&alpha.submit(&[library("first")])).await;
    (world, alpha, beta, [library("second"), proc_macro("third")])
}

/// Sends what a forger makes of a good submission, and checks that it changes nothing.
async fn refused(forge: impl FnOnce(&mut Submission), status: u16, kind: &str) {
    refused_body(
        |submission| {
            let mut forged = submission.clone();
            forge(&mut forged);
            forged.body()
        },
        status,
        kind,
    )
    .await;
}

async fn refused_body(forge: impl FnOnce(&Submission) -> Vec<u8>, status: u16, kind: &str) {
    let (world, mut alpha, _, units) = world().await;
    let good = alpha.submit(&units);
    let before = world.disk();
    let answer = world.post("/v1/submit", forge(&good)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (status, kind),
        "{}",
        answer.text()
    );
    assert_eq!(world.disk(), before, "a refusal changes nothing");
    world.admit(&good).await;
    assert!(world.fsck().is_sound(), "{}", world.fsck());
}

/// As [`refused`], for a log that the operator itself signed wrong.
async fn refused_log(sign: impl FnOnce(&mut Operator, &[Unit; 2]) -> Submission, status: u16, kind: &str) {
    let (world, alpha, _, units) = world().await;
    let forged = sign(&mut alpha.clone(), &units);
    let before = world.disk();
    let answer = world.submit(&forged).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (status, kind),
        "{}",
        answer.text()
    );
    assert_eq!(world.disk(), before, "a refusal changes nothing");
    let mut honest = alpha;
    world.admit(&honest.submit(&units)).await;
}

#[tokio::test]
async fn a_unit_seen_for_more_plans_than_can_be_is_refused() {
    let plans = |submission: &mut Submission| {
        let plan = submission.header.units[0].plans[0].clone();
        submission.header.units[0].plans = vec![plan; 65];
    };
    refused(plans, 422, "plans").await;
}

// A2: a header has room for a hundred thousand leaves, and the log waits while they are looked up.
#[tokio::test]
async fn nothing_is_looked_up_for_who_cannot_sign() {
    let (world, alpha, _, units) = world().await;
    let catalogue = world.folder.path().join("catalogue.sqlite");
    let catalogue = rusqlite::Connection::open(catalogue).unwrap();
    catalogue.execute_batch("DROP TABLE leaf").unwrap();
    let answer = world.submit(&Operator::new("alpha").submit(&units)).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (403, "checkpoint"));
    let answer = world.submit(&alpha.clone().submit(&units)).await;
    assert_eq!(answer.status.as_u16(), 500, "the operator itself is looked up");
}

#[tokio::test]
async fn what_obeys_all_rules_is_admitted_and_sending_it_again_changes_nothing() {
    let (world, mut alpha, mut beta, units) = world().await;
    let submission = alpha.submit(&units);
    let answer = world.submit(&submission).await;
    assert_eq!(
        answer.json(),
        serde_json::json!({"version": 1, "operator": "alpha", "epoch": 1, "size": 3})
    );
    let before = world.disk();
    assert_eq!(world.submit(&submission).await.json()["size"], 3);
    assert_eq!(world.disk(), before);
    // Another operator built the same bits: nothing but its word is sent.
    let answer = world.submit(&beta.submit(&units).without_blobs()).await;
    assert_eq!(answer.json()["size"], 2, "{}", answer.text());
    assert!(world.fsck().is_sound(), "{}", world.fsck());
}

#[tokio::test]
async fn nothing_is_added_to_a_frozen_log() {
    let (world, mut alpha, beta, units) = world().await;
    let mut policy = policy_document(&[&alpha, &beta]);
    let head = SignedCheckpoint::parse(alpha.checkpoint().as_bytes()).unwrap();
    let frozen = serde_json::json!({"size": head.unverified().size, "root": head.unverified().root});
    policy["operators"][0]["logs"][0]["frozen"] = frozen;
    let folder = std::sync::Arc::clone(&world.folder);
    drop(world);
    let world = World::over(folder, serde_json::from_value(policy).unwrap());
    let before = world.disk();
    let answer = world.submit(&alpha.submit(&units)).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (403, "frozen"));
    assert_eq!(world.disk(), before);
}

#[tokio::test]
async fn an_unknown_operator_or_epoch_is_refused() {
    refused(
        |submission| submission.header.operator = "gamma".parse().unwrap(),
        403,
        "unknown-operator",
    )
    .await;
    refused(|submission| submission.header.epoch = 2, 403, "unknown-operator").await;
    // Another operator's log, with the right checkpoint of one's own.
    refused(
        |submission| submission.header.operator = "beta".parse().unwrap(),
        403,
        "checkpoint",
    )
    .await;
}

#[tokio::test]
async fn t11_a_bad_signature_or_a_checkpoint_of_another_log_is_refused() {
    let resigned = |name: &str| {
        let origin = Origin::of(&name.parse().unwrap(), 1);
        LogSigner::generate(origin, &mut rand_core::OsRng)
    };
    refused_log(
        |alpha, units| {
            alpha.signer = resigned("alpha");
            alpha.submit(units)
        },
        403,
        "checkpoint",
    )
    .await;
    refused_log(
        |alpha, units| {
            alpha.signer = resigned("beta");
            alpha.submit(units)
        },
        403,
        "checkpoint",
    )
    .await;
    refused(
        |submission| submission.header.checkpoint = submission.header.checkpoint.replace("\n3\n", "\n4\n"),
        403,
        "checkpoint",
    )
    .await;
    refused(|submission| submission.header.checkpoint.clear(), 403, "checkpoint").await;
    refused(|submission| submission.header.checkpoint.push('x'), 403, "checkpoint").await;
}

#[tokio::test]
async fn leaves_that_do_not_give_the_signed_root_are_refused() {
    refused(|submission| submission.header.units.swap(0, 1), 422, "wrong-root").await;
    refused(|submission| drop(submission.header.units.pop()), 422, "wrong-root").await;
    refused(
        |submission| {
            let last = submission.header.units[1].clone();
            submission.header.units.push(last);
        },
        422,
        "wrong-root",
    )
    .await;
    refused(
        |submission| submission.header.units[0].leaf.push(' '),
        422,
        "wrong-root",
    )
    .await;
}

#[tokio::test]
async fn another_old_size_is_refused_with_the_present_one() {
    for old_size in [0, 2, 3, u64::MAX] {
        refused(|submission| submission.header.old_size = old_size, 409, "old-size").await;
    }
    let (world, mut alpha, _, units) = world().await;
    let mut late = alpha.submit(&units);
    late.header.old_size = 0;
    assert_eq!(world.submit(&late).await.json()["size"], 1);
}

#[tokio::test]
async fn t15_a_fork_or_a_rolled_back_log_is_refused() {
    let (world, mut alpha, _, units) = world().await;
    let mut fork = alpha.clone();
    world.admit(&alpha.submit(&units)).await;
    let before = world.disk();
    // Two other leaves in place of the same two: same size, another root.
    let forked = fork.submit(&[library("fourth"), library("fifth")]);
    let answer = world.submit(&forked).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (StatusCode::CONFLICT, "inconsistent")
    );
    // A larger log over the forked past.
    let answer = world.submit(&fork.submit(&[library("sixth")])).await;
    assert_eq!(answer.problem(), "wrong-root", "{}", answer.text());
    assert_eq!(world.disk(), before);
}

#[tokio::test]
async fn a4_an_older_submission_again_is_known_and_takes_nothing_back() {
    let mut alpha = Operator::new("alpha");
    let world = World::new(&[&alpha]);
    let first = alpha.submit(&[library("first")]);
    let second = alpha.submit(&[library("second")]);
    world.admit(&first).await;
    world.admit(&second).await;
    let before = world.disk();
    assert_eq!(world.submit(&first).await.json()["size"], 2);
    let mut other = first.clone();
    other.header.units[0].leaf = library("third").leaf();
    assert_eq!(world.submit(&other).await.problem(), "wrong-root");
    let mut none = first;
    none.header.units.clear();
    assert_eq!(world.submit(&none).await.problem(), "wrong-root");
    assert_eq!(world.disk(), before);
}

#[tokio::test]
async fn a_head_signed_anew_replaces_the_older_one_and_never_the_newer() {
    let (world, mut alpha, _, _) = world().await;
    let older = alpha.clone();
    alpha.time += 500;
    world.admit(&alpha.submit(&[])).await;
    let path = "/v1/log/alpha/1/checkpoint";
    assert_eq!(world.get(path).await.text(), alpha.checkpoint());
    world.admit(&older.clone().submit(&[])).await;
    assert_eq!(
        world.get(path).await.text(),
        alpha.checkpoint(),
        "the older head is known, not served"
    );
    let mut backwards = older;
    backwards.time = 1;
    let answer = world.submit(&backwards.submit(&[library("late")])).await;
    assert_eq!(answer.problem(), "older-checkpoint");
    let world = world.restart();
    assert_eq!(world.get(path).await.text(), alpha.checkpoint());
}

#[tokio::test]
async fn t8_a_leaf_that_is_not_canonical_is_refused_although_it_is_signed() {
    for spoil in [
        |leaf: String| format!("{leaf} "),
        |leaf: String| format!("\u{feff}{leaf}"),
        |leaf: String| leaf.replace("\"version\":1", "\"version\":1,\"version\":1"),
        |leaf: String| leaf.replace("\"version\":1", "\"version\":1.0"),
        |leaf: String| leaf.replace("\"version\":1", "\"version\":2"),
        |leaf: String| format!("{leaf}{}", " ".repeat(1000)),
        |_| "[".repeat(200),
        |_| String::new(),
    ] {
        refused_log(
            |alpha, units| {
                let leaves = vec![units[0].leaf(), spoil(units[1].leaf())];
                alpha.submit_leaves(units, leaves)
            },
            422,
            "leaf",
        )
        .await;
    }
}

#[tokio::test]
async fn a5_a_second_leaf_for_one_unit_is_refused_and_shown() {
    refused_log(|alpha, _| alpha.submit(&[library("first")]), 409, "second-leaf").await;
    refused_log(
        |alpha, _| alpha.submit(&[library("first").with_other_output()]),
        409,
        "second-leaf",
    )
    .await;
    refused_log(
        |alpha, units| alpha.submit(&[units[0].clone(), units[0].clone()]),
        409,
        "second-leaf",
    )
    .await;
    refused_log(
        |alpha, units| alpha.submit(&[units[0].clone(), units[0].with_other_output()]),
        409,
        "second-leaf",
    )
    .await;
    let (world, mut alpha, ..) = world().await;
    let answer = world
        .submit(&alpha.submit(&[library("first").with_other_output()]))
        .await;
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains(&library("first").key().to_string()) && detail.contains("entry 0 of `alpha/1`"),
        "{detail}"
    );
}

#[tokio::test]
async fn t4_a_manifest_that_is_not_the_one_in_the_leaf_is_refused() {
    refused(
        |submission| submission.header.units[0].manifest.push(' '),
        422,
        "manifest-digest",
    )
    .await;
    refused(
        |submission| submission.header.units[0].manifest = library("x").manifest.to_canonical(),
        422,
        "manifest-digest",
    )
    .await;
}

#[tokio::test]
async fn a_key_document_of_another_unit_is_refused() {
    refused(
        |submission| submission.header.units[0].key_document = library("x").key_document,
        422,
        "other-unit",
    )
    .await;
    refused(
        |submission| submission.header.units[0].key_document.push(' '),
        422,
        "key-document",
    )
    .await;
    refused(
        |submission| submission.header.units[0].key_document = "{}".into(),
        422,
        "key-document",
    )
    .await;
    // Leaf and manifest of two different units, all of it signed.
    refused_log(
        |alpha, units| {
            let mut unit = units[0].clone();
            unit.key_document = library("x").key_document;
            alpha.submit(&[unit])
        },
        422,
        "other-unit",
    )
    .await;
}

#[tokio::test]
async fn t5_names_that_leave_their_folder_or_are_not_the_canonical_ones_are_refused() {
    for name in [
        "../../../etc/passwd",
        "/etc/passwd",
        "a\\b",
        "libsecond.rmeta",
        "",
        "..",
    ] {
        refused_log(
            |alpha, units| {
                let mut unit = units[0].clone();
                unit.manifest.outputs[0].name = name.to_owned();
                alpha.submit(&[unit])
            },
            422,
            "manifest",
        )
        .await;
    }
    refused_log(
        |alpha, units| {
            let mut unit = units[0].clone();
            unit.manifest.outputs[1] = unit.manifest.outputs[0].clone();
            alpha.submit(&[unit])
        },
        422,
        "manifest",
    )
    .await;
}

#[tokio::test]
async fn outputs_other_than_the_key_document_promises_are_refused() {
    refused_log(
        |alpha, units| {
            let mut unit = units[0].clone();
            unit.manifest.outputs.pop();
            unit.contents.pop();
            alpha.submit(&[unit])
        },
        422,
        "outputs",
    )
    .await;
    refused_log(
        |alpha, units| {
            let mut unit = units[0].clone();
            for output in &mut unit.manifest.outputs {
                output.name = output.role.file_name("other", unit.manifest.unit_key);
            }
            alpha.submit(&[unit])
        },
        422,
        "outputs",
    )
    .await;
}

#[tokio::test]
async fn a_missing_blob_is_refused_and_named() {
    refused_body(
        |submission| submission.clone().without_blobs().body(),
        422,
        "missing-blobs",
    )
    .await;
    let (world, mut alpha, _, units) = world().await;
    let mut submission = alpha.submit(&units);
    let gone = submission.header.blobs.remove(1);
    submission.blobs.remove(1);
    assert_eq!(
        world.submit(&submission).await.json()["missing"],
        serde_json::json!([gone.sha256])
    );
}

#[tokio::test]
async fn a_blob_that_nobody_asks_for_or_with_other_numbers_is_refused() {
    refused(
        |submission| {
            let stored = compress(b"extra", &[]);
            let mut blob = submission.header.blobs[0].clone();
            (blob.sha256, blob.size, blob.stored) = (Digest::of(b"extra"), 5, stored.len() as u64);
            submission.header.blobs.push(blob);
            submission.blobs.push(stored);
        },
        422,
        "blob",
    )
    .await;
    refused(
        |submission| {
            submission.header.blobs.push(submission.header.blobs[0].clone());
            submission.blobs.push(submission.blobs[0].clone());
        },
        422,
        "blob",
    )
    .await;
    refused(|submission| submission.header.blobs[0].size += 1, 422, "blob").await;
    refused(|submission| submission.header.blobs[0].stored = 1 << 40, 422, "blob").await;
    refused(|submission| submission.header.blobs[1].prefix = None, 422, "blob").await;
    refused(
        |submission| submission.header.blobs[0].prefix = Some(Digest::of(b"x")),
        422,
        "blob",
    )
    .await;
}

#[tokio::test]
async fn a4_f12_a_blob_that_was_changed_after_it_was_hashed_is_refused() {
    // Well compressed, of the right size, and something else.
    refused(
        |submission| {
            let size = usize::try_from(submission.header.blobs[0].size).unwrap();
            let other = compress(&noise(b"other", size), &[]);
            submission.header.blobs[0].stored = other.len() as u64;
            submission.blobs[0] = other;
        },
        422,
        "blob-content",
    )
    .await;
    refused(
        |submission| {
            let middle = submission.blobs[0].len() / 2;
            submission.blobs[0][middle] ^= 1;
        },
        422,
        "blob-content",
    )
    .await;
    // A larger or smaller content than the manifest states; a much longer one is refused by its announced length.
    for (content, kind) in [
        (noise(b"x", 10), "blob-content"),
        (vec![0; 100_000], "blob-content"),
        (noise(b"x", 100_000), "blob"),
    ] {
        refused(
            |submission| {
                let other = compress(&content, &[]);
                submission.header.blobs[2].stored = other.len() as u64;
                submission.blobs[2] = other;
            },
            422,
            kind,
        )
        .await;
    }
}

#[tokio::test]
async fn t7_a_second_frame_or_trailing_bytes_are_refused() {
    for after in [
        b"x".to_vec(),
        compress(b"x", &[]),
        vec![0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0],
    ] {
        refused(
            |submission| {
                submission.blobs[0].extend_from_slice(&after);
                submission.header.blobs[0].stored += after.len() as u64;
            },
            422,
            "blob-content",
        )
        .await;
    }
    refused_body(
        |submission| [submission.body(), b"x".to_vec()].concat(),
        400,
        "trailing-bytes",
    )
    .await;
}

#[tokio::test]
async fn t7_a_window_of_gigabytes_is_refused() {
    refused(
        |submission| {
            let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1100_0000, 21 << 3];
            frame.extend(submission.header.blobs[0].size.to_le_bytes());
            frame.extend([1, 0, 0]);
            submission.header.blobs[0].stored = frame.len() as u64;
            submission.blobs[0] = frame;
        },
        422,
        "blob-content",
    )
    .await;
}

#[tokio::test]
async fn an_oversized_or_malformed_header_is_refused_before_it_is_read() {
    refused_body(|_| (MAX_SUBMISSION_HEADER + 1).to_be_bytes().to_vec(), 413, "too-large").await;
    refused_body(|_| u64::MAX.to_be_bytes().to_vec(), 413, "too-large").await;
    refused_body(|_| frame(b"not JSON", b""), 400, "malformed-submission").await;
    refused_body(|_| frame(b"{}", b""), 400, "malformed-submission").await;
    refused_body(
        |submission| {
            let header = serde_json::to_string(&submission.header)
                .unwrap()
                .replacen('{', "{\"extra\":1,", 1);
            frame(header.as_bytes(), &submission.blobs.concat())
        },
        400,
        "malformed-submission",
    )
    .await;
    refused(|submission| submission.header.version = 2, 422, "version").await;
}

#[tokio::test]
async fn a_truncated_body_is_refused_wherever_it_ends() {
    let (world, mut alpha, _, units) = world().await;
    let body = alpha.submit(&units).body();
    let header = 8 + usize::try_from(u64::from_be_bytes(body[..8].try_into().unwrap())).unwrap();
    let before = world.disk();
    for cut in [
        0,
        1,
        7,
        8,
        9,
        header / 2,
        header - 1,
        header,
        header + 1,
        header + 100,
        body.len() - 5000,
        body.len() - 1,
    ] {
        let answer = world.post("/v1/submit", body[..cut].to_vec()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (400, "truncated"),
            "{cut}: {}",
            answer.text()
        );
        assert_eq!(world.disk(), before, "{cut}");
    }
    assert_eq!(world.post("/v1/submit", body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn two_manifests_that_want_one_output_stored_in_two_ways_are_refused() {
    let rlib = noise(b"rlib", 9000);
    refused_log(
        |alpha, _| {
            alpha.submit(&[
                library_with("one", &rlib[..4000], &rlib),
                library_with("two", &rlib[4000..], &rlib),
            ])
        },
        422,
        "conflict",
    )
    .await;
}

#[tokio::test]
async fn no_operator_can_make_an_output_unreadable_for_another() {
    let (mut alpha, mut beta) = (Operator::new("alpha"), Operator::new("beta"));
    let world = World::new(&[&alpha, &beta]);
    let (rmeta, odd) = (noise(b"rmeta", 5000), noise(b"odd", 700));
    let rlib = [rmeta.clone(), odd.clone(), noise(b"objects", 300)].concat();
    // Beta comes first and submits the same rlib, compressed with something odd as its rmeta.
    world.admit(&beta.submit(&[library_with("odd", &odd, &rlib)])).await;
    let honest = alpha.submit(&[library_with("honest", &rmeta, &rlib)]);
    let answer = world.submit(&honest.clone().without_blobs()).await;
    assert_eq!(
        answer.problem(),
        "missing-blobs",
        "an output that cannot be read is not there"
    );
    world.admit(&honest).await;
    // Both can read it now.
    assert!(world.fsck().is_sound(), "{}", world.fsck());
}

#[tokio::test]
async fn f12_a_damaged_object_is_asked_for_again_and_replaced() {
    let (world, _, mut beta, _) = world().await;
    let unit = library("first");
    let path = world
        .folder
        .path()
        .join(format!("v1/cas/{}", unit.manifest.outputs[0].sha256));
    fs_err::write(&path, b"damaged").unwrap();
    assert!(!world.fsck().is_sound());
    let submission = beta.submit(&[unit]);
    assert_eq!(
        world.submit(&submission.clone().without_blobs()).await.problem(),
        "missing-blobs"
    );
    world.admit(&submission).await;
    assert!(world.fsck().is_sound(), "{}", world.fsck());
}

#[tokio::test]
async fn admission_of_one_operator_alters_nothing_of_another() {
    let (world, mut alpha, mut beta, units) = world().await;
    world.admit(&alpha.submit(&units)).await;
    let before = world.disk();
    world
        .admit(&beta.submit(&[units[0].with_other_output(), units[1].clone()]))
        .await;
    let after = world.disk();
    for (path, digest) in before {
        if !path.starts_with("v1/unit/") && !path.starts_with("v1/plan/") {
            assert_eq!(after.get(&path), Some(&digest), "{path}");
        }
    }
    // Hints hold what both state.
    let hint = world.get(&format!("/v1/unit/{}.json", units[0].key())).await.json();
    let vouchers: Vec<_> = hint["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["vouchers"][0]["operator"])
        .collect();
    assert_eq!(vouchers.len(), 2);
    assert!(vouchers.contains(&&"alpha".into()) && vouchers.contains(&&"beta".into()));
    assert!(world.fsck().is_sound(), "{}", world.fsck());
}

#[tokio::test]
async fn a_log_grows_over_the_edge_of_its_tiles() {
    let mut alpha = Operator::new("alpha");
    let mut world = World::new(&[&alpha]);
    for batch in [200, 56, 1, 100] {
        let units: Vec<Unit> = (0..batch)
            .map(|unit| proc_macro(&format!("u{}_{unit}", alpha.size())))
            .collect();
        world.admit(&alpha.submit(&units)).await;
        world = world.restart();
    }
    assert_eq!(alpha.size(), 357);
    assert!(world.fsck().is_sound(), "{}", world.fsck());
    assert_eq!(
        world.get("/v1/log/alpha/1/tile/entries/000").await.status,
        StatusCode::OK
    );
    assert_eq!(world.get("/v1/log/alpha/1/tile/0/001.p/101").await.body.len(), 101 * 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_that_submit_at_the_same_time_do_not_lose_each_others_hints() {
    let mut operators: Vec<Operator> = (0..4).map(|n| Operator::new(&format!("op{n}"))).collect();
    let world = World::new(&operators.iter().collect::<Vec<_>>());
    let units: Vec<Unit> = (0..12).map(|n| library(&format!("u{n}"))).collect();
    let submissions: Vec<Submission> = operators.iter_mut().map(|operator| operator.submit(&units)).collect();
    futures::future::join_all(submissions.iter().map(|submission| world.admit(submission))).await;
    assert!(world.fsck().is_sound(), "{}", world.fsck());
    assert!(world.fsck().notes().is_empty(), "{}", world.fsck());
}

#[tokio::test]
async fn an_empty_log_has_a_head_too() {
    let mut alpha = Operator::new("alpha");
    let world = World::new(&[&alpha]);
    let answer = world.submit(&alpha.submit(&[])).await;
    assert_eq!(answer.json()["size"], 0, "{}", answer.text());
    assert_eq!(world.get("/v1/log/alpha/1/checkpoint").await.text(), alpha.checkpoint());
    let world = world.restart();
    world.admit(&alpha.submit(&[library("first")])).await;
    assert!(world.fsck().is_sound(), "{}", world.fsck());
}

#[tokio::test]
async fn another_epoch_may_repeat_what_the_first_states_and_nothing_else() {
    let (mut old, mut new) = (Operator::new("alpha"), Operator::new("alpha"));
    new.epoch = 2;
    new.signer = LogSigner::generate(Origin::of(&new.name, 2), &mut rand_core::OsRng);
    let mut document = policy_document(&[&old]);
    let second = serde_json::json!({"epoch": 2, "vkey": new.signer.verifier().to_string()});
    document["operators"][0]["logs"].as_array_mut().unwrap().push(second);
    let folder = std::sync::Arc::new(crate::world::folder());
    let world = World::over(folder, serde_json::from_value(document).unwrap());
    world.admit(&old.submit(&[library("first"), library("second")])).await;
    let honest = new.clone();
    let answer = world.submit(&new.submit(&[library("first").with_other_output()])).await;
    assert_eq!(answer.problem(), "second-leaf", "{}", answer.text());
    new = honest;
    world.admit(&new.submit(&[library("first")]).without_blobs()).await;
    assert!(world.fsck().is_sound(), "{}", world.fsck());
}

#[tokio::test]
async fn the_run_of_a_script_that_nobody_reviewed() {
    let submitted = |version| move |alpha: &mut Operator, _: &[Unit; 2]| alpha.submit(&[run("ring", version)]);
    refused_log(submitted("0.0.1"), 422, "not-reviewed").await;
    let (world, mut alpha, _, _) = world().await;
    world.admit(&alpha.submit(&[run("ring", "0.17.14")])).await;
    // What was logged once stays in the log: a store that is filled anew takes what other rules made.
    let of_old = run_by_rules("ring", "0.0.1", RUN_RULES - 1);
    world.admit(&alpha.submit(&[of_old])).await;
    assert!(world.fsck().is_sound(), "{}", world.fsck());
}
