//! Whether a file system gives every change of a file that somebody has looked at a time of its own.
//!
//! Linux does so since 6.13 for the usual file systems ("multigrain timestamps", `Documentation/filesystems/multigrain-ts.rst`
//! of the kernel): a change is stamped with a tick's time only while nobody has asked for the file's times since the last
//! one. Where it does not, two changes within a tick cannot be told apart.
//! Owns the trial, once for each device and kernel, and its memory in the store. Must not know what is timed.

use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use fs_err as fs;

use crate::fresh;
use crate::store::Store;

/// Changes that are tried. In this time no kernel counts so many ticks: at most a thousand make a second.
const CHANGES: usize = 16;
const WITHIN: Duration = Duration::from_millis(8);

/// Whether times below this folder are that fine. Finding out costs a few system calls, remembering it one small file.
pub fn are_given(store: &Store, folder: &Path) -> bool {
    let Ok(memo) = memo_path(folder) else {
        return false;
    };
    if let Some(remembered) = store.read(&memo) {
        return remembered;
    }
    match find_out(folder) {
        Ok(Some(found)) => {
            let text = if found { "true" } else { "false" };
            let _ = store.write(&memo, text.as_bytes());
            found
        }
        _ => false,
    }
}

/// `None` when the machine was too busy to tell.
fn find_out(folder: &Path) -> io::Result<Option<bool>> {
    let mut trial = fresh::file(folder, ".sealift-", |path| fs::File::create_new(path))?;
    let begin = Instant::now();
    let mut times = vec![];
    for _ in 0..CHANGES {
        trial.write_all(b"x")?;
        let metadata = trial.as_file().metadata()?;
        times.push((metadata.mtime(), metadata.mtime_nsec()));
    }
    Ok((begin.elapsed() < WITHIN).then(|| times.windows(2).all(|pair| pair[0] < pair[1])))
}

/// A device may be another one tomorrow, and a kernel an older one.
fn memo_path(folder: &Path) -> io::Result<String> {
    let kind = rustix::fs::statfs(folder)?.f_type;
    let device = fs::metadata(folder)?.dev();
    let kernel = rustix::system::uname();
    let release: String = kernel
        .release()
        .to_string_lossy()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' })
        .collect();
    Ok(format!("memo/fine-times/{device:x}-{kind:x}-{release}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_out_is_remembered_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let target = folder.path().join("target");
        fs::create_dir(&target).unwrap();
        are_given(&store, &target);
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
        let memo = store.path(&memo_path(&target).unwrap());
        for remembered in [true, false] {
            fs::create_dir_all(memo.parent().unwrap()).unwrap();
            fs::write(&memo, remembered.to_string()).unwrap();
            assert_eq!(are_given(&store, &target), remembered, "the memory is believed");
        }
    }

    // Whatever this machine's kernel does, what is said of it is true.
    #[test]
    fn where_times_are_fine_no_two_changes_that_were_looked_at_have_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let fine = are_given(&store, folder.path());
        let file = folder.path().join("file");
        let time = || {
            let metadata = fs::metadata(&file).unwrap();
            (metadata.mtime(), metadata.mtime_nsec())
        };
        fs::write(&file, "1").unwrap();
        let equal = (0..1000).filter(|_| {
            let before = time();
            fs::write(&file, "2").unwrap();
            time() == before
        });
        assert!(equal.count() == 0 || !fine);
    }
}
