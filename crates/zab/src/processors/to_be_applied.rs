//! `ToBeAppliedRequestProcessor`: what a leader has committed and not applied yet. A learner that joins
//! in between finds it neither among the outstanding proposals nor in the applied state, so it is sent
//! from here.

use std::collections::VecDeque;

use wire::Zxid;

use crate::disk::TxnEntry;

#[derive(Clone, Debug, Default)]
pub struct ToBeAppliedRequestProcessor {
    to_be_applied: VecDeque<TxnEntry>,
}

impl ToBeAppliedRequestProcessor {
    pub fn committed(&mut self, entry: TxnEntry) {
        self.to_be_applied.push_back(entry);
    }

    pub fn applied_through(&mut self, zxid: Zxid) {
        while self.to_be_applied.pop_front_if(|entry| entry.zxid <= zxid).is_some() {}
    }

    pub fn behind(&self, zxid: Zxid) -> impl Iterator<Item = &TxnEntry> + '_ {
        self.to_be_applied.iter().filter(move |entry| entry.zxid > zxid)
    }
}
