// stream.signal: a rejection with its reason must resemble any other abort.
import { once } from 'node:events'
import http from 'node:http'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createEventResponse } from '../../src/adapters/web.js'
import { type CloseInfo, StreamClosedError, TcpSseError } from '../../src/index.js'
import { cleanup, listen } from '../support/cleanup.js'
import { opener } from '../support/open-stream.js'

/** What each API rejects with when the client leaves. */
const users: [string, (signal: AbortSignal) => Promise<unknown>][] = [
  [
    'fetch',
    async (signal) => {
      const upstream = http.createServer(() => {})
      const port = await listen(upstream)
      return fetch(`http://127.0.0.1:${port}/`, { signal })
    },
  ],
  ['timers/promises', (signal) => delay(60_000, undefined, { signal, ref: false })],
  ['events.once', (signal) => once(new http.Agent(), 'never', { signal })],
  [
    'pipeline',
    (signal) => pipeline(new Readable({ read() {} }), new Writable({ write() {} }), { signal }),
  ],
  [
    'throwIfAborted',
    async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      signal.throwIfAborted()
    },
  ],
  [
    'AbortSignal.any',
    async (signal) => {
      const any = AbortSignal.any([signal])
      await new Promise((resolve) => any.addEventListener('abort', resolve))
      throw any.reason
    },
  ],
]

describe('stream.signal', () => {
  for (const [name, use] of users) {
    it(`makes ${name} reject with an AbortError when the client leaves`, async () => {
      const { stream, client } = await (await opener(cleanup)).open()
      const used = use(stream.signal).then(
        () => 'nothing',
        (error: unknown) => error,
      )
      client.end()
      const error = await used
      expect(error).toBeInstanceOf(Error)
      expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' })
    })
  }

  it('has the close info and the error behind it on its reason', async () => {
    const { stream, client } = await (await opener(cleanup)).open()
    const { signal } = stream
    client.resetAndDestroy()
    const info = await stream.closed
    const reason = signal.reason as StreamClosedError
    expect(reason).toBeInstanceOf(StreamClosedError)
    expect(reason).toBeInstanceOf(TcpSseError)
    expect(new TcpSseError('ERR_OVERFLOW', 'x')).not.toBeInstanceOf(StreamClosedError)
    class Own extends TcpSseError {}
    expect(new TcpSseError('ERR_OVERFLOW', 'x')).not.toBeInstanceOf(Own)
    expect(new Own('ERR_OVERFLOW', 'x')).toBeInstanceOf(Own)
    expect(new Own('ERR_OVERFLOW', 'x')).toBeInstanceOf(TcpSseError)
    expect(reason.closeInfo).toBe(info)
    expect(reason.cause).toBe(info.error)
    expect(reason.message).toContain('client-reset')
  })

  it('is aborted with the same kind of reason where it is first asked for after the end', async () => {
    const { stream } = await (await opener(cleanup)).open()
    const info: CloseInfo = await stream.close()
    expect(stream.signal.aborted).toBe(true)
    expect(stream.signal.reason).toMatchObject({ name: 'AbortError', closeInfo: info })
  })

  it('ends another stream that was given it, with that reason as its error', async () => {
    const { open } = await opener(cleanup)
    const first = await open()
    const second = await open({ signal: first.stream.signal })
    first.client.end()
    const { reason, error } = await second.stream.closed
    expect(reason).toBe('aborted')
    expect(error).toBeInstanceOf(StreamClosedError)
  })

  it("has such a reason on a stream of the web's too", async () => {
    const { response, stream } = createEventResponse(new Request('http://x/'))
    const { signal } = stream
    await response.body?.cancel()
    expect(signal.reason).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' })
  })
})
