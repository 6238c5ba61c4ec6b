//! Files that appear whole: made under a name that nobody else has, to be renamed to their own.
//!
//! Owns the name. Ids of processes are not enough for it: they are the same in two containers that share a folder.
//! Must not know what is written.

use std::io;
use std::path::Path;

use fs_err as fs;
use tempfile::{Builder, NamedTempFile};

/// Makes a file in this folder. `make` must refuse a name that exists, and is given another one then. Unless it is renamed,
/// the file goes with the value, and what a failure left of it goes at once.
pub fn file<T>(
    folder: &Path,
    prefix: &str,
    mut make: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<NamedTempFile<T>> {
    Builder::new().prefix(prefix).make_in(folder, |path| {
        make(path).inspect_err(|error| {
            if error.kind() != io::ErrorKind::AlreadyExists {
                let _ = fs::remove_file(path);
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_is_left_alone_and_what_failed_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = None;
        let made = file(folder.path(), "x-", |path| {
            if first.is_none() {
                fs::write(path, "another's")?;
                first = Some(path.to_owned());
            }
            fs::File::create_new(path).map(drop)
        });
        let first = first.unwrap();
        assert_ne!(made.unwrap().path(), first);
        assert_eq!(fs::read(&first).unwrap(), b"another's");
        let failed = file(folder.path(), "x-", |path| {
            fs::write(path, "half")?;
            Err::<(), _>(io::Error::other("full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
