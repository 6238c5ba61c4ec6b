//! The web pages. There is one, the index. Everything in it that came from elsewhere is escaped.
//!
//! Must not know HTTP.

use std::fmt::Write as _;

use sealift_policy::layout::{MAX_DOCUMENT, ObjectPath};
use sealift_policy::manifest::Manifest;

use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::frame;

/// How many of each log's newest units are shown.
const NEWEST: u32 = 20;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sealift</title>\
<meta name=\"viewport\" content=\"width=device-width\"><style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;\
margin:2rem auto;padding:0 1rem}table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left}\
code{font-size:.85em}</style></head><body>\n<h1>Sealift</h1>\n<p>Signed, prebuilt crates.io dependencies, built bit for \
bit alike by independent operators. Nothing here is believed for being here: clients verify it against the operators' \
logs.</p>\n";

/// The index: the operators, the sizes of their logs, the newest units.
pub fn index(app: &App) -> Result<String, CatalogueError> {
    let mut page = HEAD.to_owned();
    page.push_str("<h2>Logs</h2>\n<table><tr><th>operator<th>epoch<th>units<th>origin</tr>\n");
    for log in app.logs() {
        let (name, size) = (&log.name, log.state().tree.size());
        let origin = escape(log.verifier.origin().as_str());
        let operator = escape(name.operator.as_str());
        let path = escape(&ObjectPath::Checkpoint(name.operator.clone(), name.epoch).to_string());
        _ = writeln!(
            page,
            "<tr><td>{operator}<td>{}<td><a href=\"{path}\">{size}</a><td><code>{origin}</code></tr>",
            name.epoch
        );
    }
    page.push_str("</table>\n<h2>Newest units</h2>\n<table><tr><th>crate<th>unit<th>operator<th>index</tr>\n");
    for log in app.logs() {
        for (unit, stated) in app.catalogue().newest(&log.name, NEWEST)? {
            let operator = escape(stated.log.operator.as_str());
            let crate_name = escape(&crate_name(app, stated.manifest).unwrap_or_default());
            let path = ObjectPath::Unit(unit);
            _ = writeln!(
                page,
                "<tr><td>{crate_name}<td><a href=\"{path}\"><code>{}</code></a><td>{operator}<td>{}</tr>",
                unit.short(),
                stated.index
            );
        }
    }
    page.push_str("</table>\n</body></html>\n");
    Ok(page)
}

fn crate_name(app: &App, manifest: sealift_policy::digest::Digest) -> Option<String> {
    let stored = app
        .store()
        .open(&ObjectPath::Cas(manifest))
        .ok()??
        .read_all(2 * MAX_DOCUMENT)
        .ok()?;
    let bytes = frame::decode_document(&stored, manifest, MAX_DOCUMENT).ok()?;
    Manifest::from_canonical(&bytes).ok()?.crate_name().map(str::to_owned)
}

/// Text that means nothing to HTML, in content and in quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a7_names_with_html_in_them_are_shown_as_text() {
        assert_eq!(escape("<script>'\"&"), "&lt;script&gt;&#39;&quot;&amp;");
    }
}
