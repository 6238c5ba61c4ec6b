//! Descriptors that a process inherits without having asked: the jobserver's pipes, and whatever else cargo's caller
//! left open. Somebody may wait for their end.

use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use fs_err as fs;

/// Closes every descriptor but the standard ones.
///
/// To be called first, while this process has opened nothing that it still uses.
#[expect(
    unsafe_code,
    reason = "no safe way to close what was inherited is known to the standard library or rustix"
)]
pub(super) fn close() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    let open: Vec<RawFd> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&fd| fd > 2)
        .collect();
    // The listing's own descriptor was closed with it.
    for fd in open
        .into_iter()
        .filter(|fd| fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok())
    {
        // SAFETY: the descriptor is open, and nothing in this process owns it: it was there when the process began.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}
