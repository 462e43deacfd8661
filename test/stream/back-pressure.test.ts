// Room, and the lack of it.
import { afterEach, describe, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { idsOf, parseChunked } from '../support/chunked.js'
import { cleanup, undoAll } from '../support/cleanup.js'
import { delay } from '../support/delay.js'
import { fillUp, type OpenStream, opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

const warnings: Error[] = []
process.on('warning', (warning) => warnings.push(warning))
afterEach(() => {
  undoAll()
  expect(warnings.splice(0)).toEqual([])
})

type End = (opened: OpenStream) => void
const CLIENT_END: [string, End] = ['the client’s end', ({ client }) => void client.end()]

describe('writable()', () => {
  it('says true at once while there is room', async () => {
    const { stream } = await (await opener(cleanup)).open()
    expect(await stream.writable()).toBe(true)
  })

  it('waits for room', async () => {
    const { stream, client } = await (await opener(cleanup)).open()
    client.pause()
    await fillUp(stream)
    let settled = 0
    const waits = [stream.writable(), stream.writable()]
    for (const wait of waits) void wait.then(() => (settled += 1))
    await new Promise(setImmediate)
    expect(settled).toBe(0)
    client.resume()
    expect(await Promise.all(waits)).toEqual([true, true])
    expect(stream.send({ data: 'room' })).toBe('sent')
  })

  const ends: [
    string,
    (open: Awaited<ReturnType<Awaited<ReturnType<typeof opener>>['open']>>) => void,
  ][] = [
    ['close()', ({ stream }) => void stream.close()],
    ['abort()', ({ stream }) => stream.abort()],
    ['a reset', ({ client }) => void client.resetAndDestroy()],
    // Without the kernel's word a FIN behind bytes that nobody reads is not seen.
    ...(capabilities().addon ? [CLIENT_END] : []),
    ["the application's end of the response", ({ res }) => void res.destroy()],
  ]
  for (const [title, end] of ends) {
    it(`says false on ${title}, once and for all`, async () => {
      const opened = await (await opener(cleanup)).open()
      const { stream, client } = opened
      client.pause()
      await fillUp(stream)
      const wait = stream.writable()
      end(opened)
      expect(await wait).toBe(false)
      expect(await stream.writable()).toBe(false)
      client.resume()
      await stream.closed
    })
  }

  it('leaves nothing behind: 10 000 waits, no listener more, no warning', async () => {
    const { stream, client, res, socket } = await (await opener(cleanup)).open()
    const listeners = (): number =>
      [res, socket]
        .flatMap((each) => each.eventNames().map((name) => each.listenerCount(name)))
        .reduce((a, b) => a + b)
    // Once something has been sent the peer's end is listened for; once there was no room, Node's 'drain' is.
    stream.send({ data: 'the first' })
    const before = listeners()
    client.pause()
    await fillUp(stream)
    const whileBlocked = listeners()
    expect(whileBlocked).toBeLessThanOrEqual(before + 1)
    const waits = Array.from({ length: 10_000 }, () => stream.writable())
    expect(listeners()).toBe(whileBlocked)
    client.resume()
    expect(new Set(await Promise.all(waits))).toEqual(new Set([true]))
    for (let round = 0; round < 200; round++) {
      while (stream.send({ data: 'x'.repeat(8_000) }) !== 'queued');
      expect(await stream.writable()).toBe(true)
    }
    expect(listeners()).toBe(whileBlocked)
  })
})

describe('onOverflow', () => {
  it('close: ends the stream at once, and says how much waited', async () => {
    const { stream, client } = await (await opener(cleanup)).open({ maxBufferedBytes: 20_000 })
    client.pause()
    await fillUp(stream)
    while (stream.send({ data: 'x'.repeat(1_000) }) !== 'closed');
    const { reason, error } = await stream.closed
    expect([reason, (error as { code?: string }).code]).toEqual(['overflow', 'ERR_OVERFLOW'])
  })

  it('drops whole events only, keeps their order, and counts', async () => {
    for (const onOverflow of ['drop-oldest', 'drop-newest'] as const) {
      const { stream, client, received } = await (await opener(cleanup)).open({
        onOverflow,
        maxBufferedEvents: 5,
      })
      client.pause()
      const ids = await fillUp(stream)
      for (let id = 0; id < 20; id++) stream.send({ id: `e${id}`, data: 'y' })
      expect(stream.dropped.events).toBe(15)
      client.resume()
      const kept = onOverflow === 'drop-oldest' ? [15, 16, 17, 18, 19] : [0, 1, 2, 3, 4]
      const info = await stream.close()
      expect(info.dropped).toEqual(stream.dropped)
      await waitFor('the end', () => parseChunked(received()).complete)
      expect(idsOf(parseChunked(received()).body)).toEqual([...ids, ...kept.map((id) => `e${id}`)])
    }
  })

  it('coalesce: of events with one key only the newest waits, in order', async () => {
    const { stream, client, received } = await (await opener(cleanup)).open({
      onOverflow: 'coalesce',
      maxBufferedEvents: 4,
    })
    client.pause()
    const ids = await fillUp(stream)
    for (let id = 0; id < 30; id++) stream.send({ id: `k${id}`, key: `key ${id % 3}`, data: 'y' })
    client.resume()
    const { dropped } = await stream.close()
    expect(dropped.events).toBe(26)
    await waitFor('the end', () => parseChunked(received()).complete)
    expect(idsOf(parseChunked(received()).body)).toEqual([...ids, 'k26', 'k27', 'k28', 'k29'])
  })
})

describe('what is sent besides events', () => {
  it('padding comes first, as one comment of that size', async () => {
    const { stream, received } = await (await opener(cleanup)).open({ padding: 2_048, retry: 5 })
    stream.send({ id: '1', data: 'x' })
    await waitFor('the event', () => received().includes('id: 1'))
    const { body } = parseChunked(received())
    const padding = body.slice(':\n\n'.length)
    expect(padding.indexOf('\n\n') + 2).toBe(2_048)
    expect(padding.slice(2_048)).toBe('retry: 5\n\nid: 1\ndata: x\n\n')
    expect(idsOf(body)).toEqual(['1'])
  })

  it.runIf(capabilities().addon)(
    'a heartbeat when nothing was sent for its pause, however soon after a look the last event was',
    async () => {
      const { stream, received } = await (await opener(cleanup)).open({ heartbeat: 2_000 })
      await waitFor('a heartbeat', () => String(received()).includes(': \n\n'))
      stream.send({ data: 'last' })
      await waitFor('the event', () => String(received()).includes('last'))
      const sentAt = performance.now()
      await waitFor('the next one', () => /last.*: \n\n/s.test(String(received())))
      // Counted from the next look it would be 4 s.
      expect(performance.now() - sentAt).toBeLessThan(3_000)
    },
  )

  it('no heartbeat under traffic, and none while the client is behind', async () => {
    const { stream, client, received } = await (await opener(cleanup)).open({ heartbeat: 700 })
    const until = performance.now() + 2_000
    while (performance.now() < until) {
      stream.send({ data: 'x' })
      await delay(20)
    }
    expect(parseChunked(received()).body).not.toMatch(/^: /m)
    client.pause()
    await fillUp(stream)
    const { pending } = stream.buffered()
    await delay(1_500)
    expect(stream.buffered().pending).toBe(pending)
  })
})

describe.runIf(capabilities().notSentLowWater)('a stall', () => {
  it('shows after tens of kilobytes, not megabytes', async () => {
    const { stream, client } = await (await opener(cleanup)).open()
    client.pause()
    await fillUp(stream, 1_000)
    const { unsent = 0, pending } = stream.buffered()
    expect(unsent + pending).toBeLessThan(512 * 1024)
  })
})
