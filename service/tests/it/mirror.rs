//! A mirror: equal to what it copies, and as strict as the first service was.

use std::sync::Arc;

use sealift_service::mirror;
use tokio::net::TcpListener;

use crate::operator::{Operator, library, proc_macro};
use crate::world::World;

/// Serves the world's router on a real socket.
pub(crate) async fn serve(world: &World) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = world.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn a_mirror_is_the_same_store_and_follows_it() {
    let (mut alpha, mut beta) = (Operator::new("alpha"), Operator::new("beta"));
    let origin = World::new(&[&alpha, &beta]);
    let copy = World::new(&[&alpha, &beta]);
    let url = serve(&origin).await;
    assert_eq!(mirror::run(Arc::clone(&copy.app), &url).await.unwrap().logs, 0);
    let units = [library("first"), proc_macro("second")];
    origin.admit(&alpha.submit(&units)).await;
    origin.admit(&beta.submit(&units).without_blobs()).await;
    let copied = mirror::run(Arc::clone(&copy.app), &url).await.unwrap();
    assert_eq!((copied.logs, copied.units), (2, 4));
    assert_eq!(copy.disk(), origin.disk());
    origin.admit(&alpha.submit(&[library("third")])).await;
    origin.admit(&alpha.submit(&[])).await;
    let copied = mirror::run(Arc::clone(&copy.app), &format!("{url}/")).await.unwrap();
    assert_eq!((copied.logs, copied.units), (1, 1));
    assert_eq!(mirror::run(Arc::clone(&copy.app), &url).await.unwrap().units, 0);
    assert!(copy.fsck().is_sound(), "{}", copy.fsck());
}

#[tokio::test]
async fn a_log_that_cannot_be_copied_keeps_no_other_out() {
    let (mut alpha, mut beta) = (Operator::new("alpha"), Operator::new("beta"));
    let origin = World::new(&[&alpha, &beta]);
    let copy = World::new(&[&alpha, &beta]);
    origin.admit(&alpha.submit(&[library("first")])).await;
    origin.admit(&beta.submit(&[library("second")])).await;
    let checkpoint = origin.folder.path().join("v1/log/alpha/1/checkpoint");
    let good = fs_err::read(&checkpoint).unwrap();
    fs_err::write(&checkpoint, "garbage").unwrap();
    let url = serve(&origin).await;
    let failed = mirror::run(Arc::clone(&copy.app), &url).await.unwrap_err();
    assert!(failed.to_string().contains("/v1/log/alpha/1/checkpoint"), "{failed}");
    let beta_checkpoint = "v1/log/beta/1/checkpoint";
    assert_eq!(copy.disk().get(beta_checkpoint), origin.disk().get(beta_checkpoint));
    assert!(copy.fsck().is_sound(), "{}", copy.fsck());
    fs_err::write(&checkpoint, good).unwrap();
    let copied = mirror::run(Arc::clone(&copy.app), &url).await.unwrap();
    assert_eq!((copied.logs, copied.units), (1, 1));
    assert_eq!(copy.disk(), origin.disk());
}

#[tokio::test]
async fn t29_a_mirror_of_something_that_was_changed_is_refused_and_changes_nothing() {
    let mut alpha = Operator::new("alpha");
    let unit = library("first");
    let submission = alpha.submit(std::slice::from_ref(&unit));
    let cas = |digest: sealift_policy::digest::Digest| format!("v1/cas/{digest}");
    for (path, instead) in [
        ("v1/log/alpha/1/checkpoint".to_owned(), Some("garbage".to_owned())),
        (
            "v1/log/alpha/1/checkpoint".to_owned(),
            Some(Operator::new("alpha").checkpoint()),
        ),
        ("v1/log/alpha/1/tile/entries/000.p/1".to_owned(), Some(String::new())),
        ("v1/log/alpha/1/tile/entries/000.p/1".to_owned(), None),
        (cas(unit.manifest_digest()), Some("garbage".to_owned())),
        (cas(unit.key().digest()), None),
        (cas(unit.manifest.outputs[0].sha256), Some("garbage".to_owned())),
        (cas(unit.manifest.outputs[1].sha256), None),
    ] {
        let origin = World::new(&[&alpha]);
        origin.admit(&submission).await;
        let copy = World::new(&[&alpha]);
        let before = copy.disk();
        match &instead {
            Some(text) => fs_err::write(origin.folder.path().join(&path), text).unwrap(),
            None => fs_err::remove_file(origin.folder.path().join(&path)).unwrap(),
        }
        let url = serve(&origin).await;
        assert!(
            mirror::run(Arc::clone(&copy.app), &url).await.is_err(),
            "{path} {instead:?}"
        );
        assert_eq!(copy.disk(), before, "{path} {instead:?}");
    }
}
