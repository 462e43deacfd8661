// Cohorts of more than a slice, with everything that can happen to members between slices: no member misses an event, gets one twice
// or out of order.
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  applySocketOptions,
  capabilities,
  createChannel,
  createEventStream,
  type EventStream,
} from '../../src/index.js'
import { addon } from '../../src/native/binding.js'
import { idsOf, parseChunked } from '../support/chunked.js'
import { GET } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

afterEach(() => void vi.restoreAllMocks())

const CLIENTS = 130

interface Client {
  readonly stream: EventStream
  readonly res: http.ServerResponse
  readonly socket: net.Socket
  readonly client: net.Socket
  readonly chunks: Buffer[]
  readonly expected: string[]
  subscribed: boolean
  broken: boolean
}

async function clients(server: http.Server): Promise<Client[]> {
  const { port } = server.address() as AddressInfo
  const made: Promise<Client>[] = []
  for (let i = 0; i < CLIENTS; i++) {
    made.push(
      new Promise((resolve) => {
        const client = net.connect(port, '127.0.0.1').on('error', () => {})
        const chunks: Buffer[] = []
        client.on('data', (chunk) => chunks.push(chunk))
        client.on('connect', () => {
          const { localPort } = client
          const onRequest = (req: http.IncomingMessage, res: http.ServerResponse): void => {
            if (req.socket.remotePort !== localPort) return
            server.off('request', onRequest)
            const stream = createEventStream(req, res, { maxBufferedBytes: 100 * 1024 * 1024 })
            const { socket } = req
            const rest = { expected: [], subscribed: false, broken: false }
            resolve({ stream, res, socket, client, chunks, ...rest })
          }
          server.on('request', onRequest)
          client.write(GET)
        })
      }),
    )
  }
  return Promise.all(made)
}

const KINDS = ['send', 'res.write', 'comment', 'pause', 'resume', 'reset', 'leave', 'come'] as const

describe.runIf(capabilities().addon && process.env.TCP_SSE_NO_FAST_PATH !== '1')('a cohort', () => {
  it('leaves no gap and sends nothing twice when members join, leave and write between its slices', async () => {
    const native = addon as NonNullable<typeof addon>
    const { sendToEach } = native
    let afterSlice: () => void = () => {}
    vi.spyOn(native, 'sendToEach').mockImplementation((...args) => {
      const whole = sendToEach(...args)
      // The slice uses up its turn of the event loop, so that others come before the next one.
      for (const until = performance.now() + 2; performance.now() < until; );
      afterSlice()
      return whole
    })
    const action = fc.record({ kind: fc.constantFrom(...KINDS), who: fc.nat(CLIENTS - 1) })
    const round = fc.record({
      size: fc.constantFrom(1, 20, 20, 300, 20_000),
      before: fc.array(action, { maxLength: 4 }),
      between: fc.array(action, { maxLength: 6 }),
      waits: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(round, { minLength: 4, maxLength: 20 }), async (rounds) => {
        const server = http.createServer()
        server.setMaxListeners(CLIENTS + 10)
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
        const all = await clients(server)
        const channel = createChannel({ sliceBudget: 1 })
        for (const one of all) {
          applySocketOptions(one.socket, { sendBuffer: 4_096 })
          channel.subscribe(one.stream)
          one.subscribed = true
        }
        let own = 0
        let between: (() => void)[] = []
        afterSlice = () => between.shift()?.()
        const does = ({ kind, who }: { kind: (typeof KINDS)[number]; who: number }): void => {
          const one = all[who] as Client
          if (one.broken) return
          if (kind === 'send') {
            const id = `own${own++}`
            one.stream.send({ id, data: 'x' })
          } else if (kind === 'res.write') one.res.write(`id: raw${own++}\ndata: x\n\n`)
          else if (kind === 'comment') one.stream.comment('between')
          else if (kind === 'pause') one.client.pause()
          else if (kind === 'resume') one.client.resume()
          else if (kind === 'reset') {
            one.broken = true
            one.client.resetAndDestroy()
          } else if (kind === 'leave' && channel.unsubscribe(one.stream)) one.subscribed = false
          else if (kind === 'come' && !one.subscribed && one.stream.state === 'open') {
            one.subscribed = channel.subscribe(one.stream).replay !== 'closed'
          }
        }
        const sent: Promise<unknown>[] = []
        for (const [index, { size, before, between: inside, waits }] of rounds.entries()) {
          for (const each of before) does(each)
          const id = `b${index}`
          for (const one of all) if (one.subscribed) one.expected.push(id)
          // Leaving and coming while one is under way has outcomes that depend on the slice: tried before only.
          const harmless = inside.filter(({ kind }) => kind !== 'leave' && kind !== 'come')
          between.push(...harmless.map((each) => () => does(each)))
          sent.push(channel.broadcast({ id, data: 'x'.repeat(size) }))
          if (waits) await sent.at(-1)
        }
        await Promise.all(sent)
        between = []
        for (const one of all) if (!one.broken) one.client.resume()
        for (const one of all) {
          const { reason, delivered } = await one.stream.close()
          if (one.broken) continue
          expect(reason).toBe('ended')
          const response = (): Buffer => Buffer.concat(one.chunks)
          await waitFor('the whole response', () => parseChunked(response()).complete)
          const got = idsOf(parseChunked(response()).body)
          // Those that left before broadcasts under way had come to them do not get these.
          const broadcasts = got.filter((each) => each.startsWith('b'))
          expect(new Set(broadcasts).size).toBe(broadcasts.length)
          const left = one.expected.length - broadcasts.length
          if (rounds.every(({ before }) => before.every(({ kind }) => kind !== 'leave'))) {
            expect(left).toBe(0)
          }
          expect(one.expected.filter((each) => broadcasts.includes(each))).toEqual(broadcasts)
          if (delivered !== undefined) {
            expect([delivered.events, delivered.id]).toEqual([got.length, got.at(-1)])
          }
        }
        channel.close()
        server.close().closeAllConnections()
      }),
      { numRuns: 6 },
    )
  }, 120_000)
})
