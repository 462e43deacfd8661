// sendAll with sources that fail by themselves: the result says so, and nothing else does.
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { ReadableStream, type ReadableStreamDefaultController } from 'node:stream/web'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { EventInput } from '../../src/index.js'
import { client } from '../support/memory-clients.js'

const warnings: Error[] = []
const note = (warning: Error): void => void warnings.push(warning)
beforeEach(() => {
  process.on('warning', note)
})
afterEach(async () => {
  // Warnings come on the next tick, after what a promise has rejected with.
  await new Promise(setImmediate)
  process.off('warning', note)
  expect(warnings.splice(0)).toEqual([])
})

const problem = new Error('of the source')

/** Each yields one event and then fails. */
const sources: [string, () => AsyncIterable<EventInput> | Iterable<EventInput> | ReadableStream][] =
  [
    [
      'a web stream whose pull throws',
      () => {
        let pulled = 0
        return new ReadableStream(
          {
            pull(controller) {
              if (pulled++ > 0) throw problem
              controller.enqueue({ id: 1, data: 'x' })
            },
          },
          { highWaterMark: 0 },
        )
      },
    ],
    [
      'a web stream whose controller is told of an error later',
      () =>
        new ReadableStream(
          {
            start(controller) {
              controller.enqueue({ id: 1, data: 'x' })
              setImmediate(() => controller.error(problem))
            },
          },
          { highWaterMark: 2 },
        ),
    ],
    [
      'a Readable that is destroyed with an error',
      () =>
        new Readable({
          objectMode: true,
          highWaterMark: 1,
          read() {
            if (this.readableLength > 0 || this.listenerCount('seen') > 0) return
            this.once('seen', () => {})
            this.push({ id: 1, data: 'x' })
            setImmediate(() => this.destroy(problem))
          },
        }),
    ],
    [
      'a generator',
      function* () {
        yield { id: 1, data: 'x' }
        throw problem
      },
    ],
    [
      'an async generator',
      async function* () {
        yield { id: 1, data: 'x' }
        throw problem
      },
    ],
  ]

describe('sendAll', () => {
  for (const [title, make] of sources) {
    it(`tells of the error of ${title} by its result alone`, async () => {
      const { stream, transport } = client()
      expect(await stream.sendAll(make())).toEqual({ sent: 1, reason: 'error', error: problem })
      expect(transport.text).toBe('id: 1\ndata: x\n\n')
      expect((await stream.closed).error).toBe(problem)
    })
  }

  it('tells of the error of a web stream that had failed before, by its result alone', async () => {
    const source = new ReadableStream({ start: (controller) => controller.error(problem) })
    const result = await client().stream.sendAll(source)
    expect(result).toEqual({ sent: 0, reason: 'error', error: problem })
  })

  it('has nothing to stop where a web stream fails while the client is behind, and then leaves', async () => {
    let fail = (): void => {}
    const source = new ReadableStream({
      start(controller) {
        fail = () => controller.error(problem)
      },
    })
    const { stream, transport } = client()
    transport.room = 1
    stream.send({ data: 'fills' })
    const result = stream.sendAll(source)
    fail()
    await new Promise(setImmediate)
    transport.leave()
    expect(await result).toEqual({ sent: 0, reason: 'closed' })
  })

  for (const end of ['close', 'abort', 'signal'] as const) {
    it(`has nothing to stop where a web stream fails in the tick of ${end}`, async () => {
      const { stream } = client()
      const signal = new AbortController()
      let controller: ReadableStreamDefaultController | undefined
      const source = new ReadableStream({
        start(given) {
          controller = given
        },
      })
      const result = stream.sendAll(source, { signal: signal.signal })
      await new Promise(setImmediate)
      controller?.error(problem)
      if (end === 'signal') signal.abort()
      else void stream[end]()
      expect((await result).reason).toBe(end === 'signal' ? 'aborted' : 'closed')
    })
  }

  const late: [string, () => Readable][] = [
    ['a file that does not exist', () => createReadStream('/nonexistent/file')],
    [
      'a Readable whose destroy fails',
      () => new Readable({ read() {}, destroy: (_error, done) => done(problem) }),
    ],
  ]
  for (const [title, make] of late) {
    for (const how of ['after the end', 'with an aborted signal'] as const) {
      it(`is no exception where ${title} fails ${how}`, async () => {
        const { stream } = client()
        if (how === 'after the end') await stream.close()
        const options = how === 'after the end' ? {} : { signal: AbortSignal.abort() }
        const source = make()
        const over = new Promise((resolve) => source.on('close', resolve))
        const { reason } = await stream.sendAll(source, options)
        expect(reason).toBe(how === 'after the end' ? 'closed' : 'aborted')
        await over
      })
    }
  }

  it('does not call return() of an iterator whose next() has thrown, as for await does not', async () => {
    let returned = 0
    const iterator = {
      [Symbol.asyncIterator]: () => iterator,
      next: (): Promise<never> => Promise.reject(problem),
      return: () => {
        returned += 1
        return Promise.reject(new Error('of a second end'))
      },
    }
    const result = await client().stream.sendAll(iterator as never)
    expect([result, returned]).toEqual([{ sent: 0, reason: 'error', error: problem }, 0])
  })
})
