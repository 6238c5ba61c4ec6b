//! What must hold for every input of every parser that reads bytes from strangers.
//!
//! Owns the properties, one function for each target, which panics where one does not hold. The fuzz targets call them
//! with what libFuzzer thinks of, `tests/corpus.rs` with the corpus.
//! Must not know how inputs are found.

pub mod archive;
pub mod call;
pub mod documents;
#[expect(
    dead_code,
    reason = "the whole file of the fetcher, of which not everything is asked here"
)]
#[path = "../../fetcher/src/prefetch/frame.rs"]
mod frame;
pub mod log;
pub mod lookup;
pub mod provenance;
pub mod request;
pub mod stored;
pub mod trust;
pub mod world;

// What that file of the fetcher asks for.
use sealift_fetcher::clock;

/// One parser, or a family of them.
pub struct Target {
    /// Its name, which is also that of its program and of its corpus.
    pub name: &'static str,
    /// Panics where something does not hold.
    pub property: fn(&[u8]),
}

/// Every target, by name.
pub const TARGETS: [Target; 17] = [
    target("archive", archive::archive),
    target("checkpoint", log::checkpoint),
    target("dep_info", call::dep_info),
    target("evidence", log::evidence),
    target("frame", stored::frame),
    target("invocation", call::invocation),
    target("key_document", documents::key_document),
    target("lockfile", request::lockfile),
    target("lookup", lookup::lookup),
    target("manifest", documents::manifest),
    target("note", log::note),
    target("proof", log::proof),
    target("provenance", provenance::provenance),
    target("request", request::request),
    target("run_stdout", call::run_stdout),
    target("tile", log::tile),
    target("trust_policy", trust::trust_policy),
];

const fn target(name: &'static str, property: fn(&[u8])) -> Target {
    Target { name, property }
}
