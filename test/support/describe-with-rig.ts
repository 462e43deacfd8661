import { describe } from 'vitest'
import { rigMissing } from '../../src/testing/index.js'

/** A `describe` for tests that need a rig: skipped loudly where none can be made, failing with `CI=true`. */
export function describeWithRig(title: string, body: () => void): void {
  const missing = rigMissing()
  if (missing !== undefined && process.env.CI !== 'true') {
    console.warn(`SKIPPED: ${title}: ${missing}`)
    describe.skip(title, body)
    return
  }
  describe(title, body)
}
