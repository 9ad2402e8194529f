create table items (id int primary key, name text);
insert into items select n, 'item ' || n from generate_series(1, 50) n;
create unlogged table scratch (id int);
insert into scratch values (7);
create table noted (id serial primary key, what text);
create table target (id int primary key, name text);
create sequence numbers;
create type mood as enum ('sad', 'ok');
create materialized view many as select count(*) as n from items;
create unique index on many (n);
create table clustered (id int primary key);
cluster clustered using clustered_pkey;
create function steady(n int) returns int language sql stable as 'select n';
create function fixed(n int) returns int language sql immutable as 'select n';
create function bump(what text) returns int language plpgsql volatile
    as $$ begin insert into noted (what) values ($1); return 1; end $$;
create function bump_for_all(what text) returns int language plpgsql volatile security definer
    as $$ begin insert into noted (what) values ($1); return 1; end $$;
create function harmless() returns int language plpgsql volatile as $$ begin return 1; end $$;
create function liar() returns int language plpgsql stable as $$ begin return bump('liar'); end $$;
create function liar_too() returns int language plpgsql stable
    as $$ begin return bump('liar too'); end $$;
create function liar_behind() returns int language plpgsql stable
    as $$ begin return bump('liar behind'); end $$;
create function liar_late() returns int language plpgsql stable
    as $$ begin return bump('liar late'); end $$;
create view bumping as select bump('view') as one;
create view quiet as select * from items;
create view numbered as select last_value from numbers;
create view around as select * from numbered;
create view locking as select pg_try_advisory_xact_lock(987654321) as locked;
create view asking as select current_setting('work_mem') as value;
create view watching as select count(*) as n from pg_stat_activity;
create view picking as select random() as n from items;
create foreign data wrapper nowhere;
create server afar foreign data wrapper nowhere;
create foreign table outside (id int) server afar;
create procedure proceed() language plpgsql as $$ begin insert into noted (what) values ('p'); end $$;
create function my_port() returns int language plpgsql stable
    as $$ begin return current_setting('port')::int; end $$;
create schema calm;
create schema wild;
create table calm.items (id int primary key, name text);
insert into calm.items values (3, 'calm');
create function calm.weather() returns int language sql stable as 'select 1';
create function wild.weather() returns int language plpgsql volatile
    as $$ begin return public.bump('weather'); end $$;
create table kept (id int primary key, v bigint not null, owner int not null default 0);
insert into kept select n, 0 from generate_series(0, 199) n;
create table committed (client int, n int, primary key (client, n));
grant usage on schema calm, wild to public;
grant select on calm.items to public;
grant all on all tables in schema public to public;
grant all on all sequences in schema public to public;
