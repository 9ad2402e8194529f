-- Blocks, savepoints, failed transactions, several statements in one query, isolation.
create table t (n int primary key);
begin;
insert into t values (1);
savepoint a;
insert into t values (1);
select 'ignored';
rollback to a;
insert into t values (2);
savepoint b;
insert into t values (3);
release a;
rollback to b;
commit;
commit;
select * from t;
begin;
insert into t values (10);
rollback;
begin; insert into t values (11)\; insert into t values (12); commit;
insert into t values (20)\; insert into t values (21)\; select 1 / 0\; insert into t values (22);
insert into t values (30)\; commit\; insert into t values (31)\; select 1 / 0;
select 1\; select 2, 'second'\; ;
select array_agg(n order by n) from t;
begin isolation level serializable read only deferrable;
show transaction_isolation;
insert into t values (99);
rollback;
start transaction; set local statement_timeout = 10; select pg_sleep(5); rollback;
show statement_timeout;
begin; declare c cursor for select * from t order by n; fetch 2 from c; move 1 in c; fetch all from c; close c; fetch c; commit;
begin; lock table t in access exclusive mode; select pg_try_advisory_xact_lock(7); rollback;
\set AUTOCOMMIT off
insert into t values (40);
rollback;
insert into t values (41);
commit;
\set AUTOCOMMIT on
\set ON_ERROR_ROLLBACK on
begin;
insert into t values (50);
insert into t values (50);
insert into t values (51);
commit;
\set ON_ERROR_ROLLBACK off
select array_agg(n order by n) from t;
end;
rollback;
drop table t;
