// Fake timers of a test runner, for the time of one test: what was begun under them goes on after, and while they last.
import { describe, expect, it } from 'vitest'
import { cleanup } from '../support/cleanup.js'
import { type Client, slowDown, withClients } from '../support/memory-clients.js'
import { opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

/** Runs something while the globals are fakes that never call back, as Jest's and Sinon's are until they are told to. */
function underFakes<T>(action: () => T): T {
  const never = (): { unref(): void } => ({ unref() {} })
  const { nextTick } = process
  const names = [
    'setTimeout',
    'setImmediate',
    'setInterval',
    'queueMicrotask',
    'performance',
    'Date',
  ]
  const before = names.map((name) => Object.getOwnPropertyDescriptor(globalThis, name))
  for (const name of names) {
    const value = name === 'performance' || name === 'Date' ? { now: () => 0 } : never
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
  }
  process.nextTick = never
  try {
    return action()
  } finally {
    process.nextTick = nextTick
    for (const [index, name] of names.entries())
      Object.defineProperty(globalThis, name, before[index] as PropertyDescriptor)
  }
}

describe('after fake timers', () => {
  for (const fastPath of [true, false]) {
    it(`small events arrive, those from under them too (fastPath: ${fastPath})`, async () => {
      const { open } = await opener(cleanup)
      const { stream, received } = await open({ fastPath })
      underFakes(() => stream.send({ data: 'under fakes' }))
      await waitFor('the first', () => received().includes('under fakes'))
      stream.send({ data: 'after' })
      await waitFor('the second', () => received().includes('data: after'))
    })
  }

  it('a large broadcast that was begun under them is finished, and the next one too', async () => {
    const [channel, clients] = withClients(3_000, { sliceBudget: 1 })
    slowDown(clients[1_500] as Client)
    const tally = underFakes(() => channel.broadcast({ id: 1, data: 'x' }))
    expect(await tally).toMatchObject({ sent: 3_000 })
    expect(await channel.broadcast({ id: 2, data: 'x' })).toMatchObject({ sent: 3_000 })
    expect(clients.at(-1)?.transport.text).toBe('id: 1\ndata: x\n\nid: 2\ndata: x\n\n')
  })

  it('a compressor is flushed that was written to under them', async () => {
    const { open } = await opener(cleanup)
    const { stream, res } = await open()
    let flushed = 0
    const write = res.write.bind(res)
    res.write = ((chunk: Buffer) => write(chunk)) as typeof res.write
    Object.assign(res, { flush: () => void flushed++ })
    underFakes(() => stream.send({ data: 'x' }))
    await waitFor('the flush', () => flushed === 1)
    stream.send({ data: 'x' })
    await waitFor('the next flush', () => flushed === 2)
  })

  it('a compressor whose flush throws is the only one that misses it, and only this once', async () => {
    const problems: unknown[] = []
    const note = (error: unknown): void => void problems.push(error)
    process.on('uncaughtException', note)
    cleanup.push(() => void process.off('uncaughtException', note))
    const { open } = await opener(cleanup)
    const flushed = [0, 0]
    const problem = new Error('of a compressor')
    const streams = []
    for (const which of [0, 1]) {
      const { stream, res } = await open()
      const write = res.write.bind(res)
      res.write = ((chunk: Buffer) => write(chunk)) as typeof res.write
      const flush = (): void => {
        flushed[which] = (flushed[which] as number) + 1
        if (which === 0) throw problem
      }
      Object.assign(res, { flush })
      streams.push(stream)
    }
    for (const round of [1, 2]) {
      for (const stream of streams) stream.send({ data: 'x' })
      await waitFor('both', () => flushed.every((count) => count === round))
    }
    expect(problems).toEqual([problem, problem])
  })
})
