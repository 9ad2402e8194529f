//! Who gets which server connection.
//!
//! The decisions are Sans-IO (`Pools` and below): an event is a method call with the time as an
//! argument, the outcome is a list of [`Action`]s. All pools of the process live in one [`Pools`]
//! behind one mutex with short critical sections, so a limit is one number for the process,
//! whatever the number of workers, and PAUSE or eviction need no agreement between threads.
//!
//! The shell is thin: [`PoolHandle`] has the mutex and carries actions out, [`Mailbox`] is how a
//! client waits, [`Lease`] is a connection in its hands, `janitor` lets time pass.
//!
//! Invariants (`Pools::check_invariants`): connections that exist or are being opened never exceed
//! the limits of pool, database and user, unless a limit was lowered under lent ones; a waiter is
//! answered exactly once; the oldest waiter of a worker comes first, and one of another worker does
//! not wait much longer (`waitlist`); no connection is idle while a waiter of its pool waits; a
//! connection whose lease was dropped without a verdict is not used again.

pub mod action;
pub mod handle;
pub mod janitor;
pub mod key;
pub mod lease;
pub mod limits;
pub mod mailbox;
pub mod pools;
pub mod reason;
mod slab;
mod slots;
mod waitlist;

pub use action::{Action, Actions, CancelTicket, Check, Lent, OpenTicket, Pooled, Use, Verdict};
pub use handle::{CancelGuard, Membership, Opener, PendingOpen, PoolHandle, Removed};
pub use key::{DatabaseId, PoolId, PoolKey, Scope, SlotId, UserId, WaiterId, WorkerId};
pub use lease::Lease;
pub use limits::{DatabaseLimits, KeepMinimum, Order, PoolLimits, UserLimits};
pub use mailbox::{Acquire, Mailbox, Waiting};
pub use pools::{DatabaseSnapshot, PoolSnapshot, Pools, Request};
pub use reason::{CommandError, OpenFailure, Refusal, Why};
pub use slots::{Doing, Standing};
pub use waitlist::WaiterKind;
