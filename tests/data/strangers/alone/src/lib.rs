//! Axum without strangers.
