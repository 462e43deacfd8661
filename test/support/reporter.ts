import type { Reporter, TestModule } from 'vitest/node'

/** Ends a run with one plain line a script can read: `N passed, N failed, N skipped`. */
export default class PlainLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) {
      let failedInside = false
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        count[state === 'pending' ? 'skipped' : state] += 1
        failedInside ||= state === 'failed'
      }
      // A file that could not be loaded has no test to blame: it counts as one.
      if (module.state() === 'failed' && !failedInside) count.failed += 1
    }
    process.once('exit', () => {
      console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
    })
  }
}
