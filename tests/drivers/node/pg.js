// node-postgres (pg, pg-cursor, pg-query-stream, pg-copy-streams) through the pooler: named statements, portals.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { once } = require('node:events');
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { Client, Pool } = require('pg');
const copyStreams = require('pg-copy-streams');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');
const { url, urlOf, run, onlyIn, sockets, authority } = require('./checks.js');

async function connect(options = {}) {
  const client = new Client({ connectionString: url, ...options });
  await client.connect();
  return client;
}

async function valuesAreSentAndComeBack() {
  const client = await connect();
  for (const value of ['žluťoučký 🐎', "it's", '', null]) {
    const { rows } = await client.query('select $1::text as v', [value]);
    assert.deepEqual(rows, [{ v: value }]);
  }
  const buffer = Buffer.from([...Array(256).keys()]);
  const { rows } = await client.query('select $1::bytea as b, $2::int[] as a', [buffer, [1, 2]]);
  assert.deepEqual(rows[0].a, [1, 2]);
  assert.ok(rows[0].b.equals(buffer));
  await client.end();
}

async function namedStatementsOfManyClientsDoNotMeet() {
  const clients = await Promise.all(Array.from({ length: 10 }, () => connect()));
  for (let turn = 0; turn < 10; turn += 1) {
    const results = await Promise.all(
      clients.map((client, n) =>
        client.query({ name: 'same', text: `select ${n} + $1::int as v`, values: [turn] })
      )
    );
    assert.deepEqual(results.map((result) => result.rows[0].v), clients.map((_, n) => n + turn));
  }
  await Promise.all(clients.map((client) => client.end()));
}

async function manyNamesAreKept() {
  const client = await connect();
  for (let turn = 0; turn < 3; turn += 1) {
    for (let n = 0; n < 300; n += 1) {
      const query = { name: `statement ${n}`, text: `select ${n} + $1::int as v`, values: [turn] };
      const { rows } = await client.query(query);
      assert.equal(rows[0].v, n + turn);
    }
  }
  await client.end();
}

async function errorsOfNamedStatementsDoNotDisturbTheNext() {
  const client = await connect();
  const divide = (by) => ({ name: 'divide', text: 'select 10 / $1::int as v', values: [by] });
  for (let turn = 0; turn < 10; turn += 1) {
    await assert.rejects(client.query(divide(0)), { code: '22012' });
    await assert.rejects(client.query({ name: 'bad', text: 'selekt $1', values: [1] }), { code: '42601' });
    assert.equal((await client.query(divide(2))).rows[0].v, 5);
  }
  await client.end();
}

async function queriesQueuedAtOnceAnswerInOrder() {
  const client = await connect();
  const queries = Array.from({ length: 200 }, (_, n) => client.query('select $1::int as n', [n]));
  const results = await Promise.all(queries);
  assert.deepEqual(results.map((result) => result.rows[0].n), [...Array(200).keys()]);
  await client.end();
}

async function severalStatementsGiveSeveralResults() {
  const client = await connect();
  const results = await client.query('select 1 as a; select 2 as b, 3 as c');
  assert.deepEqual(results.map((result) => result.rows), [[{ a: 1 }], [{ b: 2, c: 3 }]]);
  assert.equal((await client.query('')).rowCount, null);
  await client.end();
}

async function transactionsRollBack() {
  const client = await connect();
  await client.query('drop table if exists node_rows');
  await client.query('create table node_rows (n int primary key)');
  await client.query('begin');
  await client.query('insert into node_rows values (1)');
  await client.query('savepoint here');
  const error = await client.query('insert into node_rows values (1)').catch((reason) => reason);
  assert.deepEqual([error.code, error.constraint], ['23505', 'node_rows_pkey']);
  await assert.rejects(client.query('select 1'), { code: '25P02' });
  await client.query('rollback to here');
  await client.query('rollback');
  assert.deepEqual((await client.query('select * from node_rows')).rows, []);
  await client.query('drop table node_rows');
  await client.end();
}

async function portalsAreReadInParts() {
  const client = await connect();
  // Outside of a transaction block: the portal lives until the sync, which the cursor holds back.
  const cursor = client.query(new Cursor('select n from generate_series(1, $1::int) n', [1000]));
  let total = 0;
  for (;;) {
    const rows = await cursor.read(37);
    if (rows.length === 0) break;
    total += rows.reduce((sum, row) => sum + row.n, 0);
  }
  assert.equal(total, 500500);
  await cursor.close();
  const left = client.query(new Cursor('select generate_series(1, 1000) as n'));
  assert.equal((await left.read(5)).length, 5);
  await left.close();
  await client.query('begin');
  const inside = client.query(new Cursor('select generate_series(1, 10) as n'));
  assert.equal((await inside.read(3)).length, 3);
  await inside.close();
  await client.query('commit');
  assert.equal((await client.query('select 1 as v')).rows[0].v, 1);
  const failing = client.query(new Cursor('select 1 / (3 - n) as v from generate_series(1, 5) n'));
  await assert.rejects(failing.read(100), { code: '22012' });
  assert.equal((await client.query('select 2 as v')).rows[0].v, 2);
  await client.end();
}

async function streamsDeliverEverything() {
  const client = await connect();
  const text = "select n, repeat('s', 200) as s from generate_series(1, 20000) n";
  const stream = client.query(new QueryStream(text, [], { batchSize: 500 }));
  let total = 0;
  for await (const row of stream) total += row.n;
  assert.equal(total, 200010000);
  // A reader that loses interest closes the portal.
  const left = client.query(new QueryStream(text));
  for await (const row of left) {
    if (row.n === 10) break;
  }
  assert.equal((await client.query('select 3 as v')).rows[0].v, 3);
  await client.end();
}

async function copyStreamsInAndOut() {
  const client = await connect();
  await client.query('drop table if exists node_copy');
  await client.query('create table node_copy (n int, t text)');
  const lines = Array.from({ length: 20000 }, (_, n) => `${n}\tline ${n}\n`);
  const into = () => client.query(copyStreams.from('copy node_copy from stdin'));
  await pipeline(Readable.from(lines), into());
  await assert.rejects(pipeline(Readable.from(['x\ty\n', ...lines]), into()), { code: '22P02' });
  const broken = async function* broken() {
    yield '1\tone\n';
    throw new RangeError('the reader failed');
  };
  await assert.rejects(pipeline(Readable.from(broken()), into()));
  const out = client.query(copyStreams.to('copy (select * from node_copy order by n) to stdout'));
  const parts = [];
  for await (const part of out) parts.push(part);
  assert.equal(Buffer.concat(parts).toString(), lines.join(''));
  await client.query('drop table node_copy');
  await client.end();
}

// Waits until the server has the query.
async function running(text) {
  const watcher = await connect();
  const query = 'select state from pg_stat_activity where query = $1';
  for (;;) {
    const { rows } = await watcher.query(query, [text]);
    if (rows.length === 1 && rows[0].state === 'active') break;
  }
  await watcher.end();
}

async function aQueryIsCancelledBySecondConnection() {
  const [client, other] = [await connect(), await connect()];
  for (let turn = 0; turn < 3; turn += 1) {
    const sleeping = client.query('select pg_sleep(40)').catch((error) => error);
    const standing = other.query('select pg_sleep(0.8)');
    await running('select pg_sleep(40)');
    const canceller = new Client({ connectionString: url });
    canceller.processID = client.processID;
    const { connection } = canceller;
    connection.connect(client.port, client.host);
    await once(connection, 'connect');
    connection.cancel(client.processID, client.secretKey);
    assert.equal((await sleeping).code, '57014');
    await standing;
    assert.equal((await client.query('select 1 as v')).rows[0].v, 1);
  }
  await Promise.all([client.end(), other.end()]);
}

async function aTimeoutOfTheServerIsReported() {
  const client = await connect();
  await client.query('begin');
  await client.query("set local statement_timeout = '100ms'");
  await assert.rejects(client.query('select pg_sleep(40)'), { code: '57014' });
  await client.query('rollback');
  await client.end();
}

async function notificationsArrive() {
  const [listener, sender] = [await connect(), await connect()];
  const heard = [];
  const all = new Promise((resolve) => {
    listener.on('notification', (note) => {
      heard.push(note.payload);
      if (heard.length === 10) resolve();
    });
  });
  await listener.query('listen node_channel');
  for (let n = 0; n < 10; n += 1) {
    await sender.query("select pg_notify('node_channel', $1)", [String(n)]);
  }
  await all;
  assert.deepEqual(heard, [...Array(10).keys()].map(String));
  await Promise.all([listener.end(), sender.end()]);
}

async function noticesArrive() {
  const client = await connect();
  const heard = [];
  client.on('notice', (notice) => heard.push(notice.message));
  await client.query("do $$ begin raise notice 'hello'; end $$");
  assert.deepEqual(heard, ['hello']);
  await client.end();
}

async function largeValuesPass() {
  const client = await connect();
  const text = 'x'.repeat(8000000);
  const { rows } = await client.query('select $1::text as v', [text]);
  assert.equal(rows[0].v, text);
  await client.end();
}

async function aPoolOfTheDriverWorksOverOurs() {
  const pool = new Pool({ connectionString: url, max: 25 });
  const work = async (number) => {
    for (let turn = 0; turn < 10; turn += 1) {
      const client = await pool.connect();
      try {
        await client.query('begin');
        const query = { name: 'mine', text: 'select $1::int as v, pg_backend_pid() as pid' };
        const first = await client.query({ ...query, values: [number] });
        const second = await client.query({ ...query, values: [number] });
        assert.equal(first.rows[0].v, number);
        assert.equal(first.rows[0].pid, second.rows[0].pid);
        await client.query('commit');
      } finally {
        client.release();
      }
      const { rows } = await pool.query('select $1::int * $2::int as v', [number, turn]);
      assert.equal(rows[0].v, number * turn);
    }
  };
  await Promise.all(Array.from({ length: 50 }, (_, number) => work(number)));
  await pool.end();
}

async function tlsAndUnixSocketsWork() {
  const ca = fs.readFileSync(authority, 'utf8');
  const { port, username: user, password, pathname } = new URL(url);
  const login = { user, password, port: Number(port), database: pathname.slice(1) };
  for (const options of [{ host: 'localhost', ssl: { ca } }, { host: sockets }]) {
    const client = new Client({ ...login, ...options });
    await client.connect();
    const { rows } = await client.query('select length($1) as v', ['x'.repeat(3000000)]);
    assert.equal(rows[0].v, 3000000);
    await client.end();
  }
}

async function wrongLoginsAreRefused() {
  await assert.rejects(connect({ connectionString: undefined, ...new WrongPassword() }), /authentication failed/);
  await assert.rejects(connect({ connectionString: urlOf('no_such_database') }), /no_such_database/);
}

class WrongPassword {
  constructor() {
    const { hostname: host, port, username: user, pathname } = new URL(url);
    Object.assign(this, { host, port: Number(port), user, database: pathname.slice(1), password: 'wrong' });
  }
}

async function theConsoleAnswers() {
  const client = await connect({ connectionString: urlOf('pgbouncer') });
  assert.ok((await client.query('show pools')).rows.length > 0);
  await assert.rejects(client.query('show nonsense'));
  assert.ok((await client.query('show version')).rows.length === 1);
  await client.end();
}

run([
  valuesAreSentAndComeBack,
  namedStatementsOfManyClientsDoNotMeet,
  manyNamesAreKept,
  errorsOfNamedStatementsDoNotDisturbTheNext,
  queriesQueuedAtOnceAnswerInOrder,
  severalStatementsGiveSeveralResults,
  transactionsRollBack,
  portalsAreReadInParts,
  streamsDeliverEverything,
  copyStreamsInAndOut,
  aQueryIsCancelledBySecondConnection,
  aTimeoutOfTheServerIsReported,
  onlyIn('session', notificationsArrive),
  noticesArrive,
  largeValuesPass,
  aPoolOfTheDriverWorksOverOurs,
  tlsAndUnixSocketsWork,
  wrongLoginsAreRefused,
  theConsoleAnswers,
]);
