//! `cargo sealift man [DIR]`: manual pages, one for each command.
//!
//! Must not know what they say: that is the command line's own help.

use std::path::Path;

use clap::CommandFactory as _;

use super::context::Context;
use super::{Cli, Exit, ManArgs};
use crate::report::shell::{self, Shell, Verbosity, count};

/// Prints the page of the program, or writes all pages into a folder.
pub(super) fn run(context: &Context, args: &ManArgs) -> anyhow::Result<Exit> {
    // `man cargo-sealift` is how the manual of a cargo command is called.
    let command = Cli::command().name("cargo-sealift").bin_name("cargo sealift");
    let Some(folder) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        shell::data(&String::from_utf8(page)?)?;
        return Ok(Exit::Success);
    };
    fs_err::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)?;
    let shell = Shell::stderr(&context.env, Verbosity::Normal);
    shell.status(
        "Wrote",
        format_args!("{} to `{}`", count(pages(folder)?, "page"), folder.display()),
    );
    Ok(Exit::Success)
}

fn pages(folder: &Path) -> anyhow::Result<u64> {
    let mut pages = 0;
    for entry in fs_err::read_dir(folder)? {
        let name = entry?.file_name();
        pages += u64::from(name.to_string_lossy().starts_with("cargo-sealift"));
    }
    Ok(pages)
}
