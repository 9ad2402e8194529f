//! Sans-IO. The text of `pgweir check FILE`: what is wrong, then what is in effect.

use std::fmt::{Display, Write};

use super::diagnostic::{Diagnostic, Origin, Severity};
use super::effective::Config;
use super::load::Loaded;
use super::render::{self, Secrets};
use super::settings::SETTINGS;

/// The report on one outcome of `load`. Passwords are shown as `***`.
pub fn check(path: &str, outcome: &Result<Loaded, Vec<Diagnostic>>) -> String {
    let mut out = Text(String::new());
    match outcome {
        Ok(loaded) => {
            out.findings(path, &loaded.warnings);
            out.effective(&loaded.config);
        }
        Err(found) => out.findings(path, found),
    }
    out.0
}

struct Text(String);

impl Text {
    fn line(&mut self, text: impl Display) {
        writeln!(self.0, "{text}").expect("writing to a string cannot fail");
    }

    fn findings(&mut self, path: &str, found: &[Diagnostic]) {
        for diagnostic in found {
            self.line(format_args!("{} {diagnostic}", diagnostic.severity));
        }
        let count = |severity| {
            found
                .iter()
                .filter(|found| found.severity == severity)
                .count()
        };
        let errors = plural(count(Severity::Error), "error");
        let warnings = plural(count(Severity::Warning), "warning");
        self.line(format_args!("{path}: {errors}, {warnings}"));
    }

    fn effective(&mut self, config: &Config) {
        self.heading("settings that differ from their default");
        let changed = SETTINGS.iter().filter_map(|setting| {
            let assigned = config.sources.settings.get(setting.name)?;
            (!setting.is_default(&assigned.raw)).then_some((setting, assigned))
        });
        for (setting, assigned) in changed {
            let value = setting.kind.show(&assigned.raw);
            self.entry(setting.name, &value, Some(&assigned.origin));
        }
        self.heading("databases");
        let auto = config.autodb.iter().map(|spec| ("*", spec));
        let named = config
            .databases
            .iter()
            .filter(|(_, spec)| spec.derived_from.is_none())
            .map(|(name, spec)| (name.as_str(), spec));
        for (name, spec) in named.chain(auto) {
            let text = render::database(spec, Secrets::Masked);
            self.entry(
                &render::name(name),
                &text,
                config.sources.databases.get(name),
            );
        }
        if !config.users.is_empty() {
            self.heading("users");
        }
        for (name, spec) in &config.users {
            let origin = config.sources.users.get(name);
            self.entry(&render::name(name), &render::user(spec), origin);
        }
        if !config.peers.is_empty() {
            self.heading("peers");
        }
        for (id, spec) in &config.peers {
            self.entry(
                &id.to_string(),
                &render::peer(spec),
                config.sources.peers.get(id),
            );
        }
    }

    fn heading(&mut self, text: &str) {
        self.line(format_args!("\n{text}:"));
    }

    fn entry(&mut self, name: &str, value: &str, origin: Option<&Origin>) {
        match origin {
            Some(origin) => self.line(format_args!("  {name} = {value}  ({origin})")),
            None => self.line(format_args!("  {name} = {value}")),
        }
    }
}

fn plural(count: usize, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn report(text: &str, env: &[(&str, &str)]) -> String {
        let read = |_: &str| Ok(text.as_bytes().to_vec());
        let env: Vec<(String, String)> = env
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        check("a.ini", &load(&read, "a.ini", &env))
    }

    #[test]
    fn a_good_file_is_shown_with_the_origin_of_everything() {
        let text = "[pgbouncer]\nlisten_addr=127.0.0.1\nauth_file=u\nserver_idle_timeout=600.0\n\
            [databases]\nb=host=/run user=u password='geh eim'\n*=\n'a b'=host=a,b pool_size=3\n\
            [users]\nme=pool_mode=transaction\n[peers]\n2=host=p\n";
        let expected = "a.ini: 0 errors, 0 warnings\n\
            \nsettings that differ from their default:\n\
            \x20 auth_file = u  (a.ini:3)\n\
            \x20 conffile = a.ini  (command line)\n\
            \x20 listen_addr = 127.0.0.1  (a.ini:2)\n\
            \x20 query_timeout = 1.5  (environment PGWEIR_QUERY_TIMEOUT)\n\
            \ndatabases:\n\
            \x20 'a b' = host=a,b port=5432 pool_size=3  (a.ini:8)\n\
            \x20 b = host=/run port=5432 user=u password=***  (a.ini:6)\n\
            \x20 * = port=5432  (a.ini:7)\n\
            \nusers:\n\
            \x20 me = pool_mode=transaction  (a.ini:10)\n\
            \npeers:\n\
            \x20 2 = host=p port=6432  (a.ini:12)\n";
        assert_eq!(report(text, &[("PGWEIR_QUERY_TIMEOUT", "1.50")]), expected);
    }

    #[test]
    fn a_bad_file_is_shown_with_its_findings_only() {
        let text = "[pgbouncer]\nauth_type=hba\npkt_buf=1\npool_mod=x\n";
        let expected = "ERROR a.ini:2: auth_type=hba is not built yet, and a weaker way to log in \
            will not stand in for it\n\
            WARNING a.ini:3: pkt_buf has no effect: buffers belong to the worker threads and need \
            no tuning\n\
            ERROR a.ini:4: unknown setting \"pool_mod\", did you mean \"pool_mode\"?\n\
            a.ini: 2 errors, 1 warning\n";
        assert_eq!(report(text, &[]), expected);
    }
}
