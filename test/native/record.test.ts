// The record of TCP_INFO: one order of columns in C++ and in TypeScript, and options that are set and read in one call.
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { addon, kernelKnows } from '../../src/native/binding.js'
import { exchangeOptions, type KernelSettings, setOptions } from '../../src/tcp/kernel-settings.js'
import { COLUMNS, column, readInto, Table } from '../../src/tcp/record.js'
import { cleanup } from '../support/cleanup.js'

async function accepted(): Promise<net.Socket> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = net.connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [net.Socket]
  for (const each of [client, socket]) each.on('error', () => {})
  cleanup.push(() => {
    client.destroy()
    socket.destroy()
    server.close()
  })
  return socket
}

describe('a table', () => {
  it('keeps the numbers of its rows when it grows, and gives released rows away again, empty', () => {
    const table = new Table(3, 1)
    const rows = [0, 1, 2, 3, 4].map((value) => {
      const row = table.allocate()
      table.set(row, 1, value)
      return row
    })
    expect(rows.map((row) => table.get(row, 1))).toEqual([0, 1, 2, 3, 4])
    table.release(rows[2] as number)
    const again = table.allocate()
    expect(again).toBe(rows[2])
    expect(table.get(again, 1)).toBeNaN()
  })

  it('gives NaN for what is beyond it, and takes nothing there', () => {
    const table = new Table(3, 1)
    table.set(2 ** 30, 0, 7)
    expect(table.get(2 ** 30, 0)).toBeNaN()
  })
})

describe.runIf(addon !== undefined)('the record of TCP_INFO', () => {
  it('has the columns of the addon, in its order', () => {
    expect(addon?.fields).toEqual(COLUMNS)
    expect(addon?.diagFields.slice(0, COLUMNS.length)).toEqual(COLUMNS)
  })

  it('has a number of its own for this set of columns, so that a stale build is refused', () => {
    // A new column: raise kAbi in native/tcp.h and ABI in src/native/load-addon.ts, then the numbers here.
    expect([addon?.abi, COLUMNS.length]).toEqual([7, 26])
  })

  it('is written to the row that was named, and nothing around it', async () => {
    const sockets = [await accepted(), await accepted()]
    const table = new Table(COLUMNS.length, 4)
    const rows = [0, 1, 2, 3].map(() => table.allocate())
    readInto(table, [rows[2] as number, rows[0] as number], sockets)
    expect(rows.map((row) => table.get(row, column.state))).toEqual([1, Number.NaN, 1, Number.NaN])
    for (const row of [rows[1], rows[3]]) {
      const start = row as number
      expect([...table.numbers.slice(start, start + COLUMNS.length)].every(Number.isNaN)).toBe(true)
    }
  })

  it('has all times in milliseconds', async () => {
    const socket = await accepted()
    const table = new Table(COLUMNS.length, 1)
    const row = table.allocate()
    readInto(table, [row], [socket])
    // TCP_RTO_MIN is 200 ms; over loopback a round trip takes less than one.
    expect(table.get(row, column.rto)).toBeGreaterThanOrEqual(200)
    expect(table.get(row, column.rto)).toBeLessThan(1_500)
    expect(table.get(row, column.rtt)).toBeLessThan(100)
    expect(table.get(row, column.minRtt)).toBeLessThan(100)
  })
})

describe.runIf(addon !== undefined)('options in one call', () => {
  const wanted: KernelSettings = [
    ['SO_KEEPALIVE', 1],
    ['TCP_KEEPIDLE', 11],
    ['TCP_USER_TIMEOUT', 12_000],
  ]
  const defaults: KernelSettings = [
    ['SO_KEEPALIVE', 0],
    ['TCP_KEEPIDLE', 7_200],
    ['TCP_USER_TIMEOUT', 0],
  ]

  it('are set, and what was in force before comes back', async () => {
    const socket = await accepted()
    const before = exchangeOptions(socket, wanted)
    expect(before.map(([option]) => option)).toEqual(wanted.map(([option]) => option))
    expect(exchangeOptions(socket, before)).toEqual(wanted)
    setOptions(socket, wanted)
    expect(exchangeOptions(socket, defaults)).toEqual(wanted)
  })

  it('leave out what the kernel refuses, and set the others', async () => {
    const socket = await accepted()
    const before = exchangeOptions(socket, [
      ['TCP_KEEPIDLE', 11],
      ['TCP_KEEPCNT', 1_000],
      ['TCP_KEEPINTVL', 13],
    ])
    expect(before.map(([option]) => option)).toEqual(['TCP_KEEPIDLE', 'TCP_KEEPINTVL'])
    const after = exchangeOptions(socket, before)
    expect(after.map(([, value]) => value)).toEqual([11, 13])
  })

  it('leave out what the kernel does not know', async () => {
    const socket = await accepted()
    const before = exchangeOptions(socket, [
      ['TCP_RTO_MAX_MS', 2_000],
      ['TCP_USER_TIMEOUT', 5_000],
    ])
    const known = kernelKnows('TCP_RTO_MAX_MS') ? ['TCP_RTO_MAX_MS'] : []
    expect(before.map(([option]) => option)).toEqual([...known, 'TCP_USER_TIMEOUT'])
  })

  it('are left alone on a socket that is gone', async () => {
    const socket = await accepted()
    socket.destroy()
    expect(exchangeOptions(socket, wanted)).toEqual([])
    expect(() => setOptions(socket, wanted)).not.toThrow()
  })
})
