-- COPY in every direction and form, and its errors.
create table c (n int, t text, d date);
copy c from stdin;
1	one	2024-01-01
2	\N	2024-01-02
3	tab\there	\N
\.
copy c (n, t) from stdin (format csv, header);
n,t
4,"quoted, with ""quotes"""
5,
\.
copy c to stdout;
copy c to stdout (format csv, header, quote '''', force_quote *);
copy (select n, t from c where n < 3 order by n desc) to stdout (delimiter '|', null 'nothing');
copy c from stdin;
6	six	2024-01-06
seven	7	2024-01-07
8	eight	2024-01-08
\.
copy c from stdin;
9	too	2024-01-09	many
\.
copy c from stdin (format csv);
"never ends
\.
copy nowhere from stdin;
copy c to stdout\; select 'after the copy';
begin;
copy c from stdin;
10	ten	\N
\.
savepoint s;
copy c from stdin;
ten
\.
rollback to s;
copy c from stdin;
11	eleven	\N
\.
commit;
\copy c to program 'sort -n | head -3'
\copy (select generate_series(1, 3)) to stdout
\copy c (n) from program 'seq 100 103'
select count(*), sum(n) from c;
insert into c select n, repeat('wide ', 200) from generate_series(1000, 3000) n;
\copy c to program 'wc -c'
select count(*) from c where copy_is(1);
drop table c;
