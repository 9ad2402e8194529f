//! Sans-IO. What the console and a reload do to the pools.
//!
//! PAUSE and `WAIT_CLOSE` have to wait: the caller asks `is_drained` or `is_renewed`, and again
//! whenever an action of that name has come out.

use std::time::Instant;

use super::{DatabaseState, Gate, Pools};
use crate::pool::action::{Action, Actions, Pooled};
use crate::pool::key::{DatabaseId, PoolId, Scope};
use crate::pool::limits::{DatabaseLimits, PoolLimits, UserLimits};
use crate::pool::reason::{CommandError, Refusal, Why};

impl<C: Pooled, W: Clone> Pools<C, W> {
    /// PAUSE: from now on nothing is assigned or opened; idle connections go now, lent ones when
    /// they come back. Waiters wait (and may time out).
    pub fn pause(
        &mut self,
        scope: Scope,
        now: Instant,
        out: &mut Actions<C, W>,
    ) -> Result<(), CommandError> {
        match (scope, self.mode) {
            (_, Gate::Stopping) => return Err(CommandError::ShuttingDown),
            (Scope::All, Gate::Open) => self.mode = Gate::Paused,
            (Scope::All, Gate::Paused | Gate::Removed) => return Err(CommandError::AlreadyPaused),
            (Scope::Database(id), Gate::Open | Gate::Paused | Gate::Removed) => {
                self.running(id).ok_or(CommandError::NoSuchDatabase)?;
                self.database_mut(id).state = DatabaseState::Paused;
            }
        }
        self.drain(scope, None, Why::Paused, now, out);
        Ok(())
    }

    /// RESUME: ends a PAUSE of the same scope.
    pub fn resume(
        &mut self,
        scope: Scope,
        now: Instant,
        out: &mut Actions<C, W>,
    ) -> Result<(), CommandError> {
        match (scope, self.mode) {
            (_, Gate::Stopping) => return Err(CommandError::ShuttingDown),
            (Scope::All, Gate::Paused) => self.mode = Gate::Open,
            (Scope::All, Gate::Open | Gate::Removed) => return Err(CommandError::NotPaused),
            (Scope::Database(id), Gate::Open | Gate::Paused | Gate::Removed) => {
                let database = self.running(id).ok_or(CommandError::NoSuchDatabase)?;
                if database.state != DatabaseState::Paused {
                    return Err(CommandError::DatabaseNotPaused(database.name.clone()));
                }
                let database = self.database_mut(id);
                database.state = DatabaseState::Running;
                let due = database.removal_due();
                self.announce(due, out);
            }
        }
        for pool in self.pools_of(scope) {
            self.grow(pool, now, out);
        }
        Ok(())
    }

    /// KILL: pauses a database, refuses its waiters and closes what no client holds. The caller
    /// ends the clients, whose connections then come back and are closed.
    pub fn kill(
        &mut self,
        id: DatabaseId,
        now: Instant,
        out: &mut Actions<C, W>,
    ) -> Result<(), CommandError> {
        self.running(id).ok_or(CommandError::NoSuchDatabase)?;
        self.database_mut(id).state = DatabaseState::Paused;
        let refusal = Refusal::DatabaseRemoved;
        let scope = Scope::Database(id);
        self.drain(scope, Some(&refusal), Why::DatabaseRemoved, now, out);
        for pool in self.pools_of(scope) {
            if let Some(slots) = self.slots.get_mut(pool.0) {
                slots.begin_epoch();
            }
        }
        Ok(())
    }

    /// DISABLE: only remembered here; the login asks [`Self::is_disabled`].
    pub fn disable(&mut self, id: DatabaseId) -> Result<(), CommandError> {
        self.running(id).ok_or(CommandError::NoSuchDatabase)?;
        self.database_mut(id).disabled = true;
        Ok(())
    }

    /// ENABLE: new clients may log in again.
    pub fn enable(&mut self, id: DatabaseId) -> Result<(), CommandError> {
        self.running(id).ok_or(CommandError::NoSuchDatabase)?;
        self.database_mut(id).disabled = false;
        Ok(())
    }

    /// Whether new clients of a database are refused.
    pub fn is_disabled(&self, id: DatabaseId) -> bool {
        self.running(id).is_some_and(|database| database.disabled)
    }

    /// Whether a database is paused by its own PAUSE or KILL (SHOW DATABASES).
    pub fn is_paused(&self, id: DatabaseId) -> bool {
        self.running(id)
            .is_some_and(|database| database.state == DatabaseState::Paused)
    }

    /// RECONNECT, and what a changed database entry or address does: connections made before now
    /// are not used again. Idle ones go at once, lent ones when they come back.
    pub fn reconnect(&mut self, scope: Scope, now: Instant, out: &mut Actions<C, W>) {
        let pools = self.pools_of(scope);
        for pool in &pools {
            self.reconnect_pool(*pool, now, out);
        }
        for pool in pools {
            self.refill(pool, now, out);
        }
    }

    /// A server that could not be reached can be now: no pool waits for `server_login_retry`.
    pub fn try_again(&mut self, scope: Scope, now: Instant, out: &mut Actions<C, W>) {
        for pool in self.pools_of(scope) {
            if let Some(slots) = self.slots.get_mut(pool.0)
                && slots.failing.take().is_some()
            {
                self.refill(pool, now, out);
            }
        }
    }

    /// Whether no connection or opening from before the last RECONNECT is left (`WAIT_CLOSE`).
    pub fn is_renewed(&self, scope: Scope) -> bool {
        let pools = self.pools_of(scope);
        let mut pools = pools.iter().filter_map(|pool| self.slots.get(pool.0));
        pools.all(|slots| slots.stale() == 0)
    }

    /// Whether no connection or opening is left (PAUSE, shutdown).
    pub fn is_drained(&self, scope: Scope) -> bool {
        match scope {
            Scope::All => {
                let mut databases = self.databases.iter();
                databases.all(|(_, database)| database.quota.connections == 0)
            }
            Scope::Database(id) => {
                let found = self.databases.get(id.0);
                found.is_none_or(|database| database.quota.connections == 0)
            }
        }
    }

    /// Shutdown that waits for servers: waiters are refused, now and later; idle connections go
    /// now, lent ones when they come back. There is no way back.
    pub fn stop(&mut self, now: Instant, out: &mut Actions<C, W>) {
        self.mode = Gate::Stopping;
        self.drain(
            Scope::All,
            Some(&Refusal::ShuttingDown),
            Why::Paused,
            now,
            out,
        );
    }

    /// New limits for one pool. Connections above them go: idle ones now, lent ones when they
    /// come back.
    pub fn set_pool_limits(
        &mut self,
        pool: PoolId,
        limits: PoolLimits,
        now: Instant,
        out: &mut Actions<C, W>,
    ) {
        let Some(slots) = self.slots.get_mut(pool.0) else {
            return;
        };
        slots.set_limits(limits);
        while let Some(slots) = self.slots.get_mut(pool.0)
            && slots.live() > limits.ceiling()
            && let Some((slot, conn)) = slots.take_oldest_idle()
        {
            self.retire((pool, slot), conn, Why::TooManyInPool, now, out);
        }
        self.schedule_all(pool, out);
        self.refill(pool, now, out);
    }

    /// New limits for one database.
    pub fn set_database_limits(
        &mut self,
        id: DatabaseId,
        limits: DatabaseLimits,
        now: Instant,
        out: &mut Actions<C, W>,
    ) {
        let Some(database) = self.databases.get_mut(id.0) else {
            return;
        };
        database.limits = limits;
        database.quota.max = limits.max_db_connections;
        let due = database.removal_due();
        self.announce(due, out);
        while let Some(database) = self.databases.get(id.0)
            && database.quota.is_over()
            && let Some(pool) = self.longest_idle(&database.quota)
        {
            self.evict(pool, Why::EvictedForMaxDbConnections, now, out);
        }
        self.relieve(now, out);
    }

    /// New limits for one server user; without effect for a user that has no pool.
    pub fn set_user_limits(
        &mut self,
        name: &str,
        limits: UserLimits,
        now: Instant,
        out: &mut Actions<C, W>,
    ) {
        let Some(id) = self.user_ids.get(name).copied() else {
            return;
        };
        self.user_mut(id).quota.max = limits.max_user_connections;
        while self.user(id).quota.is_over()
            && let Some(pool) = self.longest_idle(&self.user(id).quota)
        {
            self.evict(pool, Why::EvictedForMaxUserConnections, now, out);
        }
        self.relieve(now, out);
    }

    fn reconnect_pool(&mut self, pool: PoolId, now: Instant, out: &mut Actions<C, W>) {
        self.empty_pool(pool, None, Why::ConfigurationChanged, now, out);
        if let Some(slots) = self.slots.get_mut(pool.0) {
            slots.begin_epoch();
        }
    }

    /// Empties the pools of a scope whose gate has just been closed.
    fn drain(
        &mut self,
        scope: Scope,
        refusal: Option<&Refusal>,
        why: Why,
        now: Instant,
        out: &mut Actions<C, W>,
    ) {
        let databases = self.databases.iter();
        let drained: Vec<_> = databases
            .filter(|(key, database)| {
                let wanted = match scope {
                    Scope::All => true,
                    Scope::Database(id) => id.0 == *key,
                };
                wanted && database.quota.connections == 0
            })
            .map(|(key, _)| DatabaseId(key))
            .collect();
        for pool in self.pools_of(scope) {
            self.empty_pool(pool, refusal, why, now, out);
        }
        for id in drained {
            out.push(Action::Drained(id));
        }
        self.relieve(now, out);
    }

    fn pools_of(&self, scope: Scope) -> Vec<PoolId> {
        match scope {
            Scope::All => self.slots.keys().into_iter().map(PoolId).collect(),
            Scope::Database(id) => {
                let found = self.databases.get(id.0);
                found.map_or_else(Vec::new, |database| database.quota.pools.clone())
            }
        }
    }
}
