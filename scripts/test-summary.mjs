// Adds up vitest's JSON reports: `node scripts/test-summary.mjs <file>...` prints one line.
import { existsSync, readFileSync } from 'node:fs'

const sum = { passed: 0, failed: 0, skipped: 0 }
for (const file of process.argv.slice(2).filter((path) => existsSync(path))) {
  const report = JSON.parse(readFileSync(file, 'utf8'))
  for (const { status, assertionResults } of report.testResults) {
    for (const test of assertionResults) {
      sum[test.status === 'passed' || test.status === 'failed' ? test.status : 'skipped'] += 1
    }
    // A file that could not be loaded has no test to blame: it counts as one.
    if (status === 'failed' && assertionResults.every((test) => test.status !== 'failed')) {
      sum.failed += 1
    }
  }
}
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`)
