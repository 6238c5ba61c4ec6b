//! What the demo measured, as a table with an explanation.

use std::time::Duration;

use super::Compared;
use crate::table::{Table, megabytes, percent, seconds};

/// The table, and how to read it.
pub(super) fn explained(compared: &[Compared]) -> String {
    let mut table = Table::new(&[
        "profile",
        "plain",
        "Sealift",
        "of plain",
        "hit",
        "compiled",
        "passed",
        "fetched",
        "verifying",
        "per hit",
    ]);
    for Compared {
        profile,
        plain,
        sealift,
    } in compared
    {
        let units = &sealift.units;
        table.row([
            profile.to_string(),
            seconds(plain.wall()),
            seconds(sealift.wall()),
            percent(sealift.wall(), plain.wall()),
            units.hits().to_string(),
            units.compiled().to_string(),
            units.passed_through().to_string(),
            megabytes(units.bytes_fetched()),
            seconds(Duration::from_micros(units.verify_us())),
            units
                .median_hit_us()
                .map_or_else(|| "-".into(), |us| format!("{}.{} ms", us / 1000, us % 1000 / 100)),
        ]);
    }
    format!(
        "\n{table}\n  hit: compilations answered by what two operators had built alike; compiled: handled, but compiled here;\n  \
         passed: the project's own crates, which Sealift never touches; fetched: bytes over the network;\n  \
         verifying: signatures, proofs and hashes; per hit: the wrapper's own time, median.\n  \
         Plain and Sealift's programs behave alike. Sealift's are byte-identical to those whose units were all compiled here.\n"
    )
}
