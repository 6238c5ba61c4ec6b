//! The static objects over HTTP: what is cached how, conditional requests, ranges, problems, pages.

use axum::body::Body;
use axum::http::StatusCode;
use sealift_policy::digest::Digest;
use sealift_policy::request::profile::{ProfileKind, ProfileTable};
use sealift_policy::request::{Request, RequestedPackage};

use crate::operator::{Operator, TOOLCHAIN, library, plan};
use crate::world::World;

async fn world() -> World {
    let mut alpha = Operator::new("alpha");
    let world = World::new(&[&alpha]);
    world.admit(&alpha.submit(&[library("first")])).await;
    world
}

fn rlib() -> String {
    format!("/v1/cas/{}", library("first").manifest.outputs[1].sha256)
}

#[tokio::test]
async fn every_kind_of_object_says_what_it_is_and_how_long_it_may_be_kept() {
    let world = world().await;
    let key = library("first").key();
    let for_ever = "public, max-age=31536000, immutable";
    for (path, content_type, cache) in [
        (
            "/v1/log/alpha/1/checkpoint".into(),
            "text/plain; charset=utf-8",
            "public, max-age=5",
        ),
        (
            "/v1/log/alpha/1/tile/0/000.p/1".into(),
            "application/octet-stream",
            for_ever,
        ),
        (
            "/v1/log/alpha/1/tile/entries/000.p/1".into(),
            "application/octet-stream",
            for_ever,
        ),
        (
            format!("/v1/proof/alpha/1/{key}.tlog-proof"),
            "text/plain; charset=utf-8",
            for_ever,
        ),
        (
            format!("/v1/plan/{TOOLCHAIN}/{}.json", plan("first").plan_id),
            "application/json",
            "public, max-age=60",
        ),
        (format!("/v1/unit/{key}.json"), "application/json", "public, max-age=60"),
        (rlib(), "application/zstd", for_ever),
    ] {
        let answer = world.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(
            (answer.header("content-type"), answer.header("cache-control")),
            (content_type, cache),
            "{path}"
        );
        assert_eq!(answer.header("content-length"), answer.body.len().to_string(), "{path}");
        assert_eq!(
            (answer.header("accept-ranges"), answer.header("x-content-type-options")),
            ("bytes", "nosniff")
        );
        assert!(answer.header("etag").starts_with('"'), "{path}");
    }
}

#[tokio::test]
async fn head_tells_the_length_without_the_body() {
    let world = world().await;
    let whole = world.get(&rlib()).await;
    let head = world
        .send(axum::http::Request::head(rlib()).body(Body::empty()).unwrap())
        .await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header("content-length"), whole.body.len().to_string());
    let absent = format!("/v1/cas/{}", "0".repeat(64));
    assert_eq!(
        world
            .send(axum::http::Request::head(absent).body(Body::empty()).unwrap())
            .await
            .status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let world = world().await;
    for path in [rlib(), "/v1/log/alpha/1/checkpoint".into()] {
        let tag = world.get(&path).await.header("etag").to_owned();
        for condition in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into()] {
            let answer = world.get_with(&path, &[("if-none-match", &condition)]).await;
            assert_eq!(
                (answer.status, answer.body.len()),
                (StatusCode::NOT_MODIFIED, 0),
                "{condition}"
            );
            assert_eq!(answer.header("etag"), tag);
        }
        assert_eq!(
            world.get_with(&path, &[("if-none-match", "\"x\"")]).await.status,
            StatusCode::OK
        );
    }
}

#[tokio::test]
async fn a_part_of_an_object_can_be_asked_for() {
    let world = world().await;
    let whole = world.get(&rlib()).await;
    let length = whole.body.len();
    let part = world.get_with(&rlib(), &[("range", "bytes=10-19")]).await;
    assert_eq!(
        (part.status, part.body.as_slice()),
        (StatusCode::PARTIAL_CONTENT, &whole.body[10..20])
    );
    assert_eq!(part.header("content-range"), format!("bytes 10-19/{length}"));
    assert_eq!(part.header("content-length"), "10");
    let rest = world
        .get_with(&rlib(), &[("range", "bytes=100-"), ("if-range", whole.header("etag"))])
        .await;
    assert_eq!(rest.body, &whole.body[100..]);
    let beyond = world.get_with(&rlib(), &[("range", &format!("bytes={length}-"))]).await;
    assert_eq!(
        (beyond.status, beyond.problem().as_str()),
        (StatusCode::RANGE_NOT_SATISFIABLE, "range")
    );
    assert_eq!(beyond.header("content-range"), format!("bytes */{length}"));
}

#[tokio::test]
async fn what_is_not_there_or_not_a_name_is_a_short_lived_problem() {
    let world = world().await;
    fs_err::write(world.folder.path().join("v1/secret"), "x").unwrap();
    for path in [
        "/v1/cas/x",
        "/v1/cas/../secret",
        "/v1/cas/..%2fsecret",
        "/v1/secret",
        &format!("/v1/cas/{}", "0".repeat(64)),
        &format!("/v1/cas/{}", "A".repeat(64)),
        "/v1/log/alpha/01/checkpoint",
        "/v1/log/alpha/+1/checkpoint",
        "/v1/log/ALPHA/1/checkpoint",
        "/v1/log/%2e%2e/1/checkpoint",
        "/v1/log/alpha/1/tile/0/0",
        "/v1/log/alpha/1/tile/0/000",
        "/v1/log/alpha/1/tile/0/000.p/2",
        "/v1/log/alpha/1/tile/0/..%2f..%2fcheckpoint",
        "/v1/unit/x.json",
        "/v1/plan/1.95.0/x.json",
        "/v1/proof/alpha/1/x",
        "/journal",
        "/service.toml",
        "/nowhere",
    ] {
        let answer = world.get(path).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::NOT_FOUND, "not-found"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), "public, max-age=60", "{path}");
    }
    let wrong = world.post("/v1/unit/x.json", "").await;
    assert_eq!(
        (wrong.status, wrong.problem().as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, "method")
    );
}

#[tokio::test]
async fn tiles_beyond_the_head_are_not_served() {
    let world = world().await;
    let log = world.folder.path().join("v1/log/alpha/1/tile/0");
    fs_err::copy(log.join("000.p/1"), log.join("000.p/2")).unwrap();
    assert_eq!(world.get("/v1/log/alpha/1/tile/0/000.p/1").await.status, StatusCode::OK);
    assert_eq!(
        world.get("/v1/log/alpha/1/tile/0/000.p/2").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn people_and_monitors_are_answered() {
    let world = world().await;
    assert_eq!(world.get("/healthz").await.text(), "ok\n");
    let page = world.get("/").await;
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    let text = page.text();
    assert!(
        text.contains("sealift/alpha/1") && text.contains(&library("first").key().short()),
        "{text}"
    );
    let metrics = world.get("/metrics").await.text();
    assert!(
        metrics.contains("sealift_log_size{operator=\"alpha\",epoch=\"1\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("sealift_submissions_total{outcome=\"admitted\"} 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a1_a_malformed_request_for_builds_is_refused() {
    let world = world().await;
    let before = world.disk();
    for body in ["", "{}", "[]", "{\"version\":1}", &"[".repeat(100_000)] {
        let answer = world.post("/v1/request", body.to_owned()).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, "request")
        );
    }
    let answer = world.post("/v1/request", vec![b' '; 9 << 20]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(world.disk(), before);
}

#[tokio::test]
async fn a_request_for_builds_is_kept_once_whatever_its_spelling() {
    let world = world().await;
    let request = Request {
        version: 1,
        toolchain: TOOLCHAIN.parse().unwrap(),
        target: None,
        profile: ProfileKind::Dev,
        profile_table: ProfileTable::default(),
        packages: vec![RequestedPackage {
            name: "itoa".parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
            checksum: Digest::of(b"itoa"),
            target_features: Some(vec![]),
            host_features: None,
            dependencies: vec![],
        }],
        plan_ids: vec![],
    };
    let compact = serde_json::to_string(&request).unwrap();
    let name = Digest::of(request.to_json().as_bytes());
    for body in [request.to_json(), compact] {
        let answer = world.post("/v1/request", body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        assert_eq!(answer.json()["request"], name.to_string());
    }
    let kept: Vec<String> = world
        .disk()
        .into_keys()
        .filter(|path| path.starts_with("requests/"))
        .collect();
    assert_eq!(kept, [format!("requests/{name}.json")]);
}

#[tokio::test]
async fn the_tuf_repository_is_served_as_it_lies_there_and_the_timestamp_for_seconds_only() {
    let world = world().await;
    let target = format!("targets/{}.trust-policy.json", Digest::of(b"{}"));
    let for_ever = "public, max-age=31536000, immutable";
    for (file, cache) in [
        ("metadata/1.root.json", for_ever),
        ("metadata/7.snapshot.json", for_ever),
        ("metadata/timestamp.json", "public, max-age=5"),
        (target.as_str(), for_ever),
    ] {
        let path = format!("/v1/tuf/{file}");
        let missing = world.get(&path).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND, "{file}");
        let place = world.folder.path().join(path.trim_start_matches('/'));
        fs_err::create_dir_all(place.parent().unwrap()).unwrap();
        fs_err::write(place, "{}").unwrap();
        let answer = world.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{file}");
        assert_eq!(
            (answer.header("content-type"), answer.header("cache-control")),
            ("application/json", cache),
            "{file}"
        );
    }
    for file in [
        "metadata/root.json",
        "metadata/01.root.json",
        "metadata/../../lock",
        "targets/trust-policy.json",
        "metadata/1.other.json",
    ] {
        let answer = world.get(&format!("/v1/tuf/{file}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{file}");
    }
}
