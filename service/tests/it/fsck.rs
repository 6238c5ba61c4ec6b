//! Whatever is changed in a store, `fsck` names it.

use crate::operator::{Operator, TOOLCHAIN, library, plan, proc_macro};
use crate::world::World;

#[tokio::test]
async fn every_change_to_a_store_is_found() {
    let mut alpha = Operator::new("alpha");
    let world = World::new(&[&alpha]);
    let unit = library("first");
    world.admit(&alpha.submit(&[unit.clone(), proc_macro("second")])).await;
    let report = world.fsck();
    assert!(report.is_sound() && report.notes().is_empty(), "{report}");
    let root = world.folder.path();
    for path in world.disk().into_keys().filter(|path| path.starts_with("v1/")) {
        let file = root.join(&path);
        let good = fs_err::read(&file).unwrap();
        let mut flipped = good.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x20;
        for (what, bad) in [
            ("cut", &good[..good.len() - 1]),
            ("changed", &flipped),
            ("emptied", b""),
        ] {
            fs_err::write(&file, bad).unwrap();
            assert!(!world.fsck().is_sound(), "{path} {what}");
        }
        fs_err::remove_file(&file).unwrap();
        let report = world.fsck();
        // Without a head there is no log, and without a plan's hint nobody knows the plan: the rest is dangling.
        let harmless = path.starts_with("v1/plan/");
        assert_eq!(report.is_sound(), harmless, "{path} removed: {report}");
        fs_err::write(&file, good).unwrap();
    }
    assert!(world.fsck().is_sound());
    for path in [
        "v1/stranger",
        "v1/cas/stranger",
        "v1/unit/stranger.json",
        &format!("v1/unit/{}.json", library("unknown").key()),
        &format!("v1/proof/alpha/1/{}.tlog-proof", library("unknown").key()),
        "v1/proof/stranger",
        "v1/log/stranger",
        "v1/log/alpha/1/stranger",
        "v1/plan/stranger",
        &format!("v1/plan/{TOOLCHAIN}/{}.json", plan("unknown").plan_id),
    ] {
        let file = root.join(path);
        fs_err::write(&file, "x").unwrap();
        let report = world.fsck();
        let named = report.findings().iter().any(|finding| finding.path == path);
        assert!(named, "{path}: {report}");
        fs_err::remove_file(&file).unwrap();
    }
    let link = root.join("v1/cas").join("0".repeat(64));
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    assert!(!world.fsck().is_sound());
}

#[tokio::test]
async fn leftovers_of_an_interrupted_submission_are_notes() {
    let mut alpha = Operator::new("alpha");
    let world = World::new(&[&alpha]);
    world.admit(&alpha.submit(&[library("first")])).await;
    let root = world.folder.path();
    let unused = sealift_service::frame::encode_document(b"unused");
    let name = sealift_policy::digest::Digest::of(b"unused");
    fs_err::write(root.join(format!("v1/cas/{name}")), unused).unwrap();
    fs_err::copy(
        root.join("v1/log/alpha/1/tile/0/000.p/1"),
        root.join("v1/log/alpha/1/tile/0/000.p/9"),
    )
    .unwrap();
    let report = world.fsck();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.notes().len(), 2, "{report}");
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(
        (
            &json["version"],
            &json["leaves"],
            json["notes"].as_array().unwrap().len()
        ),
        (&1.into(), &1.into(), 2)
    );
}
