//! The operator's side of Sealift: builds, compares, signs, submits.
