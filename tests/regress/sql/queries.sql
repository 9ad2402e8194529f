-- Joins, common table expressions, windows, sets, plans.
create table author (id int primary key, name text not null);
create table book (id int primary key, author int references author, title text, price numeric(6, 2));
insert into author select n, 'author ' || n from generate_series(1, 5) n;
insert into book select n, 1 + n % 4, 'book ' || n, n * 1.25 from generate_series(1, 20) n;
select name, count(book.id), sum(price) from author left join book on author = author.id group by name order by name;
select a.name, b.title from author a join lateral (select title from book where author = a.id order by price desc limit 2) b on true order by 1, 2;
with recursive tree(n, path) as (values (1, '1') union all select n + 1, path || '/' || n + 1 from tree where n < 6) select * from tree;
with gone as (delete from book where price > 20 returning *) select count(*), min(price) from gone;
select title, rank() over (partition by author order by price desc), lag(title) over w from book window w as (order by id) order by id;
select 1 union select 2 union all select 2 except select 1 order by 1;
select author, title, grouping(author, title), count(*) from book group by rollup (author, title) order by 1 nulls last, 2 nulls last limit 8;
explain (costs off) select * from book where id = 7;
update book set price = price * 2 where author = 1 returning id, price;
insert into author values (1, 'again') on conflict (id) do update set name = excluded.name returning *;
insert into book values (100, 77, 'no author', 1);
insert into author values (1, 'twice');
merge into author using (values (1, 'merged'), (9, 'new')) v (id, name) on author.id = v.id
  when matched then update set name = v.name when not matched then insert values (v.id, v.name);
select * from author order by id;
create view cheap as select title from book where price < 5;
select * from cheap order by 1;
select pg_get_viewdef('cheap'::regclass);
drop table author;
drop table author cascade;
drop table book cascade;
