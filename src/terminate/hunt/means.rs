//! By which means one thing is ended, so that nothing else is. Pure.

use crate::{
    pattern::SessionId,
    terminate::{
        order::Order,
        survey::{Identity, Seen},
    },
};

/// How one thing is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means<'a> {
    /// By `killOp` of this number.
    Operation(&'a str),
    /// By this session alone. Whatever else is in it ends too: the server has nothing finer for a
    /// cursor or a transaction.
    Session(SessionId),
}

/// How this is ended; `None` where it is ending already or is not ours to end. `refused`: it was
/// tried by `killOp`, which we may not use.
pub fn means<'a>(order: &Order, seen: &'a Seen, refused: bool) -> Option<Means<'a>> {
    if seen.pending {
        return None;
    }
    let session = seen.session.filter(|_| order.reaches(seen)).map(Means::Session);
    match &seen.identity {
        Identity::Cursor(_) | Identity::Transaction { .. } => session,
        Identity::Operation { opid, .. } => {
            let operation =
                (!refused && order.is_theirs_alone(seen)).then_some(Means::Operation(opid.as_str()));
            match seen.part_of {
                // A step is over before one gets to it; what it is a part of is not.
                Some(_) => session.or(operation),
                None => operation.or(session),
            }
        }
    }
}
