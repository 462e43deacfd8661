// sendAll: at the client's pace, and over as soon as the client is gone.
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it } from 'vitest'
import type { EventInput, EventIterable, EventStream } from '../../src/index.js'
import { idsOf, parseChunked } from '../support/chunked.js'
import { cleanup, undoAll } from '../support/cleanup.js'
import { delay } from '../support/delay.js'
import { opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

const problems: unknown[] = []
process.on('warning', (warning) => problems.push(warning))
process.on('unhandledRejection', (reason) => problems.push(reason))
afterEach(async () => {
  undoAll()
  await new Promise(setImmediate)
  expect(problems.splice(0)).toEqual([])
})

const large = (id: number): EventInput => ({ id, data: 'x'.repeat(4_000) })

/** A source of each kind, with `count` events, and whether it has been told to stop. */
const kinds: [string, (count: number) => { source: EventIterable; stopped: () => boolean }][] = [
  [
    'a generator',
    (count) => {
      let stopped = false
      function* source(): Generator<EventInput> {
        try {
          for (let id = 0; id < count; id++) yield large(id)
        } finally {
          stopped = true
        }
      }
      return { source: source(), stopped: () => stopped }
    },
  ],
  [
    'an async generator',
    (count) => {
      let stopped = false
      async function* source(): AsyncGenerator<EventInput> {
        try {
          for (let id = 0; id < count; id++) yield large(id)
        } finally {
          stopped = true
        }
      }
      return { source: source(), stopped: () => stopped }
    },
  ],
  [
    'a Readable',
    (count) => {
      let id = 0
      const source = new Readable({
        objectMode: true,
        read() {
          this.push(id < count ? large(id++) : null)
        },
      })
      return { source, stopped: () => source.destroyed }
    },
  ],
  [
    'a ReadableStream',
    (count) => {
      let id = 0
      let stopped = false
      const source = new ReadableStream<EventInput>({
        pull(controller) {
          if (id < count) controller.enqueue(large(id++))
          else controller.close()
        },
        cancel() {
          stopped = true
        },
      })
      return { source, stopped: () => stopped }
    },
  ],
]

const FOREVER = 1_000_000_000

describe.each(kinds)('sendAll of %s', (_name, make) => {
  it('sends everything in order, and leaves the stream open', async () => {
    const { stream, received } = await (await opener(cleanup)).open()
    expect(await stream.sendAll(make(300).source)).toEqual({ sent: 300, reason: 'done' })
    expect(stream.state).toBe('open')
    await stream.close()
    await waitFor('the end', () => parseChunked(received()).complete)
    expect(idsOf(parseChunked(received()).body)).toEqual(
      Array.from({ length: 300 }, (_, i) => `${i}`),
    )
  })

  it('pulls nothing while there is no room, and stops in the tick of the close', async () => {
    const { stream, client, res } = await (await opener(cleanup)).open()
    client.pause()
    const { source, stopped } = make(FOREVER)
    const result = stream.sendAll(source)
    await waitFor('back-pressure', async () => {
      const before = stream.buffered().pending
      await delay(100)
      return before > 0 && stream.buffered().pending === before
    })
    // What Node takes before it says that it is full (16 KiB in Node 20, 64 KiB since), and the event that filled it.
    expect(stream.buffered().pending).toBeLessThan(res.writableHighWaterMark + 5_000)
    expect(stopped()).toBe(false)
    stream.abort()
    await new Promise(setImmediate)
    expect(stopped()).toBe(true)
    const { sent, reason } = await result
    expect(reason).toBe('closed')
    expect(sent).toBeGreaterThan(3)
  })

  it('stops when the client goes, and uses no CPU after', async () => {
    const { stream, client } = await (await opener(cleanup)).open()
    const { source, stopped } = make(FOREVER)
    const result = stream.sendAll(source)
    await waitFor('traffic', () => client.bytesRead > 100_000)
    client.destroy()
    expect((await result).reason).toBe('closed')
    await new Promise(setImmediate)
    expect(stopped()).toBe(true)
    await stream.closed
    const { user, system } = await cpuOf(500)
    expect((user + system) / 1_000).toBeLessThan(100)
  })

  it('stops on its signal, and the stream goes on', async () => {
    const { stream, client } = await (await opener(cleanup)).open()
    const { source, stopped } = make(FOREVER)
    const controller = new AbortController()
    const result = stream.sendAll(source, { signal: controller.signal })
    await waitFor('traffic', () => client.bytesRead > 100_000)
    controller.abort()
    expect((await result).reason).toBe('aborted')
    await waitFor('the stop', stopped)
    expect(stream.state).toBe('open')
    expect(await stream.writable()).toBe(true)
    const late = make(5)
    const aborted = AbortSignal.abort()
    expect(await stream.sendAll(late.source, { signal: aborted })).toEqual({
      sent: 0,
      reason: 'aborted',
    })
  })

  it('stops at once on a stream that has ended', async () => {
    const { stream } = await (await opener(cleanup)).open()
    stream.abort()
    const { source } = make(5)
    expect(await stream.sendAll(source)).toEqual({ sent: 0, reason: 'closed' })
  })
})

async function cpuOf(ms: number): Promise<NodeJS.CpuUsage> {
  const before = process.cpuUsage()
  await delay(ms)
  return process.cpuUsage(before)
}

describe('sendAll', () => {
  const open = async (): Promise<EventStream> => (await (await opener(cleanup)).open()).stream

  it('gives the event loop its turn, however eager the source', async () => {
    const stream = await open()
    let turns = 0
    const count = (): void => {
      turns += 1
      timer = setTimeout(count, 0)
    }
    let timer = setTimeout(count, 0)
    function* tiny(): Generator<EventInput> {
      for (let id = 0; id < 5_000; id++) yield { id }
    }
    await stream.sendAll(tiny())
    clearTimeout(timer)
    expect(turns).toBeGreaterThan(5)
  })

  it('closes with error when the source throws, after what it has sent', async () => {
    const { stream, received } = await (await opener(cleanup)).open()
    const problem = new Error('database')
    async function* failing(): AsyncGenerator<EventInput> {
      yield { id: '1' }
      yield { id: '2' }
      throw problem
    }
    expect(await stream.sendAll(failing())).toEqual({ sent: 2, reason: 'error', error: problem })
    expect(await stream.closed).toMatchObject({ reason: 'error', error: problem })
    await waitFor('the end', () => parseChunked(received()).complete)
    expect(idsOf(parseChunked(received()).body)).toEqual(['1', '2'])
  })

  it('does so for a value that is not an event, and stops the source', async () => {
    const stream = await open()
    let stopped = false
    function* wrong(): Generator<EventInput> {
      try {
        yield { id: '1' }
        yield { id: 'a\nb' }
      } finally {
        stopped = true
      }
    }
    const { sent, reason, error } = await stream.sendAll(wrong())
    expect([sent, reason, (error as { code: string }).code]).toEqual([
      1,
      'error',
      'ERR_EVENT_INVALID',
    ])
    expect(stopped).toBe(true)
    expect((await stream.closed).reason).toBe('error')
  })

  it('survives a source that ends the stream itself', async () => {
    for (const end of ['close', 'abort'] as const) {
      const stream = await open()
      let stopped = false
      function* suicidal(): Generator<EventInput> {
        try {
          yield { id: '1' }
          void stream[end]()
          yield { id: '2' }
        } finally {
          stopped = true
        }
      }
      expect(await stream.sendAll(suicidal())).toEqual({ sent: 1, reason: 'closed' })
      expect(stopped).toBe(true)
    }
  })

  it('stops a source whose result is not awaited any more, without waiting for it', async () => {
    const stream = await open()
    let returned = false
    const hanging: AsyncIterable<EventInput> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: () => {
          returned = true
          return new Promise(() => {})
        },
      }),
    }
    const result = stream.sendAll(hanging)
    await new Promise(setImmediate)
    stream.abort()
    expect(returned).toBe(true)
    expect(await result).toEqual({ sent: 0, reason: 'closed' })
  })

  it('warns of a clean-up that fails, and rejects nothing', async () => {
    const stream = await open()
    const failing: AsyncIterable<EventInput> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: () => Promise.reject(new Error('no')),
      }),
    }
    const result = stream.sendAll(failing)
    await new Promise(setImmediate)
    stream.abort()
    expect((await result).reason).toBe('closed')
    await waitFor('the warning', () => problems.length > 0)
    expect(problems.splice(0)).toMatchObject([{ code: 'TCP_SSE_SOURCE_STOP' }])
  })

  const step = (next: () => unknown): EventIterable =>
    ({ [Symbol.asyncIterator]: () => ({ next }) }) as never
  const broken: [string, EventIterable][] = [
    ['null', step(() => null)],
    ['nothing', step(() => undefined)],
    ['a promise of nothing', step(async () => undefined)],
    [
      'a step whose value throws',
      step(() => ({
        get value() {
          throw new Error('value')
        },
      })),
    ],
    [
      'a step whose done throws',
      step(() => ({
        get done() {
          throw new Error('done')
        },
      })),
    ],
    [
      'a foreign promise that rejects',
      // biome-ignore lint/suspicious/noThenProperty: it is a thenable that is tested
      step(() => ({ then: (_: unknown, reject: (error: Error) => void) => reject(new Error()) })),
    ],
  ]
  for (const [what, source] of broken) {
    it(`closes with error when next() gives ${what}`, async () => {
      const stream = await open()
      expect(await stream.sendAll(source)).toMatchObject({ sent: 0, reason: 'error' })
      expect((await stream.closed).reason).toBe('error')
    })
  }

  it('takes promises of another realm, and warns of theirs that fail at the stop', async () => {
    const { stream, received } = await (await opener(cleanup)).open()
    const source = runInNewContext(
      `(async function* () { yield { id: '1' }; yield { id: '2' } })()`,
    )
    expect(await stream.sendAll(source)).toEqual({ sent: 2, reason: 'done' })
    await waitFor('the events', () => received().includes('id: 2'))
    const failing = runInNewContext(`({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: () => Promise.reject(new Error('no')),
      }),
    })`)
    const result = stream.sendAll(failing)
    await new Promise(setImmediate)
    stream.abort()
    await result
    await waitFor('the warning', () => problems.length > 0)
    expect(problems.splice(0)).toMatchObject([{ code: 'TCP_SSE_SOURCE_STOP' }])
  })

  it('holds what came when the room was gone: many at once overflow nothing', async () => {
    const { stream, client, received } = await (await opener(cleanup)).open({
      maxBufferedBytes: 25_000,
    })
    client.pause()
    async function* slow(first: number): AsyncGenerator<EventInput> {
      for (let id = first; id < first + 200; id++) {
        await new Promise(setImmediate)
        // Together more than the kernels on both sides take without notSentLowWater.
        yield { id, data: 'x'.repeat(20_000) }
      }
    }
    const all = Promise.all([0, 200, 400, 600, 800].map((first) => stream.sendAll(slow(first))))
    await waitFor('back-pressure', async () => {
      const before = stream.buffered().pending
      await delay(100)
      return before > 0 && stream.buffered().pending === before
    })
    client.resume()
    expect(await all).toEqual(Array(5).fill({ sent: 200, reason: 'done' }))
    expect((await stream.close()).dropped.events).toBe(0)
    await waitFor('the end', () => parseChunked(received()).complete)
    expect(idsOf(parseChunked(received()).body).length).toBe(1_000)
  })

  it('refuses options that are none, and has not touched the source', async () => {
    const stream = await open()
    const source = new ReadableStream()
    for (const [options, code] of [
      [{ signal: 'x' }, 'ERR_OPTION_TYPE'],
      [{ signal: {} }, 'ERR_OPTION_TYPE'],
      [null, 'ERR_OPTION_TYPE'],
      [{ sginal: new AbortController().signal }, 'ERR_OPTION_UNKNOWN'],
    ] as const) {
      await expect(stream.sendAll(source, options as never)).rejects.toThrow(
        expect.objectContaining({ code }),
      )
    }
    expect(source.locked).toBe(false)
  })

  it('refuses what cannot be pulled from, at the call', async () => {
    const stream = await open()
    const locked = new ReadableStream()
    locked.getReader()
    for (const wrong of ['text', 5, null, undefined, {}, locked]) {
      await expect(stream.sendAll(wrong as never)).rejects.toThrow(
        expect.objectContaining({ code: 'ERR_SOURCE_INVALID' }),
      )
    }
    expect(stream.state).toBe('open')
  })
})
