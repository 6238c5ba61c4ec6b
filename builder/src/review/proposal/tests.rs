//! Which evidence leads to an entry, and which does not.
