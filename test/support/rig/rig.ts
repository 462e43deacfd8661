/** The fault rig: a server and its clients with a network between them that fails on command. */
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { addressAt, PLAN } from './addresses.js'
import type { ClientMethods } from './client/types.js'
import { type CutKind, CutTable, type RouterCommands, type Target } from './cut-table.js'
import { buildNetwork, hasIpv6, type Network, routesToClients, type Sysctls } from './network.js'
import { type AnyMethods, type Peer, type SpawnPeerOptions, startPeer } from './peer.js'
import type { Methods } from './rpc.js'
import { type RigMode, rigSupport } from './support.js'

/** How a rig is built. */
export interface RigOptions {
  /**
   * The clients' `net.ipv4.tcp_rmem` ("min default max", IPv6 too): a small one gives small receive
   * windows, `'4096 16384 16384'`.
   */
  readonly tcpRmem?: string
  /** Other kernel settings of either end: `{ server: { 'net.ipv4.tcp_retries2': 5 } }`. */
  readonly sysctls?: { readonly server?: Sysctls; readonly client?: Sysctls }
  /** Insists on one way of making namespaces. Without it, root where we are root. */
  readonly mode?: RigMode
}

/** When a fault took effect, as `Date.now()`. The truth lies between the two. */
export interface FaultTimes {
  /** Just before the kernel was told. */
  readonly startedAt: number
  /** Just after it had taken the last command. */
  readonly doneAt: number
}

/** The client program (`clients.ts`), running. */
export type ClientsPeer = Peer<ClientMethods>

/**
 * Builds a rig. It needs no more than 50 ms, so each test file, or even each test, can have its own.
 *
 * @throws Error where {@link rigSupport} says no
 */
export async function createRig(options: RigOptions = {}): Promise<Rig> {
  const support = rigSupport(options.mode)
  if (!support.supported) throw new Error(`the fault rig does not work here: ${support.reason}`)
  const { server, client } = options.sysctls ?? {}
  const network = await buildNetwork(support.mode, {
    ...(server && { server }),
    client: {
      ...(options.tcpRmem === undefined ? {} : { 'net.ipv4.tcp_rmem': options.tcpRmem }),
      ...client,
    },
  })
  return new Rig(network, support.mode, support.parentDeathSignal)
}

/** A running rig, made by {@link createRig}. */
export class Rig {
  /** How its namespaces were made. */
  readonly mode: RigMode
  /** Whether the IPv6 addresses work. */
  readonly ipv6: boolean
  /** The server's address. Listen here, or on every address. */
  readonly serverAddress: string = PLAN.server.v4
  /** The server's IPv6 address. */
  readonly serverAddress6: string = PLAN.server.v6
  readonly #network: Network
  readonly #parentDeathSignal: boolean
  readonly #cuts: CutTable
  readonly #peers = new Set<{ close(): Promise<unknown> }>()

  /** @internal */
  constructor(network: Network, mode: RigMode, parentDeathSignal: boolean) {
    this.#network = network
    this.#parentDeathSignal = parentDeathSignal
    this.mode = mode
    this.ipv6 = hasIpv6()
    this.#cuts = new CutTable(this.ipv6)
  }

  /** The address of the client with this index; indices are what {@link cut} takes. */
  clientAddress(index: number): string {
    return addressAt(PLAN.clientBase.v4, index)
  }

  /** The IPv6 address of the client with this index. */
  clientAddress6(index: number): string {
    return addressAt(PLAN.clientBase.v6, index)
  }

  /** Starts a program on the server's side. It has to call `serveRpc`. */
  spawnServer<M extends Methods<M> = AnyMethods, E = Record<string, unknown>>(
    module: string | URL,
    options?: SpawnPeerOptions,
  ): Promise<Peer<M, E>> {
    return this.#spawn('server', module, options)
  }

  /** Starts a program of your own on the clients' side. It has to call `serveRpc`. */
  spawnClient<M extends Methods<M> = AnyMethods, E = Record<string, unknown>>(
    module: string | URL,
    options?: SpawnPeerOptions,
  ): Promise<Peer<M, E>> {
    return this.#spawn('client', module, options)
  }

  /** Starts the rig's own client program, which holds any number of connections. */
  spawnClients(options: SpawnPeerOptions = {}): Promise<ClientsPeer> {
    const bases = { RIG_CLIENT_BASE: PLAN.clientBase.v4, RIG_CLIENT_BASE6: PLAN.clientBase.v6 }
    const env = { ...bases, ...options.env }
    return this.#spawn<ClientMethods, Record<string, unknown>>('client', clientsModule(), {
      ...options,
      env,
    })
  }

  /**
   * Cuts clients off, in both directions and without a sign to either end: packets vanish in the
   * router. A cut client that is cut again stays cut.
   *
   * @param target - client indices (the ids that `open` returned), or `'all'` for the whole side,
   * which only `heal('all')` undoes
   */
  cut(target: Target): Promise<FaultTimes> {
    return this.#apply(this.#cuts.cut(target, 'silent'))
  }

  /**
   * Cuts clients off as {@link cut} does, but the router answers the server's packets with ICMP:
   * host unreachable (`'host'`) or administratively prohibited (`'admin'`). Every packet is
   * answered, there is no rate limit.
   */
  unreachable(target: Target, kind: 'host' | 'admin' = 'host'): Promise<FaultTimes> {
    return this.#apply(this.#cuts.cut(target, kind satisfies CutKind))
  }

  /** Undoes {@link cut} and {@link unreachable}. */
  heal(target: Target = 'all'): Promise<FaultTimes> {
    return this.#apply(this.#cuts.heal(target))
  }

  /**
   * Takes the router's link to the clients down. The clients see no carrier; the router has lost
   * its route, so it answers the server with ICMP network unreachable.
   */
  linkDown(): Promise<FaultTimes> {
    return this.#apply({ routes: ['link set rc down'], rules6: [] })
  }

  /** Takes the link up again and restores the routes. Cuts stay as they were. */
  linkUp(): Promise<FaultTimes> {
    return this.#apply({ routes: ['link set rc up', ...routesToClients(this.ipv6)], rules6: [] })
  }

  /**
   * The command prefix that runs something on a side, for `ss`, `tcpdump` or a look by hand:
   * `spawn(prefix[0], [...prefix.slice(1), 'ss', '-tin'])`.
   */
  commandPrefix(side: 'server' | 'client' | 'router'): readonly string[] {
    return this.#network.enter(side)
  }

  /** Kills every child and removes the namespaces. Safe to call twice. */
  async close(): Promise<void> {
    await Promise.all([...this.#peers].map((peer) => peer.close()))
    await this.#network.close()
  }

  /** The same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #spawn<M extends Methods<M>, E>(
    side: 'server' | 'client',
    module: string | URL,
    options?: SpawnPeerOptions,
  ): Promise<Peer<M, E>> {
    const prefix = [
      ...this.#network.enter(side),
      ...(this.#parentDeathSignal ? ['setpriv', '--pdeathsig', 'KILL'] : []),
    ]
    const peer = await startPeer<M, E>(prefix, module, options)
    this.#peers.add(peer)
    void peer.exited.then(() => this.#peers.delete(peer))
    return peer
  }

  async #apply({ routes, rules6 }: RouterCommands): Promise<FaultTimes> {
    const { router, router6 } = this.#network
    const startedAt = Date.now()
    await Promise.all([
      routes.length > 0 && router.run(routes),
      rules6.length > 0 && router6?.run(rules6),
    ])
    return { startedAt, doneAt: Date.now() }
  }
}

/** The rig's own client program, `clients.ts` or, once built, `clients.js`. */
export function clientsModule(): URL {
  return new URL(`./clients${extname(fileURLToPath(import.meta.url))}`, import.meta.url)
}
