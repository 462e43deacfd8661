// Sockets of the whole namespace: which ones a dump has, and that only the socket that is meant is touched.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import net, { type AddressInfo, type ListenOptions } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { addon } from '../../src/native/binding.js'
import {
  cookieOf,
  type DiagRows,
  destroySocket,
  diagColumn,
  dumpSockets,
  findSockets,
  GONE,
  idOf,
  localOf,
  remoteOf,
  type SocketId,
  setOptionsOf,
  TIMER_KEEPALIVE,
} from '../../src/tcp/diag.js'
import { column } from '../../src/tcp/record.js'
import { cleanup } from '../support/cleanup.js'
import { describeWithDestroy } from '../support/describe-with-destroy.js'
import { waitFor } from '../support/wait-for.js'

const ESTABLISHED = 1 << 1
const LISTEN = 1 << 10
const [ENOENT, ESRCH, EBUSY, ENOTSOCK, ESTALE] = [2, 3, 16, 88, 116]

interface Scene {
  port: number
  accepted: net.Socket[]
  connect(options?: Partial<net.TcpNetConnectOpts>): Promise<net.Socket>
}

async function scene(listen: ListenOptions = {}): Promise<Scene> {
  const accepted: net.Socket[] = []
  const server = net.createServer((socket) => {
    accepted.push(socket)
    socket.on('error', () => {})
  })
  server.listen({ port: 0, backlog: 4_096, ...listen })
  await once(server, 'listening')
  cleanup.push(() => {
    server.close()
    for (const socket of accepted) socket.destroy()
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    accepted,
    async connect(options) {
      const socket = net.connect({ port, host: '127.0.0.1', ...options })
      socket.on('error', () => {})
      cleanup.push(() => void socket.destroy())
      const before = accepted.length
      await once(socket, 'connect')
      await waitFor('the accept', () => accepted.length > before)
      return socket
    },
  }
}

const idsOf = (rows: DiagRows): SocketId[] =>
  Array.from({ length: rows.count }, (_, index) => idOf(rows, index))
const established = (...ports: number[]): SocketId[] => idsOf(dumpSockets(ports, ESTABLISHED))
const cell = ({ numbers, width }: DiagRows, index: number, at: number): number =>
  numbers[index * width + at] as number

describe.runIf(addon !== undefined)('a dump of sockets', () => {
  it('has the addresses of both ends over IPv4, IPv6 and mapped', async () => {
    const { port, connect } = await scene({ host: '::' })
    const clients = [await connect({ host: '127.0.0.1' }), await connect({ host: '::1' })]
    const found = established(port).map((id) => ({ local: localOf(id), remote: remoteOf(id) }))
    expect(found).toHaveLength(2)
    for (const { localAddress: address = '', localPort = 0 } of clients) {
      const remote = { address, port: localPort }
      expect(found).toContainEqual({ local: { address, port }, remote })
    }
  })

  it('has no port but those that are asked for, however many', async () => {
    const scenes = await Promise.all(Array.from({ length: 5 }, () => scene()))
    for (const { connect } of scenes) await connect()
    const ports = scenes.map(({ port }) => port)
    for (let wanted = 1; wanted <= ports.length; wanted++) {
      const some = ports.slice(0, wanted)
      const found = established(...some).map((id) => localOf(id).port)
      expect(found.sort()).toEqual([...some].sort())
    }
    const others = ports.flatMap((port) => [port - 1, port + 1]).filter((p) => !ports.includes(p))
    expect(established(...others).map((id) => localOf(id).port)).not.toEqual(
      expect.arrayContaining(ports),
    )
    // The largest filter there may be, with ours as its last.
    const many = Array.from({ length: 255 }, (_, index) => index + 1)
    expect(established(...many, ports[0] as number)).toHaveLength(1)
    expect(addon?.dumpSockets(2, 2, new Int32Array(257), 257, new Float64Array(0))).toBeLessThan(0)
    expect(established()).toEqual([])
  })

  it('has only the states that are asked for', async () => {
    const { port, connect } = await scene()
    await connect()
    expect(established(port)).toHaveLength(1)
    const listening = dumpSockets([port], LISTEN)
    expect(listening.count).toBe(1)
    expect(dumpSockets([port], ESTABLISHED | LISTEN).count).toBe(2)
    expect(dumpSockets([port], 0).count).toBe(0)
  })

  it('has the numbers of inspectMany in the same columns', async () => {
    const { port, connect, accepted } = await scene()
    const client = await connect()
    client.pause()
    accepted[0]?.write(Buffer.alloc(8_000_000))
    const fd = (accepted[0] as unknown as { _handle: { fd: number } })._handle.fd
    const row = new Float64Array(addon?.fields.length ?? 0)
    await waitFor('a shut window', () => {
      addon?.inspectMany(Int32Array.of(fd), new Int32Array(1), 1, row)
      return (row[column.unsent] as number) > 0 && (row[column.unackedSegments] as number) === 0
    })
    const rows = dumpSockets([port], ESTABLISHED)
    for (const name of ['errno', 'outq', 'unsent', 'state', 'bytesAcked', 'sendWindow'] as const)
      expect([name, cell(rows, 0, column[name])]).toEqual([name, row[column[name]]])
  })

  it('comes in as many pieces as it takes, each connection once', async () => {
    const { port, connect } = await scene()
    await Promise.all(Array.from({ length: 600 }, () => connect()))
    await waitFor('all of them', () => established(port).length === 600)
    const rows = dumpSockets([port], ESTABLISHED)
    const cookies = Array.from({ length: rows.count }, (_, index) => cookieOf(rows, index))
    expect(new Set(cookies).size).toBe(600)
    // No room: counted, and nothing is written beyond the end.
    const small = new Float64Array((addon?.diagFields.length ?? 0) * 2 + 1).fill(-7)
    expect(addon?.dumpSockets(2, ESTABLISHED, Int32Array.of(port), 1, small)).toBeLessThanOrEqual(
      600,
    )
    expect(small.at(-1)).toBe(-7)
  })

  it('throws a TypeError for a wrong call', () => {
    const wrong: (() => unknown)[] = [
      () => addon?.dumpSockets(2, 2, new Int32Array(1), 2, new Float64Array(1)),
      () => addon?.dumpSockets(2, 2, new Int32Array(1), -1, new Float64Array(1)),
      () => addon?.dumpSockets(2, 2, [80] as never, 1, new Float64Array(1)),
      () => addon?.dumpSockets('2' as never, 2, new Int32Array(1), 1, new Float64Array(1)),
      () => addon?.findSockets(new Uint32Array(13), 1, new Float64Array(100)),
      () => addon?.findSockets(new Uint32Array(14), 1, new Float64Array(1)),
      () => addon?.destroySocket(new Uint32Array(13)),
      () => addon?.setOptionsOf(1, 1, new Uint32Array(1), new Int32Array(0), 0),
      () => addon?.setOptionsOf(1, 1, new Uint32Array(2), Int32Array.of(999, 1), 1),
      () => addon?.setOptionsOf(1, 1, new Uint32Array(2), Int32Array.of(0, 1), 2),
    ]
    for (const call of wrong) expect(call).toThrow(TypeError)
  })

  it('finds one socket by its id, and reports when it has gone', async () => {
    const { port, connect } = await scene({ host: '::' })
    const client = await connect({ host: '127.0.0.1' })
    await connect({ host: '::1' })
    const ids = established(port)
    const rows = findSockets(ids)
    expect([cell(rows, 0, column.errno), cell(rows, 1, column.errno)]).toEqual([0, 0])
    expect(idsOf(rows)).toEqual(ids)
    client.resetAndDestroy()
    await waitFor('its end', () => established(port).length === 1)
    const after = findSockets(ids)
    const errors = [cell(after, 0, column.errno), cell(after, 1, column.errno)]
    expect(errors.sort()).toEqual([0, ENOENT])
  })
})

describeWithDestroy('the end of a connection of others', () => {
  it('is an ordinary error for both sides, over IPv4, IPv6 and mapped', async () => {
    const { port, connect, accepted } = await scene({ host: '::' })
    const clients = [await connect({ host: '127.0.0.1' }), await connect({ host: '::1' })]
    const codes: string[] = []
    for (const socket of [...clients, ...accepted])
      socket.on('error', ({ code }: NodeJS.ErrnoException) => codes.push(String(code))).resume()
    const ids = established(port)
    expect(ids.map(destroySocket)).toEqual([0, 0])
    await waitFor('four errors', () => codes.length === 4)
    expect(codes.sort()).toEqual(['ECONNABORTED', 'ECONNABORTED', 'ECONNRESET', 'ECONNRESET'])
    expect(ids.map(destroySocket)).toEqual([GONE, GONE])
  })

  it('never comes to a later connection with the same addresses and ports', async () => {
    const { port, connect } = await scene()
    // An address of its own: on 127.0.0.1 another process may take the port in between.
    const localAddress = '127.77.0.1'
    const first = await connect({ localAddress })
    const { localPort = 0 } = first
    const [id] = established(port) as [SocketId]
    first.resetAndDestroy()
    await waitFor('its end', () => established(port).length === 0)
    const second = await connect({ localAddress, localPort })
    const [newcomer] = established(port) as [SocketId]
    expect([localOf(newcomer), remoteOf(newcomer)]).toEqual([localOf(id), remoteOf(id)])
    expect(destroySocket(id)).toBe(GONE)
    expect(cell(findSockets([id]), 0, column.errno)).toBe(ENOENT)
    expect(established(port)).toEqual([newcomer])
    expect(second.destroyed).toBe(false)
  })

  it('needs CAP_NET_ADMIN, and a sample does not', () => {
    const file =
      process.env.TCP_SSE_ADDON ??
      fileURLToPath(new URL('../../build/Release/addon.node', import.meta.url))
    const script = `const a = require(process.argv[1])
      console.log(a.probeDestroy(), a.dumpSockets(2, 2, Int32Array.of(1), 1, new Float64Array(0)))`
    const { stdout, stderr } = spawnSync(
      'setpriv',
      ['--bounding-set', '-net_admin', process.execPath, '-e', script, file],
      { encoding: 'utf8' },
    )
    expect([stdout, stderr]).toEqual(['-1 0\n', ''])
  })
})

/** A process with a listening socket, and where that is. */
async function holder(): Promise<{
  child: ChildProcess
  port: number
  pid: number
  fd: number
  id: SocketId
}> {
  const program = fileURLToPath(new URL('../support/holder.mjs', import.meta.url))
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
  cleanup.push(() => void child.kill('SIGKILL'))
  const [port] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')).map(Number)
  const rows = dumpSockets([port as number], LISTEN)
  const inode = cell(rows, 0, diagColumn.inode)
  const folder = `/proc/${child.pid}/fd`
  const fd = readdirSync(folder).find(
    (name) => readlinkSync(join(folder, name)) === `socket:[${inode}]`,
  )
  return {
    child,
    port: port as number,
    pid: child.pid as number,
    fd: Number(fd),
    id: idOf(rows, 0),
  }
}

describeWithDestroy('options of a socket of another process', () => {
  it('are inherited by what its listening socket accepts from then on', async () => {
    const { port, pid, fd, id } = await holder()
    const connect = async (): Promise<void> => {
      const socket = net.connect(port, '127.0.0.1')
      cleanup.push(() => void socket.destroy())
      await once(socket, 'connect')
    }
    await connect()
    const settings = [
      ['SO_KEEPALIVE', 1],
      ['TCP_KEEPIDLE', 7],
      ['TCP_RTO_MAX_MS', 3_000],
    ] as const
    expect(setOptionsOf(pid, fd, id, settings)).toBe(0)
    await connect()
    const timers = (): number[] => {
      const rows = dumpSockets([port], ESTABLISHED)
      return [0, 1].map((index) => cell(rows, index, diagColumn.timer)).sort()
    }
    await waitFor('both', () => dumpSockets([port], ESTABLISHED).count === 2)
    expect(timers()).toEqual([0, TIMER_KEEPALIVE])
  })

  it('are not set where process, descriptor or socket is another by now', async () => {
    const { pid, fd, id } = await holder()
    const settings = [['SO_KEEPALIVE', 1]] as const
    const other = Uint32Array.from(id)
    other[12] = (other[12] as number) + 1
    expect(setOptionsOf(pid, fd, other, settings)).toBe(-ESTALE)
    expect(setOptionsOf(pid, 0, id, settings)).toBe(-ENOTSOCK)
    expect(setOptionsOf(2 ** 22 + 1, fd, id, settings)).toBe(-ESRCH)
    expect(setOptionsOf(pid, fd, id, [['TCP_KEEPIDLE', 0]])).toBe(-22)
  })

  it('are not set where the server has set TCP_USER_TIMEOUT: keepalive would end idle clients after that time', async () => {
    const { pid, fd, id } = await holder()
    expect(setOptionsOf(pid, fd, id, [['TCP_USER_TIMEOUT', 5_000]])).toBe(0)
    expect(setOptionsOf(pid, fd, id, [['SO_KEEPALIVE', 1]])).toBe(-EBUSY)
  })
})
