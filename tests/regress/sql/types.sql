-- Values of many types, their output and their errors.
select 1::smallint, 2::int, 3::bigint, 1.5::real, 2.5::float8, 'Infinity'::float8, 'NaN'::numeric;
select '12345678901234567890.123456789'::numeric * 2, 10.0 / 3, round(2.5), 5 % 3, -7 / 2;
select 'text', 'it''s', E'tab\tand\nline', U&'\0041', $tag$dollar $1$tag$, null is null;
select '\xdeadbeef'::bytea, encode('abc', 'base64'), md5('pool'), repeat('ab', 300);
select date '2024-02-29' + 1, timestamp '2024-01-01 00:00' - interval '1 month', time '04:05:06.789';
select '2024-03-10 12:00+05'::timestamptz at time zone 'UTC', age(date '2024-05-05', date '2020-02-29');
select array[1, 2, null], '{{a,b},{c,d}}'::text[], (array[10, 20, 30])[2:3], array_agg(n) from generate_series(1, 5) n;
select row(1, 'a', null), (row(1, 2)).*, '(1,2)'::point, '[1,5)'::int4range, '{[1,2),[4,7]}'::int4multirange;
select '{"a": [1, {"b": null}]}'::jsonb -> 'a' -> 1, jsonb_pretty('{"k": [true, 1.50]}'), '[1,2]'::json ->> 0;
select xmlcomment('c') is not null, 'a fat cat'::tsvector @@ 'fat & !dog'::tsquery, '192.168.0.0/24'::inet >> '192.168.0.7';
select 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, b'1010' & b'0110', 'open'::varchar(2), 'x'::char(5) || '|';
select 'not a number'::int;
select 99999999999::int;
select '2024-13-01'::date;
select 1 / 0;
select nix from pg_class;
select * from (values (1, 'a'), (2, 'b')
  order by nothing;
select count(*) filter (where n % 2 = 0), sum(n), avg(n), string_agg(n::text, ',' order by n desc) from generate_series(1, 9) n;
