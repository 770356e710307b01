//! EPM, epoch monotonicity: durable acceptedEpoch and currentEpoch never decrease in a member's whole
//! existence; currentEpoch <= acceptedEpoch; the last zxid that recovery gives is not of an epoch above
//! currentEpoch.
//!
//! The disk itself may hold more, between history and currentEpoch becoming durable: recovery cuts it.
//! A disk that a fault damaged begins anew.

use wire::Epoch;
use zab::{EpochFile, Recovered};

use crate::ghost::Ghost;
use crate::report::Report;

/// An epoch file became durable. To be called before it is taken over into the ghost.
pub(crate) fn written(g: &Ghost, m: usize, file: EpochFile, epoch: Epoch, report: &mut Report) {
    let disk = &g.members[m].disk;
    let (name, before) = match file {
        EpochFile::AcceptedEpoch => ("acceptedEpoch", disk.accepted),
        EpochFile::CurrentEpoch => ("currentEpoch", disk.current),
    };
    if epoch < before {
        report.add("EPM", g.sid(m), format!("{name} goes back from {before} to {epoch}"));
    } else if file == EpochFile::CurrentEpoch && epoch > disk.accepted {
        let detail = format!("currentEpoch {epoch} is above acceptedEpoch {}", disk.accepted);
        report.add("EPM", g.sid(m), detail);
    }
}

/// A disk was read.
pub(crate) fn recovered(g: &Ghost, m: usize, found: &Recovered, report: &mut Report) {
    let disk = &g.members[m].disk;
    let (accepted, current) = (found.accepted_epoch, found.current_epoch);
    let wrong = if !disk.damaged && accepted < disk.accepted {
        format!("acceptedEpoch was {} and is recovered as {accepted}", disk.accepted)
    } else if !disk.damaged && current < disk.current {
        format!("currentEpoch was {} and is recovered as {current}", disk.current)
    } else if current > accepted {
        format!("currentEpoch {current} is recovered above acceptedEpoch {accepted}")
    } else if found.last_zxid().epoch() > current.max(Epoch(0)) {
        format!("{} is recovered above currentEpoch {current}", found.last_zxid())
    } else {
        return;
    };
    report.add("EPM", g.sid(m), wrong);
}

#[cfg(test)]
mod tests {
    use wire::Epoch;
    use zab::EpochFile;

    use crate::observation::Observation;
    use crate::testing::{Run, z};

    /// A process was killed while it replaced the file; the power went before the name was durable.
    #[test]
    fn an_epoch_in_the_page_cache_is_no_promise() {
        let mut run = Run::established(3, 1);
        run.kill(2);
        run.disk(2).accepted = 2;
        run.recover_only(2, &[]);
        run.crash(2);
        run.disk(2).accepted = 1;
        run.recover_only(2, &[]);
        run.sound();
    }

    #[test]
    fn accepted_goes_back() {
        let mut run = Run::established(3, 1);
        run.observe(2, &Observation::EpochWritten(EpochFile::AcceptedEpoch, Epoch(0)));
        run.first_is("EPM");
    }

    #[test]
    fn current_above_accepted() {
        let mut run = Run::established(3, 1);
        run.observe(2, &Observation::EpochWritten(EpochFile::CurrentEpoch, Epoch(2)));
        run.first_is("EPM");
    }

    #[test]
    fn an_epoch_that_was_not_durable() {
        let mut run = Run::established(3, 1);
        run.crash(2);
        run.recover_epochs(2, 0, 0);
        run.first_is("EPM");
    }

    #[test]
    fn a_log_above_the_current_epoch() {
        let mut run = Run::booted(3);
        run.crash(2);
        run.recover_only(2, &[z(1, 1)]);
        run.first_is("EPM");
    }

    #[test]
    fn a_damaged_disk_begins_anew() {
        let mut run = Run::established(3, 1);
        run.crash(2);
        run.observe(2, &Observation::DiskDamaged);
        run.recover_epochs(2, 0, 0);
        run.sound();
    }
}
