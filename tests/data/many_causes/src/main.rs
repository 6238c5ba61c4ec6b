//! Uses nothing: what matters is how its dependencies are compiled.

fn main() {}
