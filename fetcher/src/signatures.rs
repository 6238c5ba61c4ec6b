//! The local store's memory of logs' and witnesses' signatures that were found right.
//!
//! Owns where it lies: a file without content for each, named by what it remembers. All units of one answer stand on the
//! same few heads, so a build asks for the same few files. Losing them costs arithmetic only; whoever could write them could
//! as well write a unit that was compiled here. Must not know whose signatures count.

use sealift_policy::digest::Digest;
use sealift_policy::log::SignatureMemory;

use crate::store::Store;

/// The memory in this store.
#[derive(Debug, Clone, Copy)]
pub struct Signatures<'a>(pub &'a Store);

impl SignatureMemory for Signatures<'_> {
    fn knows(&self, signature: Digest) -> bool {
        self.0.path(&path(signature)).is_file()
    }

    fn learn(&self, signature: Digest) {
        let _ = self.0.write(&path(signature), b"");
    }
}

fn path(signature: Digest) -> String {
    format!("memo/signatures/{signature}")
}
