/** The rig for vitest: apart from the rest, so that the rest does not need vitest. */
import { describe, it } from 'vitest'
import { rigSupport } from './support.js'

/**
 * `describe` for tests that need the rig. Where it does not work they are skipped, and say so on
 * stderr with the reason; with `CI=true` they fail instead, so that a build machine cannot lose
 * them unnoticed.
 */
export function describeWithRig(title: string, fn: () => void): void {
  const support = rigSupport()
  if (support.supported) {
    describe(title, fn)
  } else if (process.env.CI === 'true') {
    describe(title, () => {
      it('finds a machine on which the fault rig works', () => {
        throw new Error(support.reason)
      })
    })
  } else {
    console.warn(`SKIPPED: ${title}: the fault rig does not work here: ${support.reason}`)
    describe.skip(title, fn)
  }
}
