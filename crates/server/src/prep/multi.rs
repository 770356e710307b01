//! multi: all of its operations, in one transaction, or none.

use wire::client::{CreateRequest, MultiRequest, Op};
use wire::txn::{ErrorTxn, MultiTxn, SubTxn};
use wire::{CreateMode, TxnBody, code, op};

use super::create::without_ttl;
use super::{Ctx, PrepRequestProcessor, Prepared};

impl PrepRequestProcessor {
    /// A multi that fails is a transaction all the same: the operations before the one that failed as they
    /// are, then its code, then RuntimeInconsistency for each that is left. Who applies it looks for errors
    /// first.
    pub(super) fn multi(&mut self, ctx: &Ctx<'_>, multi: MultiRequest) -> Prepared {
        if multi.ops.iter().any(Op::is_read) {
            return Err(code::MARSHALLING_ERROR);
        }
        let mut failed = false;
        let mut txns = Vec::with_capacity(multi.ops.len());
        for operation in multi.ops {
            let prepared = match failed {
                true => Err(code::RUNTIME_INCONSISTENCY),
                false => self.operation(ctx, operation),
            };
            txns.push(match prepared {
                Ok((kind, body)) => SubTxn::new(kind, &body),
                Err(err) => {
                    if !failed {
                        self.changes.roll_back(ctx.zxid);
                    }
                    failed = true;
                    SubTxn::new(op::ERROR, &TxnBody::Error(ErrorTxn { err }))
                }
            });
        }
        Ok((op::MULTI, TxnBody::Multi(MultiTxn { txns })))
    }

    fn operation(&mut self, ctx: &Ctx<'_>, operation: Op) -> Prepared {
        match operation {
            Op::Create(create) => self.create(ctx, by_flags(op::CREATE, &create), create, None),
            Op::Create2(create) => self.create(ctx, by_flags(op::CREATE2, &create), create, None),
            Op::CreateContainer(create) => {
                self.create(ctx, by_flags(op::CREATE_CONTAINER, &create), create, None)
            }
            Op::CreateTTL(create) => {
                let (create, ttl) = without_ttl(create);
                match CreateMode::of(create.flags) {
                    Some(mode) if !mode.is_ttl() => {
                        self.create(ctx, by_flags(op::CREATE, &create), create, None)
                    }
                    _ => self.create(ctx, op::CREATE_TTL, create, Some(ttl)),
                }
            }
            Op::Delete(delete) => self.delete(ctx, delete),
            Op::SetData(set) => self.set_data(ctx, set),
            Op::Check(check) => self.check(ctx, check),
            Op::GetChildren(_) | Op::GetData(_) => Err(code::MARSHALLING_ERROR),
        }
    }
}

/// Inside a multi the flags decide: a container is one by whatever type it was sent (3.9).
fn by_flags(kind: i32, create: &CreateRequest) -> i32 {
    match CreateMode::of(create.flags) {
        Some(CreateMode::Container) => op::CREATE_CONTAINER,
        _ => kind,
    }
}
