//! Keys: what decides what a unit is.
