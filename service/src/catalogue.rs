//! What the public store contains, for looking it up: units, who states what for them, and plans.
//!
//! Owns the SQLite file. It holds nothing that the files of the store do not hold: without it, it is built again.
//! Must not know proofs, HTTP or what may be admitted.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sealift_policy::digest::{Digest, PlanId, UnitKey};
use sealift_policy::log::{LeafIndex, TreeSize};
use sealift_policy::name::Toolchain;
use sealift_policy::wire::SubmittedPlan;

use crate::admit::Stated;
use crate::store::LogName;

/// The version of the tables; a file of any other version is built again.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE leaf (
        operator TEXT NOT NULL, epoch INTEGER NOT NULL, idx INTEGER NOT NULL,
        unit BLOB NOT NULL, manifest BLOB NOT NULL,
        PRIMARY KEY (operator, epoch, idx)
    ) WITHOUT ROWID;
    CREATE INDEX leaf_unit ON leaf (unit);
    CREATE TABLE plan (
        toolchain TEXT NOT NULL, plan BLOB NOT NULL, unit BLOB NOT NULL,
        PRIMARY KEY (toolchain, plan, unit)
    ) WITHOUT ROWID;
    CREATE INDEX plan_unit ON plan (unit);
    CREATE TABLE compiled (unit BLOB PRIMARY KEY, ms INTEGER NOT NULL) WITHOUT ROWID;
";

/// A failure of the database itself.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// SQLite failed.
    #[error("the catalogue failed")]
    Database(#[from] rusqlite::Error),
    /// The file could not be replaced.
    #[error("failed to replace the catalogue")]
    File(#[from] std::io::Error),
}

/// The catalogue of one store.
#[derive(Debug)]
pub struct Catalogue(Mutex<Connection>);

/// What a submission adds beside its leaves: unsigned, only hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The unit.
    pub unit: UnitKey,
    /// The plans for which it was seen.
    pub plans: Vec<SubmittedPlan>,
    /// How long it took to compile, in milliseconds.
    pub compile_ms: u64,
}

/// What is known of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownUnit {
    /// Who states what, by operator, epoch and index.
    pub stated: Vec<Stated>,
    /// How long it took to compile somewhere, in milliseconds; 0 if nobody said.
    pub compile_ms: u64,
}

impl Catalogue {
    /// Opens the file, or starts a new one if it is missing, damaged or of another version. The answer tells whether it
    /// is new and must be filled.
    pub fn open(path: &Path) -> Result<(Self, bool), CatalogueError> {
        if let Ok(connection) = connect(path) {
            let version = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
            let sound = connection.query_row("PRAGMA quick_check", [], |row| row.get::<_, String>(0));
            if matches!((version, sound.as_deref()), (Ok(VERSION), Ok("ok"))) {
                return Ok((Self(Mutex::new(connection)), false));
            }
        }
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match fs_err::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let connection = connect(path)?;
        connection.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"))?;
        Ok((Self(Mutex::new(connection)), true))
    }

    /// How many leaves of a log it has.
    pub fn size(&self, log: &LogName) -> Result<TreeSize, CatalogueError> {
        let query = "SELECT COUNT(*) FROM leaf WHERE operator = ?1 AND epoch = ?2";
        let count: i64 = self
            .connection()
            .query_row(query, params![log.operator.as_str(), log.epoch], |row| row.get(0))?;
        Ok(u64::try_from(count)
            .ok()
            .and_then(|count| TreeSize::try_from(count).ok())
            .unwrap_or_default())
    }

    /// Removes all leaves of a log.
    pub fn forget(&self, log: &LogName) -> Result<(), CatalogueError> {
        let sql = "DELETE FROM leaf WHERE operator = ?1 AND epoch = ?2";
        self.connection()
            .execute(sql, params![log.operator.as_str(), log.epoch])?;
        Ok(())
    }

    /// The logs of which it has leaves.
    pub fn logs(&self) -> Result<Vec<LogName>, CatalogueError> {
        let connection = self.connection();
        let mut query = connection.prepare_cached("SELECT DISTINCT operator, epoch FROM leaf")?;
        let logs = query.query_map([], log_of)?.collect::<Result<_, _>>()?;
        Ok(logs)
    }

    /// Adds leaves and what was seen, all or nothing. What is there already stays as it is, whoever adds it again.
    pub fn add(
        &self,
        log: &LogName,
        leaves: &[(LeafIndex, UnitKey, Digest)],
        seen: &[Seen],
    ) -> Result<(), CatalogueError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        {
            let mut leaf = transaction.prepare_cached("INSERT OR IGNORE INTO leaf VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for (index, unit, manifest) in leaves {
                let (unit, manifest) = (unit.digest(), manifest.as_bytes());
                let index = index.value().cast_signed();
                leaf.execute(params![
                    log.operator.as_str(),
                    log.epoch,
                    index,
                    unit.as_bytes(),
                    manifest
                ])?;
            }
            let mut plan = transaction.prepare_cached("INSERT OR IGNORE INTO plan VALUES (?1, ?2, ?3)")?;
            let mut compiled = transaction.prepare_cached("INSERT OR IGNORE INTO compiled VALUES (?1, ?2)")?;
            for seen in seen {
                let unit = seen.unit.digest();
                for one in &seen.plans {
                    plan.execute(params![
                        one.toolchain.as_str(),
                        one.plan_id.digest().as_bytes(),
                        unit.as_bytes()
                    ])?;
                }
                let ms = i64::try_from(seen.compile_ms).unwrap_or(i64::MAX);
                if ms > 0 {
                    compiled.execute(params![unit.as_bytes(), ms])?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// The units that were seen for a plan, those that most operators have logged first: one operator alone cannot put
    /// others at the end of a list of which clients read the beginning.
    pub fn units_of(&self, toolchain: &Toolchain, plan: PlanId) -> Result<Vec<UnitKey>, CatalogueError> {
        let connection = self.connection();
        let mut query = connection.prepare_cached(
            "SELECT unit FROM plan WHERE toolchain = ?1 AND plan = ?2 ORDER BY
                 (SELECT count(DISTINCT operator) FROM leaf WHERE leaf.unit = plan.unit) DESC, unit",
        )?;
        let units = query.query_map(params![toolchain.as_str(), plan.digest().as_bytes()], |row| row.get(0))?;
        let units = units
            .map(|unit| unit.map(|unit| UnitKey::new(Digest::from_bytes(unit))))
            .collect::<Result<_, _>>()?;
        Ok(units)
    }

    /// The plans for which a unit was seen.
    pub fn plans_of(&self, unit: UnitKey) -> Result<Vec<SubmittedPlan>, CatalogueError> {
        let connection = self.connection();
        let mut query =
            connection.prepare_cached("SELECT toolchain, plan FROM plan WHERE unit = ?1 ORDER BY toolchain, plan")?;
        let plans = query.query_map([unit.digest().as_bytes()], |row| {
            let toolchain: String = row.get(0)?;
            let toolchain = toolchain.parse().map_err(|_| rusqlite::Error::InvalidQuery)?;
            Ok(SubmittedPlan {
                toolchain,
                plan_id: PlanId::new(Digest::from_bytes(row.get(1)?)),
            })
        })?;
        let plans = plans.collect::<Result<_, _>>()?;
        Ok(plans)
    }

    /// What is known of a unit; nothing stated if nobody logged it.
    pub fn unit(&self, unit: UnitKey) -> Result<KnownUnit, CatalogueError> {
        let connection = self.connection();
        let mut query = connection.prepare_cached(
            "SELECT operator, epoch, idx, manifest FROM leaf WHERE unit = ?1 ORDER BY operator, epoch, idx",
        )?;
        let stated = query
            .query_map([unit.digest().as_bytes()], stated_of)?
            .collect::<Result<_, _>>()?;
        let mut query = connection.prepare_cached("SELECT ms FROM compiled WHERE unit = ?1")?;
        let compile_ms: Option<i64> = query
            .query_row([unit.digest().as_bytes()], |row| row.get(0))
            .optional()?;
        Ok(KnownUnit {
            stated,
            compile_ms: compile_ms.unwrap_or(0).unsigned_abs(),
        })
    }

    /// The newest leaves of a log, newest first.
    pub fn newest(&self, log: &LogName, count: u32) -> Result<Vec<(UnitKey, Stated)>, CatalogueError> {
        let connection = self.connection();
        let mut query = connection.prepare_cached(
            "SELECT operator, epoch, idx, manifest, unit FROM leaf WHERE operator = ?1 AND epoch = ?2
             ORDER BY idx DESC LIMIT ?3",
        )?;
        let newest = query.query_map(params![log.operator.as_str(), log.epoch, count], |row| {
            Ok((UnitKey::new(Digest::from_bytes(row.get(4)?)), stated_of(row)?))
        })?;
        let newest = newest.collect::<Result<_, _>>()?;
        Ok(newest)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves no half transaction: rusqlite rolls it back when it is dropped.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    // FULL: the journal's note of a submission is struck once the catalogue has it.
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    Ok(connection)
}

fn log_of(row: &Row<'_>) -> Result<LogName, rusqlite::Error> {
    let operator: String = row.get(0)?;
    Ok(LogName {
        operator: operator.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
        epoch: row.get(1)?,
    })
}

fn stated_of(row: &Row<'_>) -> Result<Stated, rusqlite::Error> {
    let index =
        LeafIndex::try_from(row.get::<_, i64>(2)?.cast_unsigned()).map_err(|_| rusqlite::Error::InvalidQuery)?;
    Ok(Stated {
        log: log_of(row)?,
        index,
        manifest: Digest::from_bytes(row.get(3)?),
    })
}
