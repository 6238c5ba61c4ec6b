//! Frames and archives. Must not know where seeds go.

use std::io::Write as _;

use fs_err as fs;
use sealift_fetcher::run::archive;
use sealift_fuzz::stored::CONTENT;
use sealift_fuzz::world::WORLD;

use crate::seed;

pub(crate) fn frames() -> std::io::Result<()> {
    let framed = |content: &[u8], prefix: &[u8]| -> std::io::Result<Vec<u8>> {
        let mut encoder = zstd::Encoder::with_ref_prefix(Vec::new(), 3, prefix)?;
        encoder.set_pledged_src_size(Some(content.len() as u64))?;
        encoder.write_all(content)?;
        encoder.finish()
    };
    let plain = framed(CONTENT, b"")?;
    seed("frame", "plain", &plain)?;
    seed("frame", "prefixed", framed(CONTENT, CONTENT)?)?;
    seed("frame", "twice", [plain.as_slice(), &plain].concat())?;
    seed(
        "frame",
        "skippable",
        [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4], plain.as_slice()].concat(),
    )?;
    seed("frame", "longer", framed(&[CONTENT, b"x"].concat(), b"")?)?;
    seed("frame", "empty", framed(b"", b"")?)?;
    seed("frame", "zeros", framed(&vec![0; 1 << 16], b"")?)?;
    seed("frame", "without-size", zstd::encode_all(CONTENT, 3)?)?;
    seed(
        "frame",
        "document",
        framed(WORLD.manifest.to_canonical().as_bytes(), b"")?,
    )
}

pub(crate) fn archives() -> std::io::Result<()> {
    let packed = |files: &[(&str, &[u8], u32)]| -> std::io::Result<Vec<u8>> {
        let folder = tempfile::tempdir()?;
        let out = folder.path().join("out");
        fs::create_dir(&out)?;
        for (name, content, mode) in files {
            let path = out.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&out))?;
            fs::write(&path, content)?;
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(*mode))?;
        }
        let archive = folder.path().join("archive");
        archive::pack(&out, &archive, |_, content| Ok(content)).map_err(std::io::Error::other)?;
        fs::read(archive)
    };
    seed("archive", "empty", packed(&[])?)?;
    seed("archive", "one", packed(&[("x.h", b"int x;", 0o644)])?)?;
    seed(
        "archive",
        "three",
        packed(&[("a", b"", 0o755), ("lib/x.o", b"o", 0o644), ("lib/y", b"y", 0o644)])?,
    )?;
    seed("archive", "long-name", packed(&[(&"n".repeat(120), b"x", 0o644)])?)?;
    // The same file with what packing never writes: a user's name, and something behind the end.
    let mut named = packed(&[("x", b"x", 0o644)])?;
    named[265..269].copy_from_slice(b"user");
    let sum: u32 = named[..512]
        .iter()
        .enumerate()
        .map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { u32::from(byte) })
        .sum();
    named[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    seed("archive", "user-name", named)?;
    seed(
        "archive",
        "behind-its-end",
        [packed(&[("x", b"x", 0o644)])?, b"more".repeat(128)].concat(),
    )
}
