//! The batch lookup, verified as a client would.

use axum::http::StatusCode;
use sealift_policy::log::{ConsistencyProof, InclusionProof, SignedCheckpoint, TreeHash, VerifiedCheckpoint};
use sealift_policy::wire::{LookupResponse, MAX_LOOKUP_IDS};
use serde_json::{Value, json};

use crate::operator::{Operator, TOOLCHAIN, library, plan, proc_macro};
use crate::world::World;

async fn lookup(world: &World, mut request: Value) -> LookupResponse {
    request["version"] = json!(1);
    request["toolchain"] = json!(TOOLCHAIN);
    let answer = world.post("/v1/lookup", request.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    serde_json::from_slice(&answer.body).unwrap()
}

fn head(response: &LookupResponse, operator: &Operator) -> VerifiedCheckpoint {
    let log = response.logs.iter().find(|log| log.operator == operator.name).unwrap();
    SignedCheckpoint::parse(log.checkpoint.as_bytes())
        .unwrap()
        .verify(operator.verifier())
        .unwrap()
}

// Clients read the beginning of the list only, and whoever makes units can choose how their keys sort.
#[tokio::test]
async fn what_most_operators_have_logged_comes_first() {
    let (mut alpha, mut beta) = (Operator::new("alpha"), Operator::new("beta"));
    let world = World::new(&[&alpha, &beta]);
    let mut units: Vec<_> = (0..6).map(|number| library(&format!("unit{number}"))).collect();
    for unit in &mut units {
        unit.plans = vec![plan("one for all")];
    }
    units.sort_by_key(|unit| unit.key());
    world.admit(&alpha.submit(&units)).await;
    world.admit(&beta.submit(&units[4..5]).without_blobs()).await;
    let response = lookup(&world, json!({"plan_ids": [plan("one for all").plan_id]})).await;
    let keys = |places: [usize; 6]| places.map(|place| units[place].key()).to_vec();
    assert_eq!(response.plans[0].unit_keys, keys([4, 0, 1, 2, 3, 5]));
}

#[tokio::test]
async fn one_round_trip_gives_all_that_is_needed_to_verify_units() {
    let (mut alpha, mut beta) = (Operator::new("alpha"), Operator::new("beta"));
    let world = World::new(&[&alpha, &beta]);
    let units = [library("first"), proc_macro("second"), library("third")];
    world.admit(&alpha.submit(&units)).await;
    world.admit(&beta.submit(&units[..2]).without_blobs()).await;
    let request = json!({
        "plan_ids": [plan("first").plan_id, plan("second").plan_id, plan("unknown").plan_id],
        "unit_keys": [units[2].key(), units[0].key(), library("unknown").key()],
    });
    let response = lookup(&world, request).await;
    assert_eq!(response.plans.len(), 2);
    let keys: Vec<_> = response.units.iter().map(|unit| unit.unit_key).collect();
    assert_eq!(keys, [units[0].key(), units[1].key(), units[2].key()], "each once");
    for (record, unit) in response.units.iter().zip(&units) {
        assert_eq!(
            (record.key_document.as_str(), record.compile_ms),
            (unit.key_document.as_str(), 700)
        );
        let [manifest] = record.manifests.as_slice() else {
            panic!("nobody disagrees")
        };
        assert_eq!(manifest.manifest, unit.manifest.to_canonical());
        for voucher in &manifest.vouchers {
            let operator = if voucher.operator == alpha.name { &alpha } else { &beta };
            let head = head(&response, operator);
            let leaf = TreeHash::of_leaf(unit.leaf().as_bytes());
            let proof = InclusionProof::parse(&voucher.proof).unwrap();
            proof
                .verify(voucher.index.try_into().unwrap(), leaf, head.size(), head.root())
                .unwrap();
        }
    }
    let vouchers: Vec<_> = response
        .units
        .iter()
        .map(|unit| unit.manifests[0].vouchers.len())
        .collect();
    assert_eq!(vouchers, [2, 2, 1]);
}

#[tokio::test]
async fn the_way_from_the_head_that_the_client_knows_is_proved() {
    let mut alpha = Operator::new("alpha");
    let world = World::new(&[&alpha]);
    let empty = lookup(&world, json!({})).await;
    assert!(empty.logs.is_empty() && empty.units.is_empty());
    world
        .admit(&alpha.submit(&[library("a"), library("b"), library("c")]))
        .await;
    let old = head(&lookup(&world, json!({})).await, &alpha);
    world.admit(&alpha.submit(&[library("d"), library("e")])).await;
    let response = lookup(&world, json!({"heads": [{"operator": "alpha", "epoch": 1, "size": 3}]})).await;
    let new = head(&response, &alpha);
    let proof = ConsistencyProof::parse(&response.logs[0].consistency).unwrap();
    proof
        .verify((old.size(), old.root()), (new.size(), new.root()))
        .unwrap();
    for size in [0, 5, 6, u64::MAX] {
        let response = lookup(
            &world,
            json!({"heads": [{"operator": "alpha", "epoch": 1, "size": size}]}),
        )
        .await;
        assert!(response.logs[0].consistency.is_empty(), "{size}");
    }
}

#[tokio::test]
async fn g7_operators_that_disagree_are_both_shown() {
    let (mut alpha, mut beta) = (Operator::new("alpha"), Operator::new("beta"));
    let world = World::new(&[&alpha, &beta]);
    let unit = library("first");
    world.admit(&alpha.submit(std::slice::from_ref(&unit))).await;
    world.admit(&beta.submit(&[unit.with_other_output()])).await;
    let response = lookup(&world, json!({"unit_keys": [unit.key()]})).await;
    let vouchers: Vec<_> = response.units[0]
        .manifests
        .iter()
        .map(|manifest| manifest.vouchers.len())
        .collect();
    assert_eq!(vouchers, [1, 1]);
}

#[tokio::test]
async fn a_unit_whose_documents_are_damaged_is_left_out() {
    let mut alpha = Operator::new("alpha");
    let world = World::new(&[&alpha]);
    let units = [library("first"), library("second")];
    world.admit(&alpha.submit(&units)).await;
    fs_err::write(
        world
            .folder
            .path()
            .join(format!("v1/cas/{}", units[0].manifest_digest())),
        "x",
    )
    .unwrap();
    let response = lookup(&world, json!({"unit_keys": [units[0].key(), units[1].key()]})).await;
    assert_eq!(response.units.len(), 1);
    assert_eq!(response.units[0].unit_key, units[1].key());
}

#[tokio::test]
async fn malformed_and_oversized_lookups_are_refused() {
    let alpha = Operator::new("alpha");
    let world = World::new(&[&alpha]);
    let with = |version: u32, ids: usize| {
        let id = library("x").key().to_string();
        json!({"version": version, "toolchain": TOOLCHAIN, "unit_keys": vec![id; ids]}).to_string()
    };
    assert_eq!(
        world.post("/v1/lookup", with(1, MAX_LOOKUP_IDS)).await.status,
        StatusCode::OK
    );
    for (body, status, kind) in [
        (
            with(1, MAX_LOOKUP_IDS + 1),
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-many-ids",
        ),
        (with(2, 1), StatusCode::BAD_REQUEST, "version"),
        (String::new(), StatusCode::BAD_REQUEST, "malformed-lookup"),
        ("{}".into(), StatusCode::BAD_REQUEST, "malformed-lookup"),
        (
            with(1, 1).replace(TOOLCHAIN, "../x"),
            StatusCode::BAD_REQUEST,
            "malformed-lookup",
        ),
        (" ".repeat(5 << 20), StatusCode::PAYLOAD_TOO_LARGE, "body"),
    ] {
        let answer = world.post("/v1/lookup", body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, kind));
    }
}
