//! What the sources of a script and of the packages that it uses say about variables, features, the time and the processor.
//!
//! Reads text, no Rust: it finds words, also where they do nothing, and misses those that are put together at run time.
//! Must not know where sources come from, or what follows from the words.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// One file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its package and path.
    pub name: String,
    /// Whether it belongs to the script itself, not to a package that the script uses.
    pub is_own: bool,
    /// What it says.
    pub text: String,
}

/// A variable, as far as sources tell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Variable {
    /// Files and lines with its name, the first few.
    pub places: Vec<String>,
    /// Whether the script itself names it.
    pub is_own: bool,
    /// Whether a line with its name looks like reading the environment.
    pub is_read: bool,
    /// Whether such a line is the script's own.
    pub is_read_by_own: bool,
    /// Whether the name is in the script's executable.
    pub in_executable: bool,
}

/// A word that tells of something that no trace shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TellTale {
    /// What it tells of.
    pub about: About,
    /// The word.
    pub word: String,
    /// File and line.
    pub place: String,
    /// Whether the script itself says it.
    pub is_own: bool,
}

/// What a word tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// What the processor of this machine can do.
    Processor,
    /// The time.
    Time,
    /// Order or numbers that are others in each run.
    Chance,
    /// How many processors there are.
    Parallelism,
}

const WORDS: [(&str, About); 19] = [
    ("is_x86_feature_detected!", About::Processor),
    ("is_aarch64_feature_detected!", About::Processor),
    ("__cpuid", About::Processor),
    ("raw_cpuid", About::Processor),
    ("cpufeatures::", About::Processor),
    ("SystemTime::now", About::Time),
    ("Instant::now", About::Time),
    ("Utc::now", About::Time),
    ("Local::now", About::Time),
    ("OffsetDateTime::now", About::Time),
    ("Zoned::now", About::Time),
    ("Timestamp::now", About::Time),
    (".modified()", About::Time),
    ("HashMap", About::Chance),
    ("HashSet", About::Chance),
    ("rand::", About::Chance),
    ("process::id()", About::Chance),
    ("available_parallelism", About::Parallelism),
    ("num_cpus::", About::Parallelism),
];

/// Of how many places of a variable are kept.
const MAX_PLACES: usize = 3;

/// Variables whose names the sources spell out: literals in capitals. Whether each is in the executable is asked of it.
pub fn variables(sources: &[Source], executable: &[u8]) -> BTreeMap<String, Variable> {
    let mut variables: BTreeMap<String, Variable> = BTreeMap::new();
    for (source, number, line) in lines(sources) {
        let lower = line.to_lowercase();
        let is_read = ["env", "var"].iter().any(|word| lower.contains(word));
        for name in literals(line).filter(|name| is_variable(name)) {
            let variable = variables.entry(name.to_owned()).or_insert_with(|| Variable {
                in_executable: memchr::memmem::find(executable, name.as_bytes()).is_some(),
                ..Variable::default()
            });
            variable.is_own |= source.is_own;
            variable.is_read |= is_read;
            variable.is_read_by_own |= is_read && source.is_own;
            if variable.places.len() < MAX_PLACES {
                variable.places.push(format!("{}:{number}", source.name));
            }
        }
    }
    variables
}

/// Words that tell of what no trace shows, each once in a file.
pub fn tell_tales(sources: &[Source]) -> BTreeSet<TellTale> {
    let mut found: BTreeMap<(About, &str, &str), TellTale> = BTreeMap::new();
    for (source, number, line) in lines(sources) {
        for (word, about) in WORDS.iter().filter(|(word, _)| has_word(line, word)) {
            found.entry((*about, word, &source.name)).or_insert_with(|| TellTale {
                about: *about,
                word: (*word).to_owned(),
                place: format!("{}:{number}", source.name),
                is_own: source.is_own,
            });
        }
    }
    found.into_values().collect()
}

/// Features that the script itself names, spelt as in `CARGO_FEATURE_*`.
pub fn features(sources: &[Source]) -> BTreeSet<String> {
    let mut features = BTreeSet::new();
    for (_, _, line) in lines(sources).filter(|(source, _, _)| source.is_own) {
        let told = literals(line).filter_map(|literal| literal.strip_prefix("CARGO_FEATURE_"));
        features.extend(told.map(str::to_owned));
        let compiled = line.split("feature").skip(1);
        let compiled = compiled.filter_map(|rest| {
            rest.trim_start()
                .strip_prefix('=')?
                .trim_start()
                .strip_prefix('"')?
                .split('"')
                .next()
        });
        features.extend(compiled.map(as_told));
    }
    features.remove("");
    features
}

/// A feature's name in `CARGO_FEATURE_*`.
pub fn as_told(feature: &str) -> String {
    feature.to_uppercase().replace('-', "_")
}

/// Lines of C that put the time into what is compiled.
pub fn dated(sources: &[Source]) -> BTreeSet<String> {
    let all = sources
        .iter()
        .flat_map(|source| source.text.lines().enumerate().map(move |line| (source, line)));
    all.filter(|(_, (_, line))| {
        ["__DATE__", "__TIME__", "__TIMESTAMP__"]
            .iter()
            .any(|word| line.contains(word))
    })
    .map(|(source, (number, _))| format!("{}:{}", source.name, number + 1))
    .collect()
}

/// Lines that are no comments, counted from 1.
fn lines(sources: &[Source]) -> impl Iterator<Item = (&Source, usize, &str)> {
    sources.iter().flat_map(|source| {
        let lines = source.text.lines().enumerate();
        let code = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
        code.map(move |(index, line)| (source, index + 1, line))
    })
}

/// What stands between quotation marks. In a line where a string began before, it is what stands between strings.
fn literals(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1)
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_uppercase());
    begins && name.len() > 1 && bytes.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether a word is there that is not part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| (before.is_alphanumeric() || before == '_') && !word.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, is_own: bool, text: &str) -> Source {
        Source {
            name: name.to_owned(),
            is_own,
            text: text.to_owned(),
        }
    }

    #[test]
    fn variables_are_literals_in_capitals() {
        let sources = [
            source(
                "build.rs",
                true,
                "let a = env::var(\"RING_PREGENERATE_ASM\");\n// var(\"COMMENT\")\ncc.define(\"NDEBUG\", None);\nfoo(\"Mixed\", \"A\");",
            ),
            source("cc-1/lib.rs", false, "self.getenv(\"CFLAGS\"); env(\"NDEBUG\")"),
        ];
        let variables = variables(&sources, b"..CFLAGSNDEBUG..");
        let names: Vec<_> = variables.keys().map(String::as_str).collect();
        assert_eq!(names, ["CFLAGS", "NDEBUG", "RING_PREGENERATE_ASM"]);
        let ring = &variables["RING_PREGENERATE_ASM"];
        assert!(ring.is_own && ring.is_read_by_own && !ring.in_executable);
        assert_eq!(ring.places, ["build.rs:1"]);
        let both = &variables["NDEBUG"];
        assert!(both.is_own && both.is_read && !both.is_read_by_own && both.in_executable);
        assert!(!variables["CFLAGS"].is_own && variables["CFLAGS"].is_read);
    }

    #[test]
    fn words_tell_of_the_processor_and_the_time() {
        let text = "use std::time::SystemTime;\nlet now = SystemTime::now();\nif is_x86_feature_detected!(\"avx2\") {}\nMyHashMap::new()";
        let found = tell_tales(&[source("build.rs", true, text)]);
        let told: Vec<_> = found.iter().map(|tale| (tale.about, tale.place.as_str())).collect();
        assert_eq!(told, [(About::Processor, "build.rs:3"), (About::Time, "build.rs:2")]);
    }

    #[test]
    fn features_are_found_in_both_spellings_and_only_of_the_script() {
        let own =
            "if cfg!(feature = \"fat-lto\") || env(\"CARGO_FEATURE_STATIC\") {}\n#[cfg(not(feature=\"bindgen\"))]";
        let sources = [
            source("build.rs", true, own),
            source("cc", false, "cfg!(feature = \"parallel\")"),
        ];
        let found: Vec<_> = features(&sources).into_iter().collect();
        assert_eq!(found, ["BINDGEN", "FAT_LTO", "STATIC"]);
    }

    #[test]
    fn dates_in_c_are_found() {
        let found = dated(&[source(
            "options.c",
            true,
            "int x;\n  \", built on \" __DATE__ \", \" __TIME__ \"\\n\",",
        )]);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["options.c:2"]);
    }
}
