// What a stream says of its client when it has ended.
import { afterEach, describe, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { type Cleanup, fillUp, opener } from '../support/open-stream.js'

const cleanup: Cleanup = []
afterEach(() => {
  for (const undo of cleanup.splice(0).reverse()) undo()
})

describe.runIf(capabilities().addon)('a stream that was closed as stalled', () => {
  it('keeps its last verdict, and its close info has the evidence', async () => {
    const { open } = await opener(cleanup)
    const { stream, client } = await open({ detectWithin: 4_000, stallTimeout: 1_000 })
    client.pause()
    await fillUp(stream)
    const { reason, evidence } = await stream.closed
    expect(reason).toBe('stalled')
    expect(evidence).toMatchObject({
      verdict: 'slow',
      tcp: { state: 'ESTABLISHED', unackedSegments: 0 },
    })
    expect(stream.verdict).toBe('slow')
  })
})
