//! rustc's dep-info, which cargo reads: which files and variables a unit was made from.
//!
//! Owns the text format (rustc's `write_out_deps`): Makefile rules with spaces escaped where files are
//! read, not where they are written, then `# env-dep:` lines.
//! Must not know where the files lie on another machine (see [`crate::record`]).

use std::path::{Path, PathBuf};

use sealift_policy::manifest::EnvDep;

/// What a unit was made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DepInfo {
    /// Files, in rustc's order.
    pub files: Vec<PathBuf>,
    /// Variables.
    pub env: Vec<EnvDep>,
}

impl DepInfo {
    /// Reads what rustc wrote.
    pub fn parse(text: &str) -> Self {
        let mut info = Self::default();
        let mut found = false;
        // Not by `lines`: what stands before a line's end belongs to the last file's name.
        for line in text.split('\n') {
            if let Some(env) = line.strip_prefix("# env-dep:") {
                let (name, value) = match env.split_once('=') {
                    Some((name, value)) => (name, Some(unescape_env(value))),
                    None => (env, None),
                };
                info.env.push(EnvDep {
                    name: unescape_env(name),
                    value,
                });
            } else if let Some((_, files)) = line.split_once(": ")
                && !found
            {
                found = true;
                info.files = split_files(files);
            }
        }
        info
    }

    /// Writes what rustc would write for these outputs.
    pub fn to_text(&self, outputs: &[PathBuf]) -> String {
        let files: Vec<_> = self.files.iter().map(|file| escape(file)).collect();
        let all = files.join(" ");
        let mut text = String::new();
        for output in outputs {
            text += &format!("{}: {all}\n\n", output.display());
        }
        for file in &files {
            text += &format!("{file}:\n");
        }
        if !self.env.is_empty() {
            text.push('\n');
        }
        for EnvDep { name, value } in &self.env {
            text += &match value {
                Some(value) => format!("# env-dep:{}={}\n", escape_env(name), escape_env(value)),
                None => format!("# env-dep:{}\n", escape_env(name)),
            };
        }
        text
    }
}

fn split_files(text: &str) -> Vec<PathBuf> {
    let mut files = vec![];
    let mut file = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&' ') => {
                chars.next();
                file.push(' ');
            }
            ' ' => files.push(PathBuf::from(std::mem::take(&mut file))),
            c => file.push(c),
        }
    }
    files.push(PathBuf::from(file));
    files.retain(|file| !file.as_os_str().is_empty());
    files
}

fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(' ', "\\ ")
}

fn escape_env(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

fn unescape_env(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => plain.push('\n'),
                Some('r') => plain.push('\r'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let env = |name: &str, value: Option<&str>| EnvDep {
            name: name.into(),
            value: value.map(str::to_owned),
        };
        let info = DepInfo {
            files: vec!["/r/a b/src/lib.rs".into(), "/r/a b/src/x.rs".into()],
            env: vec![env("SET", Some("a=b\n\\")), env("EMPTY", Some("")), env("UNSET", None)],
        };
        let text = info.to_text(&["/t t/a.d".into(), "/t/liba.rmeta".into()]);
        insta::assert_snapshot!(text, @r"
        /t t/a.d: /r/a\ b/src/lib.rs /r/a\ b/src/x.rs

        /t/liba.rmeta: /r/a\ b/src/lib.rs /r/a\ b/src/x.rs

        /r/a\ b/src/lib.rs:
        /r/a\ b/src/x.rs:

        # env-dep:SET=a=b\n\\
        # env-dep:EMPTY=
        # env-dep:UNSET
        ");
        assert_eq!(DepInfo::parse(&text), info);
    }

    #[test]
    fn a_name_that_ends_in_a_carriage_return_keeps_it() {
        let info = DepInfo {
            files: vec!["/r/src/lib.rs".into(), "/r/odd\r".into()],
            env: vec![],
        };
        assert_eq!(DepInfo::parse(&info.to_text(&["/t/a.d".into()])), info);
    }
}
