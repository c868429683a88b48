//! terminate: plans become kills on every data-bearing member of every cluster, checked.

mod termination;

pub use termination::{
    ClusterReport, ClusterStatus, Evidence, IdleClient, Kind, Known, Near, NodeError, NodeReport, NodeStatus,
    PrincipalReport, Termination,
};
