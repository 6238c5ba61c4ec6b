//! Each [`Rejection`], forged.
