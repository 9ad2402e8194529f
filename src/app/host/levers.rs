//! PAUSE, RESUME, KILL and their kin, from the console or a signal.
//!
//! Which database may be named follows `PgBouncer`: PAUSE, DISABLE, KILL, RECONNECT and `WAIT_CLOSE`
//! make a database known that only the `*` entry covers; RESUME and ENABLE do not. What is done to a
//! database with replicas is done to the entries of its hosts as well.

use std::sync::Arc;

use crate::admin::command::{Scope, ShutdownMode};
use crate::admin::host::{ConsoleError, Done, Verb};
use crate::config::Registration;
use crate::ids::ConnId;
use crate::pool::{CommandError, DatabaseId, Scope as PoolScope};
use crate::pooler::control::Leave;
use crate::process::{Activity, Signal, Stop, Verdict, systemd};
use crate::telemetry::events;

use super::{Host, clocks, is_console};
use crate::app::shutdown::Stage;

impl Host {
    /// `PAUSE [db]`: ends when no connection of the scope is left. It ends with
    /// [`ConsoleError::Canceled`] when somebody resumes meanwhile.
    pub async fn pause(&self, scope: &Scope) -> Done {
        self.refuse_while_paused()?;
        let scopes = self.scopes(scope, Verb::Pause)?;
        for scope in &scopes {
            self.pause_at_once(*scope)?;
        }
        for scope in scopes {
            self.wait_drained(scope).await?;
        }
        Ok(())
    }

    async fn wait_drained(&self, scope: PoolScope) -> Done {
        let mut resumed = self.inner.resumed.subscribe();
        let drained = self.pooler().pools.drained(scope);
        let mut drained = std::pin::pin!(drained);
        loop {
            if !self.is_paused(scope) {
                return Err(ConsoleError::Canceled);
            }
            // Both are cancel-safe: they only look.
            tokio::select! {
                biased;
                _ = resumed.changed() => {}
                () = &mut drained => return Ok(()),
            }
        }
    }

    fn pause_at_once(&self, scope: PoolScope) -> Done {
        let now = clocks().0;
        let outcome = self
            .pooler()
            .pools
            .with(|pools, out| pools.pause(scope, now, out));
        self.pooler().lending_changed();
        outcome.map_err(|error| refusal(&error))
    }

    fn is_paused(&self, scope: PoolScope) -> bool {
        self.pooler().pools.with(|pools, _| match scope {
            PoolScope::All => pools.is_all_paused(),
            PoolScope::Database(id) => pools.is_paused(id) || pools.is_drained(scope),
        })
    }

    fn refuse_while_paused(&self) -> Done {
        if self.pooler().pools.with(|pools, _| pools.is_all_paused()) {
            Err(ConsoleError::AlreadyPaused)
        } else {
            Ok(())
        }
    }

    /// `RESUME [db]`.
    pub fn resume(&self, scope: &Scope) -> Done {
        match scope {
            Scope::All if self.way_out().stage() > Stage::Serving => {
                Err(ConsoleError::ShuttingDown)
            }
            Scope::All => self.resume_scope(PoolScope::All),
            Scope::Database(name) => {
                let own = match self.known(name) {
                    Some(id) => self.resume_scope(PoolScope::Database(id)),
                    None => Err(self.not_to_be_resumed(name)),
                };
                let hosts = self.known_hosts(name).into_iter();
                let hosts = hosts.map(|id| self.resume_scope(PoolScope::Database(id)));
                // Enough that something was paused: a host can be paused alone.
                hosts.fold(own, |outcome, host| {
                    outcome.or_else(|error| host.map_err(|_| error))
                })
            }
        }
    }

    fn resume_scope(&self, scope: PoolScope) -> Done {
        let now = clocks().0;
        let outcome =
            self.pooler()
                .pools
                .with(|pools, out| match (scope, pools.resume(scope, now, out)) {
                    // Its own pause cannot matter any more: everything is stopped.
                    (PoolScope::Database(id), Err(CommandError::ShuttingDown))
                        if pools.is_paused(id) =>
                    {
                        Ok(())
                    }
                    (_, outcome) => outcome,
                });
        self.pooler().lending_changed();
        self.inner.resumed.send_replace(());
        match (outcome, scope) {
            (Err(CommandError::ShuttingDown), PoolScope::Database(id)) => {
                Err(ConsoleError::DatabaseNotPaused(self.name(id)))
            }
            (outcome, PoolScope::All | PoolScope::Database(_)) => {
                outcome.map_err(|error| refusal(&error))
            }
        }
    }

    /// Why a database that no pool knows cannot be resumed.
    fn not_to_be_resumed(&self, name: &str) -> ConsoleError {
        let config = self.pooler().config();
        let named = config
            .database(name)
            .is_some_and(|found| found.registration == Registration::Named);
        if named || is_console(name) {
            ConsoleError::DatabaseNotPaused(name.to_owned())
        } else {
            ConsoleError::NoSuchDatabase(name.to_owned())
        }
    }

    /// `KILL [db]`: its clients are told `database removed`, and it stays paused. `KILL` of all
    /// takes the databases that are in use.
    pub fn kill(&self, scope: &Scope) -> Done {
        self.refuse_while_paused()?;
        let doomed = match scope {
            Scope::Database(name) => self.registered(name, Verb::Kill)?,
            Scope::All => {
                let known = self.pooler().pools.with(|pools, _| pools.databases());
                let used = known.into_iter().filter(|database| database.pools > 0);
                used.map(|database| database.id).collect()
            }
        };
        for id in doomed {
            let name = self.name(id);
            let now = clocks().0;
            let outcome = self
                .pooler()
                .pools
                .with(|pools, out| pools.kill(id, now, out));
            self.pooler().lending_changed();
            outcome.map_err(|error| refusal(&error))?;
            self.send_away(&name);
        }
        Ok(())
    }

    /// Tells the clients of a database that it is gone.
    pub(super) fn send_away(&self, database: &str) {
        for client in self.pooler().clients.all() {
            if &*client.card.database == database {
                client.control.order(Leave::DatabaseRemoved);
            }
        }
    }

    /// `KILL_CLIENT id`. The client may be the one that asks: it is told like any other.
    pub fn kill_client(&self, id: ConnId) -> Done {
        let client = self.pooler().clients.find(id);
        let client = client.ok_or(ConsoleError::ClientNotFound)?;
        client.control.order(Leave::Killed);
        Ok(())
    }

    /// `DISABLE db`.
    pub fn disable(&self, database: &str) -> Done {
        for id in self.registered(database, Verb::Disable)? {
            let outcome = self.pooler().pools.with(|pools, _| pools.disable(id));
            outcome.map_err(|error| refusal(&error))?;
        }
        Ok(())
    }

    /// `ENABLE db`.
    pub fn enable(&self, database: &str) -> Done {
        if is_console(database) {
            return Err(admin(Verb::Enable, database));
        }
        let own = self.known(database);
        for id in own.into_iter().chain(self.known_hosts(database)) {
            let outcome = self.pooler().pools.with(|pools, _| pools.enable(id));
            outcome.map_err(|error| refusal(&error))?;
        }
        match own {
            Some(_) => Ok(()),
            // Named, and nobody has ever disabled it.
            None if self.pooler().config().databases.contains_key(database) => Ok(()),
            None => Err(ConsoleError::NoSuchDatabase(database.to_owned())),
        }
    }

    /// `RECONNECT [db]`: connections made before are not used again.
    pub fn reconnect(&self, scope: &Scope) -> Done {
        for scope in self.scopes(scope, Verb::Reconnect)? {
            self.renew(scope);
        }
        Ok(())
    }

    /// The same for a scope of the pools.
    pub(super) fn renew(&self, scope: PoolScope) {
        self.forget_welcomes(scope);
        let now = clocks().0;
        self.pooler()
            .pools
            .with(|pools, out| pools.reconnect(scope, now, out));
        self.pooler().nudge_clients();
    }

    /// The next server of each pool may greet with other parameters.
    pub(super) fn forget_welcomes(&self, scope: PoolScope) {
        let pooler = self.pooler();
        for room in pooler.rooms.all() {
            let id = pooler
                .pools
                .with(|pools, _| pools.find_database(&room.key.database));
            match scope {
                PoolScope::Database(wanted) if id != Some(wanted) => {}
                PoolScope::All | PoolScope::Database(_) => room.forget_welcome(),
            }
        }
    }

    /// `WAIT_CLOSE [db]`: ends when no connection is left from before RECONNECT.
    pub async fn wait_close(&self, scope: &Scope) -> Done {
        for scope in self.scopes(scope, Verb::WaitClose)? {
            self.pooler().pools.renewed(scope).await;
        }
        Ok(())
    }

    /// `SHUTDOWN [mode]`.
    pub fn shut_down(&self, mode: ShutdownMode) {
        match mode {
            ShutdownMode::Immediate => self.way_out().exit(),
            ShutdownMode::WaitForServers => self.stop(Stop::WaitForServers),
            ShutdownMode::WaitForClients => self.stop(Stop::WaitForClients),
        }
    }

    fn stop(&self, stop: Stop) {
        // Without a service manager there is nobody to tell.
        drop(systemd::stopping());
        self.way_out().command(stop, self.pooler());
    }

    /// Does what a signal asks for.
    pub async fn obey(&self, signal: Signal) {
        let paused = self.pooler().pools.with(|pools, _| pools.is_all_paused());
        let activity = if paused {
            Activity::Paused
        } else {
            Activity::Running
        };
        let (verdict, line) = self.way_out().judge(signal, activity);
        events::signal(line);
        match verdict {
            Verdict::Reload => drop(self.reload().await),
            Verdict::Pause => drop(self.pause_at_once(PoolScope::All)),
            Verdict::Resume => drop(self.resume(&Scope::All)),
            Verdict::Stop(stop) => {
                drop(systemd::stopping());
                self.way_out().begin(stop, self.pooler());
            }
            Verdict::Exit => self.way_out().exit(),
            Verdict::Ignore => {}
        }
    }

    fn scopes(&self, scope: &Scope, verb: Verb) -> Result<Vec<PoolScope>, ConsoleError> {
        match scope {
            Scope::All => Ok(vec![PoolScope::All]),
            Scope::Database(name) => {
                let ids = self.registered(name, verb)?.into_iter();
                Ok(ids.map(PoolScope::Database).collect())
            }
        }
    }

    /// A database that the pools know.
    pub(super) fn known(&self, name: &str) -> Option<DatabaseId> {
        self.pooler()
            .pools
            .with(|pools, _| pools.find_database(name))
    }

    /// The entries of a database's hosts that the pools know.
    fn known_hosts(&self, name: &str) -> Vec<DatabaseId> {
        let family = self.pooler().config().family(name);
        let hosts = family.iter().skip(1);
        hosts.filter_map(|host| self.known(host)).collect()
    }

    fn name(&self, id: DatabaseId) -> String {
        let known = self.pooler().pools.with(|pools, _| pools.databases());
        let found = known.into_iter().find(|database| database.id == id);
        found.map_or_else(String::new, |database| database.name.to_string())
    }

    /// A database of the configuration with the entries of its hosts, made known to the pools where
    /// they are not yet.
    fn registered(&self, name: &str, verb: Verb) -> Result<Vec<DatabaseId>, ConsoleError> {
        if is_console(name) {
            return Err(admin(verb, name));
        }
        let family = self.pooler().config().family(name);
        let ids = family.iter().map(|entry| {
            let found = self.pooler().database(&Arc::from(&**entry), clocks().0);
            found.ok_or_else(|| ConsoleError::NoSuchDatabase(name.to_owned()))
        });
        ids.collect()
    }
}

fn admin(verb: Verb, name: &str) -> ConsoleError {
    let database = name.to_owned();
    ConsoleError::AdminDatabase { verb, database }
}

fn refusal(error: &CommandError) -> ConsoleError {
    match error {
        // Stopping is a pause without an end.
        CommandError::AlreadyPaused | CommandError::ShuttingDown => ConsoleError::AlreadyPaused,
        CommandError::NotPaused => ConsoleError::NotPaused,
        CommandError::DatabaseNotPaused(name) => ConsoleError::DatabaseNotPaused(name.to_string()),
        // It left the configuration this very moment.
        CommandError::NoSuchDatabase => ConsoleError::NoSuchDatabase(String::new()),
    }
}
