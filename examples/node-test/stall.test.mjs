import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRig, rigMissing } from 'tcp-sse/testing'

const missing = rigMissing()
if (missing !== undefined) console.warn(`SKIPPED: no rig: ${missing}`)

test('my server notices a client that stalls', { skip: missing }, async (t) => {
  // With small windows, a stall shows after kilobytes.
  const rig = createRig({ tcpRmem: '4096 16384 16384' })
  t.after(() => rig.close())
  const server = await rig.serve(new URL('./server.mjs', import.meta.url))
  const lazy = await rig.connect(server)
  const keen = await rig.connect(server)

  await lazy.stall()

  const reasons = () => server.process.call('reasons')
  for (const deadline = Date.now() + 8_000; (await reasons()).length === 0; ) {
    assert.ok(Date.now() < deadline, 'nothing was closed')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.deepEqual(await reasons(), ['stalled'])
  assert.equal((await keen.received()).ended, false)
})
