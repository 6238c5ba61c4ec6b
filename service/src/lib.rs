//! The public store of Sealift: admits what operators submit and serves it.
