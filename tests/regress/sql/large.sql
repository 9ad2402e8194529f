-- Large objects, long values, many rows, many columns.
begin;
select lo_create(424242);
select lowrite(lo_open(424242, x'20000'::int), 'some bytes');
select encode(lo_get(424242), 'escape');
select lo_put(424242, 5, 'BYTES');
select encode(lo_get(424242), 'escape'), length(lo_get(424242));
commit;
\lo_list
select lo_unlink(424242);
select lo_unlink(424242);
select length(repeat('x', 10000000)), md5(repeat('long', 1000000));
select repeat('0123456789', 20000);
select n, repeat('-', n % 50) from generate_series(1, 3000) n;
select string_agg(format('%s as column_%s', n, n), ', ') as list from generate_series(1, 600) n \gset
select :list;
create table wide (a text, b text);
insert into wide select repeat('a', 100000), repeat('b', 100000) from generate_series(1, 5);
select length(a), length(b), md5(a || b) from wide;
select * from wide limit 1;
drop table wide;
