import { describe } from 'vitest'
import { engineMissing } from './engine-servers.js'

/** A `describe` for tests that need an engine: skipped loudly where it is not installed, failing with `CI=true`. */
export function describeWithEngine(
  program: 'redis-server' | 'nats-server',
  title: string,
  body: () => void,
): void {
  const missing = engineMissing(program)
  if (missing !== undefined && process.env.CI !== 'true') {
    console.warn(`SKIPPED: ${title}: ${missing}`)
    describe.skip(title, body)
    return
  }
  describe(title, body)
}
