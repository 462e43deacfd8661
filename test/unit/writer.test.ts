// The write path over a transport into memory, on a clock of the test's own.
import { describe, expect, it } from 'vitest'
import { encodeEvent, eventText } from '../../src/sse/encode.js'
import { streamSettings } from '../../src/stream/options.js'
import { Writer, type WriterListener } from '../../src/stream/writer.js'
import { BroadcastPage } from '../../src/transport/fast/broadcast-page.js'
import type { FastPath, Seat } from '../../src/transport/transport.js'
import { idsOf } from '../support/chunked.js'
import { FakeClock } from '../support/fake-clock.js'
import { MemoryTransport } from '../support/memory-transport.js'

const event = (id: string) => encodeEvent({ id, data: 'x' })
const SIZE = event('1').bytes.length

class Told implements WriterListener {
  readonly calls: string[] = []
  beforeEnd = (): void => void this.calls.push('beforeEnd')
  onFailed = (error: unknown): void => void this.calls.push(String(error))
  onDropped = (events: number): void => void this.calls.push(`dropped ${events}`)
  onClose = (): void => void this.calls.push('closed')
}

function writing(options = {}, transport = new MemoryTransport()) {
  const clock = new FakeClock()
  const told = new Told()
  const writer = new Writer(transport, streamSettings(options), told, clock)
  transport.listen(writer)
  return { writer, transport, told, clock, ids: () => idsOf(transport.text) }
}

/** A transport with a fast path, which notes what goes that way. */
class FastTransport extends MemoryTransport {
  readonly texts: string[] = []
  readonly fast: FastPath = {
    seat: undefined,
    claimDescriptor: () => -1,
    credit: () => {},
    holdBack: () => {},
    takeRest: () => true,
    writeText: (text) => {
      this.texts.push(text)
      return this.write(Buffer.from(text)) ? text.length : -text.length
    },
  }
}

describe('Writer', () => {
  it('sends at once while there is room, lets wait when there is none, and goes on in order', () => {
    const { writer, transport, ids } = writing()
    transport.room = 2
    expect(['1', '2', '3', '4'].map((id) => writer.deliver(event(id)))).toEqual([
      'sent',
      'queued',
      'queued',
      'queued',
    ])
    expect([ids(), writer.pending]).toEqual([['1', '2'], 2 * SIZE])
    transport.drain(1)
    expect([ids(), writer.hasRoom]).toEqual([['1', '2', '3'], false])
    transport.drain(10)
    expect([ids(), writer.hasRoom, writer.pending]).toEqual([['1', '2', '3', '4'], true, 0])
    expect(writer.bytesSent).toBe(4 * SIZE)
  })

  it('hands text over as it is where the transport takes that, and encodes it only to let it wait', () => {
    const { writer, transport, ids } = writing({}, new FastTransport()) as ReturnType<
      typeof writing
    > & { transport: FastTransport }
    transport.room = 2
    const send = (id: string) => {
      const input = { id, data: 'x' }
      return writer.deliverText(eventText(input, undefined), input)
    }
    expect([send('1'), send('2'), send('3')]).toEqual(['sent', 'queued', 'queued'])
    expect(transport.texts.length).toBe(2)
    transport.drain(10)
    expect(ids()).toEqual(['1', '2', '3'])
    expect(writer.bytesSent).toBe(3 * SIZE)
  })

  it('puts events that are sent again after what waits and before what comes', () => {
    const { writer, transport, ids } = writing()
    transport.room = 1
    for (const id of ['1', '2']) writer.deliver(event(id))
    writer.replay([event('a'), event('b')])
    writer.deliver(event('3'))
    writer.replay([event('c')])
    writer.deliver(event('4'))
    for (let step = 0; step < 10; step++) transport.drain(1)
    expect(ids()).toEqual(['1', '2', 'a', 'b', '3', 'c', '4'])
  })

  it('notes the time of the last traffic by its clock, that of a cohort too', () => {
    const { writer, clock } = writing()
    const start = clock.now()
    clock.run(clock.time + 1_000)
    expect(writer.lastTraffic(clock.now())).toBe(start)
    writer.deliver(event('1'))
    expect(writer.lastTraffic(clock.now())).toBe(start + 1_000)
    clock.run(clock.time + 5_000)
    const page = new BroadcastPage()
    page.add(event('2'))
    writer.credit(page, 0, 1)
    expect(writer.lastTraffic(clock.now())).toBe(start + 6_000)
    expect(writer.bytesSent).toBe(2 * SIZE)
  })

  it('asks its place in a cohort for the account before it reports, and leaves it at the end', () => {
    const { writer, transport } = writing({}, new FastTransport()) as ReturnType<typeof writing> & {
      transport: FastTransport
    }
    const asked: string[] = []
    const seat: Seat = { settle: () => asked.push('settle'), leave: () => asked.push('leave') }
    transport.fast.seat = seat
    for (const ask of [
      () => writer.bytesSent,
      () => writer.inFlight,
      () => writer.delivery,
      () => writer.lastTraffic(0),
    ]) {
      asked.length = 0
      ask()
      expect(asked).toContain('settle')
    }
    writer.end()
    expect(asked).toContain('leave')
  })

  it('ends the transport when everything is out, and not before', () => {
    const { writer, transport, told } = writing()
    transport.room = 1
    for (const id of ['1', '2']) writer.deliver(event(id))
    writer.end()
    expect(told.calls).toEqual([])
    transport.drain(10)
    expect([transport.over, told.calls]).toEqual(['finished', ['closed']])
  })

  it('waits for the acknowledgement before the end, and asks for it by its clock', () => {
    let acknowledged: boolean | undefined = false
    const transport = Object.assign(new MemoryTransport(), {
      ledger: {
        start: undefined,
        position: undefined,
        check: () => {},
        watchPeerEnd: () => {},
        isAcknowledged: () => acknowledged,
      },
    })
    const { writer, told, clock } = writing({}, transport)
    writer.deliver(event('1'))
    writer.end()
    clock.run(clock.time + 200)
    expect([transport.over, told.calls]).toEqual([undefined, []])
    acknowledged = true
    clock.run(clock.time + 2_000)
    expect([transport.over, told.calls]).toEqual(['finished', ['beforeEnd', 'closed']])
  })

  it('reports what its policy drops, and an error of the transport in its own write', () => {
    const { writer, transport, told } = writing({ maxBufferedEvents: 1, onOverflow: 'drop-oldest' })
    transport.room = 1
    for (const id of ['1', '2', '3']) writer.deliver(event(id))
    expect(told.calls).toEqual(['dropped 1'])
    transport.write = () => {
      throw new Error('wrapped')
    }
    transport.drain(5)
    expect(told.calls.at(-1)).toBe('Error: wrapped')
  })
})
