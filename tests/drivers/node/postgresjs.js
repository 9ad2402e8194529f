// postgres.js through the pooler: pipelines by default, statements named by itself.
//
// Its COPY streams are left out: they hang now and then even without a pooler (3.4).
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const postgres = require('postgres');
const { url, run, onlyIn, authority } = require('./checks.js');

const quiet = { onnotice: () => {} };

function open(options = {}) {
  return postgres(url, { max: 5, ...quiet, ...options });
}

async function pipelinedQueriesAnswerInOrder() {
  const sql = open({ max: 2, max_pipeline: 50 });
  const numbers = [...Array(500).keys()];
  const rows = await Promise.all(numbers.map((n) => sql`select ${n}::int as n, ${'t' + n} as t`));
  assert.deepEqual(rows.map(([row]) => row.n), numbers);
  await sql.end();
}

async function errorsInAPipelineHitOnlyTheirQuery() {
  const sql = open({ max: 1 });
  const outcomes = await Promise.allSettled(
    [...Array(100).keys()].map((n) => sql`select 10 / ${n % 10}::int as v, ${n}::int as n`)
  );
  outcomes.forEach((outcome, n) => {
    if (n % 10 === 0) {
      assert.equal(outcome.reason.code, '22012');
    } else {
      assert.deepEqual({ ...outcome.value[0] }, { v: Math.floor(10 / (n % 10)), n });
    }
  });
  await sql.end();
}

async function transactionsAndSavepoints() {
  const sql = open();
  await sql`drop table if exists pjs_rows`;
  await sql`create table pjs_rows (n int primary key)`;
  await sql.begin(async (tx) => {
    await tx`insert into pjs_rows ${tx([1, 2, 3].map((n) => ({ n })))}`;
    await tx.savepoint((inner) => inner`insert into pjs_rows values (1)`).catch((error) => {
      assert.equal(error.code, '23505');
    });
    await tx`insert into pjs_rows values (4)`;
  });
  await assert.rejects(sql.begin((tx) => [tx`insert into pjs_rows values (5)`, tx`select 1/0`]));
  assert.deepEqual((await sql`select n from pjs_rows order by n`).map((row) => row.n), [1, 2, 3, 4]);
  await sql`drop table pjs_rows`;
  await sql.end();
}

async function cursorsGiveRowsInParts() {
  const sql = open();
  let total = 0;
  for await (const rows of sql`select n from generate_series(1, 1000) n`.cursor(77)) {
    total += rows.reduce((sum, row) => sum + row.n, 0);
  }
  assert.equal(total, 500500);
  for await (const rows of sql`select n from generate_series(1, 1000) n`.cursor(10)) {
    assert.equal(rows.length, 10);
    break;
  }
  assert.equal((await sql`select 1 as v`)[0].v, 1);
  await sql.end();
}

async function queriesAreCancelled() {
  const sql = open({ max: 2 });
  await sql`select 1`;
  const query = sql`select pg_sleep(40)`;
  const outcome = assert.rejects(query.execute(), { code: '57014' });
  const active = () =>
    sql`select 1 from pg_stat_activity where query ~ '^select pg_sleep' and state = 'active'`;
  while ((await active()).count === 0);
  query.cancel();
  await outcome;
  assert.equal((await sql`select 1 as v`)[0].v, 1);
  await sql.end();
}

async function listenersHearNotifications() {
  const sql = open();
  const heard = [];
  await new Promise((resolve, reject) => {
    sql
      .listen('pjs_channel', (payload) => {
        heard.push(payload);
        if (heard.length === 5) resolve();
      })
      .then(async () => {
        for (let n = 0; n < 5; n += 1) await sql.notify('pjs_channel', String(n));
      })
      .catch(reject);
  });
  assert.deepEqual(heard, ['0', '1', '2', '3', '4']);
  await sql.end();
}

async function manyConnectionsShareFewServers() {
  const sql = open({ max: 30 });
  const work = Array.from({ length: 300 }, (_, n) =>
    sql.begin(async (tx) => {
      const [first] = await tx`select pg_backend_pid() as pid, ${n}::int as n`;
      const [second] = await tx`select pg_backend_pid() as pid, ${n}::int as n`;
      assert.deepEqual({ ...first }, { ...second });
    })
  );
  await Promise.all(work);
  await sql.end();
}

async function unnamedStatementsWork() {
  const sql = open({ prepare: false });
  for (let n = 0; n < 50; n += 1) assert.equal((await sql`select ${n}::int as n`)[0].n, n);
  await sql.unsafe('select 1; select 2');
  await sql.end();
}

async function typesAndDescriptions() {
  const sql = open();
  const described = await sql`select ${1}::int as a, ${'x'}::text as b`.describe();
  assert.deepEqual(described.columns.map((column) => column.name), ['a', 'b']);
  const [row] = await sql`select ${sql.json({ a: [1] })} as j, ${sql.array([1, 2])}::int[] as l`;
  assert.deepEqual([row.j, row.l], [{ a: [1] }, [1, 2]]);
  await sql.end();
}

async function tlsWorks() {
  const sql = open({ host: 'localhost', ssl: { ca: fs.readFileSync(authority, 'utf8') } });
  assert.equal((await sql`select length(${'x'.repeat(3000000)}) as v`)[0].v, 3000000);
  await sql.end();
}

run([
  pipelinedQueriesAnswerInOrder,
  errorsInAPipelineHitOnlyTheirQuery,
  transactionsAndSavepoints,
  cursorsGiveRowsInParts,
  queriesAreCancelled,
  onlyIn('session', listenersHearNotifications),
  manyConnectionsShareFewServers,
  unnamedStatementsWork,
  typesAndDescriptions,
  tlsWorks,
]);
