// Broadcasts that pass the streams by: the same bytes, and the streams know of them all the same.
import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { capabilities, createChannel } from '../../src/index.js'
import { LiveStream } from '../../src/stream/live-stream.js'
import { idsOf, parseChunked } from '../support/chunked.js'
import { cleanup } from '../support/cleanup.js'
import { opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

afterEach(() => {
  vi.restoreAllMocks()
})

type Opened = Awaited<ReturnType<Awaited<ReturnType<typeof opener>>['open']>>

async function subscribed(): Promise<
  Opened & { ids(): string[]; broadcast(...ids: string[]): Promise<void> }
> {
  const opened = await (await opener(cleanup)).open()
  const channel = createChannel()
  channel.subscribe(opened.stream)
  return {
    ...opened,
    ids: () => idsOf(parseChunked(opened.received()).body),
    async broadcast(...sent) {
      for (const id of sent) await channel.broadcast({ id, data: 'x' })
    },
  }
}

/** How many broadcasts have gone through streams since. */
function throughStreams(): () => number {
  const spy = vi.spyOn(LiveStream.prototype, 'sendEncoded')
  return () => spy.mock.calls.length
}

describe.runIf(capabilities().addon && process.env.TCP_SSE_NO_FAST_PATH !== '1')('a lane', () => {
  it('takes all broadcasts but the first', async () => {
    const { broadcast, ids } = await subscribed()
    const through = throughStreams()
    await broadcast('1', '2', '3', '4')
    await waitFor('the events', () => ids().length === 4)
    expect([ids(), through()]).toEqual([['1', '2', '3', '4'], 1])
  })

  it('lets the stream know: what was delivered, how many bytes, that there was traffic', async () => {
    const { broadcast, stream } = await subscribed()
    await broadcast('1', '2', '3')
    await waitFor('the acknowledgement', () => stream.delivered()?.events === 3)
    expect(await stream.delivery('2')).toBe('delivered')
    const info = await stream.close()
    expect(info).toMatchObject({
      delivered: { events: 3, id: '3' },
      undelivered: { events: 0 },
      bytesSent: 3 * 'id: 1\ndata: x\n\n'.length,
    })
  })

  it('is left for whatever else is sent, and found again: all in order, each known', async () => {
    const { broadcast, stream, ids } = await subscribed()
    const through = throughStreams()
    await broadcast('1', '2')
    stream.send({ id: 'own', data: 'x' })
    await broadcast('3', '4')
    stream.comment('between')
    await broadcast('5', '6')
    const sent = ['1', '2', 'own', '3', '4', '5', '6']
    await waitFor('the events', () => ids().length === sent.length)
    expect(ids()).toEqual(sent)
    // The first of each run, and the comment.
    expect(through()).toBe(3 + 1)
    await waitFor('the acknowledgement', () => stream.delivered()?.events === sent.length)
  })

  it('goes on over the end of a segment', async () => {
    const { broadcast, stream, ids } = await subscribed()
    const sent = Array.from({ length: 600 }, (_, index) => String(index))
    await broadcast(...sent)
    await waitFor('the events', () => ids().length === sent.length)
    expect(ids()).toEqual(sent)
    await waitFor('the acknowledgement', () => stream.delivered()?.events === sent.length)
  })

  it('is closed while the client is behind: broadcasts wait in the queue, in order', async () => {
    const { broadcast, stream, client, ids } = await subscribed()
    await broadcast('1', '2')
    client.pause()
    let id = 0
    while (stream.send({ id: `s${id}`, data: 'x'.repeat(8_000) }) === 'sent') id += 1
    await broadcast('3', '4')
    expect(stream.queue().pending).toBeGreaterThan(0)
    client.resume()
    await stream.writable()
    await broadcast('5', '6')
    await waitFor('the last', () => ids().at(-1) === '6')
    const own = Array.from({ length: id + 1 }, (_, index) => `s${index}`)
    expect(ids()).toEqual(['1', '2', ...own, '3', '4', '5', '6'])
  })

  it("is not taken past somebody who wraps the response's write, nor past what Node holds", async () => {
    const { broadcast, res, socket, ids } = await subscribed()
    await broadcast('1', '2')
    const seen: string[] = []
    const { write } = res
    res.write = function (this: ServerResponse, ...args: unknown[]) {
      seen.push(String(args[0]))
      return write.apply(this, args as Parameters<typeof write>)
    } as typeof write
    await broadcast('3')
    expect(idsOf(seen.join(''))).toEqual(['3'])
    res.write = write
    await broadcast('4', '5')
    socket.cork()
    res.write('id: held\ndata: x\n\n')
    await broadcast('6')
    socket.uncork()
    await waitFor('the last', () => ids().at(-1) === '6')
    expect(ids()).toEqual(['1', '2', '3', '4', '5', 'held', '6'])
  })
})
