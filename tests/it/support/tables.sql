create table items (id int primary key, name text, amount numeric);
insert into items select n, 'item ' || n, n / 4.0 from generate_series(1, 50) n;
create table parents (id int primary key);
insert into parents values (1), (2);
create table children (
    id int primary key,
    parent int references parents deferrable initially deferred
);
create table copied (id int, name text);
create table guarded (id int);
create function refuse() returns trigger language plpgsql
    as $$ begin raise exception 'guarded against %', tg_op using errcode = 'P0042'; end $$;
create trigger guard before insert on guarded for each statement execute function refuse();
create function complain(what text, code text) returns int language plpgsql as $$
begin
    raise exception using message = what, errcode = code, detail = 'the detail',
        hint = 'the hint', schema = 's', table = 't', column = 'c', datatype = 'd',
        constraint = 'k';
end $$;
create function remark(what text) returns text language plpgsql
    as $$ begin raise notice 'remark: %', what; return what; end $$;
create function divided(a int, b int) returns int language plpgsql volatile
    as $$ begin return a / b; end $$;
create table counters (id int primary key, n int not null);
insert into counters values (1, 0);
create table secrets (name text primary key, secret text);
insert into secrets select rolname, rolpassword from pg_authid where rolpassword is not null;
insert into secrets values ('nobody_else', null);
grant all on all tables in schema public to public;
grant all on schema public to public;
