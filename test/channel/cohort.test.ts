// Broadcasts by a cohort, which pass the streams by: the same bytes, and the streams know of them all the same.
import { OutgoingMessage, type ServerResponse } from 'node:http'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Channel, capabilities, createChannel, MemoryHistory } from '../../src/index.js'
import { activityOf, addon } from '../../src/native/binding.js'
import { chunkSize } from '../../src/sse/chunk.js'
import { LiveStream } from '../../src/stream/live-stream.js'
import { idsOf, parseChunked } from '../support/chunked.js'
import { opener } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

const cleanup: (() => void)[] = []
afterEach(() => {
  vi.restoreAllMocks()
  for (const undo of cleanup.splice(0)) undo()
})

type Opened = Awaited<ReturnType<Awaited<ReturnType<typeof opener>>['open']>>

async function subscribed(): Promise<
  Opened & { channel: Channel; ids(): string[]; broadcast(...ids: string[]): Promise<void> }
> {
  const opened = await (await opener(cleanup)).open()
  const channel = createChannel()
  channel.subscribe(opened.stream)
  return {
    ...opened,
    channel,
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

describe.runIf(capabilities().addon && process.env.TCP_SSE_NO_FAST_PATH !== '1')('a cohort', () => {
  it('sends all broadcasts of a client that keeps up', async () => {
    const { broadcast, ids } = await subscribed()
    const through = throughStreams()
    await broadcast('1', '2', '3', '4')
    await waitFor('the events', () => ids().length === 4)
    expect([ids(), through()]).toEqual([['1', '2', '3', '4'], 0])
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

  it('is left for other sends and joined again, with all events in order and accounted for', async () => {
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
    // The comment. Own events come as text.
    expect(through()).toBe(1)
    await waitFor('the acknowledgement', () => stream.delivered()?.events === sent.length)
  })

  it('goes on over the end of a page', async () => {
    const { broadcast, stream, ids } = await subscribed()
    const sent = Array.from({ length: 600 }, (_, index) => String(index))
    await broadcast(...sent)
    await waitFor('the events', () => ids().length === sent.length)
    expect(ids()).toEqual(sent)
    await waitFor('the acknowledgement', () => stream.delivered()?.events === sent.length)
  })

  it('is left while the client is behind: broadcasts wait in the queue, in order', async () => {
    const { broadcast, stream, client, ids } = await subscribed()
    await broadcast('1', '2')
    client.pause()
    let id = 0
    while (stream.send({ id: `s${id}`, data: 'x'.repeat(8_000) }) === 'sent') id += 1
    await broadcast('3', '4')
    expect(stream.buffered().pending).toBeGreaterThan(0)
    client.resume()
    await stream.writable()
    await broadcast('5', '6')
    await waitFor('the last', () => ids().at(-1) === '6')
    const own = Array.from({ length: id + 1 }, (_, index) => `s${index}`)
    expect(ids()).toEqual(['1', '2', ...own, '3', '4', '5', '6'])
  })

  it("does not bypass a wrapper of the response's write, nor bytes that Node holds", async () => {
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

  it('counts as activity on the connection, so that the monitor looks again', async () => {
    const { broadcast, socket } = await subscribed()
    await broadcast('1')
    const before = activityOf(socket)
    await broadcast('2')
    expect(activityOf(socket) - before).toBe(chunkSize('id: 2\ndata: x\n\n'.length))
  })

  it('sends past none of what the application holds back or replaces, however it does that', async () => {
    const { broadcast, stream, socket, ids } = await subscribed()
    const chunk = (id: string): string => {
      const text = `id: ${id}\ndata: x\n\n`
      return `${text.length.toString(16)}\r\n${text}\r\n`
    }
    await broadcast('1')
    socket.cork()
    socket.write(chunk('held'))
    await broadcast('2')
    socket.uncork()
    await broadcast('3')
    socket.write(chunk('own'))
    await broadcast('4')
    const seen: string[] = []
    const { write } = socket
    socket.write = function (this: typeof socket, ...args: unknown[]) {
      seen.push(String(args[0]))
      return write.apply(this, args as Parameters<typeof write>)
    } as typeof write
    await broadcast('5')
    expect(seen.join('')).toContain('id: 5')
    socket.write = write
    await broadcast('6', '7')
    await waitFor('the last', () => ids().at(-1) === '7')
    expect(ids()).toEqual(['1', 'held', '2', '3', 'own', '4', '5', '6', '7'])
    // Somebody else has written: what was delivered is not known, and no cohort has it.
    expect(stream.delivered()).toBeUndefined()
  })

  it('sees a write that is replaced on a prototype while it is under way', async () => {
    const { broadcast, ids } = await subscribed()
    await broadcast('1')
    let seen = ''
    const { write } = OutgoingMessage.prototype
    cleanup.push(() => {
      OutgoingMessage.prototype.write = write
    })
    OutgoingMessage.prototype.write = function (this: OutgoingMessage, ...args: unknown[]) {
      seen += args[0]
      return write.apply(this, args as never)
    } as typeof write
    await broadcast('2')
    expect(seen).toContain('id: 2')
    OutgoingMessage.prototype.write = write
    await broadcast('3')
    await waitFor('the last', () => ids().at(-1) === '3')
    expect(ids()).toEqual(['1', '2', '3'])
  })

  it('is left by a client whose kernel takes a part only, and found again once it has caught up; nothing is said too early', async () => {
    const { broadcast, channel, stream, client, ids } = await subscribed()
    const cast = vi.spyOn(addon as NonNullable<typeof addon>, 'sendToEach')
    client.pause()
    const sent: string[] = []
    let tally = { queued: 0 }
    while (tally.queued === 0) {
      sent.push(`l${sent.length}`)
      tally = await channel.broadcast({ id: sent.at(-1) as string, data: 'x'.repeat(30_000) })
    }
    expect(cast.mock.lastCall?.[4][0]).toBe(1)
    const calls = cast.mock.calls.length
    await broadcast('behind')
    expect(cast.mock.calls.length).toBe(calls)
    expect(stream.delivered()?.events).toBeLessThan(sent.length)
    client.resume()
    await stream.writable()
    await waitFor('what was behind', () => ids().at(-1) === 'behind')
    await broadcast('again')
    expect(cast.mock.calls.length).toBe(calls + 1)
    await waitFor('the last', () => ids().at(-1) === 'again')
    expect(ids()).toEqual([...sent, 'behind', 'again'])
    await waitFor('the word of the kernel', () => stream.delivered()?.events === sent.length + 2)
    expect(stream.delivered()?.id).toBe('again')
  })

  it('goes on without those that a broadcast leaves out, and takes a stream of two channels in turn', async () => {
    const { broadcast, channel, stream, ids } = await subscribed()
    const other = createChannel()
    other.subscribe(stream)
    await broadcast('1')
    await other.broadcast({ id: 'other', data: 'x' })
    await channel.broadcast({ id: 'not for it', data: 'x' }, { except: stream })
    await broadcast('2')
    await channel.broadcast({ id: 'for all', data: 'x' }, { filter: () => true })
    channel.unsubscribe(stream)
    await broadcast('no more')
    await other.broadcast({ id: 'last', data: 'x' })
    const expected = ['1', 'other', '2', 'for all', 'last']
    await waitFor('the events', () => ids().length === expected.length)
    expect(ids()).toEqual(expected)
    await waitFor('the acknowledgement', () => stream.delivered()?.events === expected.length)
  })

  it('knows what those have had that left it during a broadcast, while these are sent the event one by one', async () => {
    const { open } = await opener(cleanup)
    const [first, second, asked] = [await open(), await open(), await open()]
    const channel = createChannel({ history: new MemoryHistory() })
    channel.subscribe(first.stream)
    channel.subscribe(second.stream)
    channel.subscribe(asked.stream, {
      filter: ({ id }) => {
        if (id !== '2') return true
        // Both leave the cohort before the broadcast comes to it.
        const { write } = first.res
        first.res.write = function (this: ServerResponse, ...args: unknown[]) {
          first.res.write = write
          channel.unsubscribe(second.stream)
          return write.apply(this, args as Parameters<typeof write>)
        } as typeof write
        second.stream.comment('leaves')
        return true
      },
    })
    for (const id of [1, 2]) await channel.broadcast({ id, data: 'x' })
    expect(channel.size).toBe(2)
    channel.subscribe(second.stream)
    await channel.broadcast({ id: 3, data: 'x' })
    const idsAt = ({ received }: Opened): string[] => idsOf(parseChunked(received()).body)
    await waitFor('the last', () => idsAt(second).at(-1) === '3')
    expect(idsAt(second)).toEqual(['1', '2', '3'])
  })

  it('leaves it at one system call for what a former member is sent in one tick', async () => {
    const { broadcast, stream, ids } = await subscribed()
    await broadcast('1', '2')
    const sendMany = vi.spyOn(addon as NonNullable<typeof addon>, 'sendMany')
    for (const id of ['3', '4', '5', '6']) stream.send({ id, data: 'x' })
    await waitFor('the events', () => ids().length === 6)
    expect(sendMany).toHaveBeenCalledTimes(1)
  })

  it('gives up the descriptor of a handle that has been put into a socket, when that is closed', async () => {
    const { open } = await opener(cleanup)
    const [{ stream, socket }, other] = [await open(), await open()]
    const channel = createChannel()
    channel.subscribe(stream)
    await channel.broadcast({ data: 'x' })
    type Handle = { readonly fd: number; close(): void }
    const [mine, theirs] = [socket, other.socket] as unknown as [
      { _handle: Handle },
      { _handle: Handle },
    ]
    const given = theirs._handle
    const { fd } = given
    theirs._handle = mine._handle
    mine._handle = given
    // Out of the cohort, and into it again.
    stream.comment('x')
    const native = addon as NonNullable<typeof addon>
    const { sendToEach } = native
    let rows: number[] = []
    vi.spyOn(native, 'sendToEach').mockImplementation((fds, from, to, ...rest) => {
      rows = [...fds.subarray(from, to)]
      return sendToEach(fds, from, to, ...rest)
    })
    await channel.broadcast({ data: 'x' })
    expect(rows).toEqual([fd])
    rows = []
    given.close()
    await channel.broadcast({ data: 'x' })
    expect(rows).not.toContain(fd)
  })
})
