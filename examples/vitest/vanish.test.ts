import { capabilities } from 'tcp-sse'
import { createRig, rigMissing } from 'tcp-sse/testing'
import { describe, expect, it, vi } from 'vitest'

// Why this test cannot run here, if so: no namespaces, or no addon.
const missing = rigMissing() ?? capabilities().reason
if (missing !== undefined) console.warn(`SKIPPED: ${missing}`)

describe.skipIf(missing !== undefined)('my server', () => {
  it('notices a client that vanishes', async () => {
    const rig = createRig()
    try {
      const server = await rig.serve(new URL('./server.ts', import.meta.url))
      const client = await rig.connect(server)
      await vi.waitFor(async () => expect((await client.received()).ids).toEqual(['1']))

      client.vanish()

      const reasons = () => server.process.call<string[]>('reasons')
      await vi.waitFor(async () => expect(await reasons()).toEqual(['peer-dead']), 8_000)
    } finally {
      rig.close()
    }
  })
})
