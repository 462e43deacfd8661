// The last sample before an end, and options: situations that a rig cannot produce at will.
import { once } from 'node:events'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { guardPort, type PortCloseInfo, TcpSseError } from '../../src/index.js'
import { nextTurn } from '../../src/internal/scheduling.js'
import { evidenceWithoutKernel } from '../../src/liveness/evidence.js'
import type { Kernel } from '../../src/liveness/kernel.js'
import { Monitor } from '../../src/liveness/monitor.js'
import { table } from '../../src/liveness/row.js'
import type { Watcher } from '../../src/liveness/watch.js'
import { clientFilter } from '../../src/port-guard/clients.js'
import { type Connection, Connections } from '../../src/port-guard/connections.js'
import { OutsideKernel } from '../../src/port-guard/kernel.js'
import { type PortGuardOptions, portGuardSettings } from '../../src/port-guard/options.js'
import { type Owner, Peer } from '../../src/port-guard/peer.js'
import { diagColumn, dumpSockets, TIMER_KEEPALIVE } from '../../src/tcp/diag.js'
import { COLUMNS, column, Table } from '../../src/tcp/record.js'
import { cleanup, listen } from '../support/cleanup.js'
import { describeWithDestroy } from '../support/describe-with-destroy.js'
import { healthy, type Numbers, write } from '../support/readings.js'
import { waitFor } from '../support/wait-for.js'

async function connected(): Promise<{ port: number; client: net.Socket; accepted: net.Socket }> {
  const server = net.createServer()
  const port = await listen(server)
  const client = net.connect(port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [net.Socket]
  for (const socket of [client, accepted]) socket.on('error', () => {}).resume()
  cleanup.push(() => {
    client.destroy()
    accepted.destroy()
  })
  return { port, client, accepted }
}

describeWithDestroy('a dump that takes its time', () => {
  it('has each row read as of the time at which it was made', async () => {
    const { port } = await connected()
    for (let i = 1; i < 8; i++) {
      const client = net.connect(port, '127.0.0.1').on('error', () => {})
      cleanup.push(() => client.destroy())
      await once(client, 'connect')
    }
    const connections = new Connections([port])
    // Those that the server has accepted.
    await waitFor('all rows', () => {
      const times = [0, 80]
      connections.refresh(() => times.shift() as number)
      return connections.size === 8
    })
    const rows = [...connections].sort((a, b) => a.row - b.row)
    const kernel = new OutsideKernel(
      connections,
      () => {},
      () => 100,
      portGuardSettings({ port }).armedPlan,
      undefined,
    )
    const into = new Table(COLUMNS.length, rows.length)
    const starts = rows.map((_, index) => index * COLUMNS.length)
    kernel.sample(rows, into, starts)
    // As it was told: what happened since then is not known.
    for (const [index, row] of rows.entries()) {
      const { lastAckReceived } = column
      const told = connections.cell(row, lastAckReceived)
      expect(into.get(starts[index] as number, lastAckReceived)).toBe(told)
    }
    const ages = rows.map((row) => 100 - kernel.sampledAt(row))
    // A row of the listening socket may be among them.
    expect(ages[0]).toBeGreaterThan(80)
    expect(ages[0]).toBeLessThanOrEqual(100)
    expect(ages.at(-1)).toBeLessThan(40)
    expect(ages).toEqual([...ages].sort((a, b) => b - a))
  })
})

describeWithDestroy('a dry run', () => {
  it('sets no options, and reports a stalled client once', async () => {
    const { port, client, accepted } = await connected()
    client.pause()
    const closes: PortCloseInfo[] = []
    const options = { dryRun: true, arm: true, stallTimeout: 1_000, detectWithin: 4_000 }
    const guard = guardPort({ port, ...options, onClose: (info) => closes.push(info) })
    cleanup.push(() => guard.stop())
    accepted.write(Buffer.alloc(20_000_000))
    await waitFor('the report', () => closes.length > 0, 10_000)
    // The client answers window probes all the time. Some dumps later it is still the same stall.
    const { dumps } = guard.stats()
    await waitFor('dumps', () => guard.stats().dumps >= dumps + 4, 20_000)
    expect(closes).toMatchObject([{ reason: 'stalled', outcome: 'dry-run' }])
    expect(guard.stats()).toMatchObject({ armed: 0, armingProblem: undefined })
    const rows = dumpSockets([port], 1 << 1)
    expect(rows.numbers[diagColumn.timer]).not.toBe(TIMER_KEEPALIVE)
  }, 40_000)
})

describeWithDestroy('a peer that the monitor considers dead', () => {
  /** What a look from before the process was stopped had shown. */
  const silent: Numbers = {
    at: 99_000,
    unackedSegments: 1,
    retransmits: 5,
    lastAckReceived: 20_000,
    answeredAt: 80_000,
    asked: 5,
    needed: 3,
    provedAt: 90_000,
  }

  /** The monitor makes no look of its own: time stands. */
  async function scene(): Promise<{
    port: number
    client: net.Socket
    peer: Peer
    connection: Connection
    watcher: () => Watcher
    watches: () => number
    reports: PortCloseInfo[]
    spared: () => number
  }> {
    const { port, client } = await connected()
    const connections = new Connections([port])
    const [connection] = connections.refresh(() => 0).arrived as [Connection]
    const watchers: Watcher[] = []
    const reports: PortCloseInfo[] = []
    let spared = 0
    const clock = { now: () => 100_000, after: () => () => {} }
    const kernel: Kernel<Connection> = {
      sample: (_, into, [start]) => write(into, start as number, healthy),
      exchange: () => [],
      set() {},
      reset() {},
      pending: () => 0,
      progress: () => 0,
      activity: () => Number.NaN,
    }
    const monitor = new Monitor(clock, kernel)
    const { watch } = monitor
    monitor.watch = (socket, watcher) => {
      watchers.push(watcher)
      const subject = watch.call(monitor, socket, watcher)
      write(table, subject.current, silent)
      return subject
    }
    const owner: Owner = {
      settings: portGuardSettings({ port, detectWithin: 5_000 }),
      clock,
      monitor,
      report: (info) => reports.push(info),
      spare: () => {
        spared += 1
      },
    }
    const peer = new Peer(owner, connection)
    peer.watch()
    return {
      port,
      client,
      peer,
      connection,
      watcher: () => watchers.at(-1) as Watcher,
      watches: () => watchers.length,
      reports,
      spared: () => spared,
    }
  }

  const evidence = { ...evidenceWithoutKernel('dead'), silentFor: 20_000 }

  it('is not ended when one more look shows that it has answered, and is watched on', async () => {
    const { client, watcher, watches, reports, spared } = await scene()
    watcher().onPeerDead(evidence)
    await nextTurn()
    expect([reports, spared(), watches()]).toEqual([[], 1, 2])
    expect(client.destroyed).toBe(false)
  })

  it('is dropped when its connection has already ended', async () => {
    const { port, client, connection, watcher, watches, reports, spared } = await scene()
    client.resetAndDestroy()
    await waitFor('its end', () => dumpSockets([port], 1 << 1).count === 0)
    watcher().onPeerDead(evidence)
    await nextTurn()
    expect([reports, spared(), watches(), connection.destroyed]).toEqual([[], 1, 1, true])
  })
})

describe('guardPort', () => {
  const wrong: [Partial<Record<keyof PortGuardOptions | 'prot', unknown>>, string][] = [
    [{}, 'ERR_OPTION_TYPE'],
    [{ port: '80' }, 'ERR_OPTION_TYPE'],
    [{ port: 0 }, 'ERR_OPTION_VALUE'],
    [{ port: 65_536 }, 'ERR_OPTION_VALUE'],
    [{ port: 1.5 }, 'ERR_OPTION_VALUE'],
    [{ port: Number.NaN }, 'ERR_OPTION_VALUE'],
    [{ port: [] }, 'ERR_OPTION_VALUE'],
    [{ port: [80, 'x'] }, 'ERR_OPTION_TYPE'],
    [{ port: Array.from({ length: 65 }, (_, i) => i + 1) }, 'ERR_OPTION_VALUE'],
    [{ prot: 80 }, 'ERR_OPTION_UNKNOWN'],
    [{ port: 80, detectWithin: 100 }, 'ERR_DETECT_WITHIN_TOO_SMALL'],
    [{ port: 80, stallTimeout: 10 }, 'ERR_OPTION_VALUE'],
    [{ port: 80, arm: 1 }, 'ERR_OPTION_TYPE'],
    [{ port: 80, address: '10.0.0.1' }, 'ERR_OPTION_TYPE'],
    [{ port: 80, address: [1] }, 'ERR_OPTION_TYPE'],
    [{ port: 80, address: ['10.0.0.0/33'] }, 'ERR_OPTION_VALUE'],
    [{ port: 80, except: ['10.0.0.0/-1'] }, 'ERR_OPTION_VALUE'],
    [{ port: 80, except: ['10.0.0.0/'] }, 'ERR_OPTION_VALUE'],
    [{ port: 80, except: ['host'] }, 'ERR_OPTION_VALUE'],
    [{ port: 80, except: ['::1/129'] }, 'ERR_OPTION_VALUE'],
    [{ port: 80, except: ['fe80::1%eth0'] }, 'ERR_OPTION_VALUE'],
    [{ port: 80, onClose: 1 }, 'ERR_OPTION_TYPE'],
  ]
  for (const [options, code] of wrong) {
    it(`refuses ${JSON.stringify(options).slice(0, 60)} with ${code}`, () => {
      const call = (): unknown => guardPort({ ...options, dryRun: true } as PortGuardOptions)
      expect(call).toThrow(TcpSseError)
      expect(call).toThrow(expect.objectContaining({ code }))
    })
  }

  it('means the clients of a network, and not those that are excepted', () => {
    const { address, except } = portGuardSettings({
      port: 80,
      address: ['10.0.0.0/8', 'fd00::/16', '192.168.0.1'],
      except: ['10.1.0.0/16', 'fd00::5'],
    })
    const isMeant = clientFilter(address, except)
    const meant = ['10.0.0.1', '10.2.3.4', '192.168.0.1', 'fd00::6']
    const others = ['10.1.2.3', '192.168.0.2', 'fd00::5', 'fd01::1', '11.0.0.1']
    expect([...meant, ...others].filter(isMeant)).toEqual(meant)
    expect(others.filter(clientFilter([], except))).toEqual(['192.168.0.2', 'fd01::1', '11.0.0.1'])
  })

  it('has no TCP_USER_TIMEOUT in its plans, and the same silence in both', () => {
    for (const detectWithin of [4_000, 10_000, 30_000, 3_600_000]) {
      const { armedPlan, plainPlan } = portGuardSettings({ port: 80, detectWithin })
      expect([armedPlan.userTimeout, plainPlan.userTimeout, plainPlan.keepAlive]).toEqual([
        false,
        false,
        false,
      ])
      expect(plainPlan.silence).toBe(armedPlan.silence)
    }
  })
})
