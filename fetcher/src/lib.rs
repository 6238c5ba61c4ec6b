//! The user's side of Sealift: the rustc wrapper and `cargo sealift`.
