// What a stream says of its client when it has ended.
import { describe, expect, it } from 'vitest'
import { answerWithStream } from '../../src/adapters/node.js'
import { applySocketOptions, capabilities } from '../../src/index.js'
import { monitorPlan } from '../../src/liveness/plan.js'
import { streamSettings } from '../../src/stream/options.js'
import { cleanup } from '../support/cleanup.js'
import { fillUp, opener } from '../support/open-stream.js'

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

describe.runIf(capabilities().addon)('a stream whose peer the kernel gave up', () => {
  it('ended as peer-dead with ETIMEDOUT, and its verdict is dead', async () => {
    // TCP_USER_TIMEOUT is left alone. One of 500 ms ends a shut window though its peer answers: tcp_probe_timer.
    const plan = monitorPlan(60_000, { userTimeout: false, retransmitMax: false })
    const { open } = await opener(cleanup, undefined, (req, res, options) =>
      answerWithStream(req, res, { ...streamSettings(options ?? {}), plan }),
    )
    const { stream, client, socket } = await open()
    applySocketOptions(socket, { userTimeout: 500 })
    client.pause()
    await fillUp(stream)
    expect(await stream.closed).toMatchObject({
      reason: 'peer-dead',
      error: { code: 'ETIMEDOUT' },
    })
    expect(stream.verdict).toBe('dead')
  })
})
