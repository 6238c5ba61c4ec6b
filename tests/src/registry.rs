//! A registry of our own making, for packages that nobody should publish: cargo takes it for crates.io by source
//! replacement, downloads from it, and unpacks into `CARGO_HOME` as it always does.
//!
//! Owns the index (a git repository, cargo's registry index format) and the archives.
//! Must not know who builds what is in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use sealift_policy::digest::Digest;
use serde_json::{Value, json};

use crate::child::run;
use crate::env::clean_command;

/// A registry below a folder.
#[derive(Debug, Clone)]
pub struct Registry {
    folder: PathBuf,
}

/// One version of a package, to be published.
#[derive(Debug, Clone)]
pub struct Published {
    name: String,
    version: String,
    manifest: String,
    files: Vec<(String, Vec<u8>)>,
    dependencies: Vec<Value>,
    features: serde_json::Map<String, Value>,
}

impl Registry {
    /// An empty registry.
    ///
    /// # Errors
    /// If its index cannot be made.
    pub fn new(folder: &Path) -> Result<Self> {
        let registry = Self {
            folder: folder.to_owned(),
        };
        fs_err::create_dir_all(registry.index())?;
        fs_err::create_dir_all(registry.archives())?;
        let downloads = format!("file://{}/{{crate}}-{{version}}.crate", registry.archives().display());
        fs_err::write(
            registry.index().join("config.json"),
            json!({ "dl": downloads }).to_string(),
        )?;
        registry.git(&["init", "--quiet", "--initial-branch=master"])?;
        registry.commit()?;
        Ok(registry)
    }

    /// Publishes packages. A version that is there already is replaced, as no honest registry would.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn publish(&self, packages: &[Published]) -> Result<()> {
        for package in packages {
            let archive = package.archive()?;
            fs_err::write(
                self.archives()
                    .join(format!("{}-{}.crate", package.name, package.version)),
                &archive,
            )?;
            let entry = self.index().join(index_path(&package.name));
            fs_err::create_dir_all(entry.parent().context("an entry lies in a folder")?)?;
            let line = json!({
                "name": package.name,
                "vers": package.version,
                "deps": package.dependencies,
                "cksum": Digest::of(&archive).to_string(),
                "features": package.features,
                "yanked": false,
                "links": null,
            });
            let before = fs_err::read_to_string(&entry).unwrap_or_default();
            let version = format!("\"vers\":\"{}\"", package.version);
            let mut lines: Vec<_> = before.lines().filter(|line| !line.contains(&version)).collect();
            let line = line.to_string();
            lines.push(&line);
            fs_err::write(&entry, lines.join("\n") + "\n")?;
        }
        self.commit()
    }

    /// Makes a `CARGO_HOME` take it for crates.io.
    ///
    /// # Errors
    /// If its configuration cannot be written.
    pub fn configure(&self, home: &Path) -> Result<()> {
        fs_err::create_dir_all(home)?;
        let text = format!(
            "[source.crates-io]\nreplace-with = \"ours\"\n\n[source.ours]\nregistry = \"file://{}\"\n",
            self.index().display()
        );
        Ok(fs_err::write(home.join("config.toml"), text)?)
    }

    fn index(&self) -> PathBuf {
        self.folder.join("index")
    }

    fn archives(&self) -> PathBuf {
        self.folder.join("archives")
    }

    fn commit(&self) -> Result<()> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "packages"])
    }

    fn git(&self, args: &[&str]) -> Result<()> {
        let mut command = clean_command("git");
        command
            .args(["-c", "user.name=registry", "-c", "user.email=registry@localhost"])
            .args(args)
            .current_dir(self.index());
        run(&mut command)?
            .successful()
            .map(drop)
            .context("failed to write the index")
    }
}

impl Published {
    /// A package without any file but its manifest, which begins with this and what `more` adds.
    pub fn new(name: &str, version: &str, more: &str) -> Self {
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2021\"\n{more}\n");
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            manifest,
            files: vec![],
            dependencies: vec![],
            features: serde_json::Map::new(),
        }
    }

    /// With a file.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((path.to_owned(), content.as_ref().to_owned()));
        self
    }

    /// With a dependency of a kind (`normal` or `build`), with features.
    #[must_use]
    pub fn depends_on(mut self, name: &str, requirement: &str, kind: &str, features: &[&str]) -> Self {
        let table = if kind == "build" {
            "build-dependencies"
        } else {
            "dependencies"
        };
        self.manifest += &format!("[{table}.{name}]\nversion = \"{requirement}\"\nfeatures = {features:?}\n");
        self.dependencies.push(json!({
            "name": name,
            "req": requirement,
            "features": features,
            "optional": false,
            "default_features": true,
            "target": null,
            "kind": kind,
        }));
        self
    }

    /// With a feature that turns on nothing else.
    #[must_use]
    pub fn feature(mut self, name: &str) -> Self {
        self.manifest += &format!("[features]\n{name} = []\n");
        self.features.insert(name.to_owned(), json!([]));
        self
    }

    fn archive(&self) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(GzEncoder::new(vec![], Compression::fast()));
        let manifest = ("Cargo.toml".to_owned(), self.manifest.clone().into_bytes());
        for (path, content) in std::iter::once(&manifest).chain(&self.files) {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            let path = format!("{}-{}/{path}", self.name, self.version);
            archive.append_data(&mut header, path, &content[..])?;
        }
        Ok(archive.into_inner()?.finish()?)
    }
}

/// Where a registry index keeps a package.
fn index_path(name: &str) -> String {
    match name.len() {
        1 => format!("1/{name}"),
        2 => format!("2/{name}"),
        3 => format!("3/{}/{name}", &name[..1]),
        _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
    }
}
