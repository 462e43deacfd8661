// The fault rig: a server and its clients in two network namespaces, joined by a third that routes between them, so
// that a cut is a hole in the path and not the loss of a local carrier.
//
//   server 10.77.0.2 --- 10.77.0.1 router 10.79.0.1 --- 10.79.0.2 clients (and all of 10.78.0.0/16)
//
// It works as root, and for other users inside a user namespace of their own. Nothing leaves the namespaces: they have
// no link to the host's network.
import { spawn, spawnSync } from 'node:child_process'
import { type Peer, startPeer } from './rpc.js'

const SERVER = '10.77.0.2'
const CLIENTS = '10.78.0.0/16'
/** Narrower than the router's own route to the clients, so that they win. */
const HALVES = ['10.78.0.0/17', '10.78.128.0/17']

/** When a fault took effect: between the two, `Date.now()` milliseconds. */
export interface Fault {
  readonly startedAt: number
  readonly doneAt: number
}

/** Options of `createRig`. */
export interface RigOptions {
  /** `net.ipv4.tcp_rmem` of the clients: small receive windows. */
  tcpRmem?: string
}

/** The namespaces and what can go wrong between them. */
export class Rig {
  readonly serverAddress = SERVER
  readonly #prefix: readonly string[]
  readonly #name: string
  readonly #release: () => void
  readonly #peers: Peer[] = []
  readonly #onExit = () => this.close()

  constructor(options: RigOptions = {}) {
    const { prefix, release } = openPrivileges()
    this.#prefix = prefix
    this.#release = release
    this.#name = `ts${process.pid}x${counter++}`
    process.once('exit', this.#onExit)
    const [server, router, clients] = [this.#ns('s'), this.#ns('r'), this.#ns('c')]
    for (const each of [server, router, clients]) this.#ip(['netns', 'add', each])
    this.#link(server, router, `${SERVER}/24`, '10.77.0.1/24')
    this.#link(clients, router, '10.79.0.2/24', '10.79.0.1/24')
    this.#ip(['-n', server, 'route', 'add', 'default', 'via', '10.77.0.1'])
    this.#ip(['-n', clients, 'route', 'add', 'default', 'via', '10.79.0.1'])
    // Any address of the range is the clients' own: each client can have one, and be cut alone.
    this.#ip(['-n', clients, 'route', 'add', 'local', CLIENTS, 'dev', 'lo'])
    this.#ip(['-n', router, 'route', 'add', CLIENTS, 'via', '10.79.0.2'])
    this.#sysctl(router, 'net.ipv4.ip_forward=1')
    if (options.tcpRmem !== undefined) this.#sysctl(clients, `net.ipv4.tcp_rmem=${options.tcpRmem}`)
  }

  /** The address of a client, by its number from 0. */
  clientAddress(index: number): string {
    return `10.78.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`
  }

  spawnServer(module: URL, env?: Record<string, string>): Peer {
    return this.#spawn('s', module, env)
  }

  spawnClients(module: URL): Peer {
    return this.#spawn('c', module)
  }

  /** Black-holes clients, or all of them, in both directions. */
  cut(clients: readonly number[] | 'all'): Fault {
    return this.#fault(clients, 'add', 'blackhole')
  }

  /** Undoes `cut`. */
  heal(clients: readonly number[] | 'all'): Fault {
    return this.#fault(clients, 'del', 'blackhole')
  }

  /** Black-holes what goes to clients; what they send still arrives. */
  cutTowards(clients: readonly number[] | 'all'): Fault {
    return this.#fault(clients, 'add', 'blackhole', ['towards'])
  }

  healTowards(clients: readonly number[] | 'all'): Fault {
    return this.#fault(clients, 'del', 'blackhole', ['towards'])
  }

  /** Black-holes what clients send. */
  cutFrom(clients: readonly number[] | 'all'): Fault {
    return this.#fault(clients, 'add', 'blackhole', ['from'])
  }

  healFrom(clients: readonly number[] | 'all'): Fault {
    return this.#fault(clients, 'del', 'blackhole', ['from'])
  }

  /** Packets to the clients draw ICMP "host unreachable" or "administratively prohibited"; theirs are dropped. */
  refuse(clients: readonly number[], how: 'unreachable' | 'prohibit'): Fault {
    return this.#fault(clients, 'add', how)
  }

  /** Takes the link between router and clients down, on the router's side. */
  linkDown(): Fault {
    return timed(() => this.#ip(['-n', this.#ns('r'), 'link', 'set', 'vc', 'down']))
  }

  close(): void {
    process.off('exit', this.#onExit)
    for (const peer of this.#peers) peer.stop()
    for (const each of ['s', 'r', 'c']) this.#ip(['netns', 'del', this.#ns(each)], true)
    this.#release()
  }

  /** Sockets of the server's namespace that are in any state but LISTEN and TIME_WAIT (proc(5), tcp). */
  serverSockets(): string[] {
    const files = ['/proc/net/tcp', '/proc/net/tcp6']
    const text = run([...this.#prefix, 'ip', 'netns', 'exec', this.#ns('s'), 'cat', ...files])
    return text
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[3] ?? '')
      .filter((state) => /^[0-9A-F]{2}$/.test(state) && state !== '0A' && state !== '06')
  }

  #fault(
    clients: readonly number[] | 'all',
    verb: 'add' | 'del',
    type: string,
    directions: readonly ('towards' | 'from')[] = ['towards', 'from'],
  ): Fault {
    const router = this.#ns('r')
    const ranges =
      clients === 'all' ? HALVES : clients.map((index) => `${this.clientAddress(index)}/32`)
    const batch = ranges
      .flatMap((range) =>
        directions.map((direction) =>
          direction === 'towards'
            ? `route ${verb} ${type} ${range} metric 0`
            : `rule ${verb} from ${range} blackhole`,
        ),
      )
      .join('\n')
    return timed(() =>
      run([...this.#prefix, 'ip', '-n', router, '-batch', '-'], false, `${batch}\n`),
    )
  }

  #spawn(where: string, module: URL, env?: Record<string, string>): Peer {
    const prefix = [...this.#prefix, 'ip', 'netns', 'exec', this.#ns(where)]
    const peer = startPeer(module, prefix, env)
    this.#peers.push(peer)
    return peer
  }

  #ns(which: string): string {
    return `${this.#name}${which}`
  }

  #link(end: string, router: string, address: string, routerAddress: string): void {
    const far = end.endsWith('s') ? 'vs' : 'vc'
    this.#ip([
      'link',
      'add',
      'eth0',
      'netns',
      end,
      'type',
      'veth',
      'peer',
      'name',
      far,
      'netns',
      router,
    ])
    this.#ip(['-n', end, 'link', 'set', 'lo', 'up'])
    this.#ip(['-n', end, 'addr', 'add', address, 'dev', 'eth0'])
    this.#ip(['-n', end, 'link', 'set', 'eth0', 'up'])
    this.#ip(['-n', router, 'addr', 'add', routerAddress, 'dev', far])
    this.#ip(['-n', router, 'link', 'set', far, 'up'])
  }

  #sysctl(ns: string, setting: string): void {
    run([...this.#prefix, 'ip', 'netns', 'exec', ns, 'sysctl', '-qw', setting])
  }

  #ip(args: readonly string[], forgiving = false): void {
    run([...this.#prefix, 'ip', ...args], forgiving)
  }
}

/** Why no rig can be made here, or `undefined` where one can. */
export function rigMissing(): string | undefined {
  if (process.platform !== 'linux') return `no network namespaces on ${process.platform}`
  try {
    new Rig().close()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

let counter = 0

/** Nothing for root; for others a process that holds namespaces in which they are root. */
function openPrivileges(): { prefix: readonly string[]; release: () => void } {
  if (process.getuid?.() === 0) return { prefix: [], release() {} }
  const script =
    'mount -t tmpfs none /run && mkdir -p /run/netns && touch /run/rig && exec sleep 3600'
  const holder = spawn('unshare', ['-Urnm', 'sh', '-c', script], { stdio: 'ignore' })
  const pid = String(holder.pid)
  const prefix = ['nsenter', '-t', pid, '-U', '-m', '-n', '--preserve-credentials']
  const deadline = Date.now() + 3_000
  while (
    spawnSync(prefix[0] as string, [...prefix.slice(1), 'test', '-e', '/run/rig']).status !== 0
  ) {
    if (Date.now() > deadline) {
      holder.kill('SIGKILL')
      throw new Error('neither root nor a user namespace is to be had')
    }
  }
  return { prefix, release: () => void holder.kill('SIGKILL') }
}

function run([program, ...args]: readonly string[], forgiving = false, input = ''): string {
  const result = spawnSync(program as string, args, { encoding: 'utf8', input })
  if (result.status !== 0 && !forgiving) {
    throw new Error(`${program} ${args.join(' ')}: ${result.stderr || result.error}`)
  }
  return result.stdout
}

function timed(action: () => unknown): Fault {
  const startedAt = Date.now()
  action()
  return { startedAt, doneAt: Date.now() }
}
