//! `FinalRequestProcessor`: what a client is answered. Replies to writes come from the result of applying
//! them, reads from the tree as it is.

mod read;

use bytes::Bytes;
use wire::client::{
    Create2Response, CreateResponse, ErrorResponse, GetDataResponse, MultiResponse, OpResult, Response,
    SetACLResponse, SetDataResponse,
};
use wire::{Stat, code, op};

use crate::data_tree::{DataTree, ProcessTxnResult};

pub(crate) use read::{Answer, answer, is_watch_request};
pub use zab::ReadRequest;

/// The record for the client that asked, or the error code. SessionMoved stands for no reply at all: the
/// connection is closed.
pub fn reply(tree: &DataTree, result: ProcessTxnResult) -> Result<Response, i32> {
    if result.kind == op::MULTI {
        return multi_reply(result.multi).map(Response::Multi);
    }
    if result.err != code::OK {
        return Err(result.err);
    }
    let ProcessTxnResult { kind, path, stat, .. } = result;
    let stat = || stat.ok_or(code::MARSHALLING_ERROR);
    Ok(match kind {
        op::CREATE => Response::Create(CreateResponse { path }),
        op::CREATE2 | op::CREATE_CONTAINER | op::CREATE_TTL => {
            Response::Create2(Create2Response { path, stat: stat()? })
        }
        op::SET_DATA => Response::SetData(SetDataResponse { stat: stat()? }),
        op::SET_ACL => Response::SetACL(SetACLResponse { stat: stat()? }),
        op::RECONFIG => {
            let data = tree.find(&path).and_then(|id| tree.node(id).data()).map(Bytes::copy_from_slice);
            Response::GetData(GetDataResponse { data, stat: stat()? })
        }
        _ => Response::Empty,
    })
}

/// A multi that failed is answered as one that did not: its operations tell.
fn multi_reply(parts: Vec<ProcessTxnResult>) -> Result<MultiResponse, i32> {
    let mut results = Vec::with_capacity(parts.len());
    for part in parts {
        let ProcessTxnResult { kind, err, path, stat, .. } = part;
        if err == code::SESSION_MOVED {
            return Err(err);
        }
        let stat = stat.unwrap_or_else(Stat::default);
        results.push(match kind {
            op::ERROR => OpResult::Error(ErrorResponse { err }),
            op::CREATE => OpResult::Create(CreateResponse { path }),
            op::CREATE2 | op::CREATE_CONTAINER | op::CREATE_TTL => {
                OpResult::Create2(Create2Response { path, stat })
            }
            op::DELETE | op::DELETE_CONTAINER => OpResult::Delete,
            op::SET_DATA => OpResult::SetData(SetDataResponse { stat }),
            op::CHECK => OpResult::Check,
            _ => return Err(code::MARSHALLING_ERROR),
        });
    }
    Ok(MultiResponse { results })
}
