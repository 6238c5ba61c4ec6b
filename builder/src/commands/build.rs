//! `sealift-builder build`: plan, build twice, compare, sign, submit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sealift_policy::digest::{PlanId, UnitKey};
use sealift_policy::request::profile::ProfileKind;
use serde_json::json;

use super::submit::{describe, outcome};
use super::{Outcome, clock, print, runtime};
use crate::attest::Attestor;
use crate::capture::Captured;
use crate::cargo::Cargo;
use crate::cli::{self, How, Witnessing};
use crate::compare::Comparison;
use crate::cosign::Witnesses;
use crate::data::Data;
use crate::generated::Generated;
use crate::log_store::FolderStore;
use crate::passes::{Pass, PassOutcome, Tools, Which};
use crate::progress::say;
use crate::publish::{Passes, Tally, sign_staged, stage_reproduced};
use crate::sequencer::LogContents;
use crate::service::Service;
use crate::signer::client::Signer;
use crate::source::Source;
use crate::submit::submit_all;
use crate::toolchain::Toolchain;
use crate::{durable, env, matching, sandbox};

/// Builds one source.
///
/// # Errors
/// When it cannot be planned, built, signed or submitted.
pub(super) fn run(options: &cli::Build) -> anyhow::Result<Outcome> {
    let source = options.source.source()?;
    Builder::new(&options.data, &options.service, &options.how, &options.witnessing)?
        .build(&source, &options.source.profiles)
}

/// Everything that is needed to build source after source.
pub(super) struct Builder {
    data: Data,
    attestor: Option<Attestor>,
    service: Service,
    witnesses: Option<Witnesses>,
    tools: Tools,
    how: How,
    runtime: tokio::runtime::Runtime,
    // Held for as long as this lives.
    _lock: std::fs::File,
}

impl Builder {
    pub(super) fn new(data: &Path, service: &str, how: &How, witnessing: &Witnessing) -> anyhow::Result<Self> {
        let data = Data::open(data)?;
        let witnesses = Witnesses::find(&data, witnessing.trust_policy.as_deref())?;
        let lock = lock(&data.build_lock())?;
        // Before hours of work: is the password there, or a token?
        let attestor = Attestor::open(&data)?;
        let runtime = runtime()?;
        if let Some(attestor) = &attestor {
            runtime.block_on(attestor.check())?;
        }
        let tools = tools(data.root(), &data.cargo_home(), how.no_sandbox)?;
        Ok(Self {
            service: Service::new(service)?,
            witnesses,
            tools,
            how: how.clone(),
            runtime,
            data,
            attestor,
            _lock: lock,
        })
    }

    pub(super) fn build(&self, source: &Source, profiles: &[ProfileKind]) -> anyhow::Result<Outcome> {
        let operator = self.data.operator();
        // Before hours of work: is there a service at all?
        self.runtime
            .block_on(self.service.checkpoint(&operator.name, operator.epoch))?;
        let profiles = if profiles.is_empty() {
            source.default_profiles()?
        } else {
            profiles.to_vec()
        };
        self.sweep()?;
        let work = self.data.work();
        let jobs = self
            .how
            .jobs
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let passes = [Which::First, Which::Second].map(|which| Pass::new(which, &work, jobs.max(1)));

        let mut built = Vec::new();
        let mut failed = Vec::new();
        for profile in profiles {
            let request = source.request(&self.tools.cargo, profile, &work.join("source"))?;
            let folder = work.join(format!("generated-{profile}"));
            let generated = Generated::prepare(&self.tools.cargo, request, &folder)?;
            say(&format!(
                "{source}, {profile}: {} units, {} of {} planned as asked for",
                generated.plans.len(),
                generated.matching_plans(),
                generated.request.plan_ids.len()
            ));
            for pass in &passes {
                let lockfile = folder.join("Cargo.lock");
                let units = generated.graph.units().len() as u64;
                if let PassOutcome::Failed(said) = pass.build(&self.tools, &generated.request, &lockfile, units)? {
                    say(&format!(
                        "{said}\nwarning: not everything of {source}, {profile} could be built"
                    ));
                    failed.push(profile);
                }
            }
            built.push(generated);
        }
        let tally = self.publish(&passes, &built)?;
        let submitted = self.tell(source, &tally, &failed)?;
        if !self.how.keep {
            self.sweep()?;
        }
        Ok(if failed.is_empty() {
            submitted
        } else {
            Outcome::Incomplete
        })
    }

    fn publish(&self, passes: &[Pass; 2], built: &[Generated]) -> anyhow::Result<Tally> {
        let [first, second] = [Captured::read(&passes[0].store())?, Captured::read(&passes[1].store())?];
        for damaged in first.damaged.iter().chain(&second.damaged) {
            say(&format!("warning: {damaged}"));
        }
        let plans = plans(built, &first);
        let store = FolderStore::new(&self.data.log(), &self.data.seen());
        let log = LogContents::read(&store, &self.data.operator().vkey)?;
        let (staged, mut tally) = stage_reproduced(
            &self.data,
            &log,
            &Passes {
                first: &first,
                second: &second,
                plans: &plans,
                toolchain: self.tools.cargo.toolchain().name(),
                needles: &self.needles(),
                sandboxed: self.tools.sandbox.is_some(),
            },
        )?;
        let operator = self.data.operator();
        let published = self
            .runtime
            .block_on(self.service.checkpoint(&operator.name, operator.epoch))?;
        let mut signer = Signer::start(&std::env::current_exe()?, &self.data, published)?;
        sign_staged(&self.data, &mut signer, staged, &mut tally)?;
        signer.finish()?;
        Ok(tally)
    }

    /// Submits, and tells what became of everything.
    fn tell(&self, source: &Source, tally: &Tally, failed: &[ProfileKind]) -> anyhow::Result<Outcome> {
        let (witnesses, attestor) = (self.witnesses.as_ref(), self.attestor.as_ref());
        let submitted = submit_all(&self.data, &self.service, witnesses, attestor, clock::now);
        let summary = self.runtime.block_on(submitted)?;
        if !tally.unpublished.is_empty() {
            let file = self.data.nondeterminism().join(format!("{}.json", clock::now()));
            let list = json!({"version": 1, "source": source.to_string(), "units": tally.unpublished});
            durable::write(&file, format!("{list:#}\n").as_bytes())?;
            say(&format!(
                "{} units are not published ({}):",
                tally.unpublished.len(),
                file.display()
            ));
            for unit in &tally.unpublished {
                let why = match &unit.reason {
                    Comparison::Reproduced => continue,
                    Comparison::Diverged { what } => format!("differs in {}", what.join(", ")),
                    Comparison::Unpublishable { why } => why.clone(),
                };
                say(&format!(
                    "  {} {} ({}): {why}",
                    unit.package, unit.version, unit.crate_name
                ));
            }
        }
        say(&format!(
            "{source}: {} units reproduced, {} signed, {} already",
            tally.reproduced, tally.signed, tally.already
        ));
        say(&describe(&summary));
        if self.how.json {
            let document = json!({
                "version": 1,
                "source": source.to_string(),
                "units": tally,
                "incomplete": failed,
                "submitted": summary,
                "sandboxed": self.tools.sandbox.is_some(),
            });
            print(&format!("{document}\n"))?;
        }
        Ok(outcome(&summary))
    }

    /// Texts that no published unit may contain. Folders of both passes lie below the data folder.
    fn needles(&self) -> Vec<String> {
        let folders = [self.data.root(), self.tools.cargo.toolchain().sysroot()];
        let homes = ["/tmp/home", "/tmp/another-home-folder"];
        folders
            .into_iter()
            .map(|folder| folder.display().to_string())
            .chain(homes.map(str::to_owned))
            .collect()
    }

    /// Removes what an earlier build left behind, finished or not.
    fn sweep(&self) -> anyhow::Result<()> {
        for folder in [self.data.work(), self.data.root().join("staging")] {
            if folder.exists() {
                fs_err::remove_dir_all(folder)?;
            }
        }
        Ok(())
    }
}

fn plans(built: &[Generated], first: &Captured) -> BTreeMap<UnitKey, BTreeSet<PlanId>> {
    let mut plans: BTreeMap<UnitKey, BTreeSet<PlanId>> = BTreeMap::new();
    for generated in built {
        let calls = first.units.values().map(|unit| (unit.key, &unit.call));
        for (key, found) in matching::plans_of_units(&generated.graph, &generated.plans, calls) {
            plans.entry(key).or_default().extend(found);
        }
    }
    plans
}

/// With what everything is built; `secret` is the folder that no sandbox may show.
pub(super) fn tools(secret: &Path, cargo_home: &Path, no_sandbox: bool) -> anyhow::Result<Tools> {
    let this = std::env::current_exe()?;
    let sandbox = if no_sandbox {
        say("warning: no sandbox: what is compiled can read the signing key and reach the network");
        None
    } else {
        sandbox::check().context(
            "failed to make a sandbox\nhint: install bubblewrap, or give `--no-sandbox` if you trust every crate",
        )?;
        Some(this.clone())
    };
    let toolchain = Toolchain::find(Path::new("/"))?;
    fs_err::create_dir_all(cargo_home)?;
    Ok(Tools {
        cargo: Cargo::new(&toolchain, cargo_home)?,
        wrapper: wrapper(&this)?,
        sandbox,
        secret: secret.to_owned(),
    })
}

/// The wrapper: beside this program, or in `PATH`.
pub(super) fn wrapper(this: &Path) -> anyhow::Result<PathBuf> {
    const NAME: &str = "sealift-rustc";
    let beside = this.parent().map(|folder| folder.join(NAME));
    let path = env::path();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join(NAME));
    let found = beside.into_iter().chain(in_path).find(|program| program.is_file());
    let found = found.with_context(|| format!("`{NAME}` is neither beside this program nor in PATH"))?;
    Ok(fs_err::canonicalize(found)?)
}

fn lock(path: &Path) -> anyhow::Result<std::fs::File> {
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    file.try_lock()
        .with_context(|| format!("another build has locked `{}`", path.display()))?;
    Ok(file)
}
