//! Axum among strangers.
