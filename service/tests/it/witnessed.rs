//! Cosignatures of witnesses: which are kept, how they add up, and heads that lack them.

use std::sync::Arc;

use rand_core::OsRng;
use sealift_policy::log::cosignature::WitnessSigner;
use sealift_policy::log::{SignedCheckpoint, VerifiedCheckpoint};
use sealift_policy::trust::TrustPolicy;
use sealift_policy::wire::LookupResponse;
use sealift_service::mirror;
use serde_json::json;

use crate::mirror::serve;
use crate::operator::{Operator, Submission, TOOLCHAIN, library, policy_document};
use crate::world::{World, folder};

const CHECKPOINT: &str = "/v1/log/alpha/1/checkpoint";

struct Witnessed {
    world: World,
    alpha: Operator,
    witnesses: [WitnessSigner; 3],
}

/// An operator, and three witnesses of whom two are needed.
fn witnessed() -> Witnessed {
    let alpha = Operator::new("alpha");
    let witnesses = ["a", "b", "c"].map(|name| WitnessSigner::generate(name.parse().unwrap(), &mut OsRng));
    Witnessed {
        world: World::over(Arc::new(folder()), policy(&alpha, &witnesses)),
        alpha,
        witnesses,
    }
}

fn policy(alpha: &Operator, witnesses: &[WitnessSigner]) -> TrustPolicy {
    let mut document = policy_document(&[alpha]);
    let lines = witnesses.iter().map(|witness| {
        let key = witness.verifier();
        format!("witness {} {key}\n", key.name())
    });
    document["witness_policy"] = json!(format!("{}group g 2 a b c\nquorum g\n", lines.collect::<String>()));
    serde_json::from_value(document).unwrap()
}

fn head(text: &str, alpha: &Operator) -> VerifiedCheckpoint {
    SignedCheckpoint::parse(text.as_bytes())
        .unwrap()
        .verify(alpha.verifier())
        .unwrap()
}

/// The submission with cosignatures of its head.
fn cosigned(submission: &Submission, alpha: &Operator, witnesses: &[&WitnessSigner]) -> Submission {
    let mut submission = submission.clone();
    let head = head(&submission.header.checkpoint, alpha);
    for witness in witnesses {
        submission.header.checkpoint += &witness.cosign(&head, 2000).unwrap();
    }
    submission
}

/// Who has cosigned the head that is served.
async fn served(witnessed: &Witnessed) -> Vec<&str> {
    let text = witnessed.world.get(CHECKPOINT).await.text();
    let head = head(&text, &witnessed.alpha);
    assert_eq!(
        text.matches('\u{2014}').count(),
        1 + cosigners(&head, &witnessed.witnesses).len(),
        "{text}"
    );
    cosigners(&head, &witnessed.witnesses)
}

fn cosigners<'a>(head: &VerifiedCheckpoint, witnesses: &'a [WitnessSigner]) -> Vec<&'a str> {
    let who = witnesses
        .iter()
        .filter(|witness| witness.verifier().cosigned(head).is_ok());
    who.map(|witness| witness.verifier().name().as_str()).collect()
}

#[tokio::test]
async fn the_same_head_with_more_cosignatures_is_merged_and_served_everywhere() {
    let mut it = witnessed();
    let units = [library("first")];
    let submission = it.alpha.submit(&units);
    let [a, b, c] = it.witnesses.each_ref();
    it.world.admit(&cosigned(&submission, &it.alpha, &[b, a])).await;
    assert_eq!(served(&it).await, ["a", "b"]);
    let mut again = it.alpha.clone().submit(&[]);
    again.header.checkpoint = submission.header.checkpoint;
    let again = cosigned(&again, &it.alpha, &[c]);
    it.world.admit(&again).await;
    assert_eq!(served(&it).await, ["a", "b", "c"]);
    let before = it.world.disk();
    it.world.admit(&again).await;
    assert_eq!(it.world.disk(), before, "nothing new");
    let request = json!({"version": 1, "toolchain": TOOLCHAIN, "unit_keys": [units[0].key()]});
    let answer = it.world.post("/v1/lookup", request.to_string()).await;
    let answer: LookupResponse = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        cosigners(&head(&answer.logs[0].checkpoint, &it.alpha), &it.witnesses),
        ["a", "b", "c"]
    );
    it.world = it.world.restart();
    assert_eq!(served(&it).await, ["a", "b", "c"]);
    let url = serve(&it.world).await;
    let copy = World::over(Arc::new(folder()), policy(&it.alpha, &it.witnesses));
    assert_eq!(mirror::run(Arc::clone(&copy.app), &url).await.unwrap().logs, 1);
    assert_eq!(copy.get(CHECKPOINT).await.text(), it.world.get(CHECKPOINT).await.text());
    assert_eq!(mirror::run(Arc::clone(&copy.app), &url).await.unwrap().logs, 0);
    // One whose policy names none of them keeps what came with the head, and the first names what it asks for.
    let another = World::new(&[&it.alpha]);
    assert_eq!(mirror::run(Arc::clone(&another.app), &url).await.unwrap().logs, 1);
    assert_eq!(
        another.get(CHECKPOINT).await.text(),
        it.world.get(CHECKPOINT).await.text()
    );
    assert!(it.world.fsck().is_sound(), "{}", it.world.fsck());
}

#[tokio::test]
async fn b12_a_head_without_the_quorum_is_refused_and_the_cosigned_one_stays() {
    let mut it = witnessed();
    let [a, b, _] = it.witnesses.each_ref();
    let first = it.alpha.submit(&[library("first")]);
    for too_few in [&[][..], &[a], &[a, a]] {
        let answer = it.world.submit(&cosigned(&first, &it.alpha, too_few)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem()),
            (422, "not-witnessed".to_owned())
        );
    }
    it.world.admit(&cosigned(&first, &it.alpha, &[a, b])).await;
    let before = it.world.disk();
    let mut later = it.alpha.clone();
    for submission in [it.alpha.clone().submit(&[]), later.submit(&[library("second")])] {
        let answer = it.world.submit(&cosigned(&submission, &it.alpha, &[b])).await;
        assert_eq!(answer.problem(), "not-witnessed");
        assert_eq!(it.world.disk(), before);
    }
    it.world
        .admit(&cosigned(&it.alpha.submit(&[]), &it.alpha, &[b, a]))
        .await;
    assert_ne!(it.world.disk(), before);
}

#[tokio::test]
async fn t13_lines_of_strangers_bad_lines_and_repeated_ones_are_never_stored() {
    let mut it = witnessed();
    let [a, b, c] = it.witnesses.each_ref();
    let stranger = WitnessSigner::generate("stranger".parse().unwrap(), &mut OsRng);
    let namesake = WitnessSigner::generate("a".parse().unwrap(), &mut OsRng);
    let submission = it.alpha.submit(&[library("first")]);
    let mut noisy = cosigned(&submission, &it.alpha, &[&stranger, &namesake, a, b, b]);
    // A line of a known witness for another head.
    let other = head(&it.alpha.clone().submit(&[]).header.checkpoint, &it.alpha);
    noisy.header.checkpoint += &c.cosign(&other, 2000).unwrap();
    it.world.admit(&noisy).await;
    assert_eq!(served(&it).await, ["a", "b"]);
    // Anybody may send a public head again, with whatever lines.
    let mut again = it.alpha.clone().submit(&[]);
    again.header.checkpoint = noisy.header.checkpoint.clone();
    let before = it.world.disk();
    it.world.admit(&cosigned(&again, &it.alpha, &[&stranger])).await;
    assert_eq!(it.world.disk(), before);
}

#[tokio::test]
async fn without_witnesses_in_the_policy_nobody_adds_lines_to_a_head() {
    let mut alpha = Operator::new("alpha");
    let world = World::new(&[&alpha]);
    let witness = WitnessSigner::generate("a".parse().unwrap(), &mut OsRng);
    let first = alpha.submit(&[library("first")]);
    world.admit(&first).await;
    let mut again = alpha.clone().submit(&[]);
    again.header.checkpoint = first.header.checkpoint;
    let before = world.disk();
    world.admit(&cosigned(&again, &alpha, &[&witness])).await;
    assert_eq!(world.disk(), before);
}
