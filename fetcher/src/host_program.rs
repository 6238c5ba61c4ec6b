//! Whether a proc macro or build script that was made elsewhere can run here.
//!
//! Owns the comparison with the compiler's own executable, which is known to run here: same machine and word size, the
//! same program interpreter, and no library but what every such system has. How new the C library is, is
//! [`crate::glibc`]'s.
//! Must not know where the program comes from or who vouches for it.

use std::path::Path;

use fs_err as fs;
use object::Endianness;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader as _};
use object::read::{FileKind, ReadCache, ReadRef};

/// Why a program cannot run here, or may not be able to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No program, or one that cannot be read.
    #[error("`{0}` is no ELF program")]
    NotElf(String),
    /// For another processor or operating system.
    #[error("it is made for another machine")]
    Machine,
    /// It asks for another program interpreter, as on a system with another C library.
    #[error("it asks for the interpreter `{needed}`, here is {}", .here.as_deref().unwrap_or("none"))]
    Interpreter {
        /// What it asks for.
        needed: String,
        /// What programs have here.
        here: Option<String>,
    },
    /// It needs a library that may not be here.
    #[error("it needs the library `{0}`")]
    Library(String),
}

/// Libraries of glibc and GCC that rustc's standard library needs itself. The interpreter and the compiler's own
/// libraries are added.
const LIBRARIES: [&str; 7] = [
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
];

/// What a program says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    machine: (FileKind, bool, u16),
    interpreter: Option<String>,
    libraries: Vec<String>,
}

/// The program interpreter that a program asks for.
pub fn interpreter(program: &Path) -> Option<String> {
    Program::read(program).ok()?.interpreter
}

/// The shared libraries that a program or proc macro needs.
pub fn libraries(program: &Path) -> Result<Vec<String>, Unfit> {
    Ok(Program::read(program)?.libraries)
}

/// Checks a program against one that is known to run here; `libraries` are file names that the compiler brings along.
pub fn check(program: &Path, known: &Path, libraries: &[String]) -> Result<(), Unfit> {
    let (program, known) = (Program::read(program)?, Program::read(known)?);
    if program.machine != known.machine {
        return Err(Unfit::Machine);
    }
    // What is loaded into rustc has none.
    if let Some(needed) = program.interpreter
        && known.interpreter.as_ref() != Some(&needed)
    {
        return Err(Unfit::Interpreter {
            needed,
            here: known.interpreter,
        });
    }
    let loader = known.interpreter.as_deref().and_then(|path| path.rsplit('/').next());
    let is_here =
        |name: &String| LIBRARIES.contains(&name.as_str()) || Some(name.as_str()) == loader || libraries.contains(name);
    match program.libraries.into_iter().find(|name| !is_here(name)) {
        Some(name) => Err(Unfit::Library(name)),
        None => Ok(()),
    }
}

impl Program {
    fn read(path: &Path) -> Result<Self, Unfit> {
        let not_elf = || Unfit::NotElf(path.display().to_string());
        // Only the headers and the dynamic section are read.
        let cache = ReadCache::new(fs::File::open(path).map_err(|_| not_elf())?);
        let program = match FileKind::parse(&cache) {
            Ok(kind @ FileKind::Elf32) => Self::parse::<FileHeader32<Endianness>, _>(kind, &cache),
            Ok(kind @ FileKind::Elf64) => Self::parse::<FileHeader64<Endianness>, _>(kind, &cache),
            _ => return Err(not_elf()),
        };
        program.map_err(|_| not_elf())
    }

    fn parse<'data, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'data>>(
        kind: FileKind,
        data: R,
    ) -> object::Result<Self> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let header = Elf::parse(data)?;
        let endian = header.endian()?;
        let mut interpreter = None;
        for segment in header.program_headers(endian, data)? {
            if let Some(path) = segment.interpreter(endian, data)? {
                interpreter = Some(text(path));
            }
        }
        let mut libraries = vec![];
        let dynamic = header.sections(endian, data)?.dynamic_table(endian, data)?;
        for entry in dynamic.iter().filter(|entry| entry.tag == elf::DT_NEEDED) {
            libraries.push(text(dynamic.string(entry)?));
        }
        Ok(Self {
            machine: (kind, header.is_big_endian(), header.e_machine(endian)),
            interpreter,
            libraries,
        })
    }
}

#[cfg(test)]
mod tests {
    use memchr::memmem;

    use super::*;

    /// A copy of this very test program, changed in some way.
    fn copy(change: impl FnOnce(&mut Vec<u8>)) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let mut bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn replace_all(bytes: &mut [u8], from: &str, to: &str) {
        let places: Vec<_> = memmem::find_iter(bytes, &format!("{from}\0")).collect();
        assert!(!places.is_empty(), "no `{from}` in this program");
        for place in places {
            bytes[place..place + from.len()].fill(0);
            bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
        }
    }

    fn verdict(change: impl FnOnce(&mut Vec<u8>)) -> Result<(), Unfit> {
        let (_folder, program) = copy(change);
        check(&program, &std::env::current_exe().unwrap(), &[])
    }

    #[test]
    fn a_program_made_as_those_here_runs_here() {
        assert_eq!(verdict(|_| ()), Ok(()));
    }

    // S15: a program for another loader or machine is a miss, and says why.
    #[test]
    fn a_program_for_another_loader_is_unfit() {
        let here = Program::read(&std::env::current_exe().unwrap())
            .unwrap()
            .interpreter
            .unwrap();
        let musl = "/lib/ld-musl.so.1";
        let unfit = verdict(|bytes| replace_all(bytes, &here, musl));
        let expected = Unfit::Interpreter {
            needed: musl.to_owned(),
            here: Some(here),
        };
        assert_eq!(unfit, Err(expected));
    }

    #[test]
    fn a_program_for_another_machine_is_unfit() {
        const E_MACHINE: usize = 18;
        assert_eq!(verdict(|bytes| bytes[E_MACHINE] ^= 1), Err(Unfit::Machine));
    }

    #[test]
    fn a_program_that_needs_a_library_of_its_own_is_unfit_unless_the_compiler_brings_it() {
        let needs_other = |bytes: &mut Vec<u8>| replace_all(bytes, "libgcc_s.so.1", "libother.so.1");
        assert_eq!(verdict(needs_other), Err(Unfit::Library("libother.so.1".into())));
        let (_folder, program) = copy(needs_other);
        let brought = ["libother.so.1".to_owned()];
        assert_eq!(check(&program, &std::env::current_exe().unwrap(), &brought), Ok(()));
    }

    #[test]
    fn what_is_no_program_is_unfit() {
        for change in [
            |bytes: &mut Vec<u8>| bytes.truncate(40),
            |bytes: &mut Vec<u8>| bytes[0] = b'#',
        ] {
            assert!(matches!(verdict(change), Err(Unfit::NotElf(_))));
        }
    }
}
