// The fault rig: a server and its clients in two network namespaces, with a third that routes
// between them. A cut is therefore a hole in the path, and not the loss of a local carrier.
//
// It works as root, and for other users in a user namespace. The namespaces have no link to the
// host's network.
import { existsSync } from 'node:fs'
import { wallClockNow } from '../internal/scheduling.js'
import { tcpPort } from '../internal/validate.js'
import { type ChildProcessHandle, startProcess } from './child-process.js'
import { type ConnectOptions, checkConnectOptions } from './client.js'
import { busySockets } from './listening.js'
import { Namespace } from './namespace.js'
import { RigClient } from './rig-client.js'
import {
  checkNarrowLink,
  checkRigOptions,
  type NarrowLink,
  type RigOptions,
} from './rig-options.js'
import {
  type Clients,
  checkClient,
  checkRefusal,
  type Direction,
  type Family,
  type Fault,
  faultLines,
  IPV4,
  IPV6,
  narrowLines,
  type Path,
} from './routes.js'
import { portOf, type RigServer } from './server.js'
import { addNarrowLink, type Spaces, wire } from './wiring.js'

/**
 * The namespaces, the processes in them, and the faults between them. Made by `createRig`. Methods
 * throw `ERR_RIG` if a command fails, as for a fault that is set twice.
 *
 * @example
 * const rig = createRig()
 * const server = await rig.serve(new URL('./server.js', import.meta.url))
 * const clients = [await rig.connect(server), await rig.connect(server)]
 * rig.cut([0]) // drops the first client's packets, in both directions
 */
export class Rig implements Path {
  readonly #families: readonly Family[]
  readonly #server: Namespace
  readonly #router: Namespace
  readonly #clients: Namespace
  readonly #namespaces: Namespace[] = []
  readonly #processes: ChildProcessHandle[] = []
  #clientProcess: ChildProcessHandle | undefined
  readonly #extensions: { close(): void }[] = []
  #nextClient = 0
  #narrow = false

  /** @internal */
  constructor(options: RigOptions = {}) {
    const { tcpRmem, ipv6 = false } = checkRigOptions(options)
    this.#families = ipv6 ? [IPV4, IPV6] : [IPV4]
    try {
      this.#server = this.#namespace()
      this.#router = this.#namespace(this.#server)
      this.#clients = this.#namespace(this.#server)
      wire(this.#spaces(), this.#families)
      if (tcpRmem !== undefined) this.#clients.sysctl('net/ipv4/tcp_rmem', tcpRmem)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** The server's address. */
  get serverAddress(): string {
    return IPV4.server
  }

  /** The server's IPv6 address, with the option `ipv6`. */
  get serverAddress6(): string {
    return IPV6.server
  }

  /**
   * The address of a client, by its number from 0 to 62 499. Each has its own address.
   * @throws {TcpSseError} `ERR_OPTION_VALUE`
   */
  clientAddress(index: number, family: 4 | 6 = 4): string {
    checkClient(index)
    return (family === 4 ? IPV4 : IPV6).client(index)
  }

  /**
   * Runs a server: a module that listens on a TCP port, on all addresses or on the rig's. Settles
   * when it listens. The port is read from the kernel.
   *
   * @param module - a JavaScript or TypeScript file (see `startProcess`)
   * @param options - `env`: variables in addition to this process's; `within`: milliseconds, 30 000
   * by default
   * @throws {TcpSseError} `ERR_CHILD`, as a rejection: it ended, or clients cannot reach its port
   * @example
   * const rig = createRig()
   * const server = await rig.serve(new URL('./server.js', import.meta.url))
   */
  async serve(
    module: URL | string,
    options: { env?: Readonly<Record<string, string>>; within?: number } = {},
  ): Promise<RigServer> {
    const child = this.spawnServer(module, options.env)
    const port = await portOf(child, options.within ?? 30_000)
    const host = this.serverAddress
    return { host, port, url: `http://${host}:${port}`, process: child }
  }

  /**
   * Connects a client, and requests an event stream over HTTP/1.1. Numbers count from 0 in the
   * order of the calls, and are not reused.
   *
   * @param family - 6 with the option `ipv6`
   * @throws {TcpSseError} as a rejection: `ERR_CHILD`, it could not connect; `ERR_OPTION_VALUE`,
   * for client 62 500
   */
  async connect(
    { port }: { port: number },
    options: ConnectOptions = {},
    family: 4 | 6 = 4,
  ): Promise<RigClient> {
    tcpPort(port, 'server.port')
    const checked = checkConnectOptions(options)
    this.#clientProcess ??= this.spawnClients(clientsModule())
    const child = this.#clientProcess
    const number = this.#nextClient++
    const address = this.clientAddress(number, family)
    const host = family === 4 ? this.serverAddress : this.serverAddress6
    const [index] = await child.call<[number]>('open', {
      addresses: [address],
      host,
      port,
      ...checked,
    })
    return new RigClient(number, address, this, child, index)
  }

  /** Starts a module on the server's side. It ends when this process ends, for any reason. */
  spawnServer(module: URL | string, env?: Readonly<Record<string, string>>): ChildProcessHandle {
    return this.#spawn(this.#server, module, env)
  }

  /** Starts a module on the clients' side. It can bind the address of any client. */
  spawnClients(module: URL | string, env?: Readonly<Record<string, string>>): ChildProcessHandle {
    return this.#spawn(this.#clients, module, env)
  }

  /** Drops the packets of clients, or of all of them, in both directions. */
  cut(clients: Clients): Fault {
    return this.#fault(clients, 'add', 'blackhole')
  }

  /** Undoes `cut`. */
  heal(clients: Clients): Fault {
    return this.#fault(clients, 'del', 'blackhole')
  }

  /** Drops packets to clients. What they send still arrives. */
  cutTowards(clients: Clients): Fault {
    return this.#fault(clients, 'add', 'blackhole', ['towards'])
  }

  /** Undoes `cutTowards`. */
  healTowards(clients: Clients): Fault {
    return this.#fault(clients, 'del', 'blackhole', ['towards'])
  }

  /** Drops packets from clients. */
  cutFrom(clients: Clients): Fault {
    return this.#fault(clients, 'add', 'blackhole', ['from'])
  }

  /** Undoes `cutFrom`. */
  healFrom(clients: Clients): Fault {
    return this.#fault(clients, 'del', 'blackhole', ['from'])
  }

  /**
   * Rejects packets to clients with ICMP "host unreachable" or "administratively prohibited".
   * Packets from them are dropped. Lasts until the rig is closed.
   */
  refuse(clients: Clients, how: 'unreachable' | 'prohibit'): Fault {
    return this.#fault(clients, 'add', checkRefusal(how, 'how'))
  }

  /**
   * Routes packets to clients over a narrow link with a short queue, which all of them share. A
   * server that sends faster loses packets, as on a real bottleneck (tc-tbf(8)). The first call
   * sets the limits.
   */
  narrow(clients: Clients, options: NarrowLink = {}): Fault {
    const { rate = 256_000, queue = 6_000 } = checkNarrowLink(options)
    if (!this.#narrow) addNarrowLink(this.#spaces(), this.#families, rate, queue)
    this.#narrow = true
    return this.#reroute(clients, 'add')
  }

  /** Undoes `narrow`. */
  widen(clients: Clients): Fault {
    return this.#reroute(clients, 'del')
  }

  /**
   * Takes the link between router and clients down, on the router's side, until the rig is closed.
   */
  linkDown(): Fault {
    return timed(() => this.#router.ip(['link set clients down']))
  }

  /** Packets that the narrow link has dropped so far. */
  narrowDrops(): number {
    if (!this.#narrow) return 0
    const text = this.#router.run(['tc', '-s', '-j', 'qdisc', 'show', 'dev', 'narrow'])
    return (JSON.parse(text) as { drops: number }[]).reduce((sum, { drops }) => sum + drops, 0)
  }

  /**
   * The ids of all processes of the rig: those that hold namespaces, and those that run in them.
   */
  get processes(): number[] {
    return [
      ...this.#namespaces.map(({ id }) => Number(id)),
      ...this.#processes.map(({ pid }) => pid),
    ]
  }

  /** States of the server's sockets, as in /proc/net/tcp (hex), without LISTEN and TIME_WAIT. */
  serverSockets(): string[] {
    return busySockets(this.#server.run(['cat', '/proc/net/tcp', '/proc/net/tcp6']))
  }

  /** Ends the rig and all its processes. A rig that is not closed ends with this process. */
  close(): void {
    for (const child of this.#processes) child.stop()
    for (const extension of this.#extensions) extension.close()
    for (const namespace of this.#namespaces) namespace.close()
  }

  /** @internal Adds something between the namespaces, which is closed with the rig. */
  extend<T extends { close(): void }>(make: (spaces: Spaces) => T): T {
    const extension = make(this.#spaces())
    this.#extensions.push(extension)
    return extension
  }

  #namespace(within?: Namespace): Namespace {
    const namespace = new Namespace(within)
    this.#namespaces.push(namespace)
    return namespace
  }

  #spaces(): Spaces {
    return { server: this.#server, router: this.#router, clients: this.#clients }
  }

  #reroute(clients: Clients, verb: 'add' | 'del'): Fault {
    return timed(() => {
      for (const each of this.#families) {
        this.#router.ip(narrowLines(each, clients, verb), each.options)
      }
    })
  }

  #fault(
    clients: Clients,
    verb: 'add' | 'del',
    type: 'blackhole' | 'unreachable' | 'prohibit',
    directions: readonly Direction[] = ['towards', 'from'],
  ): Fault {
    return timed(() => {
      for (const each of this.#families) {
        this.#router.ip(faultLines(each, clients, verb, type, directions), each.options)
      }
    })
  }

  #spawn(
    where: Namespace,
    module: URL | string,
    env?: Readonly<Record<string, string>>,
  ): ChildProcessHandle {
    // The kernel kills it when the thread that started it has ended (prctl(2), PR_SET_PDEATHSIG).
    const child = startProcess(module, [...where.prefix, 'setpriv', '--pdeathsig', 'KILL'], env)
    this.#processes.push(child)
    return child
  }
}

/**
 * Makes a rig. This takes about a tenth of a second.
 *
 * @throws {TcpSseError} `ERR_RIG` if a rig cannot be made, with the reason; `ERR_OPTION_*`
 * @example
 * const rig = createRig({ tcpRmem: '4096 16384 16384' })
 */
export function createRig(options: RigOptions = {}): Rig {
  return new Rig(options)
}

/**
 * Returns why a rig cannot be made here, or `undefined` if it can. It makes one to find out.
 *
 * @example
 * it.skipIf(rigMissing() !== undefined)('notices a client that vanishes', async () => {})
 */
export function rigMissing(): string | undefined {
  if (process.platform !== 'linux') return `${process.platform} has no network namespaces`
  try {
    new Rig().close()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** The built-in clients: a file beside this module, in the sources and in the package. */
function clientsModule(): URL {
  const source = new URL('./clients.ts', import.meta.url)
  return existsSync(source) ? source : new URL('./testing-clients.js', import.meta.url)
}

function timed(action: () => unknown): Fault {
  const startedAt = wallClockNow()
  action()
  return { startedAt, doneAt: wallClockNow() }
}
