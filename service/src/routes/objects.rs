//! The static objects: every path is parsed into an [`ObjectPath`] before anything is opened.
//!
//! Owns content types and how long each kind may be cached. Must not know what the objects mean.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use sealift_policy::layout::ObjectPath;
use sealift_policy::log::TilePath;
use sealift_policy::tuf::TufFile;

use super::response::{self, Kind};
use crate::app::App;
use crate::error::Problem;

/// A log's head.
pub async fn checkpoint(
    State(app): State<Arc<App>>,
    Path((operator, epoch)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (operator, epoch) = (parse(&operator)?, parse_epoch(&epoch)?);
    response::object(app, ObjectPath::Checkpoint(operator, epoch), Kind::Checkpoint, headers).await
}

/// A tile or entry bundle.
pub async fn tile(
    State(app): State<Arc<App>>,
    Path((operator, epoch, tile)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (operator, epoch) = (parse(&operator)?, parse_epoch(&epoch)?);
    let tile: TilePath = parse(&format!("tile/{tile}"))?;
    // A crash can leave tiles beyond the head, which may be written again with other contents.
    if app.log(&operator, epoch).is_some_and(|log| !log.covers(tile)) {
        return Err(Problem::not_found());
    }
    response::object(
        app,
        ObjectPath::Tile(operator, epoch, tile.to_string()),
        Kind::Tile,
        headers,
    )
    .await
}

/// The proof that a log contains a unit's leaf.
pub async fn proof(
    State(app): State<Arc<App>>,
    Path((operator, epoch, file)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (operator, epoch) = (parse(&operator)?, parse_epoch(&epoch)?);
    let key = parse(without(&file, ".tlog-proof")?)?;
    response::object(app, ObjectPath::Proof(operator, epoch, key), Kind::Proof, headers).await
}

/// The units of a plan.
pub async fn plan(
    State(app): State<Arc<App>>,
    Path((toolchain, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = ObjectPath::Plan(parse(&toolchain)?, parse(without(&file, ".json")?)?);
    response::object(app, path, Kind::Hint, headers).await
}

/// The manifests of a unit.
pub async fn unit(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    response::object(
        app,
        ObjectPath::Unit(parse(without(&file, ".json")?)?),
        Kind::Hint,
        headers,
    )
    .await
}

/// What an operator says about how the unit of a manifest was built.
pub async fn provenance(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = without(&file, ".sigstore.json")?;
    let (manifest, operator) = name.split_once('.').ok_or_else(Problem::not_found)?;
    let path = ObjectPath::Provenance(parse(manifest)?, parse(operator)?);
    response::object(app, path, Kind::Hint, headers).await
}

/// A content-addressed object.
pub async fn cas(
    State(app): State<Arc<App>>,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    response::object(app, ObjectPath::Cas(parse(&sha256)?), Kind::Blob, headers).await
}

/// A file of the TUF repository.
pub async fn tuf(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file: TufFile = parse(&file)?;
    let kind = if file.is_immutable() {
        Kind::Metadata
    } else {
        Kind::Timestamp
    };
    response::object(app, ObjectPath::Tuf(file), kind, headers).await
}

/// What is not the name of anything is not there.
fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

/// An epoch has one spelling.
fn parse_epoch(text: &str) -> Result<u32, Problem> {
    let epoch: u32 = parse(text)?;
    if epoch.to_string() == text {
        Ok(epoch)
    } else {
        Err(Problem::not_found())
    }
}

fn without<'a>(file: &'a str, suffix: &str) -> Result<&'a str, Problem> {
    file.strip_suffix(suffix).ok_or_else(Problem::not_found)
}
