//! The life of a trust root: made, published, every key replaced once, an operator's key stolen and its entries revoked, and
//! recovery; and somebody who was offline throughout, and pinned the very first root.

use sealift_policy::local::CallKind;
use sealift_tests::child::run;
use sealift_tests::env::clean_command;
use sealift_tests::user::Built;
use sealift_tests::workload::Profile;
use sealift_tests::world::{Access, Operator, Quorum, Source, World};
use serde_json::{Value, json};

use crate::fixture::{PROGRAMS, Person, Project, assert_nearly_all_hit, assert_silent, new_folder};

/// Both operators must vouch for everything, so that it shows when one of them does not count.
const BOTH: Quorum = Quorum {
    host_code: 2,
    library: 2,
};

#[test]
fn who_was_offline_while_all_keys_changed_and_one_was_stolen_catches_up_safely() {
    let folder = new_folder();
    let mut stage = Stage::new(folder.path());

    // Published, and used by somebody who then goes offline.
    stage.publish_all(Profile::Dev);
    let mut sailor = Person::with(Project::Greeter);
    assert_all_fetched(&sailor.sealift(&stage.access, ["build"]));

    // Every key is replaced once: those of the roles and one of the root's, and the operators' logs end and begin anew.
    for role in ["timestamp", "snapshot", "targets"] {
        stage.keep(&["rotate", role]);
        stage.sign(&["root-1", "root-2"]);
    }
    let root = stage.root();
    let retired = root["signed"]["roles"]["root"]["keyids"][0].as_str().expect("an id");
    stage.keep(&["rotate", "root", "--retire", retired]);
    // The thresholds of the old keys and of the new ones.
    stage.sign(&["root-1", "root-2", "root-3", "root-4"]);
    for name in ["alpha", "beta"] {
        stage.freeze(name, 1);
        stage.begin(name, 2);
    }
    stage.change_policy();
    stage.publish_all(Profile::Check);
    let newcomer = Person::with(Project::Greeter);
    assert_all_fetched(&newcomer.sealift(&stage.access, ["check"]));

    // The key of beta's second log is stolen: nothing that it signed counts, what the first one signed still does.
    let size = stage.size("beta", 2);
    assert!(size > 0);
    stage.revoke(&json!({"ranges": [{"operator": "beta", "epoch": 2, "start": 0, "end": size}]}));
    stage.update(&newcomer);
    let mut victim = newcomer;
    victim.second_checkout();
    let built = victim.sealift(&stage.access, ["check"]);
    assert_eq!(built.units.fetched_of(CallKind::Lib), 0, "{:#?}", built.units.units);
    assert!(built.units.handled() > 0);
    assert_silent(&built);

    // Recovery: a third key, a third log, and what is built again counts again.
    stage.begin("beta", 3);
    stage.change_policy();
    let beta = stage.operators.last().expect("beta's third log").clone();
    stage.publish_by(&beta, Profile::Check);
    let another = Person::with(Project::Greeter);
    assert_all_fetched(&another.sealift(&stage.access, ["check"]));

    // The sailor comes home, with the first root and what was fetched before any of it. What was verified in this test is
    // less than an hour old, so that nobody would ask again without being told.
    stage.update(&sailor);
    sailor.second_checkout();
    let built = sailor.sealift(&stage.access, ["build"]);
    assert_all_fetched(&built);
    assert_silent(&built);
    assert_all_fetched(&sailor.sealift(&stage.access, ["check"]));

    // An auditor goes by what the pinned root leads to: ended logs, and what was revoked of another.
    let audited = stage.audit_by_policy_of(&sailor);
    assert_eq!(audited["verdict"], "fine", "{audited:#}");
    assert_eq!(audited["logs"].as_array().map(Vec::len), Some(5), "{audited:#}");
}

#[track_caller]
fn assert_all_fetched(built: &Built) {
    assert_nearly_all_hit(built);
    assert_eq!(
        built.units.fetched_hits(),
        built.units.hits(),
        "{:#?}",
        built.units.units
    );
    assert!(built.units.hits() > 0);
}

/// The world with its policy, which is changed by hand, and the keeper of its root.
struct Stage {
    world: World,
    access: Access,
    policy: Value,
    /// Those who go on, by their newest log.
    operators: Vec<Operator>,
}

impl Stage {
    fn new(folder: &std::path::Path) -> Self {
        let world = World::start_with(&folder.join("world"), &PROGRAMS, 2, BOTH, vec![]).expect("a world");
        let access = world.found_trust().expect("a TUF repository");
        let text = fs_err::read(world.folder().join("trust-policy.json")).expect("a policy");
        let operators = world.operators().to_vec();
        Self {
            policy: serde_json::from_slice(&text).expect("JSON"),
            world,
            access,
            operators,
        }
    }

    fn publish_all(&self, profile: Profile) {
        for operator in &self.operators {
            self.publish_by(operator, profile);
        }
    }

    fn publish_by(&self, operator: &Operator, profile: Profile) {
        let folder = new_folder();
        let sources = folder.path().join("sources");
        Project::Greeter.checkout(&sources);
        self.world
            .publish_one(operator, &Source::Project(sources), &[profile])
            .expect("published");
    }

    fn logs(&mut self, name: &str) -> &mut Vec<Value> {
        let operators = self.policy["operators"].as_array_mut().expect("a list");
        let operator = operators.iter_mut().find(|operator| operator["name"] == name);
        operator.expect("an operator")["logs"].as_array_mut().expect("a list")
    }

    /// The three lines of a served checkpoint.
    fn head(&self, name: &str, epoch: u32) -> Vec<String> {
        let path = format!("v1/log/{name}/{epoch}/checkpoint");
        let text = fs_err::read_to_string(self.world.service_data().join(path)).expect("a checkpoint");
        text.lines().take(3).map(str::to_owned).collect()
    }

    fn size(&self, name: &str, epoch: u32) -> u64 {
        self.head(name, epoch)[1].parse().expect("a size")
    }

    /// The policy says that this log never changes again.
    fn freeze(&mut self, name: &str, epoch: u32) {
        let head = self.head(name, epoch);
        let frozen = json!({"size": self.size(name, epoch), "root": head[2]});
        let logs = self.logs(name);
        let log = logs.iter_mut().find(|log| log["epoch"] == epoch).expect("a log");
        log["frozen"] = frozen;
    }

    /// The operator has a new key, and so a new log.
    fn begin(&mut self, name: &str, epoch: u32) {
        let data = self.world.folder().join(format!("operators/{name}-{epoch}"));
        let mut init = clean_command(PROGRAMS.builder());
        init.args([
            "init",
            "--operator",
            name,
            "--json",
            "--epoch",
            &epoch.to_string(),
            "--data",
        ])
        .arg(&data);
        let made = run(&mut init).expect("started").successful().expect("a new log").stdout;
        let made: Value = serde_json::from_str(&made).expect("JSON");
        self.logs(name).push(json!({"epoch": epoch, "vkey": made["vkey"]}));
        self.operators.retain(|operator| operator.name != name);
        self.operators.push(Operator {
            name: name.to_owned(),
            data: Some(data),
            vkey: made["vkey"].as_str().expect("a key").to_owned(),
            password: None,
            identity_token: None,
        });
    }

    /// Gives the policy to the service, which admits by it, and to everybody by TUF.
    fn change_policy(&mut self) {
        let path = self.world.folder().join("trust-policy.json");
        fs_err::write(&path, self.policy.to_string()).expect("written");
        self.world.publish_trust("--policy", &path).expect("published");
        self.world.kill_service();
        self.world.start_service().expect("a service");
    }

    fn revoke(&self, revoked: &Value) {
        let path = self.world.folder().join("revocations.json");
        fs_err::write(&path, json!({"version": 1, "revoked": revoked}).to_string()).expect("written");
        self.world.publish_trust("--revocations", &path).expect("published");
    }

    fn update(&self, person: &Person) {
        let said = person
            .user
            .sealift(&person.project, &["trust", "update"], Some(&self.access));
        said.expect("started").successful().expect("an update");
    }

    /// The report of an auditor whom this person's `cargo sealift` tells whom to believe.
    fn audit_by_policy_of(&self, person: &Person) -> Value {
        let told = person
            .user
            .sealift(&person.project, &["trust", "policy"], Some(&self.access));
        let told = told.expect("started").successful().expect("a policy").stdout;
        let policy = self.world.folder().join("followed.json");
        fs_err::write(&policy, told).expect("written");
        let mut audit = clean_command(PROGRAMS.builder());
        audit.args(["audit", "--json", "--service", &self.access.url, "--trust-policy"]);
        audit.arg(policy).arg("--data").arg(self.world.folder().join("auditor"));
        let said = run(&mut audit).expect("started").successful().expect("a report");
        serde_json::from_str(&said.stdout).expect("JSON")
    }

    fn root(&self) -> Value {
        let root = fs_err::read(self.world.keeper().join("root.json")).expect("a root");
        serde_json::from_slice(&root).expect("JSON")
    }

    /// Signs the draft of a root with as many of these keys as it takes.
    fn sign(&self, keys: &[&str]) {
        let draft = self.world.keeper().join("draft.root.json");
        for key in keys.iter().take_while(|_| draft.exists()) {
            let file = self.world.keeper().join(format!("keys/{key}.key"));
            self.keep(&["sign", "--key", file.to_str().expect("UTF-8")]);
        }
        assert!(!draft.exists(), "these keys are not enough");
    }

    fn keep(&self, step: &[&str]) {
        let mut command = clean_command(PROGRAMS.builder());
        command.arg("trust").args(step).arg("--data").arg(self.world.keeper());
        let ended = run(&mut command).expect("started");
        ended.successful().expect("a step of the keeper's");
    }
}
