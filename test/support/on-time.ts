// For tests with bounds of time: their processes, and those that they start, get a busy machine's processor first. What is tried is
// when the library acts, and not when the scheduler lets it.
import { setPriority } from 'node:os'
import { afterEach, beforeEach } from 'vitest'
import { standstillSince } from './standstill.js'

try {
  setPriority(-5)
} catch {
  // It needs CAP_SYS_NICE. Without it the bounds hold on a machine that is not busy.
}

let began = 0
beforeEach(() => {
  began = performance.now()
})

/** What fails while the machine stands still is no evidence: vitest.config.ts has such tests run again. */
afterEach(({ task }) => {
  const lasted = standstillSince(began)
  if (task.result?.state !== 'fail' || lasted === 0) return
  throw new Error(`the machine stood still for ${Math.round(lasted)} ms`)
})
