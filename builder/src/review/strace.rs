//! Lines that `strace -y` writes, read as system calls.
//!
//! Owns the syntax: `name(argument, ...) = result`, strings in C's escapes, paths of descriptors in `<>`. Nothing is
//! assumed of a call but this form. Must not know what a call does.

/// One system call that returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Its arguments as they were written, without the blanks around them.
    pub arguments: Vec<String>,
    /// What it returned, or the name of the error.
    pub result: Result<u64, String>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A call.
    Call(Call),
    /// The end of the process, with its exit code; 128 and more for a signal.
    Ended(i32),
    /// Says nothing: a call that never returned, a signal.
    Nothing,
}

/// Reads a line; `None` when it has no form that is known.
pub fn read(line: &str) -> Option<Line> {
    let line = line.trim_end();
    if let Some(end) = line.strip_prefix("+++ ") {
        let code = end.strip_prefix("exited with ").and_then(|rest| rest.split(' ').next());
        return Some(Line::Ended(code.map_or(Some(128), |code| code.parse().ok())?));
    }
    if line.is_empty() || line.starts_with("---") || line.ends_with("<unfinished ...>") || line.ends_with("= ?") {
        return Some(Line::Nothing);
    }
    let open = line.find('(')?;
    let name = &line[..open];
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let (arguments, rest) = split(&line[open + 1..])?;
    let returned = rest.trim_start().strip_prefix('=')?.trim_start();
    Some(Line::Call(Call {
        name: name.to_owned(),
        arguments: arguments
            .into_iter()
            .map(|argument| argument.trim().to_owned())
            .collect(),
        result: result(returned)?,
    }))
}

impl Call {
    /// An argument that is a string, or the beginning of one that was cut.
    pub fn text(&self, index: usize) -> Option<String> {
        let argument = self.arguments.get(index)?;
        let inner = argument.trim_end_matches("...").strip_prefix('"')?.strip_suffix('"')?;
        Some(unescaped(inner))
    }

    /// The path of an argument that is a descriptor, such as `3</etc/passwd>` or `AT_FDCWD</home>`.
    pub fn descriptor(&self, index: usize) -> Option<String> {
        let (_, path) = self.arguments.get(index)?.split_once('<')?;
        Some(unescaped(path.strip_suffix('>')?.trim_end_matches("(deleted)")))
    }

    /// The strings of an argument that is a list of them.
    pub fn texts(&self, index: usize) -> Vec<String> {
        let list = self.arguments.get(index).map(String::as_str).unwrap_or_default();
        let inner = list.strip_prefix('[').unwrap_or_default();
        let (items, _) = split(inner).unwrap_or_default();
        let texts = items.iter().map(|item| item.trim().trim_end_matches("..."));
        texts
            .filter_map(|item| item.strip_prefix('"')?.strip_suffix('"'))
            .map(unescaped)
            .collect()
    }

    /// Whether an argument names this flag.
    pub fn has_flag(&self, flag: &str) -> bool {
        self.arguments
            .iter()
            .any(|argument| argument.split('|').any(|one| one == flag))
    }
}

/// What stands after `=`: a number, perhaps with a path, or `-1` and the error's name.
fn result(text: &str) -> Option<Result<u64, String>> {
    let word = text.split([' ', '<']).next()?;
    if word == "-1" {
        let error = text.split(' ').nth(1).unwrap_or("EUNKNOWN");
        return Some(Err(error.to_owned()));
    }
    let number = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse(),
    };
    number.ok().map(Ok)
}

/// Splits at commas up to the bracket that closes the list; gives what follows it.
fn split(text: &str) -> Option<(Vec<&str>, &str)> {
    let (mut depth, mut start, mut items) = (0_usize, 0, vec![]);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at)?,
            // A descriptor's path: a `<` that follows its number or name. Inside, `<` and `>` are escaped.
            b'<' if at > start && bytes[at - 1].is_ascii_alphanumeric() => {
                at += text[at..].find('>')?;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth > 0 => depth -= 1,
            b')' | b']' | b'}' => {
                if !text[start..at].trim().is_empty() {
                    items.push(&text[start..at]);
                }
                return Some((items, &text[at + 1..]));
            }
            b',' if depth == 0 => {
                items.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn end_of_string(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Undoes C's escapes; bytes that are no UTF-8 are shown by a replacement character.
fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' || at + 1 == bytes.len() {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        at += 1;
        let digits = |from: usize, most: usize, base: u32| {
            let rest = &text.as_bytes()[from..];
            let length = rest
                .iter()
                .take(most)
                .take_while(|digit| (**digit as char).is_digit(base))
                .count();
            let value = std::str::from_utf8(&rest[..length])
                .ok()
                .and_then(|digits| u32::from_str_radix(digits, base).ok());
            value.map(|value| (value as u8, length))
        };
        let (byte, length) = match bytes[at] {
            b'n' => (b'\n', 1),
            b't' => (b'\t', 1),
            b'r' => (b'\r', 1),
            b'v' => (0x0b, 1),
            b'f' => (0x0c, 1),
            b'x' => digits(at + 1, 2, 16).map_or((b'x', 1), |(byte, length)| (byte, length + 1)),
            b'0'..=b'7' => digits(at, 3, 8).unwrap_or((b'?', 1)),
            other => (other, 1),
        };
        out.push(byte);
        at += length;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str) -> Call {
        match read(line) {
            Some(Line::Call(call)) => call,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_call_has_a_name_arguments_and_a_result() {
        let opened = call(r#"openat(AT_FDCWD</w/a b>, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3</etc/ld.so.cache>"#);
        assert_eq!(opened.name, "openat");
        assert_eq!(opened.descriptor(0).as_deref(), Some("/w/a b"));
        assert_eq!(opened.text(1).as_deref(), Some("/etc/ld.so.cache"));
        assert!(opened.has_flag("O_CLOEXEC") && !opened.has_flag("O_WRONLY"));
        assert_eq!(opened.result, Ok(3));
        let absent = call(r#"access("/etc/ld.so.preload", R_OK)      = -1 ENOENT (No such file or directory)"#);
        assert_eq!(absent.result, Err("ENOENT".to_owned()));
    }

    #[test]
    fn strings_may_hold_what_separates_arguments() {
        let run =
            call(r#"execve("/usr/bin/cc", ["cc", "-DX=\"a, (b]\"", "\320\266\x41"...], 0x7ffd /* 35 vars */) = 0"#);
        assert_eq!(run.texts(1), ["cc", "-DX=\"a, (b]\"", "жA"]);
        assert_eq!(run.arguments.len(), 3);
        let cut =
            call(r#"execve("./x", ["x", "one", ...], 0x7ffd /* 3 vars */) = -1 ENOENT (No such file or directory)"#);
        assert_eq!(cut.texts(1), ["x", "one"]);
    }

    #[test]
    fn structures_are_single_arguments() {
        let look = call(r#"newfstatat(3</x>, "", {st_mode=S_IFREG|0644, st_size=1, ...}, AT_EMPTY_PATH) = 0"#);
        assert_eq!(look.arguments.len(), 4);
        let fork =
            call("clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD, stack=0x7f, stack_size=0x9000}, 88) = 7");
        assert_eq!((fork.arguments.len(), fork.result), (2, Ok(7)));
        let connect = call(
            r#"connect(5<socket:[12]>, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("1.1.1.1")}, 16) = -1 ENETUNREACH (Network is unreachable)"#,
        );
        assert_eq!(connect.arguments.len(), 3);
        let folder = call("getdents64(3</x/y>, 0x55 /* 4 entries */, 32768) = 104");
        assert_eq!(folder.descriptor(0).as_deref(), Some("/x/y"));
    }

    #[test]
    fn ends_and_what_never_returned_are_told_apart_from_what_cannot_be_read() {
        assert_eq!(read("+++ exited with 3 +++"), Some(Line::Ended(3)));
        assert_eq!(read("+++ killed by SIGSEGV (core dumped) +++"), Some(Line::Ended(128)));
        assert_eq!(read("exit_group(0)                           = ?"), Some(Line::Nothing));
        assert_eq!(
            read(r#"openat(AT_FDCWD</w>, "x" <unfinished ...>"#),
            Some(Line::Nothing)
        );
        for odd in ["what is this", "openat(AT_FDCWD, \"x", "(x) = 0", "f(1) = some"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
