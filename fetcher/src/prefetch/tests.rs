//! Prefetches from honest, broken and hostile stores over real HTTP. Each one ends within its limits, and leaves in
//! the local store nothing that a quorum does not vouch for.
//!
//! Long because it is a table of what a store may do; what a broken network may do is in `hostile`.

mod hostile;
mod provenance;
mod repository;
mod tuf;
mod world;

use std::collections::BTreeSet;

use sealift_policy::key::CALL_RULES;
use sealift_policy::local::LocalUnit;
use sealift_policy::wire::ManifestRecord;
use world::{NOW, World, unit, unit_by_rules};

use sealift_policy::digest::UnitKey;
use sealift_policy::evidence::{Evidence, Finding};
use sealift_policy::local::UnitOrigin;
use sealift_policy::log::signatures::Forgetful;
use sealift_policy::trust::PolicyDocument;
use sealift_policy::wire::LookupResponse;
use serde_json::json;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_vouched_for_is_fetched_once() {
    let world = World::with_units().await;
    let first = world.fetch().await;
    assert_eq!(first.event.problems, [""; 0]);
    assert_eq!(
        (first.event.planned, first.event.present, first.event.fetched),
        (3, 0, 3)
    );
    assert!(first.event.bytes > 0 && first.alarms.is_empty());
    assert_eq!(world.local(), ["memchr", "serde_derive", "regex"]);

    let second = world.fetch().await;
    assert_eq!(
        (second.event.present, second.event.fetched, second.event.bytes),
        (3, 0, 0)
    );
    assert_eq!(world.served.lock().unwrap().lookups.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_begin_in_cargo_s_order_and_one_lookup_serves_all() {
    let world = World::with_units().await;
    world.fetch().await;
    let served = world.served.lock().unwrap();
    assert_eq!(served.lookups.len(), 1);
    assert_eq!(served.lookups[0].plan_ids.len(), 3);
    assert_eq!(served.fetched.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_lookup_tells_the_heads_that_were_seen() {
    let mut world = World::with_units().await;
    world.fetch().await;
    world.publish(unit("aho_corasick", "lib"), &[0, 1]);
    let logs = vec![world.alpha.state(3), world.beta.state(3)];
    world.serve_forged(|answer| answer.logs = logs);
    let fetched = world.fetch().await;
    assert_eq!(
        (fetched.event.present, fetched.event.fetched),
        (3, 1),
        "{:?}",
        fetched.event
    );
    let served = world.served.lock().unwrap();
    assert_eq!(
        served.lookups[1].heads.iter().map(|head| head.size).collect::<Vec<_>>(),
        [3, 3]
    );
    assert_eq!(served.lookups[1].plan_ids.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_needs_one_operator_and_a_proc_macro_two() {
    let mut world = World::new().await;
    world.publish(unit("memchr", "lib"), &[0]);
    world.publish(unit("serde_derive", "proc-macro"), &[1]);
    world.publish(unit("build_script_build", "bin"), &[0]);
    world.serve();
    let fetched = world.fetch().await;
    assert_eq!(world.local(), ["memchr"]);
    assert_eq!(fetched.event.rejected, 2);
    assert!(
        fetched
            .event
            .refused
            .iter()
            .all(|refused| !refused.alarming && refused.reason.contains("1 of 2"))
    );
    assert!(fetched.alarms.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_gone_is_a_miss_and_is_asked_for_again() {
    let world = World::with_units().await;
    let gone = world.units[0].0.manifest.outputs[1].sha256.to_string();
    let kept = world.served.lock().unwrap().blobs.remove(&gone).unwrap();
    let fetched = world.fetch().await;
    assert_eq!((fetched.event.fetched, fetched.event.problems.len()), (2, 1));
    assert!(fetched.alarms.is_empty());
    assert_eq!(world.local(), ["serde_derive", "regex"]);
    world.served.lock().unwrap().blobs.insert(gone, kept);
    world.fetch().await;
    assert_eq!(world.local().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_was_compiled_here_is_not_fetched() {
    let world = World::with_units().await;
    world.fetch().await;
    let deposit = Deposit::open(world.user.path()).unwrap();
    let key = world.units[0].0.key;
    let unit = LocalUnit {
        origin: UnitOrigin::Compiled { by: BTreeSet::new() },
        ..deposit.store().unit(key).unwrap()
    };
    deposit.store().write_unit(&unit).unwrap();
    fs_err::remove_dir_all(world.user.path().join("v1/plans")).unwrap();
    world.fetch().await;
    assert!(matches!(
        deposit.store().unit(key).unwrap().origin,
        UnitOrigin::Compiled { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn n9_two_builds_that_fetch_at_once_share_the_downloads() {
    let world = World::with_units().await;
    let (one, other) = tokio::join!(world.fetch(), world.fetch());
    for fetched in [&one, &other] {
        assert_eq!(fetched.event.fetched + fetched.event.present, 3, "{:?}", fetched.event);
        assert!(fetched.alarms.is_empty());
    }
    assert_eq!(one.event.fetched + other.event.fetched, 3);
    assert_eq!(world.served.lock().unwrap().fetched.len(), 5);
    assert_eq!(world.local().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_was_compiled_here_and_lost_its_output_is_fetched() {
    let world = World::with_units().await;
    world.fetch().await;
    let deposit = Deposit::open(world.user.path()).unwrap();
    let (honest, _) = &world.units[0];
    // Compiled here with other bytes, of which an output is gone.
    let mut manifest = honest.manifest.clone();
    manifest.outputs[0].sha256 = sealift_policy::digest::Digest::of(b"gone");
    let unit = LocalUnit {
        origin: UnitOrigin::Compiled { by: BTreeSet::new() },
        manifest: manifest.to_canonical(),
        ..deposit.store().unit(honest.key).unwrap()
    };
    deposit.store().write_unit(&unit).unwrap();
    assert_eq!(world.fetch().await.event.fetched, 1);
    assert!(matches!(
        deposit.store().unit(honest.key).unwrap().origin,
        UnitOrigin::Fetched { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_one_unit_that_is_not_believed_does_not_fetch_the_other_again() {
    let mut world = World::new().await;
    world.publish(unit("serde_derive", "proc-macro"), &[0]);
    world.publish(unit("memchr", "lib"), &[0]);
    world.serve_forged(|answer| {
        let lonely = answer.plans[0].unit_keys[0];
        answer.plans[1].unit_keys.push(lonely);
    });
    assert_eq!(world.fetch().await.event.fetched, 1);
    let again = world.fetch().await;
    assert_eq!((again.event.fetched, again.event.rejected), (0, 1));
}

// One operator makes any number of units for a plan, with keys that sort before all others.
#[tokio::test(flavor = "multi_thread")]
async fn one_operator_cannot_hide_what_several_made() {
    let mut world = World::new().await;
    world.publish(unit("memchr", "lib"), &[0, 1]);
    for number in 0..20 {
        world.publish(unit(&format!("noise{number}"), "lib"), &[0]);
    }
    world.serve_forged(|answer| {
        let noise: Vec<_> = answer.plans.drain(1..).flat_map(|plan| plan.unit_keys).collect();
        answer.plans[0].unit_keys.splice(0..0, noise);
    });
    world.fetch().await;
    assert!(world.local().contains(&"memchr".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_output_in_the_local_store_is_fetched_again() {
    let world = World::with_units().await;
    world.fetch().await;
    let output = &world.units[0].0.manifest.outputs[0];
    let path = world
        .user
        .path()
        .join("v1")
        .join(sealift_policy::local::cas_path(output.sha256));
    fs_err::remove_file(&path).unwrap();
    fs_err::write(&path, "damaged").unwrap();
    let fetched = world.fetch().await;
    assert_eq!((fetched.event.present, fetched.event.fetched), (2, 1));
    assert_eq!(world.local().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_after_it_was_fetched_does_not_count_as_present() {
    let world = World::with_units().await;
    world.fetch().await;
    let key = world.units[0].0.key;
    let policy = world.policy_with(|document| document.revoked.unit_keys.push(key));
    let fetched = world.fetch_as(&policy, NOW).await;
    assert_eq!((fetched.event.present, fetched.event.fetched), (2, 0));
    assert!(fetched.event.refused[0].reason.contains("revoked"));
}

// Nothing that was decided by one policy is remembered for the next.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_under_one_policy_is_judged_anew_by_the_next() {
    type Change = fn(&mut PolicyDocument);
    let world = World::with_units().await;
    world.fetch().await;
    let changes: [(&str, Change); 5] = [
        ("more operators than there are", |document| {
            (document.quorum.host_code, document.quorum.library) = (3, 3);
        }),
        ("a witness", |document| {
            document.witness_policy = format!("witness w {}\nquorum w\n", world::witness()).parse().unwrap();
        }),
        ("nobody is left", |document| document.operators.clear()),
        ("logs that are frozen elsewhere", |document| {
            for operator in &mut document.operators {
                operator.logs[0].frozen = Some(serde_json::from_value(json!({"size": 0, "root": EMPTY_ROOT})).unwrap());
            }
        }),
        ("entries that are revoked", |document| {
            for operator in &document.operators {
                let range = json!({"operator": operator.name, "epoch": 1, "start": 0, "end": 100});
                document.revoked.ranges.push(serde_json::from_value(range).unwrap());
            }
        }),
    ];
    for (what, change) in changes {
        let fetched = world.fetch_as(&world.policy_with(change), NOW).await;
        assert_eq!((fetched.event.present, fetched.event.fetched), (0, 0), "{what}");
        let fetched = world.fetch().await;
        assert_eq!(fetched.event.present, 3, "{what}, and back again");
    }
}

/// The root of the empty tree.
const EMPTY_ROOT: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

#[tokio::test(flavor = "multi_thread")]
async fn old_heads_and_a_clock_in_another_year_bring_nothing_and_raise_no_alarm() {
    let world = World::with_units().await;
    for now in [0, NOW + 604_801, NOW * 2] {
        let fetched = world.fetch_as(&world.policy(), now).await;
        assert_eq!((fetched.event.fetched, fetched.event.rejected), (0, 3), "{now}");
        assert!(fetched.alarms.is_empty());
    }
    assert!(world.local().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_that_the_policy_asks_for_must_have_cosigned() {
    let world = World::with_units().await;
    let policy = world.policy_with(|document| {
        let policy = format!("witness w {}\nquorum w\n", world::witness());
        document.witness_policy = policy.parse().unwrap();
    });
    let fetched = world.fetch_as(&policy, NOW).await;
    assert_eq!(fetched.event.fetched, 0);
    assert!(
        fetched.event.refused[0].reason.contains("the 0 witnesses"),
        "{:?}",
        fetched.event.refused
    );
}

/// One thing that a hostile store could change in its answer, and whether it raises an alarm.
async fn is_refused(what: &str, forge: impl FnOnce(&World, &mut LookupResponse)) {
    let world = World::with_units().await;
    world.serve_forged(|answer| forge(&world, answer));
    let fetched = world.fetch().await;
    assert_eq!(fetched.alarms.len(), 1, "{what}: {:?}", fetched.event);
    assert!(!world.local().contains(&"memchr".to_owned()), "{what}");
    assert!(fetched.event.refused.iter().any(|refused| refused.alarming), "{what}");
    assert_eq!(world.evidence(), 1, "{what}");
    assert_eq!(world.local().len(), 2, "{what}: the others are not harmed");
}

fn replaced(record: &mut ManifestRecord, from: &str, to: &str) {
    assert!(record.manifest.contains(from));
    record.manifest = record.manifest.replace(from, to);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_records_are_refused_and_kept_as_evidence() {
    is_refused("another manifest than the one that is logged", |_, answer| {
        replaced(
            &mut answer.units[0].manifests[0],
            r#""glibc":null"#,
            r#""glibc":"2.34""#,
        );
    })
    .await;
    is_refused("a manifest that is none", |_, answer| {
        answer.units[0].manifests[0].manifest.push(' ');
    })
    .await;
    is_refused("the manifest of another unit with its own proofs", |_, answer| {
        answer.units[0].manifests = answer.units[2].manifests.clone();
    })
    .await;
    is_refused("the key document of another unit", |_, answer| {
        answer.units[0].key_document = answer.units[2].key_document.clone();
    })
    .await;
    is_refused("a key document that is none", |_, answer| {
        answer.units[0].key_document.insert(0, ' ');
    })
    .await;
    is_refused("a proof with a hash too many", |_, answer| {
        let proof = &mut answer.units[0].manifests[0].vouchers[0].proof;
        proof.push(proof[0].clone());
    })
    .await;
    is_refused("a proof with a hundred hashes", |_, answer| {
        let proof = &mut answer.units[0].manifests[0].vouchers[0].proof;
        *proof = vec![proof[0].clone(); 100];
    })
    .await;
    is_refused("a proof for another index", |_, answer| {
        answer.units[0].manifests[0].vouchers[0].index += 1;
    })
    .await;
    is_refused("an index beyond the tree", |_, answer| {
        answer.units[0].manifests[0].vouchers[0].index = u64::MAX;
    })
    .await;
    is_refused(
        "the proof of the other operator's log under this one's name",
        |_, answer| {
            let proof = answer.units[1].manifests[0].vouchers[1].proof.clone();
            answer.units[0].manifests[0].vouchers[0].proof = proof;
        },
    )
    .await;
}

// N4: each voucher is kept with a whole checkpoint, so a store that repeats itself must not fill the memory.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_many_times_is_kept_once() {
    let world = World::with_units().await;
    world.serve_forged(|answer| {
        let record = &mut answer.units[0].manifests[0];
        record.vouchers = vec![record.vouchers.clone(); 500].concat();
        answer.units[1].manifests = vec![answer.units[1].manifests.clone(); 500].concat();
    });
    assert_eq!(world.fetch().await.event.fetched, 3);
    let deposit = Deposit::open(world.user.path()).unwrap();
    for (unit, _) in &world.units {
        let UnitOrigin::Fetched { proofs } = deposit.store().unit(unit.key).unwrap().origin else {
            panic!("it was fetched");
        };
        assert_eq!(proofs.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compile_time_that_is_none_is_not_added_up() {
    let world = World::with_units().await;
    world.serve_forged(|answer| answer.units.iter_mut().for_each(|record| record.compile_ms = u64::MAX));
    assert_eq!(world.fetch().await.event.fetched, 3);
    let deposit = Deposit::open(world.user.path()).unwrap();
    let times = world
        .units
        .iter()
        .map(|(unit, _)| deposit.store().unit(unit.key).unwrap().compile_ms);
    assert!(times.max().unwrap() < u64::MAX / 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_that_disagree_are_believed_by_nobody() {
    let mut world = World::with_units().await;
    let mut other = unit("memchr", "lib");
    other.manifest.glibc = Some("2.34".into());
    world.publish(other, &[1]);
    let mut answer = world.honest();
    let lie = answer.units.pop().unwrap();
    answer.plans.pop();
    answer.units[0].manifests[0].vouchers.truncate(1);
    answer.units[0].manifests.extend(lie.manifests);
    world.units.pop();
    world.served.lock().unwrap().lookup = Some(answer);
    let fetched = world.fetch().await;
    assert!(fetched.alarms[0].what.contains("disagree"), "{:?}", fetched.alarms);
    assert_eq!(world.local(), ["serde_derive", "regex"]);
    // Both leaves, as strangers can check them who know nothing but the keys.
    let evidence = fs_err::read(fetched.alarms[0].evidence.as_ref().unwrap()).unwrap();
    let keys = [&world.alpha, &world.beta].map(|operator| operator.signer.verifier().clone());
    let finding = Evidence::parse(&evidence).unwrap().judge(&keys).unwrap();
    assert!(matches!(finding, Finding::Disagreement { .. }), "{finding}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outputs_of_another_kind_of_unit_are_refused() {
    // Both operators signed it, and still: what the key says is a library must come as a library.
    let mut world = World::new().await;
    let mut odd = unit("memchr", "lib");
    odd.manifest.outputs.truncate(1);
    world.publish(odd, &[0, 1]);
    world.serve();
    let fetched = world.fetch().await;
    assert_eq!((fetched.event.fetched, fetched.alarms.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_count_toward_a_quorum() {
    let mut world = World::new().await;
    world.publish(unit("serde_derive", "proc-macro"), &[0]);
    world.serve_forged(|answer| {
        let vouchers = &mut answer.units[0].manifests[0].vouchers;
        let mut stranger = vouchers[0].clone();
        stranger.operator = "gamma".parse().unwrap();
        // The same operator twice is one operator.
        let again = vouchers[0].clone();
        vouchers.extend([stranger, again]);
    });
    let fetched = world.fetch().await;
    assert_eq!(fetched.event.fetched, 0);
    assert!(fetched.event.refused[0].reason.contains("1 of 2 operators"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_head_goes_back_is_left_out_with_evidence() {
    let world = World::with_units().await;
    world.fetch().await;
    fs_err::remove_dir_all(world.user.path().join("v1/plans")).unwrap();
    let younger = World::with_units().await;
    let mut fork = World::new().await;
    fork.alpha.signer = world.alpha.signer.clone();
    fork.publish(unit("other", "lib"), &[0]);
    world.serve_forged(|answer| answer.logs[0] = fork.alpha.state(0));
    let fetched = world.fetch().await;
    assert!(
        fetched.alarms[0].what.contains("1 leaves after 3 were seen"),
        "{:?}",
        fetched.alarms
    );
    assert!(fetched.alarms[0].evidence.as_ref().is_some_and(|path| path.is_file()));
    assert_eq!(fetched.alarms.len(), 1);
    drop(younger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_with_a_head_of_another_key_is_left_out_and_the_other_operator_counts() {
    let world = World::with_units().await;
    let other = World::with_units().await;
    world.serve_forged(|answer| answer.logs[0] = other.alpha.state(0));
    let fetched = world.fetch().await;
    assert_eq!(
        (fetched.alarms.len(), fetched.event.fetched),
        (1, 2),
        "{:?}",
        fetched.event
    );
    assert_eq!(fetched.event.rejected, 1, "the one that both must vouch for");
}

// A stolen key of a log that the policy has ended: loud, and no harm to what the other operators made.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_signed_after_the_end_of_its_log_raises_an_alarm_and_is_not_remembered() {
    let world = World::with_units().await;
    let ended = world.policy_with(|document| {
        let alpha = document.operators.iter_mut().find(|one| one.name.as_str() == "alpha");
        let empty = json!({"size": 0, "root": EMPTY_ROOT});
        alpha.unwrap().logs[0].frozen = Some(serde_json::from_value(empty).unwrap());
    });
    for _ in 0..2 {
        let fetched = world.fetch_as(&ended, NOW).await;
        assert_eq!(fetched.alarms.len(), 1, "{:?}", fetched.alarms);
        let what = &fetched.alarms[0].what;
        assert!(what.contains("3 leaves was signed although"), "{what}");
        fs_err::remove_dir_all(world.user.path().join("v1/plans")).unwrap();
    }
    assert!(!world.user.path().join("v1/heads/alpha").join("1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_without_a_head_does_not_count() {
    let world = World::with_units().await;
    world.serve_forged(|answer| drop(answer.logs.remove(1)));
    let fetched = world.fetch().await;
    assert_eq!(world.local(), ["memchr", "regex"]);
    assert!(fetched.alarms.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_full_of_units_that_nobody_asked_for_is_ignored() {
    let world = World::with_units().await;
    world.serve_forged(|answer| {
        for plan in &mut answer.plans {
            plan.plan_id = PlanId::new(sealift_policy::digest::Digest::of(b"other"));
        }
    });
    let fetched = world.fetch().await;
    assert_eq!((fetched.event.fetched, fetched.event.rejected), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_version_is_not_read() {
    let world = World::with_units().await;
    world.serve_forged(|answer| answer.version = 2);
    let fetched = world.fetch().await;
    assert_eq!(fetched.event.fetched, 0);
    assert_eq!(
        fetched.event.problems,
        ["lookup answer of version 2, which is not known"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_plan_with_any_number_of_units_a_few_are_looked_at() {
    let world = World::with_units().await;
    let plan = world.units[0].0.plan;
    world.serve_forged(|answer| {
        let many = (0..1000).map(|number| UnitKey::new(sealift_policy::digest::Digest::of(&[number as u8, 1])));
        answer.plans[0].unit_keys.extend(many);
    });
    assert_eq!(world.fetch().await.event.fetched, 3);
    let deposit = Deposit::open(world.user.path()).unwrap();
    assert_eq!(deposit.units_of_plan(plan).len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_rules_made_is_not_fetched_and_what_lies_there_of_them_does_not_count() {
    let mut world = World::new().await;
    world.publish(unit_by_rules("memchr", "lib", CALL_RULES + 1), &[0, 1]);
    world.serve();
    let fetched = world.fetch().await;
    assert_eq!((fetched.event.fetched, fetched.event.rejected), (0, 0));
    assert!(world.local().is_empty());

    // As a program of these rules has left it.
    let (old, _) = &world.units[0];
    let deposit = Deposit::open(world.user.path()).unwrap();
    let (_, document) = sealift_policy::document::UnitDocument::from_canonical(old.document.as_bytes()).unwrap();
    let package = document.package();
    let store = deposit.store();
    store
        .write_key(old.key, &old.document, &package.name, &package.version)
        .unwrap();
    for output in &old.manifest.outputs {
        store
            .insert(&world::content(&output.name), output.sha256, crate::store::Mode::Data)
            .unwrap();
    }
    let unit = LocalUnit {
        version: 1,
        unit_key: old.key,
        manifest: old.manifest.to_canonical(),
        origin: UnitOrigin::Compiled { by: BTreeSet::new() },
        compile_ms: 1,
        call: None,
    };
    store.write_unit(&unit).unwrap();
    assert!(!present::is_usable(&deposit, &world.policy(), old.key));
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_a_store_names_but_does_not_give_are_looked_at() {
    let world = World::with_units().await;
    world.serve_forged(|answer| answer.units.clear());
    let absent = world.fetch().await;
    assert_eq!(
        (absent.event.fetched, absent.event.rejected, absent.alarms.len()),
        (0, 0, 0)
    );
    assert!(absent.event.problems[0].contains("names 3 of the planned units that it does not give"));

    let keys: Vec<UnitKey> = world.units.iter().map(|(unit, _)| unit.key).collect();
    for key in &keys {
        let stored = world::compress(b"another document", b"");
        world.served.lock().unwrap().blobs.insert(key.to_string(), stored);
    }
    let damaged = world.fetch().await;
    assert_eq!(
        (damaged.event.rejected, damaged.alarms.len()),
        (3, 3),
        "{:?}",
        damaged.event
    );
    assert_eq!(world.evidence(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn tampered_objects_are_refused_loudly_and_nothing_of_them_is_kept() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 6] = [
        ("a flipped bit", |stored| {
            let last = stored.len() - 1;
            stored[last] ^= 1;
        }),
        ("cut", |stored| stored.truncate(stored.len() / 2)),
        ("longer", |stored| stored.push(0)),
        ("a second frame", |stored| stored.extend(world::compress(b"", b""))),
        ("other content", |stored| {
            *stored = world::compress(b"other content", b"")
        }),
        ("a bomb", |stored| *stored = world::compress(&vec![0; 64 << 20], b"")),
    ];
    for (what, damage) in damages {
        let world = World::with_units().await;
        world.damage_blobs(damage);
        let fetched = world.fetch().await;
        assert_eq!(fetched.event.fetched, 0, "{what}");
        assert_eq!(
            (fetched.alarms.len(), fetched.event.rejected),
            (3, 3),
            "{what}: {:?}",
            fetched.event
        );
        assert!(world.local().is_empty() && world.evidence() > 0, "{what}");
        let stored = walkdir::WalkDir::new(world.user.path().join("v1/cas"))
            .into_iter()
            .filter_map(Result::ok);
        let tmp = walkdir::WalkDir::new(world.user.path().join("v1/tmp"))
            .into_iter()
            .filter_map(Result::ok);
        assert_eq!(
            stored.chain(tmp).filter(|entry| entry.file_type().is_file()).count(),
            0,
            "{what}"
        );
    }
}

/// The answer of an honest store, as bytes, and everything to judge an answer by.
fn judged(world: &World, bytes: &[u8]) -> usize {
    let Ok(answer) = serde_json::from_slice::<LookupResponse>(bytes) else {
        return 0;
    };
    let policy = world.policy();
    let heads: AcceptedHeads = [&world.alpha, &world.beta]
        .map(|operator| {
            let head = sealift_policy::log::SignedCheckpoint::parse(operator.state(0).checkpoint.as_bytes()).unwrap();
            let key = policy.log(&operator.name, 1).unwrap();
            ((operator.name.clone(), 1), head.verify(key).unwrap())
        })
        .into();
    let honest: Vec<UnitKey> = world.units.iter().map(|(unit, _)| unit.key).collect();
    let offers = answer
        .units
        .into_iter()
        .filter_map(|record| offer::check(&policy, &Forgetful, &heads, &record, NOW).ok());
    // Whatever was changed: what is believed is what was logged.
    offers
        .inspect(|offer| assert!(honest.contains(&offer.unit_key)))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_of_an_answer_panics_or_makes_anything_else_believed() {
    let world = World::with_units().await;
    let honest = serde_json::to_vec(&world.honest()).unwrap();
    assert_eq!(judged(&world, &honest), 3);
    for at in (0..honest.len()).step_by(7) {
        let mut changed = honest.clone();
        changed[at] = changed[at].wrapping_add(1);
        judged(&world, &changed);
        let cut = [&honest[..at], &honest[honest.len() - at / 2..]].concat();
        judged(&world, &cut);
    }
}
