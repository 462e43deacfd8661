import { describe } from 'vitest'
import { whyNoDestroy } from '../../src/tcp/diag.js'

/** A `describe` for tests that end connections of others: skipped loudly without the right to, failing with `CI=true`. */
export function describeWithDestroy(title: string, body: () => void): void {
  const missing = whyNoDestroy()
  // Without the addon nothing of this exists: `npm run test:js` has no need to be told.
  if (missing !== undefined && (process.env.CI !== 'true' || process.env.TCP_SSE_NO_ADDON)) {
    console.warn(`SKIPPED: ${title}: ${missing}`)
    describe.skip(title, body)
    return
  }
  describe(title, body)
}
