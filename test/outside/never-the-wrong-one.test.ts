// Only the connection of a dead peer is ended, regardless of what other connections do.
import { afterEach, expect, it } from 'vitest'
import type { RigServer } from '../../src/testing/index.js'
import { delay } from '../support/delay.js'
import { waitFor } from '../support/wait-for.js'
import { describeOutside } from './describe-outside.js'
import { range, Scene } from './scene.js'

const D = 6_000
let scene: Scene
afterEach(() => scene.close())

/** Milliseconds between two writes of the servers. */
const TICK = 1_000

/**
 * A plain TCP server that writes to each connection once a second.
 *
 * @returns the longest time for which a connection has waited for a write, so far
 */
async function serve(port: number, host = '::'): Promise<() => number> {
  const child = await scene.serve(port, [
    process.execPath,
    '-e',
    `const net = require('node:net')
    let longest = 0
    const server = net.createServer((socket) => {
      let last = Date.now()
      const tick = () => {
        socket.write('tick\\n')
        const waited = Date.now() - last
        last += waited
        if (waited > longest) console.log('waited', longest = waited)
      }
      socket.on('error', () => {}).resume()
      const timer = setInterval(tick, ${TICK})
      socket.on('close', () => clearInterval(timer))
    })
    server.listen({ port: ${port}, host: '${host}', backlog: 1024 })`,
  ])
  let words = ''
  child.stdout?.on('data', (text) => (words += text))
  return () => Number(words.trimEnd().split(' ').at(-1))
}

const at = (port: number): RigServer => ({ port }) as RigServer

describeOutside('a guarded port', () => {
  it('ends the vanished over IPv4, IPv6 and mapped, and no client on another port', async () => {
    scene = new Scene({ ipv6: true })
    await serve(8_000)
    await serve(8_001, scene.rig.serverAddress)
    await serve(8_002)
    const guard = await scene.guard('--port', '8000,8001', '--detect-within', `${D}ms`)
    const gone = [
      await scene.rig.connect(at(8_000)),
      await scene.rig.connect(at(8_000), {}, 6),
      await scene.rig.connect(at(8_001)),
    ]
    const other = await scene.rig.connect(at(8_002))
    const living = [
      await scene.rig.connect(at(8_000)),
      await scene.rig.connect(at(8_000), {}, 6),
      await scene.rig.connect(at(8_001)),
    ]
    await guard.sees(6)
    const { doneAt } = scene.rig.cut([...gone, other].map(({ number }) => number))
    await guard.ends(gone.length, D + 5_000)
    await delay(D)
    const ends = guard.closes()
    expect(ends.map(({ address }) => address).sort()).toEqual(
      gone.map(({ address }) => address).sort(),
    )
    expect(guard.late(doneAt, D + 1_000)).toEqual([])
    expect([scene.established(8_000), scene.established(8_001), scene.established(8_002)]).toEqual([
      2, 1, 1,
    ])
    for (const client of living) expect((await client.received()).ended).toBe(false)
  })

  it('ends clients that are written to if it may not arm, as without --arm', async () => {
    scene = new Scene()
    await serve(8_000)
    const unprivileged = ['setpriv', '--bounding-set', '-all,+net_admin']
    const flags = ['--port', '8000', '--detect-within', `${D}ms`, '--arm']
    const guard = await scene.guardUnder(unprivileged, ...flags)
    const gone = await scene.rig.connect(at(8_000))
    const living = await scene.rig.connect(at(8_000))
    await guard.sees(2)
    const told = (): string[] => guard.lines.flatMap(({ message }) => message ?? [])
    await waitFor('the problem', () => told().length > 0, 15_000)
    expect(told()).toEqual([expect.stringContaining('CAP_SYS_PTRACE')])
    const { doneAt } = scene.rig.cut([gone.number])
    await guard.ends(1, D + 5_000)
    expect(guard.late(doneAt, D + 1_000)).toEqual([])
    expect(guard.closes().map(({ address }) => address)).toEqual([gone.address])
    expect((await living.received()).ended).toBe(false)
  })

  it('with several processes on it (SO_REUSEPORT): the vanished of each are ended, and keepalive reaches all', async () => {
    scene = new Scene()
    const program = `import socket, time, threading
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); s.bind(('0.0.0.0', 8000)); s.listen(128)
kept = []
while True: kept.append(s.accept())`
    await scene.serve(8_000, ['/usr/bin/python3', '-c', program])
    scene.start(['/usr/bin/python3', '-c', program])
    scene.start(['/usr/bin/python3', '-c', program])
    await waitFor(
      'three listeners',
      () =>
        scene
          .run('cat', '/proc/net/tcp')
          .split('\n')
          .filter((line) => line.includes(':1F40 00000000')).length === 3,
    )
    // One is there before, and is armed by itself; the others inherit.
    const early = await scene.rig.connect(at(8_000))
    const guard = await scene.guard('--port', '8000', '--detect-within', `${D}ms`, '--arm')
    const clients = [early]
    for (let i = 0; i < 19; i++) clients.push(await scene.rig.connect(at(8_000)))
    // Idle, with nothing written to them: only the kernel asks.
    await waitFor('keepalive on all', () => guard.metric('armed') === 20)
    const gone = clients.slice(0, 10)
    const { doneAt } = scene.rig.cut(gone.map(({ number }) => number))
    await guard.ends(gone.length, D + 5_000)
    expect(guard.late(doneAt, D + 1_000)).toEqual([])
    await delay(D)
    expect(
      guard
        .closes()
        .map(({ address }) => address)
        .sort(),
    ).toEqual(gone.map(({ address }) => address).sort())
    expect(scene.established(8_000)).toBe(10)
  })

  it('under churn: 10 000 short connections come and go, on reused ports, and only the vanished are ended', async () => {
    scene = new Scene()
    const longestWait = await serve(8_000)
    const guard = await scene.guard('--port', '8000', '--detect-within', `${D}ms`)
    const clients = []
    for (let i = 0; i < 20; i++) clients.push(await scene.rig.connect(at(8_000)))
    await guard.sees(20)
    const churn = scene.start([
      process.execPath,
      '-e',
      // Fifty local ports, each reset and bound again: the same tuples over and over.
      `const net = require('node:net')
      let left = 10000
      const next = (localPort) => {
        if (left-- <= 0) return
        const socket = net.connect({ host: '${scene.rig.serverAddress}', port: 8000, localAddress: '${scene.rig.serverAddress}', localPort })
        socket.on('connect', () => socket.resetAndDestroy())
        socket.on('error', (e) => { console.log(e.code) })
        socket.on('close', () => next(localPort))
      }
      for (let port = 20000; port < 20050; port++) next(port)`,
    ])
    let errors = ''
    churn.stdout?.on('data', (text) => (errors += text))
    const gone = clients.slice(0, 10)
    const { doneAt } = scene.rig.cut(gone.map(({ number }) => number))
    await guard.ends(gone.length, D + 5_000)
    // Without keepalive, D counts from the first write that goes unanswered, and the churn may delay the server's.
    const writtenWithin = Math.max(0, longestWait() - TICK)
    expect(guard.late(doneAt, D + 1_000 + writtenWithin)).toEqual([])
    await waitFor('the churn', () => churn.exitCode !== null, 60_000)
    await delay(D)
    expect(
      guard
        .closes()
        .map(({ address }) => address)
        .sort(),
    ).toEqual(gone.map(({ address }) => address).sort())
    expect(scene.established(8_000)).toBe(10)
    expect(errors).not.toContain('ECONNRESET')
  })

  it('after the guard was stopped for 20 s, or has died: no living client is ended', async () => {
    scene = new Scene()
    await serve(8_000)
    const guard = await scene.guard('--port', '8000', '--detect-within', `${D}ms`)
    const clients = []
    for (let i = 0; i < 20; i++) clients.push(await scene.rig.connect(at(8_000)))
    const everybody = clients.map(({ number }) => number)
    await guard.sees(20)
    // Out for a part of D that is granted; the guard sees the beginning and the time after the end.
    scene.rig.cut(everybody)
    await delay(2_000)
    guard.child.kill('SIGSTOP')
    await delay(500)
    scene.rig.heal(everybody)
    await delay(20_000)
    guard.child.kill('SIGCONT')
    await delay(D)
    expect(guard.closes()).toEqual([])
    expect(scene.established(8_000)).toBe(20)
    // Killed while peers are out, and started again: what happened before counts for nothing.
    scene.rig.cut(everybody.slice(0, 10))
    await delay(2_000)
    guard.child.kill('SIGKILL')
    const second = await scene.guard('--port', '8000', '--detect-within', `${D}ms`)
    await second.ends(10, D + 5_000)
    await delay(D)
    expect(
      second
        .closes()
        .map(({ address }) => address)
        .sort(),
    ).toEqual(
      clients
        .slice(0, 10)
        .map(({ address }) => address)
        .sort(),
    )
    expect(scene.established(8_000)).toBe(10)
  })

  it('with a stall timeout: who takes nothing is ended, who takes little is not', async () => {
    // With a large receive buffer a slow reader's kernel opens the window once in many seconds only.
    scene = new Scene({ tcpRmem: '4096 16384 16384' })
    await scene.serve(8_000, [
      process.execPath,
      '-e',
      `require('node:net').createServer((socket) => {
        socket.on('error', () => {}).resume()
        setInterval(() => socket.writableLength < 1e6 && socket.write(Buffer.alloc(65536)), 50)
      }).listen(8000)`,
    ])
    const guard = await scene.guard(
      '--port',
      '8000',
      '--detect-within',
      `${D}ms`,
      '--stall-timeout',
      '4s',
    )
    const stalled = await scene.rig.connect(at(8_000), { read: 'never' })
    await scene.rig.connect(at(8_000), { read: { bytes: 65_536, everyMs: 1_000 } })
    await scene.rig.connect(at(8_000))
    await waitFor('its end', () => guard.closes().length > 0, 15_000)
    await delay(D)
    const closes = guard.lines.filter(({ event }) => event === 'close')
    expect(closes).toEqual([
      expect.objectContaining({
        reason: 'stalled',
        outcome: 'ended',
        remoteAddress: stalled.address,
      }),
    ])
    expect(scene.established(8_000)).toBe(2)
  })

  it('with filters and dry-run: who is not meant stays', async () => {
    scene = new Scene()
    await serve(8_000)
    const clients = []
    for (let i = 0; i < 4; i++) clients.push(await scene.rig.connect(at(8_000)))
    const [one, two, three, four] = range(0, 4).map((n) => scene.rig.clientAddress(n)) as [
      string,
      string,
      string,
      string,
    ]
    const within = ['--port', '8000', '--detect-within', `${D}ms`]
    const guard = await scene.guard(
      ...within,
      '--address',
      `${one},${two},${three}/32`,
      '--except',
      two,
    )
    const dry = await scene.guard(...within, '--dry-run', '--address', four)
    await guard.sees(2)
    await dry.sees(1)
    scene.rig.cut(range(0, 4))
    await guard.ends(2, D + 5_000)
    await waitFor(
      'the dry run',
      () => dry.lines.some(({ outcome }) => outcome === 'dry-run'),
      D + 5_000,
    )
    await delay(D)
    expect(
      guard
        .closes()
        .map(({ address }) => address)
        .sort(),
    ).toEqual([one, three].sort())
    expect(dry.lines.filter(({ event }) => event === 'close')).toEqual([
      expect.objectContaining({ outcome: 'dry-run', remoteAddress: four, reason: 'peer-dead' }),
    ])
    expect(scene.established(8_000)).toBe(2)
  })
})
