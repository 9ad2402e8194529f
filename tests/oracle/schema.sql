-- What the generated statements are about. Every volatile function leaves a trace of being called.
create table t (id serial primary key, a int, b text, c timestamptz default now(), d int[], e jsonb);
insert into t (a, b, d, e) select i, 'x' || i, array[i, 2], '{"k": 1}' from generate_series(1, 3) i;
create table "T u" ("A" int, "select" text);
insert into "T u" values (1, 'into');
create schema s;
create table s.t (id int, a int, b text);
insert into s.t values (1, 2, 'y');
create view v as select id, a, b from t;
create materialized view m as select id, a from t;
create type mood as enum ('sad', 'glad');

create function trace(result int) returns int language plpgsql volatile as
    $$ begin perform set_config('oracle.called', 'yes', false); return result; end $$;
create function vol(x int default 1) returns int language plpgsql volatile as
    $$ begin return trace(x); end $$;
create function s.vol2(x text) returns int language plpgsql volatile as
    $$ begin return trace(1); end $$;
create function "Vol ""3"(x int) returns int language plpgsql volatile as
    $$ begin return trace(x); end $$;
create function vols(x int) returns setof int language plpgsql volatile as
    $$ begin return next trace(x); end $$;
create function touched(row_of_t t) returns int language plpgsql volatile as
    $$ begin return trace(row_of_t.a); end $$;
create function reverse(x mood) returns int language plpgsql volatile as
    $$ begin return trace(1); end $$;
create function fold(x int, y int) returns int language plpgsql volatile as
    $$ begin return trace(coalesce(x, 0) + y); end $$;
create aggregate folded(int) (sfunc = fold, stype = int);
create aggregate summed(int) (sfunc = int4pl, stype = int, initcond = '0');
create function same(x int, y int) returns boolean language plpgsql volatile as
    $$ begin return trace(x) = y; end $$;
create operator === (function = same, leftarg = int, rightarg = int);
create function also(x int, y int) returns boolean language sql immutable as 'select x = y';
create operator ==== (function = also, leftarg = int, rightarg = int);
create function sta(x int) returns int language sql stable as 'select x + 1';
create function imm(x int) returns int language sql immutable as 'select x + 1';
create function series(x int) returns setof int language sql stable as 'select generate_series(1, x)';
