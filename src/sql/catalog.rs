//! Sans-IO. What is known of the functions, operators, casts and relations of one database.
//!
//! Everything goes by its last name, over all schemas: `f` is harmless only if every function named
//! `f`, `PostgreSQL`'s own and the users', in every schema and with every number of arguments, is.
//! That is simpler than resolving a name as the server does, and it needs to know neither the
//! session's `search_path` nor the types of arguments, which a proxy cannot see. The price is that
//! one volatile function takes all of its name to the primary.
//!
//! Invariant: what is not known is not harmless, also before the catalog has been read, and when
//! the database has more than [`MAX_ROWS`] of interest.
//! Not here: when it is read (a shell asks [`Catalog::QUERY`] in the background).

use std::collections::{HashMap, HashSet};

use super::functions::{self, NAME_BYTES};
use super::verdict::{Reason, Verdict};

/// Rows of [`Catalog::QUERY`] that are kept at most. With more of them, users' functions stay unknown.
pub const MAX_ROWS: usize = 50_000;

/// How much of a database is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Knowledge {
    /// Nothing has been read: `PostgreSQL`'s own functions are known, no others.
    #[default]
    BuiltinsOnly,
    /// All of it.
    Complete,
    /// There was more than [`MAX_ROWS`]: as if nothing had been read.
    TooMuch,
}

/// What all the users' functions of one name are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Functions {
    /// None is volatile.
    Harmless,
    /// Some are volatile, and those are written in C.
    VolatileInC,
    /// Some are volatile.
    Volatile,
}

/// Where users made casts or comparisons with a volatile function: they are called without a name or
/// symbol that could be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Hidden {
    /// There are none.
    #[default]
    Nowhere,
    /// Some casts have to be written down.
    InCasts,
    /// Any expression may call them: `a IN (b)` calls `=`, and some casts are implicit.
    Anywhere,
}

/// Operators that other words stand for: `IN`, `BETWEEN`, `LIKE`, `DISTINCT`, `ORDER BY`.
const COMPARISONS: &[&str] = &[
    "!~~", "!~~*", "<", "<=", "<>", "=", ">", ">=", "~", "~~", "~~*",
];

/// What is known of a database. The default knows what every database has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    functions: HashMap<Box<str>, Functions>,
    /// Operators that users made; whether they are all without side effects.
    operators: HashMap<Box<str>, bool>,
    /// Volatile functions of one row, which `row.name` calls too.
    of_rows: HashSet<Box<str>>,
    hidden: Hidden,
    /// Unlogged tables (empty on a standby), sequences (ahead on a standby), foreign tables (files of
    /// the server, for all we know), views that call what a query may not call, and whatever reads
    /// from one of these.
    relations: HashSet<Box<str>>,
    knowledge: Knowledge,
}

/// Why rows cannot be what [`Catalog::QUERY`] gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// A row of no known kind.
    #[error(
        "expected a function, an operator, a cast or a relation, got kind {kind:?} ({class:?})"
    )]
    Row {
        /// Its first column.
        kind: String,
        /// Its last one.
        class: String,
    },
}

impl Catalog {
    /// What to ask a database for: three columns of text. Works for every user of `PostgreSQL` 13 and
    /// later. Objects below 16384 came with the server. An aggregate is declared immutable whatever it
    /// calls, so its parts are asked; triggers and procedures cannot be called in a query. What views
    /// use of the server's own is written nowhere but in their trees; where there are very many views
    /// that would take too long, and a standby's refusal has to do.
    pub const QUERY: &str = "\
with recursive calls as (
  select p.proname as name, p.provolatile = 'v' as volatile, l.lanname in ('c', 'internal') as in_c
  from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
  where p.oid >= 16384 and p.prokind in ('f', 'w')
    and p.prorettype not in ('pg_catalog.trigger'::regtype, 'pg_catalog.event_trigger'::regtype)
  union all
  select p.proname, coalesce(part.provolatile = 'v', false), false
  from pg_catalog.pg_proc p join pg_catalog.pg_aggregate a on a.aggfnoid = p.oid
  left join pg_catalog.pg_proc part on part.oid in (a.aggtransfn, a.aggfinalfn, a.aggcombinefn,
    a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
  where p.oid >= 16384),
views as (
  select r.oid as rule, r.ev_class as oid, r.ev_action::text as tree
  from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
  where c.oid >= 16384 and c.relkind = 'v' and r.ev_type = '1'),
in_trees as (
  select v.oid, used[1] as kind, used[2]::bigint::oid as uses
  from views v, pg_catalog.regexp_matches(v.tree, ':(funcid|relid) (\\d+)', 'g') used
  where (select count(*) from views) <= 2000),
of_their_server(oid) as (
  select c.oid from pg_catalog.pg_class c
  where c.oid >= 16384
    and (c.relpersistence = 'u' and c.relkind in ('r', 'p', 'm') or c.relkind in ('S', 'f'))
  union
  select v.oid from views v
  join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = v.rule
  join pg_catalog.pg_proc p on d.refclassid = 'pg_catalog.pg_proc'::regclass and d.refobjid = p.oid
  where p.provolatile = 'v'
  union
  select t.oid from in_trees t where t.kind = 'relid' and t.uses between 1 and 16383
  union
  select t.oid from in_trees t join pg_catalog.pg_proc p on p.oid = t.uses
  where t.kind = 'funcid' and t.uses < 16384
    and (p.provolatile = 'v' or p.proname in ('current_setting', 'inet_server_addr',
      'inet_server_port', 'inet_client_addr', 'inet_client_port', 'version')
      or p.proname ~ '^(txid_|pg_(current|stat|last|control|wal|my|backend|postmaster|conf))')
    and p.proname not in ('array_sample', 'array_shuffle', 'clock_timestamp', 'gen_random_uuid',
      'pg_sleep', 'pg_sleep_for', 'pg_sleep_until', 'random', 'random_normal', 'timeofday',
      'uuidv4', 'uuidv7')
  union
  select reader.oid
  from of_their_server o
  cross join lateral (
    select i.inhparent as oid from pg_catalog.pg_inherits i where i.inhrelid = o.oid
    union all
    select v.oid from pg_catalog.pg_depend d join views v on v.rule = d.objid
    where d.classid = 'pg_catalog.pg_rewrite'::regclass
      and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = o.oid) reader)
select 'function' as kind, name::text,
  case when not bool_or(volatile) then 'harmless'
       when bool_and(in_c or not volatile) then 'volatile in c' else 'volatile' end as class
from calls group by name
union all
select 'of rows', p.proname::text, 'volatile'
from pg_catalog.pg_proc p join pg_catalog.pg_type t on t.oid = p.proargtypes[0]
where p.oid >= 16384 and p.prokind = 'f' and p.provolatile = 'v'
  and p.pronargs - p.pronargdefaults <= 1 and t.typtype in ('c', 'd', 'p')
group by p.proname
union all
select 'operator', o.oprname::text,
  case when bool_or(coalesce(p.provolatile = 'v', true)) then 'volatile' else 'harmless' end
from pg_catalog.pg_operator o left join pg_catalog.pg_proc p on p.oid = o.oprcode
where o.oid >= 16384 group by o.oprname
union all
select 'cast', 'any', case when c.castcontext = 'e' then 'explicit' else 'implicit' end
from pg_catalog.pg_cast c join pg_catalog.pg_proc p on p.oid = c.castfunc
where c.oid >= 16384 and p.provolatile = 'v' group by 3
union all
select 'relation', c.relname::text, 'of its server'
from of_their_server o join pg_catalog.pg_class c on c.oid = o.oid
where c.relkind not in ('i', 'I') group by c.relname
limit 50001";

    /// What is known before anything has been read.
    pub fn builtin() -> Self {
        Self::default()
    }

    /// What is still known when functions may have changed: relations seldom become harmless.
    #[must_use]
    pub fn without_functions(&self) -> Self {
        Self {
            relations: self.relations.clone(),
            ..Self::default()
        }
    }

    /// What the rows of [`Catalog::QUERY`] say. Names that are not UTF-8 are left out: a statement
    /// that has one is not looked at either.
    pub fn from_rows<'a>(
        rows: impl IntoIterator<Item = [&'a [u8]; 3]>,
    ) -> Result<Self, CatalogError> {
        let mut catalog = Self {
            knowledge: Knowledge::Complete,
            ..Self::default()
        };
        for (count, [kind, name, class]) in rows.into_iter().enumerate() {
            if count >= MAX_ROWS {
                return Ok(Self {
                    knowledge: Knowledge::TooMuch,
                    ..Self::default()
                });
            }
            if let Ok(name) = std::str::from_utf8(name) {
                catalog.add(kind, name, class)?;
            }
        }
        Ok(catalog)
    }

    fn add(&mut self, kind: &[u8], name: &str, class: &[u8]) -> Result<(), CatalogError> {
        match (kind, class) {
            (b"function", b"harmless") => self.add_function(name, Functions::Harmless),
            (b"function", b"volatile in c") => self.add_function(name, Functions::VolatileInC),
            (b"function", b"volatile") => self.add_function(name, Functions::Volatile),
            (b"operator", b"harmless" | b"volatile") => {
                let harmless = class == b"harmless";
                *self.operators.entry(name.into()).or_insert(true) &= harmless;
                if !harmless && COMPARISONS.contains(&name) {
                    self.hidden = Hidden::Anywhere;
                }
            }
            (b"of rows", b"volatile") => drop(self.of_rows.insert(name.into())),
            (b"cast", b"explicit") => self.hidden = self.hidden.max(Hidden::InCasts),
            (b"cast", b"implicit") => self.hidden = Hidden::Anywhere,
            (b"relation", b"of its server") => drop(self.relations.insert(name.into())),
            _ => {
                return Err(CatalogError::Row {
                    kind: String::from_utf8_lossy(kind).into_owned(),
                    class: String::from_utf8_lossy(class).into_owned(),
                });
            }
        }
        Ok(())
    }

    fn add_function(&mut self, name: &str, functions: Functions) {
        self.functions.insert(name.into(), functions);
    }

    /// How much of its database it knows.
    pub fn knowledge(&self) -> Knowledge {
        self.knowledge
    }

    /// What a call of a function of this name is. Folded as the server folds it, without schema.
    pub fn call(&self, name: &str) -> Verdict {
        match self.known_call(name) {
            Some(verdict) => verdict,
            None => Verdict::primary(Reason::UnknownFunction),
        }
    }

    /// The same where the name may be no function at all: `None` if none is known.
    pub fn known_call(&self, name: &str) -> Option<Verdict> {
        if let Some(verdict) = functions::never_harmless(name) {
            return Some(verdict);
        }
        let builtin = functions::builtin_is_harmless(name);
        let users = match self.functions.get(name) {
            None => None,
            Some(Functions::Harmless) => Some(true),
            Some(Functions::VolatileInC) => Some(functions::harmless_in_c(name)),
            Some(Functions::Volatile) => Some(false),
        };
        match (builtin, users) {
            (None, None) => None,
            (Some(false), _) | (_, Some(false)) => Some(Verdict::primary(Reason::VolatileFunction)),
            (Some(true), _) | (None, Some(true)) => Some(Verdict::READ),
        }
    }

    /// What `value.name` is, if it is known to be a call: attribute notation calls a function of one
    /// argument. `None` where it may as well be a column.
    pub fn attribute(&self, name: &str) -> Option<Verdict> {
        match name {
            "version" | "lastval" => None, // they have no argument
            _ => self.known_call(name),
        }
    }

    /// The same for `row.name`, which is a column nearly always. `PostgreSQL`'s own volatile
    /// functions take no rows.
    pub fn attribute_of_row(&self, name: &str) -> Option<Verdict> {
        if self.of_rows.contains(name) || name.len() > NAME_BYTES {
            Some(Verdict::primary(Reason::VolatileFunction))
        } else {
            None
        }
    }

    /// What the use of an operator is.
    pub fn operator(&self, symbol: &str) -> Verdict {
        match self.operators.get(symbol) {
            Some(false) => Verdict::primary(Reason::VolatileFunction),
            Some(true) => Verdict::READ,
            None if OPERATORS.binary_search(&symbol).is_ok() => Verdict::READ,
            None => Verdict::primary(Reason::UnknownFunction),
        }
    }

    /// What a cast to a type of this name is. A type that nobody knows may have any input function.
    pub fn cast(&self, target: &str) -> Verdict {
        match (self.hidden, self.knowledge) {
            (Hidden::InCasts | Hidden::Anywhere, _) => Verdict::primary(Reason::VolatileFunction),
            (Hidden::Nowhere, Knowledge::Complete) => Verdict::READ,
            (Hidden::Nowhere, Knowledge::BuiltinsOnly | Knowledge::TooMuch) => {
                if TYPES.binary_search(&target).is_ok() {
                    Verdict::READ
                } else {
                    Verdict::primary(Reason::UnknownFunction)
                }
            }
        }
    }

    /// What any expression may be, whatever it calls by name.
    pub fn unseen(&self) -> Verdict {
        match self.hidden {
            Hidden::Nowhere | Hidden::InCasts => Verdict::READ,
            Hidden::Anywhere => Verdict::primary(Reason::VolatileFunction),
        }
    }

    /// What reading from a relation is, by its schema where one is named, and its name.
    pub fn relation(&self, schema: Option<&str>, name: &str) -> Verdict {
        match schema {
            Some(schema) if schema.starts_with("pg_temp") => Verdict::primary(Reason::SessionState),
            Some(schema) if schema.starts_with("pg_") || schema == "information_schema" => {
                Verdict::primary(Reason::SystemCatalog)
            }
            Some(_) | None if name.starts_with("pg_") => Verdict::primary(Reason::SystemCatalog),
            Some(_) | None if self.relations.contains(name) || name.len() > NAME_BYTES => {
                Verdict::primary(Reason::NodeDependent)
            }
            Some(_) | None => Verdict::READ,
        }
    }
}

/// The operators that `PostgreSQL` brings along: none of them is volatile.
const OPERATORS: &[&str] = &[
    "!!", "!~", "!~*", "!~~", "!~~*", "#", "##", "#-", "#>", "#>>", "%", "&", "&&", "&<", "&<|",
    "&>", "*", "*<", "*<=", "*<>", "*=", "*>", "*>=", "+", "-", "->", "->>", "-|-", "/", "<",
    "<->", "<<", "<<=", "<<|", "<=", "<>", "<@", "<^", "=", ">", ">=", ">>", ">>=", ">^", "?",
    "?#", "?&", "?-", "?-|", "?|", "?||", "@", "@-@", "@>", "@?", "@@", "@@@", "^", "^@", "|",
    "|&>", "|/", "|>>", "||", "||/", "~", "~*", "~<=~", "~<~", "~=", "~>=~", "~>~", "~~", "~~*",
];

/// The types that `PostgreSQL` brings along and that its grammar has no word of its own for.
const TYPES: &[&str] = &[
    "any",
    "bit",
    "bool",
    "box",
    "bpchar",
    "bytea",
    "char",
    "cid",
    "cidr",
    "circle",
    "date",
    "datemultirange",
    "daterange",
    "float4",
    "float8",
    "inet",
    "int2",
    "int2vector",
    "int4",
    "int4multirange",
    "int4range",
    "int8",
    "int8multirange",
    "int8range",
    "interval",
    "json",
    "jsonb",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "numeric",
    "nummultirange",
    "numrange",
    "oid",
    "oidvector",
    "path",
    "pg_lsn",
    "pg_snapshot",
    "point",
    "polygon",
    "record",
    "refcursor",
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
    "text",
    "tid",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "tsmultirange",
    "tsquery",
    "tsrange",
    "tstzmultirange",
    "tstzrange",
    "tsvector",
    "txid_snapshot",
    "unknown",
    "uuid",
    "varbit",
    "varchar",
    "void",
    "xid",
    "xid8",
    "xml",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::verdict::Class;

    fn catalog(rows: &[[&str; 3]]) -> Catalog {
        let rows = rows.iter().map(|row| row.map(str::as_bytes));
        Catalog::from_rows(rows).expect("rows of known kinds")
    }

    fn reason(verdict: Verdict) -> Option<Reason> {
        match verdict.class {
            Class::Read => None,
            Class::Primary(reason) => Some(reason),
        }
    }

    #[test]
    fn a_name_is_harmless_only_if_every_function_of_it_is() {
        let catalog = catalog(&[
            ["function", "mine", "harmless"],
            ["function", "lower", "volatile"],
            ["function", "ts_stat", "harmless"],
            ["function", "random", "harmless"],
            ["function", "uuid_generate_v4", "volatile in c"],
            ["function", "strange", "volatile in c"],
            ["function", "nextval", "harmless"],
        ]);
        for harmless in ["mine", "upper", "random", "uuid_generate_v4"] {
            assert_eq!(catalog.call(harmless), Verdict::READ, "{harmless}");
        }
        for volatile in ["lower", "ts_stat", "strange", "nextval"] {
            let reason = reason(catalog.call(volatile));
            assert_eq!(reason, Some(Reason::VolatileFunction), "{volatile}");
        }
        assert_eq!(reason(catalog.call("other")), Some(Reason::UnknownFunction));
        assert_eq!(catalog.known_call("other"), None);
        let own = self::catalog(&[["function", "uuid_generate_v4", "volatile"]]);
        assert_ne!(own.call("uuid_generate_v4"), Verdict::READ);
    }

    #[test]
    fn what_users_made_is_unknown_before_the_catalog_is_read_and_with_too_many_rows() {
        let row = ["function", "mine", "harmless"].map(str::as_bytes);
        let rows =
            |count| Catalog::from_rows(std::iter::repeat_n(row, count)).expect("known kinds");
        let full = rows(MAX_ROWS);
        assert_eq!(
            (full.knowledge(), full.call("mine")),
            (Knowledge::Complete, Verdict::READ)
        );
        let too_many = rows(MAX_ROWS + 1);
        assert_eq!(too_many.knowledge(), Knowledge::TooMuch);
        for catalog in [too_many, Catalog::builtin()] {
            assert_eq!(reason(catalog.call("mine")), Some(Reason::UnknownFunction));
            assert_eq!(reason(catalog.cast("mood")), Some(Reason::UnknownFunction));
            assert_eq!(catalog.call("upper"), Verdict::READ);
            assert_eq!(catalog.cast("timestamptz"), Verdict::READ);
        }
        assert_eq!(full.cast("mood"), Verdict::READ);
        assert!(Catalog::QUERY.ends_with(&format!("limit {}", MAX_ROWS + 1)));
    }

    #[test]
    fn operators_casts_and_relations_of_users_are_known() {
        let catalog = catalog(&[
            ["operator", "===", "volatile"],
            ["operator", "<#>", "harmless"],
            ["operator", "+", "volatile"],
            ["cast", "any", "explicit"],
            ["relation", "cache", "of its server"],
        ]);
        for volatile in ["===", "+"] {
            assert_eq!(
                reason(catalog.operator(volatile)),
                Some(Reason::VolatileFunction)
            );
        }
        assert_eq!(catalog.operator("<#>"), Verdict::READ);
        assert_eq!(catalog.operator("->>"), Verdict::READ);
        assert_eq!(
            reason(catalog.operator("|||")),
            Some(Reason::UnknownFunction)
        );
        assert_eq!(reason(catalog.cast("int4")), Some(Reason::VolatileFunction));
        assert_eq!(
            reason(catalog.relation(None, "cache")),
            Some(Reason::NodeDependent)
        );
        assert_eq!(
            reason(catalog.relation(Some("s"), "cache")),
            Some(Reason::NodeDependent)
        );
        assert_eq!(catalog.relation(Some("s"), "t"), Verdict::READ);
    }

    #[test]
    fn relations_are_known_when_functions_are_not_any_more() {
        let known = catalog(&[
            ["function", "mine", "harmless"],
            ["relation", "cache", "of its server"],
        ]);
        let left = known.without_functions();
        assert_eq!(reason(left.call("mine")), Some(Reason::UnknownFunction));
        let found = reason(left.relation(None, "cache"));
        assert_eq!(found, Some(Reason::NodeDependent));
    }

    #[test]
    fn casts_and_comparisons_that_nobody_writes_down_make_everything_doubtful() {
        for row in [["cast", "any", "implicit"], ["operator", "=", "volatile"]] {
            let unseen = catalog(&[row]).unseen();
            assert_eq!(reason(unseen), Some(Reason::VolatileFunction), "{row:?}");
        }
        for row in [["cast", "any", "explicit"], ["operator", "=", "harmless"]] {
            assert_eq!(catalog(&[row]).unseen(), Verdict::READ, "{row:?}");
        }
    }

    #[test]
    fn relations_of_the_system_and_temporary_ones_are_for_the_primary() {
        let catalog = Catalog::builtin();
        let table = [
            (None, "pg_class", Reason::SystemCatalog),
            (Some("pg_catalog"), "x", Reason::SystemCatalog),
            (Some("information_schema"), "tables", Reason::SystemCatalog),
            (Some("pg_toast"), "x", Reason::SystemCatalog),
            (Some("pg_temp"), "x", Reason::SessionState),
            (Some("pg_temp_3"), "x", Reason::SessionState),
        ];
        for (schema, name, expected) in table {
            assert_eq!(
                reason(catalog.relation(schema, name)),
                Some(expected),
                "{schema:?} {name}"
            );
        }
    }

    #[test]
    fn rows_of_an_unknown_kind_are_an_error() {
        for row in [
            ["function", "f", "odd"],
            ["view", "v", "harmless"],
            ["", "", ""],
        ] {
            let rows = [row.map(str::as_bytes)];
            assert!(Catalog::from_rows(rows).is_err(), "{row:?}");
        }
    }

    #[test]
    fn lists_are_sorted_as_they_are_searched() {
        assert!(OPERATORS.is_sorted() && TYPES.is_sorted());
    }
}
