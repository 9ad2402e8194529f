// Runs the checks of one driver, in the order they are given.
//
// Called as `node <script> URL MODE [NAME...]`: a database behind the pooler, the pooler's mode
// (`transaction` or `session`), and optionally the names of the only checks to run. The environment
// names a directory with the pooler's Unix socket (PGWEIR_TEST_SOCKETS) and the file of the
// authority that signed its certificate (PGWEIR_TEST_CA).
//
// A check fails by an exception, or when it takes too long. The last line is `N passed, N failed`.
'use strict';

const [, , url, mode, ...wanted] = process.argv;
const HANGS_AFTER_MS = 60000;

function urlOf(database) {
  const changed = new URL(url);
  changed.pathname = '/' + database;
  return changed.toString();
}

function hang(name) {
  console.log(`FAILED: ${name} hangs`);
  process.exit(1);
}

async function run(checks) {
  let passed = 0;
  let failed = 0;
  for (const check of checks) {
    const chosen = wanted.length === 0 || wanted.includes(check.name);
    if (!chosen || (check.mode && check.mode !== mode)) continue;
    const deadline = setTimeout(hang, HANGS_AFTER_MS, check.name);
    const started = Date.now();
    process.stdout.write(`${check.name} ... `);
    try {
      await check();
      passed += 1;
      console.log(`ok (${Date.now() - started} ms)`);
    } catch (error) {
      failed += 1;
      console.log('FAILED');
      console.log(error);
    }
    clearTimeout(deadline);
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed > 0 || passed === 0 ? 1 : 0);
}

function onlyIn(wantedMode, check) {
  check.mode = wantedMode;
  return check;
}

module.exports = {
  url,
  mode,
  urlOf,
  run,
  onlyIn,
  sockets: process.env.PGWEIR_TEST_SOCKETS,
  authority: process.env.PGWEIR_TEST_CA,
};
