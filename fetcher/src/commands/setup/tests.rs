//! What `setup` writes, keeps and puts back, in folders of the tests' own.

use super::*;
use crate::config::Config;
use crate::env::Env;

const CARGO_CONFIG: &str = "# mine\n[net]\nretry = 3 # often\n\n[build]\njobs = 2\n";

struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new(cargo_config: Option<&str>) -> Self {
        let home = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        if let Some(text) = cargo_config {
            fs_err::create_dir_all(home.folder.path().join(".cargo")).unwrap();
            fs_err::write(home.cargo_config(), text).unwrap();
        }
        home
    }

    fn context(&self) -> Context {
        let env = Env::made_up([(env::HOME, self.folder.path())]);
        Context {
            config: Config::from_env(&env),
            env,
        }
    }

    fn cargo_config(&self) -> PathBuf {
        self.folder.path().join(".cargo/config.toml")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join(".config/sealift")
    }

    fn apply(&self, wrapper: &str) {
        let before = read(&self.cargo_config()).unwrap();
        let (after, _) = with_wrapper(before.as_deref().unwrap_or_default(), wrapper).unwrap();
        let change = Change {
            path: self.cargo_config(),
            before,
            after: Some(after),
        };
        Journal::read(&self.config())
            .unwrap()
            .extended(std::slice::from_ref(&change))
            .write(&self.config())
            .unwrap();
        change.write().unwrap();
    }

    fn undo(&self) {
        for change in Journal::read(&self.config()).unwrap().undo().unwrap() {
            change.write().unwrap();
        }
        Journal::remove(&self.config()).unwrap();
    }
}

#[test]
fn the_wrapper_is_set_and_everything_else_kept() {
    let (text, displaced) = with_wrapper(CARGO_CONFIG, "/opt/sealift-rustc").unwrap();
    assert_eq!(text, format!("{CARGO_CONFIG}rustc-wrapper = \"/opt/sealift-rustc\"\n"));
    assert_eq!(displaced, None);
    let (text, _) = with_wrapper("", "/opt/sealift-rustc").unwrap();
    assert_eq!(text, "[build]\nrustc-wrapper = \"/opt/sealift-rustc\"\n");
}

#[test]
fn another_wrapper_is_named_and_our_own_is_not() {
    let displaced = |text| with_wrapper(text, "/opt/sealift-rustc").unwrap().1;
    assert_eq!(displaced("build.rustc-wrapper = \"sccache\""), Some("sccache".into()));
    assert_eq!(displaced("build.rustc-wrapper = \"\""), None);
    assert_eq!(displaced("build.rustc-wrapper = \"/old/sealift-rustc\""), None);
}

#[test]
fn a_configuration_that_is_no_toml_is_left_alone() {
    assert!(with_wrapper("build = ", "x").is_err());
    assert!(with_wrapper("build = 1", "x").is_err());
}

#[test]
fn undo_restores_the_very_bytes() {
    let home = Home::new(Some(CARGO_CONFIG));
    home.apply("/opt/sealift-rustc");
    home.apply("/newer/sealift-rustc");
    home.undo();
    assert_eq!(fs_err::read_to_string(home.cargo_config()).unwrap(), CARGO_CONFIG);
    assert_eq!(fs_err::read_dir(home.config()).unwrap().count(), 0);
}

#[test]
fn undo_removes_a_file_that_was_not_there() {
    let home = Home::new(None);
    home.apply("/opt/sealift-rustc");
    assert!(home.cargo_config().is_file());
    home.undo();
    assert!(!home.cargo_config().exists());
}

#[test]
fn undo_keeps_what_was_edited_since() {
    let home = Home::new(Some("build.rustc-wrapper = \"sccache\"\n"));
    home.apply("/opt/sealift-rustc");
    let edited = format!(
        "{}\n[net]\noffline = true\n",
        fs_err::read_to_string(home.cargo_config()).unwrap()
    );
    fs_err::write(home.cargo_config(), edited).unwrap();
    home.undo();
    assert_eq!(
        fs_err::read_to_string(home.cargo_config()).unwrap(),
        "build.rustc-wrapper = \"sccache\"\n\n[net]\noffline = true\n"
    );
}

#[test]
fn undo_without_a_set_up_changes_nothing() {
    let home = Home::new(Some(CARGO_CONFIG));
    assert_eq!(Journal::read(&home.config()).unwrap().undo().unwrap(), []);
}

#[test]
fn cargo_s_old_configuration_file_is_the_one_that_counts() {
    let home = Home::new(Some(""));
    assert_eq!(cargo_config(&home.context()).unwrap(), home.cargo_config());
    let old = home.folder.path().join(".cargo/config");
    fs_err::write(&old, "").unwrap();
    assert_eq!(cargo_config(&home.context()).unwrap(), old);
}

// W10: cargo's configuration may hold the password of a proxy, and may be private.
#[test]
fn what_the_journal_repeats_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let home = Home::new(Some("[http]\nproxy = \"http://somebody:secret@proxy.example:3128\"\n"));
    fs_err::set_permissions(home.cargo_config(), std::fs::Permissions::from_mode(0o600)).unwrap();
    home.apply("/opt/sealift-rustc");
    for file in [home.cargo_config(), home.config().join("setup-journal.json")] {
        assert!(fs_err::read_to_string(&file).unwrap().contains("secret"));
        let mode = fs_err::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}
