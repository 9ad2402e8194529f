-- What psql does besides sending queries: describing, variables, gexec, crosstabs, formats.
create table described (id serial primary key, name text default 'x' not null, at timestamptz) ;
create index described_name on described (lower(name));
comment on table described is 'a table';
\d described
\d+ described_name
\dt
\di
\df nothing*
\l app
\dn
\encoding
select 1 as a, 'x'::text as b, null::numeric(10, 2) as c \gdesc
select nix \gdesc
select 7 as seven, 'text' as word \gset got_
\echo :got_seven :got_word
select format('select %s as n', n) from generate_series(1, 3) n \gexec
select 'a' as r, 'x' as c, 1 as v union all values ('b', 'y', 2) \crosstabview
\pset format unaligned
select 1, null;
\pset format csv
select 'a,b', 'c"d';
\pset format aligned
\x on
select 1 as first, 'two' as second;
\x off
\pset null '(null)'
select null;
\set ECHO_HIDDEN off
\set FETCH_COUNT 7
select n, n * n from generate_series(1, 20) n;
select 1 / (15 - n) from generate_series(1, 20) n;
\unset FETCH_COUNT
\if :got_seven
select 'taken';
\else
select 'not taken';
\endif
\set VERBOSITY verbose
select no_column from described;
\set VERBOSITY sqlstate
select 1 / 0;
\set VERBOSITY default
\echo :SQLSTATE :LAST_ERROR_MESSAGE :ROW_COUNT
\errverbose
;
\;
select 1 as one\; select 2 as two \g (format=unaligned)
drop table described;
