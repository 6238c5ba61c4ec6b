//! `sealift-builder trust`: the steps of a key ceremony, publishing and renewing. Each says what it did and what is next,
//! and may be repeated.
//!
//! Must not know how metadata is made.

use std::path::Path;

use anyhow::Context as _;
use sealift_policy::tuf::TargetFile;
use serde::Serialize;
use tough::schema::key::Key;
use tough::schema::{RoleType, Root, Signed};

use super::{Outcome, clock, print, runtime};
use crate::cli::trust::{Init, Lifetimes, Publish, Renew, RoleName, Rotate, Sign, Status, Trust};
use crate::progress::say;
use crate::trust::folder::{self, Folder};
use crate::trust::key::{self, KeyFile};
use crate::trust::publish::{self, NewTargets, ONLINE};
use crate::trust::root::{self, Progress};
use crate::trust::{TrustError, status};

const DAY: u64 = 24 * 3600;

/// Runs one of the steps.
///
/// # Errors
/// When it cannot be done; what was done before stays.
pub(super) fn run(step: &Trust) -> anyhow::Result<Outcome> {
    match step {
        Trust::Key(options) => {
            let file = KeyFile::create(&options.out)?;
            say(&format!("made `{}`, which nobody else may have", file.path().display()));
            print(&format!("{}\n", key::id(&file.public()?)?))?;
            Ok(Outcome::Done)
        }
        Trust::Init(options) => init(options),
        Trust::Sign(options) => sign(options),
        Trust::Rotate(options) => rotate(options),
        Trust::Publish(options) => publish(options),
        Trust::Renew(options) => renew(options),
        Trust::Status(options) => show(options),
    }
}

fn init(options: &Init) -> anyhow::Result<Outcome> {
    let folder = Folder::at(&options.data);
    let _lock = folder.lock()?;
    if folder.root()?.is_some() {
        return Err(TrustError::Exists(options.data.clone()).into());
    }
    if let Some(draft) = folder.draft()? {
        say("there is a draft already: nothing was made");
        return told(&folder, &Progress::of(&draft, None), options.json);
    }
    let mut root_keys: Vec<Key> = vec![];
    for file in &options.root_public {
        root_keys.push(key::read_public(file)?);
    }
    // What an interrupted call has made is used, not made again.
    let mut made = folder.key_files(RoleType::Root)?;
    while root_keys.len() + made.len() < options.root_keys {
        made.push(folder.new_key(RoleType::Root)?);
    }
    for file in made.iter().take(options.root_keys.saturating_sub(root_keys.len())) {
        root_keys.push(file.public()?);
        say(&format!(
            "root key {} is in `{}`: give each to another person",
            key::id(&file.public()?)?,
            file.path().display()
        ));
    }
    let mut online = vec![];
    for role in ONLINE {
        let file = match folder.key_files(role)?.pop() {
            Some(file) => file,
            None => folder.new_key(role)?,
        };
        online.push((role, file.public()?));
    }
    let root = root::first(
        &root_keys,
        options.threshold,
        &online,
        clock::now() + options.expires * DAY,
    )?;
    let draft = Signed {
        signed: root,
        signatures: vec![],
    };
    folder.write_draft(&draft)?;
    told(&folder, &Progress::of(&draft, None), options.json)
}

fn sign(options: &Sign) -> anyhow::Result<Outcome> {
    let key = KeyFile::at(&options.key);
    if let Some(path) = &options.draft {
        let mut draft: Signed<Root> = folder::parse(path, "a draft of a root")?;
        let old = options
            .old
            .as_deref()
            .map(|path| folder::parse::<Signed<Root>>(path, "a root"));
        let old = old.transpose()?.map(|old| old.signed);
        if runtime()?.block_on(root::sign(&mut draft, old.as_ref(), &key))? {
            folder::write_json(path, &draft)?;
        }
        let progress = Progress::of(&draft, old.as_ref());
        say(&format!(
            "carry `{}` on: to the next key, or back into the keeper's folder",
            path.display()
        ));
        return progress_out(&progress, options.json);
    }
    let folder = Folder::at(options.data.as_deref().context("neither a folder nor a draft")?);
    let _lock = folder.lock()?;
    let mut draft = folder
        .draft()?
        .ok_or_else(|| TrustError::NoDraft(folder.path().to_owned()))?;
    let old = folder.root()?.map(|old| old.signed);
    if runtime()?.block_on(root::sign(&mut draft, old.as_ref(), &key))? {
        folder.write_draft(&draft)?;
    } else {
        say("this key had signed already");
    }
    told(&folder, &Progress::of(&draft, old.as_ref()), options.json)
}

fn rotate(options: &Rotate) -> anyhow::Result<Outcome> {
    let folder = Folder::at(&options.data);
    let _lock = folder.lock()?;
    folder.adopt_draft()?;
    if let Some(draft) = folder.draft()? {
        return Err(TrustError::Pending(draft.signed.version.get()).into());
    }
    let root = folder
        .root()?
        .ok_or_else(|| TrustError::NoRoot(options.data.clone()))?
        .signed;
    let role = match options.role {
        RoleName::Root => RoleType::Root,
        RoleName::Targets => RoleType::Targets,
        RoleName::Snapshot => RoleType::Snapshot,
        RoleName::Timestamp => RoleType::Timestamp,
    };
    let mut keys = root::keys(&root, role);
    let before = keys.len();
    if !options.only_expiry {
        if options.retire.is_empty() && role != RoleType::Root {
            keys.clear();
        }
        for id in &options.retire {
            let mut matching = vec![];
            for (at, one) in keys.iter().enumerate() {
                if key::id(one)?.starts_with(id) {
                    matching.push(at);
                }
            }
            let [at] = matching[..] else {
                return Err(TrustError::NoSuchKey(id.clone()).into());
            };
            keys.remove(at);
        }
        for file in &options.add {
            keys.push(key::read_public(file)?);
        }
        if options.add.is_empty() {
            while keys.len() < before {
                let made = folder.new_key(role)?;
                say(&format!("made `{}`", made.path().display()));
                keys.push(made.public()?);
            }
        }
    }
    let threshold = options.threshold.unwrap_or_else(|| root::threshold(&root, role));
    let next = root::next(&root, role, &keys, threshold, clock::now() + options.expires * DAY)?;
    let draft = Signed {
        signed: next,
        signatures: vec![],
    };
    folder.write_draft(&draft)?;
    told(&folder, &Progress::of(&draft, Some(&root)), options.json)
}

fn publish(options: &Publish) -> anyhow::Result<Outcome> {
    let mut new = NewTargets::default();
    let files = [
        (TargetFile::TrustPolicy, &options.policy),
        (TargetFile::Revocations, &options.revocations),
        (TargetFile::TrustedRoot, &options.trusted_root),
    ];
    for (target, file) in files {
        if let Some(file) = file {
            new.add(target, file)?;
        }
    }
    written(
        &options.data,
        &new,
        options.to.as_deref(),
        options.lifetimes,
        options.json,
    )
}

fn renew(options: &Renew) -> anyhow::Result<Outcome> {
    let nothing = NewTargets::default();
    written(
        &options.data,
        &nothing,
        options.to.as_deref(),
        options.lifetimes,
        options.json,
    )
}

fn written(
    data: &Path,
    new: &NewTargets,
    to: Option<&Path>,
    lifetimes: Lifetimes,
    json: bool,
) -> anyhow::Result<Outcome> {
    let folder = Folder::at(data);
    let _lock = folder.lock()?;
    let lifetimes = publish::Lifetimes {
        targets: lifetimes.targets_days * DAY,
        snapshot: lifetimes.snapshot_days * DAY,
        timestamp: lifetimes.timestamp_hours * 3600,
    };
    let published = runtime()?.block_on(publish::publish(&folder, new, lifetimes, clock::now(), to))?;
    for problem in &published.problems {
        say(&format!("warning: {problem}"));
    }
    if json {
        print_json(&published)?;
    } else {
        let publish::Published {
            root,
            targets,
            snapshot,
            timestamp,
            ..
        } = &published;
        print(&format!(
            "root {root}, targets {targets}, snapshot {snapshot}, timestamp {timestamp}\n"
        ))?;
    }
    if folder.draft()?.is_some() {
        say("a draft of the next root still waits for signatures: `sealift-builder trust status` says whose");
    }
    let due = status::Status::of(&folder, clock::now())?;
    for role in due.roles.iter().filter(|role| role.is_due) {
        say(&format!(
            "warning: {} {} expires in {}",
            role.role,
            role.version,
            left(role.left)
        ));
    }
    Ok(if published.problems.is_empty() {
        Outcome::Done
    } else {
        Outcome::Incomplete
    })
}

fn show(options: &Status) -> anyhow::Result<Outcome> {
    let folder = Folder::at(&options.data);
    let status = status::Status::of(&folder, clock::now())?;
    if options.json {
        print_json(&status)?;
    } else {
        let mut text = String::new();
        for role in &status.roles {
            let due = if role.is_due { "  DUE" } else { "" };
            text.push_str(&format!(
                "{:<10} version {}, expires in {}{due}\n",
                role.role,
                role.version,
                left(role.left)
            ));
        }
        if let Some(draft) = &status.draft {
            text.push_str(&progress_text(draft));
        }
        if text.is_empty() {
            text.push_str("nothing is there yet\n");
        }
        print(&text)?;
    }
    Ok(if status.is_due() {
        Outcome::Incomplete
    } else {
        Outcome::Done
    })
}

/// Says how far a draft is, makes it the root when it is whole, and what comes next.
fn told(folder: &Folder, progress: &Progress, json: bool) -> anyhow::Result<Outcome> {
    match folder.adopt_draft()? {
        Some(version) => say(&format!(
            "root {version} has all signatures; next: `sealift-builder trust publish --data {}`",
            folder.path().display()
        )),
        None => say(&format!(
            "next: `sealift-builder trust sign --data {} --key FILE`, or carry `{}` to the keys",
            folder.path().display(),
            folder.draft_path().display()
        )),
    }
    progress_out(progress, json)
}

fn progress_out(progress: &Progress, json: bool) -> anyhow::Result<Outcome> {
    if json {
        print_json(progress)?;
    } else {
        print(&progress_text(progress))?;
    }
    Ok(Outcome::Done)
}

fn progress_text(progress: &Progress) -> String {
    let mut text = format!("root {} ", progress.version);
    if progress.is_whole() {
        text.push_str("has all signatures\n");
    } else {
        text.push_str(&format!(
            "needs {} more of the new root's keys, {} more of the old one's\n",
            progress.missing_new, progress.missing_old
        ));
    }
    for id in &progress.signed {
        text.push_str(&format!("  signed   {id}\n"));
    }
    for id in &progress.open {
        text.push_str(&format!("  not yet  {id}\n"));
    }
    text
}

fn left(seconds: i64) -> String {
    match u64::try_from(seconds) {
        Ok(seconds) if seconds >= 2 * DAY => format!("{} days", seconds / DAY),
        Ok(seconds) => format!("{} hours", seconds / 3600),
        Err(_) => "the past".into(),
    }
}

fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}
