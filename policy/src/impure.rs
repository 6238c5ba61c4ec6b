//! Procedural macros that read more than their input: the environment, files, databases, the time.
//!
//! rustc does not track what they read, so a unit that uses one is never shared. A reviewed list; crate names as rustc
//! knows them. Must not know calls or keys.

/// Whether a proc macro of this crate name is known to read what rustc does not track.
pub fn is_impure_macro(crate_name: &str) -> bool {
    IMPURE_MACROS.binary_search(&crate_name).is_ok()
}

/// Sorted.
const IMPURE_MACROS: &[&str] = &[
    "build_time",                    // the time
    "compile_time",                  // the time, the compiler's path
    "const_random_macro",            // a random number for each compilation
    "crate_git_revision",            // the repository around it
    "diesel_migrations",             // lists a folder
    "dotenv_codegen",                // `.env`
    "dotenv_codegen_implementation", // `.env`
    "dotenvy_macro",                 // `.env`
    "git_version_macro",             // the repository around it
    "include_dir_macros",            // lists a folder
    "macro_string",                  // `std::env::var`
    "migrations_macros",             // lists a folder
    "refinery_macros",               // lists a folder
    "rust_embed_impl",               // lists a folder
    "rust_i18n_macro",               // lists a folder
    "soroban_sdk_macros",            // files named by arguments
    "sqlx_macros",                   // a database, `DATABASE_URL`
    "static_toml",                   // a file named by an argument
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_found_in() {
        assert!(IMPURE_MACROS.is_sorted());
        assert!(is_impure_macro("sqlx_macros") && !is_impure_macro("serde_derive"));
    }
}
