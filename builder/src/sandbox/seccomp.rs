//! The filter of system calls: denies what neither compilers nor build scripts need and kernels have had holes in (B3).
//!
//! Owns a classic BPF program for `seccomp(2)`, written by hand since it is so small. Denied calls fail with `EPERM`;
//! another architecture's calls kill the process. Must not know who is filtered.

use super::Tracing;

/// Numbers of the denied calls and the architecture's audit number; `None` where nobody has looked them up.
struct Table {
    arch: u32,
    denied: &'static [u32],
    /// ptrace, process_vm_readv
    tracing: [u32; 2],
}

/// add_key, request_key, keyctl, ptrace, process_vm_readv, process_vm_writev, perf_event_open, bpf, userfaultfd,
/// io_uring_setup, io_uring_enter, io_uring_register, mount, umount2, pivot_root, move_mount, open_tree, fsopen,
/// fsmount, unshare, setns, kexec_load, init_module, finit_module, delete_module, swapon, reboot, acct, quotactl,
/// name_to_handle_at, open_by_handle_at
#[cfg(target_arch = "x86_64")]
const TABLE: Option<Table> = Some(Table {
    arch: 0xc000_003e,
    denied: &[
        248, 249, 250, 101, 310, 311, 298, 321, 323, 425, 426, 427, 165, 166, 155, 429, 428, 430, 432, 272, 308, 246,
        175, 313, 176, 167, 169, 163, 179, 303, 304,
    ],
    tracing: [101, 310],
});

#[cfg(target_arch = "aarch64")]
const TABLE: Option<Table> = Some(Table {
    arch: 0xc000_00b7,
    denied: &[
        217, 218, 219, 117, 270, 271, 241, 280, 282, 425, 426, 427, 40, 39, 41, 429, 428, 430, 432, 97, 268, 104, 105,
        273, 106, 224, 142, 89, 60, 264, 265,
    ],
    tracing: [117, 270],
});

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const TABLE: Option<Table> = None;

const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

const NUMBER: u32 = 0;
const ARCH: u32 = 4;

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const EPERM: u32 = 0x0005_0001;

/// System calls of the x32 ABI have this bit; on other architectures no number comes near it.
const X32: u32 = 0x4000_0000;

/// The program, as `bwrap --seccomp` reads it.
pub(super) fn filter(tracing: Tracing) -> Option<Vec<u8>> {
    let table = TABLE?;
    let mut program = vec![
        (LOAD, 0, 0, ARCH),
        (JUMP_IF_EQUAL, 1, 0, table.arch),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, EPERM),
    ];
    let is_allowed = |number: &u32| tracing == Tracing::Allowed && table.tracing.contains(number);
    for number in table.denied.iter().filter(|number| !is_allowed(number)) {
        program.extend([(JUMP_IF_EQUAL, 0, 1, *number), (RETURN, 0, 0, EPERM)]);
    }
    program.push((RETURN, 0, 0, ALLOW));
    let bytes = program
        .into_iter()
        .flat_map(|(code, jump_true, jump_false, value): (u16, u8, u8, u32)| {
            let [code_a, code_b] = code.to_ne_bytes();
            let [a, b, c, d] = value.to_ne_bytes();
            [code_a, code_b, jump_true, jump_false, a, b, c, d]
        });
    Some(bytes.collect())
}
