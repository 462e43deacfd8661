// Real sockets: what is set is what the kernel then says.
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import {
  applySocketOptions,
  capabilities,
  inspectSocket,
  readSocketOptions,
  type SocketOptions,
} from '../../src/index.js'
import {
  fdOf,
  getKernelOption,
  type KernelOption,
  resetConnection,
} from '../../src/native/binding.js'
import { cleanup } from '../support/cleanup.js'
import { waitFor } from '../support/wait-for.js'

const withAddon = it.runIf(capabilities().addon)

async function pair(where: net.ListenOptions = { host: '127.0.0.1', port: 0 }): Promise<{
  ours: net.Socket
  theirs: net.Socket
  server: net.Server
  connect(): Promise<[net.Socket, net.Socket]>
}> {
  const server = net.createServer().listen(where)
  await new Promise((resolve) => server.once('listening', resolve))
  const connect = async (): Promise<[net.Socket, net.Socket]> => {
    const address = server.address()
    const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve))
    const theirs =
      typeof address === 'string'
        ? net.connect(address)
        : net.connect(address?.port ?? 0, where.host)
    theirs.on('error', () => {})
    const ours = await accepted
    ours.on('error', () => {})
    cleanup.push(() => {
      ours.destroy()
      theirs.destroy()
    })
    return [ours, theirs]
  }
  cleanup.push(() => server.close())
  const [ours, theirs] = await connect()
  return { ours, theirs, server, connect }
}

describe('readSocketOptions', () => {
  const options: Required<{ [Name in keyof SocketOptions]: SocketOptions[Name] }> = {
    userTimeout: 5_000,
    keepAlive: { idle: 7_000, interval: 2_000, count: 4 },
    retransmitMax: 2_000,
    noDelay: true,
    notSentLowWater: 16_384,
    sendBuffer: 20_000,
  }
  for (const [name, value] of Object.entries(options)) {
    const known = name !== 'retransmitMax' || capabilities().retransmitMax
    it.runIf(capabilities().addon && known)(`reads ${name} as it was set`, async () => {
      const { ours } = await pair()
      const before = readSocketOptions(ours)
      expect(before).toHaveProperty(name)
      expect(before[name as keyof SocketOptions]).not.toEqual(value)
      applySocketOptions(ours, { [name]: value })
      expect(readSocketOptions(ours)).toEqual({ ...before, [name]: value })
    })
  }

  withAddon('gives what can be set again', async () => {
    const { ours } = await pair()
    const { sendBuffer, ...before } = readSocketOptions(ours)
    const { retransmitMax, ...others } = options
    applySocketOptions(ours, capabilities().retransmitMax ? options : others)
    expect(applySocketOptions(ours, before).status).toBe('applied')
    expect(readSocketOptions(ours)).toEqual({ ...before, sendBuffer: options.sendBuffer })
  })

  it('gives nothing that is not there: of a Unix socket, of one that is gone, without the addon', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tcp-sse-'))
    cleanup.push(() => rmSync(folder, { recursive: true }))
    const { ours, theirs } = await pair({ path: join(folder, 'socket') })
    const known = Object.keys(readSocketOptions(ours))
    expect(known).toEqual(capabilities().addon ? ['sendBuffer'] : [])
    theirs.destroy()
    ours.destroy()
    expect(readSocketOptions(ours)).toEqual({})
    expect(() => readSocketOptions({} as never)).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_A_SOCKET' }),
    )
  })
})

describe('applySocketOptions', () => {
  /** What is set, what the kernel then says, and what is set before, where that is the kernel's own default. */
  const rows: [string, SocketOptions, [KernelOption, number][], SocketOptions?][] = [
    ['TCP_USER_TIMEOUT', { userTimeout: 5_000 }, [['TCP_USER_TIMEOUT', 5_000]]],
    ['a fraction of a millisecond, rounded up', { userTimeout: 1.2 }, [['TCP_USER_TIMEOUT', 2]]],
    [
      'TCP_USER_TIMEOUT off',
      { userTimeout: false },
      [['TCP_USER_TIMEOUT', 0]],
      { userTimeout: 5_000 },
    ],
    [
      'keepalive, seconds rounded up',
      { keepAlive: { idle: 1_001, interval: 500, count: 4 } },
      [
        ['SO_KEEPALIVE', 1],
        ['TCP_KEEPIDLE', 2],
        ['TCP_KEEPINTVL', 1],
        ['TCP_KEEPCNT', 4],
      ],
    ],
    [
      'keepalive off',
      { keepAlive: false },
      [['SO_KEEPALIVE', 0]],
      { keepAlive: { idle: 1_000, interval: 1_000, count: 1 } },
    ],
    ['TCP_NODELAY', { noDelay: true }, [['TCP_NODELAY', 1]]],
    ['TCP_NODELAY off', { noDelay: false }, [['TCP_NODELAY', 0]], { noDelay: true }],
    ['TCP_NOTSENT_LOWAT', { notSentLowWater: 16_384 }, [['TCP_NOTSENT_LOWAT', 16_384]]],
    ['SO_SNDBUF, which the kernel doubles', { sendBuffer: 20_000 }, [['SO_SNDBUF', 40_000]]],
  ]
  for (const host of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
    for (const [title, options, expected, before = {}] of rows) {
      withAddon(`sets ${title} over ${host}`, async () => {
        const { ours } = await pair({ host, port: 0 })
        applySocketOptions(ours, before)
        for (const [option, value] of expected) {
          expect(getKernelOption(ours, option)).not.toBe(value)
        }
        expect(applySocketOptions(ours, options).status).toBe('applied')
        for (const [option, value] of expected) expect(getKernelOption(ours, option)).toBe(value)
      })
    }
  }
  it.runIf(capabilities().retransmitMax)('sets TCP_RTO_MAX_MS', async () => {
    const { ours } = await pair()
    expect(getKernelOption(ours, 'TCP_RTO_MAX_MS')).not.toBe(2_000)
    applySocketOptions(ours, { retransmitMax: 2_000 })
    expect(getKernelOption(ours, 'TCP_RTO_MAX_MS')).toBe(2_000)
  })

  const refused: [string, object, string][] = [
    ['0', { userTimeout: 0 }, 'ERR_OPTION_VALUE'],
    ['a negative number', { userTimeout: -1 }, 'ERR_OPTION_VALUE'],
    ['NaN', { userTimeout: Number.NaN }, 'ERR_OPTION_VALUE'],
    ['a fraction that would become 0', { userTimeout: 0.4 }, 'ERR_OPTION_VALUE'],
    ['a string', { userTimeout: '5s' }, 'ERR_OPTION_TYPE'],
    ['half of keepalive', { keepAlive: { idle: 1_000 } }, 'ERR_OPTION_TYPE'],
    ['an unknown name', { usertimeout: 5 }, 'ERR_OPTION_UNKNOWN'],
  ]
  for (const [title, options, code] of refused) {
    it(`refuses ${title}`, async () => {
      const { ours } = await pair()
      expect(() => applySocketOptions(ours, options as SocketOptions)).toThrow(
        expect.objectContaining({ code }),
      )
    })
  }
  it('names the nearest right option', async () => {
    const { ours } = await pair()
    expect(() => applySocketOptions(ours, { usertimeout: 5 } as never)).toThrow("'userTimeout'")
  })
  it('refuses a Writable that is no socket', () => {
    const refusal = expect.objectContaining({ code: 'ERR_NOT_A_SOCKET' })
    expect(() => applySocketOptions(new Writable() as never, {})).toThrow(refusal)
    expect(() => inspectSocket(new Writable() as never)).toThrow(refusal)
  })
  it('degrades on a Unix socket, and says so', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tcp-sse-'))
    cleanup.push(() => rmSync(folder, { recursive: true }))
    const { ours } = await pair({ path: join(folder, 'socket') })
    const { status, skipped } = applySocketOptions(ours, { userTimeout: 5_000 })
    expect(status).toBe('partly')
    expect(skipped.userTimeout).toMatch(/TCP|addon/)
    const snapshot = inspectSocket(ours)
    if (capabilities().addon)
      expect(snapshot).toMatchObject({ status: 'partly', outq: 0, rtt: undefined })
  })
})

describe('inspectSocket', () => {
  withAddon('tells what waits where', async () => {
    const { ours, theirs } = await pair()
    theirs.pause()
    ours.write(Buffer.alloc(20_000_000))
    const snapshot = await waitFor('a shut window', () => {
      const now = inspectSocket(ours)
      return (now.unsent ?? 0) > 0 && now.unackedSegments === 0 && now
    })
    expect(snapshot).toMatchObject({ status: 'ok', state: 'ESTABLISHED' })
    expect(snapshot.pending).toBeGreaterThan(0)
    expect(snapshot.outq).toBe((snapshot.unacked ?? 0) + (snapshot.unsent ?? 0))
  })
  it('says of a destroyed socket that it is destroyed', async () => {
    const { ours } = await pair()
    ours.destroy()
    expect(inspectSocket(ours).status).toBe('destroyed')
    expect(applySocketOptions(ours, { noDelay: true }).status).toBe('destroyed')
  })
})

describe('the fd trap', () => {
  withAddon(
    'a number that the next accept reuses is never touched through the old socket',
    async () => {
      const { ours, connect } = await pair()
      applySocketOptions(ours, { userTimeout: 5_000 })
      const number = fdOf(ours)
      // The handle still answers with its old number until the close has gone through libuv.
      ours.destroy()
      const newcomer = await waitFor('the number to be reused', async () => {
        const [accepted, theirs] = await connect()
        if (fdOf(accepted) === number) return accepted
        return fdOf(theirs) === number && theirs
      })
      expect(applySocketOptions(ours, { userTimeout: 7_000, noDelay: true }).status).toBe(
        'destroyed',
      )
      expect(inspectSocket(ours).status).toBe('destroyed')
      resetConnection(ours)
      expect(getKernelOption(newcomer, 'TCP_USER_TIMEOUT')).toBe(0)
      expect(inspectSocket(newcomer).state).toBe('ESTABLISHED')
    },
  )
})
