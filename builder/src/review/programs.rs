//! Which programs a run may start without more ado: those that its key or manifest speaks of.
//!
//! Owns their names. Must not know what they did.

/// What a program belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// The compiler is in the key.
    Rust,
    /// The C compiler, its assembler and archiver: the manifest names what compiled.
    C,
    /// The C++ compiler, of which no manifest speaks.
    Cxx,
    /// The linker, which takes what libraries a machine has.
    Linker,
    /// Anything else.
    Other,
}

/// What a program of this name belongs to; `x86_64-linux-gnu-gcc-12` is `gcc`.
pub fn family(name: &str) -> Family {
    match plain(name) {
        "rustc" | "rustdoc" | "cargo" => Family::Rust,
        "cc" | "gcc" | "c89" | "c99" | "clang" | "cc1" | "as" | "ar" | "gcc-ar" | "llvm-ar" | "ranlib"
        | "gcc-ranlib" | "llvm-ranlib" => Family::C,
        "c++" | "g++" | "clang++" | "cc1plus" => Family::Cxx,
        "collect2" | "ld" | "ld.bfd" | "ld.gold" | "ld.lld" | "lld" | "rust-lld" | "mold" | "lto-wrapper" | "lto1" => {
            Family::Linker
        }
        _ => Family::Other,
    }
}

/// Without the target before it and the version after it.
fn plain(name: &str) -> &str {
    let name = match name.rsplit_once('-') {
        Some((name, version)) if version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => name,
        _ => name,
    };
    let targets = ["-linux-gnu-", "-linux-musl-"];
    let after = targets.iter().find_map(|target| name.split_once(target));
    after.map_or(name, |(_, name)| name)
}

/// Libraries and files that every program reads while it starts, and a program's own descriptors (the jobserver's).
pub fn belongs_to_starting(path: &str) -> bool {
    const LIBRARIES: [&str; 8] = [
        "libc.so",
        "libm.so",
        "libgcc_s.so",
        "libdl.so",
        "libpthread.so",
        "librt.so",
        "ld-linux",
        "libc-",
    ];
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_library = path.contains("/lib") && LIBRARIES.iter().any(|library| name.starts_with(library));
    // `glibc-hwcaps` and its older likes are looked into for each library.
    is_library
        || path.starts_with("/etc/ld.so.")
        || path.contains("/glibc-hwcaps")
        || ["/dev/fd/", "/proc/self/fd"].iter().any(|own| path.starts_with(own))
        || ["/proc/self/maps", "/proc/self/exe", "/dev/null"].contains(&path)
}

/// By which a program finds out how many processors it may use.
pub fn counts_processors(path: &str) -> bool {
    path == "/proc/self/cgroup" || path == "/proc/self/mountinfo" || path.starts_with("/sys/fs/cgroup")
}

/// Headers that come with the C library, the compiler or the kernel, by their path below an `include` folder.
pub fn is_standard_header(path: &str) -> bool {
    if path.starts_with("/usr/lib/gcc/") || path.starts_with("/usr/lib/clang/") || path.starts_with("/usr/lib/llvm") {
        return true;
    }
    let Some(name) = path.strip_prefix("/usr/include/") else {
        return false;
    };
    let name = name
        .strip_prefix("x86_64-linux-gnu/")
        .or(name.strip_prefix("aarch64-linux-gnu/"))
        .unwrap_or(name);
    match name.split_once('/') {
        Some((folder, _)) => FOLDERS.contains(&folder),
        None => name.strip_suffix(".h").is_some_and(|name| HEADERS.contains(&name)),
    }
}

const FOLDERS: [&str; 12] = [
    "arpa",
    "asm",
    "asm-generic",
    "bits",
    "finclude",
    "gnu",
    "linux",
    "net",
    "netinet",
    "netpacket",
    "rpc",
    "sys",
];

/// ISO C, POSIX, and what else glibc installs beside them.
const HEADERS: [&str; 92] = [
    "aio",
    "aliases",
    "alloca",
    "ar",
    "argp",
    "argz",
    "assert",
    "byteswap",
    "complex",
    "cpio",
    "ctype",
    "dirent",
    "dlfcn",
    "elf",
    "endian",
    "envz",
    "err",
    "errno",
    "error",
    "execinfo",
    "fcntl",
    "features",
    "features-time64",
    "fenv",
    "fmtmsg",
    "fnmatch",
    "fstab",
    "fts",
    "ftw",
    "getopt",
    "glob",
    "gnu-versions",
    "grp",
    "gshadow",
    "iconv",
    "ifaddrs",
    "inttypes",
    "langinfo",
    "lastlog",
    "libgen",
    "libintl",
    "limits",
    "link",
    "locale",
    "malloc",
    "math",
    "mcheck",
    "memory",
    "mntent",
    "monetary",
    "mqueue",
    "netdb",
    "nl_types",
    "nss",
    "obstack",
    "paths",
    "poll",
    "printf",
    "proc_service",
    "pthread",
    "pty",
    "pwd",
    "regex",
    "resolv",
    "sched",
    "search",
    "semaphore",
    "setjmp",
    "shadow",
    "signal",
    "spawn",
    "stab",
    "stdc-predef",
    "stdint",
    "stdio",
    "stdlib",
    "string",
    "strings",
    "syscall",
    "sysexits",
    "syslog",
    "termios",
    "tgmath",
    "threads",
    "time",
    "uchar",
    "ucontext",
    "unistd",
    "utime",
    "wait",
    "wchar",
    "wctype",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_are_known_with_target_and_version_and_nothing_else_is() {
        for (name, expected) in [
            ("cc", Family::C),
            ("x86_64-linux-gnu-gcc-12", Family::C),
            ("clang-14", Family::C),
            ("aarch64-linux-gnu-ar", Family::C),
            ("g++-13.2", Family::Cxx),
            ("rustc", Family::Rust),
            ("x86_64-linux-gnu-ld.bfd", Family::Linker),
            ("pkg-config", Family::Other),
            ("x86_64-linux-gnu-pkg-config", Family::Other),
            ("sh", Family::Other),
            ("OUT_DIR/cc", Family::Other),
        ] {
            assert_eq!(family(name), expected, "{name}");
        }
    }

    #[test]
    fn what_every_program_reads_and_what_few_do_are_told_apart() {
        for path in [
            "/usr/lib/x86_64-linux-gnu/libc.so.6",
            "/etc/ld.so.cache",
            "/proc/self/maps",
            "/dev/fd/3",
        ] {
            assert!(belongs_to_starting(path), "{path}");
        }
        for path in [
            "/usr/lib/llvm-14/lib/libclang.so.1",
            "/etc/hostname",
            "/proc/cpuinfo",
            "/usr/lib/libcrypto.so",
        ] {
            assert!(!belongs_to_starting(path), "{path}");
        }
        assert!(is_standard_header("/usr/include/x86_64-linux-gnu/bits/types.h"));
        assert!(is_standard_header("/usr/include/stdio.h"));
        assert!(is_standard_header("/usr/lib/gcc/x86_64-linux-gnu/12/include/stddef.h"));
        assert!(!is_standard_header("/usr/include/zlib.h"));
        assert!(!is_standard_header("/usr/local/include/stdio.h"));
        assert!(!is_standard_header("/usr/include/openssl/ssl.h"));
    }
}
