//! What one system call does with files and with the network.
//!
//! Owns which calls say that a file was read, was absent or written. Must not know which process makes them.

use serde::Serialize;

use super::strace::Call;

/// What was done with a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Opened to be read.
    Read,
    /// A folder whose names were read.
    Listed,
    /// Looked at: there.
    Exists,
    /// Looked for: not there.
    Absent,
    /// Not allowed.
    Denied,
    /// Written, made, removed or changed, or tried to.
    Written,
}

/// The use of a socket that a call is, if it is one that leads out of the process.
pub(super) fn network(call: &Call) -> Option<String> {
    let arguments = call.arguments.join(", ");
    let is_internet = ["AF_INET", "AF_INET6", "PF_INET", "PF_INET6"]
        .iter()
        .any(|family| call.has_flag(family) || arguments.contains(&format!("sa_family={family}")));
    let address = call.arguments.iter().find(|argument| argument.starts_with('{'));
    match (call.name.as_str(), address) {
        ("connect", Some(address)) => Some(format!("connect {address}")),
        (name, _) if is_internet => Some(format!("{name} {}", address.unwrap_or(&call.arguments[0]))),
        _ => None,
    }
}

/// What a call does with which absolute paths; `folder` is that in which the process works.
pub(super) fn accesses(call: &Call, folder: &str) -> Vec<(Access, String)> {
    let plain = |index: usize| call.text(index).map(|path| absolute(folder, &path));
    // `call(folder, path, ...)`; an empty path means the folder itself, which was opened before.
    let at = |index: usize| {
        let path = call.text(index + 1).filter(|path| !path.is_empty())?;
        match call.descriptor(index).filter(|_| !path.starts_with('/')) {
            Some(opened) => Some(absolute(&opened, &path)),
            None => Some(absolute(folder, &path)),
        }
    };
    let name = call.name.as_str();
    let (paths, is_change) = match name {
        "getdents64" => {
            let folder = call.descriptor(0);
            return folder.map(|folder| (Access::Listed, folder)).into_iter().collect();
        }
        "open" | "stat" | "lstat" | "access" | "readlink" | "statfs" | "getcwd" => (vec![plain(0)], false),
        "openat" | "openat2" | "newfstatat" | "fstatat64" | "faccessat" | "faccessat2" | "readlinkat" | "statx" => {
            (vec![at(0)], false)
        }
        "creat" | "mkdir" | "rmdir" | "unlink" | "truncate" | "chmod" | "chown" | "lchown" | "utime" | "utimes"
        | "mknod" => (vec![plain(0)], true),
        "mkdirat" | "unlinkat" | "fchmodat" | "fchmodat2" | "fchownat" | "utimensat" | "mknodat" | "futimesat" => {
            (vec![at(0)], true)
        }
        "rename" | "link" => (vec![plain(0), plain(1)], true),
        "renameat" | "renameat2" | "linkat" => (vec![at(0), at(2)], true),
        "symlink" => (vec![plain(1)], true),
        "symlinkat" => (vec![at(1)], true),
        // Rare ones that only look: `getxattr`, `inotify_add_watch` and their like.
        _ => (vec![plain(0)], false),
    };
    let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"]
        .iter()
        .any(|flag| call.has_flag(flag));
    let access = match &call.result {
        _ if is_change || writes => Access::Written,
        Ok(_) if name.starts_with("open") && !call.has_flag("O_DIRECTORY") && !call.has_flag("O_PATH") => Access::Read,
        Ok(_) => Access::Exists,
        Err(error) => match error.as_str() {
            "ENOENT" | "ENOTDIR" => Access::Absent,
            "EACCES" | "EPERM" => Access::Denied,
            _ => Access::Exists,
        },
    };
    paths.into_iter().flatten().map(|path| (access, path)).collect()
}

/// A path as seen from a folder.
pub(super) fn absolute(folder: &str, path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{folder}/{path}")
    }
}
