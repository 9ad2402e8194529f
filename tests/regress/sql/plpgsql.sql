-- Functions, triggers, procedures that commit, exceptions, notices.
create table account (id int primary key, amount int not null check (amount >= 0));
create table audit (seq int generated always as identity, what text);
create function watch() returns trigger language plpgsql as $$
begin
  insert into audit (what) values (tg_op || ' ' || coalesce(new.id, old.id));
  raise notice '% of %', tg_op, coalesce(new.id, old.id);
  return coalesce(new, old);
end $$;
create trigger watched after insert or update or delete on account for each row execute function watch();
insert into account values (1, 100), (2, 50);
update account set amount = amount - 200 where id = 1;
update account set amount = amount + 1;
delete from account where id = 2;
select what from audit order by seq;
create function divide(a int, b int) returns text language plpgsql as $$
begin
  return a / b;
exception when division_by_zero then
  raise warning 'caught % (%)', sqlerrm, sqlstate using hint = 'do not divide by zero';
  return 'nothing';
end $$;
select divide(10, 2), divide(1, 0);
create procedure fill() language plpgsql as $$
begin
  for n in 10..14 loop
    insert into account values (n, n);
    if n % 2 = 0 then commit; else rollback; end if;
  end loop;
end $$;
call fill();
select * from account order by id;
begin; call fill(); rollback;
do $$ begin raise exception 'own error' using errcode = 'P0999', detail = 'the detail', hint = 'the hint', table = 'account'; end $$;
do $$ begin perform nothing_like_this(); end $$;
create function broken() returns int language plpgsql as $$ begin select 1; end $$;
select broken();
create function rows(out a int, out b text) returns setof record language sql as 'select n, repeat(''r'', n) from generate_series(1, 3) n';
select * from rows();
drop function broken, rows, divide, watch cascade;
drop procedure fill;
drop table account, audit;
