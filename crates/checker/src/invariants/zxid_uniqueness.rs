//! ZXU, zxid uniqueness: equal zxids mean equal transactions (equal digests), over every log, every
//! recovered disk, everything broadcast, committed and delivered.
//!
//! The first digest that is seen at a zxid is the one all others are held against. All other
//! invariants rest on this one: they compare zxids.

use wire::Zxid;

use crate::ghost::Ghost;
use crate::report::Report;
use crate::txns::DIGEST;

/// `zxid` was seen with `digest` on member `m`, and what else is known of it there (`flags`).
#[inline]
pub(crate) fn seen(g: &mut Ghost, m: usize, zxid: Zxid, digest: u64, flags: u8, report: &mut Report) {
    let slot = g.epochs.slot(zxid);
    if slot.has(DIGEST) && slot.digest != digest {
        let first = slot.digest;
        report.add(
            "ZXU",
            g.members[m].sid,
            format!("{zxid} is another transaction here (digest {digest:#x}) than where it was seen first ({first:#x})"),
        );
        return;
    }
    slot.digest = digest;
    slot.flags |= DIGEST | flags;
}

#[cfg(test)]
mod tests {
    use crate::testing::{Run, z};

    #[test]
    fn the_same_transaction_everywhere_is_fine() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.sound();
    }

    #[test]
    fn another_transaction_under_a_known_zxid() {
        let mut run = Run::established(3, 1);
        run.propose(z(1, 1));
        run.log_with_digest(2, z(1, 1), 99);
        run.first_is("ZXU");
    }

    #[test]
    fn another_transaction_on_a_disk() {
        let mut run = Run::established(3, 1);
        run.write(z(1, 1));
        run.crash(2);
        run.recover_other_bytes(2, z(1, 1));
        run.first_is("ZXU");
    }
}
