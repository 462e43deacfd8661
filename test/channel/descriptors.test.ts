// A cohort keeps descriptors. When one is closed, by any means, it leaves its row before the number can be reused.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readlinkSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  type Channel,
  capabilities,
  createChannel,
  createEventStream,
  type EventStream,
} from '../../src/index.js'
import { evidenceWithoutKernel } from '../../src/liveness/evidence.js'
import { addon, resetConnection } from '../../src/native/binding.js'
import type { LiveStream } from '../../src/stream/live-stream.js'
import { Http1Transport } from '../../src/transport/http1.js'
import { GET } from '../support/open-stream.js'
import { waitFor } from '../support/wait-for.js'

const cleanup: (() => void)[] = []
afterEach(() => {
  vi.restoreAllMocks()
  for (const undo of cleanup.splice(0).reverse()) undo()
})

/** Several slices. */
const CLIENTS = 220
const VICTIMS = 40
/** Milliseconds: of a machine with much else to do. */
const LONG = 40_000

/** The socket that a descriptor stands for: no two of the kernel's have the same number. */
function socketBehind(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return 'closed'
  }
}

interface Seen {
  /** Rows whose descriptor stood for another socket than at their joining. */
  wrong: string[]
  rows: number
  /** Called once, after the next slice and before the one that follows it. */
  afterSlice: (() => void) | undefined
}

/** Compares the socket behind each row with the one of its joining, at every call. */
function watchRows(): Seen {
  const joined = new Map<number, string>()
  const board = Http1Transport.prototype.claimDescriptor
  vi.spyOn(Http1Transport.prototype, 'claimDescriptor').mockImplementation(function (
    this: Http1Transport,
  ) {
    const fd = board.call(this)
    if (fd >= 0) joined.set(fd, socketBehind(fd))
    return fd
  })
  const seen: Seen = { wrong: [], rows: 0, afterSlice: undefined }
  const native = addon as NonNullable<typeof addon>
  const { sendToEach } = native
  vi.spyOn(native, 'sendToEach').mockImplementation((fds, from, to, bytes, shorts) => {
    for (const fd of fds.subarray(from, to)) {
      if (fd < 0) continue
      seen.rows += 1
      const now = socketBehind(fd)
      if (now !== joined.get(fd)) seen.wrong.push(`${fd}: ${joined.get(fd)} is ${now}`)
    }
    const whole = sendToEach(fds, from, to, bytes, shorts)
    // So long that each slice uses up its turn of the event loop.
    for (const until = performance.now() + 3; performance.now() < until; );
    seen.afterSlice?.()
    seen.afterSlice = undefined
    return whole
  })
  return seen
}

interface Scene {
  readonly channel: Channel
  readonly server: http.Server
  readonly victims: { stream: EventStream; socket: net.Socket; client: net.Socket }[]
}

async function scene(): Promise<Scene> {
  const channel = createChannel({ sliceBudget: 1 })
  const made: { stream: EventStream; socket: net.Socket }[] = []
  const server = http.createServer((req, res) => {
    const stream = createEventStream(req, res)
    made.push({ stream, socket: req.socket })
    channel.subscribe(stream)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanup.push(() => void server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const clients = new Map<number, net.Socket>()
  for (let i = 0; i < CLIENTS; i++) {
    const client = net.connect(port, '127.0.0.1').on('error', () => {})
    client.on('connect', () => clients.set(client.localPort as number, client))
    client.resume().write(GET)
    cleanup.push(() => client.destroy())
  }
  await waitFor('the streams', () => made.length === CLIENTS && clients.size === CLIENTS, LONG)
  await channel.broadcast({ data: 'all join' })
  // Of the first slice and of the last.
  const some = [...made.slice(0, VICTIMS / 2), ...made.slice(-VICTIMS / 2)]
  const victims = some.map(({ stream, socket }) => ({
    stream,
    socket,
    client: clients.get(socket.remotePort as number) as net.Socket,
  }))
  return { channel, server, victims }
}

/** Connections of another server, which get the numbers that are free; nothing is ever sent to them. */
async function strangers(): Promise<() => number> {
  let bytes = 0
  const count = (socket: net.Socket): void => {
    socket.on('data', (chunk) => {
      bytes += chunk.length
    })
    socket.on('error', () => {})
    cleanup.push(() => socket.destroy())
  }
  const server = net.createServer(count)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanup.push(() => void server.close())
  const { port } = server.address() as AddressInfo
  await Promise.all(
    Array.from(
      { length: 2 * VICTIMS },
      () =>
        new Promise<void>((resolve) => {
          const socket = net.connect(port, '127.0.0.1', resolve)
          count(socket)
        }),
    ),
  )
  return () => bytes
}

type Handle = { close(): void }

function child(): ChildProcess {
  const program = join(tmpdir(), `tcp-sse-receiver-${process.pid}.cjs`)
  writeFileSync(program, `process.on('message', (_, socket) => { globalThis.kept = socket })`)
  const process_ = fork(program)
  cleanup.push(() => process_.kill('SIGKILL'))
  return process_
}

function each(act: (victim: Scene['victims'][0]) => unknown): (scene: Scene) => void {
  return ({ victims }) => {
    for (const victim of victims) act(victim)
  }
}

const ways: [string, (scene: Scene) => void][] = [
  ['a FIN of the client', each(({ client }) => client.end())],
  ['an RST of the client', each(({ client }) => client.resetAndDestroy())],
  ['destroy()', each(({ socket }) => socket.destroy())],
  ['resetAndDestroy()', each(({ socket }) => socket.resetAndDestroy())],
  [
    'the monitor',
    each(({ stream, socket }) => {
      const evidence = { ...evidenceWithoutKernel('dead'), silentFor: 1 }
      ;(stream as LiveStream).onPeerDead(evidence)
      resetConnection(socket)
    }),
  ],
  ['abort()', each(({ stream }) => stream.abort())],
  ['close()', each(({ stream }) => stream.close())],
  ['server.closeAllConnections()', ({ server }) => server.closeAllConnections()],
  [
    'handle.close() by hand',
    each(({ socket }) => (socket as unknown as { _handle: Handle })._handle.close()),
  ],
]

describe.runIf(capabilities().addon && process.env.TCP_SSE_NO_FAST_PATH !== '1')(
  'a descriptor of a cohort',
  () => {
    for (const [way, close] of ways) {
      for (const when of ['between broadcasts', 'between the slices of one']) {
        it(
          `is gone with its connection: ${way}, ${when}`,
          async () => {
            const seen = watchRows()
            const made = await scene()
            const { channel } = made
            const { rows } = seen
            let sent: Promise<unknown> | undefined
            if (when === 'between broadcasts') close(made)
            else {
              await new Promise<void>((resolve) => {
                seen.afterSlice = () => {
                  close(made)
                  resolve()
                }
                sent = channel.broadcast({ data: 'in slices' })
              })
            }
            const bytes = await strangers()
            await sent
            for (let i = 0; i < 5; i++) await channel.broadcast({ data: 'after' })
            await waitFor(
              'the end of all',
              async () => {
                await channel.broadcast({ data: 'after' })
                return made.victims.every(
                  ({ socket }) => socket.destroyed || way.includes('by hand'),
                )
              },
              LONG,
            )
            expect(rows).toBe(CLIENTS)
            expect(seen.wrong).toEqual([])
            expect(bytes()).toBe(0)
          },
          2 * LONG,
        )
      }
    }

    it(
      'is given up when the connection is handed to a child process, which alone writes to it then',
      async () => {
        const seen = watchRows()
        const { channel, victims } = await scene()
        const receiver = child()
        const kept: string[] = []
        const { client, socket } = victims[0] as Scene['victims'][0]
        client.on('data', (chunk) => kept.push(String(chunk)))
        receiver.send('yours', socket)
        const sent = Promise.all(
          [1, 2, 3].map((data) => channel.broadcast({ data: `late ${data}` })),
        )
        const bytes = await strangers()
        await sent
        for (let i = 0; i < 5; i++) await channel.broadcast({ data: `late ${i}` })
        expect(seen.wrong).toEqual([])
        expect([bytes(), kept.filter((text) => text.includes('late'))]).toEqual([0, []])
      },
      2 * LONG,
    )

    it(
      'does not outlive the worker thread that keeps it',
      async () => {
        const file = new URL('../support/broadcasting-worker.ts', import.meta.url)
        // A worker of vitest's process has no loader for TypeScript.
        const [path, here] = [file.href, import.meta.url].map((url) => JSON.stringify(url))
        const code = `import('tsx/esm/api').then(({ tsImport }) => tsImport(${path}, ${here}))`
        const worker = new Worker(code, { eval: true })
        cleanup.push(() => void worker.terminate())
        const [port] = (await once(worker, 'message')) as [number]
        const received = Array.from({ length: VICTIMS }, () => {
          const one = { text: '', closed: false }
          const client = net.connect(port, '127.0.0.1').on('error', () => {})
          client.on('data', (chunk) => {
            one.text += chunk
          })
          client.on('close', () => {
            one.closed = true
          })
          client.write(GET)
          cleanup.push(() => client.destroy())
          return one
        })
        await waitFor('events', () => received.every(({ text }) => text.includes('data: x')), LONG)
        await worker.terminate()
        const bytes = await strangers()
        await waitFor('the end of all', () => received.every(({ closed }) => closed), LONG)
        expect(bytes()).toBe(0)
      },
      2 * LONG,
    )
  },
)
